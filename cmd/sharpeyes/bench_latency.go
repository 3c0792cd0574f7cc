package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sharpeyes/sharpeyes/ingest"
	"github.com/sharpeyes/sharpeyes/ingest/replay"
	"github.com/sharpeyes/sharpeyes/ingest/rtsp"
)

// latencyBench is how long alerts took from the receipt of their frame to a
// client of the event stream, in milliseconds.
type latencyBench struct {
	Alerts  int     `json:"alerts"`
	Cameras int     `json:"cameras"`
	P50     int64   `json:"p50_ms"`
	P95     int64   `json:"p95_ms"`
	P99     int64   `json:"p99_ms"`
	Max     int64   `json:"max_ms"`
	Busy    float64 `json:"busy"` // share of all cores that was not idle meanwhile, 0..1
}

const (
	latencyCameras = 2
	latencyGrid    = 6 // zones per side of the picture
	latencyLimit   = 8 * time.Minute
)

// child is a standalone program that bench started and watches.
type child struct {
	cmd      *exec.Cmd
	out      *bytes.Buffer
	url      string
	password string
}

// startChild runs `standalone` with the configuration and waits until it says
// where its page is.
func (b *benchRun) startChild(ctx context.Context, name, config string) (*child, error) {
	dir := filepath.Join(b.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "bench.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.CommandContext(ctx, self, "standalone", "--config", path), out: &bytes.Buffer{}}
	c.cmd.Cancel = func() error { return c.cmd.Process.Signal(syscall.SIGINT) }
	c.cmd.Dir, c.cmd.Stderr = dir, io.Discard // data_dir is relative to the folder
	pipe, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	said := regexp.MustCompile(`(?s)page\s+(http://\S+).*first-start password\s+(\S+)\n`)
	lines := bufio.NewReader(pipe)
	for {
		line, err := lines.ReadString('\n')
		c.out.WriteString(line)
		if m := said.FindStringSubmatch(c.out.String()); m != nil {
			c.url, c.password = m[1], m[2]
			return c, nil
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("standalone ended early: %s", c.out), c.stop())
		}
	}
}

// stop ends the child as Ctrl+C would.
func (c *child) stop() error {
	_ = c.cmd.Process.Signal(syscall.SIGINT) // it may have ended by itself
	return c.cmd.Wait()
}

// resident returns the child's resident memory in MiB, without its redis-server.
func (c *child) resident() (float64, error) { return residentOf(c.cmd.Process.Pid) }

// residentOf returns the resident memory of a process in MiB.
func residentOf(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	var kib float64
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kib); err == nil {
			return kib / 1024, nil
		}
	}
	return 0, errors.New("no VmRSS in /proc")
}

// serve publishes files as RTSP cameras until the returned function is called.
func serve(files map[string]string, fps float64) (*rtsp.Server, error) {
	srv := rtsp.NewServer(rtsp.ServerOptions{Address: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	for name, file := range files {
		err := srv.Publish(name, func() (ingest.Source, error) {
			return replay.New(file, replay.Options{Camera: ingest.CameraID(name), FPS: fps, Loop: true, Realtime: true})
		})
		if err != nil {
			return nil, err
		}
	}
	return srv, srv.Start()
}

// latency lets people walk through a grid of small zones and times the alerts.
func (b *benchRun) latency(ctx context.Context) (*latencyBench, error) {
	clips, err := b.clips(ctx)
	if err != nil {
		return nil, err
	}
	// The footage at its own speed: at 25 a second people would run.
	srv, err := serve(map[string]string{"clip": clips[2].file}, 10)
	if err != nil {
		return nil, err
	}
	defer srv.Close()
	c, err := b.startChild(ctx, "latency", latencyConfig(srv.URL("clip")))
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.stop() }() // what it measured is all that counts
	ctx, cancel := context.WithTimeout(ctx, latencyLimit)
	defer cancel()
	return b.timeAlerts(ctx, c)
}

// latencyConfig gives each camera a grid of zones with one rule.
func latencyConfig(url string) string {
	var s strings.Builder
	s.WriteString("node: bench\ndata_dir: data\nlog: { level: error }\ncenter: { listen: \"127.0.0.1:0\" }\nedge:\n  cameras:\n")
	for cam := range latencyCameras {
		fmt.Fprintf(&s, "    - id: bench-%d\n      name: bench\n      url: %s\n      division: \"360921100200\"\n      legal_basis: A9\n      purpose: bench\n      settings: { transport: tcp }\n      zones:\n", cam, url)
		var names []string
		for i := range latencyGrid * latencyGrid {
			x, y, w := float64(i%latencyGrid)/latencyGrid, float64(i/latencyGrid)/latencyGrid, 1.0/latencyGrid
			name := fmt.Sprintf("z%d", i)
			names = append(names, name)
			fmt.Fprintf(&s, "        - { id: %s, points: [[%.4f, %.4f], [%.4f, %.4f], [%.4f, %.4f], [%.4f, %.4f]] }\n", name, x, y, x+w, y, x+w, y+w, x, y+w)
		}
		fmt.Fprintf(&s, "      rules:\n        - { id: enter, kind: zone_entry, zones: [%s], classes: [person], close_after: 1s }\n", strings.Join(names, ", "))
	}
	return s.String()
}

// openStream logs in and opens the event stream.
func (c *child) openStream(ctx context.Context) (*http.Response, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Jar: jar}
	body, err := json.Marshal(map[string]string{"username": "admin", "password": c.password})
	if err != nil {
		return nil, err
	}
	login, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/api/v1/session", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	login.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(login)
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("login: %s", resp.Status)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/api/v1/stream", nil)
	if err != nil {
		return nil, err
	}
	return client.Do(req)
}

// timeAlerts reads the event stream until enough alerts were opened.
func (b *benchRun) timeAlerts(ctx context.Context, c *child) (*latencyBench, error) {
	resp, err := c.openStream(ctx)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	busy := busyMeter()
	var took []time.Duration
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data:")
		var r struct {
			Alert struct {
				Phase    string
				Received time.Time
			}
		}
		if !ok || json.Unmarshal([]byte(data), &r) != nil || r.Alert.Phase != "opened" {
			continue
		}
		if took = append(took, time.Since(r.Alert.Received)); len(took)%50 == 0 {
			b.say("%d of %d alerts timed", len(took), b.flags.alerts)
		}
		if len(took) == b.flags.alerts {
			return summarize(took, busy()), nil
		}
	}
	return nil, fmt.Errorf("only %d of %d alerts came in %s (%w)", len(took), b.flags.alerts, latencyLimit, errors.Join(lines.Err(), ctx.Err()))
}

func summarize(took []time.Duration, busy float64) *latencyBench {
	slices.Sort(took)
	at := func(q float64) int64 { return took[min(len(took)-1, int(q*float64(len(took))))].Milliseconds() }
	return &latencyBench{Alerts: len(took), Cameras: latencyCameras, P50: at(0.50), P95: at(0.95), P99: at(0.99), Max: at(1), Busy: busy}
}

// busyMeter starts to measure how busy all cores are; the returned function ends
// it and gives a share of 0..1. The load of other programs counts, as it counts
// for the alerts.
func busyMeter() func() float64 {
	idle0, start := idleSeconds(), time.Now()
	return func() float64 {
		all := time.Since(start).Seconds() * float64(runtime.NumCPU())
		return min(1, max(0, 1-(idleSeconds()-idle0)/all))
	}
}

// idleSeconds is the time that all cores together were idle since boot.
func idleSeconds() float64 {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	var name string
	var user, nice, system, idle, iowait float64
	if _, err := fmt.Sscan(string(text), &name, &user, &nice, &system, &idle, &iowait); err != nil {
		return 0
	}
	return (idle + iowait) / clockTicks
}

// clockTicks is USER_HZ, which Linux fixes at 100 for what /proc shows.
const clockTicks = 100

// memoryBench is resident memory in MiB.
type memoryBench struct {
	Stream   string  `json:"stream"`
	Cameras  int     `json:"cameras"`
	Base     float64 `json:"base_mib"`
	Idle     float64 `json:"idle_mib_per_camera"`
	Analysed float64 `json:"analysed_mib_per_camera"`
}

const (
	memoryCameras = 8
	memorySettle  = 45 * time.Second // past the 30 s in which a camera learns its scene
)

// memory compares the program without cameras, with cameras on a still scene,
// and with cameras on the footage.
func (b *benchRun) memory(ctx context.Context) (*memoryBench, error) {
	clips, err := b.clips(ctx)
	if err != nil {
		return nil, err
	}
	moving := clips[0]
	still := filepath.Join(b.dir, "still.h264")
	if err := b.stillClip(ctx, still); err != nil {
		return nil, err
	}
	srv, err := serve(map[string]string{"still": still, "moving": moving.file}, benchFPS)
	if err != nil {
		return nil, err
	}
	defer srv.Close()
	m := &memoryBench{Stream: moving.name, Cameras: memoryCameras}
	if m.Base, err = b.residentWith(ctx, "none", "", 0); err != nil {
		return nil, err
	}
	for _, what := range []struct {
		name string
		to   *float64
	}{{"still", &m.Idle}, {"moving", &m.Analysed}} {
		with, err := b.residentWith(ctx, what.name, srv.URL(what.name), memoryCameras)
		if err != nil {
			return nil, err
		}
		*what.to = (with - m.Base) / memoryCameras
	}
	return m, nil
}

// residentWith runs standalone with n cameras on url until its memory settled.
func (b *benchRun) residentWith(ctx context.Context, name, url string, n int) (float64, error) {
	var s strings.Builder
	s.WriteString("node: bench\ndata_dir: data\nlog: { level: error }\ncenter: { listen: \"127.0.0.1:0\" }\nedge:\n  cameras:\n")
	if n == 0 {
		s.Reset()
		s.WriteString("node: bench\ndata_dir: data\nlog: { level: error }\ncenter: { listen: \"127.0.0.1:0\" }\nedge: { cameras: [] }\n")
	}
	for i := range n {
		fmt.Fprintf(&s, "    - { id: bench-%d, name: bench, url: \"%s\", division: \"360921100200\", legal_basis: A9, purpose: bench, settings: { transport: tcp } }\n", i, url)
	}
	b.say("memory with %d cameras (%s), %s", n, name, memorySettle)
	c, err := b.startChild(ctx, "memory-"+name, s.String())
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.stop() }() // what it measured is all that counts
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(memorySettle):
	}
	return c.resident()
}

// stillClip makes ten seconds of one picture of the footage with sensor noise,
// at the size and rate of the first clip.
func (b *benchRun) stillClip(ctx context.Context, file string) error {
	if err := unix.Access(file, unix.R_OK); err == nil {
		return nil
	}
	b.say("making a clip of a still scene")
	c := benchCameras[0]
	args := []string{"-y", "-i", b.flags.footage, "-an", "-t", "10",
		"-vf", fmt.Sprintf("select=eq(n\\,400),crop=iw:iw*9/16,scale=%d:%d,loop=250:1:0,setpts=N/25/TB,noise=alls=3:allf=t", c.width, c.height)}
	_, err := ffmpegRun(ctx, append(args, c.encode(file)...)...)
	return err
}
