package detect

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// stream drives a gate with made-up units: 25 a second, a key unit every 2 s,
// sizes and quantisers as a test says.
type stream struct {
	t    *testing.T
	g    *gate
	n    int
	r    *rand.Rand
	size func(n int) int
	qp   func(n int) int8
	kind func(n int) (PictureType, bool)

	keySize func() int

	gop  int
	late time.Duration
	move bool // pixels move

	blind bool // key units teach the score nothing
}

func newStream(t *testing.T, change func(*configs.Gate)) *stream {
	cfg := filledSettings(configs.Stream{}).Gate
	if change != nil {
		change(&cfg)
	}
	s := &stream{t: t, g: newGate(cfg, ingest.H264, NewMetrics(nil).forGate("x")), r: rand.New(rand.NewPCG(1, 2)), gop: 50}
	s.size = func(int) int { return 900 + s.r.IntN(200) }
	s.qp = func(int) int8 { return 28 }
	s.keySize = func() int { return 12000 }
	s.kind = func(int) (PictureType, bool) { return PictureP, true }
	return s
}

func (s *stream) now() time.Time { return at(float64(s.n) / 25) }

// run drives the gate for some seconds and does what it says; it returns how
// often each action was asked for.
func (s *stream) run(seconds float64) map[gateAction]int {
	did := map[gateAction]int{}
	for range int(seconds * 25) {
		key := s.n%s.gop == 0
		typ, ref := s.kind(s.n)
		h := Header{OK: true, Type: typ, Reference: ref, QP: s.qp(s.n), Slices: 1, Bytes: s.size(s.n)}
		if key {
			h.Type, h.Key, h.Reference, h.Bytes = PictureI, true, true, s.keySize()
		}
		act := s.g.unit(gateUnit{header: h, key: key, at: s.now(), pts: time.Duration(s.n) * time.Second / 25, behind: s.late, fits: true})
		did[act]++
		switch act {
		case gateWake:
			s.g.caughtUp()
		case gateCheck:
			if s.blind {
				s.g.withheld = false
			}
			if s.g.key(s.now(), Motion{Active: s.move}) {
				s.g.caughtUp()
			}
		case gateDecode:
			if s.n%3 == 0 {
				s.g.motion(s.now(), Motion{Active: s.move}, s.g.tracks)
			}
		}
		s.n++
	}
	return did
}

func TestGateLearnsThenSleeps(t *testing.T) {
	s := newStream(t, nil)
	did := s.run(3)
	require.Equal(t, GateActive, s.g.state)
	require.Equal(t, 1, did[gateWake])
	s.run(3)
	require.Equal(t, GateIdle, s.g.state, "4 s: the scene is learned, the hold time is over")
	did = s.run(60)
	require.Equal(t, map[gateAction]int{gateQuiet: 60*25 - 30, gateCheck: 30}, did, "every key unit is looked at and nothing else")
	require.True(t, s.g.score.constant(), "the quantiser stands still")
}

func TestGateWakesByScore(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(s *stream)
		wake bool
	}{
		{"size at constant quality", func(s *stream) { s.size = func(int) int { return 2200 } }, true},
		{"quantiser at constant rate", func(s *stream) { s.qp = func(int) int8 { return 34 } }, true},
		{"size up, quantiser down: nothing", func(s *stream) {
			s.size, s.qp = func(int) int { return 1000 * 4 }, func(int) int8 { return 28 - 6 - 1 }
		}, false},
		{"a breath of noise", func(s *stream) { s.size = func(int) int { return 950 + s.r.IntN(200) } }, false},
		{"one picture", func(s *stream) { n := s.n; s.size = func(i int) int { return 1000 + 2000*b2i(i == n) } }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStream(t, nil)
			s.run(40)
			c.set(s)
			did := s.run(1)
			require.Equal(t, c.wake, did[gateWake] == 1)
			if c.wake {
				require.Equal(t, WakeScore, s.g.cause)
			}
		})
	}
}

func TestGateHoldsLongerWhereMotionComesBack(t *testing.T) {
	s := newStream(t, nil)
	quiet := s.size
	pass := func() {
		s.size, s.move = func(int) int { return 2200 }, true
		s.run(3)
		require.Equal(t, GateActive, s.g.state)
		s.size, s.move = quiet, false
	}
	s.run(40)
	pass()
	s.run(0.8)
	require.Equal(t, GateActive, s.g.state, "who stands still for a moment is not lost")
	s.run(0.6)
	require.Equal(t, GateIdle, s.g.state, "the hold time is over")
	s.run(0.4)
	pass() // a key unit comes at once
	s.run(1.8)
	require.Equal(t, GateActive, s.g.state, "that was too short: twice as long")
	s.run(0.6)
	require.Equal(t, GateIdle, s.g.state)
	s.run(30)
	pass()
	s.run(1.4)
	require.Equal(t, GateIdle, s.g.state, "as before after a long rest")
}

func TestGateHoldsLongerInLongGOPs(t *testing.T) {
	s := newStream(t, nil)
	s.gop = 8 * 25
	s.run(50)
	s.size, s.move = func(int) int { return 2200 }, true
	s.run(3)
	s.size, s.move = func(int) int { return 900 + s.r.IntN(200) }, false
	s.run(1.8)
	require.Equal(t, GateActive, s.g.state)
	s.run(0.6)
	require.Equal(t, GateIdle, s.g.state)
}

func TestGateRestsSoonestAtAKeyUnit(t *testing.T) {
	for _, c := range []struct{ before, idle float64 }{{0.8, 0.9}, {0.2, 1.1}} {
		s := newStream(t, nil)
		s.run(40)
		s.size, s.move = func(int) int { return 2200 }, true
		s.run(4 - c.before) // the next key unit comes in so many seconds
		s.size, s.move = func(int) int { return 900 + s.r.IntN(200) }, false
		s.run(c.idle - 0.14)
		require.Equal(t, GateActive, s.g.state, "%+v", c)
		s.run(0.2)
		require.Equal(t, GateIdle, s.g.state, "%+v", c)
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// After a key frame that ate the budget of a constant rate the first pictures are
// small and then large, always the same: no motion.
func TestGateKnowsThePatternOfAGOP(t *testing.T) {
	s := newStream(t, nil)
	s.size = func(n int) int {
		return []int{2133, 4361, 3214, 1890, 1200, 1100, 1000, 950}[min(n%50, 7)] + s.r.IntN(100)
	}
	did := s.run(120)
	require.Equal(t, 1, did[gateWake], "the start")
}

// At a constant rate the first pictures are small after a large key unit and
// large after a small one: that is no motion.
func TestGateKnowsThatAKeyUnitMovesWhatFollows(t *testing.T) {
	s := newStream(t, nil)
	s.qp = func(int) int8 { return int8(28 + s.r.IntN(2)) }
	s.size = func(n int) int {
		if n%50 < 9 && n/50%5 > 2 {
			return 3000 + s.r.IntN(300)
		}
		return 950 + s.r.IntN(100)
	}
	s.keySize = func() int { return []int{14000, 7000}[b2i(s.n/50%5 > 2)] }
	require.LessOrEqual(t, s.run(240)[gateWake], 2, "the start, and one to learn from")
	s.size = func(int) int { return 2600 + s.r.IntN(300) }
	require.Equal(t, 1, s.run(2)[gateWake], "somebody comes")
}

// B-frames and hierarchical P are a fraction of the others' size: each kind has
// its own baseline.
func TestGateKeepsABaselineForEachKind(t *testing.T) {
	for name, kind := range map[string]func(n int) (PictureType, bool){
		"B-frames":       func(n int) (PictureType, bool) { return [...]PictureType{PictureP, PictureB, PictureB}[n%3], n%3 == 0 },
		"hierarchical P": func(n int) (PictureType, bool) { return PictureP, n%3 == 0 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t, nil)
			s.kind = kind
			s.size = func(n int) int { return []int{3000, 300, 400}[n%3] + s.r.IntN(50) }
			require.Equal(t, 1, s.run(60)[gateWake], "the start")
			s.size = func(n int) int { return []int{7500, 800, 1000}[n%3] }
			require.Equal(t, 1, s.run(1)[gateWake])
		})
	}
}

func TestGateRaisesItsThresholdByWhatItCannotConfirm(t *testing.T) {
	s := newStream(t, func(c *configs.Gate) { c.MaxWakes = 3 })
	s.run(40)
	gust := func() map[gateAction]int {
		s.size = func(int) int { return 2600 }
		did := s.run(1.2)
		s.size = func(int) int { return 900 + s.r.IntN(200) }
		s.run(8)
		return did
	}
	require.Equal(t, 1, gust()[gateWake])
	require.InDelta(t, 7.2, s.g.raised, 0.01)
	require.Equal(t, GateIdle, s.g.state)
	gust()
	gust()
	require.InDelta(t, 6*1.2*1.2*1.2, s.g.raised, 0.01)
	require.Zero(t, gust()[gateWake], "three in an hour are enough")
	s.n += 3600 * 25
	s.g.lastKey = s.now()
	s.run(60)
	s.move = true
	require.Equal(t, 1, gust()[gateWake], "an hour later it may again")
	require.Less(t, s.g.raised, 6*1.2*1.2*1.2, "confirmed: it decays")
	s.g.raised = 100
	s.g.unconfirmed(s.now())
	require.Equal(t, 18.0, s.g.raised, "three times the threshold at most")
}

func TestGateFollowsWhatMoves(t *testing.T) {
	s := newStream(t, nil)
	s.run(40)
	s.move = true
	s.run(4)
	require.Equal(t, GateActive, s.g.state)
	require.Equal(t, WakeKey, s.g.cause, "the score saw nothing")
	s.run(20)
	require.Equal(t, GateActive, s.g.state)
	s.move, s.g.tracks = false, 1
	s.run(3)
	require.Equal(t, GateStationary, s.g.state, "somebody stands there")
	s.g.motion(s.now(), Motion{}, 0)
	require.Equal(t, GateIdle, s.g.state, "and is gone")
}

func TestGateTakesAnEarlyKeyUnitForASign(t *testing.T) {
	s := newStream(t, nil)
	s.run(60)
	s.run(0.8)
	s.gop = s.n // the next unit is a key unit, 0.8 s after the last
	did := s.run(0.04)
	require.Equal(t, 1, did[gateWake])
	require.Equal(t, WakeEarlyKey, s.g.cause)
}

func TestGateWakesWhenAsked(t *testing.T) {
	for _, c := range []WakeCause{WakeOperator, WakeDevice} {
		s := newStream(t, nil)
		s.run(40)
		s.g.ask(c)
		s.run(9)
		require.Equal(t, GateActive, s.g.state)
		require.Equal(t, c, s.g.cause)
		s.g.ask(c)
		s.run(9)
		require.Equal(t, GateActive, s.g.state, "asked again")
		s.run(4)
		require.Equal(t, GateIdle, s.g.state)
	}
}

func TestGateForgetsTheSceneOnAGlobalChange(t *testing.T) {
	s := newStream(t, nil)
	s.run(40)
	require.False(t, s.g.key(s.now(), Motion{Global: true, Active: true}), "light is not motion")
	s.size = func(int) int { return 2500 + s.r.IntN(300) }
	require.Zero(t, s.run(30)[gateWake], "the new light is the new normal")
}

func TestGateDegradesWhenLateAndRecovers(t *testing.T) {
	s := newStream(t, nil)
	s.run(40)
	s.move = true
	s.run(3)
	require.Equal(t, GateActive, s.g.state)
	s.late = 3 * time.Second
	did := s.run(10)
	require.Equal(t, GateDegraded, s.g.state)
	require.Equal(t, map[gateAction]int{gateCheck: did[gateCheck], gateSkip: 250 - did[gateCheck]}, did)
	require.GreaterOrEqual(t, did[gateCheck], 4, "key units are still looked at")
	s.late = 0
	s.run(5)
	require.Equal(t, GateDegraded, s.g.state, "not at once")
	s.run(10)
	require.Equal(t, GateActive, s.g.state)
}

// Predicted pictures go without deblocking only where they cannot drift far.
func TestGateSaysWhatToDeblock(t *testing.T) {
	s := newStream(t, nil)
	s.qp = func(int) int8 { return 25 }
	s.run(1)
	require.True(t, s.g.deblock(), "the length of a GOP is not known yet")
	s.run(5)
	require.False(t, s.g.deblock())
	s.qp = func(int) int8 { return 26 }
	s.run(1)
	require.True(t, s.g.deblock(), "coarse")

	s = newStream(t, nil)
	s.qp, s.gop = func(int) int8 { return 25 }, 110
	s.run(15)
	require.True(t, s.g.deblock(), "a long GOP")

	s = newStream(t, nil)
	s.qp = func(int) int8 { return 25 }
	s.run(5)
	s.g.enter(GateFull)
	require.True(t, s.g.deblock(), "no key unit may come for long")
}

func TestGateGivesUpOnStreamsItCannotGate(t *testing.T) {
	t.Run("no key units", func(t *testing.T) {
		s := newStream(t, nil)
		s.run(20)
		s.gop = 1 << 30
		s.run(20)
		require.Equal(t, GateFull, s.g.state)
		s.gop = 50
		s.run(10)
		require.NotEqual(t, GateFull, s.g.state, "the camera was mended")
	})
	t.Run("headers", func(t *testing.T) {
		s := newStream(t, nil)
		s.run(20)
		for range 100 {
			s.g.unit(gateUnit{at: s.now(), fits: true})
			s.n++
		}
		require.Equal(t, GateFull, s.g.state)
	})
	t.Run("by configuration", func(t *testing.T) {
		s := newStream(t, nil)
		s.g.enter(GateFull)
		s.g.forced = true
		require.Equal(t, map[gateAction]int{gateDecode: 1500}, s.run(60))
	})
}

func TestScoreIsTheSameAtAnyFrameRate(t *testing.T) {
	s := newMotionScore(ingest.H264, configs.Gate{Smoothing: 0.15})
	s.key(40 * time.Millisecond)
	require.InDelta(t, 0.15, s.alpha, 1e-9)
	s.key(100 * time.Millisecond)
	require.InDelta(t, 0.334, s.alpha, 0.001)
	s.key(time.Hour)
	require.Equal(t, 0.6, s.alpha)
}

func TestScoreTellsConstantRateFromConstantQuality(t *testing.T) {
	s := newStream(t, nil)
	s.qp = func(int) int8 { return int8(22 + s.r.IntN(12)) }
	s.run(60)
	require.False(t, s.g.score.constant())
	// With bits to spare the quantiser stands still at its least, and key units swing.
	s = newStream(t, nil)
	s.keySize = func() int { return 10000 + s.r.IntN(4000) }
	s.run(120)
	require.False(t, s.g.score.constant())
	s.keySize = func() int { return 12000 + s.r.IntN(100) }
	s.run(20)
	require.True(t, s.g.score.constant())
}

// What the score takes for motion before it may wake is quiet where the next key
// unit shows nothing.
func TestScoreLearnsFromKeyUnitsBeforeItMayWake(t *testing.T) {
	wakes := map[bool]int{}
	for _, blind := range []bool{false, true} {
		s := newStream(t, nil)
		s.blind = blind
		s.keySize = func() int { return 10000 + s.r.IntN(4000) }
		s.size = func(n int) int {
			if n%50 < 9 && n/50%3 == 0 && n > 10*25 {
				return 2400 + s.r.IntN(300)
			}
			return 950 + s.r.IntN(100)
		}
		s.run(30)
		wakes[blind] = s.run(30)[gateWake]
	}
	require.Zero(t, wakes[false])
	require.Positive(t, wakes[true], "or there was nothing to learn")
}

// Rain begins and stays: what proved to be no motion is the new quiet, and what
// rises above it is seen. Rain ends: so is that, without waiting.
func TestScoreTakesWhatWasInVainForQuiet(t *testing.T) {
	s := newStream(t, nil)
	s.run(60)
	s.size = func(int) int { return 2200 + s.r.IntN(300) }
	did := s.run(120)
	require.InDelta(t, 1, did[gateWake], 1, "it rains")
	s.size = func(int) int { return 900 + s.r.IntN(200) }
	require.Zero(t, s.run(60)[gateWake], "it rains no more")
	s.size = func(int) int { return 2600 }
	require.Equal(t, 1, s.run(1)[gateWake], "somebody comes")
}

// newSeeSaw drives a gate for a minute with a stream of constant rate, and returns
// its sizes: what a picture takes too much the next one gets less, and slice headers
// round the quantiser.
func newSeeSaw(t *testing.T) (s *stream, usual func(n int) int) {
	s = newStream(t, nil)
	owed := 0
	s.size = func(int) int {
		want := s.r.IntN(1000)
		got := 2000 + want - owed
		owed = want
		return got
	}
	s.qp = func(int) int8 { return int8(20 + s.r.IntN(4)) }
	s.run(60)
	return s, s.size
}

// Of what moves at a constant rate single pictures say little, and their sum more.
func TestScoreSumsWhatRateControlEvensOut(t *testing.T) {
	s, usual := newSeeSaw(t)
	require.Equal(t, map[gateAction]int{gateQuiet: 60*25 - 30, gateCheck: 30}, s.run(60))
	s.size = func(n int) int { return usual(n) + 800 }
	s.run(0.6)
	require.Equal(t, WakeScore, s.g.cause)
}

// Where next to nothing is coded, next to nothing more counts for little together.
func TestScoreCountsCrumbsForLittle(t *testing.T) {
	s := newStream(t, nil)
	s.g.score.resize(640, 360)
	s.qp = func(int) int8 { return 25 }
	s.size = func(int) int { return 16 + s.r.IntN(8) }
	s.run(60)
	s.size = func(int) int { return 32 + s.r.IntN(8) }
	s.run(1)
	require.InDelta(t, 0.1, s.g.score.sum.residual, 0.03, "of a doubling, though sizes nearly doubled")
}

// One picture may take much more than its share: the quantiser reached a new low.
func TestScoreForgivesOnePictureOfConstantRate(t *testing.T) {
	s := newStream(t, nil)
	s.r = rand.New(rand.NewPCG(3, 4))
	s.size = func(int) int { return 1980 + s.r.IntN(40) }
	s.qp = func(n int) int8 { return int8(20 + n%3) }
	s.run(60.6)
	large, usual := s.n, s.size
	s.size = func(n int) int { return usual(n) + 1600*b2i(n == large) }
	require.Zero(t, s.run(1)[gateWake])
	s.size = func(n int) int { return usual(n) + 1600*b2i(n > large) }
	require.Equal(t, 1, s.run(0.4)[gateWake], "several are motion")
}

// Where a quantiser begins to code the noise of the sensor, pictures of H.265 are
// three times as large, whenever there are bits for it. That is not motion.
func TestScoreForgivesWhatIsUsualOfAQuantiser(t *testing.T) {
	s := newStream(t, nil)
	s.g.score = newMotionScore(ingest.H265, s.g.cfg)
	s.g.score.resize(1920, 1080)
	rich := func(n int) bool { return n%25 == 7 }
	s.qp = func(n int) int8 { return int8(25 - b2i(rich(n))) }
	s.size = func(n int) int { return 9500 + s.r.IntN(1000) + 22000*b2i(rich(n)) }
	s.run(60.6)
	began := s.n
	rich = func(n int) bool { return n >= began }
	s.g.score.highest = 0
	s.run(0.2)
	require.Less(t, s.g.score.highest, s.g.cfg.Threshold, "five in a row")
	s.qp = func(int) int8 { return 25 }
	s.run(0.2)
	require.Greater(t, s.g.score.highest, s.g.cfg.Threshold, "as large with the other quantiser")
}

// After motion an encoder of constant rate saves what motion took. That is no new
// quiet, above which its usual size would be motion.
func TestScoreLetsRateControlPayBack(t *testing.T) {
	s, usual := newSeeSaw(t)
	for range 3 {
		s.size = func(n int) int { return usual(n) / 3 }
		require.Zero(t, s.run(1)[gateWake], "it saves")
		s.size = usual
		require.Zero(t, s.run(9)[gateWake], "it is as ever")
	}
}

// What it saves after motion does not make the score blind to the next motion.
func TestScoreDoesNotLearnFromPayingBack(t *testing.T) {
	s, usual := newSeeSaw(t)
	for range 8 {
		s.move, s.size = true, func(n int) int { return 2 * usual(n) }
		require.Positive(t, s.run(3)[gateDecode])
		s.move, s.size = false, func(n int) int { return usual(n) / 2 }
		s.run(3.4)
		s.size = usual
		s.run(3.6)
	}
	s.size = func(n int) int { return usual(n) + 1200 }
	require.Equal(t, 1, s.run(1)[gateWake])
}

// With something moving again and again there is no other quiet to learn from.
func TestScoreLearnsBetweenMotionThatNeverEnds(t *testing.T) {
	s := newStream(t, nil)
	score, n := s.g.score, 0
	learned := func(seconds int, moving bool) int {
		before := score.qpSeen
		for range seconds * 25 {
			score.add(Header{OK: true, Type: PictureP, Reference: true, QP: int8(20 + n%3), Bytes: 1000}, at(float64(n)/25), moving)
			n++
		}
		return score.qpSeen - before
	}
	require.Equal(t, 250, learned(10, false))
	for second := 0; second < 90; second += 3 {
		learned(1, true)
		require.Equal(t, second >= 57, learned(2, false) > 0, "%d s", second)
	}
	learned(1, true)
	learned(4, false)
	require.Zero(t, learned(1, true)+learned(3, false), "it had settled again")
}

// At constant quality two pictures are enough, and a rounded quantiser says nothing.
func TestScoreIsQuickAtConstantQuality(t *testing.T) {
	s := newStream(t, nil)
	s.qp = func(int) int8 { return int8(28 + s.r.IntN(2)) }
	s.run(60)
	require.Zero(t, s.run(60)[gateWake])
	s.size = func(int) int { return 2000 }
	require.Equal(t, 1, s.run(0.08)[gateWake])
}

// A light is no wake in vain: it says nothing of the threshold.
func TestGateDoesNotBlameTheScoreForALight(t *testing.T) {
	s := newStream(t, nil)
	s.run(40)
	s.size = func(int) int { return 2600 }
	require.Equal(t, 1, s.run(0.5)[gateWake])
	s.g.motion(s.now(), Motion{Global: true}, 0)
	s.run(3)
	require.Equal(t, GateIdle, s.g.state)
	require.Equal(t, 6.0, s.g.raised)
	require.Empty(t, s.g.misses)
}

func TestGateForgivesWithTime(t *testing.T) {
	s := newStream(t, nil)
	s.run(40)
	s.g.setThreshold(12, s.now())
	s.run(1300)
	require.InDelta(t, 12*gateDecay*gateDecay, s.g.raised, 0.01, "twice in 21 minutes")
}

// At constant quality one key unit in ten seconds is looked at, as long as key
// units are of one size and the score is low; at a constant rate each is.
func TestGateSkipsKeyUnitsOfQuietVBR(t *testing.T) {
	for _, c := range []struct {
		name        string
		set         func(s *stream)
		least, most int
	}{
		{"constant quality", func(*stream) {}, 12, 14},
		{"rounded between two quantisers", func(s *stream) { s.qp = func(n int) int8 { return int8(28 + n/3%2) } }, 12, 14},
		{"key units differ", func(s *stream) { s.keySize = func() int { return 11000 + s.r.IntN(2000) } }, 60, 60},
		{"constant rate", func(s *stream) { s.qp = func(int) int8 { return int8(24 + s.r.IntN(6)) } }, 60, 60},
		{"the score is up", func(s *stream) { s.g.cfg.Threshold = 0.001 }, 60, 60},
		{"somebody stands there", func(s *stream) { s.g.state = GateStationary }, 60, 60},
		{"as configured", func(s *stream) { s.g.cfg.KeyEvery = configs.Duration(time.Second) }, 60, 60},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStream(t, nil)
			s.run(120)
			c.set(s)
			s.run(240)
			did := s.run(120)
			require.GreaterOrEqual(t, did[gateCheck], c.least)
			require.LessOrEqual(t, did[gateCheck], c.most)
		})
	}
	s := newStream(t, nil)
	s.run(200)
	require.Zero(t, s.run(4)[gateCheck]%2)
	s.keySize = func() int { return 12600 }
	require.GreaterOrEqual(t, s.run(2)[gateCheck], 1, "a key unit of another size is looked at")
}

// What is half as large as motion is worth a look between key units.
func TestGateWakesForWhatIsFaint(t *testing.T) {
	s := newStream(t, nil)
	s.run(40)
	require.True(t, s.g.key(s.now(), Motion{Faint: true}))
	require.Equal(t, WakeKey, s.g.cause)
	s.g.enter(GateDegraded)
	require.False(t, s.g.key(s.now(), Motion{Faint: true}))
}

func TestGateSaysInMetricsWhatItLearned(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := newStream(t, func(c *configs.Gate) { c.MaxWakes = 1 })
	s.g.count = NewMetrics(reg).forGate("x")
	s.run(200)
	got := func(name string) float64 { return gaugeOf(t, reg, name) }
	require.Equal(t, 1.0, got("sharpeyes_gate_constant_quality"))
	require.Zero(t, got("sharpeyes_gate_wakes_capped"))
	s.g.cause = WakeScore
	s.g.unconfirmed(s.now())
	s.run(3)
	require.Equal(t, 1.0, got("sharpeyes_gate_wakes_capped"))
	require.InDelta(t, 7.2, got("sharpeyes_gate_threshold"), 0.01)
}

// gaugeOf returns the only series of a gauge.
func gaugeOf(t *testing.T, reg *prometheus.Registry, name string) float64 {
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == name {
			require.Len(t, f.GetMetric(), 1)
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return -1
}

func TestGateDoesNotAllocate(t *testing.T) {
	s := newStream(t, nil)
	s.run(60)
	u := gateUnit{header: Header{OK: true, Type: PictureP, Reference: true, QP: 28, Bytes: 1000}, fits: true}
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		s.n++
		u.at, u.key = s.now(), s.n%50 == 0
		s.g.unit(u)
	}))
}

func BenchmarkGateUnit(b *testing.B) {
	s := newStream(nil, nil)
	s.run(60)
	u := gateUnit{header: Header{OK: true, Type: PictureP, Reference: true, QP: 28, Bytes: 1000}, fits: true}
	for b.Loop() {
		s.n++
		u.at, u.key = s.now(), s.n%50 == 0
		s.g.unit(u)
	}
}

// Where the node has no room the key units are looked at, and room is asked for
// again with each of them.
func TestGateWithoutRoom(t *testing.T) {
	n := newNode(0.1)
	require.True(t, n.take("other", WakeKey), "somebody has all the room there is")
	s := newStream(t, nil)
	s.g.claim = &claim{n.Budget, "here"}
	did := s.run(60)
	require.Zero(t, did[gateWake], "to learn the scene there was no room")
	require.Equal(t, GateIdle, s.g.state)
	require.Greater(t, did[gateCheck], 20)

	s.move = true
	s.run(2.5)
	require.Equal(t, GateDegraded, s.g.state)
	did = s.run(5)
	require.Greater(t, did[gateCheck], 1)
	require.Zero(t, did[gateWake])
	n.leave("other")
	require.Equal(t, 1, s.run(2.5)[gateWake], "there is room now")
	require.Equal(t, GateActive, s.g.state)
	require.NotNil(t, n.holders["here"])

	s.move = false
	s.run(10)
	require.Equal(t, GateIdle, s.g.state)
	require.Nil(t, n.holders["here"], "room is given back")

	n.take("other", WakeKey)
	s.move = true
	s.run(2.5)
	require.Equal(t, GateDegraded, s.g.state)
	require.Equal(t, 0, n.place("here"))
	s.move = false
	s.run(10)
	require.Equal(t, GateIdle, s.g.state, "nothing moves any more")
	require.Equal(t, -1, n.place("here"), "nor does it wait")

	s.run(1) // into the group
	quiet, vain := s.size, len(s.g.misses)
	s.size = func(int) int { return 4000 }
	s.run(0.5)
	require.Equal(t, GateDegraded, s.g.state, "the score asks for room")
	s.size = quiet
	s.run(1)
	require.Equal(t, GateIdle, s.g.state, "one key unit shows that nothing moves")
	require.Len(t, s.g.misses, vain+1)

	s.move = true
	s.run(2.5)
	s.g.ask(WakeOperator)
	s.run(2.5)
	require.Equal(t, GateDegraded, s.g.state)
	require.Equal(t, rankAsked, n.line[n.place("here")].rank, "somebody looks: before others that wait")
}
