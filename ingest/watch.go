package ingest

import (
	"sync"
	"time"
)

// watch looks whether the source does what it should and returns when to look
// again. It works when the source blocks: facts and counters need no source.
func (w *worker) watch() time.Duration {
	timeout := w.states.facts.timeout
	var due time.Duration
	w.states.change(func(f *facts, at time.Time) bool {
		c := f.tick(at)
		due = f.dueIn(at)
		return c
	})
	w.mu.Lock()
	s := w.session
	w.mu.Unlock()
	next := timeout / 4
	if s != nil {
		next = min(next, s.check(timeout))
	}
	if due > 0 {
		next = min(next, due)
	}
	return max(next, time.Millisecond)
}

// check ends a session that does not do what it should, and otherwise returns
// how long it may go on like this.
func (s *session) check(timeout time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	left, why := 3*timeout-time.Since(s.begun), errStuck
	if s.connected {
		left, why = timeout-time.Since(s.last), errOverdue
	}
	if left > 0 {
		return left
	}
	s.end(why)
	return timeout
}

// every calls look again and again, after what it returns, until stop is
// called; stop waits for a look that is under way.
func every(look func() time.Duration) (stop func()) {
	var mu sync.Mutex
	var t *time.Timer
	stopped := false
	mu.Lock()
	defer mu.Unlock()
	t = time.AfterFunc(0, func() {
		mu.Lock()
		defer mu.Unlock()
		if !stopped {
			t.Reset(look())
		}
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		t.Stop()
	}
}
