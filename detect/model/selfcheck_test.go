package model

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// The values are those that the reference was computed from, with another
// program.
func TestCheckInput(t *testing.T) {
	in := make([]float32, 3*416*416)
	checkInput(in, 416, -2, 2)
	require.Equal(t, float32(-0.8857421875), in[0])
	require.Equal(t, float32(0.52032470703125), in[100*416+300])
	for _, v := range in {
		require.True(t, v >= -2 && v < 2)
	}
}

func TestCheckNumbers(t *testing.T) {
	out := make([]float32, gridRows(416)*rowLength)
	outs := []Output{{Data: out}}
	probes := nanodetProbes()
	seen := map[int]bool{}
	for _, p := range probes {
		require.False(t, seen[p.index], "value %d twice", p.index)
		seen[p.index] = true
		out[p.index] = p.want
	}
	require.NoError(t, checkNumbers(outs, probes))
	for _, wrong := range []float32{0.01, -0.01, float32(math.NaN())} {
		out[probes[5].index] = probes[5].want + wrong
		require.ErrorContains(t, checkNumbers(outs, probes), "does not run the built-in model as it should")
	}
}

func TestCheckFinite(t *testing.T) {
	out := make([]float32, 2*rowLength)
	outs := []Output{{Data: out}}
	h := nanodet{cocoLabels()}
	require.NoError(t, checkFinite(outs))
	out[rowLength+cocoClasses] = -12
	require.NoError(t, h.sane(outs), "distances may be any number")
	out[rowLength+3] = -4
	require.ErrorContains(t, h.sane(outs), "export it with the sigmoid")
	out[rowLength+3] = float32(math.Inf(1))
	require.ErrorContains(t, checkFinite(outs), "damaged")
}
