package model

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/detect/model/modeltest"
)

func requireBox(t *testing.T, want, got detect.Box) {
	t.Helper()
	for i, d := range []float64{got.X - want.X, got.Y - want.Y, got.W - want.W, got.H - want.H} {
		require.InDelta(t, 0, d, 1e-6, "%d of %v, wanted %v", i, got, want)
	}
}

// The anchors by the numbers of ssd_anchor_generator.py.
func TestSSDAnchors(t *testing.T) {
	a := ssdAnchors()
	require.Len(t, a, 1917)
	for i, want := range map[int]anchor{
		0:    {0.5 / 19, 0.5 / 19, 0.1, 0.1},                             // the small square of the lowest layer
		1:    {0.5 / 19, 0.5 / 19, 0.2 * math.Sqrt2, 0.2 / math.Sqrt2},   // 2:1
		3:    {1.5 / 19, 0.5 / 19, 0.1, 0.1},                             // the next cell to the right
		1083: {0.05, 0.05, 0.35, 0.35},                                   // the second layer
		1088: {0.05, 0.05, math.Sqrt(0.35 * 0.5), math.Sqrt(0.35 * 0.5)}, // between two layers
		1911: {0.5, 0.5, 0.95, 0.95},                                     // the last layer
		1914: {0.5, 0.5, 0.95 * math.Sqrt(3), 0.95 / math.Sqrt(3)},       // 3:1
		1916: {0.5, 0.5, math.Sqrt(0.95), math.Sqrt(0.95)},               // the last
	} {
		for k, d := range []float64{a[i].x - want.x, a[i].y - want.y, a[i].w - want.w, a[i].h - want.h} {
			require.InDelta(t, 0, d, 1e-9, "%d of anchor %d: %v", k, i, a[i])
		}
	}
}

func TestSSDDecode(t *testing.T) {
	h := newSSD(openImagesLabels())
	boxes, scores := make([]float32, 1917*4), make([]float32, 1917*24)
	outs := []Output{{Data: boxes}, {Data: scores}}
	p := place(1920, 1080, ssdSize, stretched)
	scores[1911*24] = 1     // background says nothing
	scores[1911*24+4] = 0.7 // person
	boxes[1911*4] = 1       // down by a tenth of the anchor's height
	boxes[1911*4+2] = float32(5 * math.Log(0.5))
	boxes[1911*4+3] = float32(5 * math.Log(0.25))
	scores[0*24+19] = 0.9 // footwear
	scores[0*24+4] = 0.8  // and a little less of a person
	scores[1083*24+18] = 0.6
	found := detect.Suppress(h.decode(outs, p, 0.5), nmsIoU)
	require.Len(t, found, 2)
	require.Equal(t, detect.Person, found[0].Class)
	requireBox(t, detect.Box{X: 0.5 - 0.95/8, Y: 0.5 + 0.095 - 0.95/4, W: 0.95 / 4, H: 0.95 / 2}, found[0].Box)
	require.Equal(t, detect.Car, found[1].Class)
	requireBox(t, detect.Box{X: 0, Y: 0, W: 0.225, H: 0.225}, found[1].Box)
	require.Empty(t, h.decode(outs, p, 0.75))
	boxes[1911*4+2] = float32(math.Inf(1))
	boxes[1083*4] = float32(math.NaN())
	require.Empty(t, h.decode(outs, p, 0.5), "boxes without end or place are dropped")
}

func TestSSDOrder(t *testing.T) {
	h := newSSD(openImagesLabels())
	boxes, scores := Output{Shape: []int{1, 1917, 4}}, Output{Shape: []int{1, 1917, 24}}
	for _, outs := range [][]Output{{boxes, scores}, {scores, boxes}} {
		got, err := h.order(outs, ssdSize)
		require.NoError(t, err)
		require.Equal(t, []Output{boxes, scores}, got)
	}
	for _, outs := range [][]Output{nil, {boxes}, {boxes, boxes}, {scores, scores}, {boxes, scores, scores}} {
		_, err := h.order(outs, ssdSize)
		require.ErrorContains(t, err, "not SSD's head for 24 labels")
	}
}

func TestYOLOXDecode(t *testing.T) {
	h := yolox{cocoLabels()}
	out := make([]float32, gridRows(64)*85)
	row := func(i int, values ...float32) { copy(out[i*85:], values) }
	// Fine grid, second cell of the third row: the middle half a cell on, two cells
	// wide and four high; certain by 0.8 that there is something, by 0.9 that a car.
	row(2*8+1, 0.5, 0.5, float32(math.Log(2)), float32(math.Log(4)), 0.8, 0, 0, 0.9)
	// The only cell of the last row and column of the coarse grid, a person.
	row(80+3, 0.25, 0.25, 0, 0, 1, 0.6)
	row(70, 0, 0, 0, 0, 1, 0.5)          // weaker than asked for
	out[71*85+4], out[71*85+5+33] = 1, 1 // a kite
	found := detect.Suppress(h.decode([]Output{{Data: out}}, place(640, 640, 64, topLeft), 0.55), nmsIoU)
	require.Len(t, found, 2)
	require.Equal(t, detect.Car, found[0].Class)
	require.InDelta(t, 0.72, found[0].Score, 1e-6)
	requireBox(t, detect.Box{X: 4. / 64, Y: 4. / 64, W: 16. / 64, H: 32. / 64}, found[0].Box)
	requireBox(t, detect.Box{X: 24. / 64, Y: 24. / 64, W: 32. / 64, H: 32. / 64}, found[1].Box)
	// The picture stands at the top left: what lies below it is the border.
	found = h.decode([]Output{{Data: out}}, place(640, 320, 64, topLeft), 0.55)
	require.Len(t, found, 1)
	requireBox(t, detect.Box{X: 4. / 64, Y: 4. / 32, W: 16. / 64, H: 28. / 32}, found[0].Box)
}

func TestYOLOXSane(t *testing.T) {
	h := yolox{cocoLabels()}
	out := make([]float32, 85)
	outs := []Output{{Data: out}}
	out[0], out[2], out[3] = -700, 9, -700
	require.NoError(t, h.sane(outs))
	out[4] = 3
	require.ErrorContains(t, h.sane(outs), "sigmoid")
	out[4], out[3] = 0, 120
	require.ErrorContains(t, h.sane(outs), "without --decode_in_inference")
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		opt  Options
		says string
	}{
		{"an unknown head", Options{Data: modeltest.NanoDet(), Head: "detr"}, "nanodet, ssd or yolox"},
		{"labels without a class", Options{Data: modeltest.NanoDet(), Labels: []string{"face"}}, "none of the 1 labels"},
		{"a size that the head does not have", Options{Data: modeltest.NanoDet(), Head: "ssd"}, "64 pixels wide"},
		{"another size than the file's", Options{Data: modeltest.NanoDet(), InputSize: 96}, "leave that out"},
		{"a free size", Options{Data: free(0)}, "detector.input_size"},
		{"a free size that is no grid's", Options{Data: free(0), InputSize: 100}, "100 pixels wide"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(c.opt)
			require.ErrorContains(t, err, c.says)
		})
	}
	m, err := New(Options{Data: free(0), InputSize: 96})
	require.NoError(t, err)
	require.Equal(t, 96, m.Size())
	require.Equal(t, "input", m.InputName())
	require.Equal(t, []string{"output"}, m.OutputNames())
	require.Empty(t, m.Name())
}

// free is the small model with another side of the input, 0 for a free one.
func free(side int64) []byte {
	return modeltest.File(13, append([][]byte{modeltest.Value(11, "input", 1, 3, side, side)}, modeltest.Graph(modeltest.CocoClasses)[1:]...)...)
}
