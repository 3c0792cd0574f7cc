package server

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/api/audit"
	"github.com/sharpeyes/sharpeyes/api/store"
)

func TestAlertsAreListedAndPaged(t *testing.T) {
	w := newWorld(t)
	b := w.as(store.RoleViewer)
	var list listJSON[alertJSON]
	r := b.get("/api/v1/alerts")
	require.Contains(t, r.body, `"items":[]`, "an empty list is no null")
	w.ingest(camera("cam-1"))
	for i := range 5 {
		a := alertOf(t, fmt.Sprint("a", i), "cam-1", api.Opened)
		a.Start = time.Now().Add(time.Duration(i) * time.Minute)
		if i == 4 {
			a.Picture, a.Camera = nil, "cam-2"
		}
		w.ingest(a)
	}
	var seen []string
	next := ""
	for range 3 {
		b.get("/api/v1/alerts?limit=2&before="+next).into(t, &list)
		for _, i := range list.Items {
			seen = append(seen, i.Alert.ID)
		}
		next = list.Next
	}
	require.Empty(t, next)
	require.Len(t, seen, 5)

	for query, want := range map[string]int{
		"status=new": 5, "status=confirmed": 0, "camera=cam-2": 1, "camera=nobody": 0,
		"division=" + village: 4, "division=3609": 4, "division=44": 0, "camera=cam-1&status=new&division=36": 4,
	} {
		b.get("/api/v1/alerts?"+query).into(t, &list)
		require.Len(t, list.Items, want, query)
	}
	b.get("/api/v1/alerts").into(t, &list)
	newest, older := list.Items[0], list.Items[1]
	require.Empty(t, newest.PictureURL)
	require.Equal(t, api.CameraID("cam-2"), newest.Camera.ID, "the record has not come yet")
	require.Equal(t, "/api/v1/alerts/"+older.Alert.ID+"/picture", older.PictureURL)
	require.NotEmpty(t, older.Camera.DivisionName)
	var one alertJSON
	b.get("/api/v1/alerts/"+older.Alert.ID).into(t, &one)
	require.Equal(t, older, one)
	require.Equal(t, codeNotFound, b.get("/api/v1/alerts/"+"0123").code(t))
}

func TestBadQueries(t *testing.T) {
	w := newWorld(t)
	b := w.as(store.RoleAdmin)
	for _, path := range []string{
		"/alerts?limit=0", "/alerts?limit=501", "/alerts?limit=x", "/alerts?status=open", "/alerts?division=36x", "/alerts?division=3609211002010",
		"/alerts?camera=" + url.QueryEscape(string(make([]byte, 65))), "/events?state=nowhere", "/events?limit=-1", "/events?division=x",
		"/coverage?division=x", "/access-register?before=x", "/access-register?before=0", "/access-register?limit=0",
	} {
		require.Equal(t, codeBadRequest, b.get(prefix+path).code(t), path)
	}
	require.Equal(t, codeNotFound, b.get(prefix+"/alerts?before=0123").code(t), "a cursor that was never given")
}

// aPicture makes a world with one alert that has a picture.
func aPicture(t *testing.T) (*world, *browser, *api.Alert) {
	w := newWorld(t)
	b := w.as(store.RoleViewer)
	a := alertOf(t, "a", "cam-1", api.Opened)
	w.ingest(camera("cam-1"), a)
	return w, b, a
}

func TestAPictureIsRegisteredAndShown(t *testing.T) {
	w, b, a := aPicture(t)
	for want := 1; want <= 2; want++ {
		r := b.get("/api/v1/alerts/" + a.ID + "/picture")
		require.Equal(t, http.StatusOK, r.status)
		require.Equal(t, "image/jpeg", r.header.Get("Content-Type"))
		require.Equal(t, "private, no-store", r.header.Get("Cache-Control"))
		require.Equal(t, string(a.Picture.JPEG), r.body)
		rows, _, err := w.opt.Audit.List(t.Context(), 0, 10)
		require.NoError(t, err)
		require.Len(t, rows, want, "every look is registered")
	}
	require.EqualValues(t, 2, w.counter("sharpeyes_pictures_total", "result", "shown"))

	var list listJSON[audit.Row]
	w.as(store.RoleAdmin).get("/api/v1/access-register?limit=1").into(t, &list)
	require.Len(t, list.Items, 1)
	require.NotEmpty(t, list.Next)
	look := list.Items[0].Look
	require.Equal(t, "user-viewer", look.Login)
	require.Equal(t, "王五", look.Name)
	require.Equal(t, "赤岸镇综治中心", look.Unit)
	require.Equal(t, "127.0.0.1", look.ClientIP)
	require.Equal(t, a.ID, look.Alert)
	require.Equal(t, []string{"cam-1"}, look.Cameras)
	require.True(t, look.Blurred)
	require.WithinDuration(t, a.Picture.At, look.From, time.Millisecond)
	verdict, err := w.opt.Audit.Verify(t.Context())
	require.NoError(t, err)
	require.Nil(t, verdict.Broken)
}

// TestNoRegisterNoPicture breaks the register where it stands and looks for a
// single byte of the picture (Order 799 Art. 16: no row, no picture).
func TestNoRegisterNoPicture(t *testing.T) {
	w, b, a := aPicture(t)
	db, err := sql.Open("sqlite", w.database())
	require.NoError(t, err)
	defer db.Close()
	_, err = db.Exec(`CREATE TRIGGER full BEFORE INSERT ON access_register BEGIN SELECT RAISE(ABORT, 'disk full'); END`)
	require.NoError(t, err)

	r := b.get("/api/v1/alerts/" + a.ID + "/picture")
	require.Equal(t, http.StatusServiceUnavailable, r.status)
	require.Equal(t, codeNoRegister, r.code(t))
	require.NotContains(t, r.body, string(a.Picture.JPEG[:4]))
	require.NotContains(t, r.body, "disk full", "internals stay in the log")
	require.Contains(t, w.log.String(), "disk full")
	require.EqualValues(t, 1, w.counter("sharpeyes_pictures_total", "result", "refused"))
	require.Equal(t, http.StatusOK, b.get("/api/v1/alerts").status, "the rest goes on")

	_, err = db.Exec(`DROP TRIGGER full`)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, b.get("/api/v1/alerts/"+a.ID+"/picture").status)
}

func TestPicturesThatCannotBeShown(t *testing.T) {
	t.Run("unknown alert", func(t *testing.T) {
		_, b, _ := aPicture(t)
		require.Equal(t, codeNotFound, b.get("/api/v1/alerts/0123/picture").code(t))
	})
	t.Run("none", func(t *testing.T) {
		w, b, _ := aPicture(t)
		a := alertOf(t, "b", "cam-1", api.Opened)
		a.Picture = nil
		w.ingest(a)
		require.Equal(t, codeNoPicture, b.get("/api/v1/alerts/"+a.ID+"/picture").code(t))
		require.EqualValues(t, 1, w.counter("sharpeyes_pictures_total", "result", "missing"))
	})
	t.Run("expired", func(t *testing.T) {
		w, b, a := aPicture(t)
		_, err := w.store.Expire(t.Context(), time.Now().Add(1000*time.Hour))
		require.NoError(t, err)
		require.Equal(t, codeNotLoggedIn, b.get("/api/v1/alerts").code(t))
		b = w.login("user-viewer")
		require.Equal(t, codeNoPicture, b.get("/api/v1/alerts/"+a.ID+"/picture").code(t))
		var row alertJSON
		b.get("/api/v1/alerts/"+a.ID).into(t, &row)
		require.Empty(t, row.PictureURL)
	})
	for name, spoil := range map[string]func(string) error{
		"replaced file": func(p string) error { return os.WriteFile(p, []byte("another picture"), 0o600) },
		"lost file":     os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			w, b, a := aPicture(t)
			p, err := w.store.Picture(t.Context(), a.ID)
			require.NoError(t, err)
			require.NoError(t, spoil(filepath.Join(w.dir, "pictures", p.SHA256[:2], p.SHA256+".jpg")))
			r := b.get("/api/v1/alerts/" + a.ID + "/picture")
			require.Contains(t, []code{codeInternal, codeNoPicture}, r.code(t))
			require.NotContains(t, r.body, "another picture")
			rows, _, err := w.opt.Audit.List(t.Context(), 0, 10)
			require.NoError(t, err)
			require.Len(t, rows, 1, "the attempt is registered")
		})
	}
}
