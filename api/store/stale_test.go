package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
)

func nodeStarted(node string, seq uint64, at time.Duration) *api.Envelope {
	return &api.Envelope{V: 1, Node: node, Seq: seq, Time: noon.Add(at), NodeUp: &api.NodeReport{Version: "1", Started: noon.Add(at)}}
}

// An edge that was killed left its incidents open; its next life ends them when
// they were last seen, and touches nothing else.
func TestNextLifeClosesWhatTheLastLeftOpen(t *testing.T) {
	s, clock := newStore(t)
	clock.advance(time.Hour)
	save(t, s,
		nodeStarted("edge-1", 1, 0),
		alertEnvelope(2, "left-open", api.Opened, time.Minute),
		alertEnvelope(3, "closed-before", api.Opened, time.Minute),
		alertEnvelope(4, "closed-before", api.Closed, 2*time.Minute),
	)
	before, err := s.Alert(t.Context(), "closed-before")
	require.NoError(t, err)

	// The same life reports again: nothing is closed.
	again := nodeStarted("edge-1", 5, 0)
	again.Time = noon.Add(3 * time.Minute)
	require.Empty(t, save(t, s, again))

	changes := save(t, s, nodeStarted("edge-1", 6, 10*time.Minute))
	require.Len(t, changes, 1)
	require.Equal(t, "left-open", changes[0].ID)
	row, err := s.Alert(t.Context(), "left-open")
	require.NoError(t, err)
	require.Equal(t, api.Closed, row.Alert.Phase)
	require.NotNil(t, row.Alert.End)
	require.True(t, row.Alert.End.Equal(row.Alert.Last))
	after, err := s.Alert(t.Context(), "closed-before")
	require.NoError(t, err)
	require.Equal(t, before, after)

	// What the new life opens stays open, and another node's life means nothing.
	save(t, s, alertEnvelope(7, "new", api.Opened, 11*time.Minute), nodeStarted("edge-2", 1, 20*time.Minute))
	row, err = s.Alert(t.Context(), "new")
	require.NoError(t, err)
	require.Equal(t, api.Opened, row.Alert.Phase)
}
