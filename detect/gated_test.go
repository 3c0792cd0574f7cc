package detect

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
	"github.com/sharpeyes/sharpeyes/ingest/replay"
)

// codedUnits reads a small clip.
type codedUnits []ingest.AccessUnit

func (c *codedUnits) Connected(string)           {}
func (c *codedUnits) Lost(uint64)                {}
func (c *codedUnits) Write(au ingest.AccessUnit) { *c = append(*c, au) }

// gatedBench is a bench whose units have real headers, with a pool.
type gatedBench struct {
	*bench
	clip codedUnits
	late time.Duration
	pool []*painter // the pool's decoders
	a    *Analyser
}

func newGatedBench(t *testing.T, basis string) *gatedBench {
	g := &gatedBench{bench: newBench(t)}
	src, err := replay.New("testdata/headers/cbr.h264", replay.Options{})
	require.NoError(t, err)
	require.Equal(t, ingest.ReasonEnded, ingest.ReasonOf(src.Run(t.Context(), &g.clip)))
	g.cam.LegalBasis = basis
	a := g.analyser()
	a.opt.Keys = NewKeyPool(1, func(c ingest.Codec) (Decoder, error) {
		before := len(g.decoders)
		d, err := g.decoder(c)
		if err == nil {
			g.pool = append(g.pool, g.decoders[before])
			g.decoders = g.decoders[:before] // the camera's own remain
		}
		return d, err
	})
	a.opt.Now = func() time.Time { return at(float64(g.n)/25 - 0.04).Add(g.late) }
	g.a = a
	return g
}

// watch feeds s seconds of real headers.
func (g *gatedBench) watch(s float64, change func(i int, au *ingest.AccessUnit)) []Observation {
	return g.feed(g.a, s, func(i int, au *ingest.AccessUnit) {
		au.NALUs = g.clip[1].NALUs
		if au.Key {
			au.NALUs = g.clip[0].NALUs
		}
		if change != nil {
			change(i, au)
		}
	})
}

func (g *gatedBench) decoded() float64 {
	return values(g.t, g.reg)[`sharpeyes_camera_decoded_frames_total{camera="gate"}`]
}

func TestIdleCameraHoldsNoDecoder(t *testing.T) {
	g := newGatedBench(t, "A9")
	g.watch(10, nil)
	require.Equal(t, GateIdle, g.a.gate.state)
	require.Nil(t, g.a.decoder)
	require.Equal(t, 1, g.decoders[0].closed)
	before := g.decoded()
	got := g.watch(20, nil)
	require.Equal(t, before+20, g.decoded(), "the key units")
	require.Len(t, g.pool, 1)
	require.GreaterOrEqual(t, len(got), 40, "rules are told that nothing moves")
	for i, o := range got {
		require.Equal(t, SkipNone, o.Skipped)
		require.False(t, o.Motion.Active)
		if i > 0 {
			require.LessOrEqual(t, o.At.Sub(got[i-1].At), time.Second)
		}
	}
	require.Equal(t, []string{"yes "}, g.facts)
}

func TestGatedCameraFollowsAPersonAndLooksWhileHeStands(t *testing.T) {
	g := newGatedBench(t, "A9")
	g.watch(20, nil)
	walk := g.enter(Person, 0.8)
	g.watch(4, func(i int, au *ingest.AccessUnit) { walk(i, au) })
	require.Equal(t, GateActive, g.a.gate.state)
	require.Equal(t, 1, g.a.tracker.Len())
	id := g.a.tracks[0].ID
	g.watch(10, nil)
	require.Equal(t, GateStationary, g.a.gate.state)
	require.Nil(t, g.a.decoder)
	looked := g.looked
	got := g.watch(20, nil)
	require.InDelta(t, 10, g.looked-looked, 2, "every two seconds, on key units")
	require.Equal(t, id, got[len(got)-1].Tracks[0].ID, "the same")
	g.scene.things, g.seen = nil, nil
	g.watch(60, nil)
	require.Equal(t, GateIdle, g.a.gate.state)
	require.Empty(t, g.a.kept.Y, "the copy of the picture is let go")
}

func TestGatedWakeByOperatorCatchesUp(t *testing.T) {
	g := newGatedBench(t, "A9")
	g.watch(20.5, nil)
	before := g.decoded()
	g.a.Wake(WakeOperator)
	g.a.Wake(WakeDevice) // dropped, the first waits
	g.watch(0.04, nil)
	require.Equal(t, before+13, g.decoded(), "from the key unit half a second ago to now")
	require.Equal(t, 13.0, values(t, g.reg)[`sharpeyes_gate_units_total{camera="gate",what="catch_up"}`]-1, "and one at the start")
	require.Equal(t, WakeOperator, g.a.gate.cause)
	require.Equal(t, GateActive, g.a.gate.state)
	require.NotEmpty(t, g.a.Ring().Snapshot())
	for i := 1; i < len(g.obs); i++ {
		require.True(t, g.obs[i].At.After(g.obs[i-1].At))
	}
}

// What woke the camera is looked for in each picture until there is a sign of it.
func TestGatedLooksAtEachPictureAfterAWake(t *testing.T) {
	for name, there := range map[string]bool{"in vain": false, "somebody walks": true} {
		t.Run(name, func(t *testing.T) {
			g := newGatedBench(t, "A9")
			g.watch(40.2, nil)
			instants := func() float64 { return values(t, g.reg)[`sharpeyes_analysed_instants_total{camera="gate"}`] }
			before := instants()
			walk := func(int, *ingest.AccessUnit) {}
			if there {
				walk = g.enter(Person, 0.8)
			}
			g.watch(1.2, func(i int, au *ingest.AccessUnit) {
				if !au.Key { // ten times as large
					au.NALUs = slices.Clone(au.NALUs)
					last := &au.NALUs[len(au.NALUs)-1]
					*last = append(slices.Clone(*last), make([]byte, 9*len(*last))...)
				}
				walk(i, au)
			})
			require.NotZero(t, values(t, g.reg)[`sharpeyes_gate_wakes_total{camera="gate",cause="score"}`])
			if there {
				require.InDelta(t, 10, instants()-before, 3, "eight a second")
			} else {
				require.InDelta(t, 33, instants()-before, 3, "each, for the second in which a wake is confirmed or not")
			}
		})
	}
}

// While every unit of a camera with a fine quantiser is decoded, its key units are
// deblocked and no others. Without a gate, all are.
func TestActiveCameraIsNotDeblocked(t *testing.T) {
	g := newGatedBench(t, "A9")
	g.watch(20, nil)
	require.Less(t, g.a.gate.qp, int8(26))
	g.a.Wake(WakeOperator)
	g.watch(5, nil)
	require.Equal(t, GateActive, g.a.gate.state)
	d := g.decoders[len(g.decoders)-1]
	require.Equal(t, 120, d.rough, "24 of each 25")
	g.watch(1, func(_ int, au *ingest.AccessUnit) { au.NALUs = [][]byte{{1}} })
	require.Equal(t, 120, d.rough, "a quantiser that is not known may be coarse")

	b := newBench(t)
	b.feed(b.analyser(), 5, nil)
	require.Zero(t, b.decoders[0].rough)
}

// A wake late in a long group of pictures asks the camera for a key unit and starts
// with it; where none comes the group is decoded, and the camera not asked again.
func TestGatedWakeAsksForAKeyUnit(t *testing.T) {
	for name, answers := range map[string]bool{"the camera answers": true, "it does not": false} {
		t.Run(name, func(t *testing.T) {
			g := newGatedBench(t, "A9")
			asked, key := 0, false
			g.a.opt.AskKey = func() { asked, key = asked+1, answers }
			long := func(_ int, au *ingest.AccessUnit) { // five seconds, unless asked
				au.Key = g.n%125 == 0 || key
				key = false
				au.NALUs = g.clip[1-b2i(au.Key)].NALUs
			}
			wake := func() float64 {
				before := g.decoded()
				g.a.Wake(WakeOperator)
				g.watch(1.5, long)
				require.Equal(t, GateActive, g.a.gate.state)
				return g.decoded() - before
			}
			g.watch(63.2, long)
			require.Equal(t, GateIdle, g.a.gate.state)
			require.Zero(t, asked, "the start is no wake in the middle")
			decoded := wake()
			require.Equal(t, 1, asked)
			if answers {
				require.InDelta(t, 1.5*25, decoded, 3, "from the key unit on")
				return
			}
			require.Greater(t, decoded, float64(askAfter+25), "the whole group")
			g.watch(58.5, long)
			require.Equal(t, GateIdle, g.a.gate.state)
			wake()
			require.Equal(t, 1, asked, "it is known not to answer")
		})
	}
}

func TestGatedCameraAfterLoss(t *testing.T) {
	g := newGatedBench(t, "A9")
	g.watch(20, nil)
	g.obs = nil
	g.watch(2, func(i int, au *ingest.AccessUnit) { au.Lost = i == 5 })
	require.InDelta(t, 7, g.skipped()[SkipLoss], 1, "nobody looked between the loss and the next key unit")
	g.watch(0.2, func(i int, au *ingest.AccessUnit) { au.Lost = i == 2 })
	require.Empty(t, g.a.ring.Snapshot(), "no catching up over a hole")
	g.a.Wake(WakeOperator)
	g.watch(2, nil)
	require.Equal(t, GateActive, g.a.gate.state)
}

func TestGatedDecodeErrors(t *testing.T) {
	g := newGatedBench(t, "A9")
	g.watch(20, nil)
	g.fail = func(ingest.AccessUnit) error { return errors.New("garbage") }
	g.obs = nil
	g.watch(6, nil)
	require.Equal(t, []string{"yes ", "no undecodable"}, g.facts)
	require.Positive(t, g.skipped()[SkipDecode])
	g.fail = nil
	g.watch(2, nil)
	require.Equal(t, "yes ", g.facts[2])
	require.Equal(t, GateIdle, g.a.gate.state)

	g.fail = func(au ingest.AccessUnit) error {
		if au.Key {
			return nil
		}
		return errors.New("garbage")
	}
	g.a.Wake(WakeOperator)
	g.watch(3, nil)
	require.Equal(t, GateActive, g.a.gate.state)
	g.fail = nil
	g.watch(20, nil)
	require.Equal(t, GateIdle, g.a.gate.state)
}

func TestGatedOverload(t *testing.T) {
	g := newGatedBench(t, "A9")
	g.watch(6, nil)
	g.late = 3 * time.Second
	g.obs = nil
	before := g.decoded()
	g.watch(10, nil)
	require.Equal(t, before+10, g.decoded(), "each camera keeps its key units")
	require.InDelta(t, 80, g.skipped()[SkipOverload], 4)
	require.Nil(t, g.a.decoder)
	g.late = 0
	g.watch(20, nil)
	require.Equal(t, GateIdle, g.a.gate.state)
	require.Equal(t, 1.0, gauge(t, g.reg, "sharpeyes_gate_state", "idle"))
}

func gauge(t *testing.T, reg *prometheus.Registry, name, state string) float64 {
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[1].GetValue() == state {
				return m.GetGauge().GetValue()
			}
		}
	}
	return -1
}

func TestGatedKeyUnitWaitsNoLongerThanItsTurn(t *testing.T) {
	g := newGatedBench(t, "A9")
	g.watch(10, nil)
	g.a.opt.Keys.turns <- struct{}{} // somebody holds the only turn
	g.obs = nil
	g.watch(1, nil)
	require.Equal(t, 1, g.skipped()[SkipKeyBusy])
	<-g.a.opt.Keys.turns
	g.watch(1, nil)
	require.Equal(t, 1, g.skipped()[SkipKeyBusy], "the next one finds its turn")
}

func TestGatedLooksAreSpacedOnABusyNode(t *testing.T) {
	g := newGatedBench(t, "A9")
	n := newNode(1)
	g.a.claim = &claim{n.Budget, g.a.id}
	g.a.opt.Camera.Settings.Gate.KeyEvery = configs.Duration(time.Second)
	g.watch(10, nil)
	require.Zero(t, g.skipped()[SkipKeyBusy])
	n.spacing = 3500 * time.Millisecond
	before := g.decoded()
	g.watch(70, nil) // a key unit each second
	require.InDelta(t, before+20, g.decoded(), 2)
	require.InDelta(t, 50, g.skipped()[SkipKeyBusy], 2)
	require.InDelta(t, 50, values(t, g.reg)[`sharpeyes_analysis_seconds_total{camera="gate",state="degraded"}`], 2, "the wall is told of what was passed over")
	g.a.gate.wanted = WakeScore
	require.Equal(t, 875*time.Millisecond, g.a.between(), "nearer where something moves and there is no room")
	g.a.gate.wanted = ""
	n.spacing = 0
	before = g.decoded()
	g.watch(10, nil)
	require.Equal(t, before+10, g.decoded(), "then there is time for each again")
}

func TestGatedWithoutLegalBasis(t *testing.T) {
	g := newGatedBench(t, "unknown")
	g.watch(10, g.enter(Person, 0.9))
	require.Empty(t, g.obs)
	require.Zero(t, g.looked)
	require.Equal(t, []string{"yes "}, g.facts)
	require.Equal(t, 10.0, g.decoded(), "key units, by the pool")
	require.Empty(t, g.decoders)
	require.Zero(t, values(t, g.reg)[`sharpeyes_analysed_instants_total{camera="gate"}`])
}

func TestGatedFrozenPicture(t *testing.T) {
	g := newGatedBench(t, "A9")
	g.watch(20, nil)
	g.frozen = true
	g.watch(29, nil)
	require.Equal(t, []string{"yes "}, g.facts)
	g.watch(4, nil)
	require.Equal(t, []string{"yes ", "no frozen"}, g.facts, "seen on key units")
	g.frozen = false
	g.watch(2, nil)
	require.Equal(t, "yes ", g.facts[2])
}

func TestGatedModeFullAndUnreadableHeaders(t *testing.T) {
	g := newGatedBench(t, "A9")
	g.a.opt.Camera.Settings.Gate.Mode = "full"
	g.watch(20, nil)
	require.Equal(t, 500.0, g.decoded())
	require.Equal(t, GateFull, g.a.gate.state)

	g = newGatedBench(t, "A9")
	g.feed(g.a, 20, nil) // units without headers
	require.Equal(t, GateFull, g.a.gate.state)
	require.Contains(t, g.log.String(), "stream cannot be gated")
	before := g.decoded()
	g.feed(g.a, 10, nil)
	require.Equal(t, before+250, g.decoded())
}

func TestGatedCodecChange(t *testing.T) {
	g := newGatedBench(t, "A9")
	g.watch(10, nil)
	ring := g.a.Ring()
	g.watch(2, func(_ int, au *ingest.AccessUnit) { au.Codec = ingest.H265 })
	require.NotSame(t, ring, g.a.Ring())
	require.Equal(t, WakeStart, g.a.gate.cause, "a new stream is learned anew")
}

func TestKeyPoolIsBounded(t *testing.T) {
	var made, closed, working, most atomic.Int32
	release := make(chan struct{})
	p := NewKeyPool(2, func(ingest.Codec) (Decoder, error) {
		made.Add(1)
		return &poolDecoder{closed: &closed}, nil
	})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			err := p.Decode(context.Background(), ingest.AccessUnit{Codec: ingest.Codec(i%2 + 1), Key: true}, func(*Frame) {
				most.Store(max(most.Load(), working.Add(1)))
				<-release
				working.Add(-1)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	require.Eventually(t, func() bool { return working.Load() == 2 }, 5*time.Second, time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, p.Decode(ctx, ingest.AccessUnit{Camera: "late"}, nil), ErrBusy)
	close(release)
	wg.Wait()
	require.LessOrEqual(t, most.Load(), int32(2))
	require.LessOrEqual(t, made.Load(), int32(4), "two of each codec at most")
	require.NoError(t, p.Close())
	require.NoError(t, p.Close())
	require.Equal(t, made.Load(), closed.Load())
	require.ErrorIs(t, p.Decode(t.Context(), ingest.AccessUnit{}, nil), ErrKeyPoolClosed)
}

// poolDecoder yields every picture only when drained, as with B-frames.
type poolDecoder struct{ closed *atomic.Int32 }

func (d *poolDecoder) Decode(au ingest.AccessUnit) (*Frame, error) {
	if !au.Lost {
		return nil, errors.New("the references of the camera before were not forgotten")
	}
	return nil, nil
}
func (d *poolDecoder) Drain() (*Frame, error) { return &Frame{}, nil }
func (d *poolDecoder) Close()                 { d.closed.Add(1) }

func TestKeyPoolPassesErrorsOn(t *testing.T) {
	p := NewKeyPool(0, func(ingest.Codec) (Decoder, error) { return nil, os.ErrNotExist })
	require.ErrorIs(t, p.Decode(t.Context(), ingest.AccessUnit{}, nil), os.ErrNotExist)
	p = NewKeyPool(0, func(ingest.Codec) (Decoder, error) {
		return &painter{frame: func(ingest.AccessUnit) (*Frame, error) { return nil, nil }}, nil
	})
	require.Equal(t, ingest.ReasonUndecodable, ingest.ReasonOf(p.Decode(t.Context(), ingest.AccessUnit{}, nil)))
}
