package media

import "time"

const (
	clockRate   = 90000 // Hz, of PES time stamps and, as it should be, of RTP timestamps
	ptsBits     = 33    // ISO/IEC 13818-1 §2.4.3.7
	rateAfter   = 2 * time.Second
	unknownTime = -1 // of a PES packet without PTS
)

// mediaClock makes one clock out of what a device says: PES time stamps where
// there are any, else RTP timestamps, else the times of receipt. A time stamp
// that does not move says nothing. What it returns goes on where it was when
// the kind of time stamp changes; jumps within one kind are left to the fleet.
// The zero value is ready.
type mediaClock struct {
	begun  bool
	out    time.Duration // newest answer
	outAt  time.Time
	pes    anchor
	rtp    anchor
	rtpMS  bool // RTP timestamps count milliseconds
	rateAt time.Time
	rateTS int64 // RTP ticks at rateAt
}

// anchor is one counter that wraps, unwrapped, and where it stands on the
// clock.
type anchor struct {
	known bool
	last  int64
	ticks int64         // unwrapped
	base  time.Duration // clock = base + ticks
}

// step unwraps v and says whether it moved.
func (a *anchor) step(v int64, bits uint) (moved bool) {
	if !a.known {
		return false
	}
	d := (v - a.last) << (64 - bits) >> (64 - bits) // signed, modulo the width
	a.last = v
	a.ticks += d
	return d != 0
}

// at returns the time of a picture with PES time stamp pts (unknownTime if it
// has none), RTP timestamp ts, received at at.
func (c *mediaClock) at(pts int64, ts uint32, at time.Time) time.Duration {
	if !c.begun {
		c.begun, c.outAt, c.rateAt = true, at, at
		c.rtp = anchor{known: true, last: int64(ts)}
		if pts != unknownTime {
			c.pes = anchor{known: true, last: pts}
		}
		return 0
	}
	waited := max(at.Sub(c.outAt), 0)
	rtpMoved := c.rtp.step(int64(ts), 32)
	c.measure(at)
	out := c.out + waited
	if rtpMoved {
		out = c.rtp.base + c.rtpTime()
	}
	switch {
	case pts == unknownTime:
	case !c.pes.known:
		c.pes = anchor{known: true, last: pts, base: out}
	case c.pes.step(pts, ptsBits):
		out = c.pes.base + ticks(c.pes.ticks, clockRate)
	}
	// Whichever did not decide goes along. A time stamp that is missing once
	// counts on from the one before it.
	c.rtp.base = out - c.rtpTime()
	if pts != unknownTime {
		c.pes.base = out - ticks(c.pes.ticks, clockRate)
	}
	c.out, c.outAt = out, at
	return out
}

func (c *mediaClock) rtpTime() time.Duration {
	if c.rtpMS {
		return ticks(c.rtp.ticks, 1000)
	}
	return ticks(c.rtp.ticks, clockRate)
}

// measure tells milliseconds from 90 kHz: over two seconds they are 90 times
// apart, so that even playback at eight times the speed does not mislead.
func (c *mediaClock) measure(at time.Time) {
	passed := at.Sub(c.rateAt)
	if passed < rateAfter {
		return
	}
	perSecond := float64(c.rtp.ticks-c.rateTS) / passed.Seconds()
	if ms := perSecond > 300 && perSecond < 3000; ms != c.rtpMS {
		c.rtpMS = ms
		c.rtp.base = c.out - c.rtpTime()
	}
	c.rateAt, c.rateTS = at, c.rtp.ticks
}

// ticks converts without overflow for centuries.
func ticks(n, rate int64) time.Duration {
	return time.Duration(n/rate)*time.Second + time.Duration(n%rate)*time.Second/time.Duration(rate)
}
