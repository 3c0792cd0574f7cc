package alert

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/jpeg"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/detect"
)

const (
	maxPictureWidth = 1280
	jpegQuality     = 80
	// maskMargin is what a privacy mask grows by on each side, in shares of the
	// picture: it covers what scaling draws over an edge.
	maskMargin = 0.004
	black      = 16 // of limited-range video, ITU-R BT.601
)

// Illustrate gives a picture to each alert that asks for one. They all come from
// one observation and share the picture. When it cannot be made the alerts stay
// without: an alert without a picture is better than none, and a picture with
// faces worse than none.
func Illustrate(alerts []Alert, obs detect.Observation, masks [][]configs.Point) error {
	var picture *Picture
	for i := range alerts {
		if !alerts[i].PictureDue || obs.Picture == nil {
			continue
		}
		if picture == nil {
			var err error
			if picture, err = Render(obs.Picture, obs, masks); err != nil {
				return fmt.Errorf("camera %s: picture of alert: %w", obs.Camera, err)
			}
		}
		alerts[i].Picture = picture
	}
	return nil
}

// Render makes the JPEG that may be stored of img, which obs describes: at most
// 1280 wide, privacy masks black, and every place where a person may be
// pixelated, so coarsely that a head is two or three blocks wide. People are
// taken from detections with any score; what moves and is neither vehicle nor
// animal counts as people too. Riders count as people, and the lower part of a
// vehicle, where its plate is, is pixelated. When the detector did not look at
// img, or everything moved, the whole picture is pixelated. A mask with fewer
// than three corners is an error: then there is no picture. img is only read.
func Render(img *image.YCbCr, obs detect.Observation, masks [][]configs.Point) (*Picture, error) {
	small, err := anonymous(img, obs, masks)
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, small, &jpeg.Options{Quality: jpegQuality}); err != nil {
		return nil, fmt.Errorf("jpeg: %w", err)
	}
	sum := sha256.Sum256(buf.Bytes())
	size := small.Rect.Size()
	return &Picture{
		SHA256: hex.EncodeToString(sum[:]), At: obs.At, Width: size.X, Height: size.Y,
		Bytes: buf.Len(), Blurred: true, JPEG: buf.Bytes(),
	}, nil
}

// anonymous returns the scaled picture with nobody in it.
func anonymous(img *image.YCbCr, obs detect.Observation, masks [][]configs.Point) (*image.YCbCr, error) {
	if img == nil || img.Rect.Dx() < 2 || img.Rect.Dy() < 2 {
		return nil, errors.New("no picture to render")
	}
	if img.SubsampleRatio != image.YCbCrSubsampleRatio420 {
		return nil, fmt.Errorf("picture is %v, want 4:2:0", img.SubsampleRatio)
	}
	for i, m := range masks {
		if len(m) < 3 {
			return nil, fmt.Errorf("privacy mask %d has %d corners: write at least three", i+1, len(m))
		}
	}
	small := scale(img, maxPictureWidth)
	for _, r := range blurred(obs) {
		pixelate(small, r)
	}
	for _, m := range detect.NewPolygons(masks) {
		burn(small, m)
	}
	return small, nil
}

// scale returns a copy that is at most maxWidth wide, each pixel the mean of
// those it stands for. Sides are even, so that each colour sample has its four
// pixels.
func scale(img *image.YCbCr, maxWidth int) *image.YCbCr {
	w, h := img.Rect.Dx()&^1, img.Rect.Dy()&^1
	dw := min(w, maxWidth)
	dh := max(2, (h*dw/w)&^1)
	out := image.NewYCbCr(image.Rect(0, 0, dw, dh), image.YCbCrSubsampleRatio420)
	x, y := img.Rect.Min.X, img.Rect.Min.Y
	c := img.COffset(x, y)
	plane{out.Y, out.YStride, dw, dh}.average(plane{img.Y[img.YOffset(x, y):], img.YStride, w, h})
	plane{out.Cb, out.CStride, dw / 2, dh / 2}.average(plane{img.Cb[c:], img.CStride, w / 2, h / 2})
	plane{out.Cr, out.CStride, dw / 2, dh / 2}.average(plane{img.Cr[c:], img.CStride, w / 2, h / 2})
	return out
}

// plane is one colour of a picture: rows of w samples, stride apart.
type plane struct {
	pix          []byte
	stride, w, h int
}

// row returns the samples of one row.
func (p plane) row(y int) []byte { return p.pix[y*p.stride : y*p.stride+p.w] }

// average fills p with src scaled down: each sample is the mean of those it
// stands for.
func (p plane) average(src plane) {
	dw, dh, w, h := p.w, p.h, src.w, src.h
	if dw == w && dh == h {
		for y := range h {
			copy(p.row(y), src.row(y))
		}
		return
	}
	sums := make([]int, dw)
	for y := range dh {
		y0, y1 := y*h/dh, max((y+1)*h/dh, y*h/dh+1)
		clear(sums)
		for sy := y0; sy < y1; sy++ {
			row := src.row(sy)
			for x := range sums {
				for _, v := range row[x*w/dw : max((x+1)*w/dw, x*w/dw+1)] {
					sums[x] += int(v)
				}
			}
		}
		for x, sum := range sums {
			p.row(y)[x] = byte(sum / ((y1 - y0) * (max((x+1)*w/dw, x*w/dw+1) - x*w/dw)))
		}
	}
}

// burn blackens a privacy mask and the margin around it.
func burn(img *image.YCbCr, mask detect.Polygon) {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	// On the grid of colour samples: what one of them covers is hidden as one.
	grid := make([]bool, w/2*(h/2))
	mask.Rasterise(grid, w/2, h/2, maskMargin)
	for i, hidden := range grid {
		if !hidden {
			continue
		}
		x, y := i%(w/2), i/(w/2)
		img.Cb[y*img.CStride+x], img.Cr[y*img.CStride+x] = 128, 128
		for _, o := range [...]int{0, 1, img.YStride, img.YStride + 1} {
			img.Y[2*y*img.YStride+2*x+o] = black
		}
	}
}
