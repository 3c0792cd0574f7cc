package simulate

import (
	"math"
	"time"
)

// playhead is the place in a clip that is played round and round, forwards or,
// as GB/T 28181-2022 annex B has it, backwards: then the groups of pictures come
// last first, each in its own order, so that they can be decoded.
type playhead struct {
	clip    *clip
	every   time.Duration // at least one key frame in this time; 0: as they come
	scale   float64       // below 0: backwards
	paused  bool
	index   int           // of the next unit
	at      time.Duration // media time of the next unit, which never goes round
	lastKey time.Duration

	// Of the group that plays, backwards only. Its beginning is at lastKey.
	first int           // index of its key frame
	until time.Duration // media time of its end
	over  bool          // there is none before it
}

// ended says whether a record of that length is over, at its end or, backwards,
// at its beginning.
func (p *playhead) ended(length time.Duration) bool {
	if p.scale < 0 {
		return p.over
	}
	return p.at >= length
}

// take returns the next unit; at is its time until step is called.
func (p *playhead) take() *unit {
	if p.every > 0 && p.at-p.lastKey >= p.every {
		p.toKey()
	}
	u := &p.clip.units[p.index]
	if u.key {
		p.lastKey = p.at
	}
	return u
}

// step goes on to the next unit and returns the time until it is due.
func (p *playhead) step() time.Duration {
	p.index = (p.index + 1) % len(p.clip.units)
	p.at += p.clip.interval
	if p.scale < 0 && p.at >= p.until {
		p.index, p.at = p.first, p.lastKey
		p.back()
	}
	return time.Duration(float64(p.clip.interval) / math.Abs(p.scale))
}

// toKey goes on with a key frame; backwards, each group begins with one.
func (p *playhead) toKey() {
	if p.scale > 0 {
		p.index = p.clip.nextKey(p.index)
	}
}

// back goes to the beginning of the group that ends before the next unit.
func (p *playhead) back() {
	if p.at <= 0 {
		p.over = true
		return
	}
	size := p.clip.sinceKey(p.index)
	length := time.Duration(size) * p.clip.interval
	if p.every > 0 {
		length = min(length, p.every) // the rest is left out, as forwards
	}
	begin := max(p.at-length, 0)
	p.until = p.at
	p.first = (p.index - size + len(p.clip.units)) % len(p.clip.units)
	p.index, p.at, p.lastKey = p.first, begin, begin
}

// obey changes speed, direction, place or rest.
func (p *playhead) obey(o order) {
	p.paused = o.pause
	turned := o.scale < 0 && p.scale > 0
	if o.scale != 0 {
		p.scale = o.scale
	}
	moved := o.seek >= 0 && !o.pause
	if moved {
		p.at = o.seek
		p.lastKey = o.seek
		p.index = p.clip.nextKey(int(o.seek/p.clip.interval) % len(p.clip.units))
	}
	if turned || (moved && p.scale < 0) {
		p.back()
	}
}
