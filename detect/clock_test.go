package detect

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
)

// clockScene is a scene with a clock in it: a digit that changes each second and
// one that changes each ten seconds. An instant is an eighth of a second.
type clockScene struct {
	*scene
	m       *CellMotion
	n       int
	stopped bool
	walker  *thing
}

func newClockScene() *clockScene {
	return &clockScene{scene: newScene(320, 180), m: NewCellMotion(configs.Motion{}, nil)}
}

// digits of a clock are told apart by where their bar is.
func digit(x, value int) thing { return thing{x: x, y: 8 + 3*(value%4), w: 7, h: 4, grey: 240} }

// watch lets the finder see n instants.
func (c *clockScene) watch(n int, each func(i int)) []Motion {
	return c.scene.watch(c.m, n, func(i int) {
		if !c.stopped {
			c.things = []thing{digit(40, (c.n+3)/8), digit(30, (c.n+3)/80)}
		}
		c.things = c.things[:2]
		if c.walker != nil {
			c.things = append(c.things, *c.walker)
		}
		if each != nil {
			each(i)
		}
		c.n++
	})
}

func (c *clockScene) masked() float64 {
	share, _ := c.m.Masked()
	return share
}

func TestMotionMasksAClock(t *testing.T) {
	c := newClockScene()
	require.Zero(t, active(c.watch(7*8, nil)), "not even before it is known")
	require.Positive(t, c.masked())
	require.LessOrEqual(t, c.masked(), motionClockArea)
	tens := active(c.watch(60*8, nil))
	require.LessOrEqual(t, tens, 3*12, "the digit of ten seconds, until it changed three times with the other")
	require.Zero(t, active(c.watch(120*8, nil)))

	c.walker = &thing{x: 100, y: 60, w: 16, h: 40, grey: 30}
	require.Equal(t, 12, active(c.watch(12, func(int) { c.walker.x += 5 })), "elsewhere somebody is seen")
	c.walker = &thing{x: 0, y: 0, w: 16, h: 60, grey: 30}
	require.GreaterOrEqual(t, active(c.watch(16, func(int) { c.walker.x += 5 })), 15, "also who walks through the clock")
	c.walker = nil
	c.watch(40*8, nil)
	require.Zero(t, active(c.watch(60*8, nil)), "and the clock is known again")
	require.Positive(t, c.masked())

	c.stopped = true
	c.watch(8*8, nil)
	require.Zero(t, c.masked(), "it stands still")
}

// Key units seconds apart do not show that a cell ticks, but that it changed.
func TestMotionKeepsAClockThatKeyUnitsShow(t *testing.T) {
	c := newClockScene()
	c.watch(20*8, nil)
	known := c.masked()
	require.Positive(t, known)
	c.m.Sparse(true)
	for range 120 {
		c.n += 17
		c.watch(1, nil)
	}
	require.GreaterOrEqual(t, c.masked(), known)
	c.stopped = true
	for range 40 {
		c.m.At(time.Duration(c.n) * time.Second / 8)
		c.n += 16
		c.watch(1, nil)
	}
	require.Zero(t, c.masked(), "a minute without a tick")
}

// What was claimed beside the clock, in vain, becomes a part of it; elsewhere not.
func TestMotionLearnsFromVainClaims(t *testing.T) {
	for _, c := range []struct {
		name   string
		at     thing
		masked bool
	}{
		{"the digit of hours", thing{x: 8, y: 8, w: 8, h: 8, grey: 240}, true},
		{"a parked car", thing{x: 100, y: 100, w: 16, h: 16, grey: 240}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newClockScene()
			s.watch(9*8, nil)
			s.m.Sparse(true)
			s.watch(4, nil)
			known := s.masked()
			s.walker = &c.at
			require.True(t, s.watch(1, nil)[0].Active)
			s.m.Sparse(false)
			s.watch(4, nil)
			s.m.Vain()
			require.Equal(t, c.masked, s.masked() > known)
		})
	}
}

func TestMotionIsNotMasked(t *testing.T) {
	for _, c := range []struct {
		name string
		at   func(i int) thing
	}{
		{"somebody who walks to and fro", func(i int) thing { return thing{x: 40 + 3*abs(i%80-40), y: 60, w: 14, h: 40, grey: 30} }},
		{"somebody who steps aside each other second", func(i int) thing { return thing{x: 40 + 30*(i/13%2), y: 60, w: 14, h: 40, grey: 30} }},
		{"a branch that sways", func(i int) thing { return thing{x: 40 + abs(i%13-6)*2, y: 60, w: 10, h: 30, grey: 30} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, m := newScene(320, 180), NewCellMotion(configs.Motion{}, nil)
			s.watch(m, 40, nil)
			s.watch(m, 400, func(i int) { s.things = []thing{c.at(i)} })
			share, _ := m.Masked()
			require.Zero(t, share)
		})
	}
}

// A sign that blinks over a fifth of the picture is masked in part only: what may
// be masked is bounded.
func TestMotionMaskIsBounded(t *testing.T) {
	s, m := newScene(320, 180), NewCellMotion(configs.Motion{ClockArea: 0.01}, nil)
	s.watch(m, 200, func(i int) { s.things = []thing{{x: 20, y: 20, w: 140, h: 80, grey: float64(40 + 160*(i/8%2))}} })
	share, _ := m.Masked()
	require.Positive(t, share)
	require.LessOrEqual(t, share, 0.01)
}

func abs(i int) int { return max(i, -i) }

// An infrared switch moves many pixels by less than the threshold; it is known by
// its moving most of the picture, and otherwise than a cloud.
func TestMotionKnowsASwitchOfLight(t *testing.T) {
	for _, c := range []struct {
		name   string
		sparse bool
	}{{"decoded continuously", false}, {"on key units", true}} {
		t.Run(c.name, func(t *testing.T) {
			s, m := newScene(320, 180), NewCellMotion(configs.Motion{}, nil)
			s.things = []thing{{x: 200, y: 20, w: 90, h: 40, grey: 220}, {x: 30, y: 100, w: 120, h: 60, grey: 40}}
			s.watch(m, 60, nil)
			m.Sparse(c.sparse)
			s.watch(m, 8, nil)
			s.gain, s.lift = 0.4, 70
			got := s.watch(m, 1, nil)[0]
			require.True(t, got.Global)
			require.False(t, got.Active)
			require.Zero(t, active(s.watch(m, 40, nil)), "the new light is the scene")
			s.things = append(s.things, thing{x: 160, y: 90, w: 20, h: 50, grey: 10})
			require.True(t, s.watch(m, 1, nil)[0].Active, "and what comes is seen in it")
		})
	}
}
