package model

import (
	"image"
	"image/color"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func flat(w, h int, r, g, b uint8) *image.YCbCr {
	img := image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio420)
	y, cb, cr := color.RGBToYCbCr(r, g, b)
	for i := range img.Y {
		img.Y[i] = y
	}
	for i := range img.Cb {
		img.Cb[i], img.Cr[i] = cb, cr
	}
	return img
}

// filled scales a picture for a head.
func filled(t testing.TB, h head, img *image.YCbCr, size int) []float32 {
	t.Helper()
	y, c, err := planes(img)
	require.NoError(t, err)
	out := make([]float32, 3*size*size)
	for i := range out {
		out[i] = 1e9 // what is not written shows
	}
	newCanvas(h.look()).fill(y, c, place(y.width, y.height, size, h.look().fit), out)
	return out
}

// What each model sees of a picture of one colour: its channels in its order,
// less their mean and by their deviation, and its own border around the picture.
func TestFillColours(t *testing.T) {
	for _, c := range []struct {
		name    string
		head    head
		size    int
		inside  [3]float64
		border  [3]float64
		borders []int
	}{
		{"nanodet", nanodet{}, 416, [3]float64{(20 - 103.53) / 57.375, (90 - 116.28) / 57.12, (200 - 123.675) / 58.395},
			[3]float64{-103.53 / 57.375, -116.28 / 57.12, -123.675 / 58.395}, []int{0, 90*416 + 200, 330*416 + 200, 416*416 - 1}},
		{"ssd", ssd{}, 300, [3]float64{200/127.5 - 1, 90/127.5 - 1, 20/127.5 - 1}, [3]float64{}, nil},
		{"yolox", yolox{}, 416, [3]float64{20, 90, 200}, [3]float64{114, 114, 114}, []int{235 * 416, 300*416 + 200, 416*416 - 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := filled(t, c.head, flat(1280, 720, 200, 90, 20), c.size)
			tolerance := 2.5 / float64(c.head.look().deviation[0])
			for ch := range 3 {
				channel := out[ch*c.size*c.size : (ch+1)*c.size*c.size]
				require.InDelta(t, c.inside[ch], channel[c.size/2*c.size+c.size/2], tolerance, "channel %d", ch)
				for _, at := range c.borders {
					require.InDelta(t, c.border[ch], channel[at], 1e-5, "border of channel %d at %d", ch, at)
				}
				for i, v := range channel {
					require.Less(t, v, float32(1e8), "value %d of channel %d is written", i, ch)
				}
			}
		})
	}
}

// A ramp stays a ramp, with middles of pixels on middles of pixels, whether it is
// shrunk in blocks, sampled or enlarged.
func TestFillRamp(t *testing.T) {
	for _, width := range []int{64, 100, 416, 500, 1000, 1920, 2560} {
		img := image.NewYCbCr(image.Rect(0, 0, width, width), image.YCbCrSubsampleRatio444)
		for y := range width {
			for x := range width {
				img.Y[img.YOffset(x, y)] = byte((x*255 + width/2) / width)
			}
		}
		for i := range img.Cb {
			img.Cb[i], img.Cr[i] = 128, 128
		}
		out := filled(t, yolox{}, img, 416)
		for x := 4; x < 412; x++ {
			want := ((float64(x)+0.5)/416*float64(width) - 0.5) * 255 / float64(width)
			require.InDelta(t, want, out[208*416+x], 1.6, "width %d, column %d", width, x)
		}
	}
}

// No shape of a picture reads past its planes.
func TestFillShapes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		w, h := 16+r.IntN(900), 16+r.IntN(900)
		ratio := image.YCbCrSubsampleRatio(r.IntN(6))
		img := image.NewYCbCr(image.Rect(0, 0, w, h), ratio)
		x, y := r.IntN(w-15), r.IntN(h-15)
		part := img.SubImage(image.Rect(x, y, x+16+r.IntN(w-x-15), y+16+r.IntN(h-y-15))).(*image.YCbCr)
		filled(t, nanodet{}, part, 96)
	}
}

// BenchmarkFill is the scaling alone, from 1080p.
func BenchmarkFill(b *testing.B) {
	img := flat(1920, 1080, 1, 2, 3)
	y, c, err := planes(img)
	require.NoError(b, err)
	cv, out := newCanvas(nanodet{}.look()), make([]float32, 3*416*416)
	b.ReportAllocs()
	for b.Loop() {
		cv.fill(y, c, place(1920, 1080, 416, centred), out)
	}
}
