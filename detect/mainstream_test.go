package detect

import (
	"context"
	"errors"
	"image"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// mainBench is a gated camera with a main stream of 256x144 beside its substream.
type mainBench struct {
	*gatedBench
	main    *MainStream
	ring    *Ring
	sizes   []image.Point // that the detector looked at
	decoded []time.Duration
	fail    error
}

func newMainBench(t *testing.T) *mainBench {
	m := &mainBench{gatedBench: newGatedBench(t, "A9"), ring: NewRing(1 << 20)}
	keys := NewKeyPool(1, func(ingest.Codec) (Decoder, error) {
		return &painter{frame: func(au ingest.AccessUnit) (*Frame, error) {
			m.decoded = append(m.decoded, au.PTS)
			return &Frame{Image: image.NewYCbCr(image.Rect(0, 0, 256, 144), image.YCbCrSubsampleRatio420)}, m.fail
		}}, nil
	})
	t.Cleanup(func() { require.NoError(t, keys.Close()) })
	m.main = NewMainStream(keys)
	m.main.set(m.ring)
	m.a.opt.Main = m.main
	m.a.opt.Detector = NewShared(m, configs.Detector{MaxPerSecond: 1e6}, nil)
	return m
}

// Detect notes the size of the picture and sees what the bench sees.
func (m *mainBench) Detect(img *image.YCbCr, _ float64) ([]Detection, error) {
	m.sizes = append(m.sizes, img.Rect.Size())
	return m.seen, m.detErr
}

// watch feeds both streams; the main stream has a key unit every two seconds and
// comes 20 ms later.
func (m *mainBench) watch(s float64, change func(i int, au *ingest.AccessUnit)) []Observation {
	return m.gatedBench.watch(s, func(i int, au *ingest.AccessUnit) {
		if change != nil {
			change(i, au)
		}
		m.ring.Put(ingest.AccessUnit{Camera: au.Camera, Codec: au.Codec, Key: m.n%50 == 0, PTS: au.PTS, Received: au.Received.Add(20 * time.Millisecond), NALUs: [][]byte{{1}}})
	})
}

func (m *mainBench) result(r MainResult) float64 {
	return values(m.t, m.reg)[`sharpeyes_main_pictures_total{camera="gate",result="`+string(r)+`"}`]
}

func TestMainStreamIsDecodedOnlyForALook(t *testing.T) {
	m := newMainBench(t)
	m.watch(20, nil)
	require.Empty(t, m.decoded, "nothing moves")
	require.Empty(t, m.sizes)
	walk := m.enter(Person, 0.8)
	got := m.watch(6, walk)
	large, small := 0, 0
	for _, o := range got {
		switch {
		case o.FromMain:
			require.True(t, o.Detected)
			require.Equal(t, image.Pt(256, 144), o.Picture.Rect.Size())
			large++
		case o.Detected:
			require.NotEqual(t, image.Pt(256, 144), o.Picture.Rect.Size())
			small++
		}
	}
	require.Positive(t, large, "near a key unit of the main stream")
	require.Positive(t, small, "elsewhere the substream must do: it would cost as much as decoding everything")
	require.EqualValues(t, large, m.result(MainDecoded))
	require.EqualValues(t, small, m.result(MainFar))
	require.LessOrEqual(t, len(m.decoded), large*(mainCheap+1))
	require.Less(t, len(m.decoded), 6*25/3, "far from every unit")
	for i := 1; i < len(m.decoded); i++ {
		if step := m.decoded[i] - m.decoded[i-1]; step > 0 && step < time.Second {
			require.Equal(t, 40*time.Millisecond, step, "units follow each other without a gap")
		}
	}
	m.scene.things, m.seen = nil, nil
	m.watch(60, nil)
	require.Equal(t, GateIdle, m.a.gate.state)
	require.Empty(t, m.main.kept.Y, "the copy of the picture is let go")
}

// The units that are decoded end with the one of the instant.
func TestMainStreamIsAlignedByReceipt(t *testing.T) {
	m := newMainBench(t)
	m.watch(21.4, nil)
	last := m.n - 1
	o := Observation{Camera: "gate", At: at(float64(last) / 25), Motion: Motion{Active: true}}
	m.seen = []Detection{{Class: Person, Score: 0.9, Box: Box{.1, .1, .1, .1}}, {Class: "kite", Score: 0.9}}
	got, ok := m.a.Closer(t.Context(), o)
	require.True(t, ok)
	require.True(t, got.FromMain && got.Detected)
	require.Equal(t, o.Motion, got.Motion)
	require.Len(t, got.Detections, 1, "the list of classes holds here too")
	require.Equal(t, time.Duration(last)*time.Second/25, m.decoded[len(m.decoded)-1])
	require.Len(t, m.decoded, last%50+1, "from the key unit on, each once")

	back := o
	back.At = at(float64(last-60) / 25)
	m.decoded = nil
	_, ok = m.a.Closer(t.Context(), back)
	require.True(t, ok, "the previous GOP is there too")
	require.Equal(t, time.Duration(last-60)*time.Second/25, m.decoded[len(m.decoded)-1])
}

// Of a main stream of gradual refresh as much is decoded as makes the picture
// whole.
func TestMainStreamOfGradualRefresh(t *testing.T) {
	m := newMainBench(t)
	m.ring = NewRing(1 << 20)
	m.main.set(m.ring)
	for i := range 40 {
		u := ingest.AccessUnit{Codec: ingest.H264, Received: at(float64(i) / 25), NALUs: [][]byte{{1}}}
		if i%10 == 0 {
			u.Recovery = 8
		}
		m.ring.Put(u)
	}
	require.Len(t, m.main.units(at(39./25)), 10)
	require.Len(t, m.main.units(at(37./25)), 9)
	require.Len(t, m.main.units(at(36./25)), 18)
	require.Empty(t, m.main.units(at(20./25)), "of the refresh before that nothing is kept")
}

func TestCloserGivesUp(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *mainBench, o *Observation)
		result MainResult
	}{
		"no main stream":       {func(m *mainBench, _ *Observation) { m.a.opt.Main = nil }, ""},
		"no detector":          {func(m *mainBench, _ *Observation) { m.a.opt.Detector = nil }, ""},
		"skipped":              {func(_ *mainBench, o *Observation) { o.Skipped = SkipLoss }, ""},
		"has it already":       {func(_ *mainBench, o *Observation) { o.FromMain = true }, ""},
		"not connected":        {func(m *mainBench, _ *Observation) { m.main.set(nil) }, MainMissing},
		"too old":              {func(_ *mainBench, o *Observation) { o.At = o.At.Add(-time.Minute) }, MainMissing},
		"stalls":               {func(_ *mainBench, o *Observation) { o.At = o.At.Add(time.Second) }, MainMissing},
		"broken":               {func(m *mainBench, _ *Observation) { m.ring.Break() }, MainMissing},
		"not decodable":        {func(m *mainBench, _ *Observation) { m.fail = errors.New("damaged") }, MainFailed},
		"the detector failed":  {func(m *mainBench, _ *Observation) { m.detErr = errors.New("broken") }, MainDecoded},
		"units without an end": {func(m *mainBench, o *Observation) { endless(m, o) }, MainFar},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMainBench(t)
			m.watch(21.4, nil)
			o := Observation{Camera: "gate", At: at(float64(m.n-1) / 25)}
			c.change(m, &o)
			got, ok := m.a.Closer(t.Context(), o)
			require.False(t, ok)
			require.Equal(t, o, got, "as it was")
			for _, r := range MainResults() {
				want := 0.0
				if r == c.result {
					want = 1
				}
				require.Equal(t, want, m.result(r), r)
			}
		})
	}
}

// endless adds units without a key unit.
func endless(m *mainBench, o *Observation) {
	for i := range 200 {
		o.At = at(float64(m.n+i) / 25)
		m.ring.Put(ingest.AccessUnit{Camera: "gate", Codec: ingest.H264, Received: o.At, NALUs: [][]byte{{1}}})
	}
}

func TestMainStreamLetsGoOfEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewMainStream(NewKeyPool(1, nil))
		q := ingest.NewQueue(0, 0)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { s.Run(ctx, q, 1<<20) })
		q.Push(ingest.AccessUnit{Codec: ingest.H264, Key: true, Received: at(1), NALUs: [][]byte{{1}}})
		synctest.Wait()
		require.Len(t, s.units(at(1)), 1)
		cancel()
		wg.Wait()
		require.Empty(t, s.units(at(1)))
	})
}
