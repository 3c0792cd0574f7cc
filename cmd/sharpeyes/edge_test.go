//go:build cgo

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/api/stream"
	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/detect/alert"
	"github.com/sharpeyes/sharpeyes/ingest"
	"github.com/sharpeyes/sharpeyes/ingest/replay"
	"github.com/sharpeyes/sharpeyes/ingest/rtsp"
)

// still serves a picture that does not change, for ever, and returns its address.
func still(t *testing.T) (host string) {
	t.Helper()
	s := rtsp.NewServer(rtsp.ServerOptions{Address: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, s.Publish("still", func() (ingest.Source, error) {
		return replay.New("../../detect/ffmpeg/testdata/red.h264", replay.Options{Camera: "still", Loop: true, Realtime: true})
	}))
	require.NoError(t, s.Start())
	t.Cleanup(s.Close)
	return s.Address()
}

// startEdge runs the command `edge` on the configuration until the test ends, and
// returns a client of its Redis.
func startEdge(t *testing.T, config string) redis.UniversalClient {
	t.Helper()
	server, err := stream.StartServer(t.Context(), t.TempDir(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	client := stream.NewClient(stream.ClientOptions{Addresses: []string{server.Addr()}})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	path := writeFile(t, "edge.yaml", fmt.Sprintf("data_dir: %s\nredis: { addresses: [%q] }\n%s", t.TempDir(), server.Addr(), config))
	ctx, cancel := context.WithCancel(context.Background())
	var said syncBuffer
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, []string{"edge", "-c", path}, &said, &said) }()
	t.Cleanup(func() {
		cancel()
		require.Zero(t, <-ended, said.String())
	})
	return client
}

// sent returns what the edge sent, in order.
func sent(t *testing.T, client redis.UniversalClient) (all []*api.Envelope) {
	t.Helper()
	entries, err := client.XRange(t.Context(), defaultStream, "-", "+").Result()
	require.NoError(t, err)
	for _, x := range entries {
		text, _ := x.Values["e"].(string)
		e, err := api.ParseEnvelope([]byte(text))
		require.NoError(t, err)
		all = append(all, e)
	}
	return all
}

// alertsOf returns the alerts among them that match.
func alertsOf(all []*api.Envelope, match func(*api.Alert) bool) (out []*api.Alert) {
	for _, e := range all {
		if e.Alert != nil && match(e.Alert) {
			out = append(out, e.Alert)
		}
	}
	return out
}

// TestEdgeTellsOfALostSiteOnce: four cameras go with the link that they share, and
// come back with it: one alert, one end, and no fault of a single camera. The
// camera that is lost with them over a link of its own has its fault.
func TestEdgeTellsOfALostSiteOnce(t *testing.T) {
	link, err := startProxy(still(t))
	require.NoError(t, err)
	t.Cleanup(link.close)
	cameras := ""
	for i := range 5 {
		uplink, after := "valley", "3s"
		if i == 4 {
			uplink, after = "hill", "5s"
		}
		cameras += fmt.Sprintf("    - { id: cam-%d, name: n, url: \"rtsp://%s/still\", division: \"360921100200\", uplink: %s, rules: [{ id: fault, kind: camera_fault, after: %s }] }\n", i, link.l.Addr(), uplink, after)
	}
	client := startEdge(t, "edge:\n  listen: 127.0.0.1:0\n  defaults: { transport: tcp, timeout: 2s, frozen_after: 10m }\n  cameras:\n"+cameras)
	online := func() (n int) {
		last := map[ingest.CameraID]ingest.Value{}
		for _, e := range sent(t, client) {
			if e.Camera != nil {
				last[e.Camera.Camera.ID] = e.Camera.State.Frames.Value
			}
		}
		for _, v := range last {
			if v == ingest.Yes {
				n++
			}
		}
		return n
	}
	require.Eventually(t, func() bool { return online() == 5 }, 40*time.Second, 100*time.Millisecond)

	link.set(true, 0, 0)
	hill := func(a *api.Alert) bool { return a.Camera == "cam-4" }
	valley := func(a *api.Alert) bool { return a.Camera != "cam-4" }
	require.Eventually(t, func() bool { return len(alertsOf(sent(t, client), hill)) == 1 }, 40*time.Second, 100*time.Millisecond)
	got := alertsOf(sent(t, client), valley)
	require.Len(t, got, 1, "one for the site; their own faults were due two seconds ago")
	require.Equal(t, "site_down", got[0].Rule)
	require.Equal(t, alert.Opened, got[0].Phase)
	require.Contains(t, got[0].RuleName, "4")
	require.Equal(t, "线路 valley", got[0].ZoneName)

	link.set(false, 0, 0)
	require.Eventually(t, func() bool { return len(alertsOf(sent(t, client), valley)) > 1 }, 80*time.Second, 100*time.Millisecond)
	require.Eventually(t, func() bool { return len(alertsOf(sent(t, client), hill)) > 1 }, 40*time.Second, 100*time.Millisecond)
	got = alertsOf(sent(t, client), valley)
	require.Len(t, got, 2)
	require.Equal(t, got[0].ID, got[1].ID)
	require.Equal(t, alert.Closed, got[1].Phase)
	require.NotNil(t, got[1].End)
}

// TestEdgeHearsThatSomebodyLooks: what a center says over Redis makes the edge
// decode all pictures of a camera in which nothing moves.
func TestEdgeHearsThatSomebodyLooks(t *testing.T) {
	listen := freePort(t)
	client := startEdge(t, fmt.Sprintf("edge:\n  listen: %s\n  defaults: { transport: tcp, frozen_after: 10m }\n  cameras: [{ id: pond, name: n, url: \"rtsp://%s/still\", division: \"360921100200\", legal_basis: A9, purpose: p }]\n", listen, still(t)))
	shows := func(line string) bool {
		resp, err := http.Get("http://" + listen + "/metrics")
		if err != nil {
			return false // not yet
		}
		defer resp.Body.Close()
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if lines.Text() == line {
				return true
			}
		}
		return false
	}
	require.Eventually(t, func() bool { return shows(`sharpeyes_gate_state{camera="pond",state="idle"} 1`) }, 60*time.Second, 100*time.Millisecond)
	edges, err := stream.Wake(t.Context(), client, defaultStream, "pond")
	require.NoError(t, err)
	require.EqualValues(t, 1, edges)
	require.Eventually(t, func() bool { return shows(`sharpeyes_gate_wakes_total{camera="pond",cause="operator"} 1`) }, 10*time.Second, 20*time.Millisecond)
}

// TestEdgesDoNotReportTogether: an edge repeats its report for ever, each time
// after another wait of between three and five quarters of reportEvery.
func TestEdgesDoNotReportTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		outbox, err := stream.OpenOutbox(filepath.Join(t.TempDir(), "outbox"), stream.OutboxOptions{Node: "n1", Log: log})
		require.NoError(t, err)
		e := &edge{
			cfg: &configs.Config{Node: "n1", Edge: &configs.Edge{}}, log: log, outbox: outbox, metrics: detect.NewMetrics(prometheus.NewRegistry()),
			alerts: alert.NewMetrics(nil), sites: alert.NewSiteWatch(3), fleet: ingest.NewFleet(ingest.FleetOptions{}),
		}
		e.mains = newMains(openPlain, nil, prometheus.NewRegistry(), log, e.fleet.SetPicture)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- e.run(ctx) }()
		var waits []time.Duration
		last := time.Now()
		for seen := outbox.Depth(); len(waits) < 20; {
			time.Sleep(100 * time.Millisecond) // of the bubble's clock
			synctest.Wait()
			if n := outbox.Depth(); n > seen {
				waits, last, seen = append(waits, time.Since(last)), time.Now(), n
			}
		}
		cancel()
		require.NoError(t, errors.Join(<-ended, outbox.Close()))
		kinds := map[time.Duration]bool{}
		for _, w := range waits[1:] { // the first report comes at the start
			require.GreaterOrEqual(t, w, reportEvery*3/4-100*time.Millisecond)
			require.LessOrEqual(t, w, reportEvery*5/4+100*time.Millisecond)
			kinds[w.Truncate(time.Second)] = true
		}
		require.Greater(t, len(kinds), 3, "%v", waits)
	})
}

// TestReportsDoNotUndoAChange: the state that a report repeats is the one that the
// camera has when it is said, and is said once.
func TestReportsDoNotUndoAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		outbox, err := stream.OpenOutbox(filepath.Join(t.TempDir(), "outbox"), stream.OutboxOptions{Node: "n1", Log: log})
		require.NoError(t, err)
		e := &edge{
			cfg: &configs.Config{Node: "n1", Edge: &configs.Edge{}}, log: log, outbox: outbox, alerts: alert.NewMetrics(nil),
			sites: alert.NewSiteWatch(3), news: map[ingest.CameraID]*news{}, posts: map[ingest.CameraID]*post{},
		}
		e.fleet = ingest.NewFleet(ingest.FleetOptions{OnState: e.onState})
		e.fleet.Apply([]configs.Camera{{ID: "gate", Disabled: true}}) // known, never connected
		synctest.Wait()
		require.Equal(t, 1, outbox.Depth(), "its first state, at once")
		time.Sleep(stateEvery) // of the bubble's clock
		e.report()
		e.fleet.SetRegistered("gate", ingest.Yes, ingest.ReasonNone) // told at once: the repeat is not waited for
		e.fleet.SetRecording("gate", ingest.No, "record_off")
		require.Empty(t, e.due(time.Now()))
		due := e.due(time.Now().Add(stateEvery))
		require.Len(t, due, 1)
		require.Equal(t, ingest.No, due[0].State.Recording.Value)
		e.report()
		due = e.due(time.Now().Add(2 * stateEvery))
		require.Len(t, due, 1, "a camera whose state does not change is repeated")
		require.Equal(t, "gate", string(due[0].Camera.ID))
		e.fleet.Close()
		require.NoError(t, outbox.Close())
	})
}
