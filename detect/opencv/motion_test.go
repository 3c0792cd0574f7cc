//go:build cgo

package opencv

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/detect"
)

// yard is a textured ground with sensor noise, and a dark thing on it: where it
// is, is the ground truth.
type yard struct {
	w, h  int
	r     *rand.Rand
	thing detect.Box // in pixels; none without a width
	gain  float64
}

func newYard() *yard { return &yard{w: 320, h: 180, gain: 1, r: rand.New(rand.NewPCG(3, 5))} }

func (y *yard) luma() detect.Luma {
	l := detect.Luma{Width: y.w, Height: y.h, Pix: make([]byte, y.w*y.h)}
	for i := range l.Pix {
		px, py := float64(i%y.w), float64(i/y.w)
		v := 100 + float64((i%y.w/9+i/y.w/7)%5)*12
		if px >= y.thing.X && px < y.thing.X+y.thing.W && py >= y.thing.Y && py < y.thing.Y+y.thing.H {
			v = 40
		}
		l.Pix[i] = byte(v*y.gain + y.r.NormFloat64()*2)
	}
	return l
}

// truth is where the thing is, in 0..1.
func (y *yard) truth() detect.Box {
	return detect.Box{X: y.thing.X / 320, Y: y.thing.Y / 180, W: y.thing.W / 320, H: y.thing.H / 180}
}

func newMotion(t *testing.T, opt MotionOptions) *Motion {
	t.Helper()
	m, err := NewMotion(opt)
	require.NoError(t, err)
	t.Cleanup(m.Close)
	return m
}

func (y *yard) learn(t *testing.T, m *Motion, n int) {
	t.Helper()
	for i := range n {
		require.False(t, m.Find(y.luma()).Active, "nothing moves, instant %d", i)
	}
}

func TestMotionFollowsTheThing(t *testing.T) {
	y, m := newYard(), newMotion(t, MotionOptions{})
	y.learn(t, m, 60)
	y.thing = detect.Box{X: 20, Y: 60, W: 16, H: 40}
	for i := range 30 {
		y.thing.X += 6
		got := m.Find(y.luma())
		require.True(t, got.Active, "instant %d", i)
		require.False(t, got.Global)
		truth := y.truth()
		require.GreaterOrEqual(t, got.Boxes[0].Intersect(truth).Area(), 0.9*truth.Area(), "instant %d: %v is not at %v", i, got.Boxes, truth)
		require.Less(t, got.Boxes[0].Area(), 8*truth.Area(), "and not everywhere")
		require.InDelta(t, truth.Area(), got.Area, 3*truth.Area())
	}
	y.thing = detect.Box{}
	last := -1
	for i := range 40 {
		if m.Find(y.luma()).Active {
			last = i
		}
	}
	require.Less(t, last, 25, "what it left behind is soon scene again")
}

func TestMotionLearnsWhatStands(t *testing.T) {
	y, m := newYard(), newMotion(t, MotionOptions{})
	y.learn(t, m, 60)
	y.thing = detect.Box{X: 100, Y: 60, W: 40, H: 40}
	require.True(t, m.Find(y.luma()).Active)
	still := 0
	for i := range 80 {
		if m.Find(y.luma()).Active {
			still = i
		}
	}
	require.Less(t, still, 40, "a parked car is scene after 3 s at 8 a second")
}

func TestMotionBounds(t *testing.T) {
	mask := detect.Polygon{{X: 0, Y: 0}, {X: 0.5, Y: 0}, {X: 0.5, Y: 1}, {X: 0, Y: 1}}
	for _, c := range []struct {
		name  string
		opt   MotionOptions
		thing detect.Box
		want  bool
	}{
		{"small and large enough", MotionOptions{}, detect.Box{X: 200, Y: 60, W: 8, H: 12}, true},
		{"below min_area", MotionOptions{MinArea: 0.01}, detect.Box{X: 200, Y: 60, W: 16, H: 24}, false},
		{"above min_area", MotionOptions{MinArea: 0.01}, detect.Box{X: 200, Y: 60, W: 30, H: 40}, true},
		{"speckle", MotionOptions{}, detect.Box{X: 200, Y: 60, W: 2, H: 2}, false},
		{"in a mask", MotionOptions{Masks: []detect.Polygon{mask}}, detect.Box{X: 40, Y: 60, W: 40, H: 60}, false},
		{"beside the mask", MotionOptions{Masks: []detect.Polygon{mask}}, detect.Box{X: 200, Y: 60, W: 40, H: 60}, true},
		{"all is masked", MotionOptions{Masks: []detect.Polygon{{{X: -1, Y: -1}, {X: 2, Y: -1}, {X: 2, Y: 2}, {X: -1, Y: 2}}}}, detect.Box{X: 40, Y: 60, W: 40, H: 60}, false},
		{"threshold of 90", MotionOptions{Threshold: 250}, detect.Box{X: 200, Y: 60, W: 40, H: 60}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			y, m := newYard(), newMotion(t, c.opt)
			y.learn(t, m, 40)
			y.thing = c.thing
			require.Equal(t, c.want, m.Find(y.luma()).Active)
		})
	}
}

func TestMotionOfEverythingIsGlobal(t *testing.T) {
	y, m := newYard(), newMotion(t, MotionOptions{})
	y.learn(t, m, 40)
	y.gain = 0.4
	got := m.Find(y.luma())
	require.True(t, got.Global)
	require.False(t, got.Active)
	y.learn(t, m, 40)
	y.thing = detect.Box{X: 100, Y: 60, W: 20, H: 40}
	require.True(t, m.Find(y.luma()).Active, "and looks on")
}

func TestMotionWarmsUpAndResets(t *testing.T) {
	y, m := newYard(), newMotion(t, MotionOptions{})
	y.thing = detect.Box{Y: 60, W: 16, H: 40}
	moving := func(n int) (active int) {
		for range n {
			y.thing.X += 5
			if m.Find(y.luma()).Active {
				active++
			}
		}
		return active
	}
	require.Zero(t, moving(12), "the first instants only learn")
	require.Positive(t, moving(12))
	y.thing.X = 0
	m.Reset()
	require.Zero(t, moving(12))
	require.Positive(t, moving(12))
	m.Reset()
	y.thing.X = 0
	m.Sparse(true)
	require.Positive(t, moving(12), "key units come seconds apart: fewer of them are waited for")
}

func TestMotionTakesAnySize(t *testing.T) {
	m := newMotion(t, MotionOptions{})
	for _, s := range [][2]int{{16, 16}, {17, 19}, {320, 240}, {321, 181}, {15, 300}, {0, 0}} {
		for range 20 {
			require.False(t, m.Find(detect.Luma{Width: s[0], Height: s[1], Pix: make([]byte, s[0]*s[1])}).Active)
		}
	}
	require.Equal(t, detect.Motion{}, m.Find(detect.Luma{Width: 320, Height: 180}), "fewer pixels than it says")
}

func TestMotionClose(t *testing.T) {
	m, err := NewMotion(MotionOptions{})
	require.NoError(t, err)
	m.Close()
	m, err = NewMotion(MotionOptions{})
	require.NoError(t, err)
	y := newYard()
	for range 20 {
		m.Find(y.luma())
	}
	m.Close()
	m.Close()
	require.Equal(t, detect.Motion{}, m.Find(y.luma()))
	m.Reset()
}

// Finders that come and go, as cameras do, keep nothing: one of 640x360 holds
// 16 MiB of Gaussians.
func TestMotionMemory(t *testing.T) {
	l := detect.Luma{Width: 640, Height: 360, Pix: make([]byte, 640*360)}
	work := func(n int) {
		for range n {
			m, err := NewMotion(MotionOptions{})
			require.NoError(t, err)
			m.Find(l)
			m.Reset()
			m.Sparse(true)
			m.Find(l)
			m.Close()
		}
	}
	work(5)
	before := residentMiB(t)
	work(50)
	require.Less(t, residentMiB(t)-before, 64.0, "MiB grown over 50 finders")
}

// BenchmarkMotion is one picture of the size that the analyser uses.
func BenchmarkMotion(b *testing.B) {
	m, err := NewMotion(MotionOptions{})
	require.NoError(b, err)
	defer m.Close()
	y := newYard()
	l := [4]detect.Luma{y.luma(), y.luma(), y.luma(), y.luma()}
	for i := 0; b.Loop(); i++ {
		m.Find(l[i%4])
	}
}
