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

// What an earlier life wrote down and what comes only after the new life's report
// does not stay open for ever; what the new life opens does.
func TestLateAlertOfAnEarlierLifeIsStoredClosed(t *testing.T) {
	for _, tc := range []struct {
		name  string
		at    time.Duration // when it was written, and last seen
		phase api.Phase
		want  api.Phase
	}{
		{"opened before", 9 * time.Minute, api.Opened, api.Closed},
		{"updated before", 9 * time.Minute, api.Updated, api.Closed},
		{"closed before", 9 * time.Minute, api.Closed, api.Closed},
		{"opened in the new life", 11 * time.Minute, api.Opened, api.Opened},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, clock := newStore(t)
			clock.advance(time.Hour)
			save(t, s, nodeStarted("edge-1", 5, 10*time.Minute))
			save(t, s, alertEnvelope(4, "a", tc.phase, tc.at))
			row, err := s.Alert(t.Context(), "a")
			require.NoError(t, err)
			require.Equal(t, tc.want, row.Alert.Phase)
			if tc.want == api.Closed {
				require.NotNil(t, row.Alert.End)
				require.True(t, row.Alert.End.Equal(row.Alert.Last))
			}
			require.Empty(t, save(t, s, alertEnvelope(4, "a", tc.phase, tc.at)), "twice changes nothing")
		})
	}
}
