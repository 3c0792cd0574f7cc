package store

import (
	"time"

	"github.com/sharpeyes/sharpeyes/api"
)

// CameraRow is one camera as it was last reported.
type CameraRow struct {
	Camera   api.Camera
	State    api.State
	Node     string
	Reported time.Time // when the edge made the report
	NodeSeen time.Time // when its node was last heard of
	Removed  bool      // no longer configured at any node
}

// Online answers whether the camera works at now. It is Unknown when the node
// was silent for longer than offlineAfter: what is not measured is never good.
func (c CameraRow) Online(now time.Time, offlineAfter time.Duration) api.Value {
	if now.Sub(c.NodeSeen) > offlineAfter {
		return api.Unknown
	}
	return c.State.Online()
}

// NodeRow is one edge as the center sees it.
type NodeRow struct {
	Name    string
	LastSeq uint64 // highest envelope number seen
	Missing uint64 // numbers below LastSeq that never came
	Version string
	Started time.Time // zero until the node reported itself
	Cameras int
	Seen    time.Time // when it was last heard of
}
