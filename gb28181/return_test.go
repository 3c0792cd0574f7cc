package gb28181

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/gb28181/simulate"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// TestCameraComesBackWithItsDevice: a device is away until the fleet hardly tries
// any more; when it registers, frames flow at once.
func TestCameraComesBackWithItsDevice(t *testing.T) {
	cfg := boxConfig()
	cfg.Transport = configs.GB28181TCP
	var fleet atomic.Pointer[ingest.Fleet]
	cam := configs.Camera{ID: "cam", LegalBasis: "A9", Settings: configs.Stream{Timeout: configs.Duration(10 * time.Second)}}
	var back atomic.Int64 // when it registered, in ns
	p := start(t, Options{Config: cfg, OnState: func(_ string, v ingest.Value, _ ingest.Reason) {
		if f := fleet.Load(); f != nil && v == ingest.Yes {
			back.Store(time.Now().UnixNano())
			f.Nudge("cam")
		}
	}})
	addr, err := p.Addr(t.Context())
	require.NoError(t, err)
	play := func() (sim *simulate.Simulator, stop func()) {
		sim, err := simulate.New(simulate.Options{Server: addr.String(), ServerID: serverID, FirstID: boxID, Password: secret, Clips: []string{walk264}})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- sim.Run(ctx) }()
		return sim, func() { cancel(); <-done }
	}
	sim, stop := play()
	cam.URL = "gb28181://" + boxID + "/" + sim.Channels(boxID)[0]
	until(t, func() bool { return stateOf(p, boxID).Registered.Value == ingest.Yes }, "registered")

	var tries atomic.Int32
	f := ingest.NewFleet(ingest.FleetOptions{Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})), Open: func(c configs.Camera) (ingest.Source, error) {
		tries.Add(1)
		return p.Source(c)
	}})
	defer f.Close()
	fleet.Store(f)
	f.Apply([]configs.Camera{cam})
	flows := func() bool { return f.States()[0].Frames.Value == ingest.Yes }
	until(t, flows, "frames, before")
	stop()
	until(t, func() bool { return f.States()[0].Transport.Reason == ReasonUnregistered }, "the reason is said")
	seen := tries.Load()
	require.Eventually(t, func() bool { return tries.Load() >= seen+2 }, 15*time.Second, 10*time.Millisecond, "the back-off grows")

	_, stop = play()
	defer stop()
	until(t, func() bool { return back.Load() != 0 }, "back")
	require.Eventually(t, flows, 2*time.Second, 5*time.Millisecond)
	t.Logf("frames %v after the registration", time.Since(time.Unix(0, back.Load())).Round(time.Millisecond))
}

// TestLostConnectionIsSaid: while a device whose connection broke still counts as
// registered, requests say that it may come back, not that it never registered.
func TestLostConnectionIsSaid(t *testing.T) {
	c := &clock{}
	p := start(t, Options{Now: c.now})
	d := dial(t, p, "tcp", "127.0.0.1", cameraID, secret).mustRegister()
	require.NoError(t, d.conn.Close())
	dev := p.device(cameraID)
	until(t, func() bool { _, err := dev.way(); return err != nil }, "it is noticed")
	require.Equal(t, ingest.Yes, dev.isRegistered().Value)
	_, err := p.DeviceInfo(t.Context(), cameraID)
	require.ErrorContains(t, err, "connection lost, waiting for it to come back")
	require.ErrorIs(t, err, errOffline, "who decides by that decides as before")
	f := p.absent(cameraID)
	require.Equal(t, ReasonConnection, f.Reason)
	require.ErrorContains(t, f, "waiting for it to come back")
	require.NotContains(t, f.Error(), "not registered")

	c.advance(reconnectGrace + 2*time.Second)
	until(t, func() bool { return dev.isRegistered().Value == ingest.No }, "it is called gone")
	require.ErrorContains(t, p.absent(cameraID), "not registered")
}
