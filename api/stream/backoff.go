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

// step returns the next wait.
func (b *backoff) step() time.Duration {
	b.next = min(max(b.next*2, b.min), b.max)
	return b.min/2 + rand.N(b.next)
}

// wait blocks for the next wait or until ctx is done, and returns ctx.Err().
func (b *backoff) wait(ctx context.Context) error {
	t := time.NewTimer(b.step())
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
	return ctx.Err()
}
