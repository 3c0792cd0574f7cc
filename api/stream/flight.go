package stream

import (
	"slices"
	"sync"
	"time"
)

// flight is what Redis has accepted and no center has said to be committed. It
// is safe for concurrent use. Its size is bounded by ProducerOptions.MaxLen and
// one batch.
type flight struct {
	mu    sync.Mutex
	ids   map[part]string // of the entries in the stream
	leave map[part]bool   // on their way into the stream: a center may have committed them before Redis's answer is read
	order []flown         // as sent; parts that have landed are left out when they come to the front
	again []part          // texts that Redis has lost
	ready []part          // pictures whose alert is committed, lost ones first
	wake  chan struct{}   // capacity 1: there is something in again or ready
	doubt bool            // everything is to be looked up
}

type flown struct {
	part
	id string
	at time.Time
}

func newFlight() *flight {
	return &flight{ids: map[part]string{}, leave: map[part]bool{}, wake: make(chan struct{}, 1)}
}

// sending notes what is given to Redis now; sent or unsent follows.
func (f *flight) sending(entries []entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range entries {
		f.leave[e.part] = true
	}
}

// unsent notes that what was given to Redis may not stand there.
func (f *flight) unsent() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.leave)
}

// sent notes that the part stands in the stream under id, unless it landed already.
func (f *flight) sent(p part, id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.leave[p] {
		return
	}
	delete(f.leave, p)
	f.ids[p] = id
	f.order = append(f.order, flown{p, id, time.Now()})
}

// without leaves out entries that Redis has already.
func (f *flight) without(entries []entry) []entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(entries, func(e entry) bool { return f.ids[e.part] != "" })
}

// landed forgets parts that are committed.
func (f *flight) landed(parts []part) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range parts {
		delete(f.ids, p)
		delete(f.leave, p)
	}
	f.clean()
}

// clean removes from the front what has landed or was sent again, and all of it
// when most of the list is such. The caller holds mu.
func (f *flight) clean() {
	gone := func(x flown) bool { return f.ids[x.part] != x.id }
	n := 0
	for n < len(f.order) && gone(f.order[n]) {
		n++
	}
	f.order = f.order[n:]
	if len(f.order) > 2*len(f.ids)+1024 {
		f.order = slices.DeleteFunc(slices.Clone(f.order), gone)
	}
}

// suspect asks for everything to be looked up.
func (f *flight) suspect() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.doubt = true
}

// inDoubt reports whether everything is to be looked up.
func (f *flight) inDoubt() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.doubt
}

// overdue returns parts that should be looked up: the oldest n when they were
// sent before the given time, all in doubt.
func (f *flight) overdue(before time.Time, n int) []flown {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clean()
	all := f.doubt
	f.doubt = false
	var out []flown
	for _, x := range f.order {
		if !all && (len(out) == n || !x.at.Before(before)) {
			break
		}
		if f.ids[x.part] == x.id {
			out = append(out, x)
		}
	}
	return out
}

// lose says that Redis does not have these any more, and returns how many of them
// no center had committed.
func (f *flight) lose(gone []flown) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	var parts []part
	for _, x := range gone {
		if f.ids[x.part] == x.id {
			delete(f.ids, x.part)
			parts = append(parts, x.part)
		}
	}
	f.queue(parts)
	return len(parts)
}

// prepare says that these pictures may follow their alerts.
func (f *flight) prepare(pictures []part) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ready = append(f.ready, pictures...)
	f.tell()
}

// takeLost takes up to n texts to send again, in their order.
func (f *flight) takeLost(n int) []part { return f.take(&f.again, n) }

// takeReady takes up to n pictures to send, in the order of their alerts' commit.
func (f *flight) takeReady(n int) []part { return f.take(&f.ready, n) }

func (f *flight) take(from *[]part, n int) []part {
	f.mu.Lock()
	defer f.mu.Unlock()
	n = min(n, len(*from))
	out := slices.Clone((*from)[:n])
	*from = (*from)[n:]
	return out
}

// putBack returns parts that could not be sent to the front of what is next.
func (f *flight) putBack(parts []part) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue(parts)
}

// queue puts parts at the front: text may overtake everything, a picture only
// other pictures. The caller holds mu.
func (f *flight) queue(parts []part) {
	var texts, pictures []part
	for _, p := range parts {
		if p.picture {
			pictures = append(pictures, p)
		} else {
			texts = append(texts, p)
		}
	}
	f.again, f.ready = append(texts, f.again...), append(pictures, f.ready...)
	f.tell()
}

// tell wakes whoever waits on work. The caller holds mu.
func (f *flight) tell() {
	if len(f.again)+len(f.ready) == 0 {
		return
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// work returns a channel that gives a value when there may be parts to take.
func (f *flight) work() <-chan struct{} { return f.wake }

// size returns how many parts wait to be committed.
func (f *flight) size() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.ids)
}
