package store

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/ingest"
)

func withPicture(p *api.AlertPicture) func(*api.Alert) {
	return func(a *api.Alert) { a.Picture = p }
}

func counted(t *testing.T, c prometheus.Counter) int {
	t.Helper()
	var m dto.Metric
	require.NoError(t, c.Write(&m))
	return int(m.GetCounter().GetValue())
}

func TestSaveAlertThroughItsLife(t *testing.T) {
	s, c := newStore(t)
	c.advance(3 * time.Second)
	opened := save(t, s, alertEnvelope(1, "a", api.Opened, time.Second, withPicture(jpeg("one", noon))))
	require.Len(t, opened, 1)
	require.Equal(t, Change{KindAlert, "a", 1}, opened[0])
	row, err := s.Alert(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, StatusNew, row.Status)
	require.Equal(t, noon.Add(3*time.Second), row.ReceivedAt)
	require.Equal(t, 2*time.Second, row.LateBy, "received by the center minus received by the edge")
	require.Equal(t, PictureKept, row.Picture)
	require.Nil(t, row.Camera)
	require.Nil(t, row.Triage)
	require.Equal(t, "edge-1", row.Node)

	c.advance(time.Minute)
	closed := save(t, s, alertEnvelope(2, "a", api.Updated, 5*time.Second), alertEnvelope(3, "a", api.Closed, 9*time.Second))
	require.Len(t, closed, 1, "one thing, one change")
	require.Greater(t, closed[0].Seq, opened[0].Seq)
	row, err = s.Alert(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, api.Closed, row.Alert.Phase)
	require.Equal(t, noon.Add(9*time.Second), *row.Alert.End)
	require.Equal(t, noon.Add(3*time.Second), row.ReceivedAt, "when it was first heard of")
	require.NotNil(t, row.Alert.Picture, "a later phase without a picture keeps the one there is")
}

func TestSaveTwiceChangesNothing(t *testing.T) {
	s, _ := newStore(t)
	batch := []*api.Envelope{
		alertEnvelope(1, "a", api.Opened, 0, withPicture(jpeg("one", noon))),
		cameraEnvelope("edge-1", 2, time.Second),
		{V: 1, Node: "edge-1", Seq: 3, Time: noon.Add(time.Second), NodeUp: &api.NodeReport{Version: "1.0", Started: noon, Cameras: 1}},
	}
	require.Len(t, save(t, s, batch...), 2)
	require.Empty(t, save(t, s, batch...))
	require.Len(t, filesBelow(t, s.opt.PictureDir), 1)
	require.Equal(t, 1, counted(t, s.metrics.envelopes.WithLabelValues("alert", "saved")))
	require.Equal(t, 1, counted(t, s.metrics.envelopes.WithLabelValues("alert", "unchanged")))
	require.Equal(t, 2, counted(t, s.metrics.envelopes.WithLabelValues("node", "saved")))
	require.Empty(t, save(t, s))
}

// TestRepeatedStateIsNoChange: a change goes to every browser, and an edge repeats
// the state of each camera for ever, with new seconds of analysis.
func TestRepeatedStateIsNoChange(t *testing.T) {
	s, _ := newStore(t)
	watched := func(seq uint64, level string, seconds float64) *api.Envelope {
		return cameraEnvelope("edge-1", seq, time.Duration(seq)*time.Second, func(r *api.CameraReport) {
			r.State.Analysis.Level, r.State.Analysis.Analysed, r.State.Analysis.Of = ingest.Level(level), seconds, 60.04
		})
	}
	require.Len(t, save(t, s, watched(1, "gated", 60.04)), 1)
	require.Empty(t, save(t, s, watched(2, "gated", 59.96)))
	cams, err := s.Cameras(t.Context())
	require.NoError(t, err)
	require.Equal(t, 59.96, cams[0].State.Analysis.Analysed, "kept all the same")
	require.Len(t, save(t, s, watched(3, "degraded", 50)), 1)
	require.Empty(t, save(t, s, watched(4, "degraded", 40)))
	require.Len(t, save(t, s, watched(5, "full", 60)), 1)
}

// TestSaveInAnyOrder delivers one story in many orders, in batches of many
// sizes, with doubles: people must see the same in the end.
func TestSaveInAnyOrder(t *testing.T) {
	story := []*api.Envelope{
		alertEnvelope(1, "a", api.Opened, 1*time.Second, withPicture(jpeg("a1", noon.Add(time.Second)))),
		cameraEnvelope("edge-1", 2, 2*time.Second),
		alertEnvelope(3, "a", api.Updated, 3*time.Second, withPicture(jpeg("a3", noon.Add(3*time.Second)))),
		alertEnvelope(4, "b", api.Opened, 3*time.Second),
		cameraEnvelope("edge-1", 5, 5*time.Second, func(r *api.CameraReport) { r.State.Frames.Value = api.No }),
		alertEnvelope(6, "a", api.Closed, 6*time.Second),
		cameraEnvelope("edge-1", 7, 6*time.Second, func(r *api.CameraReport) { r.Removed = true }),
		cameraEnvelope("edge-2", 1, 4*time.Second, func(r *api.CameraReport) { r.Camera.Name = "moved" }),
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 25 {
		order := append(story[:len(story):len(story)], story[r.IntN(len(story))])
		r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		s, _ := newStore(t)
		for len(order) > 0 {
			n := 1 + r.IntN(len(order))
			save(t, s, order[:n]...)
			order = order[n:]
		}
		a, err := s.Alert(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, api.Closed, a.Alert.Phase)
		require.Equal(t, noon.Add(6*time.Second), a.Alert.Last)
		require.Equal(t, jpeg("a3", noon).SHA256, a.Alert.Picture.SHA256)
		require.Equal(t, "moved", a.Camera.Name, "removed at one edge, alive at the other")
		cams, err := s.Cameras(t.Context())
		require.NoError(t, err)
		require.Len(t, cams, 1)
		require.Equal(t, "edge-2", cams[0].Node)
		nodes, err := s.Nodes(t.Context())
		require.NoError(t, err)
		require.Equal(t, uint64(7), nodes[0].LastSeq)
		require.Zero(t, nodes[0].Missing)
	}
}

func TestSaveRefusesWhatCannotBeKept(t *testing.T) {
	s, _ := newStore(t)
	noID := alertEnvelope(2, "", api.Opened, 0)
	noCamera := cameraEnvelope("edge-1", 3, 0, func(r *api.CameraReport) { r.Camera.ID = "" })
	noNode := alertEnvelope(4, "x", api.Opened, 0)
	noNode.Node = ""
	tooFar := alertEnvelope(1<<63, "x", api.Opened, 0)
	nothing := &api.Envelope{Node: "edge-1", Seq: 5}
	changes := save(t, s, noID, noCamera, noNode, tooFar, nothing, alertEnvelope(1, "good", api.Opened, 0))
	require.Len(t, changes, 1, "one bad envelope must not hold up the others")
	require.Equal(t, "good", changes[0].ID)
	require.Equal(t, 3, counted(t, s.metrics.envelopes.WithLabelValues("alert", "refused")))
}

func TestSavePictures(t *testing.T) {
	change := func(f func(*api.AlertPicture)) *api.AlertPicture {
		p := jpeg("p", noon)
		f(p)
		return p
	}
	for _, tc := range []struct {
		name    string
		picture *api.AlertPicture
		result  string
	}{
		{"good", jpeg("p", noon), "kept"},
		{"no bytes and a path for a hash", change(func(p *api.AlertPicture) { p.JPEG, p.SHA256 = nil, "../../../etc/passwd" }), "wrong_hash"},
		{"no bytes and not blurred", change(func(p *api.AlertPicture) { p.JPEG, p.Blurred = nil, false }), "not_blurred"},
		{"people not blurred", change(func(p *api.AlertPicture) { p.Blurred = false }), "not_blurred"},
		{"too large", change(func(p *api.AlertPicture) { p.JPEG = append(p.JPEG, make([]byte, 8<<20)...) }), "too_large"},
		{"not a JPEG", change(func(p *api.AlertPicture) { p.JPEG = []byte("GIF89a") }), "not_jpeg"},
		{"another hash", change(func(p *api.AlertPicture) { p.JPEG = append(p.JPEG, 0) }), "wrong_hash"},
		{"a path for a hash", change(func(p *api.AlertPicture) { p.SHA256 = "../../../../etc/passwd" }), "wrong_hash"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, _ := newStore(t)
			save(t, s, alertEnvelope(1, "a", api.Opened, 0, withPicture(tc.picture)))
			row, err := s.Alert(t.Context(), "a")
			require.NoError(t, err, "the alert is kept whatever its picture")
			require.Equal(t, 1, counted(t, s.metrics.pictures.WithLabelValues(tc.result)))
			_, err = s.Picture(t.Context(), "a")
			if tc.result != "kept" {
				require.Equal(t, PictureNone, row.Picture)
				require.ErrorIs(t, err, ErrNotFound)
				require.Empty(t, filesBelow(t, s.opt.PictureDir))
				return
			}
			require.NoError(t, err)
			sha := tc.picture.SHA256
			path := filepath.Join(s.opt.PictureDir, sha[:2], sha+".jpg")
			require.Equal(t, tc.picture.JPEG, readPicture(t, s, "a"))
			st, err := os.Stat(path)
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o600), st.Mode().Perm())
		})
	}
}

func TestSaveLeavesNothingHalfWritten(t *testing.T) {
	batch := func() []*api.Envelope {
		return []*api.Envelope{
			alertEnvelope(1, "a", api.Opened, 0, withPicture(jpeg("first", noon))),
			alertEnvelope(2, "b", api.Opened, 0, withPicture(jpeg("second", noon)), func(a *api.Alert) {
				a.ZoneName = string(make([]byte, 200_000)) // does not fit the full disk below
			}),
		}
	}
	requireNothing := func(t *testing.T, s *Store) {
		_, err := s.Alert(t.Context(), "a")
		require.ErrorIs(t, err, ErrNotFound)
		n, err := s.LastChange(t.Context())
		require.NoError(t, err)
		require.Zero(t, n)
	}
	t.Run("database full", func(t *testing.T) {
		onlySQLite(t) // has a limit of its own to set
		s, _ := newStore(t)
		var pages int
		require.NoError(t, s.engine.writer.QueryRow(`PRAGMA page_count`).Scan(&pages))
		_, err := s.engine.writer.Exec(fmt.Sprintf(`PRAGMA max_page_count = %d`, pages+10))
		require.NoError(t, err)
		_, err = s.Save(t.Context(), batch())
		require.ErrorContains(t, err, "full")
		requireNothing(t, s)

		_, err = s.engine.writer.Exec(`PRAGMA max_page_count = 1000000`)
		require.NoError(t, err)
		require.Len(t, save(t, s, batch()...), 2, "there is room again: the same batch goes in")
	})
	t.Run("picture folder unwritable", func(t *testing.T) {
		s, _ := newStore(t)
		// A file where the folder of the second picture should be: this fails for root too.
		blocked := filepath.Join(s.opt.PictureDir, jpeg("second", noon).SHA256[:2])
		require.NoError(t, os.WriteFile(blocked, nil, 0o600))
		_, err := s.Save(t.Context(), batch())
		require.ErrorContains(t, err, "2 pictures")
		requireNothing(t, s)
		swept(t, s)
		require.Equal(t, []string{blocked}, filesBelow(t, s.opt.PictureDir))
	})
	t.Run("name taken by a folder", func(t *testing.T) {
		s, _ := newStore(t)
		taken := filepath.Join(s.opt.PictureDir, blobName(jpeg("second", noon).SHA256))
		require.NoError(t, os.MkdirAll(taken, 0o700))
		_, err := s.Save(t.Context(), batch())
		require.Error(t, err)
		requireNothing(t, s)
		swept(t, s)
		require.Empty(t, filesBelow(t, s.opt.PictureDir))
	})
	t.Run("closed", func(t *testing.T) {
		s, err := Open(t.Context(), testOptions(t, newClock()))
		require.NoError(t, err)
		require.NoError(t, s.Close())
		_, err = s.Save(t.Context(), batch())
		require.Error(t, err)
	})
	t.Run("kept body damaged", func(t *testing.T) {
		s, _ := newStore(t)
		save(t, s, alertEnvelope(1, "a", api.Opened, 0))
		_, err := s.engine.writer.Exec(`UPDATE alerts SET body = 'x'`)
		require.NoError(t, err)
		_, err = s.Save(t.Context(), []*api.Envelope{alertEnvelope(2, "a", api.Closed, 0)})
		require.ErrorContains(t, err, "envelope edge-1/2")
	})
}

// swept lets the expiry of a later hour remove what a failed Save put.
func swept(t *testing.T, s *Store) {
	t.Helper()
	for _, name := range filesBelow(t, s.opt.PictureDir) {
		require.NoError(t, os.Chtimes(name, noon, noon))
	}
	_, err := s.Expire(t.Context(), noon.Add(2*time.Hour))
	require.NoError(t, err)
}

func TestSaveFromManyAtOnce(t *testing.T) {
	s, _ := newStore(t)
	var wg sync.WaitGroup
	const writers, each = 8, 15
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				e := alertEnvelope(uint64(i+1), fmt.Sprintf("%d-%d", w, i), api.Opened, 0, withPicture(jpeg(fmt.Sprint(i), noon)))
				e.Node = fmt.Sprint("edge-", w)
				if _, err := s.Save(t.Context(), []*api.Envelope{e}); err != nil {
					t.Error(err)
				}
				if _, _, err := s.Alerts(t.Context(), AlertFilter{}, "", 10); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	n, err := s.LastChange(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(writers*each), n)
	require.Len(t, filesBelow(t, s.opt.PictureDir), each, "the same bytes are kept once")
}
