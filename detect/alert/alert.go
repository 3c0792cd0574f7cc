// Package alert holds the rules: it turns the observations and states of one
// camera into alerts. It is pure: no clock, no goroutine, no network. Time is
// what the observations say. Alerts speak of places and things, never of who.
package alert

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// Kind is the kind of a rule.
type Kind string

// The kinds.
const (
	ZoneEntry        Kind = "zone_entry"         // an object stands in a zone
	LineCross        Kind = "line_cross"         // an object crosses a line in the given direction
	Dwell            Kind = "dwell"              // an object stays in a zone for some time
	MotionInSchedule Kind = "motion_in_schedule" // something moves in a zone in closed hours
	CameraFault      Kind = "camera_fault"       // the camera does not work
	DeviceAlarm      Kind = "device_alarm"       // the device says so itself (GB/T 28181); no rule of ours saw it
)

// Phase is where an alert is in its life.
type Phase string

// The phases, in order.
const (
	Opened  Phase = "opened"
	Updated Phase = "updated"
	Closed  Phase = "closed"
)

// Alert is one incident at one place: opened, updated, closed. There is at most
// one open alert per camera, rule and zone.
type Alert struct {
	ID       string               `json:"id"` // see NewID
	Camera   ingest.CameraID      `json:"camera"`
	Rule     string               `json:"rule"`
	RuleName string               `json:"rule_name,omitempty"`
	Kind     Kind                 `json:"kind"`
	Zone     string               `json:"zone,omitempty"`
	ZoneName string               `json:"zone_name,omitempty"`
	Category string               `json:"category,omitempty"` // proposed grid event category code, 4 digits
	Level    int                  `json:"level"`              // hazard severity 1 (highest) to 4
	Phase    Phase                `json:"phase"`
	Start    time.Time            `json:"start"`             // first instant of what met the rule: dwell: since it stands there; camera_fault: since it is bad
	Last     time.Time            `json:"last"`              // latest instant that met it
	End      *time.Time           `json:"end,omitempty"`     // set when closed
	Received time.Time            `json:"received"`          // receipt of the frame that caused this phase
	Classes  map[detect.Class]int `json:"classes,omitempty"` // most objects of each class seen at one instant
	Score    float64              `json:"score,omitempty"`   // best score seen, 0..1
	Boxes    []detect.Detection   `json:"boxes,omitempty"`   // what the picture shows, without track numbers
	Reason   ingest.Reason        `json:"reason,omitempty"`  // camera_fault only
	Picture  *Picture             `json:"picture,omitempty"` // only with the phases that bring a new one; an earlier one stays good

	// PictureDue asks for a picture of the observation that caused this phase:
	// see Illustrate.
	PictureDue bool `json:"-"`
}

// Picture describes the JPEG of an alert. Masks are burnt in and people are
// pixelated before the bytes exist outside the decoder's memory.
type Picture struct {
	SHA256  string    `json:"sha256"` // hex of the JPEG's bytes
	At      time.Time `json:"at"`     // receipt of the frame it shows
	Width   int       `json:"width"`
	Height  int       `json:"height"`
	Bytes   int       `json:"bytes"`
	Blurred bool      `json:"blurred"` // people pixelated; always true in this version
	JPEG    []byte    `json:"-"`       // travels beside the envelope, not inside its JSON
}

// NewID returns the identity of an incident: a hash of camera, rule, zone and
// start, 32 hex digits. Writing the same incident twice is harmless.
func NewID(camera ingest.CameraID, rule, zone string, start time.Time) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%d", camera, rule, zone, start.UnixNano()))
	return hex.EncodeToString(sum[:16])
}
