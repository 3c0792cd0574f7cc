// Package audit keeps the access register (调用登记, Order 799 Art. 16): who
// looked at what, from where and why, written before the first byte is shown.
// Rows are chained by SHA-256 and are never changed. It decides nothing about
// rights and opens no picture.
package audit

import (
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"
)

// Action is what was done with the footage.
type Action string

// The actions of the register (domain reference §6.4).
const (
	ActionLive         Action = "live"
	ActionPlayback     Action = "playback"
	ActionSnapshot     Action = "snapshot"
	ActionUnblur       Action = "unblur"
	ActionDownload     Action = "download"
	ActionCascade      Action = "cascade"
	ActionAPI          Action = "api"
	ActionShare        Action = "share"
	ActionExportPublic Action = "export_public"
	ActionRequestView  Action = "request_view"
	ActionControl      Action = "control" // of a camera or recorder: PTZ, guard, reboot …
)

// Actions returns all actions.
func Actions() []Action {
	return []Action{ActionLive, ActionPlayback, ActionSnapshot, ActionUnblur, ActionDownload, ActionCascade, ActionAPI, ActionShare, ActionExportPublic, ActionRequestView, ActionControl}
}

// ReasonCode is why somebody looked (事由).
type ReasonCode string

// The reasons; there is no other purpose (PIPL Art. 26).
const (
	ReasonCase      ReasonCode = "case"       // 治安案件调查
	ReasonMissing   ReasonCode = "missing"    // 走失人员寻找
	ReasonDisaster  ReasonCode = "disaster"   // 灾害事故处置
	ReasonTraffic   ReasonCode = "traffic"    // 交通事故
	ReasonRepair    ReasonCode = "repair"     // 设施故障维修
	ReasonGridEvent ReasonCode = "grid_event" // 网格事件核查: the alert wall
	ReasonSubject   ReasonCode = "subject"    // 本人或近亲属查阅 (Order 799 Art. 21)
	ReasonAuthority ReasonCode = "authority"  // 国家机关依法调取 (Order 799 Art. 20)
	ReasonDrill     ReasonCode = "drill"      // 演练培训
	ReasonPatrol    ReasonCode = "patrol"     // 设备巡检
)

// Reasons returns all reasons.
func Reasons() []ReasonCode {
	return []ReasonCode{ReasonCase, ReasonMissing, ReasonDisaster, ReasonTraffic, ReasonRepair, ReasonGridEvent, ReasonSubject, ReasonAuthority, ReasonDrill, ReasonPatrol}
}

// ErrLook is wrapped by every error about a look that does not say enough to be
// registered. Trying again with the same look does not help.
var ErrLook = errors.New("the look cannot be registered")

// maxText is the longest text of a look, in bytes.
const maxText = 4096

// Look is one access to footage, as its register row tells it.
type Look struct {
	Login      string     `json:"login"` // login name of who looked
	Name       string     `json:"name"`  // 姓名
	Unit       string     `json:"unit"`  // 单位
	Post       string     `json:"post"`
	ClientIP   string     `json:"client_ip"`
	Action     Action     `json:"action"`
	Reason     ReasonCode `json:"reason"`
	ReasonText string     `json:"reason_text,omitempty"`
	CaseNo     string     `json:"case_no,omitempty"` // number of the case, document or event
	Cameras    []string   `json:"cameras"`
	Alert      string     `json:"alert,omitempty"`
	From       time.Time  `json:"from,omitzero"` // what was seen: first instant; zero when not given
	To         time.Time  `json:"to,omitzero"`   // last instant
	Blurred    bool       `json:"blurred"`       // people were pixelated
}

// check says what is missing for a truthful row.
func (l Look) check() error {
	switch {
	case l.Login == "":
		return fmt.Errorf("%w: no user", ErrLook)
	case !slices.Contains(Actions(), l.Action):
		return fmt.Errorf("%w: action %q", ErrLook, l.Action)
	case !slices.Contains(Reasons(), l.Reason):
		return fmt.Errorf("%w: reason %q", ErrLook, l.Reason)
	case len(l.Cameras) == 0 || slices.Contains(l.Cameras, ""):
		return fmt.Errorf("%w: no camera", ErrLook)
	case !l.To.IsZero() && l.To.Before(l.From):
		return fmt.Errorf("%w: footage ends before it begins", ErrLook)
	}
	texts := append([]string{l.Login, l.Name, l.Unit, l.Post, l.ClientIP, l.ReasonText, l.CaseNo, l.Alert}, l.Cameras...)
	for _, s := range texts {
		if len(s) > maxText || !utf8.ValidString(s) {
			return fmt.Errorf("%w: text that is too long or not UTF-8", ErrLook)
		}
	}
	return nil
}
