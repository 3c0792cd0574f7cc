package api

import (
	"time"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// Operation is what a person does with a device through a node: a control or
// the download of a record. It is in the outbox before the device is asked, and
// once more with its result; each becomes a row of the access register.
type Operation struct {
	ID      string          `json:"id"`             // 32 hex digits, the same before and after
	Time    time.Time       `json:"time"`           // when it was asked for, or when the result stood
	Login   string          `json:"login"`          // user of the machine
	Name    string          `json:"name,omitempty"` // 姓名, as the machine knows it
	Unit    string          `json:"unit"`           // 单位, as the person says
	Action  string          `json:"action"`         // of the register: control or download
	Reason  string          `json:"reason"`         // of the register
	CaseNo  string          `json:"case_no,omitempty"`
	Device  string          `json:"device"` // 20-digit ID
	Channel string          `json:"channel,omitempty"`
	Camera  ingest.CameraID `json:"camera,omitempty"` // "" when the channel is no configured camera
	Command string          `json:"command"`          // "ptz left 5"
	From    time.Time       `json:"from,omitzero"`    // of a record
	To      time.Time       `json:"to,omitzero"`
	Result  string          `json:"result,omitempty"` // "": asked for; "ok", or what went wrong
}

// MaxReported is the most entries of each list of a DeviceReport; the totals say
// how many there are.
const MaxReported = 50

// DeviceReport is what a person has to decide about the GB/T 28181 devices of a
// node.
type DeviceReport struct {
	Registered   int             `json:"registered"` // devices, now
	Configured   int             `json:"configured"` // entries with an ID, of those that may register
	Waiting      []WaitingDevice `json:"waiting,omitempty"`
	WaitingTotal int             `json:"waiting_total"`
	Changes      []ChannelChange `json:"changes,omitempty"`
	ChangesTotal int             `json:"changes_total"`
}

// WaitingDevice is a device that wants to register and is not in the list.
type WaitingDevice struct {
	ID        string    `json:"id"`
	Address   string    `json:"address"` // host:port, last heard from
	UserAgent string    `json:"user_agent,omitempty"`
	Version   string    `json:"version,omitempty"` // X-GB-ver
	FirstSeen time.Time `json:"first_seen"`
	LastSeen  time.Time `json:"last_seen"`
	Attempts  uint64    `json:"attempts"`
}

// ChannelChange is one difference between what the devices list and what the
// node has as cameras.
type ChannelChange struct {
	Device     string `json:"device"`
	Channel    string `json:"channel"`
	Camera     string `json:"camera,omitempty"`     // "" of a new channel
	Kind       string `json:"kind"`                 // "new", "gone", "renamed", "division"
	Configured string `json:"configured,omitempty"` // name or division as configured
	Reported   string `json:"reported,omitempty"`   // as the device has it
}
