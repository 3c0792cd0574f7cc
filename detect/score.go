package detect

import (
	"math"
	"slices"
	"time"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// What the score of predicted pictures works with. The numbers come from
// measurements on software encoders with exact ground truth.
const (
	scoreSamples  = 15   // of each bin
	scoreFew      = 3    // samples before a bin says anything
	scorePhases   = 40   // 8 single positions after the key frame, then groups of 8
	scoreKinds    = 3    // P that others refer to, P that none refers to or of a higher layer, B
	scoreLow      = -1.0 // residuals are clipped to these
	scoreHigh     = 1.5
	scoreLeastSD  = 0.10
	scoreQuiet    = 4.0 // above it a picture teaches the score nothing
	scoreHot      = 60 * time.Second
	scoreRateFrom = 100  // pictures before constant rate and constant quality are told apart
	scoreRateSure = 1500 // and before constant quality is relied on: a minute
	scoreSteady   = 0.95 // share of quiet pictures that have one of two neighbouring quantisers at constant quality
	keySamples    = 8    // latest key units
	keySteady     = 0.02 // by which the size of a key unit of an unchanged scene may differ, in log2, at constant quality

	// k for each codec: what told motion best from quiet on clips of constant rate
	// with ground truth (area under the curve 0.97, 0.85 and 0.87 for H.264, 0.95 for
	// H.265). The slope that regression finds in a camera's quiet pictures told it
	// worse (0.85, 0.78, 0.84; 0.95): what noise costs is not what motion costs.
	scoreH264   = 0.35
	scoreH265   = 0.55
	madSamples  = 256
	madBins     = 64
	madEvery    = 16
	scoreHigh85 = 1.44 // standard deviations at which 85 of 100 deviations are lower
	scoreFall   = 0.5  // of the smoothing: what became less is the new quiet at once
	scoreHeld   = 32   // latest pictures that taught nothing
)

// motionScore tells from the size and the quantiser of predicted pictures that
// something moves. An encoder with a constant rate answers motion with a higher
// quantiser and not with more bytes, so both count: x = log2(8·(bytes+floor)) +
// k·QP. From x goes the median of the latest quiet pictures at the same place of
// the GOP and of the same kind: after a key frame that ate the rate's budget the
// first pictures follow a fixed pattern that would look like motion. What is left
// is clipped, smoothed over a quarter of a second, and measured in standard
// deviations, by the median absolute deviation, which a passer-by during the
// warm-up does not spoil.
type motionScore struct {
	k, floor  float64
	level     float64 // added to all medians: rain that began, a sway that was taken for motion in vain
	smoothing float64 // of one picture at 25 a second

	bins     [scoreKinds][scorePhases]scoreBin
	phase    int     // pictures since the key frame
	alpha    float64 // smoothing at the stream's frame rate
	residual float64
	hotSince time.Time

	deviations [madSamples]uint8 // of quiet pictures, in 1/madBins of the clip
	counts     [madBins]uint16
	learned    int
	sd         float64
	held       [scoreHeld]float32 // residuals of pictures that taught nothing
	holds      int

	qps      [100]uint16 // how many quiet pictures had that quantiser, by QP+48
	qpTotal  int
	qpSeen   int
	constant bool    // the quantiser does not move: VBR
	highest  float64 // score since the last key unit

	keySizes [keySamples]float32 // log2, of the latest key units
	keyQP    int8
	keys     int
}

// scoreBin is what quiet pictures at one place of the GOP were.
type scoreBin struct {
	x      [scoreSamples]float32
	n      int // learned altogether
	median float32
}

// newMotionScore returns a score for a stream. Its smoothing is the weight of
// one picture of 25 in a second.
func newMotionScore(codec ingest.Codec, smoothing float64) *motionScore {
	s := &motionScore{k: scoreH264, floor: 100, smoothing: smoothing, alpha: smoothing}
	if codec == ingest.H265 {
		s.k = scoreH265
	}
	s.reset()
	return s
}

// reset forgets what quiet pictures look like.
func (s *motionScore) reset() {
	s.bins = [scoreKinds][scorePhases]scoreBin{}
	s.deviations, s.counts, s.learned, s.sd = [madSamples]uint8{}, [madBins]uint16{}, 0, 2*scoreLeastSD
	s.residual, s.hotSince, s.level, s.holds = 0, time.Time{}, 0, 0
	s.qps, s.qpTotal, s.qpSeen, s.constant, s.keys = [100]uint16{}, 0, 0, false, 0
}

// resize tells the score how large the pictures are, in pixels.
func (s *motionScore) resize(w, h int) { s.floor = max(20, float64(w*h)/4000) }

// key begins a GOP. interval is the time of one picture in the last GOP, 0 when
// unknown.
func (s *motionScore) key(interval time.Duration) {
	s.phase = 0
	if interval > 0 {
		// The same share of a second at any rate: (1-a)^(1/25 s).
		s.alpha = min(0.6, max(0.02, 1-math.Pow(1-s.smoothing, interval.Seconds()*25)))
	}
}

func (s *motionScore) bin(h Header) *scoreBin {
	kind := 0
	switch {
	case h.Type == PictureB:
		kind = 2
	case !h.Reference || h.TemporalID > 0:
		kind = 1
	}
	p := s.phase - 1
	if p >= 8 {
		p = min(8+(p-8)/8, scorePhases-1)
	}
	return &s.bins[kind][p]
}

// add takes a predicted picture and returns its score in standard deviations.
// It learns from it unless something else saw motion, or the score itself does.
func (s *motionScore) add(h Header, at time.Time, moving bool) float64 {
	s.phase++
	if !h.OK || h.Type == PictureI {
		return 0
	}
	x := math.Log2((float64(h.Bytes)+s.floor)*8) + s.k*float64(h.QP) - s.level
	b := s.bin(h)
	z, r := 0.0, 0.0
	known := b.n >= scoreFew
	if known {
		r = min(scoreHigh, max(scoreLow, x-float64(b.median)))
		s.residual += s.alpha * (r - s.residual)
		z = s.residual / (s.sd * math.Sqrt(s.alpha/(2-s.alpha)))
		s.highest = max(s.highest, z)
	}
	if moving {
		s.hotSince = time.Time{}
		return z
	}
	if math.Abs(z) < scoreQuiet {
		s.hotSince = time.Time{}
	} else if s.hot(r, at) {
		return z
	}
	b.learn(float32(x))
	s.learnQP(h.QP)
	if known {
		s.learnDeviation(math.Abs(r))
	}
	return z
}

// hot takes a residual that is not of a quiet picture, and says whether it is
// kept from teaching. What became less is the new level at once: it is no motion.
func (s *motionScore) hot(r float64, at time.Time) bool {
	if s.residual < 0 {
		s.level += scoreFall * s.alpha * r
	} else {
		s.held[s.holds%scoreHeld] = float32(r)
		s.holds++
	}
	if s.hotSince.IsZero() {
		s.hotSince = at
	}
	return at.Sub(s.hotSince) < scoreHot
}

// vain says that what the score called motion was none. The latest pictures are
// the new quiet, and how far they were off is how far quiet ones may be.
func (s *motionScore) vain() {
	for _, r := range s.held[:min(s.holds, scoreHeld)] {
		s.learnDeviation(math.Abs(float64(r)))
	}
	s.holds = 0
	s.level += max(0, s.residual)
	s.residual = 0
}

// learn keeps x among the latest samples and sorts out their median.
func (b *scoreBin) learn(x float32) {
	b.x[b.n%scoreSamples] = x
	b.n++
	sorted := b.x
	n := min(b.n, scoreSamples)
	slices.Sort(sorted[:n])
	b.median = sorted[n/2]
}

// learnDeviation keeps the median absolute deviation of the latest samples.
func (s *motionScore) learnDeviation(d float64) {
	at := s.learned % madSamples
	if s.learned >= madSamples {
		s.counts[s.deviations[at]]--
	}
	v := uint8(min(madBins-1, d*madBins/scoreHigh))
	s.deviations[at] = v
	s.counts[v]++
	if s.learned++; s.learned%madEvery != 0 {
		return
	}
	half, sum := min(s.learned, madSamples)/2, 0
	for i, c := range s.counts {
		if sum += int(c); sum > half {
			s.sd = max(scoreLeastSD, 1.4826*(float64(i)+0.5)*scoreHigh/madBins)
			return
		}
	}
}

// learnQP tells constant rate from constant quality: there the quantiser of quiet
// pictures has one value, or two between which it is rounded.
func (s *motionScore) learnQP(qp int8) {
	s.qps[int(qp)+48]++
	s.qpSeen++
	if s.qpTotal++; s.qpTotal%scoreRateFrom != 0 {
		return
	}
	most := uint16(0)
	for i, n := range s.qps[1:] {
		most = max(most, n+s.qps[i])
	}
	s.constant = float64(most) >= scoreSteady*float64(s.qpTotal) && s.qpSeen >= scoreRateSure
	if s.qpTotal < 2*scoreRateSure {
		return
	}
	s.qpTotal = 0
	for i := range s.qps {
		s.qps[i] /= 2
		s.qpTotal += int(s.qps[i])
	}
}

// steady says whether a key unit is as large as the ones before, which are as
// large as each other, with the same quantiser, and keeps it. At constant quality
// that means the same scene; at a constant rate that happens to look like it, key
// units differ more.
func (s *motionScore) steady(h Header) bool {
	size := float32(math.Log2(float64(h.Bytes) + s.floor))
	ok := s.keys >= keySamples
	if ok {
		sorted := s.keySizes
		slices.Sort(sorted[:])
		ok = sorted[keySamples-1]-sorted[0] <= 2*keySteady && math.Abs(float64(size-sorted[keySamples/2])) <= keySteady &&
			h.QP-s.keyQP <= 1 && s.keyQP-h.QP <= 1
	}
	s.keySizes[s.keys%keySamples], s.keyQP = size, h.QP
	s.keys++
	return ok
}
