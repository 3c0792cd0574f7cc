//go:build cgo

package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

// reading is one thing that must not grow for ever, in its unit.
type reading struct {
	name   string
	unit   float64
	slack  float64 // growth over the second half that counts as none, in units
	values []float64
}

// soakMetrics are read from center and edge. The heap is what the collector aims
// at: it follows what lives, without the saw teeth between two collections.
var soakMetrics = []struct {
	metric, name string
	unit, slack  float64
}{
	{"process_resident_memory_bytes", "RSS MiB", 1 << 20, 16},
	{"go_memstats_next_gc_bytes", "heap MiB", 1 << 20, 8},
	{"go_goroutines", "goroutines", 1, 16},
	{"process_open_fds", "descriptors", 1, 16},
}

// mostGrowth is the share by which a reading may grow over the second half, and
// it may always grow by its slack.
const mostGrowth = 0.1

// TestSoak runs the real processes under a steady load with an outage now and
// then, for SHARPEYES_SOAK, and looks whether anything grows.
func TestSoak(t *testing.T) {
	text := os.Getenv("SHARPEYES_SOAK")
	if text == "" {
		t.Skip("needs the built binary and an hour: run make soak")
	}
	lasts, err := time.ParseDuration(text)
	require.NoError(t, err)
	require.GreaterOrEqual(t, lasts, 2*time.Minute, "SHARPEYES_SOAK")
	w := newWorld(t, "sqlite", 10)
	var table []*reading
	for _, node := range []string{"center-1", "edge-real"} {
		for _, m := range soakMetrics {
			table = append(table, &reading{name: node + " " + m.name, unit: m.unit, slack: m.slack})
		}
	}
	table = append(table, &reading{name: "Redis MiB", unit: 1 << 20, slack: 8})

	every := min(time.Minute, lasts/20)
	var header strings.Builder
	for _, r := range table {
		fmt.Fprintf(&header, " | %s", r.name)
	}
	fmt.Printf("| min%s |\n|---%s|\n", header.String(), strings.Repeat("|---", len(table)))
	begun := time.Now()
	for n := 1; time.Since(begun) < lasts; n++ {
		if n%4 == 0 {
			outage(w, n/4, every/4)
		}
		w.run(time.Until(begun.Add(time.Duration(n) * every)))
		w.sample(table)
		fmt.Printf("| %.1f", time.Since(begun).Minutes())
		for _, r := range table {
			fmt.Printf(" | %.4g", r.values[len(r.values)-1])
		}
		fmt.Println(" |")
	}
	got, took := w.settle(2 * time.Minute)
	fmt.Printf("%d alerts, %d lost, %d doubled, empty after %.1f s\n", got.promised, got.lost, got.doubled, took.Seconds())
	require.Zero(t, got.lost+got.doubled+got.strange+got.open+got.gaps+got.coming+got.orphans, "%+v", got)
	for _, r := range table {
		half := r.values[len(r.values)/2:]
		mean, growth := fit(half)
		fmt.Printf("%s: %.4g, %+.2g over the second half\n", r.name, mean, growth)
		if growth > max(r.slack, mostGrowth*mean) {
			t.Errorf("%s grows: %.4g over the second half, at a mean of %.4g; allowed are %.4g and a tenth", r.name, growth, mean, r.slack)
		}
	}
}

// outage cuts the link for a while, or restarts Redis, in turns.
func outage(w *world, n int, d time.Duration) {
	if n%2 == 0 {
		w.must(w.redis.end(syscall.SIGTERM))
		w.startRedis()
		return
	}
	w.link.set(true, 0, 0)
	w.run(d)
	w.link.set(false, 0, 0)
}

// sample reads all of the table, in its order.
func (w *world) sample(table []*reading) {
	i := 0
	for _, node := range []string{"center-1", "edge-real"} {
		resp, err := http.Get("http://" + w.listen[node] + "/metrics")
		w.must(err)
		parser := expfmt.NewTextParser(model.LegacyValidation)
		page, err := parser.TextToMetricFamilies(resp.Body)
		_ = resp.Body.Close()
		w.must(err)
		for _, m := range soakMetrics {
			require.Contains(w.t, page, m.metric)
			table[i].values = append(table[i].values, page[m.metric].GetMetric()[0].GetGauge().GetValue()/table[i].unit)
			i++
		}
	}
	memory, err := w.client.InfoMap(w.t.Context(), "memory").Result()
	w.must(err)
	var used float64
	_, err = fmt.Sscan(memory["Memory"]["used_memory"], &used)
	w.must(err)
	table[i].values = append(table[i].values, used/table[i].unit)
}

// fit returns the mean of equally spaced values and by how much the line through
// them, of least squares, rises from the first to the last.
func fit(y []float64) (mean, rise float64) {
	n := float64(len(y))
	for _, v := range y {
		mean += v / n
	}
	var above, below float64
	for i, v := range y {
		x := float64(i) - (n-1)/2
		above += x * (v - mean)
		below += x * x
	}
	return mean, above / below * (n - 1)
}

func TestFit(t *testing.T) {
	mean, rise := fit([]float64{1, 3, 5, 7})
	require.InDelta(t, 4, mean, 1e-9)
	require.InDelta(t, 6, rise, 1e-9)
	_, rise = fit([]float64{5, 9, 5, 9, 9, 5, 9, 5})
	require.InDelta(t, 0, rise, 1e-9)
}
