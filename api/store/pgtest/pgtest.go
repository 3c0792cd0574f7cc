// Package pgtest runs a private PostgreSQL server, from the packages of the
// system, for tests and benchmarks: on a unix socket in a folder of its own, no
// TCP port, gone when it is stopped.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// startWithin bounds the wait for a server that starts or recovers.
const startWithin = 30 * time.Second

// Server is a running server. Its methods are safe for concurrent use but for
// Stop, Kill and Start, which follow one another.
type Server struct {
	dir    string // holds data and socket
	bin    string
	cred   *syscall.Credential // whom the server runs as; nil for ourselves
	extra  []string
	cmd    *exec.Cmd
	ended  chan error
	output bytes.Buffer
	serial atomic.Int64
}

// Start makes a new database cluster below dir, which must exist and be empty,
// and starts a server on it with the additional settings ("name=value"). As root
// it runs as the user postgres, whom the package makes. The caller stops it.
func Start(dir string, settings ...string) (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, bin: bin, extra: settings}
	if os.Getuid() == 0 {
		if s.cred, err = owner(); err != nil {
			return nil, err
		}
		if err := os.Chown(dir, int(s.cred.Uid), int(s.cred.Gid)); err != nil {
			return nil, fmt.Errorf("postgres: %w", err)
		}
		// The test's own folders are closed to other users.
		for up := filepath.Dir(dir); up != "/" && up != "."; up = filepath.Dir(up) {
			info, err := os.Stat(up)
			if err != nil {
				return nil, fmt.Errorf("postgres: %w", err)
			}
			if info.Mode().Perm()&0o001 == 0 {
				if err := os.Chmod(up, info.Mode().Perm()|0o001); err != nil {
					return nil, fmt.Errorf("postgres: %w", err)
				}
			}
		}
	}
	init := s.command("initdb", "--pgdata", s.data(), "--username", "sharpeyes", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	if out, err := init.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("postgres: initdb: %w: %s", err, out)
	}
	return s, s.Start()
}

// binaries finds the newest server of the system.
func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return "", errors.Join(errors.New("postgres: no server found: install Debian's package postgresql"), err)
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // not a number sorts first
		return n
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), nil
}

func owner() (*syscall.Credential, error) {
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("postgres: the server refuses to run as root: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("postgres: uid: %w", err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("postgres: gid: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred, Setpgid: true, Pdeathsig: syscall.SIGINT}
	return cmd
}

// Start starts the server again after Stop or Kill and waits until it answers.
func (s *Server) Start() error {
	args := []string{"-D", s.data(), "-k", s.dir, "-c", "listen_addresses=", "-c", "shared_buffers=16MB", "-c", "max_connections=300"}
	for _, e := range s.extra {
		args = append(args, "-c", e)
	}
	s.output.Reset()
	s.cmd = s.command("postgres", args...)
	s.cmd.Stdout, s.cmd.Stderr = &s.output, &s.output
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	ended := make(chan error, 1)
	s.ended = ended
	go func() { ended <- s.cmd.Wait() }()
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.DSN("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case end := <-ended:
			return fmt.Errorf("postgres: ended early: %w: %s", end, s.output.Bytes())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("postgres: does not answer: %w", err), s.Kill())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// DSN returns the address of a database of the server.
func (s *Server) DSN(database string) string {
	q := url.Values{"host": {s.dir}, "user": {"sharpeyes"}, "sslmode": {"disable"}}
	return (&url.URL{Scheme: "postgres", Path: "/" + database, RawQuery: q.Encode()}).String()
}

// NewDatabase makes an empty database and returns its address.
func (s *Server) NewDatabase(ctx context.Context) (string, error) {
	conn, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		return "", fmt.Errorf("postgres: %w", err)
	}
	name := fmt.Sprintf("db%d", s.serial.Add(1))
	_, err = conn.Exec(ctx, "CREATE DATABASE "+name+" STRATEGY file_copy")
	if err = errors.Join(err, conn.Close(ctx)); err != nil {
		return "", fmt.Errorf("postgres: %w", err)
	}
	return s.DSN(name), nil
}

// Stop ends all sessions and shuts the server down in order.
func (s *Server) Stop() error { return s.end(syscall.SIGINT) }

// Kill ends the server and its children as a loss of power would, apart from
// what the kernel still holds: nothing is written any more.
func (s *Server) Kill() error { return s.end(syscall.SIGKILL) }

func (s *Server) end(sig syscall.Signal) error {
	pid := s.cmd.Process.Pid
	if sig == syscall.SIGKILL {
		pid = -pid // its process group: the children would go on for a moment
	}
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("postgres: %w", err)
	}
	err := <-s.ended
	if sig == syscall.SIGKILL {
		// The postmaster cannot take its shared memory with it; the next start does.
		return nil
	}
	if err != nil {
		return fmt.Errorf("postgres: stop: %w: %s", err, s.output.Bytes())
	}
	return nil
}
