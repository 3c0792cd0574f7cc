package grid

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/api/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// evening is 23:30 of 1 September in China, still the 1st there and in UTC.
var evening = time.Date(2025, 9, 1, 15, 30, 0, 0, time.UTC)

var (
	li   = store.User{Name: "li", Display: "李", Unit: "综治中心", Post: "视频研判岗", Role: store.RoleDuty}
	wang = store.User{Name: "wang", Display: "王", Unit: "综治中心", Role: store.RoleAdmin}
	look = store.User{Name: "look", Role: store.RoleViewer}
)

type room struct {
	*Events
	st  *store.Store
	now atomic.Int64
	seq uint64
}

func newRoom(t *testing.T) *room {
	r := &room{}
	r.now.Store(evening.UnixMicro())
	dir := t.TempDir()
	st, err := store.Open(t.Context(), store.Options{
		Path: filepath.Join(dir, "center.db"), PictureDir: filepath.Join(dir, "pictures"),
		Now: func() time.Time { return time.UnixMicro(r.now.Load()) }, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	r.st, r.Events = st, New(st, Options{})
	lon, lat := 115.3, 28.7
	r.save(t, &api.Envelope{Camera: &api.CameraReport{Camera: api.Camera{
		ID: "cam-1", Name: "铁路桥", Division: "360921100201", Grid: "360921100201003", Place: "铁路桥下", LegalBasis: "A7.1", InUse: true, Lon: &lon, Lat: &lat,
	}}})
	return r
}

func (r *room) advance(d time.Duration) { r.now.Add(d.Microseconds()) }

func (r *room) save(t *testing.T, e *api.Envelope) {
	r.seq++
	e.V, e.Node, e.Seq, e.Time = 1, "edge-1", r.seq, evening
	_, err := r.st.Save(t.Context(), []*api.Envelope{e})
	require.NoError(t, err)
}

func (r *room) alert(t *testing.T, id string, more ...func(*api.Alert)) {
	data := append([]byte{0xff, 0xd8, 0xff}, id...)
	sum := sha256.Sum256(data)
	a := &api.Alert{
		ID: id, Camera: "cam-1", Rule: "r", Kind: "zone_entry", Category: "0302", Level: 3, Phase: api.Opened,
		Start: evening.Add(-time.Minute), Last: evening, Received: evening,
		Picture: &api.AlertPicture{SHA256: hex.EncodeToString(sum[:]), At: evening, Blurred: true, JPEG: data},
	}
	for _, m := range more {
		m(a)
	}
	r.save(t, &api.Envelope{Alert: a})
}

func (r *room) count(t *testing.T, query string) (n int) {
	require.NoError(t, r.st.View(t.Context(), func(tx *store.Tx) error { return tx.QueryRow(t.Context(), query).Scan(&n) }))
	return n
}

func TestConfirmMakesAnEvent(t *testing.T) {
	r := newRoom(t)
	r.alert(t, "a")
	before, err := r.st.LastChange(t.Context())
	require.NoError(t, err)
	ev, err := r.Confirm(t.Context(), "a", li, Confirmation{Note: " 两头牛 "})
	require.NoError(t, err)
	require.Equal(t, "360921-20250901-000001", ev.No)
	got, err := json.Marshal(ev)
	require.NoError(t, err)
	require.JSONEq(t, `{
		"eventNo":"360921-20250901-000001", "categoryCode":"0302", "categoryName":"牲畜入线", "level":3, "urgency":"02",
		"source":"AI_CAMERA", "title":"牲畜入线 · 铁路桥下", "description":"两头牛", "happenTime":"2025-09-01T15:29:00Z",
		"divisionCode":"360921100201", "gridCode":"360921100201003", "address":"铁路桥下", "lon":115.3, "lat":28.7, "coordSys":"WGS84",
		"cameraId":"cam-1", "alertIds":["a"], "reporterPost":"视频研判岗", "state":"reported",
		"snapshot":{"id":"a","blurred":true,"sha256":"`+ev.Snapshot.SHA256+`","expiresAt":"2025-10-01T15:30:00Z"},
		"createdAt":"2025-09-01T15:30:00Z", "updatedAt":"2025-09-01T15:30:00Z",
		"history":[{"at":"2025-09-01T15:30:00Z","to":"reported","by":"李","unit":"综治中心","post":"视频研判岗","note":"两头牛"}]}`, string(got))

	row, err := r.st.Alert(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, store.StatusConfirmed, row.Status)
	require.Equal(t, ev.No, row.EventNo)
	require.Equal(t, &store.Triage{By: "li", Name: "李", Unit: "综治中心", At: evening, Note: "两头牛"}, row.Triage)
	changes, err := r.st.ChangesSince(t.Context(), before, 0)
	require.NoError(t, err)
	require.Len(t, changes, 2, "browsers hear of the alert and of the event")

	again, err := r.Confirm(t.Context(), "a", li, Confirmation{Title: "another"})
	require.NoError(t, err)
	require.Equal(t, ev, again, "the same event again")
	require.Equal(t, 1, r.count(t, `SELECT COUNT(*) FROM events`))
}

func TestConfirmInput(t *testing.T) {
	unknownCamera := func(a *api.Alert) { a.Camera = "cam-9" }
	for _, tc := range []struct {
		name  string
		alert func(*api.Alert)
		by    store.User
		in    Confirmation
		err   error
		check func(*testing.T, Event)
	}{
		{name: "chosen category and title", by: wang, in: Confirmation{Category: "0201", Title: "鱼塘"}, check: func(t *testing.T, e Event) {
			require.Equal(t, "危险水域有人", e.CategoryName)
			require.Equal(t, "鱼塘", e.Title)
			require.Equal(t, defaultPost, e.ReporterPost)
		}},
		{name: "rule proposes nothing known", alert: func(a *api.Alert) { a.Category = "5555" }, by: li, check: func(t *testing.T, e Event) {
			require.Equal(t, "9900", e.CategoryCode)
		}},
		{name: "high level is urgent", alert: func(a *api.Alert) { a.Level = 1 }, by: li, check: func(t *testing.T, e Event) {
			require.Equal(t, "01", e.Urgency)
		}},
		{name: "quarrels are no business of video", by: li, in: Confirmation{Category: "矛盾纠纷"}, err: ErrForbiddenCategory},
		{name: "a group is no category", by: li, in: Confirmation{Category: "03"}, err: ErrForbiddenCategory},
		{name: "long title", by: li, in: Confirmation{Title: strings.Repeat("长", MaxTitle+1)}, err: ErrTextTooLong},
		{name: "long note", by: li, in: Confirmation{Note: strings.Repeat("长", MaxNote+1)}, err: ErrTextTooLong},
		{name: "viewer", by: look, err: ErrForbidden},
		{name: "camera without a record", alert: unknownCamera, by: li, err: ErrUnknownPlace},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRoom(t)
			if tc.alert == nil {
				tc.alert = func(*api.Alert) {}
			}
			r.alert(t, "a", tc.alert)
			ev, err := r.Confirm(t.Context(), "a", tc.by, tc.in)
			require.ErrorIs(t, err, tc.err)
			if tc.err != nil {
				row, err := r.st.Alert(t.Context(), "a")
				require.NoError(t, err)
				require.Equal(t, store.StatusNew, row.Status)
				require.Zero(t, r.count(t, `SELECT COUNT(*) FROM events`))
				return
			}
			tc.check(t, ev)
		})
	}
	r := newRoom(t)
	_, err := r.Confirm(t.Context(), "nobody", li, Confirmation{})
	require.ErrorIs(t, err, ErrNotFound)
}

func TestDismiss(t *testing.T) {
	r := newRoom(t)
	r.alert(t, "a")
	_, err := r.Dismiss(t.Context(), "a", li, "bored", "")
	require.ErrorIs(t, err, ErrReason)
	_, err = r.Dismiss(t.Context(), "a", look, Known, "")
	require.ErrorIs(t, err, ErrForbidden)
	_, err = r.Dismiss(t.Context(), "nobody", li, Known, "")
	require.ErrorIs(t, err, ErrNotFound)
	_, err = r.Dismiss(t.Context(), "a", li, Known, strings.Repeat("x", MaxNote+1))
	require.ErrorIs(t, err, ErrTextTooLong)

	row, err := r.Dismiss(t.Context(), "a", li, Known, "施工")
	require.NoError(t, err)
	require.Equal(t, store.StatusDismissed, row.Status)
	require.Equal(t, "known", row.Triage.Reason)
	again, err := r.Dismiss(t.Context(), "a", li, FalseAlarm, "")
	require.NoError(t, err)
	require.Equal(t, row, again, "the first decision stands")

	_, err = r.Dismiss(t.Context(), "a", wang, Known, "")
	var already *AlreadyTriagedError
	require.ErrorAs(t, err, &already)
	require.ErrorIs(t, err, ErrAlreadyTriaged)
	require.Equal(t, "李", already.Triage.Name)
	require.Equal(t, evening, already.Triage.At)
	require.ErrorContains(t, err, "dismissed by li at 2025-09-01T15:30:00Z")
	_, err = r.Confirm(t.Context(), "a", li, Confirmation{})
	require.ErrorIs(t, err, ErrAlreadyTriaged, "the other decision, even by the same person")
	require.Zero(t, r.count(t, `SELECT COUNT(*) FROM events`))
}

// TestOneWins lets many people decide on one alert at once.
func TestOneWins(t *testing.T) {
	r := newRoom(t)
	for round := range 5 {
		id := fmt.Sprint("a", round)
		r.alert(t, id)
		var won, lost atomic.Int64
		var wg sync.WaitGroup
		for i := range 8 {
			by := store.User{Name: fmt.Sprint("op", i), Role: store.RoleDuty}
			wg.Go(func() {
				var err error
				if i%2 == 0 {
					_, err = r.Confirm(t.Context(), id, by, Confirmation{})
				} else {
					_, err = r.Dismiss(t.Context(), id, by, FalseAlarm, "")
				}
				switch {
				case err == nil:
					won.Add(1)
				case errors.Is(err, ErrAlreadyTriaged):
					lost.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.Equal(t, int64(1), won.Load())
		require.Equal(t, int64(7), lost.Load())
	}
	require.Equal(t, r.count(t, `SELECT COUNT(*) FROM alerts WHERE status = 'confirmed'`), r.count(t, `SELECT COUNT(*) FROM events`))
}

func TestDatabaseAllowsOneLiveEvent(t *testing.T) {
	r := newRoom(t)
	r.alert(t, "a")
	r.alert(t, "b")
	for _, id := range []string{"a", "b"} {
		_, err := r.Confirm(t.Context(), id, li, Confirmation{})
		require.NoError(t, err)
	}
	err := r.st.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO event_alerts (event_no, alert, live) VALUES ('360921-20250901-000002', 'a', 1)`)
		return err
	})
	require.ErrorContains(t, err, "UNIQUE")
}

func TestUndo(t *testing.T) {
	t.Run("a dismissal", func(t *testing.T) {
		r := newRoom(t)
		r.alert(t, "a")
		_, err := r.Dismiss(t.Context(), "a", li, Known, "")
		require.NoError(t, err)
		row, err := r.Undo(t.Context(), "a", li)
		require.NoError(t, err)
		require.Equal(t, store.StatusNew, row.Status)
		require.Nil(t, row.Triage)
		_, err = r.Undo(t.Context(), "a", li)
		require.ErrorIs(t, err, ErrNotTriaged)
	})
	t.Run("a confirmation", func(t *testing.T) {
		r := newRoom(t)
		r.alert(t, "a")
		first, err := r.Confirm(t.Context(), "a", li, Confirmation{})
		require.NoError(t, err)
		r.advance(10 * time.Minute)
		row, err := r.Undo(t.Context(), "a", li)
		require.NoError(t, err)
		require.Equal(t, store.StatusNew, row.Status)
		require.Empty(t, row.EventNo)
		ev, err := r.Get(t.Context(), first.No)
		require.NoError(t, err)
		require.Equal(t, Rejected, ev.State)
		require.Equal(t, "undone", ev.History[1].Note)
		require.Nil(t, ev.Snapshot, "the picture is the alert's again")

		second, err := r.Confirm(t.Context(), "a", wang, Confirmation{})
		require.NoError(t, err, "another person may now decide")
		require.NotEqual(t, first.No, second.No)
	})
	t.Run("refused", func(t *testing.T) {
		r := newRoom(t)
		r.alert(t, "a")
		_, err := r.Undo(t.Context(), "a", li)
		require.ErrorIs(t, err, ErrNotTriaged)
		_, err = r.Undo(t.Context(), "nobody", li)
		require.ErrorIs(t, err, ErrNotFound)
		ev, err := r.Confirm(t.Context(), "a", li, Confirmation{})
		require.NoError(t, err)
		_, err = r.Undo(t.Context(), "a", wang)
		require.ErrorIs(t, err, ErrNotYours)
		_, err = r.Undo(t.Context(), "a", look)
		require.ErrorIs(t, err, ErrForbidden)
		_, err = r.Transition(t.Context(), ev.No, Accepted, wang, "")
		require.NoError(t, err)
		_, err = r.Undo(t.Context(), "a", li)
		require.ErrorIs(t, err, ErrMovedOn)
		r.advance(10*time.Minute + time.Microsecond)
		_, err = r.Undo(t.Context(), "a", li)
		require.ErrorIs(t, err, ErrTooLate)
		row, err := r.st.Alert(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, store.StatusConfirmed, row.Status)
	})
}

func TestNumbers(t *testing.T) {
	r := newRoom(t)
	confirm := func(id string) string {
		r.alert(t, id)
		ev, err := r.Confirm(t.Context(), id, li, Confirmation{})
		require.NoError(t, err)
		return ev.No
	}
	require.Equal(t, "360921-20250901-000001", confirm("a"))
	require.Equal(t, "360921-20250901-000002", confirm("b"))
	r.advance(time.Hour) // half past midnight in China, afternoon in UTC
	require.Equal(t, "360921-20250902-000001", confirm("c"))
	require.NoError(t, r.st.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE events SET serial = 999999 WHERE no = '360921-20250902-000001'`)
		return err
	}))
	r.alert(t, "d")
	_, err := r.Confirm(t.Context(), "d", li, Confirmation{})
	require.ErrorContains(t, err, "999999 events on 20250902")
}

func TestList(t *testing.T) {
	r := newRoom(t)
	var numbers []string
	for i := range 5 {
		r.alert(t, fmt.Sprint("a", i))
		ev, err := r.Confirm(t.Context(), fmt.Sprint("a", i), li, Confirmation{})
		require.NoError(t, err)
		numbers = append([]string{ev.No}, numbers...)
	}
	_, err := r.Transition(t.Context(), numbers[0], Accepted, li, "")
	require.NoError(t, err)
	list := func(f Filter) ([]string, string) {
		items, next, err := r.List(t.Context(), f)
		require.NoError(t, err)
		var out []string
		for _, ev := range items {
			out = append(out, ev.No)
		}
		return out, next
	}
	all, next := list(Filter{})
	require.Equal(t, numbers, all)
	require.Empty(t, next)
	page, next := list(Filter{Limit: 2})
	require.Equal(t, numbers[:2], page)
	page, next = list(Filter{Limit: 2, Before: next})
	require.Equal(t, numbers[2:4], page)
	page, next = list(Filter{Limit: 2, Before: next})
	require.Equal(t, numbers[4:], page)
	require.Empty(t, next)
	accepted, _ := list(Filter{State: Accepted})
	require.Equal(t, numbers[:1], accepted)
	here, _ := list(Filter{Division: "3609"})
	require.Len(t, here, 5)
	elsewhere, _ := list(Filter{Division: "3602"})
	require.Empty(t, elsewhere)
	_, _, err = r.List(t.Context(), Filter{Before: "gone"})
	require.ErrorIs(t, err, ErrNotFound)
	_, err = r.Get(t.Context(), "gone")
	require.ErrorIs(t, err, ErrNotFound)
}

func TestHistoryCannotBeRewritten(t *testing.T) {
	r := newRoom(t)
	r.alert(t, "a")
	_, err := r.Confirm(t.Context(), "a", li, Confirmation{})
	require.NoError(t, err)
	for _, q := range []string{`UPDATE event_log SET user_name = 'x'`, `DELETE FROM event_log`} {
		err := r.st.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(t.Context(), q)
			return err
		})
		require.ErrorContains(t, err, "append-only", q)
	}
}

func TestSnapshotGoesWithThePicture(t *testing.T) {
	r := newRoom(t)
	r.alert(t, "a")
	ev, err := r.Confirm(t.Context(), "a", li, Confirmation{})
	require.NoError(t, err)
	_, err = r.st.Expire(t.Context(), ev.Snapshot.ExpiresAt)
	require.NoError(t, err)
	ev, err = r.Get(t.Context(), ev.No)
	require.NoError(t, err)
	require.Nil(t, ev.Snapshot)
}

func TestCategories(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Categories() {
		require.Regexp(t, regexp.MustCompile(`^\d{4}$`), c.Code)
		require.Equal(t, c.Group, c.Code[:2])
		require.NotEmpty(t, c.Name)
		require.NotEmpty(t, c.NameEN)
		require.False(t, seen[c.Code], c.Code)
		seen[c.Code] = true
		require.NotRegexp(t, `纠纷|信访|治安|人脸|车牌`, c.Name+c.GroupName)
	}
	require.Len(t, seen, 21)
}
