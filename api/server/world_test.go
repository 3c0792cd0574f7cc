package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/api/audit"
	"github.com/sharpeyes/sharpeyes/api/coverage"
	"github.com/sharpeyes/sharpeyes/api/grid"
	"github.com/sharpeyes/sharpeyes/api/store"
	"github.com/sharpeyes/sharpeyes/api/stream"
)

// world is a whole center with a real database, listening on loopback.
type world struct {
	t        *testing.T
	dir      string
	store    *store.Store
	server   *Server
	http     *httptest.Server
	registry *prometheus.Registry
	log      *lockedBuffer
	seq      uint64
	opt      Options
	ahead    atomic.Int64 // how far the center's clock has been moved
}

// now is the center's clock: the real one, as far ahead as the test wants.
func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

func (w *world) later(d time.Duration) { w.ahead.Add(int64(d)) }

// lockedBuffer is a log that a test may read.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWorld(t *testing.T, change ...func(*Options)) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), registry: prometheus.NewRegistry(), log: new(lockedBuffer)}
	log := slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	w.store, err = store.Open(t.Context(), store.Options{Path: w.database(), PictureDir: filepath.Join(w.dir, "pictures"), Log: log, Now: w.now})
	require.NoError(t, err)
	divisions, err := coverage.Builtin()
	require.NoError(t, err)
	w.opt = Options{
		Store: w.store, Events: grid.New(w.store, grid.Options{}),
		Coverage: coverage.New(w.store, divisions, coverage.Options{MinPoints: 5, OfflineAfter: time.Minute}), Divisions: divisions,
		Audit: audit.New(w.store), DeadLetters: noLetters(t), Web: builtPage(), Gatherer: w.registry, Registerer: w.registry, Log: log, Now: w.now,
	}
	for _, f := range change {
		f(&w.opt)
	}
	w.server, err = New(w.opt)
	require.NoError(t, err)
	w.server.hasher.params = cheap()
	w.server.hasher.dummy, err = w.server.hasher.Hash(t.Context(), "nobody")
	require.NoError(t, err)
	w.http = httptest.NewServer(w.server.Handler())
	t.Cleanup(func() {
		require.NoError(t, w.server.Close())
		w.http.Close()
		require.NoError(t, w.store.Close())
	})
	return w
}

// noLetters are the dead letters of a Redis that does not answer.
func noLetters(t *testing.T) DeadLetters {
	c := stream.NewClient(stream.ClientOptions{Addresses: []string{"unix://" + filepath.Join(t.TempDir(), "nobody")}})
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return stream.NewDeadLetters(c, "test:{alerts}")
}

func (w *world) database() string { return filepath.Join(w.dir, "center.db") }

const password = "a long passphrase"

// user makes a user with the test's password.
func (w *world) user(name string, role store.Role) {
	w.t.Helper()
	hash, err := w.server.hasher.Hash(context.Background(), password)
	require.NoError(w.t, err)
	require.NoError(w.t, w.store.CreateUser(context.Background(), store.User{
		Name: name, Display: "王五", Unit: "赤岸镇综治中心", Post: "视频研判岗", Role: role, PasswordHash: hash,
	}))
}

// browser is one person's browser: cookies, and the token once logged in.
type browser struct {
	w    *world
	c    *http.Client
	csrf string
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	require.NoError(w.t, err)
	c := &http.Client{Jar: jar, Transport: &http.Transport{}}
	w.t.Cleanup(c.CloseIdleConnections)
	return &browser{w: w, c: c}
}

// as makes a user of the role and logs in.
func (w *world) as(role store.Role) *browser {
	w.t.Helper()
	name := "user-" + string(role)
	w.user(name, role)
	return w.login(name)
}

func (w *world) login(name string) *browser {
	w.t.Helper()
	b := w.browser()
	r := b.post("/api/v1/session", map[string]string{"username": name, "password": password})
	require.Equal(w.t, http.StatusOK, r.status, r.body)
	var s sessionJSON
	r.into(w.t, &s)
	b.csrf = s.CSRF
	return b
}

// answered is an answer read to its end.
type answered struct {
	status int
	header http.Header
	body   string
}

func (a answered) into(t *testing.T, v any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(a.body), v), a.body)
}

func (a answered) code(t *testing.T) code {
	t.Helper()
	var e errorBody
	a.into(t, &e)
	require.NotEmpty(t, e.Message)
	require.NotEmpty(t, e.MessageEN)
	return e.Code
}

// send makes the request, with the token, and checks the answer against the
// description of the interface.
func (b *browser) send(req *http.Request) answered {
	b.w.t.Helper()
	if b.csrf != "" && req.Header.Get(csrfHeader) == "" {
		req.Header.Set(csrfHeader, b.csrf)
	}
	res, err := b.c.Do(req)
	require.NoError(b.w.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(b.w.t, err)
	a := answered{status: res.StatusCode, header: res.Header, body: string(body)}
	requireDescribed(b.w.t, req, a)
	return a
}

func (b *browser) request(method, path string, body any) *http.Request {
	b.w.t.Helper()
	var r io.Reader
	switch v := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(v)
	default:
		j, err := json.Marshal(v)
		require.NoError(b.w.t, err)
		r = bytes.NewReader(j)
	}
	req, err := http.NewRequestWithContext(b.w.t.Context(), method, b.w.http.URL+path, r)
	require.NoError(b.w.t, err)
	if r != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req
}

func (b *browser) get(path string) answered { return b.send(b.request(http.MethodGet, path, nil)) }

func (b *browser) post(path string, body any) answered {
	return b.send(b.request(http.MethodPost, path, body))
}

const village = "360921100201" // of the built-in table

func camera(id string) *api.CameraReport {
	now := time.Now()
	yes := api.Fact{Value: api.Yes, Since: now}
	no := api.Fact{Value: api.Unknown, Since: now, Reason: "not_offered"}
	return &api.CameraReport{
		Camera: api.Camera{ID: api.CameraID(id), Name: "村口", Division: village, Grid: village + "001", Point: "P1", Place: "村口水塘", LegalBasis: "A7.1", InUse: true},
		State:  api.State{Camera: api.CameraID(id), Registered: no, Transport: yes, Frames: yes, Picture: yes, Recording: no},
	}
}

// alertOf makes an alert with a picture.
func alertOf(t *testing.T, id, cam string, phase api.Phase) *api.Alert {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, 64, 36))
	for i := range img.Pix {
		img.Pix[i] = byte(i + len(id))
	}
	img.SetGray(1, 1, color.Gray{Y: byte(len(cam))})
	var b bytes.Buffer
	require.NoError(t, jpeg.Encode(&b, img, nil))
	sum := sha256.Sum256(b.Bytes())
	now := time.Now()
	hash := sha256.Sum256([]byte(id))
	return &api.Alert{
		ID: hex.EncodeToString(hash[:16]), Camera: api.CameraID(cam), Rule: "r1", RuleName: "水塘有人", Kind: "zone_entry", Zone: "pond", ZoneName: "水塘",
		Category: "0201", Level: 2, Phase: phase, Start: now.Add(-time.Second), Last: now, Received: now, Score: 0.8,
		Picture: &api.AlertPicture{SHA256: hex.EncodeToString(sum[:]), At: now, Width: 64, Height: 36, Bytes: b.Len(), Blurred: true, JPEG: b.Bytes()},
	}
}

// ingest hands envelopes in as the consumer does.
func (w *world) ingest(bodies ...any) {
	w.t.Helper()
	var batch []stream.Message
	for _, b := range bodies {
		w.seq++
		e := &api.Envelope{V: api.Version, Node: "edge-1", Seq: w.seq, Time: time.Now()}
		switch v := b.(type) {
		case *api.Alert:
			e.Alert = v
		case *api.CameraReport:
			e.Camera = v
		case *api.NodeReport:
			e.NodeUp = v
		case *api.Operation:
			e.Operation = v
		}
		batch = append(batch, stream.Message{ID: fmt.Sprintf("%d-0", w.seq), Envelope: e, Deliveries: 1})
	}
	require.NoError(w.t, w.server.Ingest(context.Background(), batch))
}

// counter reads one metric of the registry, summed over what the labels leave
// open.
func (w *world) counter(name string, labels ...string) float64 {
	w.t.Helper()
	families, err := w.registry.Gather()
	require.NoError(w.t, err)
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	metric:
		for _, m := range f.GetMetric() {
			for i := 0; i+1 < len(labels); i += 2 {
				found := false
				for _, l := range m.GetLabel() {
					found = found || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
				}
				if !found {
					continue metric
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

// decode reads the JSON body of an answer.
func decode[T any](t *testing.T, res *http.Response) T {
	t.Helper()
	var v T
	require.NoError(t, json.NewDecoder(res.Body).Decode(&v))
	return v
}
