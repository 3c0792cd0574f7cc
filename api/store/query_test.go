package store

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
)

func decide(t *testing.T, s *Store, id string, status Status, at time.Time) {
	t.Helper()
	var tr *Triage
	if status != StatusNew {
		tr = &Triage{By: "li", Name: "李", Unit: "综治中心", At: at, Reason: "known", Note: "施工"}
	}
	require.NoError(t, s.Update(t.Context(), func(tx *Tx) error { return tx.SetTriage(t.Context(), id, status, tr, "") }))
}

func startingAt(d time.Duration, camera string) func(*api.Alert) {
	return func(a *api.Alert) { a.Start, a.Camera = noon.Add(d), api.CameraID(camera) }
}

func ids(rows []AlertRow) []string {
	var out []string
	for _, r := range rows {
		out = append(out, r.Alert.ID)
	}
	return out
}

func TestAlertsPageByPage(t *testing.T) {
	s, _ := newStore(t)
	for i := range 7 {
		save(t, s, alertEnvelope(uint64(i+1), fmt.Sprint("a", i), api.Opened, 0, startingAt(time.Duration(i/2)*time.Second, "cam-1")))
	}
	first, next, err := s.Alerts(t.Context(), AlertFilter{}, "", 3)
	require.NoError(t, err)
	require.Equal(t, []string{"a6", "a5", "a4"}, ids(first))
	require.Equal(t, "a4", next)
	save(t, s, alertEnvelope(9, "late", api.Opened, 0, startingAt(time.Hour, "cam-1")))
	second, next, err := s.Alerts(t.Context(), AlertFilter{}, next, 3)
	require.NoError(t, err)
	require.Equal(t, []string{"a3", "a2", "a1"}, ids(second), "what came in since does not shift the pages")
	third, next, err := s.Alerts(t.Context(), AlertFilter{}, next, 3)
	require.NoError(t, err)
	require.Equal(t, []string{"a0"}, ids(third))
	require.Empty(t, next)
	_, _, err = s.Alerts(t.Context(), AlertFilter{}, "gone", 3)
	require.ErrorIs(t, err, ErrNotFound)
	all, _, err := s.Alerts(t.Context(), AlertFilter{}, "", 0)
	require.NoError(t, err)
	require.Len(t, all, 8)
}

func TestAlertsFilter(t *testing.T) {
	s, _ := newStore(t)
	save(t, s,
		cameraEnvelope("edge-1", 1, 0),
		cameraEnvelope("edge-1", 2, 0, func(r *api.CameraReport) { r.Camera.ID, r.Camera.Division = "cam-2", "360103001001" }),
		alertEnvelope(3, "a", api.Opened, 0, startingAt(0, "cam-1")),
		alertEnvelope(4, "b", api.Opened, 0, startingAt(1, "cam-2")),
		alertEnvelope(5, "c", api.Opened, 0, startingAt(2, "cam-9")))
	decide(t, s, "b", StatusDismissed, noon)
	for _, tc := range []struct {
		name   string
		filter AlertFilter
		want   []string
	}{
		{"all", AlertFilter{}, []string{"c", "b", "a"}},
		{"new", AlertFilter{Status: StatusNew}, []string{"c", "a"}},
		{"dismissed", AlertFilter{Status: StatusDismissed}, []string{"b"}},
		{"confirmed", AlertFilter{Status: StatusConfirmed}, nil},
		{"camera", AlertFilter{Camera: "cam-9"}, []string{"c"}},
		{"county", AlertFilter{Division: "360921"}, []string{"a"}},
		{"province and new", AlertFilter{Division: "36", Status: StatusNew}, []string{"a"}},
		{"pattern characters are no pattern", AlertFilter{Division: "%"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rows, _, err := s.Alerts(t.Context(), tc.filter, "", 10)
			require.NoError(t, err)
			require.Equal(t, tc.want, ids(rows))
		})
	}
	row, err := s.Alert(t.Context(), "b")
	require.NoError(t, err)
	require.Equal(t, &Triage{By: "li", Name: "李", Unit: "综治中心", At: noon, Reason: "known", Note: "施工"}, row.Triage)
	require.Equal(t, api.CameraID("cam-2"), row.Camera.ID)
}

func TestSetTriageRefuses(t *testing.T) {
	s, _ := newStore(t)
	err := s.Update(t.Context(), func(tx *Tx) error {
		return tx.SetTriage(t.Context(), "nobody", StatusDismissed, &Triage{By: "li"}, "")
	})
	require.ErrorIs(t, err, ErrNotFound)
	err = s.Update(t.Context(), func(tx *Tx) error { return tx.SetTriage(t.Context(), "x", StatusConfirmed, nil, "") })
	require.ErrorContains(t, err, "does not go with")
}

func TestChangesSince(t *testing.T) {
	s, _ := newStore(t)
	waiting := s.Changed()
	save(t, s, alertEnvelope(1, "a", api.Opened, 0), alertEnvelope(2, "b", api.Opened, 0))
	select {
	case <-waiting:
	default:
		t.Fatal("the change was not announced")
	}
	save(t, s, alertEnvelope(3, "a", api.Closed, time.Second))
	all, err := s.ChangesSince(t.Context(), 0, 0)
	require.NoError(t, err)
	require.Equal(t, []Change{{KindAlert, "b", 2}, {KindAlert, "a", 3}}, all, "each thing once, by its latest change")
	some, err := s.ChangesSince(t.Context(), 2, 10)
	require.NoError(t, err)
	require.Equal(t, []Change{{KindAlert, "a", 3}}, some)
	one, err := s.ChangesSince(t.Context(), 0, 1)
	require.NoError(t, err)
	require.Equal(t, all[:1], one)
}

func TestExpire(t *testing.T) {
	s, c := newStore(t)
	var names []string
	for i, status := range []Status{StatusNew, StatusDismissed, StatusConfirmed} {
		id := string(status)
		names = append(names, id)
		save(t, s, alertEnvelope(uint64(i+1), id, api.Opened, 0, withPicture(jpeg(id, noon))))
		decide(t, s, id, status, noon.Add(time.Hour))
	}
	states := func() map[string]PictureState {
		out := map[string]PictureState{}
		for _, id := range names {
			row, err := s.Alert(t.Context(), id)
			require.NoError(t, err)
			out[id] = row.Picture
		}
		return out
	}
	kept := func(ids ...string) map[string]PictureState {
		out := map[string]PictureState{"new": PictureExpired, "dismissed": PictureExpired, "confirmed": PictureExpired}
		for _, id := range ids {
			out[id] = PictureKept
		}
		return out
	}
	for _, step := range []struct {
		name string
		at   time.Duration
		gone int
		kept map[string]PictureState
	}{
		{"nothing is old", 6 * day, 0, kept("new", "dismissed", "confirmed")},
		{"7 days less a microsecond after the decision", 7*day + time.Hour - time.Microsecond, 0, kept("new", "dismissed", "confirmed")},
		{"7 days after the dismissal", 7*day + time.Hour, 1, kept("new", "confirmed")},
		{"30 days after the picture", 30 * day, 1, kept("confirmed")},
		{"30 days after the confirmation", 30*day + time.Hour, 1, kept()},
		{"nothing is left", 300 * day, 0, kept()},
	} {
		got, err := s.Expire(t.Context(), noon.Add(step.at))
		require.NoError(t, err, step.name)
		require.Equal(t, Expired{Pictures: step.gone}, got, step.name)
		require.Equal(t, step.kept, states(), step.name)
	}
	require.Empty(t, filesBelow(t, s.opt.PictureDir))
	_, err := s.Picture(t.Context(), "new")
	require.ErrorIs(t, err, ErrExpired)
	_, err = s.Picture(t.Context(), "nobody")
	require.ErrorIs(t, err, ErrNotFound)

	c.advance(time.Second)
	save(t, s, alertEnvelope(1, "new", api.Opened, 0, withPicture(jpeg("new", noon))), alertEnvelope(9, "new", api.Closed, time.Second, withPicture(jpeg("other", noon.Add(time.Minute)))))
	require.Equal(t, PictureExpired, states()["new"], "a late double brings nothing back")
	require.Empty(t, filesBelow(t, s.opt.PictureDir))
	row, err := s.Alert(t.Context(), "new")
	require.NoError(t, err)
	require.Equal(t, api.Closed, row.Alert.Phase)
	require.Equal(t, jpeg("new", noon).SHA256, row.Alert.Picture.SHA256, "nor is a picture told of that was never kept")
}

func TestExpireKeepsWhatAnotherAlertShows(t *testing.T) {
	s, _ := newStore(t)
	save(t, s, alertEnvelope(1, "a", api.Opened, 0, withPicture(jpeg("same", noon))), alertEnvelope(2, "b", api.Opened, 0, withPicture(jpeg("same", noon))))
	decide(t, s, "a", StatusDismissed, noon)
	got, err := s.Expire(t.Context(), noon.Add(8*day))
	require.NoError(t, err)
	require.Equal(t, 1, got.Pictures)
	require.Len(t, filesBelow(t, s.opt.PictureDir), 1)
	require.Equal(t, jpeg("same", noon).JPEG, readPicture(t, s, "b"))
}

func TestExpireSweepsLeftovers(t *testing.T) {
	s, _ := newStore(t)
	save(t, s, alertEnvelope(1, "a", api.Opened, 0, withPicture(jpeg("old", noon))), alertEnvelope(2, "a", api.Updated, time.Second, withPicture(jpeg("new", noon.Add(time.Second)))))
	require.Len(t, filesBelow(t, s.opt.PictureDir), 2)
	orphan := jpeg("orphan", noon)
	require.NoError(t, s.blobs.put(t.Context(), []blob{{orphan.SHA256, orphan.JPEG}}))
	stranger := s.opt.PictureDir + "/README"
	require.NoError(t, os.WriteFile(stranger, nil, 0o600))
	for _, name := range filesBelow(t, s.opt.PictureDir) {
		require.NoError(t, os.Chtimes(name, noon, noon))
	}
	got, err := s.Expire(t.Context(), noon.Add(time.Minute))
	require.NoError(t, err)
	require.Equal(t, Expired{Orphans: 1}, got, "the picture that was replaced; young files may belong to a Save at work")
	got, err = s.Expire(t.Context(), noon.Add(2*time.Hour))
	require.NoError(t, err)
	require.Equal(t, Expired{Orphans: 1}, got)
	require.ElementsMatch(t, []string{pathOf(t, s, "a"), stranger}, filesBelow(t, s.opt.PictureDir))
}

func TestExpireTriesAgain(t *testing.T) {
	s, _ := newStore(t)
	save(t, s, alertEnvelope(1, "a", api.Opened, 0, withPicture(jpeg("p", noon))))
	path := pathOf(t, s, "a")
	// The name is taken by a folder that is not empty: removing fails, for root too.
	require.NoError(t, os.Rename(path, path+".aside"))
	require.NoError(t, os.MkdirAll(path+"/in", 0o700))
	_, err := s.Expire(t.Context(), noon.Add(31*day))
	require.Error(t, err)
	require.NoError(t, os.RemoveAll(path))
	require.NoError(t, os.Rename(path+".aside", path))
	require.NoError(t, os.Chtimes(path, noon, noon))
	got, err := s.Expire(t.Context(), noon.Add(31*day))
	require.NoError(t, err)
	require.Equal(t, Expired{Orphans: 1}, got)
	require.NoFileExists(t, path)
}
