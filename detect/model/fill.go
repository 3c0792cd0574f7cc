package model

import (
	"slices"
)

// appearance is what a model's input looks like.
type appearance struct {
	rgb       bool       // channels red, green, blue; else blue, green, red
	mean      [3]float32 // taken off a value of 0..255, in the order of the channels
	deviation [3]float32 // then divides it
	pad       byte       // grey level around the picture
	fit       fit

	checkLow, checkHigh float32 // range of the numeric check's input
}

// canvas is the memory for scaling one picture after the other.
type canvas struct {
	planes [3][]byte // luma, Cb, Cr at the size of the placement
	blocks []byte
	level  [3][256]float32
	look   appearance
}

func newCanvas(look appearance) *canvas {
	c := &canvas{look: look}
	for ch := range c.level {
		for v := range c.level[ch] {
			c.level[ch][v] = (float32(v) - look.mean[ch]) / look.deviation[ch]
		}
	}
	return c
}

// fill scales the planes of a full-range BT.601 picture (JFIF) to its placement
// and writes them to out, 3 x size x size, as the model wants them.
func (cv *canvas) fill(y, c planeOf, p placement, out []float32) {
	cv.shrink(&cv.planes[0], y.pix, y, p)
	cv.shrink(&cv.planes[1], c.pix, c, p)
	cv.shrink(&cv.planes[2], c.pix2, c, p)
	area := p.size * p.size
	if p.w*p.h < area {
		for ch := range 3 {
			border := cv.level[ch][cv.look.pad]
			channel := out[ch*area : (ch+1)*area]
			for i := range channel {
				channel[i] = border
			}
		}
	}
	for row := range p.h {
		at := (p.y+row)*p.size + p.x
		cv.convert(row*p.w, p.w, out[at:], area)
	}
}

// convert turns n pixels from the given one into the three channels of out, which
// lie area values apart. The factors are those of image/color.YCbCrToRGB.
func (cv *canvas) convert(from, n int, out []float32, area int) {
	red, blue := 2, 0
	if cv.look.rgb {
		red, blue = 0, 2
	}
	ys, cbs, crs := cv.planes[0][from:from+n], cv.planes[1][from:from+n], cv.planes[2][from:from+n]
	rLevel, gLevel, bLevel := &cv.level[red], &cv.level[1], &cv.level[blue]
	r, g, b := out[red*area:][:n], out[area:][:n], out[blue*area:][:n]
	for i, v := range ys {
		yy := int32(v) * 0x10101
		cb, cr := int32(cbs[i])-128, int32(crs[i])-128
		r[i] = rLevel[clip(yy+91881*cr)]
		g[i] = gLevel[clip(yy-22554*cb-46802*cr)]
		b[i] = bLevel[clip(yy+116130*cb)]
	}
}

// clip brings a value of 16.16 bits to 0..255.
func clip(v int32) uint8 { return uint8(min(max(v>>16, 0), 255)) }

// shrink scales one plane to p.w x p.h. Sampling would step over whole pixels
// when a picture is much larger, so blocks of k x k are averaged first.
func (cv *canvas) shrink(to *[]byte, pix []byte, from planeOf, p placement) {
	if k := min(from.width/p.w, from.height/p.h); k > 1 {
		pix, from = cv.average(pix, from, k)
	}
	*to = slices.Grow((*to)[:0], p.w*p.h)[:p.w*p.h]
	columns := steps(from.width, p.w)
	rows := steps(from.height, p.h)
	for y, r := range rows {
		upper := pix[r.at*from.stride:][:from.width]
		lower := pix[r.next*from.stride:][:from.width]
		line := (*to)[y*p.w : (y+1)*p.w]
		for x, c := range columns {
			top := uint32(upper[c.at])*(256-c.part) + uint32(upper[c.next])*c.part
			bottom := uint32(lower[c.at])*(256-c.part) + uint32(lower[c.next])*c.part
			line[x] = byte((top*(256-r.part) + bottom*r.part + 1<<15) >> 16)
		}
	}
}

// step says between which two samples a scaled one lies, and how near to the
// second, in 1/256.
type step struct {
	at, next int
	part     uint32
}

// steps returns the samples of a line of n pixels scaled to m: middles of pixels
// fall on middles of pixels.
func steps(n, m int) []step {
	out := make([]step, m)
	scale := float64(n) / float64(m)
	for i := range out {
		at := max((float64(i)+0.5)*scale-0.5, 0)
		low := min(int(at), n-1)
		out[i] = step{low, min(low+1, n-1), uint32((at - float64(low)) * 256)}
	}
	return out
}

// average returns the plane with blocks of k x k pixels made one; what is left
// over at the right and below is dropped.
func (cv *canvas) average(pix []byte, from planeOf, k int) ([]byte, planeOf) {
	to := planeOf{width: from.width / k, height: from.height / k}
	to.stride = to.width
	cv.blocks = slices.Grow(cv.blocks[:0], to.width*to.height)[:to.width*to.height]
	sums := make([]uint32, to.width)
	factor := uint64(1<<32) / uint64(k*k)
	for y := range to.height {
		clear(sums)
		for dy := range k {
			line := pix[(y*k+dy)*from.stride:][:to.width*k]
			for x := range sums {
				var s uint32
				for _, v := range line[x*k : x*k+k] {
					s += uint32(v)
				}
				sums[x] += s
			}
		}
		line := cv.blocks[y*to.width:][:to.width]
		for x, s := range sums {
			line[x] = byte((uint64(s)*factor + 1<<31) >> 32)
		}
	}
	return cv.blocks, to
}
