//go:build cgo

package ffmpeg

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// residentMiB reads the resident memory of this process.
func residentMiB(t *testing.T) float64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("no /proc on this system")
	}
	var total, resident int
	_, err = fmt.Sscan(string(b), &total, &resident)
	require.NoError(t, err)
	return float64(resident) * float64(os.Getpagesize()) / (1 << 20)
}

// A decoder that was closed leaves nothing: 200 of them, each with pictures of
// several sizes and formats and with errors, hold no more than the first 20.
// One that leaked its last 1080p picture alone would keep 3 MiB.
func TestDecoderMemory(t *testing.T) {
	files := []string{"bench_1080p.h264", "10bit.h264", "walk.h264", "bench_360p.h264"}
	var streams [][]ingest.AccessUnit
	for _, f := range files {
		streams = append(streams, readUnits(t, f)[:3])
	}
	h265 := readUnits(t, "bench_1080p.h265")[:3]
	cycle := func() {
		d := open(t, ingest.H264)
		for _, units := range streams {
			for _, au := range units {
				_, err := d.Decode(au)
				require.NoError(t, err)
			}
			_, err := d.Decode(ingest.AccessUnit{Codec: ingest.H264, Key: true, NALUs: [][]byte{{0x65, 1, 2, 3}}})
			require.Error(t, err)
		}
		d.Close()
		e := open(t, ingest.H265)
		for _, au := range h265 {
			_, err := e.Decode(au)
			require.NoError(t, err)
		}
		e.Close()
	}
	for range 20 {
		cycle()
	}
	before := residentMiB(t)
	for range 80 {
		cycle()
	}
	require.Less(t, residentMiB(t)-before, 40.0, "MiB grown over 160 decoders")
}
