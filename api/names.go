package api

import (
	"github.com/sharpeyes/sharpeyes/detect/alert"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// The things that the contract speaks of. Each name is the maker's own type, so
// the rooms of the center need no other import than this package for what
// stands in an envelope.
type (
	// Alert is one incident as the rules made it.
	Alert = alert.Alert
	// AlertPicture describes the JPEG of an alert.
	AlertPicture = alert.Picture
	// AlertKind is the kind of rule that raised an alert.
	AlertKind = alert.Kind
	// Phase is where an alert is in its life.
	Phase = alert.Phase
	// Camera is a camera's record (一机一档).
	Camera = ingest.Camera
	// CameraID names one camera in the whole system.
	CameraID = ingest.CameraID
	// State is the five facts about a camera.
	State = ingest.State
	// Fact is one answer about a camera, since when and why.
	Fact = ingest.Fact
	// Value is yes, no or unknown.
	Value = ingest.Value
)

// The phases of an alert, in order.
const (
	Opened  = alert.Opened
	Updated = alert.Updated
	Closed  = alert.Closed
)

// The answers to a question about a camera; Unknown never counts as good.
const (
	Unknown = ingest.Unknown
	Yes     = ingest.Yes
	No      = ingest.No
)

// ParseCameraID checks that s is 1 to 32 of letters, digits and hyphens.
func ParseCameraID(s string) (CameraID, error) { return ingest.ParseCameraID(s) }
