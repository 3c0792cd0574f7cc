package gb28181

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/gb28181/simulate"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// firstUnit is a sink that notes when the first access unit came.
type firstUnit struct {
	at   time.Time
	stop func()
}

func (*firstUnit) Connected(string) {}
func (*firstUnit) Lost(uint64)      {}
func (f *firstUnit) Write(ingest.AccessUnit) {
	if f.at.IsZero() {
		f.at = time.Now()
		f.stop()
	}
}

// BenchmarkFirstUnit measures the time from INVITE to the first access unit on
// loopback, of a device that sends a key frame each second.
func BenchmarkFirstUnit(b *testing.B) {
	for _, transport := range []string{"tcp", "udp", "tcp-active"} {
		b.Run(transport, func(b *testing.B) {
			x := boxed(b, over(transport), simulate.Options{Channels: 8, KeyEvery: time.Second})
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				src, err := x.Source(x.camera(i % 8))
				require.NoError(b, err)
				ctx, cancel := context.WithTimeout(b.Context(), patience)
				f := &firstUnit{stop: cancel}
				begun := time.Now()
				_ = src.Run(ctx, f) // ended by the first unit
				require.False(b, f.at.IsZero(), "no access unit came")
				took = append(took, f.at.Sub(begun))
			}
			slices.Sort(took)
			ms := func(share float64) float64 {
				return float64(took[int(share*float64(len(took)-1))].Microseconds()) / 1000
			}
			b.ReportMetric(ms(0.5), "p50-ms")
			b.ReportMetric(ms(0.95), "p95-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}
