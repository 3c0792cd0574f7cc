package stream

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
)

// dropped returns the drops of pictures, states and alerts.
func dropped(t testing.TB, reg prometheus.Gatherer) [3]int {
	t.Helper()
	var n [3]int
	for i, what := range []string{"picture", "state", "alert"} {
		n[i] = int(metric(t, reg, "sharpeyes_outbox_dropped_total", "what", what))
	}
	return n
}

func TestPicturesGoFirst(t *testing.T) {
	reg := prometheus.NewRegistry()
	dir := t.TempDir()
	const limit = 256 << 10
	o := openBox(t, dir, OutboxOptions{MaxBytes: limit, SegmentBytes: 32 << 10, Registerer: reg})
	const n = 60
	for i := range n {
		mustPut(t, o, alertEnvelope("cam-1", i, 10_000))
		mustPut(t, o, stateEnvelope("cam-1", i))
		require.LessOrEqual(t, metric(t, reg, "sharpeyes_outbox_bytes"), float64(limit))
	}
	check := func(o *Outbox) {
		got := all(t, o)
		require.Len(t, got, 2*n, "no text is dropped")
		pictures := 0
		for i, e := range got {
			env, err := api.ParseEnvelope(e.json)
			require.NoError(t, err)
			if env.Alert == nil {
				continue
			}
			require.Equal(t, env.Alert.Picture != nil, e.jpeg != nil)
			if e.jpeg != nil {
				pictures++
			} else {
				require.Less(t, i, 2*n-20, "the newest pictures stay")
			}
		}
		require.Greater(t, pictures, 5)
		require.Equal(t, n, pictures+dropped(t, reg)[0])
	}
	check(o)
	require.NoError(t, o.Close())
	reopened := openBox(t, dir, OutboxOptions{MaxBytes: limit, SegmentBytes: 32 << 10})
	check2 := all(t, reopened)
	require.Len(t, check2, 2*n)
}

func TestRepeatsGoNextAndAlertsNever(t *testing.T) {
	reg := prometheus.NewRegistry()
	dir := t.TempDir()
	o := openBox(t, dir, OutboxOptions{MaxBytes: 256 << 10, SegmentBytes: 16 << 10, Registerer: reg})
	alerts := 0
	var full error
	for i := 0; full == nil; i++ {
		if _, full = o.Put(alertEnvelope("cam-1", i, 2000)); full == nil {
			alerts++
		}
		for c := range 3 {
			_, err := o.Put(stateEnvelope(fmt.Sprint("cam-", c), i))
			require.True(t, err == nil || errors.Is(err, ErrFull), err)
		}
	}
	require.ErrorIs(t, full, ErrFull)
	require.ErrorContains(t, full, "max_bytes")
	d := dropped(t, reg)
	require.Positive(t, d[0])
	require.Greater(t, d[1], alerts, "states gave way to alerts")
	require.Equal(t, 1, d[2])
	require.Greater(t, alerts, 300)
	require.LessOrEqual(t, metric(t, reg, "sharpeyes_outbox_bytes"), 256.0*1024)

	newest := map[string]string{}
	count := func(o *Outbox) (n int) {
		last := uint64(0)
		for _, e := range all(t, o) {
			require.Greater(t, e.seq, last)
			last = e.seq
			env, err := api.ParseEnvelope(e.json)
			require.NoError(t, err)
			if env.Alert != nil {
				n++
			} else {
				newest[string(env.Camera.Camera.ID)] = env.Camera.Camera.Name
			}
		}
		return n
	}
	require.Equal(t, alerts, count(o))
	require.Len(t, newest, 3, "the newest report of each camera stays")

	// What the center takes makes room again.
	var taken []uint64
	for _, e := range all(t, o)[:100] {
		taken = append(taken, e.seq)
	}
	acked(t, o, taken...)
	require.Eventually(t, func() bool { _, err := o.Put(alertEnvelope("cam-9", 1, 0)); return err == nil }, 5*time.Second, time.Millisecond)
	left := count(o)
	require.NoError(t, o.Close())
	require.Equal(t, left, count(openBox(t, dir, OutboxOptions{MaxBytes: 256 << 10, SegmentBytes: 16 << 10})))
}

func TestDeliveredSpaceIsUsedBeforeAnythingIsDropped(t *testing.T) {
	reg := prometheus.NewRegistry()
	o := openBox(t, t.TempDir(), OutboxOptions{MaxBytes: 256 << 10, SegmentBytes: 250 << 10, Registerer: reg})
	for i := range 200 {
		acked(t, o, mustPut(t, o, alertEnvelope("cam-1", i, 5000)))
	}
	require.Equal(t, [3]int{}, dropped(t, reg))
}

func TestTooLargePictureLeavesItsAlert(t *testing.T) {
	reg := prometheus.NewRegistry()
	o := openBox(t, t.TempDir(), OutboxOptions{MaxBytes: 256 << 10, Registerer: reg})
	mustPut(t, o, alertEnvelope("cam-1", 1, maxPicture+1))
	mustPut(t, o, alertEnvelope("cam-1", 2, 300<<10))
	for _, e := range all(t, o) {
		env, err := api.ParseEnvelope(e.json)
		require.NoError(t, err)
		require.Nil(t, env.Alert.Picture)
	}
	require.Equal(t, [3]int{2, 0, 0}, dropped(t, reg))
}

func TestAgeTakesPicturesAndRepeatsButNoAlert(t *testing.T) {
	reg := prometheus.NewRegistry()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := openBox(t, dir, OutboxOptions{MaxAge: time.Hour, Registerer: reg})
		mustPut(t, o, alertEnvelope("cam-1", 1, 1000))
		mustPut(t, o, stateEnvelope("cam-1", 1))
		mustPut(t, o, stateEnvelope("cam-1", 2))
		time.Sleep(59 * time.Minute) // virtual
		synctest.Wait()
		require.Equal(t, [3]int{}, dropped(t, reg))
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		require.Equal(t, [3]int{1, 1, 0}, dropped(t, reg))
		require.Equal(t, []uint64{1, 3}, seqs(all(t, o)))
		require.Equal(t, 2, o.Depth())
		mustPut(t, o, stateEnvelope("cam-1", 3))
	})
}
