package store

import (
	"time"

	"github.com/sharpeyes/sharpeyes/api"
)

// Status is what people decided about an alert.
type Status string

// The statuses.
const (
	StatusNew       Status = "new"
	StatusConfirmed Status = "confirmed"
	StatusDismissed Status = "dismissed"
)

// Triage is who decided, when, and why.
type Triage struct {
	By     string    `json:"by"`   // the login name
	Name   string    `json:"name"` // the name to show
	Unit   string    `json:"unit"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"` // dismissed only
	Note   string    `json:"note,omitempty"`
}

// PictureState says whether an alert has a picture.
type PictureState string

// The states of an alert's picture.
const (
	PictureNone    PictureState = ""
	PictureKept    PictureState = "kept"
	PictureExpired PictureState = "expired" // there was one; its time is over
)

// AlertRow is one incident as the center keeps it: the merged phases, when the
// first of them came, and what people decided.
type AlertRow struct {
	Alert      api.Alert
	Node       string
	Status     Status
	Camera     *api.Camera   // nil while the camera has not reported its record
	ReceivedAt time.Time     // when the center first heard of it
	LateBy     time.Duration // ReceivedAt minus the receipt of the frame, not below 0
	Triage     *Triage       // nil while new
	EventNo    string        // the event it was confirmed into, or ""
	Picture    PictureState
}

// AlertFilter narrows a list of alerts. Zero fields do not narrow.
type AlertFilter struct {
	Status   Status
	Camera   api.CameraID
	Division string // prefix of the camera's division code
}
