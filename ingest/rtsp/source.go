// Package rtsp is an ingest.Source over RTSP 1.0 (RFC 2326), what a camera
// tells about itself when it is probed, and a small RTSP server that serves
// ingest.Sources, for the demo and for tests. It takes the session and RTCP
// from gortsplib, and reads SDP and RTP payloads itself, since both come from
// cameras as they come.
package rtsp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
)

const defaultTimeout = 10 * time.Second

// source is one stream of one RTSP camera.
type source struct {
	cam     configs.Camera
	url     *base.URL
	timeout time.Duration
	log     *slog.Logger
	buffers *Buffers

	// For Probe, may be nil: onTracks hears the description of each session,
	// onEnd whether parameter sets came in its stream.
	onTracks func([]Track, *Track)
	onEnd    func(inBand bool)
}

var _ ingest.Source = (*source)(nil)

// New makes the source of a camera whose stream address is rtsp:// or
// rtsps://. Settings say which stream, over which transport, and how long to
// wait for an answer; with transport auto (the default) TCP is tried first and
// UDP when the camera refuses TCP or sends nothing over it. Cameras that are
// received at the same time should be given the same buffers; nil means some of
// its own. Nothing is connected yet. The error says what is wrong with the configuration; it holds
// no credential.
func New(cam configs.Camera, log *slog.Logger, buffers *Buffers) (ingest.Source, error) {
	return newSource(cam, log, buffers)
}

func newSource(cam configs.Camera, log *slog.Logger, buffers *Buffers) (*source, error) {
	u, err := address(cam)
	if err != nil {
		return nil, err
	}
	if _, err := tlsConfig(cam.TLS); err != nil {
		return nil, fmt.Errorf("camera %s: %w", cam.ID, err)
	}
	switch cam.Settings.Transport {
	case "", "auto", "tcp", "udp":
	default:
		return nil, fmt.Errorf("camera %s: transport %q: write auto, tcp or udp", cam.ID, cam.Settings.Transport)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if buffers == nil {
		buffers = &Buffers{}
	}
	s := &source{cam: cam, url: u, timeout: time.Duration(cam.Settings.Timeout), log: log.With("camera", cam.ID), buffers: buffers}
	if s.timeout <= 0 {
		s.timeout = defaultTimeout
	}
	return s, nil
}

// Run implements ingest.Source.
func (s *source) Run(ctx context.Context, sink ingest.Sink) error {
	switch s.cam.Settings.Transport {
	case "tcp":
		return s.play(ctx, sink, gortsplib.TransportTCP, 0)
	case "udp":
		return s.play(ctx, sink, gortsplib.TransportUDP, 0)
	}
	// Half the time for TCP, so that the other half is left for UDP before the
	// fleet gives the session up.
	err := s.play(ctx, sink, gortsplib.TransportTCP, s.timeout/2)
	if ctx.Err() != nil || s.url.Scheme == "rtsps" || !(refusesTransport(err) || errors.Is(err, errSilent)) {
		return err
	}
	s.log.Info("camera does not stream over tcp, trying udp", "error", err)
	if udp := s.play(ctx, sink, gortsplib.TransportUDP, 0); !refusesTransport(udp) {
		return udp
	}
	return err // both refused: the first answer says more
}

// play runs one session over one transport and always returns why it ended: a
// *ingest.Fault or ctx.Err().
func (s *source) play(ctx context.Context, sink ingest.Sink, t gortsplib.Transport, silence time.Duration) error {
	sess, err := newSession(s, sink, t)
	if err != nil {
		return &ingest.Fault{Reason: ingest.ReasonTLS, Err: err, Hint: hintTLS}
	}
	err = sess.run(ctx, silence)
	if s.onEnd != nil && sess.depacket != nil {
		s.onEnd(sess.depacket.asm.InBand())
	}
	if ctx.Err() != nil {
		// The fleet ends a session in which nothing came; that garbage came is
		// worth more than that nothing did.
		if f := sess.garbage(); f != nil && !errors.Is(context.Cause(ctx), context.Canceled) {
			return f
		}
		return ctx.Err()
	}
	if f := sess.garbage(); f != nil && ingest.ReasonOf(err) == ingest.ReasonNoFrames {
		return f
	}
	return err
}
