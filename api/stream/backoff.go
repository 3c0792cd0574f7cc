package stream

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff gives growing waits with full jitter, so that many edges that lost
// the same Redis do not come back in step.
type backoff struct {
	min, max time.Duration
	next     time.Duration
}

// reset starts again with the shortest wait.
func (b *backoff) reset() { b.next = 0 }

// wait blocks for the next wait or until ctx is done, and returns ctx.Err().
func (b *backoff) wait(ctx context.Context) error {
	b.next = min(max(b.next*2, b.min), b.max)
	t := time.NewTimer(b.min/2 + rand.N(b.next))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
	return ctx.Err()
}
