package store

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
)

// named is an alert whose text names the picture; pictureEnvelope brings it.
func named(seq uint64, id string, p *api.AlertPicture, phase api.Phase, at time.Duration) *api.Envelope {
	words := *p
	words.JPEG = nil
	return alertEnvelope(seq, id, phase, at, withPicture(&words))
}

func pictureEnvelope(seq uint64, id string, p *api.AlertPicture, lost bool) *api.Envelope {
	q := *p
	if lost {
		q.JPEG = nil
	}
	return &api.Envelope{V: 1, Node: "edge-1", Seq: seq, Time: noon, Picture: &api.PictureReport{Alert: id, Camera: "cam-1", Picture: q, Lost: lost}}
}

func TestPictureFollowsItsAlert(t *testing.T) {
	s, _ := newStore(t)
	p := jpeg("p", noon)
	state := func() PictureState {
		row, err := s.Alert(t.Context(), "a")
		require.NoError(t, err)
		return row.Picture
	}
	save(t, s, named(1, "a", p, api.Opened, 0))
	require.Equal(t, PictureComing, state())
	_, err := s.Picture(t.Context(), "a")
	require.ErrorIs(t, err, ErrNotFound)

	require.Len(t, save(t, s, pictureEnvelope(1, "a", p, false)), 1, "browsers are told")
	require.Equal(t, PictureKept, state())
	require.Equal(t, p.JPEG, readPicture(t, s, "a"))

	require.Empty(t, save(t, s, pictureEnvelope(1, "a", p, false), pictureEnvelope(1, "a", p, true)), "twice changes nothing")
	save(t, s, named(2, "a", p, api.Closed, time.Second))
	require.Equal(t, PictureKept, state(), "a later phase names it again")
	require.Equal(t, []string{pathOf(t, s, "a")}, filesBelow(t, s.opt.PictureDir))
}

func TestPictureThatWillNotCome(t *testing.T) {
	s, _ := newStore(t)
	p := jpeg("p", noon)
	save(t, s, named(1, "a", p, api.Opened, 0), pictureEnvelope(1, "a", p, true))
	row, err := s.Alert(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, PictureLost, row.Picture)
	save(t, s, named(1, "a", p, api.Opened, 0))
	row, err = s.Alert(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, PictureLost, row.Picture, "the text again does not make anybody wait")

	better := jpeg("better", noon.Add(time.Second))
	save(t, s, named(2, "a", better, api.Updated, time.Second))
	row, err = s.Alert(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, PictureComing, row.Picture)
	save(t, s, pictureEnvelope(2, "a", better, false))
	row, err = s.Alert(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, PictureKept, row.Picture)
}

func TestPictureOfNobodyLeavesNothing(t *testing.T) {
	s, _ := newStore(t)
	require.Empty(t, save(t, s, pictureEnvelope(1, "unknown", jpeg("p", noon), false)))
	save(t, s, alertEnvelope(2, "a", api.Opened, 0))
	require.Empty(t, save(t, s, pictureEnvelope(2, "a", jpeg("other", noon), false)), "its alert names none")
	bad := jpeg("bad", noon)
	bad.Blurred = false
	save(t, s, pictureEnvelope(3, "a", bad, false))
	require.Empty(t, filesBelow(t, s.opt.PictureDir))
	require.Equal(t, 3, counted(t, s.metrics.envelopes.WithLabelValues("picture", "unchanged")))
}

// TestPicturesInAnyOrder: texts, pictures and their doubles in any order leave
// the same row, as long as a picture comes after one text that names it.
func TestPicturesInAnyOrder(t *testing.T) {
	s, _ := newStore(t)
	first, second := jpeg("1", noon), jpeg("2", noon.Add(time.Second))
	for round := range 30 {
		id := fmt.Sprint("a", round)
		r := rand.New(rand.NewPCG(7, uint64(round)))
		rest := []*api.Envelope{
			pictureEnvelope(1, id, first, false), pictureEnvelope(2, id, second, false), pictureEnvelope(2, id, second, false),
			named(1, id, first, api.Opened, 0), named(2, id, second, api.Updated, time.Second), alertEnvelope(3, id, api.Closed, 2*time.Second),
		}
		r.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
		save(t, s, append([]*api.Envelope{named(1, id, first, api.Opened, 0), named(2, id, second, api.Updated, time.Second)}, rest...)...)
		row, err := s.Alert(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, PictureKept, row.Picture)
		require.Equal(t, second.SHA256, row.Alert.Picture.SHA256)
		require.Equal(t, api.Closed, row.Alert.Phase)
	}
}
