package detect

import (
	"math"
	"slices"
	"time"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// What the score of predicted pictures works with. The numbers come from
// measurements on software encoders with exact ground truth.
const (
	scorePhases   = 40   // places after the key frame that are told apart
	scoreSingle   = 8    // pictures after it that have a place by themselves
	scoreOutlier  = 1.5  // times the latest together one picture counts, at most: a new low of the quantiser takes more
	qpFew         = 8    // quiet pictures of a quantiser before their size is known
	qpSlow        = 50   // and how many of the latest make it
	qpMuch        = 0.15 // log2 above that size up to which a picture is as large as usual
	scoreKinds    = 3    // P that others refer to, P that none refers to or of a higher layer, B
	scoreQuiet    = 4.0  // above it a picture teaches the score nothing
	scoreRateFrom = 100  // pictures before constant rate and constant quality are told apart
	scoreRateSure = 1500 // and before key units are left out at constant quality: a minute
	scoreSteady   = 0.95 // share of quiet pictures that have one of two neighbouring quantisers at constant quality
	scoreUnsteady = 0.90 // and below which it is over
	scoreBlank    = 2    // floors below which a size tells nothing, where the quantiser stands still
	summedBlank   = 4    // and for a sum
	keySamples    = 8    // latest key units
	keySteady     = 0.02 // by which the size of a key unit of an unchanged scene may differ, in log2, at constant quality
	keyEven       = 0.08 // by which those of a changing scene do, at most; rate control makes 0.1 and more of noise alone
)

const (
	scoreHot    = 60 * time.Second // what differs for so long is the new quiet
	scoreSettle = 4 * time.Second  // after motion, in which rate control takes back what it gave
)

// motionScore tells from the size and the quantiser of predicted pictures that
// something moves. An encoder with a constant rate answers motion with a higher
// quantiser and not with more bytes, so both count: x = log2(8·(bytes+floor)) +
// k·QP. How far that is above what is usual a scoreLevel says.
//
// A second one is of the latest pictures of a kind together: what one takes more
// than its share of a constant rate the next ones get less, so that their sum is
// steadier than the mean of single ones, and slice headers tell a quantiser that
// was rounded.
//
// Where the quantiser stands still, at constant quality, it counts nothing as long as
// it does: it was rounded, and of two pictures the one with the higher is as often
// the larger as the smaller. There sizes of quiet pictures differ by chance only, so
// that a scoreLevel also goes by the latest two or three.
//
// H.265 has a third one, of the bytes alone, each quantiser with its own usual
// size: encoders of constant rate work where the next quantiser just begins or
// ceases to code the noise of the sensor, so that one step of it makes ten times
// the bytes, and no k fits that. A picture that is as large as usual by it counts for
// little in the first. With H.264 it told no more than the first.
type motionScore struct {
	k, floor  float64
	smoothing float64 // of one picture at 25 a second
	phase     int     // pictures since the key frame
	alpha     float64 // smoothing at the stream's frame rate

	both scoreLevel
	sum  scoreLevel           // of the latest pictures together
	size *scoreLevel          // H.265
	sums [scoreKinds]scoreSum // since the key frame
	qpOf [100]qpSize          // of quiet pictures, by QP+48

	qps     [100]uint16 // how many quiet pictures had that quantiser, by QP+48
	qpTotal int
	qpSeen  int
	fixed   bool      // the quantiser of quiet pictures has two neighbouring values at most
	usualQP int8      // the lower one of these
	moved   time.Time // when something moved
	settled time.Time // and when a picture was last a measure of quiet ones
	highest float64   // score of a single picture since the last key unit

	latest [keySamples]keyUnit
	keys   int
	alike  bool // the latest key units are
}

// scoreSum is the latest pictures of a kind together: both smoothed.
type scoreSum struct {
	bytes, qp float64
	n         int
}

// keyUnit is what is kept of one.
type keyUnit struct {
	size float32 // log2
	qp   int8
}

// qpSize is how large quiet pictures of one quantiser are.
type qpSize struct {
	mean float32 // log2, of the latest
	n    uint16  // up to qpSlow
}

// newMotionScore returns a score for a stream. Its smoothing is the weight of
// one picture of 25 in a second. The defaults of k are what told motion best from
// quiet on clips of constant rate with ground truth (area under the curve 0.97,
// 0.85 and 0.87 for H.264 with 0.35, 0.95 for H.265 with 0.55). The slope that
// regression finds in a camera's quiet pictures told it worse (0.85, 0.78, 0.84;
// 0.95): what noise costs is not what motion costs.
func newMotionScore(codec ingest.Codec, cfg configs.Gate) *motionScore {
	s := &motionScore{k: cfg.QPWeightH264, floor: 100, smoothing: cfg.Smoothing, alpha: cfg.Smoothing}
	s.sum.summed = true
	if codec == ingest.H265 {
		s.k, s.size = cfg.QPWeightH265, &scoreLevel{}
	}
	s.reset()
	return s
}

// reset forgets what quiet pictures look like.
func (s *motionScore) reset() {
	s.forgetSizes()
	s.qps, s.qpTotal, s.qpSeen, s.fixed, s.keys, s.alike = [100]uint16{}, 0, 0, false, 0, false
}

// forgetSizes forgets how large quiet pictures are.
func (s *motionScore) forgetSizes() {
	for _, l := range s.levels() {
		l.reset()
	}
	s.qpOf = [100]qpSize{}
}

// levels are the measures that this stream's codec has.
func (s *motionScore) levels() []*scoreLevel {
	if s.size != nil {
		return []*scoreLevel{&s.both, &s.sum, s.size}
	}
	return []*scoreLevel{&s.both, &s.sum}
}

// resize tells the score how large the pictures are, in pixels.
func (s *motionScore) resize(w, h int) { s.floor = max(20, float64(w*h)/4000) }

// key begins a GOP. interval is the time of one picture in the last GOP, 0 when
// unknown.
func (s *motionScore) key(interval time.Duration) {
	s.phase, s.sums = 0, [scoreKinds]scoreSum{}
	if interval > 0 {
		// The same share of a second at any rate: (1-a)^(1/25 s).
		s.alpha = min(0.6, max(0.02, 1-math.Pow(1-s.smoothing, interval.Seconds()*25)))
	}
}

// add takes a predicted picture and returns its score in standard deviations.
// It learns from it unless something else saw motion, or the score itself does.
func (s *motionScore) add(h Header, at time.Time, moving bool) float64 {
	s.phase++
	if !h.OK || h.Type == PictureI {
		return 0
	}
	moving = s.unsettled(at, moving)
	bits := math.Log2((float64(h.Bytes) + s.blank(scoreBlank)) * 8)
	place, single := scorePlace(s.phase, scoreSingle, scoreSingle)
	in := scoreInput{
		kind: scoreKind(h), place: place, single: single, x: bits + s.k*s.quantiser(h.QP), alpha: s.alpha,
		swings: !s.even(), fixed: s.fixed, at: at, moving: moving,
	}
	usual, known := s.sizeAt(h.QP)
	in.usual = known && bits-usual < qpMuch
	z, quiet := s.both.add(in)
	if s.size != nil {
		z = max(z, s.addSize(h.QP, in, bits, usual, known))
	}
	s.highest = max(s.highest, z)
	z = max(z, s.addSum(h, in))
	if quiet {
		s.learnQP(h.QP)
	}
	return z
}

// unsettled says that a picture is no measure of quiet ones: something moves, or did
// a moment ago and the rate has not settled since. With something moving again and
// again pictures teach all the same after a minute.
func (s *motionScore) unsettled(at time.Time, moving bool) bool {
	if moving {
		s.moved = at
		return true
	}
	if !s.even() && at.Sub(s.moved) < scoreSettle {
		return at.Sub(s.settled) < scoreHot
	}
	s.settled = at
	return false
}

// blank is what is added to the size of a picture: next to nothing is coded in those
// that are smaller. Where the quantiser stands still that is so many floors.
func (s *motionScore) blank(floors float64) float64 {
	if s.fixed {
		return floors * s.floor
	}
	return s.floor
}

// quantiser is a quantiser as it counts: how far from the usual two where it stands
// still.
func (s *motionScore) quantiser(qp int8) float64 {
	if s.fixed {
		qp -= min(max(qp, s.usualQP), s.usualQP+1)
	}
	return float64(qp)
}

// addSize is add for the bytes against those that are usual for the quantiser, if
// they are known.
func (s *motionScore) addSize(qp int8, in scoreInput, bits, usual float64, known bool) (z float64) {
	taught := !in.moving
	if known {
		in.x, in.usual = bits-usual, false
		z, taught = s.size.add(in)
	}
	if taught {
		s.qpOf[int(qp)+48].learn(bits)
	}
	return z
}

// addSum is add for the latest pictures together.
func (s *motionScore) addSum(h Header, in scoreInput) float64 {
	sum := &s.sums[in.kind]
	s.sum.least = summedFixed
	bytes := float64(h.Bytes) + s.blank(summedBlank)
	if !s.fixed {
		s.sum.least = summedSD
		if sum.n >= scoreSingle {
			bytes = min(bytes, scoreOutlier*sum.bytes)
		}
	}
	sum.n++
	share := max(s.alpha, 1/float64(sum.n))
	sum.bytes += share * (bytes - sum.bytes)
	sum.qp += share * (float64(h.QP) - sum.qp)
	in.x, in.swings, in.fixed = math.Log2(sum.bytes*8)+s.k*sum.qp, true, false
	in.place, in.single = scorePlace(s.phase, 2*scoreSingle, scoreSingle/2)
	z, _ := s.sum.add(in)
	if sum.n < 2 || s.size != nil && s.phase <= scoreSingle {
		return 0 // one picture is no sum, and those after a key frame of H.265 go by its quantiser
	}
	return z
}

// scoreKind is the kind of a picture: it is compared with its own.
func scoreKind(h Header) int {
	switch {
	case h.Type == PictureB:
		return 2
	case !h.Reference || h.TemporalID > 0:
		return 1
	}
	return 0
}

// scorePlace is the place in the GOP that a picture is compared with: some after
// the key frame by themselves, then groups.
func scorePlace(phase, singles, group int) (place int, single bool) {
	if place = phase - 1; place < singles {
		return place, true
	}
	return min(singles+(place-singles)/group, scorePhases-1), false
}

// sizeAt is how large quiet pictures of a quantiser usually are, in log2, where
// that is kept: with H.265. Of one that was not seen often it is reckoned from the
// nearest that was.
func (s *motionScore) sizeAt(qp int8) (log2 float64, known bool) {
	if s.size == nil {
		return 0, false
	}
	at := int(qp) + 48
	for d := range len(s.qpOf) {
		for _, i := range [2]int{at - d, at + d} {
			if i >= 0 && i < len(s.qpOf) && s.qpOf[i].n >= qpFew {
				return float64(s.qpOf[i].mean) - s.k*float64(at-i), true
			}
		}
	}
	return 0, false
}

func (q *qpSize) learn(x float64) {
	q.n = min(q.n+1, qpSlow)
	q.mean += (float32(x) - q.mean) / float32(q.n)
}

// vain says that what the score called motion was none. The latest pictures are
// the new quiet, and how far they were off is how far quiet ones may be.
func (s *motionScore) vain() {
	for _, l := range s.levels() {
		l.vain()
	}
}

// proven says that what the score called motion was some.
func (s *motionScore) proven() {
	for _, l := range s.levels() {
		l.proven()
	}
}

// even says that no rate control is at work, as far as is known: the quantiser of
// quiet pictures has one value, or two between which it is rounded, and key units
// are as large as each other. Where there is rate control and bits to spare, the
// quantiser stands still too, at its least, and only the key units swing.
func (s *motionScore) even() bool { return s.fixed && s.alike }

// constant says that the stream has constant quality, with enough seen to leave key
// units out.
func (s *motionScore) constant() bool { return s.even() && s.qpSeen >= scoreRateSure }

// learnQP keeps account of the quantiser of quiet pictures.
func (s *motionScore) learnQP(qp int8) {
	s.qps[int(qp)+48]++
	s.qpSeen++
	if s.qpTotal++; s.qpTotal%scoreRateFrom != 0 {
		return
	}
	s.learnFixed()
	if s.qpTotal < 2*scoreRateSure {
		return
	}
	s.qpTotal = 0
	for i := range s.qps {
		s.qps[i] /= 2
		s.qpTotal += int(s.qps[i])
	}
}

// learnFixed finds out whether the quantiser stands still.
func (s *motionScore) learnFixed() {
	most := uint16(0)
	for i, n := range s.qps[1:] {
		if both := n + s.qps[i]; both > most {
			most, s.usualQP = both, int8(i-48)
		}
	}
	share := scoreSteady
	if s.fixed {
		share = scoreUnsteady
	}
	if fixed := float64(most) >= share*float64(s.qpTotal); fixed != s.fixed {
		s.fixed = fixed
		s.forgetSizes() // they are measured otherwise
	}
}

// steady says whether a key unit is as large as the ones before, which are as
// large as each other, with the same quantiser, and keeps it. At constant quality
// that means the same scene; at a constant rate that happens to look like it, key
// units differ more.
func (s *motionScore) steady(h Header) bool {
	now := keyUnit{float32(math.Log2(float64(h.Bytes) + s.floor)), h.QP}
	last, ok := s.latest[(s.keys+keySamples-1)%keySamples], s.keys >= keySamples
	if ok {
		least, median, most := s.keySizes()
		ok = most-least <= 2*keySteady && math.Abs(float64(now.size-median)) <= keySteady && now.qp-last.qp <= 1 && last.qp-now.qp <= 1
	}
	s.latest[s.keys%keySamples] = now
	if s.keys++; s.keys >= keySamples {
		least, _, most := s.keySizes()
		low := slices.MinFunc(s.latest[:], func(a, b keyUnit) int { return int(a.qp) - int(b.qp) })
		high := slices.MaxFunc(s.latest[:], func(a, b keyUnit) int { return int(a.qp) - int(b.qp) })
		s.alike = most-least <= keyEven && high.qp-low.qp <= 1
	}
	return ok
}

// keySizes are those of the latest key units.
func (s *motionScore) keySizes() (least, median, most float32) {
	var sorted [keySamples]float32
	for i, k := range s.latest {
		sorted[i] = k.size
	}
	slices.Sort(sorted[:])
	return sorted[0], sorted[keySamples/2], sorted[keySamples-1]
}
