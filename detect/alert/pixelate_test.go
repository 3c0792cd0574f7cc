package alert

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/detect"
)

// What moved was found in the substream a moment before or after the picture of
// the main stream: more around it is pixelated.
func TestMotionOfTheOtherStreamIsPixelatedWider(t *testing.T) {
	obs := detect.Observation{Detected: true, Motion: detect.Motion{Active: true, Boxes: []detect.Box{{X: .4, Y: .4, W: .1, H: .2}}}}
	same := blurred(obs)
	require.Equal(t, []blur{{box: obs.Motion.Boxes[0], wide: true}}, same)
	obs.FromMain = true
	other := blurred(obs)
	require.Len(t, other, 1)
	require.InDelta(t, .4-otherStream, other[0].box.X, 1e-9)
	require.InDelta(t, .1+2*otherStream, other[0].box.W, 1e-9)
	require.InDelta(t, .2+2*otherStream, other[0].box.H, 1e-9)
}
