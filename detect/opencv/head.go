package opencv

import (
	"cmp"
	"math"
	"slices"

	"github.com/sharpeyes/sharpeyes/detect"
)

// NanoDet's head (RangiLyu/nanodet, gfl_head.py): one row per cell of three
// grids, finest first, rows of a grid from top left; in a row the sigmoid scores
// of the 80 COCO classes and, for left, top, right and bottom, 11 logits whose
// softmax is a distribution over 0..10 strides.
const (
	cocoClasses = 80
	distances   = 11
	rowLength   = cocoClasses + 4*distances
	nmsIoU      = 0.6 // overlap above which the weaker of two boxes of one group goes
	lowestScore = 0.05
	maxBoxes    = 300 // strongest boxes that enter suppression, which is quadratic
)

// headStrides are the cell sizes of the three grids, in pixels of the model's
// input.
func headStrides() [3]int { return [3]int{8, 16, 32} }

// allowed maps a COCO index to its class, for the compiled-in classes only.
func allowed(index int) (detect.Class, bool) {
	switch index {
	case 0:
		return detect.Person, true
	case 1:
		return detect.Bicycle, true
	case 2:
		return detect.Car, true
	case 3:
		return detect.Motorcycle, true
	case 5:
		return detect.Bus, true
	case 6:
		return detect.Train, true
	case 7:
		return detect.Truck, true
	case 8:
		return detect.Boat, true
	case 15:
		return detect.Cat, true
	case 16:
		return detect.Dog, true
	case 17:
		return detect.Horse, true
	case 18:
		return detect.Sheep, true
	case 19:
		return detect.Cow, true
	}
	return "", false
}

// headRows returns how many rows the head has for an input of size x size
// pixels.
func headRows(size int) int {
	n := 0
	for _, s := range headStrides() {
		side := (size + s - 1) / s
		n += side * side
	}
	return n
}

// decodeHead reads the head's output for one picture: headRows(size) rows of
// rowLength values. Rows whose best class is not compiled in are dropped, and so
// are boxes whose middle lies on the letterbox's border. Boxes are clipped to
// the picture.
func decodeHead(out []float32, p placement, minScore float64) []detect.Detection {
	if !(minScore >= lowestScore) { // also NaN
		minScore = lowestScore
	}
	var found []detect.Detection
	row := 0
	for _, stride := range headStrides() {
		side := (p.size + stride - 1) / stride
		for i := range side * side {
			values := out[(row+i)*rowLength : (row+i+1)*rowLength]
			class, score := bestClass(values[:cocoClasses])
			if class == "" || !(score >= minScore) {
				continue
			}
			if box, ok := p.box(cellBox(values[cocoClasses:], i%side, i/side, stride)); ok {
				found = append(found, detect.Detection{Class: class, Score: score, Box: box})
			}
		}
		row += side * side
	}
	return suppress(found)
}

// bestClass returns the class with the highest score, or "" when that is not an
// allowed one. A weaker allowed class never takes the place of a stronger
// foreign one: what looks most like a kite is not half a person.
func bestClass(scores []float32) (detect.Class, float64) {
	best := 0
	for i, s := range scores {
		if s > scores[best] {
			best = i
		}
	}
	class, _ := allowed(best)
	return class, min(float64(scores[best]), 1)
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

// suppress keeps the strongest of the boxes that overlap within a group (small
// models call one vehicle car and truck at once) and returns them strongest
// first.
func suppress(found []detect.Detection) []detect.Detection {
	slices.SortStableFunc(found, func(a, b detect.Detection) int { return cmp.Compare(b.Score, a.Score) })
	found = found[:min(len(found), maxBoxes)]
	kept := found[:0:0]
	for _, f := range found {
		covered := slices.ContainsFunc(kept, func(k detect.Detection) bool {
			return k.Class.Group() == f.Class.Group() && k.Box.IoU(f.Box) > nmsIoU
		})
		if !covered {
			kept = append(kept, f)
		}
	}
	return kept
}
