package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/detect/alert"
	"github.com/sharpeyes/sharpeyes/detect/ffmpeg"
	"github.com/sharpeyes/sharpeyes/gb28181/simulate"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// A camera that is analysed can be woken by whoever looks and by its own alarm; one
// that is not, or not any more, cannot.
func TestEdgeWakesItsCameras(t *testing.T) {
	if _, err := ffmpeg.NewDecoder(ingest.H264); errors.Is(err, detect.ErrNoCgo) {
		t.Skip("SKIPPED: built without cgo, no decoder")
	}
	log, reg := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	e := &edge{
		zone: time.UTC, log: log, posts: map[ingest.CameraID]*post{}, keys: detect.NewKeyPool(1, ffmpeg.NewDecoder),
		metrics: detect.NewMetrics(reg), alerts: alert.NewMetrics(nil),
	}
	defer e.keys.Close() //nolint:errcheck // never fails
	e.fleet = ingest.NewFleet(ingest.FleetOptions{})
	defer e.fleet.Close()
	e.mains = newMains(openPlain, e.keys, prometheus.NewRegistry(), log, e.fleet.SetPicture)
	defer e.mains.fleet.Close()
	require.False(t, e.wake("gate", detect.WakeOperator), "not yet")

	q := ingest.NewQueue(1000, 1<<28)
	clip, err := readUnits(t.Context(), "../../detect/ffmpeg/testdata/bench_360p.h264")
	require.NoError(t, err)
	fed := 0
	feed := func(seconds int) {
		for range seconds * benchFPS {
			au := clip.units[fed%len(clip.units)]
			au.Received = time.Now()
			au.PTS = time.Duration(fed) * time.Second / benchFPS
			q.Push(au)
			fed++
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		e.analyse(ctx, configs.Camera{ID: "gate", LegalBasis: "A9"}.Effective(configs.Stream{}), q)
	})
	require.Eventually(t, func() bool { return e.wake("gate", detect.WakeDevice) }, 20*time.Second, 5*time.Millisecond)
	require.True(t, e.wake("gate", detect.WakeOperator))
	require.False(t, e.wake("pond", detect.WakeOperator))
	feed(2)
	require.Eventually(t, func() bool { return q.Len() == 0 }, 20*time.Second, 5*time.Millisecond)
	require.Positive(t, gateCounts(reg)["sharpeyes_gate_units_total received"])
	cancel()
	wg.Wait()
	require.False(t, e.wake("gate", detect.WakeOperator), "not any more")
}

// A wake late in a group of pictures asks the device for a key frame.
func TestEdgeAsksTheDeviceForAKeyFrame(t *testing.T) {
	if _, err := ffmpeg.NewDecoder(ingest.H264); errors.Is(err, detect.ErrNoCgo) {
		t.Skip("SKIPPED: built without cgo, no decoder")
	}
	s := newSite(t, simulate.Options{})
	e := s.edge
	e.shared = nil // no detector
	e.keys = detect.NewKeyPool(1, ffmpeg.NewDecoder)
	defer e.keys.Close() //nolint:errcheck // never fails
	s.eventually("registered", func() bool { return s.sim.Stats().Registered == 1 })
	clip, err := readUnits(t.Context(), "../../detect/ffmpeg/testdata/bench_360p.h264")
	require.NoError(t, err)
	q := ingest.NewQueue(1000, 1<<28)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		e.analyse(ctx, configs.Camera{ID: "late", URL: "gb28181://" + testRecorder + "/" + testGate, LegalBasis: "A9"}.Effective(configs.Stream{}), q)
	})
	fed, began := 0, time.Now()
	feed := func(au ingest.AccessUnit) {
		au.PTS = time.Duration(fed) * time.Second / benchFPS
		au.Received = began.Add(au.PTS)
		q.Push(au)
		fed++
	}
	for fed < 40*benchFPS { // the warm-up, of a still picture
		for range benchFPS {
			feed(clip.units[0])
		}
		s.eventually("all is looked at", func() bool { return q.Len() == 0 })
	}
	for range 90 { // and then no key frame
		feed(clip.units[1])
	}
	s.eventually("all is looked at", func() bool { return q.Len() == 0 })
	require.True(t, e.wake("late", detect.WakeOperator))
	feed(clip.units[1])
	s.eventually("the device is asked", func() bool {
		return s.heard(simulate.EventControl, "IFameCmd=Send") || s.heard(simulate.EventControl, "FrameCmd=Send")
	})
	cancel()
	wg.Wait()
}
