package model

import (
	"errors"
	"fmt"
	"image"
)

// planeOf is one plane, or two of one size, of a picture.
type planeOf struct {
	pix, pix2             []byte
	stride, width, height int
}

// errNoPicture is returned for a nil picture.
var errNoPicture = errors.New("detect: no picture")

// planes returns the luma and the two chroma planes of a picture, cut to its
// rectangle, after checking that the slices reach to their last pixel.
func planes(img *image.YCbCr) (y, c planeOf, err error) {
	if img == nil {
		return y, c, errNoPicture
	}
	r := img.Rect
	w, h := r.Dx(), r.Dy()
	if w < 16 || h < 16 || w > 8192 || h > 8192 {
		return y, c, fmt.Errorf("detect: picture of %dx%d is outside of 16x16..8192x8192", w, h)
	}
	yi, ci := img.YOffset(r.Min.X, r.Min.Y), img.COffset(r.Min.X, r.Min.Y)
	// The chroma plane ends where the last pixel's chroma lies.
	last := img.COffset(r.Max.X-1, r.Max.Y-1) - ci
	if img.CStride <= 0 || img.YStride < w || last < 0 || yi < 0 || ci < 0 {
		return y, c, fmt.Errorf("detect: picture with strides %d and %d", img.YStride, img.CStride)
	}
	y = planeOf{stride: img.YStride, width: w, height: h}
	c = planeOf{stride: img.CStride, width: last%img.CStride + 1, height: last/img.CStride + 1}
	if len(img.Y) < yi+y.bytes() || len(img.Cb) < ci+c.bytes() || len(img.Cr) < ci+c.bytes() {
		return y, c, fmt.Errorf("detect: picture of %dx%d with too few bytes", w, h)
	}
	y.pix, c.pix, c.pix2 = img.Y[yi:], img.Cb[ci:], img.Cr[ci:]
	return y, c, nil
}

// bytes returns how far the plane reaches from its first pixel.
func (p planeOf) bytes() int { return p.stride*(p.height-1) + p.width }
