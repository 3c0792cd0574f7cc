package model

import (
	"fmt"
	"math"
	"slices"

	"github.com/sharpeyes/sharpeyes/detect"
)

// yolox is the head of YOLOX as its own tools/export_onnx.py writes it, without
// --decode_in_inference: one row per cell of the grids of 8, 16 and 32 pixels; in
// a row the middle relative to the cell, the logarithm of width and height in
// cells, the sigmoid of "an object is here" and the sigmoid scores of the classes.
type yolox struct{ labels labels }

// yoloxPad is the grey around the picture, which stands at the top left.
const yoloxPad = 114

// maxLogSize bounds the logarithm of a size in cells: e^10 cells are wider than
// any input. A larger one is a size in pixels.
const maxLogSize = 10

// look is BGR, 0..255 as it is.
func (yolox) look() appearance {
	return appearance{deviation: [3]float32{1, 1, 1}, pad: yoloxPad, fit: topLeft, checkHigh: 255}
}

func (yolox) fits(size int) bool { return size%32 == 0 }

func (h yolox) row() int { return 5 + len(h.labels) }

func (h yolox) order(outs []Output, size int) ([]Output, error) {
	want := []int{1, gridRows(size), h.row()}
	if len(outs) != 1 || !slices.Equal(outs[0].Shape, want) {
		return nil, shapeError(outs, fmt.Sprintf("%v: not YOLOX's head for %d classes", want, len(h.labels)))
	}
	return outs, nil
}

func (h yolox) sane(outs []Output) error {
	for i, v := range outs[0].Data {
		switch at := i % h.row(); {
		case at == 2 || at == 3:
			if v > maxLogSize {
				return Error("its boxes are in pixels (%g): export it without --decode_in_inference", v)
			}
		case at > 3 && (v < -0.001 || v > 1.001):
			return scoreError(v)
		}
	}
	return nil
}

func (h yolox) decode(outs []Output, p placement, minScore float64) []detect.Detection {
	var found []detect.Detection
	out, n := outs[0].Data, h.row()
	eachCell(p.size, func(row, x, y, stride int) {
		v := out[row*n : (row+1)*n]
		class, score := h.labels.best(v[5:])
		score *= min(float64(v[4]), 1)
		if class == "" || !(score >= minScore) {
			return
		}
		s := float64(stride)
		cx, cy := (float64(v[0])+float64(x))*s, (float64(v[1])+float64(y))*s
		w, h := math.Exp(float64(v[2]))*s, math.Exp(float64(v[3]))*s
		if box, ok := p.box(corners{cx - w/2, cy - h/2, cx + w/2, cy + h/2}); ok {
			found = append(found, detect.Detection{Class: class, Score: score, Box: box})
		}
	})
	return found
}
