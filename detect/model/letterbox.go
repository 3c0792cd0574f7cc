package model

import (
	"math"

	"github.com/sharpeyes/sharpeyes/detect"
)

// fit says how a picture is placed in the model's square input.
type fit int

const (
	centred   fit = iota // scaled without distortion, in the middle
	topLeft              // scaled without distortion, at the top left
	stretched            // scaled to the whole square
)

// placement says where a picture stands in the model's square input.
type placement struct {
	size       int // side of the input, pixels
	x, y, w, h int // the picture's place in it, pixels
}

// place places a picture of w x h pixels in an input of size x size.
func place(w, h, size int, how fit) placement {
	if how == stretched {
		return placement{size: size, w: size, h: size}
	}
	r := min(float64(size)/float64(w), float64(size)/float64(h))
	p := placement{
		size: size,
		w:    min(max(int(math.Round(float64(w)*r)), 1), size),
		h:    min(max(int(math.Round(float64(h)*r)), 1), size),
	}
	if how == centred {
		p.x, p.y = (size-p.w)/2, (size-p.h)/2
	}
	return p
}

// box brings a box from the input back to 0..1 of the picture and clips it. It
// answers false for boxes whose middle is not on the picture and for boxes that
// are not finite or empty.
func (p placement) box(c corners) (detect.Box, bool) {
	x0, x1 := (c.x0-float64(p.x))/float64(p.w), (c.x1-float64(p.x))/float64(p.w)
	y0, y1 := (c.y0-float64(p.y))/float64(p.h), (c.y1-float64(p.y))/float64(p.h)
	mx, my := (x0+x1)/2, (y0+y1)/2
	if !(mx >= 0 && mx <= 1 && my >= 0 && my <= 1) { // also NaN
		return detect.Box{}, false
	}
	x0, y0 = max(x0, 0), max(y0, 0)
	x1, y1 = min(x1, 1), min(y1, 1)
	if !(x1 > x0 && y1 > y0) {
		return detect.Box{}, false
	}
	return detect.Box{X: x0, Y: y0, W: x1 - x0, H: y1 - y0}, true
}
