//go:build cgo

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api/store"
	"github.com/sharpeyes/sharpeyes/api/store/pgtest"
)

// proc is a process that chaos started; its output goes to a file.
type proc struct {
	cmd   *exec.Cmd
	ended chan struct{}
	err   error
}

func startProc(log string, env []string, name string, args ...string) (*proc, error) {
	f, err := os.OpenFile(log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := newProc(f, env, name, args)
	p.cmd.Stdout = f
	return p, p.start()
}

func newProc(log *os.File, env []string, name string, args []string) *proc {
	p := &proc{cmd: exec.Command(name, args...), ended: make(chan struct{})}
	p.cmd.Env, p.cmd.Stderr = append(os.Environ(), env...), log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return p
}

func (p *proc) start() error {
	if err := onStarter(p.cmd.Start); err != nil {
		return err
	}
	go func() { p.err = p.cmd.Wait(); close(p.ended) }()
	return nil
}

// starter is a thread that lives as long as the test: the kernel sends a child
// its death signal when the thread that started it ends, not the process.
var starter = sync.OnceValue(func() chan func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

func onStarter(start func() error) error {
	done := make(chan error)
	starter() <- func() { done <- start() }
	return <-done
}

func startPiped(log string, env []string, name string, args ...string) (*proc, io.WriteCloser, io.Reader, error) {
	f, err := os.OpenFile(log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, nil, err
	}
	defer f.Close()
	p := newProc(f, env, name, args)
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, nil, nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, nil, nil, err
	}
	p.cmd.Stdout = write
	if err = errors.Join(p.start(), write.Close()); err != nil {
		return nil, nil, nil, err
	}
	return p, stdin, read, nil
}

func (p *proc) signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// end signals and waits until it is gone.
func (p *proc) end(s syscall.Signal) error {
	if err := p.signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	err := p.wait(20 * time.Second)
	if s == syscall.SIGKILL {
		return nil // it says "killed"
	}
	return err
}

func (p *proc) wait(limit time.Duration) error {
	select {
	case <-p.ended:
		return p.err
	case <-time.After(limit):
		return fmt.Errorf("%s does not end", p.cmd.Path)
	}
}

// proxy is the link between edges and Redis.
type proxy struct {
	l      net.Listener
	target string
	wg     sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	delay time.Duration // each way
	loss  float64       // share of chunks that come a retransmission late
	conns map[net.Conn]bool
}

func startProxy(target string) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{l: l, target: target, conns: map[net.Conn]bool{}}
	p.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(c) })
		}
	})
	return p, nil
}

func (p *proxy) close() {
	_ = p.l.Close()
	p.set(true, 0, 0)
	p.wg.Wait()
}

// set changes the link; a cut one drops what is open.
func (p *proxy) set(cut bool, delay time.Duration, loss float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.delay, p.loss = cut, delay, loss
	for c := range p.conns {
		if cut {
			_ = c.Close()
		}
	}
}

func (p *proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut {
		_ = c.Close()
		return false
	}
	p.conns[c] = true
	return true
}

func (p *proxy) serve(c net.Conn) {
	defer c.Close()
	if !p.keep(c) {
		return
	}
	up, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer up.Close()
	if !p.keep(up) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.pipe(up, c) })
	both.Go(func() { p.pipe(c, up) })
	both.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	delete(p.conns, up)
}

// pipe forwards chunks, each after the delay; the order stays.
func (p *proxy) pipe(to, from net.Conn) {
	type chunk struct {
		b   []byte
		due time.Time
	}
	queue := make(chan chunk, 1024)
	var sender sync.WaitGroup
	sender.Go(func() {
		for c := range queue {
			time.Sleep(time.Until(c.due)) // this is the link's latency, not a wait for something
			if _, err := to.Write(c.b); err != nil {
				_ = from.Close()
			}
		}
	})
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			break
		}
		p.mu.Lock()
		delay := p.delay
		if p.loss > 0 && rand.Float64() < p.loss {
			delay += max(200*time.Millisecond, 2*p.delay)
		}
		p.mu.Unlock()
		queue <- chunk{append([]byte(nil), buf[:n]...), time.Now().Add(delay)}
	}
	close(queue)
	sender.Wait()
	_ = to.Close()
}

// world is everything that chaos plays with: two edges under load and one real
// one with footage, a link, Redis, a center or two, a database.
type world struct {
	t        *testing.T
	dir      string
	database string            // sqlite, postgres
	rate     float64           // alerts a second of each edge under load
	listen   map[string]string // where centers and the real edge serve their metrics, by node

	redisAddr string
	redis     *proc
	client    *redis.Client
	link      *proxy
	pg        *pgtest.Server
	dsn       string
	centers   map[string]*proc
	loads     []*loader
	edge      *proc
	store     *store.Store
}

const chaosStream = "sharpeyes:{alerts}"

func newWorld(t *testing.T, database string, rate float64) *world {
	w := &world{t: t, dir: t.TempDir(), database: database, rate: rate, centers: map[string]*proc{}, listen: map[string]string{}}
	w.redisAddr = freePort(t)
	w.startRedis()
	w.client = redis.NewClient(&redis.Options{Addr: w.redisAddr})
	t.Cleanup(func() { _ = w.client.Close() })
	var err error
	w.link, err = startProxy(w.redisAddr)
	require.NoError(t, err)
	t.Cleanup(w.link.close)
	if database == "postgres" {
		w.pg, err = pgtest.Start(t.TempDir())
		require.NoError(t, err)
		w.dsn, err = w.pg.NewDatabase(t.Context())
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, w.pg.Stop()) })
	}
	w.startCenter("center-1")
	w.openStore()
	for _, node := range []string{"load-1", "load-2"} {
		w.loads = append(w.loads, w.startLoad(node))
	}
	w.startEdge()
	t.Cleanup(w.stop)
	return w
}

func (w *world) path(parts ...string) string {
	return filepath.Join(append([]string{w.dir}, parts...)...)
}

func (w *world) must(err error) {
	w.t.Helper()
	require.NoError(w.t, err)
}

func (w *world) startRedis() {
	dir := w.path("redis")
	w.must(os.MkdirAll(dir, 0o700))
	host, port, err := net.SplitHostPort(w.redisAddr)
	w.must(err)
	w.redis, err = startProc(w.path("redis.log"), nil, "redis-server", "--bind", host, "--port", port, "--dir", dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction", "--aof-load-truncated", "yes")
	w.must(err)
	probe := redis.NewClient(&redis.Options{Addr: w.redisAddr, MaxRetries: -1})
	defer probe.Close()
	require.Eventually(w.t, func() bool { return probe.Ping(w.t.Context()).Err() == nil }, 20*time.Second, 10*time.Millisecond)
}

func (w *world) centerDir() string { return w.path("center") }

func (w *world) startCenter(node string) {
	listen := freePort(w.t)
	w.listen[node] = listen
	env, db := []string{}, ""
	if w.dsn != "" {
		env, db = []string{"CHAOS_DSN=" + w.dsn}, "  postgres: { env: CHAOS_DSN }\n"
	}
	config := w.path(node + ".yaml")
	w.must(os.WriteFile(config, fmt.Appendf(nil, "node: %s\ndata_dir: %s\nredis: { addresses: [\"%s\"] }\ncenter:\n  listen: %s\n%s",
		node, w.centerDir(), w.redisAddr, listen, db), 0o600))
	log := w.path(node + ".log")
	p, err := startProc(log, env, built(w.t), "center", "-c", config)
	w.must(err)
	w.centers[node] = p
	answers := func() bool {
		resp, err := http.Get("http://" + listen + "/healthz")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
	if !waitUntil(30*time.Second, answers) {
		_ = p.end(syscall.SIGQUIT)  // its goroutines, into the log
		text, _ := os.ReadFile(log) // the failure below matters more
		w.t.Fatalf("%s does not answer (%v):\n%s", node, p.err, text[max(0, len(text)-20_000):])
	}
}

func waitUntil(limit time.Duration, done func() bool) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if done() {
			return true
		}
	}
	return false
}

// openStore looks into the database beside the centers.
func (w *world) openStore() {
	var err error
	w.store, err = store.Open(w.t.Context(), store.Options{
		Path: filepath.Join(w.centerDir(), "center.db"), DSN: w.dsn, PictureDir: filepath.Join(w.centerDir(), "pictures"),
	})
	w.must(err)
}

func (w *world) startLoad(node string) *loader {
	dir := w.path(node)
	w.must(os.MkdirAll(dir, 0o700))
	l, err := startLoad(loadSpec{Node: node, Redis: w.link.l.Addr().String(), Stream: chaosStream, Cameras: 8, Rate: w.rate, Picture: 8_000}, dir)
	w.must(err)
	return l
}

// startEdge runs the real program on a clip of the repository.
func (w *world) startEdge() {
	clip, err := filepath.Abs(filepath.Join("..", "..", "configs", "clips", "yard.h264"))
	w.must(err)
	w.listen["edge-real"] = freePort(w.t)
	config := w.path("edge.yaml")
	w.must(os.WriteFile(config, fmt.Appendf(nil, `node: edge-real
data_dir: %s
redis: { addresses: ["%s"] }
edge:
  listen: %s
  cameras:
    - id: yard
      name: 院子
      url: "file://%s"
      division: "360921100200"
      legal_basis: A9
      purpose: 演练
      rules: [{ id: any, kind: motion_in_schedule, close_after: 2s }]
`, w.path("edge-real"), w.link.l.Addr(), w.listen["edge-real"], clip), 0o600))
	w.edge, err = startProc(w.path("edge-real.log"), nil, built(w.t), "edge", "-c", config)
	w.must(err)
}

func (w *world) stop() {
	for _, l := range w.loads {
		_ = l.stop()
	}
	_ = w.edge.end(syscall.SIGTERM)
	_ = w.store.Close()
	for _, c := range w.centers {
		_ = c.signal(syscall.SIGCONT)
		_ = c.end(syscall.SIGTERM)
	}
	_ = w.redis.end(syscall.SIGTERM)
}

// count is what became of what was promised.
type count struct {
	promised, stored, lost, doubled, strange, open, coming, gaps, orphans int
}

// settle stops the load, waits until every outbox is empty and looks. The time is
// how long the way took to be empty.
func (w *world) settle(limit time.Duration) (count, time.Duration) {
	begun := time.Now()
	for _, l := range w.loads {
		_, err := l.ask("pause")
		w.must(err)
	}
	empty := func() bool {
		for _, l := range w.loads {
			n, err := l.depth()
			w.must(err)
			if n > 0 {
				return false
			}
		}
		return true
	}
	require.Eventually(w.t, empty, limit, 50*time.Millisecond, "the outboxes do not become empty")
	took := time.Since(begun)
	got := w.look()
	for _, l := range w.loads {
		l.tell("resume")
	}
	return got, took
}

func (w *world) look() count {
	var got count
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	begun, promised := map[string]bool{}, map[string]bool{}
	for _, l := range w.loads {
		b, p, err := readJournal(l.journal)
		w.must(err)
		for id := range b {
			begun[id] = true
		}
		for id := range p {
			promised[id] = true
		}
	}
	got.promised = len(promised)
	seen := map[string]bool{}
	for before := ""; ; {
		rows, next, err := w.store.Alerts(ctx, store.AlertFilter{}, before, 500)
		w.must(err)
		for _, r := range rows {
			if !strings.HasPrefix(r.Node, "load-") {
				continue
			}
			if seen[r.Alert.ID] {
				got.doubled++
				continue
			}
			seen[r.Alert.ID] = true
			if !begun[r.Alert.ID] {
				got.strange++
			}
			if promised[r.Alert.ID] {
				got.stored++
				if r.Alert.Phase != "closed" {
					got.open++
				}
				if r.Picture == store.PictureComing {
					got.coming++
				}
			}
		}
		if before = next; next == "" {
			break
		}
	}
	got.lost = got.promised - got.stored
	nodes, err := w.store.Nodes(ctx)
	w.must(err)
	for _, n := range nodes {
		if strings.HasPrefix(n.Name, "load-") { // the others are not paused
			got.gaps += int(n.Missing)
		}
	}
	w.must(filepath.WalkDir(filepath.Join(w.centerDir(), "pictures"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".jpg" {
			return err
		}
		b, err := os.ReadFile(path)
		if id := pictureOwner(b); err == nil && begun[id] && !seen[id] {
			got.orphans++
		}
		return err
	}))
	return got
}

// run lets the load go on for a while: chaos needs something to hit.
func (w *world) run(d time.Duration) { time.Sleep(d) }
