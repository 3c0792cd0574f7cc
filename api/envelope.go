// Package api is the contract between edge, center and browser: the envelope
// on the wire and the description of the HTTP interface. It holds no logic.
package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sharpeyes/sharpeyes/detect/alert"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// Version is the version of the envelope that this program writes. A reader
// accepts any version: it ignores fields it does not know.
const Version = 1

// Envelope is the only thing on the wire between edge and center: who, which
// number, when, and exactly one of alert, picture, camera, node or operation. It is
// delivered at least once; the center drops doubles by alert ID and phase. A
// picture follows its alert under the same number.
type Envelope struct {
	V       int            `json:"v"`
	Node    string         `json:"node"` // the edge's name
	Seq     uint64         `json:"seq"`  // grows by one per node, from 1
	Time    time.Time      `json:"time"` // when it was written to the outbox
	Alert   *alert.Alert   `json:"alert,omitempty"`
	Picture *PictureReport `json:"picture,omitempty"`
	Camera  *CameraReport  `json:"camera,omitempty"`
	NodeUp  *NodeReport    `json:"node_state,omitempty"`

	Operation *Operation `json:"operation,omitempty"`
}

// PictureReport brings the picture that an alert named, or says that it will not
// come. The JPEG travels beside it.
type PictureReport struct {
	Alert   string          `json:"alert"` // ID
	Camera  ingest.CameraID `json:"camera"`
	Picture alert.Picture   `json:"picture"`        // what the alert says of it
	Lost    bool            `json:"lost,omitempty"` // the edge had to give it up
}

// CameraReport says which camera it is and how it is.
type CameraReport struct {
	Camera  ingest.Camera `json:"camera"`
	State   ingest.State  `json:"state"`
	Removed bool          `json:"removed,omitempty"` // no longer configured at this node
}

// NodeReport says that an edge lives and what it runs.
type NodeReport struct {
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Cameras int       `json:"cameras"`

	GB28181 *DeviceReport `json:"gb28181,omitempty"` // of a node that is a GB/T 28181 platform
}

// ErrEnvelope is wrapped by every error of ParseEnvelope: the bytes can never
// become an envelope, trying again does not help.
var ErrEnvelope = errors.New("not an envelope")

// ParseEnvelope reads the JSON form and checks that node, sequence and exactly
// one body are there. The alert's JPEG travels beside it and is not set here.
func ParseEnvelope(b []byte) (*Envelope, error) {
	var e Envelope
	if err := json.Unmarshal(b, &e); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEnvelope, err)
	}
	bodies := 0
	for _, set := range []bool{e.Alert != nil, e.Picture != nil, e.Camera != nil, e.NodeUp != nil, e.Operation != nil} {
		if set {
			bodies++
		}
	}
	if e.Node == "" || e.Seq == 0 || bodies != 1 {
		return nil, fmt.Errorf("%w: node %q, seq %d, %d bodies; want a node, a number from 1 and one body", ErrEnvelope, e.Node, e.Seq, bodies)
	}
	return &e, nil
}
