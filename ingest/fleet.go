package ingest

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sharpeyes/sharpeyes/configs"
)

// FleetOptions is what a Fleet needs from outside.
type FleetOptions struct {
	// Open makes the source of a camera. Required.
	Open func(configs.Camera) (Source, error)
	// Consume takes a camera's access units from q until ctx is done. Default: drop them.
	Consume func(ctx context.Context, cam configs.Camera, q *Queue)
	// OnState hears every change of a fact. Default: nobody hears.
	OnState func(Camera, State)
	// Registerer takes the metrics of all cameras. Default: none.
	Registerer prometheus.Registerer
	// Log default: discard.
	Log *slog.Logger
}

// Fleet keeps the sources of all cameras open.
type Fleet struct{}

// NewFleet makes an empty fleet.
func NewFleet(FleetOptions) *Fleet { return &Fleet{} }

// Apply makes cams the cameras of the fleet and touches only what differs.
func (*Fleet) Apply(cams []configs.Camera) (started, stopped, changed []CameraID) {
	return nil, nil, nil
}

// States returns the state of every camera, by camera ID.
func (*Fleet) States() []State { return nil }

// Cameras returns the record of every camera, by camera ID.
func (*Fleet) Cameras() []Camera { return nil }

// SetPicture takes the analyser's verdict on a camera's picture.
func (*Fleet) SetPicture(id CameraID, v Value, r Reason) {}

// Close stops all cameras and waits for them, at most 5 s.
func (*Fleet) Close() {}
