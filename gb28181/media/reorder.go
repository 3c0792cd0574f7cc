package media

import "time"

// Bounds of the reordering of UDP packets.
const (
	window     = 128                    // packets that may wait for one that is missing
	heldBytes  = 1 << 20                // bytes that may wait
	heldFor    = 200 * time.Millisecond // how long they may wait
	keepBuffer = 4 << 10                // buffers larger than this are not kept for the next packet
	lateBy     = 1000                   // farther behind than this is a sender that began anew
	aheadBy    = 3000                   // so is farther ahead
)

// reorder puts UDP packets into the order of their sequence numbers. What is in
// order passes without a copy; what is early waits for at most window packets,
// heldBytes bytes or heldFor, then the gap is given up. It is not safe for
// concurrent use.
type reorder struct {
	out func(p packet, lost int, at time.Time) // lost packets stand before p

	begun  bool
	next   uint16 // the sequence number that is waited for
	missed int    // given up since the last packet that went out
	held   [window]waiting
	n      int // held
	bytes  int // held
	since  time.Time
	recent [256]uint32 // sequence numbers seen, by their low byte, bit 16 set

	reordered, late, dup, lost uint64
}

// waiting is an early packet.
type waiting struct {
	used bool
	p    packet
	at   time.Time
	buf  []byte // owns the payload; kept for the next one
}

// push takes a packet, whose payload is valid during the call.
func (r *reorder) push(p packet, at time.Time) {
	if !r.begun {
		r.begun, r.next = true, p.seq
	}
	diff := int16(p.seq - r.next)
	switch {
	case diff == 0:
		if r.n > 0 {
			r.reordered++
		}
		r.pass(p, at)
		r.drain()
	case diff < -lateBy || diff > aheadBy:
		r.restart(p, at)
	case r.seen(p.seq):
		r.dup++
		return
	case diff < 0:
		r.late++
		return
	default:
		for int16(p.seq-r.next) >= window {
			r.giveUp()
		}
		if p.seq == r.next {
			r.pass(p, at)
			r.drain()
		} else {
			r.hold(p, at)
		}
	}
	r.recent[p.seq&0xff] = uint32(p.seq) | 1<<16
	for r.n > 0 && (r.bytes > heldBytes || at.Sub(r.since) > heldFor) {
		r.giveUp()
	}
}

func (r *reorder) seen(seq uint16) bool { return r.recent[seq&0xff] == uint32(seq)|1<<16 }

func (r *reorder) pass(p packet, at time.Time) {
	missed := r.missed
	r.missed = 0
	r.next = p.seq + 1
	r.out(p, missed, at)
}

func (r *reorder) hold(p packet, at time.Time) {
	w := &r.held[p.seq%window]
	if r.n == 0 {
		r.since = at
	}
	w.buf = append(w.buf[:0], p.payload...)
	w.used, w.p, w.at = true, p, at
	w.p.payload = w.buf
	r.n++
	r.bytes += len(w.buf)
}

// drain passes on what waited for the packet that came.
func (r *reorder) drain() {
	for r.n > 0 {
		w := &r.held[r.next%window]
		if !w.used {
			return
		}
		w.used = false
		r.n--
		r.bytes -= len(w.buf)
		r.pass(w.p, w.at)
		if cap(w.buf) > keepBuffer {
			w.buf = nil
		}
		r.since = w.at // what still waits came about then
	}
}

// giveUp stops waiting for the next packet.
func (r *reorder) giveUp() {
	r.lost++
	r.missed++
	r.next++
	r.drain()
}

// flush passes on what waits, whatever is missing between.
func (r *reorder) flush() {
	for r.n > 0 {
		r.giveUp()
	}
}

// restart follows a sender that began to count anew, or was away for long.
func (r *reorder) restart(p packet, at time.Time) {
	r.flush()
	r.lost++ // that many cannot be known
	r.missed++
	r.recent = [256]uint32{}
	r.pass(p, at)
}
