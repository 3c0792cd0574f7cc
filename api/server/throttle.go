package server

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// Login throttling. A few mistakes are free; each further one closes the door
// for twice as long. The user's limit stops guessing at one account from many
// places, the address's limit stops trying many accounts from one place.
const (
	userFree      = 5  // failed logins of one name before the door closes
	clientFree    = 30 // failed logins from one address before the door closes
	firstBlock    = 15 * time.Second
	longestBlock  = 15 * time.Minute
	forgetAfter   = 30 * time.Minute // without a failure
	throttleItems = 10_000           // names or addresses remembered; the one that failed longest ago goes first
)

// throttle counts failures by key. Its memory is bounded by items.
type throttle struct {
	free  int
	items int
	now   func() time.Time

	mu    sync.Mutex
	order *list.List               // of *failures, the latest in front
	byKey map[string]*list.Element // same elements
}

type failures struct {
	key   string
	count int
	last  time.Time
	until time.Time // closed until then
}

func newThrottle(free, items int, now func() time.Time) *throttle {
	return &throttle{free: free, items: items, now: now, order: list.New(), byKey: make(map[string]*list.Element)}
}

// Begin asks to try the key. It returns how long the key is still refused, or 0
// and counts the attempt as a failure right away, so that many attempts at once
// cannot all pass before the first has failed. Undo or Forget takes it back.
func (t *throttle) Begin(key string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	e, ok := t.byKey[key]
	if ok {
		if wait := e.Value.(*failures).until.Sub(now); wait > 0 {
			return wait
		}
	} else {
		e = t.add(key)
	}
	f := e.Value.(*failures)
	if now.Sub(f.last) > forgetAfter {
		f.count = 0
	}
	f.count, f.last = f.count+1, now
	if over := f.count - t.free; over >= 0 {
		// The shift is bounded before it can overflow.
		f.until = now.Add(min(longestBlock, firstBlock<<min(over, 10)))
	}
	t.order.MoveToFront(e)
	return 0
}

// add makes room for the key and returns its new element. mu is held.
func (t *throttle) add(key string) *list.Element {
	if t.order.Len() >= t.items {
		oldest := t.order.Back()
		delete(t.byKey, oldest.Value.(*failures).key)
		t.order.Remove(oldest)
	}
	e := t.order.PushFront(&failures{key: key})
	t.byKey[key] = e
	return e
}

// Undo takes the latest attempt back: it did not fail. Earlier failures stay,
// so one good account does not buy free guesses at the others.
func (t *throttle) Undo(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.byKey[key]
	if !ok {
		return
	}
	f := e.Value.(*failures)
	f.count, f.until = f.count-1, time.Time{}
	if f.count <= 0 {
		delete(t.byKey, key)
		t.order.Remove(e)
	}
}

// Forget drops the key: its owner has shown the right password.
func (t *throttle) Forget(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e, ok := t.byKey[key]; ok {
		delete(t.byKey, key)
		t.order.Remove(e)
	}
}

// Len returns how many keys are remembered.
func (t *throttle) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.order.Len()
}

// clientKey returns the address that is throttled for a client: an IPv6 host
// owns its whole /64, so one such network counts as one client.
func clientKey(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return "unknown"
	}
	a = a.Unmap().WithZone("")
	if a.Is6() {
		p, err := a.Prefix(64)
		if err != nil {
			return "unknown"
		}
		return p.String()
	}
	return a.String()
}
