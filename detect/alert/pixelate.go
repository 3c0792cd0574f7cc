package alert

import (
	"image"

	"github.com/sharpeyes/sharpeyes/detect"
)

// How coarse and how wide pixels are drawn, in shares of a box or the picture.
const (
	minBlock    = 8       // pixels of the stored picture
	boxBlocksX  = 5       // blocks across a person, whose head is about a third as wide
	boxBlocksY  = 10      // blocks down a person, whose head is about an eighth as high
	wideBlocks  = 40      // blocks across the picture where it is not known how large people are
	padding     = 0.1     // of a box, on each side: detectors cut off heads and hands
	motionPad   = 2. / 90 // of the picture's height: motion is found in cells of this size
	plateFrom   = 0.45    // of a vehicle's height: below it there may be a plate
	explained   = 0.7     // share of a moving region that known objects cover
	sureObject  = 0.4     // score of a vehicle or animal that explains motion
	motionShare = 0.4     // of such an object's box that must move
	otherStream = 0.03    // of the picture: how far what moves may be from where the other stream of the camera shows it
)

// blur is a part of the picture that must be pixelated.
type blur struct {
	box  detect.Box
	wide bool // blocks by the picture's width, not the box's
}

// blurred returns everything in the picture in which a person may be seen.
func blurred(obs detect.Observation) []blur {
	if obs.Skipped != detect.SkipNone || !obs.Detected || obs.Motion.Global {
		return []blur{{box: detect.Box{W: 1, H: 1}, wide: true}}
	}
	var out []blur
	for _, d := range obs.Detections {
		b := d.Box.Pad(padding*d.Box.W, padding*d.Box.H)
		switch {
		case showsPeople(d.Class):
			out = append(out, blur{box: b})
		case d.Class.Group() == detect.GroupVehicle:
			b.Y, b.H = b.Y+plateFrom*b.H, (1-plateFrom)*b.H
			out = append(out, blur{box: b})
		}
	}
	for _, d := range obs.Masked {
		out = append(out, blur{box: d.Box.Pad(padding*d.Box.W, padding*d.Box.H)})
	}
	for _, m := range obs.Motion.Boxes {
		if !isExplained(m, obs.Detections) {
			if obs.FromMain {
				m = m.Pad(otherStream, otherStream)
			}
			out = append(out, blur{box: m, wide: true})
		}
	}
	return out
}

// isExplained says whether what moves in m is a known object: people are
// pixelated anyhow; a vehicle or animal must nearly fill m and m must be about as
// large, because somebody who steps out of a parked car moves within its box.
func isExplained(m detect.Box, known []detect.Detection) bool {
	for _, d := range known {
		if showsPeople(d.Class) {
			if m.Intersect(d.Box.Pad(padding*d.Box.W, padding*d.Box.H)).Area() >= explained*m.Area() {
				return true
			}
			continue
		}
		if d.Score >= sureObject && m.Intersect(d.Box.Pad(motionPad, motionPad)).Area() >= explained*m.Area() && m.Area() >= motionShare*d.Box.Area() {
			return true
		}
	}
	return false
}

// showsPeople says whether a box of the class has a person in it: on a bicycle or
// in a boat nobody is hidden, and the detector often sees only the vehicle.
func showsPeople(c detect.Class) bool {
	switch c {
	case detect.Person, detect.Bicycle, detect.Motorcycle, detect.Boat:
		return true
	}
	return false
}

// pixelate draws b's part of img in blocks of one colour, each the mean of what
// it covers inside the part and of nothing else.
func pixelate(img *image.YCbCr, b blur) {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	x0, y0 := even(b.box.X*float64(w)), even(b.box.Y*float64(h))
	x1, y1 := even((b.box.X+b.box.W)*float64(w)+2), even((b.box.Y+b.box.H)*float64(h)+2)
	block := max(minBlock, (w+wideBlocks-1)/wideBlocks)
	if !b.wide {
		block = max(minBlock, (x1-x0+boxBlocksX-1)/boxBlocksX, (y1-y0+boxBlocksY-1)/boxBlocksY)
	}
	block += block & 1
	x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, w), min(y1, h)
	for y := y0; y < y1; y += block {
		for x := x0; x < x1; x += block {
			bw, bh := min(block, x1-x), min(block, y1-y)
			flatten(img.Y[y*img.YStride+x:], img.YStride, bw, bh)
			c := y/2*img.CStride + x/2
			flatten(img.Cb[c:], img.CStride, bw/2, bh/2)
			flatten(img.Cr[c:], img.CStride, bw/2, bh/2)
		}
	}
}

// even rounds down to an even number, so that blocks do not share a colour sample.
func even(v float64) int { return int(v) &^ 1 }

// flatten sets w by h samples to their mean.
func flatten(p []byte, stride, w, h int) {
	sum := 0
	for y := range h {
		for _, v := range p[y*stride : y*stride+w] {
			sum += int(v)
		}
	}
	mean := byte(sum / max(1, w*h))
	for y := range h {
		row := p[y*stride : y*stride+w]
		for x := range row {
			row[x] = mean
		}
	}
}
