package stream

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/detect/alert"
	"github.com/sharpeyes/sharpeyes/ingest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childOutbox); dir != "" {
		os.Exit(putForEver(dir))
	}
	if dir := os.Getenv(childServer); dir != "" {
		os.Exit(serveForEver(dir))
	}
	RouteClientLog(quiet())
	goleak.VerifyTestMain(m)
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// openBox opens an outbox that the test closes.
func openBox(t testing.TB, dir string, opt OutboxOptions) *Outbox {
	t.Helper()
	opt.Log = quiet()
	if opt.Node == "" {
		opt.Node = "edge-1"
	}
	o, err := OpenOutbox(dir, opt)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, o.Close()) })
	return o
}

// alertEnvelope is the n-th alert of a camera, with a picture of size bytes
// unless size is 0.
func alertEnvelope(camera string, n, size int) api.Envelope {
	start := time.Unix(1_700_000_000+int64(n), 0).UTC()
	a := &alert.Alert{
		ID: alert.NewID(ingest.CameraID(camera), "yard", "gate", start), Camera: ingest.CameraID(camera),
		Rule: "yard", Kind: alert.ZoneEntry, Level: 3, Phase: alert.Opened, Start: start, Last: start, Received: start,
	}
	if size > 0 {
		a.Picture = picture(size, byte(n))
	}
	return api.Envelope{Alert: a}
}

func picture(size int, fill byte) *alert.Picture {
	b := make([]byte, size)
	for i := range b {
		b[i] = fill + byte(i)
	}
	sum := sha256.Sum256(b)
	return &alert.Picture{SHA256: hex.EncodeToString(sum[:]), Width: 640, Height: 360, Bytes: size, Blurred: true, JPEG: b}
}

func stateEnvelope(camera string, n int) api.Envelope {
	return api.Envelope{Camera: &api.CameraReport{
		Camera: ingest.Camera{ID: ingest.CameraID(camera), Name: fmt.Sprint("report ", n), Division: "110101001001"},
		State:  ingest.State{Camera: ingest.CameraID(camera)},
	}}
}

func mustPut(t testing.TB, o *Outbox, e api.Envelope) uint64 {
	t.Helper()
	seq, err := o.Put(e)
	require.NoError(t, err)
	return seq
}

// all reads every entry that is not acked, in order, each with its picture.
func all(t testing.TB, o *Outbox) []entry {
	t.Helper()
	got := append(lanePages(t, o, laneAlerts), lanePages(t, o, laneReports)...)
	slices.SortFunc(got, func(a, b entry) int { return cmp.Compare(a.seq, b.seq) })
	for _, p := range lanePages(t, o, lanePictures) {
		i := slices.IndexFunc(got, func(e entry) bool { return e.seq == p.seq })
		require.GreaterOrEqual(t, i, 0, "a picture without its alert")
		got[i].jpeg = p.jpeg
	}
	return got
}

// lanePages reads what waits in a lane.
func lanePages(t testing.TB, o *Outbox, l lane) []entry {
	t.Helper()
	last, _, err := o.look()
	require.NoError(t, err)
	var got []entry
	for at := uint64(0); at < last; {
		page, reached, err := o.page(l, at, last, 100, 1<<20)
		require.NoError(t, err)
		require.Greater(t, reached, at)
		got, at = append(got, page...), reached
	}
	return got
}

// acked acknowledges text and pictures.
func acked(t testing.TB, o *Outbox, seqs ...uint64) {
	t.Helper()
	for _, seq := range seqs {
		require.NoError(t, o.ack(part{seq, false}, part{seq, true}))
	}
}

func seqs(entries []entry) []uint64 {
	got := []uint64{}
	for _, e := range entries {
		got = append(got, e.seq)
	}
	return got
}

// metric returns the value of a counter, gauge, or the count of a histogram; it
// sums over labels unless one pair is given.
func metric(t testing.TB, reg prometheus.Gatherer, name string, label ...string) float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	sum, found := 0.0, false
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if len(label) == 2 && !hasLabel(m, label[0], label[1]) {
				continue
			}
			found = true
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	require.True(t, found, "no metric %s %v", name, label)
	return sum
}

func hasLabel(m *dto.Metric, name, value string) bool {
	for _, l := range m.GetLabel() {
		if l.GetName() == name && l.GetValue() == value {
			return true
		}
	}
	return false
}

// background runs f until the test ends, and waits for it.
func background(t testing.TB, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			require.ErrorIs(t, err, context.Canceled)
		case <-time.After(10 * time.Second):
			require.Fail(t, "does not stop")
		}
	}
	t.Cleanup(stop)
	return stop
}
