package ingest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
)

func TestBackoff(t *testing.T) {
	most := func() float64 { return 1 }
	least := func() float64 { return 0 }
	for n, want := range map[int]time.Duration{
		1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 6: 32 * time.Second,
		7: time.Minute, 8: time.Minute, 1000: time.Minute,
	} {
		require.Equal(t, want, backoff(n, ReasonTimeout, most), "after %d", n)
		require.Zero(t, backoff(n, ReasonTimeout, least), "full jitter reaches down to zero")
	}
	require.Equal(t, 30*time.Second, backoff(1, ReasonAuthFailed, least), "a wrong password is not tried again soon")
	require.Equal(t, time.Minute, backoff(1, ReasonAuthFailed, most))
}

func TestBackoffSpreads(t *testing.T) {
	var slots [10]int
	for range 1000 {
		slots[min(9, int(backoff(10, ReasonTimeout, fullJitter)/(6*time.Second)))]++
	}
	for _, n := range slots {
		require.InDelta(t, 100, n, 60, "%v", slots)
	}
}

func TestUplinkOf(t *testing.T) {
	require.Equal(t, "uplink south", UplinkOf(configs.Camera{ID: "a", URL: "rtsp://10.0.0.1/x", Uplink: "south"}))
	require.Equal(t, "host 10.0.0.1", UplinkOf(configs.Camera{ID: "a", URL: "rtsp://10.0.0.1:8554/x"}))
	require.Equal(t, "camera a", UplinkOf(configs.Camera{ID: "a", URL: "file:///x.h264"}))
}

func TestUplinkLetsFourThroughAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUplink()
		for range uplinkInFlight {
			require.NoError(t, u.acquire(t.Context()))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, u.acquire(ctx), context.DeadlineExceeded)
		u.release()
		require.NoError(t, u.acquire(t.Context()))
		// With free slots the rate still holds.
		begin := time.Now()
		for range 20 {
			u.release()
			require.NoError(t, u.acquire(t.Context()))
		}
		require.GreaterOrEqual(t, time.Since(begin), 10*time.Second/uplinkPerSecond)
	})
}

func TestUplinkWaitForRateEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUplink()
		for range uplinkInFlight {
			require.NoError(t, u.acquire(t.Context()))
			u.release()
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.Error(t, u.acquire(ctx))
		require.Empty(t, u.slots, "the slot is given back")
	})
}
