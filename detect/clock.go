package detect

import "time"

// What a cell must do to be taken for a part of the clock that a camera writes
// into its picture.
const (
	clockSlack  = 200 * time.Millisecond // by which a second may be missed: pictures are looked at some times a second
	clockBurst  = 300 * time.Millisecond // changes closer than this are one
	clockTicks  = 3                      // seconds in a row
	clockReach  = 14                     // cells to the left and right of a ticking one: as far as date and time are written
	clockForget = time.Minute            // without a tick
	clockLooks  = 12                     // and that many pictures without one: at a key frame every ten seconds the last digit is always the same
	clockStep   = time.Second / 8        // between pictures when nobody says when they are of
)

// clockCells finds the cells that change about once a second, and takes them out
// of the search for motion. A cell of the clock jumps, stands still and jumps
// again a second or two later; what walks or sways changes in picture after
// picture. The last digit is found so. The others change too rarely; they are
// found because they only change in the instant in which the last one does, or
// because motion that was claimed there on a key frame turned out to be none.
// What is masked stays so as long as a part of it ticks.
type clockCells struct {
	w, h  int
	cells []clockCell
	most  int // masked cells, at most
	count int // masked cells
	now   uint32
	told  bool // now was set by who knows
	looks int  // pictures since a masked cell changed
	tick  uint32
	open  int // cells that ticked, but not often enough
}

// clockCell is what is known of one cell. Times are in milliseconds and run over
// after 49 days, which differences bear.
type clockCell struct {
	last   uint32 // it jumped
	burst  uint8  // pictures in a row
	ticks  uint8  // seconds in a row
	along  uint8  // jumps together with a masked cell in reach, and none without
	masked bool
	blamed bool // motion was claimed here on the last key frame
}

func (c *clockCells) resize(w, h int, share float64) {
	c.w, c.h, c.cells = w, h, make([]clockCell, w*h)
	c.most, c.count, c.open = int(share*float64(w*h)), 0, 0
}

// at says of when the next picture is.
func (c *clockCells) at(t time.Duration) { c.now, c.told = uint32(t.Milliseconds()), true }

// begin starts on a picture.
func (c *clockCells) begin() {
	if !c.told {
		c.now += uint32(clockStep.Milliseconds())
	}
	c.told, c.open = false, 0
}

// since returns the time from a moment to the picture.
func (c *clockCells) since(at uint32) time.Duration {
	return time.Duration(int32(c.now-at)) * time.Millisecond
}

// pause says that the next picture does not follow shortly on this one.
func (c *clockCells) pause() {
	for i := range c.cells {
		c.cells[i].ticks, c.cells[i].burst = 0, 0
	}
	c.open = 0
}

// see takes whether cell i jumped in a picture that follows shortly on the one
// before.
func (c *clockCells) see(i int, jumped bool) {
	k := &c.cells[i]
	gap := c.since(k.last)
	switch {
	case !jumped:
		if k.burst > 0 && gap > clockBurst {
			k.burst = 0
		}
		if gap > 2*time.Second+clockSlack {
			k.ticks = 0
		}
	case gap <= clockBurst:
		if k.burst++; k.burst > 2 {
			k.ticks, k.along = 0, 0
		}
		k.last = c.now
	default:
		off := (gap + time.Second/2) % time.Second
		if regular := gap < 5*time.Second/2 && (off-time.Second/2).Abs() <= clockSlack; regular {
			k.ticks = min(k.ticks+1, clockTicks)
		} else {
			k.ticks = 0
		}
		k.last, k.burst = c.now, 1
	}
	if k.ticks == clockTicks {
		c.mask(i)
	}
	if k.ticks > 0 && !k.masked {
		c.open++
	}
}

// alone says that cell i has ticked and not moved otherwise: it is no motion even
// before it is known to be of a clock.
func (c *clockCells) alone(i int) bool {
	k := &c.cells[i]
	return k.masked || k.ticks > 0 && k.burst <= 2
}

// moving says that cell i changed in two pictures of the last three.
func (c *clockCells) moving(i int) bool { return c.cells[i].burst >= 2 }

func (c *clockCells) mask(i int) {
	if k := &c.cells[i]; !k.masked && c.count < c.most {
		k.masked = true
		c.count++
		c.tick, c.looks = c.now, 0
	}
}

// end ends a picture. jumped tells of each cell whether it changed since the one
// before; close says that the picture follows shortly on that one.
func (c *clockCells) end(jumped func(i int) bool, near bool) {
	if c.count == 0 {
		return
	}
	ticked := false
	for i := range c.cells {
		ticked = ticked || c.cells[i].masked && jumped(i)
	}
	if ticked {
		c.tick, c.looks = c.now, 0
		if near {
			c.follow(jumped)
		}
		return
	}
	if near {
		for i := range c.cells {
			if jumped(i) {
				c.cells[i].along = 0
			}
		}
	}
	if c.looks++; c.looks >= clockLooks && c.since(c.tick) >= clockForget {
		c.forget()
	}
}

// follow masks the cells that only change together with the clock.
func (c *clockCells) follow(jumped func(i int) bool) {
	for i := range c.cells {
		k := &c.cells[i]
		if k.masked || !jumped(i) || k.burst != 1 {
			continue
		}
		if !c.reaches(i, jumped) {
			k.along = 0
		} else if k.along++; k.along >= 2 {
			c.mask(i)
		}
	}
}

// reaches says whether a masked cell for which is true stands near i on its line.
func (c *clockCells) reaches(i int, is func(i int) bool) bool {
	x, y := i%c.w, i/c.w
	for ny := max(0, y-1); ny <= min(c.h-1, y+1); ny++ {
		for nx := max(0, x-clockReach); nx <= min(c.w-1, x+clockReach); nx++ {
			if n := ny*c.w + nx; c.cells[n].masked && is(n) {
				return true
			}
		}
	}
	return false
}

// blame keeps which cells made motion on a key frame.
func (c *clockCells) blame(i int) { c.cells[i].blamed = true }

// acquit forgets them.
func (c *clockCells) acquit() {
	for i := range c.cells {
		c.cells[i].blamed = false
	}
}

// vain says that there was no motion: blamed cells beside the clock belong to it.
func (c *clockCells) vain() {
	for i := range c.cells {
		if k := &c.cells[i]; k.blamed && !k.masked && c.reaches(i, func(int) bool { return true }) {
			c.mask(i)
		}
	}
	c.acquit()
}

// forget unmasks everything.
func (c *clockCells) forget() {
	clear(c.cells)
	c.count, c.open, c.looks = 0, 0, 0
}
