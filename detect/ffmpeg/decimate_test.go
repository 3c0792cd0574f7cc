//go:build cgo

package ffmpeg

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The small picture is the mean of blocks, of which at most four rows are read.
func TestDecimate(t *testing.T) {
	for _, c := range []struct {
		file         string
		factor       int
		w, h, lw, lh int
	}{
		{"wide_1000.h264", 3, 1000, 60, 333, 20},
		{"wide_2600.h264", 8, 2600, 64, 325, 8},
		{"wide_4112.h264", 13, 4112, 48, 316, 3},
		{"bench_360p.h264", 2, 640, 360, 320, 180},
		{"bench_1080p.h265", 6, 1920, 1080, 320, 180},
		{"walk.h264", 1, 384, 288, 384, 288},
	} {
		t.Run(c.file, func(t *testing.T) {
			au := readUnits(t, c.file)[0]
			f, err := open(t, au.Codec).Decode(au)
			require.NoError(t, err)
			require.Equal(t, []int{c.lw, c.lh}, []int{f.Luma.Width, f.Luma.Height})
			rows := min(c.factor, 4)
			for y := range c.lh {
				for x := range c.lw {
					sum := 0
					for i := range rows {
						row := y*c.factor + (2*i+1)*c.factor/(2*rows)
						for j := range c.factor {
							sum += int(f.Image.Y[row*f.Image.YStride+x*c.factor+j])
						}
					}
					want := float64(sum) / float64(rows*c.factor)
					require.InDelta(t, want, float64(f.Luma.Pix[y*c.lw+x]), 0.51, "%d,%d", x, y)
				}
			}
		})
	}
}
