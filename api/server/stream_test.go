package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/api/store"
)

// got is one event as a client reads it; a comment has only that.
type got struct {
	id      int64
	event   string
	data    string
	comment string
}

// listener reads a stream in a goroutine and hands its events on.
type listener struct {
	t      *testing.T
	events chan got // closed at the end of the stream
	stop   context.CancelFunc
	res    *http.Response
}

// listen opens a stream and reads hello.
func (b *browser) listen(lastEventID string) (*listener, hello, int64) {
	b.w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req := b.request(http.MethodGet, "/api/v1/stream", nil).WithContext(ctx)
	if lastEventID != "" {
		req.Header.Set("Last-Event-ID", lastEventID)
	}
	res, err := b.c.Do(req)
	require.NoError(b.w.t, err)
	require.Equal(b.w.t, http.StatusOK, res.StatusCode)
	require.Equal(b.w.t, "text/event-stream; charset=utf-8", res.Header.Get("Content-Type"))
	require.Equal(b.w.t, "private, no-store", res.Header.Get("Cache-Control"))
	l := &listener{t: b.w.t, events: make(chan got, 10_000), stop: cancel, res: res}
	done := make(chan struct{})
	go func() { defer close(done); l.read() }()
	b.w.t.Cleanup(func() { cancel(); <-done })
	first := l.next()
	require.Equal(b.w.t, "hello", first.event)
	var h hello
	require.NoError(b.w.t, json.Unmarshal([]byte(first.data), &h))
	return l, h, first.id
}

func (l *listener) read() {
	defer close(l.events)
	defer l.res.Body.Close()
	s := bufio.NewScanner(l.res.Body)
	s.Buffer(nil, 1<<20)
	var e got
	for s.Scan() {
		field, value, _ := strings.Cut(s.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case s.Text() == "":
			l.events <- e
			e = got{}
		case field == "":
			e.comment = value
		case field == "id":
			e.id, _ = strconv.ParseInt(value, 10, 64)
		case field == "event":
			e.event = value
		case field == "data":
			e.data = value
		}
	}
}

// next waits for the next event; the zero one says that the stream has ended.
func (l *listener) next() got {
	l.t.Helper()
	select {
	case e := <-l.events:
		return e
	case <-time.After(waitFor):
		l.t.Fatal("no event came")
	}
	return got{}
}

func (l *listener) nextAlert() alertJSON {
	l.t.Helper()
	e := l.next()
	require.Equal(l.t, "alert", e.event, e)
	var r alertJSON
	require.NoError(l.t, json.Unmarshal([]byte(e.data), &r))
	return r
}

func (l *listener) requireEnded() {
	l.t.Helper()
	for {
		select {
		case _, open := <-l.events:
			if !open {
				return
			}
		case <-time.After(waitFor):
			l.t.Fatal("the stream goes on")
		}
	}
}

func TestStreamTellsWhatTheListsTell(t *testing.T) {
	w := newWorld(t)
	b := w.as(store.RoleDuty)
	l, h, _ := b.listen("")
	require.WithinDuration(t, time.Now(), h.Time, time.Minute)
	require.False(t, h.Resync)

	w.ingest(camera("cam-1"))
	e := l.next()
	require.Equal(t, "camera", e.event)
	var list struct{ Items []json.RawMessage }
	b.get("/api/v1/cameras").into(t, &list)
	require.JSONEq(t, string(list.Items[0]), e.data)

	a := alertOf(t, "a", "cam-1", api.Opened)
	w.ingest(a)
	e = l.next()
	require.Equal(t, "alert", e.event)
	b.get("/api/v1/alerts").into(t, &list)
	require.JSONEq(t, string(list.Items[0]), e.data)

	a.Phase = api.Closed
	w.ingest(a)
	require.Equal(t, api.Closed, l.nextAlert().Alert.Phase)

	require.Equal(t, http.StatusOK, b.post("/api/v1/alerts/"+a.ID+"/dismiss", map[string]string{"reason": "known"}).status)
	require.Equal(t, store.StatusDismissed, l.nextAlert().Status)
	require.EqualValues(t, 1, w.counter("sharpeyes_sse_clients"))
	w.requireLatencies(l, 1) // neither a later phase nor a decision is a new alert
}

// requireLatencies ends the world's last stream and counts the alerts that it
// measured. While it runs, a count may be a moment behind what was read.
func (w *world) requireLatencies(l *listener, want int) {
	w.t.Helper()
	l.stop()
	require.Eventually(w.t, func() bool { return w.counter("sharpeyes_sse_clients") == 0 }, waitFor, tick)
	require.EqualValues(w.t, want, w.counter("sharpeyes_alert_latency_seconds"))
}

func TestStreamTellsDoublesOnce(t *testing.T) {
	w := newWorld(t)
	l, _, _ := w.as(store.RoleViewer).listen("")
	a := alertOf(t, "a", "cam-1", api.Opened)
	w.ingest(a)
	w.seq--
	w.ingest(a) // delivered again
	last := alertOf(t, "last", "cam-1", api.Opened)
	w.ingest(last)
	require.Equal(t, a.ID, l.nextAlert().Alert.ID)
	require.Equal(t, last.ID, l.nextAlert().Alert.ID)
}

// TestStreamResumes cuts a stream again and again while alerts come in: put
// together, the pieces have every alert once.
func TestStreamResumes(t *testing.T) {
	const alerts = 200
	w := newWorld(t)
	b := w.as(store.RoleViewer)
	l, _, last := b.listen("")
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range alerts {
			w.ingest(alertOf(t, fmt.Sprint("alert", i), "cam-1", api.Opened))
		}
	})
	seen := make(map[string]int)
	cuts := 0
	for len(seen) < alerts {
		e := l.next()
		require.Greater(t, e.id, last, "in order and never twice")
		last = e.id
		var r alertJSON
		require.NoError(t, json.Unmarshal([]byte(e.data), &r))
		seen[r.Alert.ID]++
		if len(seen)%7 == 0 {
			cuts++
			l.stop()
			var h hello
			l, h, _ = b.listen(strconv.FormatInt(last, 10))
			require.False(t, h.Resync)
		}
	}
	wg.Wait()
	require.Greater(t, cuts, 20)
	for id, n := range seen {
		require.Equal(t, 1, n, id)
	}
}

func TestStreamResumesFromTooFar(t *testing.T) {
	w := newWorld(t)
	b := w.as(store.RoleViewer)
	for name, id := range map[string]string{"the future": "999999", "nonsense": "x", "negative": "-1"} {
		t.Run(name, func(t *testing.T) {
			l, h, at := b.listen(id)
			require.True(t, h.Resync)
			w.ingest(alertOf(t, "after "+name, "cam-1", api.Opened))
			require.Greater(t, l.next().id, at, "and goes on from now")
		})
	}
	t.Run("too much", func(t *testing.T) {
		require.NoError(t, w.store.Update(t.Context(), func(tx *store.Tx) error {
			for i := range maxResume + 1 {
				if err := tx.Changed(t.Context(), store.KindAlert, fmt.Sprint("x", i)); err != nil {
					return err
				}
			}
			return nil
		}))
		_, h, _ := b.listen("1")
		require.True(t, h.Resync)
	})
}

func TestManyClientsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.user("wang", store.RoleViewer)
	var listeners []*listener
	for range 4 {
		b := w.login("wang")
		for range 8 {
			l, _, _ := b.listen("")
			listeners = append(listeners, l)
		}
	}
	require.EqualValues(t, len(listeners), w.counter("sharpeyes_sse_clients"))
	const alerts = 30
	for i := range alerts {
		w.ingest(alertOf(t, fmt.Sprint("alert", i), "cam-1", api.Opened))
	}
	for _, l := range listeners {
		for i := range alerts {
			require.Equal(t, alertOf(t, fmt.Sprint("alert", i), "cam-1", api.Opened).ID, l.nextAlert().Alert.ID)
		}
	}
	require.Eventually(t, func() bool {
		return w.counter("sharpeyes_sse_events_total", "event", "alert") == float64(alerts*len(listeners))
	}, waitFor, tick)
}

func TestStreamsOfOneLoginAreBounded(t *testing.T) {
	w := newWorld(t)
	b := w.as(store.RoleViewer)
	for range maxPerSession {
		b.listen("")
	}
	require.Equal(t, codeTooManyStreams, b.get("/api/v1/stream").code(t))
	require.EqualValues(t, 1, w.counter("sharpeyes_sse_dropped_total", "reason", "limit"))
	w.login("user-viewer").listen("")
}

// TestSlowClient has one client that reads nothing and one that reads all. The
// slow one is ended and counted, the other misses nothing.
func TestSlowClient(t *testing.T) {
	w := newWorld(t)
	w.server.timeouts.streamWrite = time.Minute // only its queue ends it
	b := w.as(store.RoleViewer)
	slow, err := w.server.hub.join("somebody", "somebody") // a client whose handler never comes to its queue
	require.NoError(t, err)
	l, _, _ := b.listen("")
	batch := make([]any, clientQueue+1)
	for i := range batch {
		batch[i] = alertOf(t, fmt.Sprint("alert", i), "cam-1", api.Opened)
	}
	w.ingest(batch...)
	for range batch {
		l.nextAlert()
	}
	<-slow.gone
	require.EqualValues(t, 1, w.counter("sharpeyes_sse_dropped_total", "reason", "slow"))
	require.EqualValues(t, 1, w.counter("sharpeyes_sse_clients"))
}

func TestStreamEndsWithItsSession(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(w *world, b *browser)
	}{
		{"logout", func(_ *world, b *browser) { b.send(b.request(http.MethodDelete, "/api/v1/session", nil)) }},
		{"at another center", func(w *world, b *browser) {
			token := b.c.Jar.Cookies(b.request(http.MethodGet, "/", nil).URL)[0].Value
			require.NoError(w.t, w.store.DeleteSession(w.t.Context(), hashToken(token)))
		}},
		{"close", func(w *world, _ *browser) { require.NoError(w.t, w.server.Close()) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			w.server.timeouts.heartbeat = 10 * time.Millisecond
			b := w.as(store.RoleViewer)
			l, _, _ := b.listen("")
			require.Equal(t, "beat", l.next().comment)
			tc.end(w, b)
			l.requireEnded()
			require.Zero(t, w.counter("sharpeyes_sse_clients"))
		})
	}
}

func TestStreamEndsWhenTheSessionExpires(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.SessionFor = 2 * time.Second })
	l, _, _ := w.as(store.RoleViewer).listen("")
	l.requireEnded()
}

func TestPasswordChangeEndsOtherStreams(t *testing.T) {
	w := newWorld(t)
	b := w.as(store.RoleViewer)
	mine, _, _ := b.listen("")
	other, _, _ := w.login("user-viewer").listen("")
	require.Equal(t, http.StatusNoContent, b.post("/api/v1/password", map[string]string{"old": password, "new": "another passphrase"}).status)
	other.requireEnded()
	w.ingest(alertOf(t, "a", "cam-1", api.Opened))
	mine.nextAlert()
}
