package detect

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
)

// scene paints luma pictures: a textured ground with sensor noise.
type scene struct {
	w, h   int
	noise  float64
	gain   float64
	lift   float64 // grey levels that light adds
	r      *rand.Rand
	normal [4096]float64 // drawn once: half of a test's time otherwise
	things []thing
}

type thing struct {
	x, y, w, h int
	grey       float64
}

func newScene(w, h int) *scene {
	s := &scene{w: w, h: h, noise: 3, gain: 1, r: rand.New(rand.NewPCG(7, 7))}
	for i := range s.normal {
		s.normal[i] = s.r.NormFloat64()
	}
	return s
}

func (s *scene) luma() Luma {
	l := Luma{Width: s.w, Height: s.h, Pix: make([]byte, s.w*s.h)}
	for y := range s.h {
		shift := s.r.IntN(len(s.normal))
		for x := range s.w {
			v := 90 + float64((x/9+y/7)%5)*12
			for _, t := range s.things {
				if x >= t.x && x < t.x+t.w && y >= t.y && y < t.y+t.h {
					v = t.grey
				}
			}
			l.Pix[y*s.w+x] = byte(min(255, max(0, v*s.gain+s.lift+s.normal[(x+shift)%len(s.normal)]*s.noise)))
		}
	}
	return l
}

// watch lets the finder see n pictures and returns what it found in each.
func (s *scene) watch(m *CellMotion, n int, each func(i int)) []Motion {
	var out []Motion
	for i := range n {
		if each != nil {
			each(i)
		}
		out = append(out, m.Find(s.luma()))
	}
	return out
}

func active(ms []Motion) (n int) {
	for _, m := range ms {
		if m.Active {
			n++
		}
	}
	return n
}

func TestMotionOfNothingIsNone(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(s *scene, i int)
	}{
		{"sensor noise", func(*scene, int) {}},
		{"night noise", func(s *scene, _ int) { s.noise = 7 }},
		{"a cloud of 30 % within 4 s", func(s *scene, i int) { s.gain = 1 - 0.3*min(1, float64(i)/32) }},
		{"exposure jumps by 20 %", func(s *scene, i int) {
			if i > 40 {
				s.gain = 1.2
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, m := newScene(320, 180), NewCellMotion(configs.Motion{}, nil)
			s.noise = 3
			require.Zero(t, active(s.watch(m, 100, func(i int) { c.set(s, i) })))
		})
	}
}

func TestMotionFindsWhatMoves(t *testing.T) {
	for _, c := range []struct {
		name string
		w, h int // of the thing
		grey float64
		step int
	}{
		{"a person near", 24, 60, 40, 4},
		{"a person far away", 6, 14, 40, 2},
		{"pale clothes", 12, 30, 160, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, m := newScene(320, 180), NewCellMotion(configs.Motion{}, nil)
			s.watch(m, 40, nil)
			s.things = []thing{{x: 40, y: 60, w: c.w, h: c.h, grey: c.grey}}
			for i, got := range s.watch(m, 20, func(int) { s.things[0].x += c.step }) {
				require.True(t, got.Active, "instant %d", i)
				require.False(t, got.Global)
				at := Box{float64(40+c.step*(i+1)) / 320, 60. / 180, float64(c.w) / 320, float64(c.h) / 180}
				require.GreaterOrEqual(t, got.Boxes[0].Intersect(at).Area(), 0.8*at.Area(), "instant %d: %v does not cover %v", i, got.Boxes, at)
				require.Greater(t, got.Area, 0.0)
			}
		})
	}
}

func TestMotionWarmsUp(t *testing.T) {
	s, m := newScene(320, 180), NewCellMotion(configs.Motion{}, nil)
	s.things = []thing{{x: 0, y: 40, w: 30, h: 60, grey: 20}}
	got := s.watch(m, 24, func(int) { s.things[0].x += 6 })
	require.Zero(t, active(got[:12]), "the first second and a half only learns")
	require.Positive(t, active(got[12:]))
	m.Reset()
	require.Zero(t, active(s.watch(m, 12, func(int) { s.things[0].x += 6 })))
}

// A thing that stands is not motion, nor is the hole that it leaves.
func TestMotionEndsWhenAThingStands(t *testing.T) {
	s, m := newScene(320, 180), NewCellMotion(configs.Motion{}, nil)
	s.watch(m, 40, nil)
	s.things = []thing{{x: 100, y: 60, w: 60, h: 40, grey: 30}}
	arrival := s.watch(m, 40, nil)
	require.True(t, arrival[0].Active)
	require.Zero(t, active(arrival[16:]), "2 s after it came")
	s.watch(m, 400, nil)
	s.things = nil
	leaving := s.watch(m, 40, nil)
	require.True(t, leaving[0].Active, "a thing that was learned and leaves is motion")
	require.Zero(t, active(leaving[16:]))
	s.things = []thing{{x: 110, y: 65, w: 20, h: 20, grey: 30}}
	require.True(t, s.watch(m, 1, nil)[0].Active, "and what comes to its place is seen")
}

func TestMotionOfEverythingIsGlobal(t *testing.T) {
	s, m := newScene(320, 180), NewCellMotion(configs.Motion{}, nil)
	s.watch(m, 40, nil)
	s.things = []thing{{x: 0, y: 0, w: 250, h: 180, grey: 230}}
	got := s.watch(m, 20, nil)
	require.True(t, got[0].Global)
	require.False(t, got[0].Active)
	require.Zero(t, active(got), "the new picture is the scene")
	s.things = append(s.things, thing{x: 40, y: 40, w: 20, h: 40, grey: 20})
	require.True(t, s.watch(m, 1, nil)[0].Active)

	// A camera that turns settles before anything is claimed.
	s.things = []thing{{x: 0, y: 0, w: 320, h: 180, grey: 40}, {x: 10, y: 40, w: 20, h: 60, grey: 220}}
	got = s.watch(m, 12, func(int) { s.things[1].x += 6 })
	require.True(t, got[0].Global)
	require.Zero(t, active(got[:5]))
	require.Positive(t, active(got[5:]))
}

// Where the last cells are cut off by the picture a mask lies on the cells that
// it covers in the picture.
func TestMotionMasksOnCutCells(t *testing.T) {
	m := NewCellMotion(configs.Motion{}, [][]configs.Point{{{0.72, 0}, {1, 0}, {1, 1}, {0.72, 1}}})
	m.Find(Luma{Width: 20, Height: 20, Pix: make([]byte, 400)}) // cells of 8, 8 and 4 pixels
	var masked []bool
	for _, c := range m.cells {
		masked = append(masked, c.masked)
	}
	require.Equal(t, []bool{false, true, true, false, true, true, false, true, true}, masked)
	require.Equal(t, 4*10, m.free)
}

func TestMotionUnderAMaskIsNone(t *testing.T) {
	mask := [][]configs.Point{{{0, 0}, {0.5, 0}, {0.5, 1}, {0, 1}}}
	s, m := newScene(318, 178), NewCellMotion(configs.Motion{}, mask) // cells are cut off at the edges
	s.watch(m, 40, nil)
	s.things = []thing{{x: 10, y: 40, w: 20, h: 60, grey: 20}}
	require.Zero(t, active(s.watch(m, 20, func(int) { s.things[0].x += 5 })))
	s.things[0].x = 180
	got := s.watch(m, 8, func(int) { s.things[0].x += 5 })
	require.Equal(t, 8, active(got))
	for _, b := range got[7].Boxes {
		require.GreaterOrEqual(t, b.X, 0.5)
	}

	all := NewCellMotion(configs.Motion{}, [][]configs.Point{{{0, 0}, {1, 0}, {1, 1}, {0, 1}}})
	require.Zero(t, active(s.watch(all, 40, func(int) { s.things[0].x -= 3 })), "everything masked")
}

func TestMotionThresholds(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  configs.Motion
		want int
	}{
		{"default", configs.Motion{}, 10},
		{"less contrast than asked for", configs.Motion{Threshold: 120}, 0},
		{"smaller than asked for", configs.Motion{MinArea: 0.05}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, m := newScene(320, 180), NewCellMotion(c.cfg, nil)
			s.watch(m, 40, nil)
			s.things = []thing{{x: 40, y: 60, w: 20, h: 40, grey: 40}}
			require.Equal(t, c.want, active(s.watch(m, 10, func(int) { s.things[0].x += 4 })))
		})
	}
}

func TestMotionKeepsAllRegionsInItsBoxes(t *testing.T) {
	s, m := newScene(320, 180), NewCellMotion(configs.Motion{}, nil)
	s.watch(m, 40, nil)
	for y := range 4 {
		for x := range 6 {
			s.things = append(s.things, thing{x: 10 + x*50, y: 10 + y*44, w: 14 - y, h: 14, grey: 20})
		}
	}
	got := s.watch(m, 1, nil)[0]
	require.Len(t, got.Boxes, 16)
	for _, th := range s.things {
		at := Box{float64(th.x) / 320, float64(th.y) / 180, float64(th.w) / 320, float64(th.h) / 180}
		covered := 0.0
		for _, b := range got.Boxes {
			covered = max(covered, b.Intersect(at).Area()/at.Area())
		}
		require.Greater(t, covered, 0.7, "%v", at)
	}
	for _, b := range got.Boxes {
		require.True(t, b.X >= 0 && b.Y >= 0 && b.X+b.W <= 1.0001 && b.Y+b.H <= 1.0001, "%v", b)
	}
}

func TestMotionOfOddPictures(t *testing.T) {
	m := NewCellMotion(configs.Motion{}, nil)
	require.Equal(t, Motion{}, m.Find(Luma{Width: 1, Height: 1, Pix: []byte{1}}))
	require.Equal(t, Motion{}, m.Find(Luma{Width: 320, Height: 180, Pix: []byte{1}}), "fewer bytes than it says")
	for _, size := range [][2]int{{16, 16}, {17, 31}, {321, 181}, {180, 320}} {
		s := newScene(size[0], size[1])
		require.Zero(t, active(s.watch(m, 12, nil)), "a new size learns anew")
	}
	dark := newScene(64, 64)
	dark.gain = 0
	require.Zero(t, active(dark.watch(m, 40, nil)), "a black picture")
}

func BenchmarkCellMotion(b *testing.B) {
	for _, moving := range []bool{false, true} {
		b.Run(fmt.Sprintf("moving=%v", moving), func(b *testing.B) {
			s, m := newScene(320, 180), NewCellMotion(configs.Motion{}, nil)
			s.watch(m, 40, nil)
			var ring []Luma
			for i := range 16 {
				if moving {
					s.things = []thing{{x: 20 + 4*i, y: 60, w: 20, h: 50, grey: 30}}
				}
				ring = append(ring, s.luma())
			}
			b.ReportAllocs()
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			i, began := 0, threadCPU()
			for b.Loop() {
				m.Find(ring[i%len(ring)])
				i++
			}
			// Wall time says little on a busy machine.
			b.ReportMetric(float64(threadCPU()-began)/float64(i), "cpu-ns/op")
		})
	}
}
