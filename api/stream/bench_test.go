package stream

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkPut measures durable envelopes per second: one caller after the
// other, and as many at once as a node has cameras.
func BenchmarkPut(b *testing.B) {
	for _, callers := range []int{2, 16, 64, 300} {
		for _, size := range []int{0, 40_000} {
			b.Run(fmt.Sprintf("callers=%d/picture=%d", callers, size), func(b *testing.B) {
				o := openBox(b, b.TempDir(), OutboxOptions{})
				e := alertEnvelope("cam-1", 1, size)
				b.SetParallelism(callers / 2) // times GOMAXPROCS
				var n atomic.Int64
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if _, err := o.Put(e); err != nil {
							b.Error(err)
							return
						}
						n.Add(1)
					}
				})
				b.ReportMetric(float64(n.Load())/b.Elapsed().Seconds(), "alerts/s")
			})
		}
	}
}

// BenchmarkOpen measures how long an outbox takes to open after a crash.
func BenchmarkOpen(b *testing.B) {
	for _, entries := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprintf("entries=%d", entries), func(b *testing.B) {
			dir := b.TempDir()
			fill(b, dir, entries)
			b.ResetTimer()
			for range b.N {
				o, err := OpenOutbox(dir, OutboxOptions{Log: quiet(), MaxBytes: 4 << 30})
				if err != nil || o.Depth() != entries {
					b.Fatalf("%v, depth %d", err, o.Depth())
				}
				b.StopTimer()
				if err := o.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// fill writes segments as an outbox does, without a sync for each group.
func fill(b *testing.B, dir string, entries int) {
	b.Helper()
	o := openBox(b, dir, OutboxOptions{MaxBytes: 4 << 30, SegmentBytes: 8 << 20})
	p := &put{}
	if _, err := o.enqueue(alertEnvelope("cam-1", 1, 0), p); err != nil {
		b.Fatal(err)
	}
	body := p.rec.body
	o.wake <- struct{}{}
	if err := o.Close(); err != nil {
		b.Fatal(err)
	}
	seq := uint64(1)
	for seq < uint64(entries) {
		id := seq + 1
		buf := appendHeader(nil, id)
		for len(buf) < 8<<20 && seq < uint64(entries) {
			seq++
			buf = appendFrame(buf, id, int64(len(buf)), &record{kind: kindAlert, seq: seq, at: time.Now().UnixMilli(), body: body})
		}
		if err := os.WriteFile(o.path(id, textSuffix), buf, 0o600); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDrain measures the way from a full outbox to the handler.
func BenchmarkDrain(b *testing.B) {
	for _, size := range []int{0, 40_000} {
		b.Run(fmt.Sprintf("picture=%d", size), func(b *testing.B) {
			_, c := redisServer(b)
			o := openBox(b, b.TempDir(), OutboxOptions{MaxBytes: 8 << 30})
			done := make(chan error, 64)
			for worker := range 64 {
				go func() {
					for i := worker; i < b.N; i += 64 {
						if _, err := o.Put(alertEnvelope(fmt.Sprint("cam-", worker), i, size)); err != nil {
							done <- err
							return
						}
					}
					done <- nil
				}()
			}
			for range 64 {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
			d := &desk{}
			b.ResetTimer()
			stopProducer := producer(b, c, o)
			stopConsumer := consumer(b, c, "a", d)
			d.awaits(b, b.N)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "alerts/s")
			b.StopTimer()
			stopProducer()
			stopConsumer()
		})
	}
}
