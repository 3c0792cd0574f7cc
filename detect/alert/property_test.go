package alert

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// Whatever is observed, each alert opens once, is updated, and closes once, and
// there is never more than one open for a rule and place.
func TestPhasesAreInOrderWhateverHappens(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		e := engine(t, entry,
			configs.Rule{ID: "l", Kind: "line_cross", Lines: []string{"fence"}, CloseAfter: secs(2)},
			configs.Rule{ID: "d", Kind: "dwell", Zones: []string{"lane", "pond"}, Classes: []string{"person", "vehicle"}, After: secs(3), Cooldown: secs(4)},
			configs.Rule{ID: "m", Kind: "motion_in_schedule", Zones: []string{"lane"}, CloseAfter: secs(1), Schedule: []string{"daily 12:00-12:05", "daily 12:07-13:00"}},
			configs.Rule{ID: "f", Kind: "camera_fault", After: secs(5), CloseAfter: secs(3)})
		var got []Alert
		now := 0.0
		for range 600 {
			now += r.Float64() * 3
			switch r.IntN(12) {
			case 0:
				got = append(got, e.Tick(at(now+r.Float64()))...)
			case 1:
				got = append(got, e.State(randomState(r, now), at(now))...)
			case 2:
				if r.IntN(10) == 0 {
					got = append(got, e.Stop(at(now))...)
				}
			default:
				got = append(got, e.Observe(randomObservation(r, now))...)
			}
		}
		got = append(got, e.Stop(at(now))...)
		checkLives(t, got)
		require.Greater(t, len(got), 20, "seed %d", seed)
	}
}

func randomState(r *rand.Rand, now float64) ingest.State {
	fact := func() ingest.Fact {
		reasons := []ingest.Reason{ingest.ReasonTimeout, ingest.ReasonFrozen, ingest.ReasonStopped, ingest.ReasonStarting}
		return ingest.Fact{Value: ingest.Value(r.IntN(3)), Since: at(now - r.Float64()*20), Reason: reasons[r.IntN(len(reasons))]}
	}
	return ingest.State{Camera: "gate", Transport: fact(), Frames: fact(), Picture: fact()}
}

func randomObservation(r *rand.Rand, now float64) detect.Observation {
	o := detect.Observation{At: at(now)}
	switch r.IntN(5) {
	case 0:
		o.Skipped = detect.SkipReasons()[r.IntN(5)]
		return o
	case 1:
		return o
	}
	o.Motion = detect.Motion{Active: r.IntN(3) > 0, Global: r.IntN(9) == 0, Boxes: []detect.Box{{X: r.Float64(), Y: r.Float64(), W: 0.2, H: 0.2}}}
	o.Detected = r.IntN(3) > 0
	for id := range uint64(r.IntN(4)) {
		t := standing(id, detect.Classes()[r.IntN(13)], 0.3+0.4*r.Float64(), 0.6+0.02*r.Float64())
		t.Seen, t.Score = o.At, r.Float64()
		o.Tracks = append(o.Tracks, t)
	}
	return o
}

func checkLives(t *testing.T, alerts []Alert) {
	t.Helper()
	open := map[string]string{} // rule and zone: ID
	done := map[string]bool{}
	for _, a := range alerts {
		key := a.Rule + "/" + a.Zone
		switch a.Phase {
		case Opened:
			require.Empty(t, open[key], "two open for %s", key)
			require.False(t, done[a.ID], "%s opened twice", a.ID)
			open[key] = a.ID
		case Updated:
			require.Equal(t, open[key], a.ID, "update of what is not open")
		case Closed:
			require.Equal(t, open[key], a.ID, "close of what is not open")
			require.NotNil(t, a.End)
			require.False(t, a.End.Before(a.Last))
			delete(open, key)
			done[a.ID] = true
		}
		require.Equal(t, a.Phase == Closed, a.End != nil)
		require.False(t, a.Last.Before(a.Start), "%+v", a)
		require.Equal(t, NewID("gate", a.Rule, a.Zone, a.Start), a.ID)
		if a.Kind == CameraFault {
			require.Empty(t, a.Classes)
			require.False(t, a.PictureDue)
		}
	}
	require.Empty(t, open, "Stop closes everything")
}
