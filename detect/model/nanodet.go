package model

import (
	"fmt"
	"math"
	"slices"

	"github.com/sharpeyes/sharpeyes/detect"
)

// nanodet is NanoDet's head (RangiLyu/nanodet, gfl_head.py): one row per cell of
// three grids, finest first, rows of a grid from top left; in a row the sigmoid
// scores of the classes and, for left, top, right and bottom, 11 logits whose
// softmax is a distribution over 0..10 strides.
type nanodet struct{ labels labels }

const distances = 11

// gridStrides are the cell sizes of the three grids of NanoDet and YOLOX, in
// pixels of the model's input.
func gridStrides() [3]int { return [3]int{8, 16, 32} }

// gridRows returns how many cells the grids have for an input of size x size
// pixels.
func gridRows(size int) int {
	n := 0
	for _, s := range gridStrides() {
		side := (size + s - 1) / s
		n += side * side
	}
	return n
}

// eachCell calls f for each cell of the grids in the order of the output.
func eachCell(size int, f func(row, x, y, stride int)) {
	row := 0
	for _, stride := range gridStrides() {
		side := (size + stride - 1) / stride
		for y := range side {
			for x := range side {
				f(row, x, y, stride)
				row++
			}
		}
	}
}

// look is the statistics that the model was trained with.
func (nanodet) look() appearance {
	return appearance{
		mean: [3]float32{103.53, 116.28, 123.675}, deviation: [3]float32{57.375, 57.12, 58.395},
		fit: centred, checkLow: -2, checkHigh: 2,
	}
}

func (nanodet) fits(size int) bool { return size%32 == 0 }

func (h nanodet) row() int { return len(h.labels) + 4*distances }

func (h nanodet) order(outs []Output, size int) ([]Output, error) {
	want := []int{1, gridRows(size), h.row()}
	if len(outs) != 1 || !slices.Equal(outs[0].Shape, want) {
		return nil, shapeError(outs, fmt.Sprintf("%v: not NanoDet's head for %d classes", want, len(h.labels)))
	}
	return outs, nil
}

func (h nanodet) sane(outs []Output) error {
	for i, v := range outs[0].Data {
		if i%h.row() < len(h.labels) && (v < -0.001 || v > 1.001) {
			return scoreError(v)
		}
	}
	return nil
}

func scoreError(v float32) error {
	return Error("its scores are not in 0..1 but %g: export it with the sigmoid on the class scores", v)
}

func (h nanodet) decode(outs []Output, p placement, minScore float64) []detect.Detection {
	var found []detect.Detection
	out, n := outs[0].Data, h.row()
	eachCell(p.size, func(row, x, y, stride int) {
		values := out[row*n : (row+1)*n]
		class, score := h.labels.best(values[:len(h.labels)])
		if class == "" || !(score >= minScore) {
			return
		}
		if box, ok := p.box(cellBox(values[len(h.labels):], x, y, stride)); ok {
			found = append(found, detect.Detection{Class: class, Score: score, Box: box})
		}
	})
	return found
}

// corners is a box in pixels of the model's input.
type corners struct{ x0, y0, x1, y1 float64 }

// cellBox returns the box that the cell (x, y) of the grid with the given stride
// predicts.
func cellBox(logits []float32, x, y, stride int) corners {
	s := float64(stride)
	cx, cy := (float64(x)+0.5)*s, (float64(y)+0.5)*s
	var d [4]float64
	for i := range d {
		d[i] = expectation(logits[i*distances:(i+1)*distances]) * s
	}
	return corners{cx - d[0], cy - d[1], cx + d[2], cy + d[3]}
}

// expectation returns the mean of the softmax distribution over 0, 1, 2 ….
func expectation(logits []float32) float64 {
	top := slices.Max(logits)
	var sum, mean float64
	for i, l := range logits {
		e := math.Exp(float64(l - top))
		sum += e
		mean += e * float64(i)
	}
	return mean / sum
}
