package main

import (
	"context"
	"database/sql"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/api/audit"
	"github.com/sharpeyes/sharpeyes/api/store"
	"github.com/sharpeyes/sharpeyes/api/stream"
	"github.com/sharpeyes/sharpeyes/detect/alert"
)

const defaultStream = "sharpeyes:{alerts}" // the default of redis.stream

// farEdge is an edge without cameras: its outbox and its producer, on a Redis.
func farEdge(t *testing.T, client redis.UniversalClient) *stream.Outbox {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	outbox, err := stream.OpenOutbox(t.TempDir(), stream.OutboxOptions{Node: "edge-2", Log: log})
	require.NoError(t, err)
	producer := stream.NewProducer(stream.ProducerOptions{Outbox: outbox, Redis: client, Stream: defaultStream, Log: log})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = producer.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		require.NoError(t, outbox.Close())
	})
	return outbox
}

// unstorable has the far edge raise an alert that the center's database does not
// take while it takes everything else, until it is a dead letter. It returns the
// alert's ID and what removes the cause.
func unstorable(t *testing.T, client redis.UniversalClient, database string) (id string, cure func()) {
	t.Helper()
	now := time.Now()
	a := alert.Alert{
		ID: alert.NewID("far-01", "pond", "z", now), Camera: "far-01", Rule: "pond", Kind: alert.ZoneEntry, Zone: "z", Level: 2,
		Phase: alert.Opened, Start: now, Last: now, Received: now,
	}
	db, err := sql.Open("sqlite", database+"?_pragma=busy_timeout(5000)")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	_, err = db.Exec(`CREATE TRIGGER full BEFORE INSERT ON alerts WHEN NEW.id = '` + a.ID + `' BEGIN SELECT RAISE(ABORT, 'disk full'); END`)
	require.NoError(t, err)
	edge := farEdge(t, client)
	_, err = edge.Put(api.Envelope{Alert: &a})
	require.NoError(t, err)
	letters := stream.NewDeadLetters(client, defaultStream)
	require.Eventually(t, func() bool {
		// A message is to blame only while others are taken.
		_, err := edge.Put(api.Envelope{NodeUp: &api.NodeReport{Version: version, Started: now}})
		require.NoError(t, err)
		_, _, all, err := letters.List(t.Context(), "", 1)
		require.NoError(t, err)
		return all == 1
	}, 60*time.Second, 100*time.Millisecond, "the alert did not become a dead letter")
	return a.ID, func() {
		_, err := db.Exec(`DROP TRIGGER full`)
		require.NoError(t, err)
	}
}

// startCenter runs the command `center` on the configuration until the test ends.
func startCenter(t *testing.T, path string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var said syncBuffer
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, []string{"center", "-c", path}, &said, &said) }()
	t.Cleanup(func() {
		cancel()
		require.Zero(t, <-ended, said.String())
	})
	require.Eventually(t, func() bool { return strings.Contains(said.String(), "first-start password") }, 20*time.Second, 10*time.Millisecond)
}

// TestDeadLetterCommands: what no center can take is listed on the machine of the
// private Redis, and put back once its cause is gone.
func TestDeadLetterCommands(t *testing.T) {
	data := t.TempDir()
	path := writeFile(t, "standalone.yaml", "data_dir: "+data+"\nedge: { listen: 127.0.0.1:0 }\ncenter: { listen: 127.0.0.1:0 }\n")
	code, _, stderr := cli(t, "dead-letters", "list", "-c", path)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "start sharpeyes standalone first")

	server, err := stream.StartServer(t.Context(), filepath.Join(data, "redis"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	client := stream.NewClient(stream.ClientOptions{Addresses: []string{server.Addr()}})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	startCenter(t, writeFile(t, "center.yaml", "data_dir: "+data+"\nredis: { addresses: [\""+server.Addr()+"\"] }\ncenter: { listen: 127.0.0.1:0 }\n"))
	id, cure := unstorable(t, client, filepath.Join(data, "center.db"))

	code, stdout, stderr := cli(t, "dead-letters", "list", "-c", path)
	require.Equal(t, 0, code, stderr)
	for _, want := range []string{"deliveries", "edge-2", "alert", "far-01", id, "disk full"} {
		require.Contains(t, stdout, want)
	}
	letter := regexp.MustCompile(`(?m)^\d+-\d+`).FindString(stdout)
	require.NotEmpty(t, letter, stdout)

	for name, args := range map[string][]string{
		"neither": {}, "both": {letter, "--all"}, "two": {letter, letter},
	} {
		code, _, stderr = cli(t, append([]string{"dead-letters", "requeue", "-c", path}, args...)...)
		require.Equal(t, 1, code, name)
		require.Contains(t, stderr, "--all", name)
	}
	code, _, stderr = cli(t, "dead-letters", "requeue", "1-1", "-c", path)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "no such dead letter")

	cure()
	code, stdout, stderr = cli(t, "dead-letters", "requeue", letter, "-c", path)
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stdout, "requeued 1")
	code, stdout, stderr = cli(t, "dead-letters", "requeue", "--all", "-c", path)
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stdout, "requeued 0", "it is moved once")
	code, stdout, _ = cli(t, "dead-letters", "list", "-c", path)
	require.Equal(t, 0, code)
	require.NotContains(t, stdout, id)

	st, err := store.Open(t.Context(), store.Options{Path: filepath.Join(data, "center.db"), PictureDir: filepath.Join(data, "pictures"), Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	require.Eventually(t, func() bool { _, err := st.Alert(t.Context(), id); return err == nil }, 20*time.Second, 20*time.Millisecond, "the alert is not in the store")
	rows, _, err := audit.New(st).List(t.Context(), 0, 10)
	require.NoError(t, err)
	require.Len(t, rows, 1, "what was refused is no row")
	require.Equal(t, "dead letter "+letter+": requeue", rows[0].ReasonText)
	require.Equal(t, []string{"far-01"}, rows[0].Cameras)
}

// TestE2EDeadLetters is the same on the page, in headless Chromium.
func TestE2EDeadLetters(t *testing.T) {
	e2e(t)
	g := startGateway(t, "# %[1]s\nnode: demo\ncenter: { listen: 127.0.0.1:0 }\nedge: { listen: 127.0.0.1:0 }\n")
	id, cure := unstorable(t, g.redis(), filepath.Join(filepath.Dir(g.config), "data", "center.db"))
	cure()
	t.Setenv("ALERT", id)
	g.browse("letters.mjs")
}
