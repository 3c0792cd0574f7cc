package detect

import (
	"context"
	"errors"
	"image"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// painter is a decoder whose pictures a test paints.
type painter struct {
	frame  func(au ingest.AccessUnit) (*Frame, error)
	closed int
	rough  int // units that were not deblocked
	hasty  bool
}

func (p *painter) Decode(au ingest.AccessUnit) (*Frame, error) {
	if p.hasty {
		p.rough++
	}
	return p.frame(au)
}
func (p *painter) Deblock(on bool)        { p.hasty = !on }
func (p *painter) Decimate(bool)          {}
func (p *painter) Drain() (*Frame, error) { return nil, nil }
func (p *painter) Close()                 { p.closed++ }

// bench is an analyser with everything around it.
type bench struct {
	t        *testing.T
	scene    *scene
	seen     []Detection // what the detector sees
	looked   int
	detErr   error
	fail     func(au ingest.AccessUnit) error
	size     image.Rectangle
	frozen   bool
	still    Luma
	decoders []*painter
	codecs   []ingest.Codec
	openErr  error

	obs   []Observation
	facts []string
	reg   *prometheus.Registry
	log   strings.Builder
	cam   configs.Camera
	queue *ingest.Queue
	n     int
}

func newBench(t *testing.T) *bench {
	return &bench{
		t: t, scene: newScene(160, 90), size: image.Rect(0, 0, 640, 360), reg: prometheus.NewRegistry(),
		cam: configs.Camera{ID: "gate", LegalBasis: "A7.1"}, queue: ingest.NewQueue(100000, 1<<30),
	}
}

func (b *bench) decoder(c ingest.Codec) (Decoder, error) {
	if b.openErr != nil {
		return nil, b.openErr
	}
	b.codecs = append(b.codecs, c)
	p := &painter{frame: func(au ingest.AccessUnit) (*Frame, error) {
		if b.fail != nil {
			if err := b.fail(au); err != nil {
				return nil, err
			}
		}
		if !b.frozen || b.still.Pix == nil {
			b.still = b.scene.luma()
		}
		return &Frame{Image: image.NewYCbCr(b.size, image.YCbCrSubsampleRatio420), Luma: b.still}, nil
	}}
	b.decoders = append(b.decoders, p)
	return p, nil
}

func (b *bench) Detect(*image.YCbCr, float64) ([]Detection, error) {
	b.looked++
	return b.seen, b.detErr
}

// analyser makes the analyser; its detector has a large budget.
func (b *bench) analyser() *Analyser {
	a, err := NewAnalyser(AnalyserOptions{
		Camera: b.cam, NewDecoder: b.decoder, Detector: NewShared(b, configs.Detector{MaxPerSecond: 1e6}, nil),
		Emit:    func(o Observation) { b.obs = append(b.obs, o) },
		Picture: func(v ingest.Value, r ingest.Reason) { b.facts = append(b.facts, v.String()+" "+string(r)) },
		Metrics: NewMetrics(b.reg), Log: slog.New(slog.NewTextHandler(&b.log, nil)),
	})
	require.NoError(b.t, err)
	return a
}

// feed gives the analyser s seconds at 25 pictures a second, a key unit each
// second, and returns what it emitted. change may alter each unit.
func (b *bench) feed(a *Analyser, s float64, change func(i int, au *ingest.AccessUnit)) []Observation {
	from := len(b.obs)
	for i := range int(s * 25) {
		au := ingest.AccessUnit{Camera: "gate", Codec: ingest.H264, Key: b.n%25 == 0, Received: at(float64(b.n) / 25), PTS: time.Duration(b.n) * time.Second / 25, NALUs: [][]byte{{1}}}
		if change != nil {
			change(i, &au)
		}
		b.n++
		a.unit(b.t.Context(), au)
	}
	return b.obs[from:]
}

// enter lets a thing walk into the scene and the detector see it as d.
func (b *bench) enter(class Class, score float64) func(i int, au *ingest.AccessUnit) {
	b.scene.things = []thing{{x: 0, y: 30, w: 14, h: 40, grey: 20}}
	return func(i int, _ *ingest.AccessUnit) {
		x := 10 + i
		b.scene.things[0].x = x
		b.seen = []Detection{{Class: class, Score: score, Box: Box{float64(x) / 160, 30. / 90, 14. / 160, 40. / 90}}}
	}
}

func (b *bench) skipped() map[Skip]int {
	out := map[Skip]int{}
	for _, o := range b.obs {
		if o.Skipped != SkipNone {
			out[o.Skipped]++
		}
	}
	return out
}

func TestAnalyserRefusesHalfOptions(t *testing.T) {
	_, err := NewAnalyser(AnalyserOptions{Camera: configs.Camera{ID: "x"}})
	require.ErrorContains(t, err, "camera x")
	a, err := NewAnalyser(AnalyserOptions{NewDecoder: newBench(t).decoder, Emit: func(Observation) {}})
	require.NoError(t, err, "everything else has a default")
	require.False(t, a.lawful)
}

func TestAnalyserEmitsEmptyInstants(t *testing.T) {
	b := newBench(t)
	got := b.feed(b.analyser(), 10, nil)
	require.InDelta(t, 80, len(got), 2, "8 instants a second")
	for _, o := range got {
		require.Equal(t, SkipNone, o.Skipped)
		require.Equal(t, ingest.CameraID("gate"), o.Camera)
		require.NotNil(t, o.Picture)
		require.False(t, o.Detected || o.Motion.Active)
	}
	require.Zero(t, b.looked, "nothing moves, nobody looks")
	require.Equal(t, []string{"yes "}, b.facts)
	v := values(t, b.reg)
	require.Equal(t, 250.0, v[`sharpeyes_camera_decoded_frames_total{camera="gate"}`])
	require.Equal(t, float64(len(got)), v[`sharpeyes_analysed_instants_total{camera="gate"}`])
	require.Positive(t, v[`sharpeyes_stage_seconds_total{camera="gate",stage="decode"}`])
	require.Positive(t, v[`sharpeyes_stage_seconds_total{camera="gate",stage="motion"}`])
}

func TestAnalyserFollowsAPerson(t *testing.T) {
	b := newBench(t)
	a := b.analyser()
	b.feed(a, 4, nil)
	got := b.feed(a, 4, b.enter(Person, 0.8))
	require.InDelta(t, 8.5, b.looked, 0.5, "2 looks a second")
	last := got[len(got)-1]
	require.Len(t, last.Tracks, 1)
	require.Equal(t, Person, last.Tracks[0].Class)
	require.InDelta(t, 8, last.Tracks[0].Hits, 1)
	first := 0
	for i, o := range got {
		if o.Detected {
			first = i
			break
		}
	}
	require.LessOrEqual(t, first, 1, "the detector looks as soon as something moves")
	v := values(t, b.reg)
	require.Equal(t, float64(b.looked), v[`sharpeyes_detections_total{camera="gate",class="person"}`])
	require.Positive(t, v[`sharpeyes_motion_instants_total{camera="gate"}`])

	// He stands: now and then a look, as long as he is there.
	b.looked = 0
	got = b.feed(a, 20, nil)
	require.InDelta(t, 12, b.looked, 3, "two seconds at full rate, then every two")
	require.Equal(t, last.Tracks[0].ID, got[len(got)-1].Tracks[0].ID)

	// He is gone.
	b.scene.things, b.seen = nil, nil
	b.feed(a, 40, nil)
	b.looked = 0
	require.Empty(t, b.feed(a, 10, nil)[79].Tracks)
	require.Zero(t, b.looked)
}

func TestAnalyserBelievesOnlyWhatMoved(t *testing.T) {
	b := newBench(t)
	a := b.analyser()
	b.feed(a, 4, nil)
	walk := b.enter(Person, 0.8)
	bin := Detection{Class: Person, Score: 0.9, Box: Box{0.8, 0.05, 0.1, 0.2}}
	got := b.feed(a, 3, func(i int, au *ingest.AccessUnit) {
		walk(i, au)
		b.seen = append(b.seen, bin, Detection{Class: "kite", Score: 0.99, Box: b.seen[0].Box})
	})
	last := got[len(got)-1]
	require.Len(t, last.Tracks, 1, "a bin that the model takes for a person never moved")
	for _, o := range got {
		if o.Detected {
			require.Len(t, o.Detections, 2, "but it is pixelated; the kite is nothing")
		}
	}
}

func TestAnalyserDropsWhatAMaskHides(t *testing.T) {
	b := newBench(t)
	b.cam.Masks = [][]configs.Point{{{0, 0}, {0.5, 0}, {0.5, 1}, {0, 1}}}
	a := b.analyser()
	b.feed(a, 4, nil)
	walk := b.enter(Person, 0.8)
	got := b.feed(a, 4, func(i int, au *ingest.AccessUnit) {
		walk(i+90, au)
		b.seen = append(b.seen, person(0.3, 0.8, 0.5, 0.7))
	})
	looks := 0
	for _, o := range got {
		if o.Detected {
			looks++
			require.Len(t, o.Detections, 1)
			require.Len(t, o.Masked, 1, "kept to be pixelated")
		}
		require.LessOrEqual(t, len(o.Tracks), 1)
	}
	require.Positive(t, looks)
	require.Equal(t, float64(looks), values(t, b.reg)[`sharpeyes_detections_total{camera="gate",class="person"}`])
}

func TestAnalyserWithoutLegalBasisLooksAtNothing(t *testing.T) {
	for _, basis := range []string{"unknown", "", "A33", "a7.1"} {
		t.Run("basis "+basis, func(t *testing.T) {
			b := newBench(t)
			b.cam.LegalBasis = basis
			a := b.analyser()
			b.feed(a, 4, b.enter(Person, 0.9))
			b.feed(a, 4, func(_ int, au *ingest.AccessUnit) {
				au.Lost = true
				b.fail = func(ingest.AccessUnit) error { return errors.New("x") }
			})
			require.Empty(t, b.obs)
			require.Zero(t, b.looked)
			require.Equal(t, "yes ", b.facts[0], "the picture fact is still told")
			require.Equal(t, 4.0, values(t, b.reg)[`sharpeyes_camera_decoded_frames_total{camera="gate"}`], "from key units")
			require.Zero(t, values(t, b.reg)[`sharpeyes_analysed_instants_total{camera="gate"}`])
		})
	}
}

func TestAnalyserAfterLoss(t *testing.T) {
	b := newBench(t)
	a := b.analyser()
	b.feed(a, 2, nil)
	fed := 0
	b.fail = func(ingest.AccessUnit) error { fed++; return nil }
	b.feed(a, 2, func(i int, au *ingest.AccessUnit) { au.Lost = i == 5 })
	require.Equal(t, 5+25, fed, "nothing is decoded between the loss and the next key unit")
	require.InDelta(t, 7, b.skipped()[SkipLoss], 1, "at most 8 skips a second")
	b.feed(a, 1, func(i int, au *ingest.AccessUnit) { au.Lost = i == 0 })
	require.Equal(t, 1, b.skipped()[SkipQueue], "the queue dropped up to this key unit")
	require.Equal(t, 5+25+25, fed)
	require.Equal(t, float64(b.skipped()[SkipLoss]), values(t, b.reg)[`sharpeyes_skipped_instants_total{camera="gate",reason="loss"}`])
}

func TestAnalyserWithoutKeyUnits(t *testing.T) {
	b := newBench(t)
	a := b.analyser()
	b.feed(a, 14, func(_ int, au *ingest.AccessUnit) { au.Key = false })
	require.Empty(t, b.facts)
	b.feed(a, 2, func(_ int, au *ingest.AccessUnit) { au.Key = false })
	require.Equal(t, []string{"no no_key_frame"}, b.facts)
	b.feed(a, 1, nil)
	require.Equal(t, []string{"no no_key_frame", "yes "}, b.facts)
}

func TestAnalyserOnDecodeErrors(t *testing.T) {
	b := newBench(t)
	a := b.analyser()
	b.feed(a, 2, nil)
	fed := 0
	b.fail = func(ingest.AccessUnit) error {
		if fed++; fed == 3 {
			return &ingest.Fault{Reason: ingest.ReasonUndecodable, Err: errors.New("missing reference")}
		}
		return nil
	}
	b.feed(a, 2, nil)
	require.Equal(t, []string{"yes "}, b.facts, "one broken unit is no news")
	require.Equal(t, 3+25, fed, "the rest waits for a key unit")
	require.Equal(t, 1, b.skipped()[SkipDecode])

	b.fail = func(ingest.AccessUnit) error { return errors.New("garbage") }
	b.feed(a, 6, nil)
	require.Equal(t, []string{"yes ", "no undecodable"}, b.facts)
	b.fail = nil
	b.feed(a, 1, nil)
	require.Equal(t, "yes ", b.facts[2])
}

func TestAnalyserOnSizesItCannotLookAt(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(b *bench)
	}{
		{"one pixel", func(b *bench) { b.size = image.Rect(0, 0, 1, 1) }},
		{"a strip", func(b *bench) { b.size = image.Rect(0, 0, 4000, 32) }},
		{"wider than 8K", func(b *bench) { b.size = image.Rect(0, 0, 8200, 64) }},
		{"the decoder says so", func(b *bench) {
			b.fail = func(ingest.AccessUnit) error { return &ingest.Fault{Reason: ingest.ReasonUnsupportedSize} }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			c.set(b)
			b.feed(b.analyser(), 2, nil)
			require.Equal(t, []string{"no unsupported_size"}, b.facts)
			require.Zero(t, values(t, b.reg)[`sharpeyes_analysed_instants_total{camera="gate"}`])
		})
	}
}

func TestAnalyserTellsAFrozenPicture(t *testing.T) {
	b := newBench(t)
	a := b.analyser()
	b.feed(a, 5, nil)
	b.frozen = true
	b.feed(a, 29, nil)
	require.Equal(t, []string{"yes "}, b.facts)
	b.feed(a, 2, nil)
	require.Equal(t, []string{"yes ", "no frozen"}, b.facts)
	b.frozen = false
	b.feed(a, 1, nil)
	require.Equal(t, []string{"yes ", "no frozen", "yes "}, b.facts)

	// The same picture before and after an hour without any says nothing.
	b.frozen = true
	b.feed(a, 1, nil)
	b.n += 25 * 3600
	b.feed(a, 1, nil)
	require.Len(t, b.facts, 3)
}

func TestAnalyserOpensADecoderForEachCodec(t *testing.T) {
	b := newBench(t)
	a := b.analyser()
	b.feed(a, 2, nil)
	b.feed(a, 2, func(_ int, au *ingest.AccessUnit) { au.Codec = ingest.H265 })
	require.Equal(t, []ingest.Codec{ingest.H264, ingest.H265}, b.codecs)
	require.Equal(t, 1, b.decoders[0].closed)
	a.close()
	require.Equal(t, 1, b.decoders[1].closed)

	b.openErr = ErrNoCgo
	b.feed(a, 5, nil)
	require.Equal(t, "no undecodable", b.facts[len(b.facts)-1])
}

func TestAnalyserWhenTheDetectorFails(t *testing.T) {
	b := newBench(t)
	a := b.analyser()
	b.feed(a, 4, nil)
	b.detErr = errors.New("no memory")
	got := b.feed(a, 3, b.enter(Person, 0.8))
	require.InDelta(t, 6, b.skipped()[SkipDetector], 1)
	require.Equal(t, 1, strings.Count(b.log.String(), "no memory"), "said once")
	for _, o := range got {
		if o.Skipped != SkipNone {
			require.Equal(t, Observation{Camera: "gate", At: o.At, PTS: o.PTS, Skipped: SkipDetector}, o, "nothing was measured")
		}
	}
	b.detErr = nil
	got = b.feed(a, 3, b.enter(Person, 0.8))
	require.NotEmpty(t, got[len(got)-1].Tracks)
}

func TestAnalyserWhenTheDetectorIsBusy(t *testing.T) {
	b := newBench(t)
	a := b.analyser()
	a.opt.Detector = NewShared(b, configs.Detector{MaxPerSecond: 0.001, MaxWait: seconds(0.01)}, nil)
	b.feed(a, 4, nil)
	b.feed(a, 3, b.enter(Person, 0.8))
	require.Equal(t, 1, b.looked)
	require.InDelta(t, 5, b.skipped()[SkipDetectorBusy], 1)
}

// restless sees motion in every picture.
type restless struct{}

func (restless) Find(Luma) Motion { return Motion{Active: true, Boxes: []Box{{0, 0, 1, 1}}} }
func (restless) Reset()           {}

// Cameras that together ask for more looks than the budget has go without some of
// them, none of them much more often than others, and stay on time.
func TestAnalyserDoesNotFallBehindForWantOfLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := NewShared(slow(t, 50*time.Millisecond), configs.Detector{MaxPerSecond: 6}, nil)
		began := time.Now()
		var wg sync.WaitGroup
		for c := range 4 {
			b := newBench(t)
			b.cam.ID = string(rune('a' + c))
			a := b.analyser()
			a.opt.Detector, a.opt.Motion = shared, restless{}
			looked, passed, latest := 0, 0, time.Duration(0)
			a.opt.Emit = func(o Observation) {
				latest = max(latest, time.Since(o.At))
				switch {
				case o.Detected:
					looked++
				case o.Skipped == SkipDetectorBusy:
					passed++
				}
			}
			wg.Go(func() {
				for i := range 60 * 25 {
					received := began.Add(time.Duration(c)*15*time.Millisecond + time.Duration(i)*40*time.Millisecond)
					time.Sleep(time.Until(received)) // of the synctest bubble
					a.unit(t.Context(), ingest.AccessUnit{Codec: ingest.H264, Key: i%25 == 0, Received: received, NALUs: [][]byte{{1}}})
				}
				assert.Less(t, latest, a.opt.Camera.Settings.Gate.Behind.Std()/2)
				assert.InDelta(t, 60*6/4, looked, 16, "who asks first when nobody waits goes without less often")
				assert.Equal(t, 2*60, looked+passed, "each instant at which it wanted to look")
			})
		}
		wg.Wait()
	})
}

func TestAnalyserWithoutDetectorFindsMotionOnly(t *testing.T) {
	b := newBench(t)
	a := b.analyser()
	a.opt.Detector = nil
	b.feed(a, 4, nil)
	got := b.feed(a, 2, b.enter(Person, 0.8))
	moved := 0
	for _, o := range got {
		require.False(t, o.Detected)
		if o.Motion.Active {
			moved++
		}
	}
	require.Greater(t, moved, 10)
}

func TestAnalyserLooksAsSurelyAsTheRulesAsk(t *testing.T) {
	require.Equal(t, 0.4, trackBirth(nil))
	require.Equal(t, 0.4, trackBirth([]configs.Rule{{MinScore: 0.6}, {}}))
	require.Equal(t, 0.25, trackBirth([]configs.Rule{{MinScore: 0.6}, {MinScore: 0.25}}))
	require.Equal(t, 0.15, trackBirth([]configs.Rule{{MinScore: 0.01}}))
}

func TestAnalyserRunsUntilTheQueueCloses(t *testing.T) {
	b := newBench(t)
	for i := range 50 {
		b.queue.Push(ingest.AccessUnit{Codec: ingest.H265, Key: i%25 == 0, Received: at(float64(i) / 25), NALUs: [][]byte{{1}}})
	}
	a := b.analyser()
	a.opt.Emit = func(o Observation) {
		if b.obs = append(b.obs, o); len(b.obs) == 10 {
			b.queue.Close()
		}
	}
	a.Run(t.Context(), b.queue)
	require.Len(t, b.obs, 10)
	require.Equal(t, 1, b.decoders[0].closed)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	newBench(t).analyser().Run(ctx, ingest.NewQueue(1, 1))
}

// A stop while the camera stands in the line for the detector says nothing.
func TestAnalyserStopsInTheMiddle(t *testing.T) {
	b := newBench(t)
	a := b.analyser()
	b.feed(a, 4, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a.opt.Detector = NewShared(b, configs.Detector{MaxPerSecond: 0.001, MaxWait: seconds(1)}, nil)
	_, err := a.opt.Detector.Detect(t.Context(), "other", nil, 0)
	require.NoError(t, err)
	b.obs = nil
	walk := b.enter(Person, 0.9)
	for i := range 50 {
		walk(i, nil)
		b.n++
		a.unit(ctx, ingest.AccessUnit{Codec: ingest.H264, Received: at(float64(b.n) / 25), NALUs: [][]byte{{1}}})
	}
	for _, o := range b.obs {
		require.Equal(t, SkipNone, o.Skipped)
	}
}

func TestAnalyserDoesNotAllocateInAQuietScene(t *testing.T) {
	b := newBench(t)
	a := b.analyser()
	img := image.NewYCbCr(b.size, image.YCbCrSubsampleRatio420)
	frame, luma := &Frame{Image: img}, [2]Luma{b.scene.luma(), b.scene.luma()}
	nalus := [][]byte{{1}}
	a.opt.Emit = func(Observation) {}
	a.opt.NewDecoder = func(ingest.Codec) (Decoder, error) {
		return &painter{frame: func(ingest.AccessUnit) (*Frame, error) { return frame, nil }}, nil
	}
	n := 0
	step := func() {
		frame.Luma = luma[n%2]
		a.unit(t.Context(), ingest.AccessUnit{Codec: ingest.H264, Key: n == 0, Received: at(float64(n) / 25), NALUs: nalus})
		n++
	}
	for range 200 {
		step()
	}
	require.Zero(t, testing.AllocsPerRun(500, step))
}
