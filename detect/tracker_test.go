package detect

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// at returns the instant s seconds after noon.
func at(s float64) time.Time { return noon.Add(time.Duration(s * float64(time.Second))) }

func person(x, y, h, score float64) Detection {
	return Detection{Class: Person, Score: score, Box: Box{x - 0.2*h, y - h, 0.4 * h * 9 / 16, h}}
}

func car(x, y float64) Detection {
	return Detection{Class: Car, Score: 0.7, Box: Box{x, y, 0.2, 0.15}}
}

func ids(ts []Track) (out []uint64) {
	for _, t := range ts {
		out = append(out, t.ID)
	}
	return out
}

func TestTrackerFollowsAWalker(t *testing.T) {
	// 1.4 m/s across a view in which a person is 0.2 high, at two pictures a
	// second: boxes that follow each other do not overlap.
	k := NewTracker(0.4)
	for i := range 20 {
		got := k.Update(at(float64(i)/2), []Detection{person(0.1+0.035*float64(i), 0.7, 0.2, 0.6)}, nil)
		require.Equal(t, []uint64{1}, ids(got), "instant %d", i)
		require.Equal(t, i+1, got[0].Hits)
		require.Equal(t, at(0), got[0].Born)
		require.Equal(t, at(float64(i)/2), got[0].Seen)
		if i > 0 {
			require.Less(t, got[0].Prev.X, got[0].Box.X)
		}
	}
	last := k.Update(at(10), []Detection{person(0.8, 0.7, 0.2, 0.6)}, nil)[0]
	require.Greater(t, last.Box.IoU(person(0.8, 0.7, 0.2, 0.6).Box), 0.7)
}

func TestTrackerSurvivesMissedSamples(t *testing.T) {
	k := NewTracker(0.4)
	walk := func(i int) []Detection { return []Detection{person(0.1+0.02*float64(i), 0.7, 0.25, 0.6)} }
	for i := range 6 {
		k.Update(at(float64(i)/2), walk(i), nil)
	}
	k.Update(at(3), nil, nil)
	k.Update(at(3.5), nil, nil)
	got := k.Update(at(4), walk(8), nil)
	require.Equal(t, []uint64{1}, ids(got))
	require.Equal(t, 7, got[0].Hits)
	for i := range 8 {
		got = k.Update(at(4.5+float64(i)/2), nil, nil)
	}
	require.Len(t, got, 1)
	require.InDelta(t, 0.26, got[0].Box.Foot().X, 0.1, "a lost one is not thought to run on")
}

func TestTrackerLetsGo(t *testing.T) {
	for _, c := range []struct {
		name string
		hits int
		det  func(i int) Detection
		gone float64 // seconds after the last detection
		kept float64
	}{
		{"a glimpse", 1, func(int) Detection { return person(0.5, 0.5, 0.2, 0.5) }, 2, 1},
		{"a walker", 10, func(i int) Detection { return person(0.1+0.04*float64(i), 0.7, 0.3, 0.5) }, 5.5, 4},
		{"a parked car behind a crowd", 10, func(int) Detection { return car(0.4, 0.4) }, 31, 25},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, wait := range []float64{c.kept, c.gone} {
				k := NewTracker(0.4)
				for i := range c.hits {
					k.Update(at(float64(i)/2), []Detection{c.det(i)}, nil)
				}
				end := float64(c.hits-1) / 2
				for s := 0.5; s <= wait; s += 0.5 {
					k.Update(at(end+s), nil, nil)
				}
				if wait == c.kept {
					require.Equal(t, 1, k.Len(), "after %v s", wait)
				} else {
					require.Zero(t, k.Len(), "after %v s", wait)
				}
			}
		})
	}
}

func TestTrackerTellsTwoPeopleApart(t *testing.T) {
	k := NewTracker(0.4)
	for i := range 24 {
		x := 0.03 * float64(i)
		got := k.Update(at(float64(i)/2), []Detection{person(0.1+x, 0.60, 0.2, 0.6), person(0.85-x, 0.72, 0.2, 0.6)}, nil)
		require.Len(t, got, 2, "instant %d", i)
		require.Equal(t, []uint64{1, 2}, ids(got))
		require.InDelta(t, 0.60, got[0].Box.Foot().Y, 0.05, "they keep their numbers when they meet")
	}
}

func TestTrackerMatchesWithinAGroup(t *testing.T) {
	k := NewTracker(0.4)
	classes := []Class{Truck, Car, Car, Bus, Car}
	for i, c := range classes {
		d := car(0.3, 0.3)
		d.Class = c
		got := k.Update(at(float64(i)/2), []Detection{d}, nil)
		require.Equal(t, []uint64{1}, ids(got))
	}
	got := k.Update(at(3), []Detection{{Class: Dog, Score: 0.8, Box: car(0.3, 0.3).Box}}, nil)
	require.Len(t, got, 2, "an animal on a car is not the car")
	require.Equal(t, Car, got[0].Class, "by vote")
	require.Equal(t, Dog, got[1].Class)
	require.Len(t, k.Update(at(3.5), []Detection{{Class: "kite", Score: 0.9}}, nil), 2)
}

func TestTrackerWeakDetections(t *testing.T) {
	k := NewTracker(0.4)
	require.Empty(t, k.Update(at(0), []Detection{person(0.5, 0.5, 0.2, 0.3)}, nil), "start nothing")
	k.Update(at(0.5), []Detection{person(0.5, 0.5, 0.2, 0.5)}, nil)
	got := k.Update(at(1), []Detection{person(0.5, 0.5, 0.2, 0.2)}, nil)
	require.Equal(t, at(1), got[0].Seen, "continue a track")
	require.Equal(t, 0.2, got[0].Score)
	got = k.Update(at(1.5), []Detection{person(0.53, 0.5, 0.2, 0.2)}, nil)
	require.Equal(t, at(1), got[0].Seen, "but only in its place")
}

func TestTrackerAsksWhatMayStart(t *testing.T) {
	k := NewTracker(0.4)
	still := func(Detection) bool { return false }
	require.Empty(t, k.Update(at(0), []Detection{car(0.2, 0.2)}, still))
	require.Len(t, k.Update(at(1), []Detection{car(0.2, 0.2)}, nil), 1)
	require.Len(t, k.Update(at(2), []Detection{car(0.2, 0.2)}, still), 1, "a track goes on without motion")
}

func TestTrackerBoundsItself(t *testing.T) {
	k := NewTracker(0.1)
	var crowd []Detection
	for i := range 200 {
		crowd = append(crowd, Detection{Class: Person, Score: 0.9, Box: Box{float64(i%20) * 0.05, float64(i/20) * 0.1, 0.02, 0.05}})
	}
	require.Len(t, k.Update(at(0), crowd, nil), 64)
	require.Empty(t, k.Update(at(3600), nil, nil), "after a long pause nothing is the same")
	require.NotPanics(t, func() { k.Update(at(3600), []Detection{{Class: Person, Score: 1}}, nil) })
	require.NotPanics(t, func() { k.Update(at(3599), []Detection{{Class: Person, Score: 1}}, nil) })
}

func TestTrackNumbersNeverLeave(t *testing.T) {
	b, err := json.Marshal(Track{ID: 4711, Class: Person})
	require.NoError(t, err)
	require.NotContains(t, string(b), "4711")
}
