package alert

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"image"
	"image/jpeg"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/detect"
)

// noisy returns a picture in which each sample differs from its neighbours, with
// rows longer than they look, as decoders make them.
func noisy(w, h int) *image.YCbCr {
	r := rand.New(rand.NewPCG(3, 4))
	img := image.NewYCbCr(image.Rect(0, 0, w+64, h), image.YCbCrSubsampleRatio420)
	for _, p := range [][]byte{img.Y, img.Cb, img.Cr} {
		for i := range p {
			p[i] = byte(40 + r.IntN(160))
		}
	}
	return img.SubImage(image.Rect(0, 0, w, h)).(*image.YCbCr)
}

func seen(ds ...detect.Detection) detect.Observation {
	return detect.Observation{Camera: "gate", At: at(5), Detected: true, Detections: ds}
}

func object(c detect.Class, b detect.Box) detect.Detection {
	return detect.Detection{Class: c, Score: 0.5, Box: b}
}

// colours counts the different luma values in a box of the picture.
func colours(img *image.YCbCr, b detect.Box) int {
	w, h := float64(img.Rect.Dx()), float64(img.Rect.Dy())
	set := map[byte]bool{}
	for y := int(b.Y * h); y < int((b.Y+b.H)*h); y++ {
		for x := int(b.X * w); x < int((b.X+b.W)*w); x++ {
			set[img.Y[img.YOffset(x, y)]] = true
		}
	}
	return len(set)
}

// detail is the mean difference of neighbours in a box: what an eye could read.
func detail(img *image.YCbCr, b detect.Box) float64 {
	w, h := float64(img.Rect.Dx()), float64(img.Rect.Dy())
	sum, n := 0.0, 0
	for y := int(b.Y * h); y < int((b.Y+b.H)*h); y++ {
		for x := int(b.X * w); x+1 < int((b.X+b.W)*w); x++ {
			d := int(img.Y[img.YOffset(x, y)]) - int(img.Y[img.YOffset(x+1, y)])
			sum += float64(max(d, -d))
			n++
		}
	}
	return sum / float64(n)
}

func render(t *testing.T, img *image.YCbCr, obs detect.Observation, masks ...[]configs.Point) *image.YCbCr {
	t.Helper()
	out, err := anonymous(img, obs, masks)
	require.NoError(t, err)
	return out
}

var (
	body   = detect.Box{X: 0.4, Y: 0.3, W: 0.1, H: 0.4}
	corner = detect.Box{X: 0, Y: 0.8, W: 0.15, H: 0.2}
)

func TestPeopleArePixelated(t *testing.T) {
	weak := object(detect.Person, body)
	weak.Score = 0.15
	moved := func(b detect.Box, ds ...detect.Detection) detect.Observation {
		o := seen(ds...)
		o.Motion = detect.Motion{Active: true, Boxes: []detect.Box{b}}
		return o
	}
	hidden := seen()
	hidden.Masked = []detect.Detection{object(detect.Person, body)}
	carBox := detect.Box{X: 0.35, Y: 0.25, W: 0.2, H: 0.5}
	for _, c := range []struct {
		name string
		obs  detect.Observation
		want bool
	}{
		{"a person", seen(object(detect.Person, body)), true},
		{"a person that the model is not sure of", seen(weak), true},
		{"a person whose middle is masked", hidden, true},
		{"a rider seen as a bicycle", seen(object(detect.Bicycle, body)), true},
		{"a rider seen as a motorcycle", seen(object(detect.Motorcycle, body)), true},
		{"people in a boat", seen(object(detect.Boat, body)), true},
		{"something that moves and is not known", moved(body), true},
		{"something that moves beside a car", moved(body, object(detect.Car, detect.Box{X: 0.47, Y: 0.3, W: 0.4, H: 0.4})), true},
		{"somebody steps out of a car", moved(body, object(detect.Car, detect.Box{X: 0.3, Y: 0.2, W: 0.6, H: 0.6})), true},
		{"a car that moves", moved(carBox, object(detect.Car, carBox)), false},
		{"a cow that moves", moved(carBox, object(detect.Cow, carBox)), false},
		{"a cow that may be none", moved(carBox, detect.Detection{Class: detect.Cow, Score: 0.2, Box: carBox}), true},
		{"nothing", seen(), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := render(t, noisy(640, 360), c.obs)
			head := detect.Box{X: body.X, Y: body.Y, W: body.W, H: body.H / 4}
			if c.want {
				require.Less(t, detail(out, body), 8.0)
				require.Less(t, colours(out, head), 40)
			} else {
				require.Greater(t, detail(out, head), 40.0, "it stays clear")
			}
			require.Greater(t, detail(out, detect.Box{X: 0.8, Y: 0.05, W: 0.15, H: 0.15}), 40.0, "the rest stays clear")
		})
	}
}

func TestPlatesArePixelated(t *testing.T) {
	b := detect.Box{X: 0.3, Y: 0.3, W: 0.3, H: 0.4}
	for _, c := range []detect.Class{detect.Car, detect.Truck, detect.Bus} {
		out := render(t, noisy(640, 360), seen(object(c, b)))
		require.Less(t, detail(out, detect.Box{X: 0.3, Y: 0.5, W: 0.3, H: 0.2}), 8.0, c)
	}
}

// Each block is of one colour and no smaller than a head may stand out in.
func TestBlocksHaveNoDetail(t *testing.T) {
	for _, c := range []struct {
		name  string
		size  image.Point
		box   detect.Box
		block int // least
	}{
		{"a large person", image.Pt(1280, 720), detect.Box{X: 0.25, Y: 0.125, W: 0.25, H: 0.75}, 64},
		{"a far person", image.Pt(1280, 720), detect.Box{X: 0.5, Y: 0.5, W: 0.01, H: 0.04}, 8},
		{"on the edge", image.Pt(640, 360), corner, 19},
		{"odd sizes", image.Pt(641, 361), detect.Box{X: 0.31, Y: 0.17, W: 0.23, H: 0.61}, 29},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := render(t, noisy(c.size.X, c.size.Y), seen(object(detect.Person, c.box)))
			w, h := float64(out.Rect.Dx()), float64(out.Rect.Dy())
			x0, x1 := int(c.box.X*w), min(int((c.box.X+c.box.W)*w), out.Rect.Dx())
			y0, y1 := int(c.box.Y*h), min(int((c.box.Y+c.box.H)*h), out.Rect.Dy())
			// The colour may change only at the edge of a block, in both planes.
			for y := y0; y < y1; y++ {
				last := -1
				for x := x0 + 1; x < x1; x++ {
					if out.Y[out.YOffset(x, y)] != out.Y[out.YOffset(x-1, y)] || out.Cb[out.COffset(x, y)] != out.Cb[out.COffset(x-1, y)] {
						if last >= 0 {
							require.GreaterOrEqual(t, x-last, c.block, "row %d", y)
						}
						last = x
					}
				}
			}
		})
	}
}

func TestPixelsAreTheMeanOfTheirBlockOnly(t *testing.T) {
	img := image.NewYCbCr(image.Rect(0, 0, 64, 64), image.YCbCrSubsampleRatio420)
	for i := range img.Y {
		img.Y[i] = 255 // around the region
	}
	for y := 16; y < 48; y++ {
		for x := 16; x < 48; x++ {
			img.Y[y*64+x] = 100
		}
	}
	pixelate(img, blur{box: detect.Box{X: 0.25, Y: 0.25, W: 0.46, H: 0.46}})
	for y := 16; y < 46; y++ {
		for x := 16; x < 46; x++ {
			require.EqualValues(t, 100, img.Y[y*64+x])
		}
	}
}

func TestWithoutALookTheWholePictureIsPixelated(t *testing.T) {
	for name, change := range map[string]func(o *detect.Observation){
		"not looked":       func(o *detect.Observation) { o.Detected = false },
		"skipped":          func(o *detect.Observation) { o.Skipped = detect.SkipDetector },
		"everything moved": func(o *detect.Observation) { o.Motion.Global = true },
	} {
		t.Run(name, func(t *testing.T) {
			o := seen()
			change(&o)
			out := render(t, noisy(640, 360), o)
			require.Less(t, detail(out, detect.Box{W: 1, H: 1}), 2.0)
			require.LessOrEqual(t, colours(out, detect.Box{W: 1, H: 1}), 40*23)
		})
	}
}

func TestMasksAreBlack(t *testing.T) {
	mask := []configs.Point{{0.25, 0.25}, {0.75, 0.25}, {0.5, 0.75}}
	poly := detect.NewPolygon(mask)
	for _, size := range []image.Point{{641, 361}, {1920, 1080}} {
		for name, o := range map[string]detect.Observation{
			"clear": seen(), "person in it": seen(object(detect.Person, detect.Box{X: 0.3, Y: 0.2, W: 0.2, H: 0.5})), "all pixelated": {At: at(1)},
		} {
			out := render(t, noisy(size.X, size.Y), o, mask)
			w, h := out.Rect.Dx(), out.Rect.Dy()
			for y := range h {
				// No part of a pixel that the mask touches shows.
				for _, s := range poly.Spans(float64(y)/float64(h), float64(y+1)/float64(h), nil) {
					for x := int(s.From * float64(w)); x < w && float64(x) <= s.To*float64(w); x++ {
						if out.Y[out.YOffset(x, y)] != 16 || out.Cb[out.COffset(x, y)] != 128 || out.Cr[out.COffset(x, y)] != 128 {
							t.Fatalf("%v %s: pixel %d,%d shows", size, name, x, y)
						}
					}
				}
			}
		}
	}
	out := render(t, noisy(640, 360), seen(), mask)
	require.Greater(t, detail(out, detect.Box{W: 0.2, H: 0.2}), 40.0, "what is not masked stays")
}

func TestRenderMakesTheJPEG(t *testing.T) {
	for _, c := range []struct{ w, h, wantW, wantH int }{{1920, 1080, 1280, 720}, {640, 360, 640, 360}, {2561, 1441, 1280, 720}, {640, 1136, 640, 1136}} {
		img := noisy(c.w, c.h)
		before := append([]byte(nil), img.Y...)
		p, err := Render(img, seen(object(detect.Person, body)), nil)
		require.NoError(t, err)
		require.Equal(t, before, img.Y, "the decoder's picture is only read")
		got, err := jpeg.Decode(bytes.NewReader(p.JPEG))
		require.NoError(t, err)
		require.Equal(t, image.Pt(c.wantW, c.wantH), got.Bounds().Size())
		require.Equal(t, []int{c.wantW, c.wantH, len(p.JPEG)}, []int{p.Width, p.Height, p.Bytes})
		sum := sha256.Sum256(p.JPEG)
		require.Equal(t, hex.EncodeToString(sum[:]), p.SHA256)
		require.Equal(t, at(5), p.At)
		require.True(t, p.Blurred)
	}
}

func TestScaleIsTheMean(t *testing.T) {
	img := image.NewYCbCr(image.Rect(0, 0, 8, 8), image.YCbCrSubsampleRatio420)
	for i := range img.Y {
		img.Y[i] = byte(i % 2 * 100)
	}
	out := scale(img, 4)
	require.Equal(t, image.Pt(4, 4), out.Rect.Size())
	for _, v := range out.Y {
		require.EqualValues(t, 50, v)
	}
}

func TestRenderFailsClosed(t *testing.T) {
	wrong := image.NewYCbCr(image.Rect(0, 0, 64, 64), image.YCbCrSubsampleRatio444)
	for name, f := range map[string]func() (*Picture, error){
		"no picture":    func() (*Picture, error) { return Render(nil, seen(), nil) },
		"one pixel":     func() (*Picture, error) { return Render(noisy(1, 1), seen(), nil) },
		"not 4:2:0":     func() (*Picture, error) { return Render(wrong, seen(), nil) },
		"half a mask":   func() (*Picture, error) { return Render(noisy(64, 64), seen(), [][]configs.Point{{{0, 0}, {1, 1}}}) },
		"an empty mask": func() (*Picture, error) { return Render(noisy(64, 64), seen(), [][]configs.Point{nil}) },
	} {
		p, err := f()
		require.Error(t, err, name)
		require.Nil(t, p, name)
	}
}

// Boxes come from a model and may be anything.
func TestRenderBearsAnyBox(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	for range 300 {
		b := func() detect.Box {
			return detect.Box{X: 3*r.Float64() - 1, Y: 3*r.Float64() - 1, W: 2*r.Float64() - 0.5, H: 2*r.Float64() - 0.5}
		}
		o := seen(object(detect.Person, b()), object(detect.Car, b()))
		o.Motion = detect.Motion{Active: true, Boxes: []detect.Box{b(), b()}}
		render(t, noisy(96+r.IntN(9), 64+r.IntN(9)), o)
	}
}

func TestIllustrate(t *testing.T) {
	o := seen(object(detect.Person, body))
	alerts := []Alert{{PictureDue: true}, {}, {PictureDue: true}}
	require.NoError(t, Illustrate(alerts, o, nil), "no picture, none made")
	require.Nil(t, alerts[0].Picture)
	o.Picture = noisy(640, 360)
	require.NoError(t, Illustrate(alerts, o, nil))
	require.NotNil(t, alerts[0].Picture)
	require.Nil(t, alerts[1].Picture)
	require.Same(t, alerts[0].Picture, alerts[2].Picture)

	alerts = []Alert{{PictureDue: true}}
	require.ErrorContains(t, Illustrate(alerts, o, [][]configs.Point{nil}), "camera gate")
	require.Nil(t, alerts[0].Picture)
}

func BenchmarkRender(b *testing.B) {
	img, o := noisy(1920, 1080), seen(object(detect.Person, body))
	mask := [][]configs.Point{{{0.1, 0.1}, {0.3, 0.1}, {0.3, 0.3}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Render(img, o, mask); err != nil {
			b.Fatal(err)
		}
	}
}
