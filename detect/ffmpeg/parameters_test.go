package ffmpeg

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/ingest"
)

func TestParametersSize(t *testing.T) {
	for _, c := range []struct {
		file string
		want ingest.Reason
		says string
	}{
		{"walk.h264", ingest.ReasonNone, ""},
		{"walk.h265", ingest.ReasonNone, ""},
		{"8k.h264", ingest.ReasonNone, ""},
		{"1x1.h264", ingest.ReasonUnsupportedSize, "1x1"},
		{"too_wide.h264", ingest.ReasonUnsupportedSize, "8256x4352"},
		{"too_many.h264", ingest.ReasonUnsupportedSize, "8192x8192"},
		{"too_many.h265", ingest.ReasonUnsupportedSize, "8192x4416"},
	} {
		t.Run(c.file, func(t *testing.T) {
			au := readUnits(t, c.file)[0]
			var p parameters
			for range 2 { // the second time it is not forgotten
				err := p.update(au.Codec, au.NALUs)
				require.Equal(t, c.want, ingest.ReasonOf(err))
				if err != nil {
					require.ErrorContains(t, err, c.says)
					require.ErrorContains(t, err, "set the camera's stream to")
				}
			}
		})
	}
}

func TestParametersChange(t *testing.T) {
	var p parameters
	require.NoError(t, p.update(ingest.H264, readUnits(t, "walk.h264")[0].NALUs))
	walk := string(p.raw)
	require.NotEmpty(t, walk)
	require.NoError(t, p.update(ingest.H264, [][]byte{{0x65, 1, 2, 3}}), "a key unit without a set keeps the last")
	require.Equal(t, walk, string(p.raw))
	require.NoError(t, p.update(ingest.H264, [][]byte{{0x67, 0xFF, 0xFF, 0xFF, 0xFF}}), "libavcodec judges what we cannot read")
	require.Equal(t, walk, string(p.raw))
	require.NoError(t, p.update(ingest.H264, readUnits(t, "full_range.h264")[0].NALUs))
	require.NotEqual(t, walk, string(p.raw))
}

func TestCheckSize(t *testing.T) {
	for _, c := range []struct {
		w, h int
		ok   bool
	}{
		{16, 16, true}, {15, 16, false}, {16, 15, false}, {1920, 1080, true}, {8192, 4352, true}, {4352, 8192, true},
		{8192, 4353, false}, {8193, 16, false}, {16, 8193, false}, {0, 0, false}, {-4, 100, false},
	} {
		err := checkSize(c.w, c.h)
		require.Equal(t, c.ok, err == nil, "%dx%d: %v", c.w, c.h, err)
	}
}

// FuzzParameters reads what cameras call a sequence parameter set.
func FuzzParameters(f *testing.F) {
	for _, name := range []string{"walk.h264", "10bit.h264", "422_odd.h264", "walk.h265", "10bit.h265", "gray_odd.h265"} {
		au := readUnits(f, name)[0]
		f.Add(au.Codec == ingest.H265, findSPS(au.Codec, au.NALUs))
	}
	f.Fuzz(func(t *testing.T, h265 bool, sps []byte) {
		codec := ingest.H264
		if h265 {
			codec = ingest.H265
		}
		var p parameters
		err := p.update(codec, [][]byte{sps})
		if err != nil {
			require.Equal(t, ingest.ReasonUnsupportedSize, ingest.ReasonOf(err))
		}
	})
}
