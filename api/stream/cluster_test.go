package stream

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// node is a redis-server on a port of this machine.
type node struct {
	port string
	cmd  *exec.Cmd
}

func (n node) addr() string { return "127.0.0.1:" + n.port }

// freePort returns a port whose cluster bus port (10,000 higher) exists too.
func freePort(t *testing.T) string {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		port := l.Addr().(*net.TCPAddr).Port
		require.NoError(t, l.Close())
		if port < 55_000 {
			return strconv.Itoa(port)
		}
	}
}

// startNode runs redis-server (or, as its name says, redis-sentinel) with the
// settings until the test ends.
func startNode(t *testing.T, program string, lines ...string) node {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed: run apt-get install redis-server")
	}
	dir := t.TempDir()
	n := node{port: freePort(t)}
	lines = append([]string{"port " + n.port, "bind 127.0.0.1", "dir " + dir, "protected-mode no"}, lines...)
	file := filepath.Join(dir, "redis.conf")
	require.NoError(t, os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	args := []string{file}
	if program == "redis-sentinel" {
		program, args = "redis-server", append(args, "--sentinel")
	}
	n.cmd = exec.Command(program, args...)
	n.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LANG=C"}
	n.cmd.SysProcAttr = childAttributes()
	require.NoError(t, n.cmd.Start())
	t.Cleanup(func() {
		_ = n.cmd.Process.Kill() // it may be dead: some tests kill it
		_ = n.cmd.Wait()
	})
	c := redis.NewClient(&redis.Options{Addr: n.addr()})
	defer c.Close()
	require.Eventually(t, func() bool { return c.Ping(context.Background()).Err() == nil }, patience, 20*time.Millisecond)
	return n
}

// carries sends alerts with pictures, lets through, and counts what arrives.
func carries(t *testing.T, c redis.UniversalClient, between func()) {
	t.Helper()
	o := openBox(t, t.TempDir(), OutboxOptions{})
	d := &desk{}
	producer(t, c, o)
	consumer(t, c, "a", d)
	for i := range 50 {
		mustPut(t, o, alertEnvelope("cam-1", i, 500))
	}
	d.awaits(t, 50)
	if between != nil {
		between()
		for i := range 50 {
			mustPut(t, o, alertEnvelope("cam-2", i, 500))
		}
		d.awaits(t, 100)
	}
	require.Eventually(t, func() bool { return o.Depth() == 0 }, patience, 10*time.Millisecond, "receipts and pictures come too")
}

// TestCluster runs the whole path through three masters, and holds that all keys
// of a stream share a slot.
func TestCluster(t *testing.T) {
	var addrs []string
	args := []string{"--cluster", "create"}
	for range 3 {
		n := startNode(t, "redis-server", "cluster-enabled yes", "cluster-config-file nodes.conf", "cluster-node-timeout 2000", "appendonly yes")
		addrs = append(addrs, n.addr())
	}
	args = append(append(args, addrs...), "--cluster-replicas", "0", "--cluster-yes")
	out, err := exec.Command("redis-cli", args...).CombinedOutput()
	require.NoError(t, err, string(out))
	c := NewClient(ClientOptions{Addresses: addrs})
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	require.IsType(t, &redis.ClusterClient{}, c)
	require.Eventually(t, func() bool { return c.Set(t.Context(), "probe", 1, 0).Err() == nil }, patience, 50*time.Millisecond)

	slots := map[int64]bool{}
	for _, suffix := range []string{"", PicturesSuffix, DeadSuffix, doneSuffix + "edge-1"} {
		slot, err := c.ClusterKeySlot(t.Context(), testStream+suffix).Result()
		require.NoError(t, err)
		slots[slot] = true
	}
	require.Len(t, slots, 1)

	carries(t, c, func() {
		addRaw(t, c, fieldEnvelope, "not JSON")
		require.Eventually(t, func() bool { return len(deadLetters(t, c)) == 1 }, patience, 10*time.Millisecond)
		letters := NewDeadLetters(c, testStream)
		page, _, _, err := letters.List(t.Context(), "", 0)
		require.NoError(t, err)
		require.NoError(t, letters.Requeue(t.Context(), page[0].ID))
		require.Eventually(t, func() bool { return len(deadLetters(t, c)) == 1 }, patience, 10*time.Millisecond, "and it comes back")
	})
}

// TestSentinelFailover kills the master in the middle: the sentinels choose the
// replica and the path goes on, with nothing lost.
func TestSentinelFailover(t *testing.T) {
	master := startNode(t, "redis-server", "appendonly yes", "repl-diskless-sync-delay 0")
	replica := startNode(t, "redis-server", "appendonly yes", "replicaof 127.0.0.1 "+master.port)
	var addrs []string
	for range 3 {
		s := startNode(t, "redis-sentinel",
			fmt.Sprintf("sentinel monitor alerts 127.0.0.1 %s 2", master.port),
			"sentinel down-after-milliseconds alerts 1000", "sentinel failover-timeout alerts 5000")
		addrs = append(addrs, s.addr())
	}
	direct := redis.NewClient(&redis.Options{Addr: replica.addr()})
	t.Cleanup(func() { require.NoError(t, direct.Close()) })
	require.Eventually(t, func() bool {
		info, err := direct.Info(t.Context(), "replication").Result()
		return err == nil && strings.Contains(info, "master_link_status:up")
	}, patience, 50*time.Millisecond)
	sentinel := redis.NewSentinelClient(&redis.Options{Addr: addrs[0]})
	t.Cleanup(func() { require.NoError(t, sentinel.Close()) })
	require.Eventually(t, func() bool {
		replicas, err := sentinel.Replicas(t.Context(), "alerts").Result()
		others, err2 := sentinel.Sentinels(t.Context(), "alerts").Result()
		return err == nil && err2 == nil && len(replicas) == 1 && len(others) == 2
	}, patience, 50*time.Millisecond)

	c := NewClient(ClientOptions{Addresses: addrs, Master: "alerts"})
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	carries(t, c, func() { require.NoError(t, master.cmd.Process.Signal(syscall.SIGKILL)) })
	info, err := direct.Info(t.Context(), "replication").Result()
	require.NoError(t, err)
	require.Contains(t, info, "role:master")
}
