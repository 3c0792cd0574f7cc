package ingest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestClock(t *testing.T) {
	type step struct {
		raw, at time.Duration // as the source says, as received
		want    time.Duration
		jumped  bool
	}
	const ms = time.Millisecond
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"starts at zero", []step{{5 * time.Hour, 0, 0, false}, {5*time.Hour + 40*ms, 40 * ms, 40 * ms, false}}},
		{"b-frames step back", []step{{0, 0, 0, false}, {120 * ms, 40 * ms, 120 * ms, false}, {40 * ms, 80 * ms, 40 * ms, false}, {80 * ms, 120 * ms, 80 * ms, false}, {240 * ms, 160 * ms, 240 * ms, false}}},
		{"burst after a stall is no jump", []step{{0, 0, 0, false}, {40 * ms, 9 * time.Second, 40 * ms, false}, {80 * ms, 9 * time.Second, 80 * ms, false}}},
		{"silence is no jump", []step{{0, 0, 0, false}, {9 * time.Second, 9 * time.Second, 9 * time.Second, false}}},
		{"forward", []step{{0, 0, 0, false}, {time.Hour, 40 * ms, 40 * ms, true}, {time.Hour + 40*ms, 80 * ms, 80 * ms, false}}},
		{"back", []step{{time.Hour, 0, 0, false}, {0, 40 * ms, 40 * ms, true}, {40 * ms, 80 * ms, 80 * ms, false}}},
		{"two jumps", []step{{0, 0, 0, false}, {time.Hour, 40 * ms, 40 * ms, true}, {0, 80 * ms, 80 * ms, true}, {40 * ms, 120 * ms, 120 * ms, false}}},
		{"jump at the same receipt time still moves on", []step{{0, 0, 0, false}, {time.Hour, 0, ms, true}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var k Clock
			start := time.Now()
			for i, s := range c.steps {
				got, jumped := k.Next(s.raw, start.Add(s.at))
				require.Equal(t, s.want, got, "step %d", i)
				require.Equal(t, s.jumped, jumped, "step %d", i)
			}
		})
	}
}
