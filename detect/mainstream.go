package detect

import (
	"context"
	"errors"
	"image"
	"sync"
	"time"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// What a picture of the main stream may cost.
const (
	mainCheap   = 12                     // units after the key unit that are decoded for a look: 50 ms of CPU at 1080p
	mainDear    = 100                    // for an alert: half a second, some times an hour
	mainSlack   = 40 * time.Millisecond  // both streams do not arrive in the same moment
	mainStale   = 500 * time.Millisecond // what is older does not show the instant
	mainPatient = time.Second            // for a turn of the shared decoders
)

// MainResult is what came of the wish for a picture of the main stream.
type MainResult string

// The results.
const (
	MainDecoded MainResult = "decoded"
	MainFar     MainResult = "far"     // too many units after the last key unit
	MainMissing MainResult = "missing" // the stream has no picture of that time
	MainFailed  MainResult = "failed"  // no turn of the shared decoders, or an error
)

// MainResults returns all results in a fixed order.
func MainResults() []MainResult {
	return []MainResult{MainDecoded, MainFar, MainMissing, MainFailed}
}

// MainStream keeps the newest coded pictures of a camera's main stream while its
// substream is analysed, and decodes one of them when the detector or an alert
// wants to see more. Nothing of it is decoded otherwise. Which picture shows an
// instant is told by the times of receipt.
type MainStream struct {
	keys *KeyPool

	mu   sync.Mutex
	ring *Ring // nil while Run does not run

	kept image.YCbCr // of the analyser's goroutine
}

// NewMainStream returns a main stream without pictures; keys decodes them.
func NewMainStream(keys *KeyPool) *MainStream { return &MainStream{keys: keys} }

// Run keeps what q gives, the current and the previous GOP and at most maxBytes
// bytes, until ctx is done or the queue is closed; then it lets go of everything.
func (m *MainStream) Run(ctx context.Context, q *ingest.Queue, maxBytes int) {
	ring := NewRing(maxBytes)
	m.set(ring)
	defer m.set(nil)
	for {
		au, err := q.Pop(ctx)
		if err != nil {
			return
		}
		ring.Put(au)
	}
}

func (m *MainStream) set(r *Ring) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ring = r
}

// units returns what must be decoded for the picture of an instant.
func (m *MainStream) units(at time.Time) []ingest.AccessUnit {
	m.mu.Lock()
	ring := m.ring
	m.mu.Unlock()
	if ring == nil {
		return nil
	}
	all := ring.PreRoll()
	end := len(all)
	for end > 0 && all[end-1].Received.After(at.Add(mainSlack)) {
		end--
	}
	begin := end - 1
	for begin >= 0 && !all[begin].Key && (all[begin].Recovery == 0 || end-1-begin < all[begin].Recovery) {
		begin--
	}
	if begin < 0 || at.Sub(all[end-1].Received) > mainStale {
		return nil
	}
	return all[begin:end]
}

// picture returns the picture of an instant, if at most that many units after a
// key unit have to be decoded for it. It is valid until the next call or release,
// all on one goroutine.
func (m *MainStream) picture(ctx context.Context, at time.Time, most int) (*image.YCbCr, MainResult) {
	units := m.units(at)
	switch {
	case len(units) == 0:
		return nil, MainMissing
	case len(units)-1 > most:
		return nil, MainFar
	}
	ctx, cancel := context.WithTimeout(ctx, mainPatient)
	defer cancel()
	sound := false
	err := m.keys.DecodeTo(ctx, units, func(f *Frame) {
		if sound = sizeSupported(f); sound {
			copyPicture(&m.kept, f.Image)
		}
	})
	if err != nil || !sound {
		return nil, MainFailed
	}
	return &m.kept, MainDecoded
}

// release frees the latest picture, several MiB that a quiet camera does not need.
func (m *MainStream) release() { m.kept = image.YCbCr{} }

// copyPicture copies a picture into memory that to may already have.
func copyPicture(to, from *image.YCbCr) {
	to.Y, to.Cb, to.Cr = append(to.Y[:0], from.Y...), append(to.Cb[:0], from.Cb...), append(to.Cr[:0], from.Cr...)
	to.YStride, to.CStride, to.SubsampleRatio, to.Rect = from.YStride, from.CStride, from.SubsampleRatio, from.Rect
}

// mainPicture returns the main stream's picture of an instant, or nil.
func (a *Analyser) mainPicture(ctx context.Context, at time.Time, most int) *image.YCbCr {
	if a.opt.Main == nil {
		return nil
	}
	picture, result := a.opt.Main.picture(ctx, at, most)
	a.metrics.main[result].Inc()
	return picture
}

// Closer looks again at what an observation showed, in the main stream, and returns
// the observation with that picture and with what the detector found in it beside
// what it had found already: for the picture of an alert. ok is false where there
// is no main stream or no picture of that instant, the observation has that picture
// already, or the detector had no turn. It must be called on the goroutine of Emit,
// before Emit returns, and blocks for up to 100 decoded units and one inference.
func (a *Analyser) Closer(ctx context.Context, o Observation) (_ Observation, ok bool) {
	if a.opt.Main == nil || a.opt.Detector == nil || o.Skipped != SkipNone || o.FromMain {
		return o, false
	}
	picture := a.mainPicture(ctx, o.At, mainDear)
	if picture == nil {
		return o, false
	}
	found, cpu, err := a.opt.Detector.detect(ctx, a.sample(picture, a.opt.Detector.maxWait))
	addTime(a.metrics.detectCPU, cpu)
	if err != nil {
		if !errors.Is(err, ErrBusy) && ctx.Err() == nil {
			a.opt.Log.Warn("object detector failed on a picture of the main stream", "camera", a.id, "error", err)
		}
		return o, false
	}
	o.Detections, o.Masked = append([]Detection(nil), o.Detections...), append([]Detection(nil), o.Masked...)
	a.sort(&o, found)
	o.Picture, o.FromMain, o.Detected = picture, true, true
	return o, true
}
