package ingest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// units makes one access unit per letter: K is a key frame, R begins a gradual
// refresh, anything else is neither. Each has size bytes, the first of which is its place.
func units(letters string, size int) []AccessUnit {
	us := make([]AccessUnit, len(letters))
	for i, l := range letters {
		n := make([]byte, size)
		n[0] = byte(i)
		us[i] = AccessUnit{Key: l == 'K', NALUs: [][]byte{n}}
		if l == 'R' {
			us[i].Recovery = 2
		}
	}
	return us
}

func drain(t *testing.T, q *Queue) (places []int, lost []bool) {
	t.Helper()
	for q.Len() > 0 {
		u, err := q.Pop(t.Context())
		require.NoError(t, err)
		places = append(places, int(u.NALUs[0][0]))
		lost = append(lost, u.Lost)
	}
	return places, lost
}

func TestQueueDropsToTheNextKeyFrame(t *testing.T) {
	for _, c := range []struct {
		name     string
		size     int
		maxUnits int
		maxBytes int
		push     string
		want     []int
		lost     []bool
		dropped  int
	}{
		{"all fit", 1, 4, 100, "KppK", []int{0, 1, 2, 3}, []bool{false, false, false, false}, 0},
		{"oldest group goes", 1, 4, 100, "KpKpp", []int{2, 3, 4}, []bool{true, false, false}, 2},
		{"no key frame waits: all go, up to the next", 1, 3, 100, "KpppppKp", []int{6, 7}, []bool{true, false}, 6},
		{"key frame comes when full", 1, 3, 100, "KppK", []int{3}, []bool{true}, 3},
		{"bytes count", 10, 100, 30, "KpKpp", []int{2, 3, 4}, []bool{true, false, false}, 2},
		{"larger than the queue", 50, 100, 30, "KpK", nil, nil, 3},
		{"gradual refresh", 1, 4, 100, "RppppRppRp", []int{8, 9}, []bool{true, false}, 8},
		{"second full", 1, 2, 100, "KpKpKp", []int{4, 5}, []bool{true, false}, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := NewQueue(c.maxUnits, c.maxBytes)
			dropped := 0
			for _, u := range units(c.push, c.size) {
				dropped += q.Push(u)
				require.LessOrEqual(t, q.Len(), c.maxUnits)
			}
			places, lost := drain(t, q)
			require.Equal(t, c.want, places)
			require.Equal(t, c.lost, lost)
			require.Equal(t, c.dropped, dropped)
		})
	}
}

func TestQueueDefaults(t *testing.T) {
	q := NewQueue(0, 0)
	for _, u := range units("Kppppppppp", 1) {
		require.Zero(t, q.Push(u))
	}
	require.Equal(t, 10, q.Len())
}

func TestQueuePopWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue(4, 100)
		got := make(chan AccessUnit)
		go func() {
			u, _ := q.Pop(context.Background())
			got <- u
		}()
		synctest.Wait()
		q.Push(units("K", 1)[0])
		require.True(t, (<-got).Key)

		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := q.Pop(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestQueueClose(t *testing.T) {
	q := NewQueue(4, 100)
	q.Push(units("K", 1)[0])
	q.Close()
	require.Zero(t, q.Len())
	_, err := q.Pop(context.Background())
	require.ErrorIs(t, err, ErrQueueClosed)
	_, err = q.Pop(context.Background())
	require.ErrorIs(t, err, ErrQueueClosed)
	require.Equal(t, 1, q.Push(units("K", 1)[0]))
}

func TestQueueCloseWakesPop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue(4, 100)
		done := make(chan error)
		go func() {
			_, err := q.Pop(context.Background())
			done <- err
		}()
		synctest.Wait()
		q.Close()
		require.ErrorIs(t, <-done, ErrQueueClosed)
	})
}

// BenchmarkQueue is a unit that goes through the queue of a camera whose analyser
// keeps up.
func BenchmarkQueue(b *testing.B) {
	q := NewQueue(0, 0)
	u := units("K", 20000)[0]
	b.ReportAllocs()
	for b.Loop() {
		q.Push(u)
		if _, err := q.Pop(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
