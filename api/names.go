package api

import (
	"github.com/sharpeyes/sharpeyes/detect/alert"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// The things that the contract speaks of. Each name is the maker's own type, so
// the rooms of the center need no other import than this package for what
// stands in an envelope.
type (
	Alert        = alert.Alert
	AlertPicture = alert.Picture
	AlertKind    = alert.Kind
	Phase        = alert.Phase
	Camera       = ingest.Camera
	CameraID     = ingest.CameraID
	State        = ingest.State
	Fact         = ingest.Fact
	Value        = ingest.Value
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
