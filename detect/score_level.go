package detect

import (
	"math"
	"slices"
	"time"
)

// What a scoreLevel works with.
const (
	scoreSamples = 25   // of a place in the GOP, for its median
	scoreSpread  = 60   // and for its deviations, where a place holds several pictures
	scoreFew     = 3    // samples before a place says anything
	scoreSure    = 8    // and before its own deviations are taken and not those of all
	scoreUnsure  = 1.0  // over the number of pictures: by this share the deviation may be larger than they say
	scoreLow     = -5.0 // residuals are clipped to these many standard deviations
	scoreHigh    = 8.0
	scoreHighest = 16.0 // where the quantiser stands still
	scoreUsual   = 2.0  // so many where the picture is as large as quiet ones of its quantiser
	scoreClipLow = -1.0 // and to these much of log2, where they move the level
	scoreClip    = 1.5
	scoreLeastSD = 0.10  // of log2
	summedSD     = 0.04  // the least of a sum
	summedFixed  = 0.035 // and with a quantiser that stands still
	summedZ      = 1.3   // what a sum is off counts so much, as its deviations have short tails
	scoreQuick   = 0.5   // smoothing over the latest two or three pictures
	scoreFall    = 0.5   // of the smoothing: what became less is the new quiet at once
	scoreHeld    = 32    // latest pictures that taught nothing
	score85      = 1.44  // standard deviations at which 85 of 100 deviations are lower
	madSamples   = 256
	madBins      = 64
	madEvery     = 16
	spreadUnit   = 100 // parts of log2 in which deviations are kept
	heatUnit     = 48  // and parts of a standard deviation
)

// scoreLevel knows one measure of quiet pictures and says how far a new one is
// off. From the measure goes the median of the latest quiet pictures at the same
// place of the GOP and of the same kind: after a key frame that ate the rate's
// budget the first pictures follow a fixed pattern that would look like motion.
// What is left is divided by the deviation at that place, since how large those
// first pictures are depends on how large the key frame happened to be, clipped,
// and smoothed over a quarter of a second. The result is divided by what is usual
// for it at that place, since what one key frame does to the pictures after it
// lasts, and an encoder's rate control swings. At constant quality, where none
// does, one deviation serves all places. Deviations are quantiles, which a
// passer-by during the warm-up does not spoil.
//
// A measure that is a sum of several pictures already is only divided by the
// deviation of such sums at that place.
type scoreLevel struct {
	summed bool // its measure is of several pictures
	bins   [scoreKinds][scorePhases]scoreBin
	level  float64 // added to all medians: rain that began, a sway that was taken for motion in vain

	heat     float64 // smoothed, in standard deviations
	quick    float64 // the same over fewer pictures, where the quantiser stands still
	residual float64 // smoothed, in the measure's unit
	hotSince time.Time

	deviations [madSamples]uint8 // of quiet pictures, in 1/madBins of the clip
	counts     [madBins]uint16
	learned    int
	sd         float64
	least      float32              // the deviation of a place is no lower
	held       [scoreHeld]scoreHold // pictures that taught nothing
	holds      int
}

// scoreHold is a picture that taught nothing.
type scoreHold struct {
	bin     *scoreBin
	r, heat float32
	single  bool
}

// scoreBin is what quiet pictures at one place of the GOP were.
type scoreBin struct {
	x      [scoreSamples]float32
	n      int // learned altogether
	median float32

	off     [scoreSpread]uint8 // from the median
	hot     [scoreSpread]uint8 // the smoothed residual
	spreads int                // learned altogether
	sd      float32            // 0: not known
	swing   float32            // deviation of the smoothed residual
}

// scoreInput is a picture as a scoreLevel sees it.
type scoreInput struct {
	kind, place int
	x           float64
	alpha       float64 // smoothing
	swings      bool    // there is a rate control
	fixed       bool    // the quantiser stands still
	usual       bool    // the picture is as large as quiet ones of its quantiser
	single      bool    // the place holds one picture of a GOP
	at          time.Time
	moving      bool // something else saw motion
}

func (l *scoreLevel) reset() {
	*l = scoreLevel{summed: l.summed, sd: 2 * scoreLeastSD, least: scoreLeastSD}
}

// add takes a picture and returns how far it is off in standard deviations, and
// whether it taught what quiet is.
func (l *scoreLevel) add(in scoreInput) (z float64, taught bool) {
	b := &l.bins[in.kind][in.place]
	x, r := in.x-l.level, 0.0
	known := b.n >= scoreFew
	if known {
		r = x - float64(b.median)
		sd := l.sd
		if in.swings && b.sd > 0 {
			sd = float64(b.sd)
		}
		z = l.off(r, sd, b, in)
	}
	switch {
	case in.moving:
		l.hotSince = time.Time{}
		return z, false
	case math.Abs(z) < scoreQuiet, z < 0 && !in.fixed: // rate control pays back what motion took
		l.hotSince = time.Time{}
	case l.hot(b, r, in):
		return z, false
	}
	b.learn(float32(x))
	if known {
		l.learnDeviation(math.Abs(r))
		l.spread(b, math.Abs(r), math.Abs(l.heat), in.single)
	}
	return z, true
}

// off says how far a residual is off, in standard deviations.
func (l *scoreLevel) off(r, sd float64, b *scoreBin, in scoreInput) float64 {
	if l.summed {
		l.residual = r
		if b.sd == 0 {
			return 0 // what such a sum does here is not known: the first minutes of long groups
		}
		return summedZ * r / sd
	}
	l.residual += in.alpha * (min(scoreClip, max(scoreClipLow, r)) - l.residual)
	most := scoreHigh
	switch {
	case in.usual:
		most = scoreUsual
	case in.fixed:
		most = scoreHighest
	}
	clipped := min(most, max(scoreLow, r/sd))
	l.heat += in.alpha * (clipped - l.heat)
	usual := smoothedSD(in.alpha)
	if in.swings {
		usual = max(usual, float64(b.swing))
	}
	if !in.fixed {
		return l.heat / usual
	}
	l.quick += scoreQuick * (clipped - l.quick)
	return max(l.heat/usual, l.quick/smoothedSD(scoreQuick))
}

// smoothedSD is the standard deviation of chance that is smoothed, as part of its own.
func smoothedSD(smoothing float64) float64 { return math.Sqrt(smoothing / (2 - smoothing)) }

// hot takes a residual that is not of a quiet picture, and says whether it is
// kept from teaching. What became less is the new level at once: it is no motion.
func (l *scoreLevel) hot(b *scoreBin, r float64, in scoreInput) bool {
	if l.residual < 0 {
		l.level += scoreFall * in.alpha * max(scoreClipLow, min(scoreClip, r))
	} else {
		l.held[l.holds%scoreHeld] = scoreHold{b, float32(r), float32(l.heat), in.single}
		l.holds++
	}
	if l.hotSince.IsZero() {
		l.hotSince = in.at
	}
	return in.at.Sub(l.hotSince) < scoreHot
}

// vain says that what was hot was no motion.
func (l *scoreLevel) vain() {
	for _, h := range l.held[:min(l.holds, scoreHeld)] {
		l.learnDeviation(math.Abs(float64(h.r)))
		l.spread(h.bin, math.Abs(float64(h.r)), math.Abs(float64(h.heat)), h.single)
	}
	l.holds = 0
	l.level += max(0, l.residual)
	l.residual, l.heat, l.quick = 0, 0, 0
}

// proven says that what was hot was motion: it is no measure of what is quiet.
func (l *scoreLevel) proven() { l.holds = 0 }

// learn keeps x among the latest samples and sorts out their median.
func (b *scoreBin) learn(x float32) {
	b.x[b.n%scoreSamples] = x
	b.n++
	sorted := b.x
	n := min(b.n, scoreSamples)
	slices.Sort(sorted[:n])
	b.median = sorted[n/2]
}

// spread keeps how far a picture and the smoothed residual were off. A place that
// holds one picture of a GOP is reckoned anew with each, others now and then.
func (l *scoreLevel) spread(b *scoreBin, r, heat float64, single bool) {
	samples := scoreSpread
	if single {
		samples = scoreSamples
	}
	at := b.spreads % samples
	b.off[at], b.hot[at] = spreadByte(r*spreadUnit), spreadByte(heat*heatUnit)
	b.spreads++
	if n := min(b.spreads, samples); n >= scoreSure && (single || b.spreads%8 == 0) {
		b.sd = max(l.least, spreadOf(b.off, n)/spreadUnit*(1+scoreUnsure/float32(n)))
		if !l.summed {
			b.swing = spreadOf(b.hot, n) / heatUnit
		}
	}
}

func spreadByte(v float64) uint8 { return uint8(min(math.MaxUint8, math.Round(v))) }

// spreadOf is the standard deviation for which 85 of 100 deviations are lower.
func spreadOf(v [scoreSpread]uint8, n int) float32 {
	slices.Sort(v[:n])
	return float32(v[min(n-1, n*85/100)]) / score85
}

// learnDeviation keeps the median absolute deviation of the latest samples.
func (l *scoreLevel) learnDeviation(d float64) {
	at := l.learned % madSamples
	if l.learned >= madSamples {
		l.counts[l.deviations[at]]--
	}
	v := uint8(min(madBins-1, d*madBins/scoreClip))
	l.deviations[at] = v
	l.counts[v]++
	if l.learned++; l.learned%madEvery != 0 {
		return
	}
	half, sum := min(l.learned, madSamples)/2, 0
	for i, c := range l.counts {
		if sum += int(c); sum > half {
			l.sd = max(scoreLeastSD, 1.4826*(float64(i)+0.5)*scoreClip/madBins)
			return
		}
	}
}
