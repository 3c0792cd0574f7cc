//go:build cgo

package ffmpeg

import "testing"

// BenchmarkDecode decodes real footage (25 pictures, one of them a key frame)
// over and over, motion's small picture included. One operation is one access
// unit.
func BenchmarkDecode(b *testing.B) {
	for _, file := range []string{"bench_1080p.h264", "bench_1080p.h265", "bench_360p.h264", "bench_360p.h265"} {
		b.Run(file, func(b *testing.B) {
			units := readUnits(b, file)
			d := open(b, units[0].Codec)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				f, err := d.Decode(units[i%len(units)])
				if err != nil || f == nil {
					b.Fatalf("unit %d: frame %v, %v", i, f != nil, err)
				}
			}
		})
	}
}
