package model

import (
	"fmt"
	"math"
	"slices"

	"github.com/sharpeyes/sharpeyes/detect"
)

// ssd is the head of TensorFlow's SSD with MobileNet for 300 x 300 pixels
// (multibox, ssd_anchor_generator.py with the lowest layer reduced): two outputs,
// box codes 1 x 1917 x 4 (y, x, height, width; scaled by 10, 10, 5, 5) and sigmoid
// scores 1 x 1917 x classes, of which the first is the background.
type ssd struct {
	labels  labels
	anchors []anchor
}

const ssdSize = 300

// anchor is a box that the model's codes are relative to, in shares of the
// input: its middle and its size.
type anchor struct{ x, y, w, h float64 }

func newSSD(l labels) ssd { return ssd{l, ssdAnchors()} }

// ssdAnchors makes the anchors of the six layers, rows from top left.
func ssdAnchors() []anchor {
	const lowest, highest = 0.2, 0.95
	sides := []int{19, 10, 5, 3, 2, 1} // 300 by the strides 16, 32 … 512, rounded up
	scale := func(layer int) float64 {
		if layer == len(sides) {
			return 1
		}
		return lowest + (highest-lowest)*float64(layer)/float64(len(sides)-1)
	}
	var out []anchor
	for layer, side := range sides {
		s := scale(layer)
		type form struct{ aspect, scale float64 }
		forms := []form{{1, s}, {2, s}, {0.5, s}, {3, s}, {0.3333, s}, {1, math.Sqrt(s * scale(layer+1))}}
		if layer == 0 {
			forms = []form{{1, 0.1}, {2, lowest}, {0.5, lowest}}
		}
		for i := range side * side {
			for _, f := range forms {
				out = append(out, anchor{
					x: (float64(i%side) + 0.5) / float64(side), y: (float64(i/side) + 0.5) / float64(side),
					w: f.scale * math.Sqrt(f.aspect), h: f.scale / math.Sqrt(f.aspect),
				})
			}
		}
	}
	return out
}

// look is RGB in -1..1, the picture stretched to the square.
func (ssd) look() appearance {
	return appearance{
		rgb: true, mean: [3]float32{127.5, 127.5, 127.5}, deviation: [3]float32{127.5, 127.5, 127.5},
		fit: stretched, checkLow: -1, checkHigh: 1,
	}
}

func (ssd) fits(size int) bool { return size == ssdSize }

func (h ssd) order(outs []Output, _ int) ([]Output, error) {
	boxes, scores := []int{1, len(h.anchors), 4}, []int{1, len(h.anchors), len(h.labels)}
	if len(outs) == 2 {
		for _, o := range [][]Output{outs, {outs[1], outs[0]}} {
			if slices.Equal(o[0].Shape, boxes) && slices.Equal(o[1].Shape, scores) {
				return o, nil
			}
		}
	}
	return nil, shapeError(outs, fmt.Sprintf("%v and %v: not SSD's head for %d labels, background included", boxes, scores, len(h.labels)))
}

func (h ssd) sane(outs []Output) error {
	for _, v := range outs[1].Data {
		if v < -0.001 || v > 1.001 {
			return scoreError(v)
		}
	}
	return nil
}

func (h ssd) decode(outs []Output, p placement, minScore float64) []detect.Detection {
	var found []detect.Detection
	codes, scores, n := outs[0].Data, outs[1].Data, len(h.labels)
	for i, a := range h.anchors {
		// The background's score says nothing: what counts is the best object.
		class, score := h.labels[1:].best(scores[i*n+1 : (i+1)*n])
		if class == "" || !(score >= minScore) {
			continue
		}
		c := codes[4*i : 4*i+4]
		cy, cx := float64(c[0])/10*a.h+a.y, float64(c[1])/10*a.w+a.x
		h, w := math.Exp(float64(c[2])/5)*a.h, math.Exp(float64(c[3])/5)*a.w
		box, ok := p.box(corners{(cx - w/2) * ssdSize, (cy - h/2) * ssdSize, (cx + w/2) * ssdSize, (cy + h/2) * ssdSize})
		if ok {
			found = append(found, detect.Detection{Class: class, Score: score, Box: box})
		}
	}
	return found
}
