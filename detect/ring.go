package detect

import (
	"sync"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// Ring keeps the coded pictures of one camera from the key unit before last on:
// the current and the previous GOP. From the last key unit a decoder can catch up
// with the camera. A unit in the ring is never changed again, by nobody, and may
// be shared by any number of readers: it lives as long as one of them, or the
// ring, holds it, and Go's garbage collector is the reference count.
//
// A unit in which gradual refresh begins (Recovery) is as good as a key unit where
// there is none to decode from.
//
// A ring is broken while decoding from its last key unit to now would go wrong:
// before the first key unit, after a loss, and after a GOP that did not fit. The
// next key unit mends it. Its methods may be called from any goroutine.
type Ring struct {
	maxBytes int

	mu       sync.Mutex
	current  []ingest.AccessUnit // from the last key unit on; empty when broken
	previous []ingest.AccessUnit
	sizes    [2]int // bytes of current and previous
}

// NewRing returns an empty ring that holds at most maxBytes bytes of NAL units,
// at least one key unit's worth: a single GOP above it is given up.
func NewRing(maxBytes int) *Ring { return &Ring{maxBytes: maxBytes} }

// Fits says whether the unit can join the current GOP without breaking the
// ring. The previous GOP makes room.
func (r *Ring) Fits(au *ingest.AccessUnit) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.begins(au) || r.sizes[0]+au.Size() <= r.maxBytes
}

// Put appends a unit, which belongs to the ring and all its readers from now on.
// A key unit begins a new GOP and pushes the one before the previous out. A unit
// that is no key unit and has lost something before it, or does not fit, breaks
// the ring.
func (r *Ring) Put(au ingest.AccessUnit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	size := au.Size()
	switch {
	case r.begins(&au):
		r.previous, r.current = r.current, append(r.take(r.previous), au)
		r.sizes[1], r.sizes[0] = r.sizes[0], size
	case len(r.current) == 0:
		return
	case au.Lost || r.sizes[0]+size > r.maxBytes:
		r.breakUp()
		return
	default:
		r.current = append(r.current, au)
		r.sizes[0] += size
	}
	if r.sizes[0]+r.sizes[1] > r.maxBytes {
		r.previous, r.sizes[1] = r.take(r.previous), 0
	}
}

// begins says whether the current GOP begins, or begins anew, with this unit.
func (r *Ring) begins(au *ingest.AccessUnit) bool {
	return au.Key || au.Recovery > 0 && (au.Lost || len(r.current) == 0 || !r.current[0].Key)
}

// take empties a list and lets its units go; the list itself is used again.
func (r *Ring) take(list []ingest.AccessUnit) []ingest.AccessUnit {
	clear(list)
	return list[:0]
}

// Break says that units were lost: nothing can be decoded until the next key
// unit.
func (r *Ring) Break() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.breakUp()
}

func (r *Ring) breakUp() {
	r.current, r.previous, r.sizes = r.take(r.current), r.take(r.previous), [2]int{}
}

// Bytes returns how many bytes of NAL units the ring holds.
func (r *Ring) Bytes() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sizes[0] + r.sizes[1]
}

// Pictures returns how many units there are from the last key unit to now.
func (r *Ring) Pictures() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.current)
}

// Snapshot returns the units from the last key unit to now, oldest first, or nil
// when the ring is broken. The list is the caller's; the units are shared and
// must not be changed.
func (r *Ring) Snapshot() []ingest.AccessUnit {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]ingest.AccessUnit(nil), r.current...)
}

// PreRoll is Snapshot from the key unit before the last one on, where the ring
// still has it.
func (r *Ring) PreRoll() []ingest.AccessUnit {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]ingest.AccessUnit, 0, len(r.previous)+len(r.current))
	return append(append(out, r.previous...), r.current...)
}
