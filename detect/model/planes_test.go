package model

import (
	"image"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlanes(t *testing.T) {
	for _, c := range []struct {
		name   string
		ratio  image.YCbCrSubsampleRatio
		w, h   int
		cw, ch int
	}{
		{"4:2:0", image.YCbCrSubsampleRatio420, 64, 48, 32, 24},
		{"4:2:0 odd", image.YCbCrSubsampleRatio420, 33, 17, 17, 9},
		{"4:2:2", image.YCbCrSubsampleRatio422, 33, 17, 17, 17},
		{"4:4:4", image.YCbCrSubsampleRatio444, 33, 17, 33, 17},
		{"4:4:0", image.YCbCrSubsampleRatio440, 33, 17, 33, 9},
		{"4:1:1", image.YCbCrSubsampleRatio411, 33, 17, 9, 17},
		{"4:1:0", image.YCbCrSubsampleRatio410, 33, 17, 9, 9},
	} {
		t.Run(c.name, func(t *testing.T) {
			y, ch, err := planes(image.NewYCbCr(image.Rect(0, 0, c.w, c.h), c.ratio))
			require.NoError(t, err)
			require.Equal(t, []int{c.w, c.h, c.cw, c.ch}, []int{y.width, y.height, ch.width, ch.height})
		})
	}
}

func TestPlanesOfPart(t *testing.T) {
	img := image.NewYCbCr(image.Rect(0, 0, 64, 48), image.YCbCrSubsampleRatio420)
	img.Y[img.YOffset(20, 10)] = 7
	img.Cr[img.COffset(20, 10)] = 9
	y, c, err := planes(img.SubImage(image.Rect(20, 10, 52, 42)).(*image.YCbCr))
	require.NoError(t, err)
	require.Equal(t, byte(7), y.pix[0])
	require.Equal(t, byte(9), c.pix2[0])
	require.Equal(t, []int{32, 32, 16, 16, 64, 32}, []int{y.width, y.height, c.width, c.height, y.stride, c.stride})
}

func TestPlanesRefuse(t *testing.T) {
	good := func() *image.YCbCr {
		return image.NewYCbCr(image.Rect(0, 0, 64, 48), image.YCbCrSubsampleRatio420)
	}
	short, shortChroma, stride, tiny, huge, noChroma := good(), good(), good(), good(), good(), good()
	short.Y = short.Y[:len(short.Y)-1]
	shortChroma.Cr = shortChroma.Cr[:len(shortChroma.Cr)-1]
	stride.YStride = 63
	tiny.Rect = image.Rect(0, 0, 15, 48)
	huge.Rect = image.Rect(0, 0, 9000, 48)
	noChroma.CStride = 0
	for name, img := range map[string]*image.YCbCr{
		"nil": nil, "short": short, "short chroma": shortChroma, "stride": stride, "tiny": tiny, "huge": huge, "no chroma": noChroma,
		"decoder closed": {},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := planes(img)
			require.Error(t, err)
		})
	}
}
