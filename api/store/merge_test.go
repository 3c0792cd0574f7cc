package store

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
)

// withBody sets the classes and boxes of an alert from their JSON.
func withBody(format string, args ...any) func(*api.Alert) {
	return func(a *api.Alert) {
		if err := json.Unmarshal(fmt.Appendf(nil, format, args...), a); err != nil {
			panic(err)
		}
	}
}

// phases makes n different messages about one incident.
func phases(r *rand.Rand, n int) []api.Alert {
	out := make([]api.Alert, n)
	for i := range out {
		// No two of one moment: an edge writes them one after another.
		at := time.Duration(i+1) * time.Second
		a := *alertEnvelope(uint64(i+1), "a", [...]api.Phase{api.Opened, api.Updated, api.Closed, "later"}[r.IntN(4)], at).Alert
		a.Start = noon.Add(time.Duration(r.IntN(3)) * time.Millisecond)
		a.Last = noon.Add(time.Duration(r.IntN(10)) * time.Second)
		a.Score = float64(r.IntN(100)) / 100
		a.Level = 1 + r.IntN(4)
		if r.IntN(2) == 0 {
			withBody(`{"classes":{"person":%d,"car":%d}}`, r.IntN(5), r.IntN(3))(&a)
		}
		if r.IntN(2) == 0 {
			a.Picture = jpeg(fmt.Sprint(i), noon.Add(time.Duration(r.IntN(3))*time.Second))
		}
		if r.IntN(2) == 0 {
			withBody(`{"boxes":[{"class":"person","score":0.%d}]}`, i+1)(&a)
		}
		out[i] = a
	}
	return out
}

func mergeAll(t *testing.T, parts []api.Alert) string {
	m := parts[0]
	for _, p := range parts[1:] {
		m = merge(m, p)
	}
	b, err := json.Marshal(m)
	require.NoError(t, err)
	return string(b)
}

func TestMergeDoesNotMindTheOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		parts := phases(r, 2+r.IntN(5))
		closed := false
		for _, p := range parts {
			closed = closed || p.Phase == api.Closed
		}
		want := mergeAll(t, parts)
		var m api.Alert
		require.NoError(t, json.Unmarshal([]byte(want), &m))
		require.Equal(t, closed, m.Phase == api.Closed, "what is closed stays closed, nothing else closes")
		require.Equal(t, closed, m.End != nil)

		shuffled := append(parts[:len(parts):len(parts)], parts[r.IntN(len(parts))]) // one comes twice
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		require.Equal(t, want, mergeAll(t, shuffled))
	}
}

func TestMergeTakesTheExtremes(t *testing.T) {
	early := *alertEnvelope(1, "a", api.Opened, time.Second, withBody(`{"classes":{"person":4},"score":0.9}`)).Alert
	late := *alertEnvelope(2, "a", api.Closed, time.Minute, withBody(`{"classes":{"person":1,"dog":1},"score":0.5}`)).Alert
	m := merge(late, early)
	require.Equal(t, api.Closed, m.Phase)
	require.Equal(t, noon.Add(time.Minute), m.Last)
	require.InDelta(t, 0.9, m.Score, 1e-9)
	require.Equal(t, 4, m.Classes["person"])
	require.Equal(t, 1, m.Classes["dog"])
	m.Classes["person"] = 9
	require.Equal(t, 4, early.Classes["person"], "the arguments keep their maps")
	require.Equal(t, 1, late.Classes["person"], "the arguments keep their maps")
}
