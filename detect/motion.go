package detect

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/sharpeyes/sharpeyes/configs"
)

// What the motion finder counts in. An instant is one call of Find; the
// analyser makes about eight a second.
const (
	motionThreshold = 20     // grey levels, when configs.Motion says nothing
	motionMinArea   = 0.0005 // share of the picture, when configs.Motion says nothing

	cellHalves   = 4  // a cell is 4x4 averaged pixels: 8x8 of the luma picture
	cellStrong   = 2  // changed averaged pixels that make a cell move by itself
	maxBoxes     = 16 // Motion.Boxes
	warmUp       = 12 // instants after a start before motion is claimed
	settle       = 4  // instants after a global change before motion is claimed
	sceneShift   = 5  // the scene is an average over 32 instants, about 4 s
	recentShift  = 2  // the recent picture is an average over 4 instants, 0.5 s
	absorbEvery  = 4  // what stands in front of the scene is learned this much slower
	gainBits     = 8
	gainUnit     = 1 << gainBits
	scaleBits    = 5   // averages are kept in 1/128 grey level: sums of four pixels << 5
	globalChange = 0.5 // when configs.Motion says nothing
	lightChange  = 6   // a cell's mean that changed by this part of the threshold, apart from a change of brightness, tells of a switch of light
	lightSettle  = 8   // instants after a switch of light before motion is claimed
	early        = 40  // instants in which only what changes again and again is motion: of a clock nothing is known yet

	motionClockArea = 0.03 // share of the picture that a clock may take, when configs.Motion says nothing

	sparseWeight = 4 // instants that a picture counts for when pictures come seconds apart
	sparseShift  = 2 // by how much faster one is learned then, as a power of two
)

// CellMotion finds motion in pure Go: each luma picture is halved (which also
// halves the noise), compared with a slow running average of the scene, and the
// changed pixels are counted in cells of 8x8 luma pixels; cells that touch form
// a region. A region counts when it is large enough and also differs from the
// last half second, so that a parked car, or the hole it leaves, is not motion
// although the scene has not learned it yet. A change of brightness of the
// whole picture is compensated; when more than half of the picture changed, or
// a little in more than half of its cells at once as when the infrared light is
// switched, nothing is claimed and the scene is learned anew. Cells that change
// about once a second, as the clock does that cameras write into their picture,
// are found and masked.
type CellMotion struct {
	threshold int32 // in averages' units
	minArea   float64
	masks     []Polygon

	w, h, cw, ch int    // halved picture, cells
	half, before []quad // this picture and the one before; a row is cw of them
	scene        [][4]int16
	recent       [][4]int16
	cells        []motionCell
	free         int // pixels outside masks
	instants     int
	quietUntil   int
	sparse       bool
	stack        []int
	ratios       [4 * gainUnit]int32

	clock     clockCells
	clockArea float64
	global    float64 // share of the picture that changes at once when light is switched
	lastGain  int32

	sums, sumsBefore []int16 // of every other cell, in this picture and the one before
	followed         bool    // the picture before was shortly before
}

// quad is four pixels of the halved picture beside each other: one row of a cell.
// The left one is in the lowest 16 bits. Those right of the picture are 0.
type quad uint64

// each has a one in each pixel.
const each = 1<<48 | 1<<32 | 1<<16 | 1

// motionCell is what one instant counted in one cell.
type motionCell struct {
	masked  bool
	seen    bool // by the search for regions
	changed int16
	recent  int16
	jumped  int16 // since the picture before
}

var _ MotionFinder = (*CellMotion)(nil)

// NewCellMotion returns a finder for one camera. Zero fields of cfg mean 20 grey
// levels and 0.0005 of the picture. Cells that a mask touches are never looked
// at. The first 12 instants and those after Reset only learn.
func NewCellMotion(cfg configs.Motion, masks [][]configs.Point) *CellMotion {
	if cfg.Threshold <= 0 {
		cfg.Threshold = motionThreshold
	}
	if cfg.MinArea <= 0 {
		cfg.MinArea = motionMinArea
	}
	if cfg.ClockArea <= 0 {
		cfg.ClockArea = motionClockArea
	}
	if cfg.GlobalChange <= 0 {
		cfg.GlobalChange = globalChange
	}
	return &CellMotion{
		threshold: int32(cfg.Threshold) * 4 << scaleBits, minArea: cfg.MinArea, masks: NewPolygons(masks),
		clockArea: cfg.ClockArea, global: cfg.GlobalChange, lastGain: gainUnit,
	}
}

// Sparse says that pictures come seconds apart from now on, as key units do, or
// again as usual. A picture then counts for four: the scene is learned in steps
// four times as large, and what moved is what differs from the picture before.
func (m *CellMotion) Sparse(on bool) {
	m.sparse, m.followed = on, false
	m.clock.pause()
}

// At says of when the next picture is, on any clock. Who never says it gives
// eight pictures a second.
func (m *CellMotion) At(t time.Duration) { m.clock.at(t) }

// Vain says that what was claimed on the last sparse picture was no motion.
// Where it was beside the clock it is taken for a part of it.
func (m *CellMotion) Vain() { m.clock.vain() }

// Masked returns the share of the picture, 0..1, in which nothing is looked for
// because it changes about once a second, and whether more of it is about to be
// found.
func (m *CellMotion) Masked() (share float64, learning bool) {
	if len(m.cells) == 0 {
		return 0, false
	}
	return float64(m.clock.count) / float64(len(m.cells)), m.clock.open > 0
}

// Reset forgets the scene, but not where the clock is.
func (m *CellMotion) Reset() { m.instants = 0 }

// Find implements MotionFinder. Motion.Boxes is the caller's to keep. A picture
// of another size than the one before starts anew; one of less than 16x16
// pixels never moves.
func (m *CellMotion) Find(l Luma) Motion {
	if l.Width < 16 || l.Height < 16 || len(l.Pix) < l.Width*l.Height {
		return Motion{}
	}
	if l.Width/2 != m.w || l.Height/2 != m.h {
		m.resize(l.Width/2, l.Height/2)
	}
	m.half, m.before = m.before, m.half
	m.halve(l)
	m.clock.begin()
	begins := m.instants == 0
	if begins {
		m.learnAll()
		copy(m.before, m.half)
		m.quietUntil = warmUp
	}
	m.instants++
	if m.sparse {
		m.instants += sparseWeight - 1
	}
	gain, lit := m.gain()
	changed := m.compare(gain)
	if m.free == 0 {
		return Motion{}
	}
	m.watchClock()
	area := float64(changed) / float64(m.free)
	switch {
	case area > m.global:
		m.relearn(settle)
		return Motion{Area: area, Global: true}
	case lit > m.global && !begins:
		m.relearn(lightSettle)
		return Motion{Area: lit, Global: true}
	}
	if m.instants <= m.quietUntil {
		return Motion{}
	}
	return m.regions()
}

// relearn takes the picture for the scene and claims nothing for some instants.
func (m *CellMotion) relearn(settle int) {
	m.learnAll()
	m.lastGain = gainUnit
	m.quietUntil = m.instants + settle
}

// watchClock lets the search for clocks see which cells changed.
func (m *CellMotion) watchClock() {
	m.clock.watch(m.jumped, !m.sparse && m.followed)
	m.followed = !m.sparse
}

// clockwork says that cell i does what a clock does.
func (m *CellMotion) clockwork(i int) bool {
	ticks := uint8(clockHint)
	if m.instants <= early {
		ticks = 1
	}
	return m.clock.alone(i, ticks)
}

func (m *CellMotion) jumped(i int) bool { return m.cells[i].jumped >= cellStrong }

func (m *CellMotion) resize(w, h int) {
	m.w, m.h = w, h
	m.cw, m.ch = (w+cellHalves-1)/cellHalves, (h+cellHalves-1)/cellHalves
	m.half, m.before = make([]quad, m.cw*h), make([]quad, m.cw*h)
	m.scene, m.recent = make([][4]int16, m.cw*h), make([][4]int16, m.cw*h)
	m.sums, m.sumsBefore = make([]int16, (m.cw*m.ch+1)/2), make([]int16, (m.cw*m.ch+1)/2)
	m.clock.resize(m.cw, m.ch, m.clockArea)
	m.cells = make([]motionCell, m.cw*m.ch)
	m.stack = make([]int, 0, len(m.cells))
	m.instants = 0
	grid := make([]bool, len(m.cells))
	for _, p := range m.masks {
		// The last column and row of cells may be cut off by the picture, so the
		// polygon is scaled to the grid and not the grid to the picture.
		p.scaled(float64(w)/float64(m.cw*cellHalves), float64(h)/float64(m.ch*cellHalves)).Rasterise(grid, m.cw, m.ch, 0)
	}
	m.free = 0
	for i := range m.cells {
		m.cells[i].masked = grid[i]
		if !grid[i] {
			x0, y0, x1, y1 := m.cellBounds(i)
			m.free += (x1 - x0) * (y1 - y0)
		}
	}
}

func (p Polygon) scaled(x, y float64) Polygon {
	out := make(Polygon, len(p))
	for i, c := range p {
		out[i] = Point{c.X * x, c.Y * y}
	}
	return out
}

// cellBounds returns the pixels of the halved picture that cell i covers.
func (m *CellMotion) cellBounds(i int) (x0, y0, x1, y1 int) {
	x0, y0 = i%m.cw*cellHalves, i/m.cw*cellHalves
	return x0, y0, min(x0+cellHalves, m.w), min(y0+cellHalves, m.h)
}

// halve sums each 2x2 pixels, eight bytes of two rows at a time: this is what
// makes motion cheap beside decoding.
func (m *CellMotion) halve(l Luma) {
	const low = 0x00ff00ff00ff00ff
	for y := range m.h {
		a := l.Pix[2*y*l.Width : 2*y*l.Width+2*m.w]
		b := l.Pix[(2*y+1)*l.Width : (2*y+1)*l.Width+2*m.w]
		out := m.half[y*m.cw : (y+1)*m.cw]
		for i := range out {
			var u, v uint64
			if len(a) >= 8 && len(b) >= 8 {
				u, v = binary.LittleEndian.Uint64(a), binary.LittleEndian.Uint64(b)
				a, b = a[8:], b[8:]
			} else {
				u, v = lastBytes(a), lastBytes(b)
			}
			out[i] = quad(u&low + u>>8&low + v&low + v>>8&low)
		}
	}
}

// lastBytes is fewer than eight bytes as eight, with zeros after them.
func lastBytes(b []byte) (u uint64) {
	for i, v := range b {
		u |= uint64(v) << (8 * i)
	}
	return u
}

func (m *CellMotion) learnAll() {
	for i, q := range m.half {
		for k := range m.scene[i] {
			v := int16(q>>(16*k)&0xffff) << scaleBits
			m.scene[i][k], m.recent[i][k] = v, v
		}
	}
}

// learning is how fast one instant is learned.
type learning struct {
	gain   int32
	shift  uint // of the scene
	recent uint // of the recent picture
	absorb bool // also what stands before the scene
}

// compare counts in each cell the pixels that differ from the scene and from
// the recent picture, learns both, and returns the first number's total.
func (m *CellMotion) compare(gain int32) (changed int) {
	l := learning{gain: gain, shift: sceneShift, recent: recentShift, absorb: m.instants%absorbEvery == 0}
	if m.sparse {
		l = learning{gain: gain, shift: sceneShift - sparseShift, absorb: m.instants%(absorbEvery*sparseWeight) < sparseWeight}
	}
	if m.instants < warmUp {
		l.shift = 2 // the first seconds are learned quickly
	}
	for i := range m.cells {
		c := &m.cells[i]
		c.seen, c.changed, c.recent, c.jumped = false, 0, 0, 0
	}
	for y := range m.h {
		row := m.cells[y/cellHalves*m.cw:][:m.cw]
		lo, hi := y*m.cw, (y+1)*m.cw
		m.compareRow(row, m.half[lo:hi], m.scene[lo:hi], m.recent[lo:hi], l)
		m.jumpsOfRow(row, m.half[lo:hi], m.before[lo:hi])
	}
	for i := range m.cells {
		changed += int(m.cells[i].changed)
	}
	return changed
}

// compareRow goes through one row of pixels, cell by cell. It is where motion
// spends its time, so it shifts where it could divide.
func (m *CellMotion) compareRow(row []motionCell, half []quad, scene, recent [][4]int16, l learning) {
	limit, gain, shift := m.threshold, l.gain, l.shift&15
	round := int32(1) << shift >> 1
	recent15 := l.recent & 15
	soon := int32(1) << recent15 >> 1
	half, scene, recent = half[:len(row)], scene[:len(row)], recent[:len(row)]
	for i := range row {
		c := &row[i]
		if c.masked {
			continue
		}
		q, s, r := half[i], &scene[i], &recent[i]
		for k := range s {
			now, was, late := int32(q&0xffff)<<scaleBits, int32(s[k]), int32(r[k])
			q >>= 16
			d, f := now-was*gain>>gainBits, now-late
			r[k] = int16(late + (f+soon)>>recent15)
			if d > limit || d < -limit {
				c.changed++
				if f > limit/2 || f < -limit/2 {
					c.recent++
				}
				if !l.absorb {
					continue
				}
			}
			s[k] = int16(was + (now-was+round)>>shift)
		}
	}
}

// jumpsOfRow counts in one row of pixels those that differ from the picture
// before by half the threshold, four at a time: the differences, moved up so that
// none is below zero, carry into a pixel's highest bit when they are large enough.
func (m *CellMotion) jumpsOfRow(row []motionCell, half, before []quad) {
	const zero, top = 1024, 1 << 15 // sums are below 1024
	limit := quad(min(m.threshold>>scaleBits/2, zero-4))
	toLeast, toMost := (top-zero+limit)*each, (top-zero-limit-1)*each
	half, before = half[:len(row)], before[:len(row)]
	for i := range row {
		d := half[i] + zero*each - before[i]
		jumped := (^(d + toLeast) | (d + toMost)) & (top * each)
		row[i].jumped += int16(jumped >> 15 * each >> 48)
	}
}

// region is a set of cells that touch each other.
type region struct {
	pixels, recent int
	again          bool // a cell changed in picture after picture
	x0, y0, x1, y1 int  // cells, inclusive
}

func (m *CellMotion) regions() Motion {
	var found []region
	need := int(math.Ceil(m.minArea * float64(m.w*m.h)))
	total, faint := 0, false
	if m.sparse {
		m.clock.acquit()
	}
	for i := range m.cells {
		if c := &m.cells[i]; c.seen || c.changed < cellStrong || m.clockwork(i) {
			continue
		}
		r := m.flood(i)
		if r.recent < cellStrong || !r.again && !m.sparse && m.maybeClock(i) {
			continue
		}
		if m.sparse && 2*r.pixels >= need {
			faint = true
			m.blame(r)
		}
		if r.pixels >= need {
			found = append(found, r)
			total += r.pixels
		}
	}
	if len(found) == 0 {
		return Motion{Faint: faint}
	}
	slices.SortStableFunc(found, func(a, b region) int { return b.pixels - a.pixels })
	// What does not fit is joined into the last box: a picture is pixelated by
	// these boxes, so none may be lost.
	for _, r := range found[min(maxBoxes, len(found)):] {
		last := &found[maxBoxes-1]
		last.x0, last.y0 = min(last.x0, r.x0), min(last.y0, r.y0)
		last.x1, last.y1 = max(last.x1, r.x1), max(last.y1, r.y1)
	}
	out := Motion{Active: true, Area: float64(total) / float64(m.free)}
	for _, r := range found[:min(maxBoxes, len(found))] {
		out.Boxes = append(out.Boxes, m.box(r))
	}
	return out
}

// maybeClock says that a region that begins at cell i and changed only once may
// be of a clock: nothing is known of clocks yet, or one is half known, or one
// ticks on the same line.
func (m *CellMotion) maybeClock(i int) bool {
	return m.instants <= early || m.instants <= 2*early && m.clock.open > 0 || m.clock.reaches(i, func(int) bool { return true })
}

// blame remembers of which cells a change between two pictures was that are
// seconds apart.
func (m *CellMotion) blame(r region) {
	for y := r.y0; y <= r.y1; y++ {
		for x := r.x0; x <= r.x1; x++ {
			if i := y*m.cw + x; m.cells[i].changed > 0 {
				m.clock.blame(i)
			}
		}
	}
}

// flood collects the cells around cell i that changed at all.
func (m *CellMotion) flood(i int) region {
	r := region{x0: m.cw, y0: m.ch}
	m.cells[i].seen = true
	m.stack = append(m.stack[:0], i)
	for len(m.stack) > 0 {
		i := m.stack[len(m.stack)-1]
		m.stack = m.stack[:len(m.stack)-1]
		x, y := i%m.cw, i/m.cw
		if !m.clockwork(i) {
			r.pixels += int(m.cells[i].changed)
			r.recent += int(m.cells[i].recent)
			r.again = r.again || m.clock.moving(i)
		}
		r.x0, r.y0, r.x1, r.y1 = min(r.x0, x), min(r.y0, y), max(r.x1, x), max(r.y1, y)
		for ny := max(0, y-1); ny <= min(m.ch-1, y+1); ny++ {
			for nx := max(0, x-1); nx <= min(m.cw-1, x+1); nx++ {
				if c := &m.cells[ny*m.cw+nx]; !c.seen && c.changed > 0 {
					c.seen = true
					m.stack = append(m.stack, ny*m.cw+nx)
				}
			}
		}
	}
	return r
}

func (m *CellMotion) box(r region) Box {
	w, h := float64(m.w), float64(m.h)
	x0, y0 := float64(r.x0*cellHalves)/w, float64(r.y0*cellHalves)/h
	x1, y1 := float64(min((r.x1+1)*cellHalves, m.w))/w, float64(min((r.y1+1)*cellHalves, m.h))/h
	return Box{x0, y0, x1 - x0, y1 - y0}
}
