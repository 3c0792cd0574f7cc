package stream

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

const childServer = "SHARPEYES_TEST_SERVER"

// serveForEver is the child of TestServerDiesWithItsParent.
func serveForEver(dir string) int {
	s, err := StartServer(context.Background(), dir, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(s.pid.Load())
	select {}
}

func start(t testing.TB, dir string) *Server {
	t.Helper()
	s, err := StartServer(t.Context(), dir, quiet())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func client(t testing.TB, s *Server) redis.UniversalClient {
	t.Helper()
	c := NewClient(ClientOptions{Addresses: []string{s.Addr()}})
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// shortDir returns a folder whose socket path fits.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "se")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func TestServerKeepsItsDataPrivate(t *testing.T) {
	dir := filepath.Join(shortDir(t), "redis")
	s := start(t, dir)
	c := client(t, s)
	require.Equal(t, "unix://"+filepath.Join(dir, "redis.sock"), s.Addr())
	for _, path := range []string{dir, s.socket} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o700), info.Mode().Perm(), path)
	}
	for key, want := range map[string]string{"port": "0", "appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "dir": dir} {
		require.Equal(t, want, c.ConfigGet(t.Context(), key).Val()[key], key)
	}
	require.NoError(t, c.Set(t.Context(), "k", "v", 0).Err())
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "twice")
	require.Error(t, c.Ping(t.Context()).Err())
	require.Equal(t, "v", client(t, start(t, dir)).Get(t.Context(), "k").Val(), "survives a restart")
}

func TestServerInAFolderWithALongName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	s := start(t, dir)
	require.NoError(t, client(t, s).Set(t.Context(), "k", "v", 0).Err())
	require.LessOrEqual(t, len(s.socket), maxSocketPath)
	short := s.shortDir
	require.DirExists(t, short)
	require.NoError(t, s.Close())
	require.NoDirExists(t, short)

	t.Setenv("TMPDIR", t.TempDir()+strings.Repeat("/long", 10))
	require.NoError(t, os.MkdirAll(os.Getenv("TMPDIR"), 0o700))
	_, err := StartServer(t.Context(), dir, quiet())
	require.ErrorContains(t, err, "shorter data_dir")
}

func TestServerNotInstalled(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := StartServer(t.Context(), t.TempDir(), quiet())
	require.ErrorContains(t, err, "apt-get install redis-server")
}

func TestServerFolderInUse(t *testing.T) {
	dir := t.TempDir()
	start(t, dir)
	_, err := StartServer(t.Context(), dir, quiet())
	require.ErrorIs(t, err, errLocked)
}

func TestServerThatCannotStartSaysWhy(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "appendonlydir"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "appendonlydir", "appendonly.aof.manifest"), []byte("nonsense\n"), 0o600))
	_, err := StartServer(t.Context(), dir, quiet())
	require.Error(t, err)
	require.Contains(t, strings.ToLower(err.Error()), "manifest")
}

func TestServerStartStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := StartServer(ctx, t.TempDir(), nil)
	require.ErrorIs(t, err, context.Canceled)
}

func TestStaleSocketIsReplaced(t *testing.T) {
	dir := shortDir(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, socketName), nil, 0o600))
	require.NoError(t, client(t, start(t, dir)).Ping(t.Context()).Err())
}

// child runs this test binary as a process with a server, and returns the
// process of the server.
func child(t testing.TB, dir string) (parent *exec.Cmd, server int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childServer+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line := make([]byte, 20)
	n, err := out.Read(line)
	require.NoError(t, err)
	server, err = strconv.Atoi(strings.TrimSpace(string(line[:n])))
	require.NoError(t, err)
	return cmd, server
}

func TestServerDiesWithItsParent(t *testing.T) {
	dir := shortDir(t)
	parent, server := child(t, dir)
	require.NoError(t, parent.Process.Kill())
	require.Error(t, parent.Wait())
	require.Eventually(t, func() bool { return gone(server) }, patience, time.Millisecond)
}

// gone reports whether a process has ended. An orphan whose new parent does not
// collect it stays as a zombie.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

// The test plays a process that died without its child: the child holds the
// lock, and nobody waits for it.
func TestChildOfAnEarlierProcessIsStoppedFirst(t *testing.T) {
	dir := shortDir(t)
	lock, err := lockFile(filepath.Join(dir, "child.lock"))
	require.NoError(t, err)
	orphan := &Server{dir: dir, socket: filepath.Join(dir, socketName)}
	cmd := exec.CommandContext(t.Context(), "redis-server", orphan.args()...)
	cmd.Dir, cmd.ExtraFiles = dir, []*os.File{lock}
	require.NoError(t, cmd.Start())
	require.NoError(t, lock.Close())
	c := client(t, orphan)
	require.Eventually(t, func() bool { return c.Set(t.Context(), "k", "v", 0).Err() == nil }, patience, time.Millisecond)

	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	s := start(t, dir)
	require.NoError(t, <-ended, "told to stop, not killed")
	require.Equal(t, "v", client(t, s).Get(t.Context(), "k").Val())
}

func TestTwoServersNeverShareAFolder(t *testing.T) {
	dir := shortDir(t)
	lock, err := lockFile(filepath.Join(dir, "child.lock"))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = StartServer(ctx, dir, quiet())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, lock.Close())
	start(t, dir)
}

func TestParseServerLine(t *testing.T) {
	for line, want := range map[string]struct {
		text      string
		important bool
	}{
		"7:M 22 Nov 2025 10:11:12.123 * Ready to accept connections": {"Ready to accept connections", false},
		"7:M 22 Nov 2025 10:11:12.123 # Fatal error loading the DB":  {"Fatal error loading the DB", true},
		"*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***":             {"*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***", false},
		"Bad directive or wrong number of arguments: an error":       {"Bad directive or wrong number of arguments: an error", true},
		"": {"", false},
	} {
		text, important := parseServerLine(line)
		require.Equal(t, want.text, text)
		require.Equal(t, want.important, important, line)
	}
}

func TestNewClientChoosesTheKind(t *testing.T) {
	for name, c := range map[string]struct {
		opt  ClientOptions
		want any
	}{
		"unix":     {ClientOptions{Addresses: []string{"unix:///run/redis.sock"}, Password: "p"}, &redis.Client{}},
		"tcp, TLS": {ClientOptions{Addresses: []string{"redis:6379"}, TLS: true}, &redis.Client{}},
		"cluster":  {ClientOptions{Addresses: []string{"a:1", "b:1"}}, &redis.ClusterClient{}},
		"sentinel": {ClientOptions{Addresses: []string{"a:1", "b:1"}, Master: "m"}, &redis.Client{}},
	} {
		t.Run(name, func(t *testing.T) {
			got := NewClient(c.opt)
			defer func() { require.NoError(t, got.Close()) }()
			require.IsType(t, c.want, got)
			if single, ok := got.(*redis.Client); ok {
				require.Equal(t, c.opt.TLS, single.Options().TLSConfig != nil)
				require.Equal(t, c.opt.Password, single.Options().Password)
			}
		})
	}
}
