package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
)

func nodeEnvelope(seq uint64, at time.Duration) *api.Envelope {
	return &api.Envelope{V: 1, Node: "edge-1", Seq: seq, Time: noon.Add(at), NodeUp: &api.NodeReport{Version: "1.2", Started: noon, Cameras: 3}}
}

func TestNodeNumbers(t *testing.T) {
	sec := time.Second
	for _, tc := range []struct {
		name    string
		come    []*api.Envelope
		last    uint64
		missing uint64
	}{
		{"in order", []*api.Envelope{nodeEnvelope(1, sec), nodeEnvelope(2, 2*sec)}, 2, 0},
		{"the first number is not 1", []*api.Envelope{nodeEnvelope(70, sec), nodeEnvelope(71, 2*sec)}, 71, 0},
		{"one missing", []*api.Envelope{nodeEnvelope(1, sec), nodeEnvelope(3, 3*sec)}, 3, 1},
		{"a thousand missing", []*api.Envelope{nodeEnvelope(1, sec), nodeEnvelope(1002, 3*sec)}, 1002, 1000},
		{"late one fills the gap", []*api.Envelope{nodeEnvelope(1, sec), nodeEnvelope(3, 3*sec), nodeEnvelope(2, 2*sec)}, 3, 0},
		{"late one in the middle of a gap", []*api.Envelope{nodeEnvelope(1, sec), nodeEnvelope(9, 9*sec), nodeEnvelope(5, 5*sec)}, 9, 6},
		{"twice", []*api.Envelope{nodeEnvelope(1, sec), nodeEnvelope(3, 3*sec), nodeEnvelope(3, 3*sec), nodeEnvelope(1, sec)}, 3, 1},
		{"before the first that came", []*api.Envelope{nodeEnvelope(5, 5*sec), nodeEnvelope(4, 4*sec)}, 5, 0},
		{"numbered anew", []*api.Envelope{nodeEnvelope(1, sec), nodeEnvelope(90, 9*sec), nodeEnvelope(1, 20*sec), nodeEnvelope(2, 21*sec)}, 2, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, _ := newStore(t)
			for _, e := range tc.come {
				save(t, s, e)
			}
			nodes, err := s.Nodes(t.Context())
			require.NoError(t, err)
			require.Len(t, nodes, 1)
			require.Equal(t, tc.last, nodes[0].LastSeq)
			require.Equal(t, tc.missing, nodes[0].Missing)
			require.Equal(t, "1.2", nodes[0].Version)
			require.Equal(t, noon, nodes[0].Started)
			require.Equal(t, 3, nodes[0].Cameras)
		})
	}
}

func TestNodeSeenIsNeverTooGood(t *testing.T) {
	s, c := newStore(t)
	seen := func() time.Time {
		nodes, err := s.Nodes(t.Context())
		require.NoError(t, err)
		return nodes[0].Seen
	}
	c.advance(time.Hour)
	save(t, s, nodeEnvelope(1, time.Minute))
	require.Equal(t, noon.Add(time.Minute), seen(), "a backlog says nothing about now")
	save(t, s, nodeEnvelope(2, 9*time.Hour))
	require.Equal(t, noon.Add(time.Hour), seen(), "a node's clock may be ahead")
	save(t, s, nodeEnvelope(3, time.Second))
	require.Equal(t, noon.Add(time.Hour), seen(), "it never goes back")
}

func TestCameraFollowsItsNewestReport(t *testing.T) {
	s, c := newStore(t)
	require.Len(t, save(t, s, cameraEnvelope("edge-1", 2, 2*time.Second)), 1)
	older := cameraEnvelope("edge-1", 1, time.Second, func(r *api.CameraReport) { r.State.Frames.Value = api.No })
	require.Empty(t, save(t, s, older), "an older report changes nothing")
	sameMoment := cameraEnvelope("edge-1", 3, 2*time.Second, func(r *api.CameraReport) { r.Camera.Name = "新名" })
	require.Len(t, save(t, s, sameMoment), 1, "of two reports of one microsecond the higher number is newer")

	row, err := s.Camera(t.Context(), "cam-1")
	require.NoError(t, err)
	require.Equal(t, "新名", row.Camera.Name)
	require.Equal(t, noon.Add(2*time.Second), row.Reported)
	require.Equal(t, api.Yes, row.Online(noon.Add(time.Minute), 3*time.Minute))
	require.Equal(t, api.Unknown, row.Online(noon.Add(time.Hour), 3*time.Minute), "its node is silent")

	c.advance(10 * time.Second)
	off := cameraEnvelope("edge-1", 4, 4*time.Second, func(r *api.CameraReport) { r.State.Frames.Value = api.No })
	removed := cameraEnvelope("edge-1", 5, 5*time.Second, func(r *api.CameraReport) { r.Removed = true })
	require.Equal(t, []Change{{KindCamera, "cam-1", 3}}, save(t, s, off))
	require.Len(t, save(t, s, removed), 1)
	cams, err := s.Cameras(t.Context())
	require.NoError(t, err)
	require.Empty(t, cams)
	row, err = s.Camera(t.Context(), "cam-1")
	require.NoError(t, err)
	require.True(t, row.Removed)
	_, err = s.Camera(t.Context(), "nobody")
	require.ErrorIs(t, err, ErrNotFound)
}
