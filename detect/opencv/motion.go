//go:build cgo

package opencv

import (
	"encoding/binary"
	"image"
	"math"
	"math/bits"
	"slices"

	"gocv.io/x/gocv"

	"github.com/sharpeyes/sharpeyes/detect"
)

// What the mixture of Gaussians works with, in instants of Find.
const (
	mogHistory   = 200 // of the analyser's eight a second: a thing that stands is learned in 3 s
	mogWarmUp    = 12  // after a start before motion is claimed
	mogSettle    = 4   // after a global change before motion is claimed
	mogSparse    = 2   // times that a picture is learned when pictures come seconds apart
	mogGlobal    = 0.5 // share of the picture that no object covers
	mogThreshold = 20  // MotionOptions.Threshold that is mogSigma
	mogSigma     = 4.0 // standard deviations, OpenCV's own default
	mogMinArea   = 0.0005
	mogMinSide   = 16
	cellSide     = 8 // pixels
	cellLeast    = 2 // foreground pixels by which a cell begins a region
	mostBoxes    = 16
)

// Motion finds motion with OpenCV's MOG2, a mixture of Gaussians for each pixel
// (Zivkovic 2004), through gocv: slower than detect.CellMotion by an order of
// magnitude, and better where pixels have more than one usual value, such as
// water, leaves or a flag. Foreground is opened by 3x3 pixels, counted in cells of
// 8x8, and cells that touch form a region. Brightness is not compensated: a cloud
// moves. It belongs to one camera and one goroutine.
type Motion struct {
	opt    MotionOptions
	sigma2 float64

	mog        gocv.BackgroundSubtractorMOG2
	open       bool // mog holds memory
	in, fg     gocv.Mat
	kernel     gocv.Mat
	sized      bool // in and fg hold memory
	w, h       int
	cw, ch     int
	pixels     []byte // in's memory
	hidden     []bool // of pixels, by masks
	masked     bool
	free       int // pixels that no mask hides
	cells      []uint8
	seen       []bool
	stack      []int
	instants   int
	quietUntil int
	sparse     bool
	closed     bool
}

var _ detect.MotionFinder = (*Motion)(nil)

// NewMotion returns a finder with its memory in C: 4 MiB at 320x180, from the
// first picture on. The caller closes it. The first 12 instants and those after
// Reset only learn. It fails only without cgo.
func NewMotion(opt MotionOptions) (*Motion, error) {
	if opt.Threshold <= 0 {
		opt.Threshold = mogThreshold
	}
	if opt.MinArea <= 0 {
		opt.MinArea = mogMinArea
	}
	if opt.History <= 0 {
		opt.History = mogHistory
	}
	sigma := mogSigma * float64(opt.Threshold) / mogThreshold
	return &Motion{opt: opt, sigma2: sigma * sigma, kernel: gocv.GetStructuringElement(gocv.MorphRect, image.Pt(3, 3))}, nil
}

// Close frees the memory in C. Closing twice is harmless; Find on a closed finder
// finds nothing.
func (m *Motion) Close() {
	if m.closed {
		return
	}
	m.closed = true
	m.forget()
	m.drop()
	_ = m.kernel.Close()
}

// forget frees the learned scene.
func (m *Motion) forget() {
	if m.open {
		_ = m.mog.Close()
		m.open = false
	}
}

// drop frees the pictures.
func (m *Motion) drop() {
	if m.sized {
		m.sized, m.pixels = false, nil
		_ = m.in.Close()
		_ = m.fg.Close()
	}
}

// Sparse says that pictures come seconds apart from now on, as key units do, or
// again as usual. A picture is then learned twice.
func (m *Motion) Sparse(on bool) { m.sparse = on }

// Reset forgets the scene.
func (m *Motion) Reset() {
	m.forget()
	m.instants = 0
}

// Find implements detect.MotionFinder. Motion.Boxes is the caller's to keep. A
// picture of another size than the one before starts anew; one of less than 16x16
// pixels never moves.
func (m *Motion) Find(l detect.Luma) detect.Motion {
	if m.closed || l.Width < mogMinSide || l.Height < mogMinSide || len(l.Pix) < l.Width*l.Height {
		return detect.Motion{}
	}
	if l.Width != m.w || l.Height != m.h || !m.sized {
		if !m.resize(l.Width, l.Height) {
			return detect.Motion{}
		}
	}
	m.take(l.Pix)
	if !m.open {
		m.mog = gocv.NewBackgroundSubtractorMOG2WithParams(m.opt.History, m.sigma2, false)
		m.open, m.quietUntil = true, m.instants+mogWarmUp
	}
	m.learn()
	changed := m.count()
	if m.free == 0 {
		return detect.Motion{}
	}
	if area := float64(changed) / float64(m.free); area > mogGlobal && m.instants > 1 {
		m.forget()
		m.mog = gocv.NewBackgroundSubtractorMOG2WithParams(m.opt.History, m.sigma2, false)
		m.open, m.quietUntil = true, m.instants+mogSettle
		m.mog.Apply(m.in, &m.fg)
		return detect.Motion{Area: area, Global: true}
	}
	if m.instants <= m.quietUntil {
		return detect.Motion{}
	}
	return m.regions()
}

// resize makes room for pictures of a size and forgets the scene.
func (m *Motion) resize(w, h int) bool {
	m.Reset()
	m.drop()
	m.w, m.h = w, h
	m.cw, m.ch = (w+cellSide-1)/cellSide, (h+cellSide-1)/cellSide
	m.in = gocv.NewMatWithSize(h, w, gocv.MatTypeCV8U)
	m.fg = gocv.NewMatWithSize(h, w, gocv.MatTypeCV8U)
	m.sized = true
	pixels, err := m.in.DataPtrUint8()
	if err != nil || len(pixels) != w*h {
		m.drop()
		return false
	}
	m.pixels = pixels
	m.hidden, m.masked = make([]bool, w*h), len(m.opt.Masks) > 0
	for _, p := range m.opt.Masks {
		p.Rasterise(m.hidden, w, h, 0)
	}
	m.free = 0
	for _, hidden := range m.hidden {
		if !hidden {
			m.free++
		}
	}
	m.cells, m.seen = make([]uint8, m.cw*m.ch), make([]bool, m.cw*m.ch)
	m.stack = make([]int, 0, len(m.cells))
	return true
}

// take copies the picture, black where a mask hides it: what is always black is
// background.
func (m *Motion) take(pix []byte) {
	copy(m.pixels, pix)
	if !m.masked {
		return
	}
	for i, hidden := range m.hidden {
		if hidden {
			m.pixels[i] = 0
		}
	}
}

// learn lets the mixture take the picture and leaves its foreground, opened, in
// fg. Only the first look at a picture says what is foreground: by the second it
// is known.
func (m *Motion) learn() {
	m.mog.Apply(m.in, &m.fg)
	m.instants++
	gocv.MorphologyEx(m.fg, &m.fg, gocv.MorphOpen, m.kernel)
	if !m.sparse {
		return
	}
	again := gocv.NewMat()
	defer again.Close() //nolint:errcheck // frees memory, never fails
	for range mogSparse - 1 {
		m.mog.Apply(m.in, &again)
	}
	m.instants += 2*mogSparse - 1 // seconds apart, so that a few are enough to begin
}

// count counts the foreground pixels of each cell, eight at a time, and returns
// their sum.
func (m *Motion) count() (sum int) {
	clear(m.cells)
	clear(m.seen)
	fg, err := m.fg.DataPtrUint8()
	if err != nil || len(fg) != m.w*m.h {
		return 0
	}
	for y := range m.h {
		row, cells := fg[y*m.w:(y+1)*m.w], m.cells[y/cellSide*m.cw:][:m.cw]
		for i := range cells {
			n := 0
			if len(row) >= cellSide {
				n = bits.OnesCount64(binary.LittleEndian.Uint64(row) & 0x0101010101010101) // 0 or 255 each
				row = row[cellSide:]
			} else {
				for _, v := range row {
					n += int(v & 1)
				}
			}
			cells[i] += uint8(n) // at most 64
			sum += n
		}
	}
	return sum
}

// region is a set of cells that touch each other; its corners are cells, inclusive.
type region struct{ pixels, x0, y0, x1, y1 int }

// regions returns those that are large enough.
func (m *Motion) regions() detect.Motion {
	var found []region
	need, total := int(math.Ceil(m.opt.MinArea*float64(m.w*m.h))), 0
	for i, n := range m.cells {
		if n < cellLeast || m.seen[i] {
			continue
		}
		if r := m.flood(i); r.pixels >= need {
			found = append(found, r)
			total += r.pixels
		}
	}
	if len(found) == 0 {
		return detect.Motion{}
	}
	slices.SortStableFunc(found, func(a, b region) int { return b.pixels - a.pixels })
	// What does not fit is joined into the last box: a picture is pixelated by
	// these boxes, so none may be lost.
	for _, r := range found[min(mostBoxes, len(found)):] {
		last := &found[mostBoxes-1]
		last.x0, last.y0 = min(last.x0, r.x0), min(last.y0, r.y0)
		last.x1, last.y1 = max(last.x1, r.x1), max(last.y1, r.y1)
	}
	out := detect.Motion{Active: true, Area: float64(total) / float64(m.free)}
	w, h := float64(m.w), float64(m.h)
	for _, r := range found[:min(mostBoxes, len(found))] {
		x0, y0 := float64(r.x0*cellSide)/w, float64(r.y0*cellSide)/h
		x1, y1 := float64(min((r.x1+1)*cellSide, m.w))/w, float64(min((r.y1+1)*cellSide, m.h))/h
		out.Boxes = append(out.Boxes, detect.Box{X: x0, Y: y0, W: x1 - x0, H: y1 - y0})
	}
	return out
}

// flood collects the cells around cell i that hold foreground.
func (m *Motion) flood(i int) region {
	r := region{x0: m.cw, y0: m.ch}
	m.seen[i] = true
	m.stack = append(m.stack[:0], i)
	for len(m.stack) > 0 {
		i := m.stack[len(m.stack)-1]
		m.stack = m.stack[:len(m.stack)-1]
		x, y := i%m.cw, i/m.cw
		r.pixels += int(m.cells[i])
		r.x0, r.y0, r.x1, r.y1 = min(r.x0, x), min(r.y0, y), max(r.x1, x), max(r.y1, y)
		for ny := max(0, y-1); ny <= min(m.ch-1, y+1); ny++ {
			for nx := max(0, x-1); nx <= min(m.cw-1, x+1); nx++ {
				if n := ny*m.cw + nx; !m.seen[n] && m.cells[n] > 0 {
					m.seen[n] = true
					m.stack = append(m.stack, n)
				}
			}
		}
	}
	return r
}
