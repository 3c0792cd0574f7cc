package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/sharpeyes/sharpeyes/api"
)

// BenchmarkSave keeps alerts with a picture of 60 kB each, as one busy edge
// sends them: alone, and in the batches that a backlog comes in.
func BenchmarkSave(b *testing.B) {
	for _, size := range []int{1, 100} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			dir := b.TempDir()
			s, err := Open(b.Context(), Options{Path: dir + "/center.db", PictureDir: dir + "/pictures"})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			pad := string(make([]byte, 60_000))
			seq := uint64(0)
			for b.Loop() {
				batch := make([]*api.Envelope, size)
				for i := range batch {
					seq++
					batch[i] = alertEnvelope(seq, fmt.Sprint(seq), api.Opened, time.Second, withPicture(jpeg(fmt.Sprint(seq, pad), noon)))
				}
				if _, err := s.Save(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(seq), "µs/alert")
		})
	}
}
