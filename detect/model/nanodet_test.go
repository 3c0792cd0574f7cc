package model

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/detect"
)

const (
	cocoClasses = 80
	rowLength   = cocoClasses + 4*distances
)

// decodeNano reads a head's output for COCO as Detector.Detect does.
func decodeNano(out []float32, p placement, minScore float64) []detect.Detection {
	if !(minScore >= lowestScore) {
		minScore = lowestScore
	}
	return detect.Suppress(nanodet{cocoLabels()}.decode([]Output{{Data: out}}, p, minScore), nmsIoU)
}

// set writes one row of a head's output: a score for a COCO class and the four
// distances in strides, each as a sharp peak.
func set(out []float32, row, class int, score float32, distance [4]int) {
	values := out[row*rowLength : (row+1)*rowLength]
	values[class] = score
	for i, d := range distance {
		values[cocoClasses+i*distances+d] = 30
	}
}

// square is the placement of a picture that fills the model's input of 64 x 64.
func square() placement { return place(640, 640, 64, centred) }

// Rows of the 64 x 64 head: 8 x 8 cells of 8 pixels, 4 x 4 of 16, 2 x 2 of 32.
const (
	rowFine   = 0
	rowMiddle = 64
	rowCoarse = 80
)

func TestHeadRows(t *testing.T) {
	require.Equal(t, 3549, gridRows(416))
	require.Equal(t, 84, gridRows(64))
	require.Equal(t, 2100, gridRows(320))
}

func TestDecodeHeadPlaces(t *testing.T) {
	for _, c := range []struct {
		name     string
		row      int
		distance [4]int
		want     detect.Box
	}{
		{"fine grid, second cell of third row", rowFine + 2*8 + 1, [4]int{1, 2, 1, 1}, detect.Box{X: 4. / 64, Y: 4. / 64, W: 16. / 64, H: 24. / 64}},
		{"middle grid, first cell, clipped", rowMiddle, [4]int{1, 1, 1, 1}, detect.Box{X: 0, Y: 0, W: 24. / 64, H: 24. / 64}},
		{"coarse grid, last cell", rowCoarse + 3, [4]int{1, 1, 0, 0}, detect.Box{X: 16. / 64, Y: 16. / 64, W: 32. / 64, H: 32. / 64}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := make([]float32, gridRows(64)*rowLength)
			set(out, c.row, 0, 0.75, c.distance)
			found := decodeNano(out, square(), 0.5)
			require.Len(t, found, 1)
			require.Equal(t, detect.Person, found[0].Class)
			require.InDelta(t, 0.75, found[0].Score, 1e-6)
			got := found[0].Box
			for i, d := range []float64{got.X - c.want.X, got.Y - c.want.Y, got.W - c.want.W, got.H - c.want.H} {
				require.InDelta(t, 0, d, 1e-6, "%d of %v", i, got)
			}
		})
	}
}

func TestDecodeHeadScores(t *testing.T) {
	out := make([]float32, gridRows(64)*rowLength)
	set(out, 9, 0, 0.6, [4]int{1, 1, 1, 1})
	set(out, 54, 33, 0.9, [4]int{1, 1, 1, 1}) // kite
	out[54*rowLength] = 0.55                  // a little of a person in it
	require.Len(t, decodeNano(out, square(), 0.5), 1, "what is most of all a kite is dropped")
	require.Empty(t, decodeNano(out, square(), 0.61))
	require.Len(t, decodeNano(out, square(), math.NaN()), 1)
	require.Len(t, decodeNano(out, square(), -1), 1)

	nan := float32(math.NaN())
	for i := range out {
		out[i] = nan
	}
	require.Empty(t, decodeNano(out, square(), 0.5))
	set(out, 9, 0, 2, [4]int{1, 1, 1, 1})
	require.Empty(t, decodeNano(out, square(), 0.5), "distances that are no numbers make no box")
}

func TestDecodeHeadNoise(t *testing.T) {
	out := make([]float32, gridRows(416)*rowLength)
	for row := range gridRows(416) {
		set(out, row, 0, 0.9, [4]int{1, 1, 1, 1})
	}
	require.LessOrEqual(t, len(decodeNano(out, place(768, 576, 416, centred), 0)), 300)
}

// A picture of 16:9 leaves borders above and below; nothing may be found there,
// and what is found keeps its place in the picture.
func TestDecodeHeadBorder(t *testing.T) {
	p := place(1920, 1080, 64, centred)
	require.Equal(t, placement{size: 64, x: 0, y: 14, w: 64, h: 36}, p)
	out := make([]float32, gridRows(64)*rowLength)
	set(out, 0, 0, 0.9, [4]int{1, 1, 1, 1})      // middle at 4,4: on the border
	set(out, 7*8+3, 0, 0.9, [4]int{1, 1, 1, 1})  // below
	set(out, 4*8+4, 0, 0.9, [4]int{1, 10, 1, 1}) // middle at 36,0
	require.Empty(t, decodeNano(out, p, 0.5))
	set(out, 3*8+4, 2, 0.9, [4]int{1, 1, 1, 2}) // 28..44 x 20..44
	found := decodeNano(out, p, 0.5)
	require.Len(t, found, 1)
	require.InDelta(t, 6./36, found[0].Box.Y, 1e-6)
	require.InDelta(t, 24./36, found[0].Box.H, 1e-6)
}

func TestExpectation(t *testing.T) {
	require.InDelta(t, 5, expectation(make([]float32, distances)), 1e-9, "a flat distribution")
	peak := make([]float32, distances)
	peak[3] = 1000 // no overflow
	require.InDelta(t, 3, expectation(peak), 1e-9)
}

func TestLetterbox(t *testing.T) {
	for _, c := range []struct {
		w, h int
		want placement
	}{
		{768, 576, placement{416, 0, 52, 416, 312}},
		{1080, 1920, placement{416, 91, 0, 234, 416}},
		{416, 416, placement{416, 0, 0, 416, 416}},
		{8192, 16, placement{416, 0, 207, 416, 1}},
		{16, 8192, placement{416, 207, 0, 1, 416}},
	} {
		require.Equal(t, c.want, place(c.w, c.h, 416, centred), "%dx%d", c.w, c.h)
	}
	require.Equal(t, placement{416, 0, 0, 416, 234}, place(1920, 1080, 416, topLeft))
	require.Equal(t, placement{300, 0, 0, 300, 300}, place(1920, 1080, 300, stretched))
}
