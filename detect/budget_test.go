package detect

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// node is a budget whose clock and processor time a test sets.
type node struct {
	*Budget
	at   time.Time
	used time.Duration
}

func newNode(cores float64) *node {
	n := &node{at: at(0)}
	n.Budget = NewBudget(configs.Budget{Cores: cores, Turn: configs.Duration(6 * time.Second)}, 1, nil)
	n.Budget.now = func() time.Time { return n.at }
	n.Budget.used = func() time.Duration { return n.used }
	n.looked, n.before = n.at, 0
	return n
}

// pass lets time go on in which each holder takes cost and all else others.
func (n *node) pass(d time.Duration, cost, others float64) {
	for range int(d / time.Second) {
		n.at = n.at.Add(time.Second)
		for id := range n.holders {
			took := time.Duration(cost * float64(time.Second))
			n.spend(id, took)
			n.used += took
		}
		n.used += time.Duration(others * float64(time.Second))
		n.mu.Lock()
		n.look(n.at)
		n.mu.Unlock()
	}
}

func cam(i int) ingest.CameraID { return ingest.CameraID(rune('a' + i)) }

// want lets cameras ask, as they do with each key unit, and returns how many are
// active.
func (n *node) want(cameras int, cause WakeCause) int {
	for i := range cameras {
		if n.holders[cam(i)] != nil {
			n.keep(cam(i))
		} else {
			n.take(cam(i), cause)
		}
	}
	return len(n.holders)
}

func TestBudgetGivesWhatThereIs(t *testing.T) {
	n := newNode(1)
	require.Equal(t, 8, n.want(20, WakeScore), "a guess until something was measured")
	n.pass(20*time.Second, 0.05, 0.2)
	require.Greater(t, n.want(20, WakeScore), 13, "they take less than guessed")
	n.pass(20*time.Second, 0.05, 0.2)
	require.LessOrEqual(t, n.want(20, WakeScore), 17)
	require.InDelta(t, 0.2, n.others, 0.01)
}

func TestBudgetTakesBackWhatIsNotThere(t *testing.T) {
	n := newNode(1)
	n.want(8, WakeScore)
	n.pass(10*time.Second, 0.12, 0.9) // the node does something else now
	for range 10 {
		n.want(8, WakeScore)
	}
	require.Less(t, len(n.holders), 4)
	require.NotEmpty(t, n.holders, "one always finds room")
}

func TestBudgetRetreatsWhileKeyUnitsWait(t *testing.T) {
	n := newNode(1)
	require.Equal(t, 8, n.want(20, WakeScore))
	for range 8 {
		n.waited(time.Second, 2*time.Second)
		n.pass(time.Second, 0.1, 0)
	}
	for range 20 {
		n.want(20, WakeScore)
	}
	require.Less(t, len(n.holders), 4)
	n.pass(30*time.Second, 0.1, 0)
	require.Greater(t, n.want(20, WakeScore), 5, "and comes back")
}

func TestBudgetTurnsAreFair(t *testing.T) {
	n := newNode(0.25)
	active := map[ingest.CameraID]int{}
	for range 300 {
		n.want(10, WakeScore)
		require.LessOrEqual(t, len(n.holders), 3)
		for id := range n.holders {
			active[id]++
		}
		n.pass(time.Second, 0.1, 0)
	}
	require.Len(t, active, 10)
	for id, s := range active {
		require.InDelta(t, 60, s, 25, "camera %s", id)
	}
}

func TestBudgetRanks(t *testing.T) {
	n := newNode(0.25)
	require.Equal(t, 2, n.want(5, WakeScore))
	require.False(t, n.take("asked", WakeOperator))
	n.pass(7*time.Second, 0.12, 0)
	n.want(5, WakeScore)
	require.True(t, n.take("asked", WakeOperator), "who is asked for goes before who waits longer")
	n.pass(20*time.Second, 0.12, 0)
	require.True(t, n.keep("asked"), "and does not make room for them")
	require.True(t, n.take("must", WakeFallback), "what cannot be looked at in another way is not asked")
	require.False(t, n.take("new", WakeStart))
	require.Equal(t, -1, n.place("new"), "to learn the scene nobody waits")
}

func TestBudgetForgetsWhoLeaves(t *testing.T) {
	n := newNode(0.12)
	require.Equal(t, 1, n.want(3, WakeKey))
	require.Len(t, n.line, 2)
	n.leave(cam(1))
	require.Len(t, n.line, 1)
	n.leave(cam(0))
	require.True(t, n.take(cam(2), WakeKey))
	require.Empty(t, n.line)
}

func TestBudgetSpacesLooksAtKeyUnits(t *testing.T) {
	n := newNode(1)
	spend := func(seconds int, wait time.Duration, busy float64) time.Duration {
		for range seconds {
			n.waited(wait, 2*time.Second)
			n.pass(time.Second, 0, busy)
		}
		return n.between()
	}
	require.Zero(t, spend(60, time.Second, 0.9), "late is not too many")
	require.InDelta(t, 2.6, spend(10, 2*time.Second, 0.9).Seconds(), 0.1)
	require.Equal(t, spacingMost, spend(60, 2*time.Second, 0.9), "each camera is still looked at")
	require.Zero(t, spend(120, time.Second, 0.9))
	require.Zero(t, spend(10, time.Second, 1), "many key frames at the same time")
	require.Greater(t, spend(60, 0, 1), 2*time.Second, "nothing is left for receiving")
}

func TestKeyTurns(t *testing.T) {
	for _, c := range []struct {
		gop, spacing float64 // seconds
		looks        int     // of 100 s
		apart        float64 // seconds at most
	}{
		{2, 0, 50, 2}, {2, 1.9, 50, 2}, {2, 2.5, 41, 4}, {2, 3.5, 29, 4}, {2, 4, 26, 4}, {2, 10, 11, 10},
		{0.5, 3.5, 29, 3.5}, {4, 3.5, 25, 4}, {12, 10, 9, 12},
	} {
		var k keyTurns
		looks, last, apart := 0, 0.0, 0.0
		for s := 0.0; s < 100; s += c.gop {
			if k.due(at(s), time.Duration(c.spacing*float64(time.Second))) {
				apart, last = max(apart, s-last), s
				looks++
			}
		}
		require.InDelta(t, c.looks, looks, 1, "%+v", c)
		require.LessOrEqual(t, apart, c.apart, "%+v", c)
	}
	var k keyTurns
	for s := 0.0; s < 40; s += 2 {
		k.due(at(s), 8*time.Second)
	}
	require.False(t, k.due(at(39), 8*time.Second))
	require.True(t, k.due(at(39), 2*time.Second), "something moves: what was longer does not hold any more")
}

func TestAnalysisWindow(t *testing.T) {
	var w analysisWindow
	feed := func(l ingest.Level, seconds int) (last ingest.Analysis) {
		for range seconds {
			if a, full := w.add(l, time.Second); full {
				last = a
			}
		}
		return last
	}
	require.Equal(t, ingest.Analysis{Level: ingest.LevelGated, Analysed: 10, Of: 10}, feed(ingest.LevelGated, 10))
	require.Equal(t, ingest.LevelFull, feed(ingest.LevelFull, 10).Level)
	feed(ingest.LevelDegraded, 4)
	require.Equal(t, ingest.Analysis{Level: ingest.LevelDegraded, Analysed: 26, Of: 30}, feed(ingest.LevelGated, 6))
	require.Equal(t, ingest.Analysis{Level: ingest.LevelGated, Analysed: 60, Of: 60}, feed(ingest.LevelGated, 100), "a minute is forgotten")
}
