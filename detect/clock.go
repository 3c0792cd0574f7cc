package detect

import "time"

// What a cell must do to be taken for a part of the clock that a camera writes
// into its picture.
const (
	clockSlack  = 200 * time.Millisecond // by which a second may be missed: pictures are looked at some times a second
	clockBurst  = 300 * time.Millisecond // changes closer than this are one
	clockTicks  = 5                      // seconds in a row
	clockHint   = 2                      // seconds in a row after which it is worth to wait for more
	clockAlong  = 3                      // jumps with a ticking cell
	clockSilent = 5 * time.Second        // a cell that did not tick for so long while it was watched does not tick
	clockReach  = 14                     // cells to the left and right of a ticking one: as far as date and time are written
	clockForget = time.Minute            // without a tick
	clockLooks  = 12                     // and that many pictures without one: at a key frame every ten seconds the last digit is always the same
	clockStep   = time.Second / 8        // between pictures when nobody says when they are of
)

// clockCells finds the cells that change about once a second, and takes them out
// of the search for motion. A cell of the clock jumps, stands still and jumps
// again a second later; what walks or sways changes in picture after picture. The
// last digit is found so. The others change too rarely; they are found because
// they only change in the instant in which the last one does, or because motion
// that was claimed there on a key frame turned out to be none. A cell that does
// anything else is looked at again, and all are when the last digit stands still.
type clockCells struct {
	w, h  int
	cells []clockCell
	most  int // masked cells, at most
	count int // masked cells
	seeds int // of these, those that tick
	now   uint32
	told  bool   // now was set by who knows
	began uint32 // pictures follow on each other since
	tick  uint32 // a masked cell changed
	looks int    // pictures since then
	open  int    // cells that may be about to be masked
}

// clockCell is what is known of one cell. Times are in milliseconds and run over
// after 49 days, which differences bear.
type clockCell struct {
	last   uint32 // it jumped
	burst  uint8  // pictures in a row
	ticks  uint8  // seconds in a row
	along  uint8  // jumps together with a ticking cell in reach, and none without
	masked bool
	seed   bool // masked because it ticks
	blamed bool // motion was claimed here on the last key frame
}

func (c *clockCells) resize(w, h int, share float64) {
	*c = clockCells{w: w, h: h, cells: make([]clockCell, w*h), most: int(share * float64(w*h)), now: c.now, told: c.told}
	c.began = c.now
}

// at says of when the next picture is.
func (c *clockCells) at(t time.Duration) { c.now, c.told = uint32(t.Milliseconds()), true }

// begin starts on a picture.
func (c *clockCells) begin() {
	if !c.told {
		c.now += uint32(clockStep.Milliseconds())
	}
	c.told = false
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

// watch takes a picture: of each cell whether it jumped since the one before.
// follows says that the one before was shortly before.
func (c *clockCells) watch(jumped func(i int) bool, follows bool) {
	changed := false
	if c.count > 0 {
		for i := range c.cells {
			changed = changed || c.cells[i].masked && jumped(i)
		}
	}
	if changed {
		c.tick, c.looks = c.now, 0
	} else if c.looks++; c.count > 0 && c.looks >= clockLooks && c.since(c.tick) >= clockForget {
		c.forget()
	}
	if !follows {
		c.began = c.now
		return
	}
	c.open = 0
	for i := range c.cells {
		c.see(i, jumped(i))
	}
	for i := range c.cells {
		if c.count > 0 {
			c.together(i, jumped)
		}
	}
}

// see looks for cells that tick.
func (c *clockCells) see(i int, jumped bool) {
	k := &c.cells[i]
	gap := c.since(k.last)
	switch {
	case !jumped:
		if gap > clockBurst {
			k.burst = 0
		}
		if gap > 2*time.Second+clockSlack {
			k.ticks = 0
		}
	case gap <= clockBurst:
		if k.burst++; k.burst > 2 {
			k.ticks = 0
		}
		k.last = c.now
	default:
		switch {
		case (gap - time.Second).Abs() <= clockSlack:
			k.ticks = min(k.ticks+1, clockTicks)
		case (gap - 2*time.Second).Abs() > clockSlack: // two seconds say nothing: not each digit differs from the next in each cell
			k.ticks = 0
		}
		k.last, k.burst = c.now, 1
	}
	switch {
	case k.ticks == clockTicks && !k.seed:
		c.mask(i)
		if k.masked {
			k.seed = true
			c.seeds++
		}
	case k.seed && (k.burst > 2 || c.since(k.last) > clockSilent && c.since(c.began) > clockSilent):
		c.unmask(i)
	}
	if !k.masked && k.ticks >= clockHint {
		c.open++
	}
}

// together looks for cells that change only together with one that ticks.
func (c *clockCells) together(i int, jumped func(i int) bool) {
	k := &c.cells[i]
	if k.seed {
		return
	}
	if c.seeds == 0 {
		c.unmask(i)
		return
	}
	if !jumped(i) {
		return
	}
	if k.burst > 1 || !c.reaches(i, jumped) {
		if k.along = 0; k.burst != 2 { // the second picture after a change may still sharpen it
			c.unmask(i)
		}
		return
	}
	if k.along++; k.along >= clockAlong {
		c.mask(i)
	}
}

// alone says that cell i has ticked and not moved otherwise: it is no motion.
// A cell that is not masked must have ticked so many seconds.
func (c *clockCells) alone(i int, ticks uint8) bool {
	k := &c.cells[i]
	return k.masked || k.ticks >= ticks && k.burst <= 2
}

// moving says that cell i changed in two pictures in a row.
func (c *clockCells) moving(i int) bool { return c.cells[i].burst >= 2 }

func (c *clockCells) mask(i int) {
	if k := &c.cells[i]; !k.masked && c.count < c.most {
		k.masked = true
		c.count++
		c.tick, c.looks = c.now, 0
	}
}

func (c *clockCells) unmask(i int) {
	k := &c.cells[i]
	if k.masked {
		c.count--
	}
	if k.seed {
		c.seeds--
	}
	k.masked, k.seed, k.along, k.ticks = false, false, 0, 0
}

// reaches says whether a ticking cell for which is true stands near i on its line.
func (c *clockCells) reaches(i int, is func(i int) bool) bool {
	x, y := i%c.w, i/c.w
	for ny := max(0, y-1); ny <= min(c.h-1, y+1); ny++ {
		for nx := max(0, x-clockReach); nx <= min(c.w-1, x+clockReach); nx++ {
			if n := ny*c.w + nx; c.cells[n].seed && is(n) {
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
		if c.cells[i].blamed && c.reaches(i, func(int) bool { return true }) {
			c.mask(i)
		}
	}
	c.acquit()
}

// forget unmasks everything.
func (c *clockCells) forget() {
	clear(c.cells)
	c.count, c.seeds, c.open, c.looks = 0, 0, 0, 0
}
