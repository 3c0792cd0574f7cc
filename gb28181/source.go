package gb28181

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/gb28181/media"
	"github.com/sharpeyes/sharpeyes/ingest"
)

const defaultTimeout = 10 * time.Second // of a camera whose settings say nothing

// source is one live stream of one channel.
type source struct {
	p       *Platform
	cam     configs.Camera
	at      configs.GB28181Address
	timeout time.Duration
}

var _ ingest.Source = (*source)(nil)

// Source makes the source of a camera whose address is
// gb28181://DEVICE/CHANNEL[?stream=1]. Nothing is asked of the device before
// Run; Run sends one INVITE, takes what comes, and has sent BYE when it returns.
// With transport tcp, which is the default, UDP is tried when nobody connects,
// and remembered for the device while the platform runs, unless the device's
// entry in the configuration names a transport. The error says what is wrong
// with the address.
func (p *Platform) Source(cam configs.Camera) (ingest.Source, error) {
	at, err := configs.ParseGB28181(cam.URL)
	if err != nil {
		return nil, fmt.Errorf("camera %s: url %w", cam.ID, err)
	}
	s := &source{p: p, cam: cam, at: at, timeout: time.Duration(cam.Settings.Timeout)}
	if s.timeout <= 0 {
		s.timeout = defaultTimeout
	}
	return s, nil
}

// Run implements ingest.Source.
func (s *source) Run(ctx context.Context, sink ingest.Sink) error {
	dev := s.p.device(s.at.Device)
	if dev == nil {
		return s.p.absent(s.at.Device)
	}
	t, mayFall := s.p.calls.transport(dev)
	w := wish{
		dev: dev, channel: s.at.Channel, kind: live, substream: s.at.Stream, transport: t,
		wait: s.timeout, silence: s.timeout, camera: ingest.CameraID(s.cam.ID), sink: sink,
	}
	if mayFall { // the other half is left for UDP before the fleet gives the session up
		w.wait = s.timeout / 2
	}
	err := s.p.play(ctx, w)
	if !mayFall || ctx.Err() != nil || !errors.Is(err, media.ErrNobody) {
		if t == media.UDP && errors.Is(err, media.ErrNoMedia) {
			s.p.calls.remember(dev, false) // TCP may work again
		}
		return err
	}
	s.p.log.Info("device does not connect for media, trying udp", "camera", s.cam.ID, "device", dev.id)
	w.transport, w.fell, w.wait = media.UDP, true, s.timeout
	udp := s.p.play(ctx, w)
	if errors.Is(udp, media.ErrNoMedia) {
		return err // neither works: that nobody connected says more
	}
	return udp
}

// play runs one call.
func (p *Platform) play(ctx context.Context, w wish) error {
	c, err := p.openCall(ctx, w)
	if err != nil {
		return err
	}
	err = c.wait(ctx)
	c.close(err)
	return p.ended(ctx, c, err)
}
