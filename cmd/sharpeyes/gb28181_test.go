package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/api/stream"
	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/detect/alert"
	"github.com/sharpeyes/sharpeyes/gb28181"
	"github.com/sharpeyes/sharpeyes/gb28181/simulate"
	"github.com/sharpeyes/sharpeyes/ingest"
)

const (
	testPlatform = "36112700002000000001"
	testRecorder = "36112700001180000001"
	testGate     = "36112700001320000001" // channel of a lawful camera
	testYard     = "36112700001320000002" // channel of a camera without a legal basis
)

// site is an edge with devices but without analysis: fleet, platform, outbox and
// the interface for commands, and a simulated recorder of three channels.
type site struct {
	t    *testing.T
	edge *edge
	sim  *simulate.Simulator
	dir  string
	http *httptest.Server
	ctx  context.Context

	mu     sync.Mutex
	events []simulate.Event
}

func newSite(t *testing.T, sim simulate.Options) *site {
	t.Helper()
	_, media, _ := strings.Cut(freePort(t), ":")
	cameras := []configs.Camera{
		{ID: "gate", Name: "gate", URL: "gb28181://" + testRecorder + "/" + testGate, LegalBasis: "A9"},
		{ID: "yard", Name: "yard", URL: "gb28181://" + testRecorder + "/" + testYard, LegalBasis: "unknown"},
	}
	for i, c := range cameras {
		cameras[i] = c.Effective(configs.Stream{})
	}
	cfg := &configs.Config{Node: "edge-1", DataDir: t.TempDir(), Edge: &configs.Edge{Cameras: cameras, GB28181: &configs.GB28181{
		Listen: "127.0.0.1:0", ID: testPlatform, Transport: configs.GB28181TCP, Unknown: configs.GB28181Wait,
		Media:   configs.GB28181Media{Listen: "127.0.0.1", Ports: media},
		Devices: []configs.GB28181Device{{ID: testRecorder, Password: configs.SecretValue("a secret")}},
	}}}
	log, registry := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	p := &process{cfg: cfg, log: log, registry: registry}
	s := &site{t: t, dir: cfg.DataDir}
	e := &edge{cfg: cfg, zone: time.UTC, log: log, posts: map[ingest.CameraID]*post{}, known: map[ingest.CameraID]bool{},
		metrics: detect.NewMetrics(registry), alerts: alert.NewMetrics(registry), shared: detect.NewShared(nil, configs.Detector{Workers: 1, MaxPerSecond: 1, MaxWait: configs.Duration(time.Second)}, registry)}
	var err error
	e.outbox, err = stream.OpenOutbox(filepath.Join(cfg.DataDir, "outbox"), stream.OutboxOptions{Node: cfg.Node, MaxBytes: 1 << 26, MaxAge: time.Hour, Log: log})
	require.NoError(t, err)
	e.devices, err = p.newPlatform(e)
	require.NoError(t, err)
	open := func(c configs.Camera) (ingest.Source, error) { return openSource(c, e.devices, nil, log) }
	e.fleet = ingest.NewFleet(ingest.FleetOptions{Open: open})
	e.mains = newMains(open, nil, prometheus.NewRegistry(), log, e.fleet.SetPicture)
	e.sites, e.news = alert.NewSiteWatch(3), map[ingest.CameraID]*news{}
	s.edge = e
	local := e.newLocal()
	s.http = httptest.NewServer(local)
	text, err := json.Marshal(localAccess{URL: s.http.URL, Token: local.token})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(localFile(s.dir), text, 0o600))

	ctx, cancel := context.WithCancel(context.Background())
	s.ctx = ctx
	var running sync.WaitGroup
	running.Go(func() { _ = e.devices.Run(ctx) })
	address, err := e.devices.Addr(ctx)
	require.NoError(t, err)
	e.apply(cfg)
	sim.Server, sim.ServerID, sim.Channels, sim.Password = address.String(), testPlatform, 3, "a secret"
	sim.OnEvent = func(v simulate.Event) {
		s.mu.Lock()
		s.events = append(s.events, v)
		s.mu.Unlock()
	}
	s.sim, err = simulate.New(sim)
	require.NoError(t, err)
	running.Go(func() { _ = s.sim.Run(ctx) })
	t.Cleanup(func() {
		e.fleet.Close()
		cancel()
		running.Wait()
		s.http.Close()
		require.NoError(t, e.outbox.Close())
	})
	return s
}

// outbox returns what lies in the outbox, as text.
func (s *site) outbox() string {
	var b bytes.Buffer
	_ = filepath.Walk(filepath.Join(s.dir, "outbox"), func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			text, _ := os.ReadFile(path)
			b.Write(text)
		}
		return nil
	})
	return b.String()
}

func (s *site) heard(kind simulate.EventKind, text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Kind == kind && strings.Contains(e.Text, text) {
			return true
		}
	}
	return false
}

func (s *site) eventually(what string, f func() bool) {
	s.t.Helper()
	require.Eventually(s.t, f, 20*time.Second, 20*time.Millisecond, what)
}

func (s *site) state(id ingest.CameraID) ingest.State {
	for _, st := range s.edge.fleet.States() {
		if st.Camera == id {
			return st
		}
	}
	return ingest.State{}
}

// run runs a command against the site.
func (s *site) run(args ...string) (out string, err error) {
	var b bytes.Buffer
	root := newRoot()
	root.SetArgs(append(append([]string{"gb28181"}, args...), "--data-dir", s.dir))
	root.SetOut(&b)
	root.SetErr(&b)
	err = root.ExecuteContext(s.t.Context())
	return b.String(), err
}

func TestGB28181RegisteredFactAndReload(t *testing.T) {
	s := newSite(t, simulate.Options{Clips: []string{filepath.Join("..", "..", "ingest", "testdata", "walk.h264")}})
	s.eventually("registered, and frames", func() bool {
		st := s.state("gate")
		return st.Registered.Value == ingest.Yes && st.Frames.Value == ingest.Yes
	})
	before := s.state("yard").Registered.Since
	next := *s.edge.cfg
	section := *next.Edge
	section.Cameras = append([]configs.Camera{}, section.Cameras...)
	section.Cameras[0].Name = "another name"
	next.Edge = &section
	s.edge.apply(&next)
	require.Equal(t, ingest.Yes, s.state("gate").Registered.Value, "a camera that was applied anew is told at once")
	require.Equal(t, before, s.state("yard").Registered.Since)
	require.Equal(t, uint64(1), s.sim.Stats().Registrations, "the device did not have to register again")
	s.eventually("frames again", func() bool { return s.state("gate").Frames.Value == ingest.Yes })
	for _, c := range s.edge.devices.camerasOf(testRecorder) {
		s.edge.devices.askRecording(t.Context(), testRecorder, c)
	}
	require.Equal(t, ingest.Yes, s.state("gate").Recording.Value, "as the device says")
}

func TestGB28181AlarmsBecomeAlerts(t *testing.T) {
	s := newSite(t, simulate.Options{})
	woken := make(chan detect.WakeCause, 1)
	s.edge.mu.Lock()
	s.edge.posts["gate"] = &post{wake: func(c detect.WakeCause) { woken <- c }}
	s.edge.mu.Unlock()
	s.eventually("registered", func() bool { return s.sim.Stats().Registered == 1 })
	raise := func(channel string, a simulate.Alarm) {
		require.NoError(t, s.sim.Alarm(t.Context(), testRecorder, channel, a))
	}
	raise(testGate, simulate.Alarm{Method: 5, Type: 6, Priority: 2, Description: "区域"})
	require.Equal(t, detect.WakeDevice, <-woken, "our rules look for themselves")
	s.eventually("an alert", func() bool { return strings.Contains(s.outbox(), `"rule":"gb28181-intrusion"`) })

	raise(testYard, simulate.Alarm{Method: 5, Type: 2})
	raise(testYard, simulate.Alarm{Method: 2, Type: 1})
	s.eventually("a fault needs no legal basis", func() bool { return strings.Contains(s.outbox(), `"reason":"video_loss"`) })
	raise("", simulate.Alarm{Method: 6, Type: 1})
	s.eventually("of the recorder itself", func() bool {
		return strings.Contains(s.outbox(), `"camera":"`+testRecorder+`","rule":"gb28181-disk_fault"`)
	})
	require.NotContains(t, s.outbox(), "gb28181-motion", "what is said of a place by a camera without a legal basis raises nothing")
	raise(testGate, simulate.Alarm{Method: 5, Type: 8, Description: "徘徊"})
	s.eventually("a plain device alarm", func() bool { return strings.Contains(s.outbox(), `"rule":"gb28181-device_alarm"`) })
	require.NotContains(t, s.outbox(), "徘徊", "nothing is said of how persons behave")
	require.Empty(t, woken)
}

func TestDeviceAlarmsOpenAndClose(t *testing.T) {
	var s deviceAlarms
	at := time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)
	a := gb28181.DeviceAlarm{Class: gb28181.AlarmEvent, Kind: gb28181.AlarmMotion, Priority: 3, At: at}
	first := s.raise("gate", a)
	require.Len(t, first, 1)
	require.Equal(t, alert.DeviceAlarm, first[0].Kind)
	a.At = at.Add(20 * time.Second)
	require.Empty(t, s.raise("gate", a), "the same goes on")
	require.Empty(t, s.tick(at.Add(45*time.Second)))
	closed := s.tick(at.Add(50 * time.Second))
	require.Len(t, closed, 1)
	require.Equal(t, first[0].ID, closed[0].ID)
	require.Equal(t, alert.Closed, closed[0].Phase)
	require.Equal(t, at.Add(20*time.Second), *closed[0].End)
	a.At = at.Add(time.Minute)
	require.NotEqual(t, first[0].ID, s.raise("gate", a)[0].ID, "the next is another one")
}

func TestGB28181Commands(t *testing.T) {
	s := newSite(t, simulate.Options{Clips: []string{filepath.Join("..", "..", "ingest", "testdata", "walk.h264")}})
	s.eventually("registered", func() bool { return s.sim.Stats().Registered == 1 })
	stranger, err := simulate.New(simulate.Options{Server: addressOf(t, s), ServerID: testPlatform, FirstID: "36112700001180000009", Password: "x"})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- stranger.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	s.eventually("the stranger waits", func() bool {
		out, err := s.run("devices")
		return err == nil && strings.Contains(out, "36112700001180000009") && strings.Contains(out, "password: {env: GB_000009}")
	})
	require.NotContains(t, s.outbox(), "a secret")
	report := s.edge.devices.report()
	require.Equal(t, 1, report.WaitingTotal)
	require.Equal(t, 1, report.Registered)

	out, err := s.run("catalog", testRecorder, "--refresh")
	require.NoError(t, err)
	require.Contains(t, out, "36112700001320000003  未配置")
	require.Contains(t, out, `url: "gb28181://`+testRecorder+`/36112700001320000003"`)

	_, err = s.run("control", testRecorder, testGate, "ptz", "left", "--unit", "综治中心", "--hold", "100ms")
	require.NoError(t, err)
	s.eventually("moved, and stopped by itself", func() bool {
		return s.heard(simulate.EventControl, "PTZCmd=A50F0102") && s.heard(simulate.EventControl, "PTZCmd=A50F0100000000B5")
	})
	require.Equal(t, 2, strings.Count(s.outbox(), `"command":"ptz left"`), "before and after")
	_, err = s.run("control", "36112700001180000009", "-", "reboot", "--unit", "综治中心")
	require.ErrorContains(t, err, "registered")
	require.Contains(t, s.outbox(), `"command":"reboot","result":"device 36112700001180000009`, "what failed is in the register too")
	_, err = s.run("info", testRecorder)
	require.NoError(t, err)
}

func addressOf(t *testing.T, s *site) string {
	a, err := s.edge.devices.Addr(t.Context())
	require.NoError(t, err)
	return a.String()
}

// Nothing is done when the register cannot be told.
func TestNoControlWithoutTheRegister(t *testing.T) {
	dir := t.TempDir()
	o, err := stream.OpenOutbox(dir, stream.OutboxOptions{Node: "edge-1", MaxBytes: 1 << 26, MaxAge: time.Hour, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	e := &edge{cfg: &configs.Config{Node: "edge-1"}, outbox: o, log: slog.New(slog.DiscardHandler)}
	done := 0
	op := api.Operation{Login: "wang", Unit: "综治中心", Reason: "patrol", Action: "control", Device: testRecorder, Command: "reboot"}
	require.NoError(t, e.operate(op, func() error { done++; return nil }))
	require.NoError(t, o.Close())
	require.Error(t, e.operate(op, func() error { done++; return nil }))
	require.ErrorContains(t, e.operate(api.Operation{}, func() error { done++; return nil }), "who")
	require.Equal(t, 1, done)
}

func TestControlWords(t *testing.T) {
	for _, c := range []struct {
		words string
		ok    bool
		check func(gb28181.ControlCmd) bool
	}{
		{"ptz left", true, func(c gb28181.ControlCmd) bool { return c.Move.Pan == -64 }},
		{"ptz up", true, func(c gb28181.ControlCmd) bool { return c.Move.Tilt == 64 }},
		{"ptz in", true, func(c gb28181.ControlCmd) bool { return c.Move.Zoom == 3 }},
		{"lens far", true, func(c gb28181.ControlCmd) bool { return c.Lens.Focus == -64 }},
		{"preset set 3 村口", true, func(c gb28181.ControlCmd) bool { return c.Preset == 3 && c.Name == "村口" }},
		{"preset call 0", false, nil},
		{"preset call 256", false, nil},
		{"preset call 3 x", false, nil},
		{"home on 2", true, func(c gb28181.ControlCmd) bool { return c.Home.Enabled == 1 && c.Home.PresetIndex == 2 }},
		{"home maybe", false, nil},
		{"guard", true, func(c gb28181.ControlCmd) bool { return c.Kind == gb28181.ControlGuard }},
		{"record stop", true, func(c gb28181.ControlCmd) bool { return c.Kind == gb28181.ControlRecordStop }},
		{"ptz", false, nil}, {"ptz sideways", false, nil}, {"format", false, nil}, {"reboot now", false, nil},
	} {
		t.Run(c.words, func(t *testing.T) {
			ask := controlRequest{Words: strings.Fields(c.words), Speed: 64}
			cmd, err := ask.command()
			require.Equal(t, c.ok, err == nil, "%v", err)
			if c.check != nil {
				require.True(t, c.check(cmd), "%+v", cmd)
			}
		})
	}
}

func TestLocalInterfaceIsForThisMachine(t *testing.T) {
	l := newLocal()
	l.mux.HandleFunc("GET "+localPrefix+"x", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "in") })
	for name, c := range map[string]struct {
		remote, token string
		status        int
	}{
		"right":           {"127.0.0.1:9", "Bearer " + l.token, http.StatusOK},
		"IPv6":            {"[::1]:9", "Bearer " + l.token, http.StatusOK},
		"mapped":          {"[::ffff:127.0.0.1]:9", "Bearer " + l.token, http.StatusOK},
		"no token":        {"127.0.0.1:9", "", http.StatusForbidden},
		"wrong token":     {"127.0.0.1:9", "Bearer " + strings.Repeat("0", 64), http.StatusForbidden},
		"another machine": {"192.0.2.1:9", "Bearer " + l.token, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, localPrefix+"x", nil)
			r.RemoteAddr = c.remote
			r.Header.Set("Authorization", c.token)
			w := httptest.NewRecorder()
			l.ServeHTTP(w, r)
			require.Equal(t, c.status, w.Code)
		})
	}
}

func TestFetchRecordKeepsWhatCame(t *testing.T) {
	var body bytes.Buffer
	part := func(kind byte, b string) {
		body.Write([]byte{kind, 0, 0, 0, byte(len(b))})
		body.WriteString(b)
	}
	part(partData, "pictures")
	part(partProgress, `{"format":"ps","bytes":8}`)
	cmd := &cobra.Command{}
	cmd.SetOut(io.Discard)
	cmd.SetErr(io.Discard)
	out := filepath.Join(t.TempDir(), "r")
	broken := bytes.NewReader(bytes.Clone(body.Bytes()))
	require.ErrorContains(t, fetchRecord(cmd, broken, out), "broke off")
	require.FileExists(t, out+".part")
	require.Error(t, fetchRecord(cmd, broken, out), "what an earlier one left is not overwritten")

	part(partEnd, `{"format":"ps","bytes":8,"complete":true}`)
	out += "2"
	require.NoError(t, fetchRecord(cmd, &body, out))
	text, err := os.ReadFile(out + ".ps")
	require.NoError(t, err)
	require.Equal(t, "pictures", string(text))

	part(partError, "the device hung up")
	require.ErrorContains(t, fetchRecord(cmd, &body, out+"3"), "the device hung up")
}

func TestNoEdgeRuns(t *testing.T) {
	var b bytes.Buffer
	root := newRoot()
	root.SetArgs([]string{"gb28181", "devices", "--data-dir", t.TempDir()})
	root.SetOut(&b)
	root.SetErr(&b)
	err := root.ExecuteContext(t.Context())
	require.ErrorContains(t, err, "--data-dir")
	require.False(t, errors.Is(err, context.Canceled))
}

// A device that waited is let in by a reload, and nobody else notices.
func TestGB28181ReloadLetsADeviceIn(t *testing.T) {
	s := newSite(t, simulate.Options{})
	s.eventually("registered", func() bool { return s.sim.Stats().Registered == 1 })
	const waits = "36112700001180000009"
	stranger, err := simulate.New(simulate.Options{Server: addressOf(t, s), ServerID: testPlatform, FirstID: waits, Password: "another"})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- stranger.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	s.eventually("it waits", func() bool { return s.edge.devices.report().WaitingTotal == 1 })
	devices := s.edge.cfg.Edge.GB28181.Devices
	require.ErrorContains(t, s.edge.devices.SetDevices([]configs.GB28181Device{{ID: waits, Quirks: []string{"no-such"}}}), "no-such")
	require.Equal(t, 1, s.edge.devices.report().WaitingTotal, "a bad list changes nothing")
	require.NoError(t, s.edge.devices.SetDevices(append(devices, configs.GB28181Device{ID: waits, Password: configs.SecretValue("another")})))
	require.Zero(t, s.edge.devices.report().WaitingTotal)
	s.eventually("let in", func() bool { return stranger.Stats().Registered == 1 })
	require.Equal(t, uint64(1), s.sim.Stats().Registrations)
}
