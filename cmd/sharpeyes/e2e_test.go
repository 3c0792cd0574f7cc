package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/api/stream"
)

// gateway is the built binary, running as its user would run it, and a browser's
// view of it: a logged-in HTTP client and the event stream.
type gateway struct {
	t        *testing.T
	url      string
	password string
	client   *http.Client
	csrf     string
	config   string // path of its configuration file

	mu   sync.Mutex
	rows []row // alert rows from the event stream, in order of arrival
	log  *syncBuffer
	told string // what the script in the browser said
}

// row is what the page receives of one alert.
type row struct {
	Alert struct {
		ID       string    `json:"id"`
		Camera   string    `json:"camera"`
		Rule     string    `json:"rule"`
		Zone     string    `json:"zone"`
		Phase    string    `json:"phase"`
		Start    time.Time `json:"start"`
		Last     time.Time `json:"last"`
		Received time.Time `json:"received"`
		Picture  *struct {
			SHA256  string `json:"sha256"`
			Blurred bool   `json:"blurred"`
		} `json:"picture"`
	} `json:"alert"`
	Status     string `json:"status"`
	EventNo    string `json:"event_no"`
	PictureURL string `json:"picture_url"`

	arrived time.Time
}

// syncBuffer is a bytes.Buffer that a process may write while a test reads.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// e2e skips a test that needs the built binary unless make e2e runs it.
func e2e(t *testing.T) {
	t.Helper()
	if os.Getenv("SHARPEYES_E2E") == "" {
		t.Skip("needs the built binary: run make e2e")
	}
}

func built(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "bin", "sharpeyes"))
	require.NoError(t, err)
	require.FileExists(t, path, "run make build")
	return path
}

// freePort returns a loopback address that nobody listens on now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// startGateway writes config (with %[1]s for the address of the clips), starts
// standalone with it and logs in with the first-start password.
func startGateway(t *testing.T, config string) *gateway {
	t.Helper()
	dir := t.TempDir()
	clips := freePort(t)
	g := &gateway{t: t, config: filepath.Join(dir, "standalone.yaml"), log: &syncBuffer{}}
	g.writeConfig(fmt.Sprintf(config, clips))
	folder, err := filepath.Abs(filepath.Join("..", "..", "configs", "clips"))
	require.NoError(t, err)
	cmd := exec.Command(built(t), "standalone", "--config", g.config, "--clips", folder, "--clips-listen", clips)
	cmd.Dir = dir // data_dir is relative to it
	cmd.Stdout, cmd.Stderr = g.log, g.log
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { g.stop(cmd, ended) })

	said := regexp.MustCompile(`(?s)page\s+(http://\S+).*first-start password\s+(\S+)`)
	require.Eventually(t, func() bool {
		m := said.FindStringSubmatch(g.log.String())
		if m == nil {
			return false
		}
		g.url, g.password = m[1], m[2]
		return true
	}, 30*time.Second, 50*time.Millisecond, "the program did not say where its page is")
	g.login()
	return g
}

func (g *gateway) writeConfig(text string) {
	require.NoError(g.t, os.WriteFile(g.config, []byte(text), 0o600))
}

// stop ends the program as Ctrl+C would and holds it to five seconds.
func (g *gateway) stop(cmd *exec.Cmd, ended chan error) {
	_ = cmd.Process.Signal(syscall.SIGINT)
	select {
	case err := <-ended:
		if err != nil {
			g.t.Errorf("the program ended with %v", err)
		}
	case <-time.After(8 * time.Second):
		_ = cmd.Process.Signal(syscall.SIGQUIT)
		g.t.Errorf("the program did not stop in time")
		<-ended
	}
	if g.t.Failed() {
		g.t.Logf("the program said:\n%s\nthe browser said:\n%s", g.log, g.told)
	}
}

func (g *gateway) login() {
	jar, err := cookiejar.New(nil)
	require.NoError(g.t, err)
	g.client = &http.Client{Jar: jar}
	var session struct {
		CSRF string `json:"csrf"`
	}
	g.call("POST", "/api/v1/session", map[string]string{"username": "admin", "password": g.password}, http.StatusOK, &session)
	g.csrf = session.CSRF
}

// call sends one request as the page would and decodes the answer into out.
func (g *gateway) call(method, path string, in any, status int, out any) {
	g.t.Helper()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		require.NoError(g.t, err)
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(g.t.Context(), method, g.url+path, body)
	require.NoError(g.t, err)
	req.Header.Set("X-CSRF-Token", g.csrf)
	req.Header.Set("Content-Type", "application/json")
	resp, err := g.client.Do(req)
	require.NoError(g.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(g.t, err)
	require.Equal(g.t, status, resp.StatusCode, "%s %s: %s", method, path, b)
	switch out := out.(type) {
	case nil:
	case *[]byte:
		*out = b
	default:
		require.NoError(g.t, json.Unmarshal(b, out), "%s %s: %s", method, path, b)
	}
}

// follow reads the event stream into g.rows until the test ends.
func (g *gateway) follow() {
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url+"/api/v1/stream", nil)
	require.NoError(g.t, err)
	resp, err := g.client.Do(req)
	require.NoError(g.t, err)
	require.Equal(g.t, http.StatusOK, resp.StatusCode)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer resp.Body.Close()
		event := ""
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			line := lines.Text()
			if e, ok := strings.CutPrefix(line, "event:"); ok {
				event = strings.TrimSpace(e)
			}
			data, ok := strings.CutPrefix(line, "data:")
			if !ok || event != "alert" {
				continue
			}
			r := row{arrived: time.Now()}
			if json.Unmarshal([]byte(data), &r) == nil {
				g.mu.Lock()
				g.rows = append(g.rows, r)
				g.mu.Unlock()
			}
		}
	}()
	g.t.Cleanup(func() { cancel(); <-done })
}

// alerts returns the rows that arrived and match.
func (g *gateway) alerts(match func(row) bool) []row {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []row
	for _, r := range g.rows {
		if match(r) {
			out = append(out, r)
		}
	}
	return out
}

// TestE2EBrowser is the video room's first minute in headless Chromium. It
// leaves its screenshots in SHARPEYES_SHOTS when that is set.
func TestE2EBrowser(t *testing.T) {
	e2e(t)
	g := startGateway(t, demoConfig(t))
	heard := make(chan api.CameraID, 10)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = stream.ListenWakes(ctx, g.redis(), defaultStream, slog.New(slog.DiscardHandler), func(id api.CameraID) { heard <- id })
	})
	g.browse("wall.mjs")
	cancel()
	wg.Wait()
	close(heard)
	require.Equal(t, api.CameraID("demo-lawn"), <-heard, "edges were told that somebody looks")
	require.Empty(t, heard)
}

// redis returns a client of the program's private Redis.
func (g *gateway) redis() redis.UniversalClient {
	socket, err := os.ReadFile(filepath.Join(filepath.Dir(g.config), "data", "redis", "socket"))
	require.NoError(g.t, err)
	client := stream.NewClient(stream.ClientOptions{Addresses: []string{"unix://" + string(socket)}})
	g.t.Cleanup(func() { require.NoError(g.t, client.Close()) })
	return client
}

// browse plays a script of the page's folder e2e in headless Chromium.
func (g *gateway) browse(script string) {
	g.t.Helper()
	args := []string{filepath.Join("..", "..", "api", "web", "ui", "e2e", script), g.url, g.password}
	if dir := os.Getenv("SHARPEYES_SHOTS"); dir != "" {
		args = append(args, dir)
	}
	ctx, cancel := context.WithTimeout(g.t.Context(), 3*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "node", args...).CombinedOutput()
	g.told = string(out)
	g.t.Log(g.told)
	require.NoError(g.t, err)
}

// demoConfig is configs/demo.yaml with the addresses of this test.
func demoConfig(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "configs", "demo.yaml"))
	require.NoError(t, err)
	_, media, err := net.SplitHostPort(freePort(t))
	require.NoError(t, err)
	return strings.NewReplacer("127.0.0.1:8554", "%[1]s", "127.0.0.1:9600", "127.0.0.1:0", "127.0.0.1:5060", "127.0.0.1:0",
		"30000-30009", `"`+media+`"`, "\nedge:\n", "\nedge:\n  listen: 127.0.0.1:0\n").Replace(string(b))
}

// TestE2EReload: a bad file changes nothing and raises the metric; a good one
// touches only the camera that changed.
func TestE2EReload(t *testing.T) {
	e2e(t)
	g := startGateway(t, demoConfig(t))
	running, err := os.ReadFile(g.config)
	require.NoError(t, err)
	frames := func(camera string) float64 {
		return g.metric(`sharpeyes_camera_access_units_total{camera="` + camera + `"}`)
	}
	require.Eventually(t, func() bool { return frames("demo-lawn") > 20 && frames("demo-yard") > 20 }, 20*time.Second, 100*time.Millisecond)

	g.writeConfig(string(running) + "\nunknown_key: 1\n")
	require.Eventually(t, func() bool { return g.metric("sharpeyes_config_last_reload_successful") == 0 }, 10*time.Second, 50*time.Millisecond)
	require.Contains(t, g.log.String(), "unknown_key")
	before := frames("demo-lawn")
	require.Eventually(t, func() bool { return frames("demo-lawn") > before }, 5*time.Second, 50*time.Millisecond, "the bad file stopped a camera")

	g.writeConfig(strings.Replace(string(running), "name: 村口路", "name: 村口大路", 1))
	require.Eventually(t, func() bool { return g.metric("sharpeyes_config_last_reload_successful") == 1 }, 10*time.Second, 50*time.Millisecond)
	var cameras struct {
		Items []struct {
			Camera struct{ ID, Name string }
			State  struct{ Frames struct{ Value string } }
		}
	}
	require.Eventually(t, func() bool {
		g.call("GET", "/api/v1/cameras", nil, http.StatusOK, &cameras)
		for _, c := range cameras.Items {
			if c.Camera.ID == "demo-road" {
				return c.Camera.Name == "村口大路" && c.State.Frames.Value == "yes"
			}
		}
		return false
	}, 20*time.Second, 200*time.Millisecond, "the changed camera did not come back under its new name")
	require.Equal(t, 1.0, g.metric(`sharpeyes_config_reloads_total{result="ok"}`))
	for _, id := range []string{"demo-lawn", "demo-yard"} {
		require.Zero(t, g.metric(`sharpeyes_camera_reconnects_total{camera="`+id+`"`), "%s was touched", id)
	}
}

// metric returns the sum of the samples whose line begins with prefix.
func (g *gateway) metric(prefix string) float64 {
	g.t.Helper()
	var page []byte
	g.call("GET", "/metrics", nil, http.StatusOK, &page)
	sum := 0.0
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, prefix) {
			continue
		}
		var v float64
		if _, err := fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &v); err == nil {
			sum += v
		}
	}
	return sum
}
