package ingest

import "time"

// Bounds of a media clock that runs as it should.
const (
	clockBack    = time.Second     // B-frames step back by less than this (decode order)
	clockForward = 2 * time.Second // ahead of the receipt times by more than this is a jump
)

// Clock makes a camera's media clock fit for use over one session: it starts at
// zero and a jump does not pass through. Small steps back are left alone, since
// units come in decode order and B-frames are shown before their references; a
// burst after a stall is left alone too, because there the receipt times jump
// and the media clock does not. The zero value is ready. It is not safe for
// concurrent use.
type Clock struct {
	begun  bool
	offset time.Duration // added to what the source says
	last   time.Duration // newest answer
	lastAt time.Time
}

// Next returns the clock value for a unit that the source stamped with raw and
// that was received at at, and whether the source's clock jumped. After a jump
// the clock goes on by the time that passed between the two receipts.
func (c *Clock) Next(raw time.Duration, at time.Time) (pts time.Duration, jumped bool) {
	if !c.begun {
		c.begun, c.offset, c.lastAt = true, -raw, at
		return 0, false
	}
	waited := max(at.Sub(c.lastAt), 0)
	pts = raw + c.offset
	step := pts - c.last
	if step < -clockBack || step > waited+clockForward {
		jumped = true
		pts = c.last + max(waited, time.Millisecond)
		c.offset = pts - raw
	}
	c.last, c.lastAt = max(c.last, pts), at
	return pts, jumped
}
