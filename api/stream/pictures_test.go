package stream

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPicturesGoOnBesideLiveAlerts: alerts of now wake the producer again and
// again; it sees nevertheless that the stream of pictures has room again.
func TestPicturesGoOnBesideLiveAlerts(t *testing.T) {
	_, c := redisServer(t)
	o := openBox(t, t.TempDir(), OutboxOptions{})
	const pictures = 20
	for i := range pictures {
		mustPut(t, o, alertEnvelope("cam-1", i, 100))
	}
	stopLive := background(t, func(ctx context.Context) error {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			}
			if _, err := o.Put(alertEnvelope(fmt.Sprint("live-", n%8), n, 0)); err != nil {
				return err
			}
		}
	})
	d := &desk{}
	// As shipped, but for a stream that is full of two pictures.
	stopProducer := background(t, NewProducer(ProducerOptions{Outbox: o, Redis: c, Stream: testStream, Batch: 1, Pictures: 2, Log: quiet()}).Run)
	stopConsumer := background(t, NewConsumer(ConsumerOptions{Redis: c, Stream: testStream, Group: testGroup, Name: "a", Handle: d.handle, Log: quiet()}).Run)
	require.Eventually(t, func() bool {
		n := 0
		for _, m := range d.messages() {
			if m.Envelope.Picture != nil {
				n++
			}
		}
		return n == pictures
	}, 30*time.Second, 10*time.Millisecond)
	stopLive()
	stopProducer()
	stopConsumer()
}
