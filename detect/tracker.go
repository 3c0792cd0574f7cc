package detect

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// How long a track lives without being found again. Standing things are kept
// long, so that people passing a parked car do not break its track.
const (
	youngLife    = 1500 * time.Millisecond
	trackLife    = 5 * time.Second
	standingLife = 30 * time.Second
	grownHits    = 3    // detections that make a track grown up
	standingHits = 6    // detections before a track may be called standing
	standing     = 0.15 // extents per second under which it stands
	maxTracks    = 64
	sizeWeight   = 0.4 // of the newest box in the smoothed size
	lostDamping  = 0.6 // of the speed, at each sample without the object
)

// Tracker follows objects through the pictures of one camera: a detection
// belongs to the track of its group (person, vehicle, animal) whose predicted
// place it fits best. Each class is put to a vote, because small models confuse
// classes within a group. Nothing of how an object looks is kept, and a number
// means nothing beyond this Tracker.
type Tracker struct {
	birth  float64
	last   uint64
	at     time.Time
	tracks []*track
	pairs  []pair
	used   []bool
}

type track struct {
	Track
	group   Group
	x, y    axis
	w, h    float64
	votes   []vote
	matched bool
	stood   bool // when it was last found
}

type vote struct {
	class  Class
	weight float64
}

// pair is a track and a detection that may be the same object.
type pair struct {
	track, found int
	fit          float64
}

// NewTracker returns an empty tracker. Only detections with a score of at least
// birth (0..1) start a track; weaker ones continue one.
func NewTracker(birth float64) *Tracker { return &Tracker{birth: birth} }

// Len returns the number of live tracks.
func (t *Tracker) Len() int { return len(t.tracks) }

// Update takes the detections of one instant and returns the live tracks, which
// are the caller's to keep. mayStart says whether a detection that fits no track
// may start one; nil means each may. Time must not run backwards; an instant
// that is not after the last one only corrects.
func (t *Tracker) Update(at time.Time, found []Detection, mayStart func(Detection) bool) []Track {
	dt := max(0, at.Sub(t.at).Seconds())
	if t.at.IsZero() || dt > standingLife.Seconds() {
		t.tracks, dt = nil, 0
	}
	t.at = at
	for _, k := range t.tracks {
		k.predict(dt)
	}
	t.used = append(t.used[:0], make([]bool, len(found))...)
	// Sure detections choose first; a weak one may only continue what is left,
	// and only where it nearly covers the prediction.
	t.match(at, found, func(d Detection) bool { return d.Score >= t.birth }, 0.1)
	t.match(at, found, func(d Detection) bool { return d.Score < t.birth }, 0.5)
	t.bury(at)
	for i, d := range found {
		if !t.used[i] && d.Score >= t.birth && d.Class.Group() != "" && len(t.tracks) < maxTracks && (mayStart == nil || mayStart(d)) {
			t.start(at, d)
		}
	}
	return t.list()
}

// list copies the live tracks.
func (t *Tracker) list() []Track {
	if len(t.tracks) == 0 {
		return nil
	}
	out := make([]Track, len(t.tracks))
	for i, k := range t.tracks {
		out[i] = k.Track
	}
	return out
}

// match pairs tracks and detections, the best fit first.
func (t *Tracker) match(at time.Time, found []Detection, want func(Detection) bool, need float64) {
	t.pairs = t.pairs[:0]
	for i, k := range t.tracks {
		if k.matched {
			continue
		}
		for j, d := range found {
			if t.used[j] || d.Class.Group() != k.group || !want(d) {
				continue
			}
			if fit := k.fit(d.Box); fit >= need {
				t.pairs = append(t.pairs, pair{i, j, fit})
			}
		}
	}
	slices.SortStableFunc(t.pairs, func(a, b pair) int { return cmp.Compare(b.fit, a.fit) })
	for _, p := range t.pairs {
		if k := t.tracks[p.track]; !k.matched && !t.used[p.found] {
			k.correct(at, found[p.found])
			t.used[p.found] = true
		}
	}
}

// bury removes the tracks that were not found for too long.
func (t *Tracker) bury(at time.Time) {
	t.tracks = slices.DeleteFunc(t.tracks, func(k *track) bool {
		return !k.matched && at.Sub(k.Seen) > k.life()
	})
}

func (t *Tracker) start(at time.Time, d Detection) {
	t.last++
	k := &track{
		Track: Track{ID: t.last, Class: d.Class, Score: d.Score, Box: d.Box, Prev: d.Box, Born: at, Seen: at, Hits: 1},
		group: d.Class.Group(), w: d.Box.W, h: d.Box.H, matched: true,
	}
	k.x, k.y = newAxis(d.Box.X+d.Box.W/2, k.w), newAxis(d.Box.Y+d.Box.H/2, k.h)
	k.vote(d)
	t.tracks = append(t.tracks, k)
}

func (k *track) predict(dt float64) {
	if !k.matched {
		k.x.v *= lostDamping
		k.y.v *= lostDamping
	}
	k.matched = false
	k.Prev = k.Box
	k.x.predict(dt, k.w)
	k.y.predict(dt, k.h)
	k.place()
}

func (k *track) correct(at time.Time, d Detection) {
	k.matched = true
	k.x.correct(d.Box.X+d.Box.W/2, k.w)
	k.y.correct(d.Box.Y+d.Box.H/2, k.h)
	k.w += sizeWeight * (d.Box.W - k.w)
	k.h += sizeWeight * (d.Box.H - k.h)
	k.place()
	k.stood = math.Abs(k.x.v) < standing*k.w && math.Abs(k.y.v) < standing*k.h
	k.Score, k.Seen = d.Score, at
	k.Hits++
	k.vote(d)
}

func (k *track) place() { k.Box = Box{k.x.p - k.w/2, k.y.p - k.h/2, k.w, k.h} }

// fit says how well b continues the track: the overlap with the prediction, and
// less than that for a box beside it. At two pictures a second somebody who
// turns round need not overlap with where he was expected.
func (k *track) fit(b Box) float64 {
	if b.W <= 0 || b.H <= 0 || k.w <= 0 || k.h <= 0 {
		return 0
	}
	if r := b.Area() / (k.w * k.h); r < 0.3 || r > 3.3 {
		return 0
	}
	dx := (b.X + b.W/2 - k.x.p) / (1.5 * max(k.w, b.W))
	dy := (b.Y + b.H/2 - k.y.p) / (0.5 * max(k.h, b.H))
	return k.Box.IoU(b) + 0.4*max(0, 1-math.Hypot(dx, dy))
}

func (k *track) vote(d Detection) {
	i := slices.IndexFunc(k.votes, func(v vote) bool { return v.class == d.Class })
	if i < 0 {
		i = len(k.votes)
		k.votes = append(k.votes, vote{class: d.Class})
	}
	k.votes[i].weight += d.Score
	k.Class = slices.MaxFunc(k.votes, func(a, b vote) int { return cmp.Compare(a.weight, b.weight) }).class
}

func (k *track) life() time.Duration {
	switch {
	case k.Hits >= standingHits && k.stood:
		return standingLife
	case k.Hits >= grownHits:
		return trackLife
	}
	return youngLife
}
