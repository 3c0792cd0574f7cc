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
	for name, c := range map[string]struct {
		probes []probe
		outs   []Output
	}{
		"nanodet": {nanodetProbes(), []Output{{Data: make([]float32, gridRows(416)*rowLength)}}},
		"ssd":     {ssdProbes(), []Output{{Data: make([]float32, 1917*4)}, {Data: make([]float32, 1917*24)}}},
	} {
		t.Run(name, func(t *testing.T) {
			seen := map[[2]int]bool{}
			for _, p := range c.probes {
				at := [2]int{p.output, p.index}
				require.False(t, seen[at], "value %v twice", at)
				seen[at] = true
				c.outs[p.output].Data[p.index] = p.want
			}
			require.NoError(t, checkNumbers(c.outs, c.probes))
			last := c.probes[len(c.probes)-1]
			for _, wrong := range []float32{0.01, -0.01, float32(math.NaN())} {
				c.outs[last.output].Data[last.index] = last.want + wrong
				require.ErrorContains(t, checkNumbers(c.outs, c.probes), "does not run the built-in model as it should")
			}
		})
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
