package stream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	socketName = "redis.sock"
	// maxSocketPath is what fits into sun_path (108 bytes with the final zero on
	// Linux, 104 on the BSDs).
	maxSocketPath = 103

	serverMemory    = "512mb"         // of entries; more wait in the outbox
	serverPatience  = 2 * time.Minute // to load its file and answer; a large one on a slow disk takes long
	serverStopLimit = 5 * time.Second // from SIGTERM to SIGKILL
)

// Server is a private redis-server: a child process on a Unix socket that only
// this user may open, without a TCP port, whose data lies in one folder. When
// the child dies it is started again. A command is on disk before it is
// answered: the child runs with appendfsync always, because with everysec even
// a kill -9 of Redis alone may take entries along that were already accepted.
type Server struct {
	dir      string
	binary   string
	socket   string
	shortDir string // folder made for a short socket path, removed by Close; "" when none
	log      *slog.Logger
	owner    *os.File // held by this process only
	held     *os.File // held by this process and the child: free when both are gone
	restarts atomic.Uint64
	pid      atomic.Int64
	stop     context.CancelFunc
	done     chan struct{}
}

// StartServer starts redis-server with its data in dir (made with mode 0700)
// and returns once it answers. It fails when another process uses dir, and with
// a remedy when redis-server is not installed. A child that an earlier process
// left behind in dir is stopped first. ctx bounds the start only. The caller
// closes the server.
func StartServer(ctx context.Context, dir string, log *slog.Logger) (*Server, error) {
	if log == nil {
		log = slog.Default()
	}
	s := &Server{log: log, done: make(chan struct{})}
	if err := s.start(ctx, dir); err != nil {
		return nil, errors.Join(fmt.Errorf("private redis-server in %s: %w", dir, err), s.release())
	}
	return s, nil
}

// Addr returns the address for ClientOptions.Addresses: "unix:///path".
func (s *Server) Addr() string { return "unix://" + s.socket }

// Restarts returns how often the child died and was started again.
func (s *Server) Restarts() uint64 { return s.restarts.Load() }

// Close ends the child, by force after 5 s, waits for it and gives the folder
// free. It may be called twice.
func (s *Server) Close() error {
	s.stop()
	<-s.done
	return s.release()
}

func (s *Server) start(ctx context.Context, dir string) (err error) {
	if s.binary, err = exec.LookPath("redis-server"); err != nil {
		return fmt.Errorf("redis-server is not installed: run apt-get install redis-server, or name a Redis in redis.addresses: %w", err)
	}
	if s.dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if err := privateDir(s.dir); err != nil {
		return err
	}
	if s.owner, err = lockFile(filepath.Join(s.dir, "owner.lock")); errors.Is(err, errLocked) {
		return fmt.Errorf("%w; stop the other sharpeyes or give this one its own data_dir", err)
	} else if err != nil {
		return err
	}
	s.socket = filepath.Join(s.dir, socketName)
	if len(s.socket) > maxSocketPath {
		if s.shortDir, err = os.MkdirTemp("", "sharpeyes-"); err != nil {
			return err
		}
		s.socket = filepath.Join(s.shortDir, socketName)
		if len(s.socket) > maxSocketPath {
			return fmt.Errorf("the path of the socket %s has %d bytes, at most %d are possible: choose a shorter data_dir or TMPDIR", s.socket, len(s.socket), maxSocketPath)
		}
	}
	if err := s.takeOver(ctx); err != nil {
		return err
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	ready := make(chan error, 1)
	go s.supervise(run, ready)
	select {
	case err = <-ready:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		stop()
		<-s.done
	}
	return err
}

// takeOver waits until no child of an earlier process runs in the folder. Two
// of them would ruin the data.
func (s *Server) takeOver(ctx context.Context) error {
	path := filepath.Join(s.dir, "child.lock")
	var err error
	if s.held, err = lockFile(path); err == nil || !errors.Is(err, errLocked) {
		return err
	}
	s.log.Warn("redis-server of an earlier process still runs; stopping it", "dir", s.dir)
	old := s.socket
	if b, err := os.ReadFile(filepath.Join(s.dir, "socket")); err == nil {
		old = string(b)
	}
	if err := shutdown(ctx, old); err != nil {
		s.log.Warn("redis-server of an earlier process does not answer", "err", err)
	}
	limit := time.NewTimer(2 * serverStopLimit)
	defer limit.Stop()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			return fmt.Errorf("a redis-server of an earlier process does not end: stop the one that holds %s", path)
		case <-poll.C:
		}
		if s.held, err = lockFile(path); err == nil || !errors.Is(err, errLocked) {
			return err
		}
	}
}

func shutdown(ctx context.Context, socket string) error {
	c := NewClient(ClientOptions{Addresses: []string{"unix://" + socket}})
	err := c.ShutdownNoSave(ctx).Err()
	return errors.Join(err, c.Close())
}

// release removes what the start made and frees the locks.
func (s *Server) release() error {
	var errs []error
	if s.shortDir != "" {
		errs = append(errs, os.RemoveAll(s.shortDir))
	}
	for _, f := range []*os.File{s.held, s.owner} {
		if f != nil {
			if err := f.Close(); !errors.Is(err, os.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// supervise keeps a child running until ctx is done. The first life reports to
// ready when it answers or failed to.
func (s *Server) supervise(ctx context.Context, ready chan<- error) {
	defer close(s.done)
	// A child's parent-death signal is sent when the thread that started it
	// ends, so this goroutine keeps its thread for the child's whole life.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	wait := backoff{min: 100 * time.Millisecond, max: 10 * time.Second}
	for first := true; ; first = false {
		answered, err := s.live(ctx, func() {
			if first {
				ready <- nil
			}
		})
		if ctx.Err() != nil {
			return
		}
		if first && !answered {
			ready <- err
			return
		}
		if answered {
			wait.reset()
		}
		s.log.Error("redis-server died; starting it again", "err", err)
		if wait.wait(ctx) != nil {
			return
		}
		s.restarts.Add(1)
	}
}

// live runs one child from start to end. It calls up when the child answers.
func (s *Server) live(ctx context.Context, up func()) (answered bool, err error) {
	out, in, err := os.Pipe()
	if err != nil {
		return false, err
	}
	cmd := exec.Command(s.binary, s.args()...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LANG=C"}
	cmd.Stdout, cmd.Stderr = in, in
	cmd.ExtraFiles = []*os.File{s.held}
	cmd.SysProcAttr = childAttributes()
	err = errors.Join(os.WriteFile(filepath.Join(s.dir, "socket"), []byte(s.socket), 0o600), cmd.Start())
	err = errors.Join(err, in.Close())
	if err != nil {
		return false, errors.Join(err, out.Close())
	}
	s.pid.Store(int64(cmd.Process.Pid))

	last := make(chan string, 1)
	go func() { last <- s.copyLog(out) }()
	ended := make(chan struct{})
	watched := make(chan bool, 1)
	go func() { watched <- s.watch(ctx, cmd.Process, ended, up) }()
	err = cmd.Wait()
	close(ended)
	answered = <-watched
	if line := <-last; line != "" {
		err = errors.Join(err, errors.New(line))
	}
	if err == nil {
		err = errors.New("it ended by itself")
	}
	return answered, err
}

func (s *Server) args() []string {
	return []string{
		"--port", "0", "--unixsocket", s.socket, "--unixsocketperm", "700",
		"--dir", ".", "--appendonly", "yes", "--appendfsync", "always", "--save", "",
		"--maxmemory", serverMemory, "--maxmemory-policy", "noeviction",
		"--daemonize", "no", "--supervised", "no", "--logfile", "", "--pidfile", "",
	}
}

// watch waits until the child answers and calls up, then ends it when ctx is
// done. It returns when the child has ended, and whether it had answered.
func (s *Server) watch(ctx context.Context, p *os.Process, ended <-chan struct{}, up func()) bool {
	answered := s.await(ctx, ended)
	if answered {
		up()
		select {
		case <-ended:
			return true
		case <-ctx.Done():
		}
	}
	_ = p.Signal(syscall.SIGTERM) // it may have ended just now
	force := time.NewTimer(serverStopLimit)
	defer force.Stop()
	select {
	case <-ended:
	case <-force.C:
		s.log.Error("redis-server does not stop; killing it")
		_ = p.Kill()
		<-ended
	}
	return answered
}

// await reports whether the child answers before it ends, ctx is done or our
// patience is.
func (s *Server) await(ctx context.Context, ended <-chan struct{}) bool {
	c := redis.NewClient(&redis.Options{Network: "unix", Addr: s.socket, MaxRetries: -1, DialerRetries: 1, PoolSize: 1})
	defer func() { _ = c.Close() }()
	limit := time.NewTimer(serverPatience)
	defer limit.Stop()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		select {
		case <-ended:
			return false
		case <-ctx.Done():
			return false
		case <-limit.C:
			s.log.Error("redis-server does not answer", "patience", serverPatience)
			return false
		case <-poll.C:
			if c.Ping(ctx).Err() == nil {
				return true
			}
		}
	}
}

// copyLog hands the child's lines to the log until its output ends, and returns
// the last one that was important.
func (s *Server) copyLog(out io.ReadCloser) (last string) {
	defer func() { _ = out.Close() }()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		text, important := parseServerLine(lines.Text())
		switch {
		case text == "":
		case important:
			last = text
			s.log.Info("redis-server", "line", text)
		default:
			s.log.Debug("redis-server", "line", text)
		}
	}
	_, _ = io.Copy(io.Discard, out) // after a line too long for the scanner
	return last
}

// parseServerLine reads "pid:role day month year time level message". Redis
// marks with # what it wants seen, of which much is no trouble, and writes
// errors in its configuration without any of this.
func parseServerLine(line string) (text string, important bool) {
	fields := strings.SplitN(line, " ", 7)
	if len(fields) == 7 && len(fields[5]) == 1 && strings.Contains(".-*#", fields[5]) {
		return strings.TrimSpace(fields[6]), fields[5] == "#"
	}
	return strings.TrimSpace(line), strings.Contains(line, "rror")
}
