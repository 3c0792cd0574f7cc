package ingest

import (
	"sync"
	"time"
)

// maxPendingStates bounds the states that wait for a slow listener. Beyond it
// the newest replaces the last, so that the listener misses steps but never the
// outcome.
const maxPendingStates = 64

// states guards the facts of one camera and tells a listener of every change,
// in order, one call at a time. The listener is called without a lock held, so
// it may ask the fleet for states.
type states struct {
	listen func(State)

	mu      sync.Mutex
	facts   *facts
	pending []State
	telling bool
}

// change applies f to the facts and tells the listener if f says they changed.
func (s *states) change(f func(*facts, time.Time) bool) {
	s.mu.Lock()
	if f(s.facts, time.Now()) {
		if len(s.pending) == maxPendingStates {
			s.pending[len(s.pending)-1] = s.facts.state
		} else {
			s.pending = append(s.pending, s.facts.state)
		}
	}
	if s.telling {
		s.mu.Unlock()
		return // whoever tells now will tell this one too
	}
	s.telling = true
	for len(s.pending) > 0 {
		next := s.pending[0]
		s.pending = s.pending[1:]
		s.mu.Unlock()
		s.listen(next)
		s.mu.Lock()
	}
	s.telling = false
	s.mu.Unlock()
}

func (s *states) get() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.facts.state
}
