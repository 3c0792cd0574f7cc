//go:build cgo

package ffmpeg

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// FuzzDecode feeds what a camera may send: any bytes as access units. Nothing
// may crash, and every picture must be as large as it says.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"full_range.h264", "10bit.h264", "444_odd.h264", "gray_odd.h264", "10bit.h265", "gray_odd.h265", "1x1.h264"} {
		var b []byte
		units := readUnits(f, name)
		for _, au := range units[:min(len(units), 3)] {
			for _, u := range au.NALUs {
				b = append(append(b, startCode...), u...)
			}
		}
		f.Add(units[0].Codec == ingest.H265, b)
	}
	f.Fuzz(func(t *testing.T, h265 bool, stream []byte) {
		codec := ingest.H264
		if h265 {
			codec = ingest.H265
		}
		d := open(t, codec)
		for i, au := range splitUnits(codec, stream) {
			au.Key = au.Key || i == 0
			frame, err := d.Decode(au)
			if err != nil {
				require.True(t, frame == nil)
				continue
			}
			if frame != nil {
				checkFrame(t, frame)
			}
		}
		d.Close()
	})
}

// checkFrame reads the corners of all planes.
func checkFrame(t *testing.T, f *detect.Frame) {
	r := f.Image.Rect
	require.NoError(t, checkSize(r.Dx(), r.Dy()))
	f.Image.YCbCrAt(0, 0)
	f.Image.YCbCrAt(r.Max.X-1, r.Max.Y-1)
	require.Len(t, f.Luma.Pix, f.Luma.Width*f.Luma.Height)
	require.Positive(t, len(f.Luma.Pix))
	_ = f.Luma.Pix[len(f.Luma.Pix)-1]
}
