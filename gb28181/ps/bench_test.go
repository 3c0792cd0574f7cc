package ps

import (
	"crypto/sha256"
	"io"
	"os"
	"os/exec"
	"testing"
)

// BenchmarkDemux reads 60 pictures of 2 to 30 KB in packets of 1,400 bytes. Copy
// and SHA-256 of the same bytes are the yardsticks: no demuxer is faster than
// the copy, and the hash is what one would call cheap.
func BenchmarkDemux(b *testing.B) {
	for _, c := range clips {
		stream := muxed(clip(b, c.file, 60), c.streamType, true)
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(stream)))
			b.ReportAllocs()
			frames := 0
			d := NewDemuxer(func(Packet) { frames++ })
			for b.Loop() {
				write(d, stream, 1400)
			}
			if frames == 0 {
				b.Fatal("no frames")
			}
		})
	}
	stream := muxed(clip(b, "lawn.h264", 60), TypeH264, true)
	b.Run("yardstick copy", func(b *testing.B) {
		b.SetBytes(int64(len(stream)))
		to := make([]byte, len(stream))
		for b.Loop() {
			copy(to, stream)
		}
	})
	b.Run("yardstick SHA-256", func(b *testing.B) {
		b.SetBytes(int64(len(stream)))
		for b.Loop() {
			sha256.Sum256(stream)
		}
	})
}

func BenchmarkMux(b *testing.B) {
	frames := clip(b, "lawn.h264", 60)
	m := NewMuxer(TypeH264)
	b.SetBytes(int64(len(elementary(frames))))
	b.ReportAllocs()
	var out []byte
	for b.Loop() {
		out = out[:0]
		for i, f := range frames {
			out = m.Frame(out, f.data, int64(i)*9000, f.key)
		}
	}
}

// BenchmarkFFmpegCopy is FFmpeg reading 64 copies of the stream from a file and
// writing the pictures to nowhere, its start included.
func BenchmarkFFmpegCopy(b *testing.B) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		b.Skip("ffmpeg is not installed")
	}
	stream := muxed(clip(b, "lawn.h264", 60), TypeH264, true)
	path := b.TempDir() + "/in.ps"
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	for range 64 {
		if _, err := f.Write(stream); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(64 * int64(len(stream)))
	for b.Loop() {
		cmd := exec.Command("ffmpeg", "-v", "quiet", "-i", path, "-map", "0:v", "-c", "copy", "-f", "h264", "-")
		cmd.Stdout = io.Discard
		if err := cmd.Run(); err != nil {
			b.Fatal(err)
		}
	}
}
