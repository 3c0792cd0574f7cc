package stream

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
)

func TestWakeReachesTheEdges(t *testing.T) {
	s, c := redisServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var heard []api.CameraID
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			err := ListenWakes(ctx, c, testStream, quiet(), func(id api.CameraID) {
				mu.Lock()
				defer mu.Unlock()
				heard = append(heard, id)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	said := func(camera api.CameraID) int64 {
		n, err := Wake(t.Context(), c, testStream, camera)
		require.NoError(t, err)
		return n
	}
	require.Eventually(t, func() bool { return said("") == 2 }, patience, 10*time.Millisecond, "two edges listen; no camera is named")
	for _, bad := range []string{"a b", strings.Repeat("x", 5000), "\x00", "../x", "摄像机"} {
		require.EqualValues(t, 2, said(api.CameraID(bad)))
	}
	require.EqualValues(t, 2, said("gate-01"))
	require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(heard) == 2 }, patience, 10*time.Millisecond)
	require.Equal(t, []api.CameraID{"gate-01", "gate-01"}, heard, "what names no camera is not passed on")
	n, err := Wake(t.Context(), c, "another", "gate-01")
	require.NoError(t, err)
	require.Zero(t, n, "another stream's edges")
	cancel()
	wg.Wait()
	require.NoError(t, s.Close())
	_, err = Wake(t.Context(), c, testStream, "gate-01")
	require.ErrorContains(t, err, "camera gate-01: wake")
}
