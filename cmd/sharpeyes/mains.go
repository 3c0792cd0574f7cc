package main

import (
	"context"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// mains keeps the main streams of the cameras whose substreams are analysed: a
// second fleet, whose cameras have the same IDs and no say in whether a camera is
// online. That the main stream does not come is a reason beside the picture fact:
// the camera is watched all the same, and its alerts carry the smaller picture.
type mains struct {
	fleet *ingest.Fleet
	keys  *detect.KeyPool
	tell  func(ingest.CameraID, ingest.Value, ingest.Reason) // says the picture fact
	up    *prometheus.GaugeVec

	mu   sync.Mutex
	kept map[ingest.CameraID]*mainStream
}

// mainStream is the main stream of one camera, and what its analyser says of the
// substream's picture.
type mainStream struct {
	stream *detect.MainStream
	down   bool // no pictures come
	value  ingest.Value
	reason ingest.Reason
}

func newMains(open func(configs.Camera) (ingest.Source, error), keys *detect.KeyPool, reg prometheus.Registerer, log *slog.Logger, tell func(ingest.CameraID, ingest.Value, ingest.Reason)) *mains {
	m := &mains{
		keys: keys, tell: tell, kept: map[ingest.CameraID]*mainStream{},
		up: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sharpeyes_main_stream_up", Help: "1 while the main stream of a camera comes whose substream is analysed, else 0.",
		}, []string{"camera"}),
	}
	reg.MustRegister(m.up)
	log = log.With("stream", "main")
	m.fleet = ingest.NewFleet(ingest.FleetOptions{
		Open:    open,
		Consume: m.keep, OnState: m.onState, Log: log,
	})
	return m
}

// wantsMain says whether the main stream is pulled beside the substream: where
// nothing may be analysed nobody looks closer either.
func wantsMain(c configs.Camera) bool {
	return c.Settings.Stream == configs.StreamBoth && c.Connects() && detect.Lawful(c.LegalBasis)
}

// prepare makes room for the main streams of cams and forgets the others. It comes
// before the analysers start, apply after.
func (m *mains) prepare(cams []configs.Camera) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.kept
	m.kept = map[ingest.CameraID]*mainStream{}
	for _, c := range cams {
		id := ingest.CameraID(c.ID)
		if !wantsMain(c) {
			continue
		}
		if m.kept[id] = before[id]; m.kept[id] == nil {
			m.kept[id] = &mainStream{stream: detect.NewMainStream(m.keys)}
		}
	}
	for id := range before {
		if m.kept[id] == nil {
			m.up.DeleteLabelValues(string(id))
		}
	}
}

// apply connects what prepare made room for.
func (m *mains) apply(cams []configs.Camera) {
	var wanted []configs.Camera
	for _, c := range cams {
		if wantsMain(c) {
			c.Settings.Stream = configs.StreamMain
			wanted = append(wanted, c)
		}
	}
	m.fleet.Apply(wanted)
}

// begin returns the main stream for a new analyser of the camera, nil when there is
// none, and forgets what the analyser before said.
func (m *mains) begin(id ingest.CameraID) *detect.MainStream {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.kept[id]
	if s == nil {
		return nil
	}
	s.value, s.reason = ingest.Unknown, ingest.ReasonNone
	return s.stream
}

// keep is the second goroutine of a main stream.
func (m *mains) keep(ctx context.Context, cam configs.Camera, q *ingest.Queue) {
	m.mu.Lock()
	s := m.kept[ingest.CameraID(cam.ID)]
	m.mu.Unlock()
	if s != nil {
		s.stream.Run(ctx, q, int(cam.Settings.Gate.RingBytes))
	}
}

// picture takes the analyser's verdict on the camera's picture.
func (m *mains) picture(id ingest.CameraID, v ingest.Value, r ingest.Reason) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.kept[id]
	if s == nil {
		m.tell(id, v, r)
		return
	}
	s.value, s.reason = v, r
	m.say(id, s)
}

// onState hears how a main stream is.
func (m *mains) onState(c ingest.Camera, state ingest.State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.kept[c.ID]
	if s == nil {
		return
	}
	m.up.WithLabelValues(string(c.ID)).Set(float64(digit(state.Frames.Value == ingest.Yes)))
	if down := state.Frames.Value == ingest.No; down != s.down {
		s.down = down
		if s.value != ingest.Unknown {
			m.say(c.ID, s)
		}
	}
}

// say tells the picture fact; m.mu is held, so that two verdicts keep their order.
func (m *mains) say(id ingest.CameraID, s *mainStream) {
	reason := s.reason
	if s.value == ingest.Yes && reason == ingest.ReasonNone && s.down {
		reason = ingest.ReasonSubstreamOnly
	}
	m.tell(id, s.value, reason)
}
