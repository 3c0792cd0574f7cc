//go:build cgo

package main

import (
	"bytes"
	"encoding/xml"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBenchDetectRows(t *testing.T) {
	rows, err := detectRows()
	require.NoError(t, err)
	require.Zero(t, len(rows)%2, "both models have the same rows")
	seen := map[detectBench]bool{}
	for _, r := range rows {
		require.Positive(t, r.Threads)
		require.False(t, seen[r], "%v twice", r)
		seen[r] = true
	}
	require.True(t, seen[detectBench{Model: "builtin", Runtime: "opencv", Threads: 1}])
	require.True(t, seen[detectBench{Model: "light", Runtime: "opencv", Threads: 1}])
}

func TestBenchDetectTable(t *testing.T) {
	rows := []detectBench{
		{Model: "light", Runtime: "opencv", Threads: 1, Wall: 42, Fastest: 40, CPU: 41},
		{Model: "light", Runtime: "onnxruntime", Threads: 1, Wall: 14, Fastest: 13, CPU: 13.5},
		{Model: "light", Runtime: "onnxruntime", Threads: 2, Wall: 7},
	}
	compareRuntimes(rows)
	require.Equal(t, []float64{1, 3, 0}, []float64{rows[0].Ratio, rows[1].Ratio, rows[2].Ratio})
	var out bytes.Buffer
	printDetect(&out, rows)
	require.Contains(t, out.String(), "| light | onnxruntime | 1 | 14.0 | 13.0 | 13.5 | 3.00 |")
	out.Reset()
	printDetect(&out, nil)
	require.Empty(t, out.String())
}

func TestBenchDetectPlot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plot.svg")
	r := benchReport{Detect: []detectBench{{Model: "light", Runtime: "opencv", Threads: 2, Wall: 42, CPU: 80}}}
	require.NoError(t, plotFile(file, r.draw))
	svg, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(svg), ">light, opencv, 2 threads<")
	require.Contains(t, string(svg), ">42.0 ms (CPU 80.0 ms)<")
	require.NoError(t, xml.Unmarshal(svg, new(struct{})))
	require.Error(t, plotFile(filepath.Join(file, "below"), r.draw))
	for _, parts := range [][]string{{"latency"}, {"detect", "node"}} {
		cmd := newBench()
		cmd.SetArgs(append(parts, "--plot", file))
		cmd.SilenceUsage, cmd.SilenceErrors = true, true
		require.ErrorContains(t, cmd.ExecuteContext(t.Context()), "name one of them", "%v", parts)
	}
}

func TestBenchDetectWorker(t *testing.T) {
	picture := filepath.Join("..", "..", "detect", "opencv", "testdata", "vtest_20.jpg")
	r, err := workDetectTime(t.Context(), []string{picture, "light", "opencv", "1"})
	require.NoError(t, err)
	require.Len(t, r.Times, detectTimed)
	require.Positive(t, r.CPU)
	for _, args := range [][]string{nil, {"none.jpg", "light", "opencv", "1"}, {picture, "none", "opencv", "1"}, {picture, "light", "opencv", "x"}} {
		_, err := workDetectTime(t.Context(), args)
		require.Error(t, err, "%v", args)
	}
}
