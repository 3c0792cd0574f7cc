package main

import (
	"context"
	"time"

	"github.com/sharpeyes/sharpeyes/ingest"
)

const (
	// inspectEvery is how often a device is asked whether its cameras are recorded.
	inspectEvery = 10 * time.Minute
	// inspectSoon is the first time: devices have registered by then.
	inspectSoon = 20 * time.Second
	// inspectWithin bounds one question.
	inspectWithin = 10 * time.Second
)

// reasonNotRecorded says that the device answered, and does not record.
const reasonNotRecorded ingest.Reason = "record_off"

// inspect asks the registered devices of configured cameras, one after the
// other, whether they record, until ctx is done.
func (d *platform) inspect(ctx context.Context) error {
	next := time.NewTimer(inspectSoon)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		}
		for _, dev := range d.Devices() {
			if dev.Registered.Value != ingest.Yes {
				continue
			}
			for _, c := range d.camerasOf(dev.ID) {
				d.askRecording(ctx, dev.ID, c)
			}
		}
		next.Reset(inspectEvery)
	}
}

func (d *platform) askRecording(ctx context.Context, device string, c deviceCamera) {
	if !c.connects {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, inspectWithin)
	defer cancel()
	status, err := d.DeviceStatus(ctx, device, c.channel)
	switch {
	case err != nil:
		d.edge.fleet.SetRecording(c.id, ingest.Unknown, ingest.ReasonTimeout)
	case status.Record == "ON":
		d.edge.fleet.SetRecording(c.id, ingest.Yes, ingest.ReasonNone)
	case status.Record == "OFF":
		d.edge.fleet.SetRecording(c.id, ingest.No, reasonNotRecorded)
	default:
		d.edge.fleet.SetRecording(c.id, ingest.Unknown, ingest.ReasonNotOffered)
	}
}
