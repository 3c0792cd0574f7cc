package gb28181

import (
	"net/netip"
	"sync"
	"time"
)

// bucket is a token bucket.
type bucket struct {
	tokens float64
	at     time.Time
}

// take takes a token when there is one.
func (b *bucket) take(rate, burst float64, now time.Time) bool {
	if b.at.IsZero() {
		b.tokens = burst
	} else {
		b.tokens = min(burst, b.tokens+now.Sub(b.at).Seconds()*rate)
	}
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// What a stranger, or somebody who has no password, may do.
const (
	strangerRate  = 100 // answers a second to all IDs that are not configured
	strangerBurst = 200
	callerRate    = 2 // challenges a second to one device at one address
	callerBurst   = 20
	maxCallers    = 16384
	triesAllowed  = 5                // wrong passwords of one device at one address
	firstPenalty  = 30 * time.Second // then it is refused unheard; doubles each time
	longPenalty   = 15 * time.Minute
)

// caller is one device as one address claims to be it.
type caller struct {
	device string
	addr   netip.Addr
}

type callerState struct {
	asked   bucket
	tries   int
	penalty time.Duration
	until   time.Time // refused before this
}

// throttle keeps those who try passwords, and those who flood, from costing
// others: the work for them is bounded, and so is the memory.
type throttle struct {
	mu        sync.Mutex
	strangers bucket
	callers   map[caller]*callerState
}

func newThrottle() *throttle { return &throttle{callers: make(map[caller]*callerState)} }

// stranger says whether an ID that is not configured gets an answer.
func (t *throttle) stranger(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.strangers.take(strangerRate, strangerBurst, now)
}

// ask says whether a caller gets another challenge.
func (t *throttle) ask(c caller, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.get(c, now).asked.take(callerRate, callerBurst, now)
}

// barred says until when a caller is refused unheard; zero for not at all.
func (t *throttle) barred(c caller, now time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.callers[c]; s != nil && s.until.After(now) {
		return s.until
	}
	return time.Time{}
}

// wrong counts a wrong password and returns until when the caller is barred now,
// zero when it may go on.
func (t *throttle) wrong(c caller, now time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.get(c, now)
	s.tries++
	if s.tries < triesAllowed {
		return time.Time{}
	}
	s.tries = 0
	s.penalty = min(max(firstPenalty, 2*s.penalty), longPenalty)
	s.until = now.Add(s.penalty)
	return s.until
}

// right forgets what a caller did wrong.
func (t *throttle) right(c caller) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.callers, c)
}

// get returns the state of a caller. When the table is full, those who did
// nothing for a while go first, then whoever the map gives: an attacker who fills
// it with addresses wins forgetfulness for his addresses, no memory.
func (t *throttle) get(c caller, now time.Time) *callerState {
	if s := t.callers[c]; s != nil {
		return s
	}
	if len(t.callers) >= maxCallers {
		t.sweepLocked(now)
		for k := range t.callers {
			if len(t.callers) < maxCallers*3/4 {
				break
			}
			delete(t.callers, k)
		}
	}
	s := &callerState{}
	t.callers[c] = s
	return s
}

// sweep forgets callers that did nothing wrong for a while.
func (t *throttle) sweep(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweepLocked(now)
}

func (t *throttle) sweepLocked(now time.Time) {
	for k, s := range t.callers {
		if now.Sub(s.asked.at) > time.Minute && now.Sub(s.until) > longPenalty {
			delete(t.callers, k)
		}
	}
}
