package main

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"
)

// checkMetrics lints the running program's /metrics and compares its names,
// types and labels with a file of testdata. SHARPEYES_UPDATE=1 writes the file
// anew. Names begin with prefix; cameras are those that may stand in labels.
func checkMetrics(t *testing.T, g *gateway, file, prefix string, cameras ...string) {
	t.Helper()
	var page []byte
	g.call("GET", "/metrics", nil, http.StatusOK, &page)
	problems, err := promlint.New(strings.NewReader(string(page))).Lint()
	require.NoError(t, err)
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "sharpeyes_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	got := ""
	for line := range strings.Lines(metricShapes(string(page))) {
		if strings.HasPrefix(line, prefix) {
			got += line
		}
	}
	golden := filepath.Join("testdata", file)
	if os.Getenv("SHARPEYES_UPDATE") != "" {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), got, "if the change is meant, run: SHARPEYES_UPDATE=1 make e2e, and say it in the changelog")
	for _, line := range strings.Split(string(page), "\n") {
		if m := regexp.MustCompile(`camera="([^"]*)"`).FindStringSubmatch(line); m != nil {
			require.Contains(t, cameras, m[1], "a camera label that is not configured: %s", line)
		}
	}
}

// metricShapes returns one line for each of our metrics: name, type, label names.
func metricShapes(page string) string {
	types := map[string]string{}
	labels := map[string]map[string]bool{}
	typeLine := regexp.MustCompile(`^# TYPE (sharpeyes_\S+) (\S+)$`)
	sample := regexp.MustCompile(`^(sharpeyes_\w+)(?:\{(.*)\})? `)
	label := regexp.MustCompile(`(\w+)="`)
	for _, line := range strings.Split(page, "\n") {
		if m := typeLine.FindStringSubmatch(line); m != nil {
			types[m[1]] = m[2]
			labels[m[1]] = map[string]bool{}
			continue
		}
		m := sample.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		name := m[1]
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base := strings.TrimSuffix(name, suffix); types[base] == "histogram" {
				name = base
			}
		}
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			if l[1] != "le" && labels[name] != nil {
				labels[name][l[1]] = true
			}
		}
	}
	var lines []string
	for name, typ := range types {
		var ls []string
		for l := range labels[name] {
			ls = append(ls, l)
		}
		slices.Sort(ls)
		lines = append(lines, name+" "+typ+" {"+strings.Join(ls, ",")+"}")
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}
