package alert

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/sharpeyes/sharpeyes/detect"
)

// evaluate says what obs shows of the incident; known is false when it says
// nothing either way.
func (i *incident) evaluate(obs detect.Observation) (v verdict, known bool) {
	if obs.Skipped != detect.SkipNone {
		return verdict{}, false
	}
	if i.rule.kind == MotionInSchedule {
		return i.motion(obs)
	}
	if !obs.Detected {
		// The detector was not asked. When nothing moves and nothing is followed
		// that is an answer: there is nothing. Else it is none.
		return verdict{}, !obs.Motion.Active && len(obs.Tracks) == 0
	}
	switch i.rule.kind {
	case ZoneEntry:
		return i.entry(obs), true
	case LineCross:
		return i.crossing(obs), true
	case Dwell:
		return i.dwell(obs), true
	}
	return verdict{}, false
}

// motion is motion_in_schedule: something moves in the zone.
func (i *incident) motion(obs detect.Observation) (verdict, bool) {
	if obs.Motion.Global {
		return verdict{}, false
	}
	v := verdict{detected: obs.Detected}
	for _, b := range obs.Motion.Boxes {
		if obs.Motion.Active && b.H >= i.rule.cfg.MinHeight && (i.place.zone == nil || i.place.zone.Overlaps(b)) {
			v.met = true
		}
	}
	return v, true
}

// entry is zone_entry: an object stands in the zone.
func (i *incident) entry(obs detect.Observation) verdict {
	v := verdict{detected: true}
	for _, t := range obs.Tracks {
		if t.Seen.Equal(obs.At) && i.rule.wants(t) && i.place.zone.Contains(foot(t.Box)) {
			v.met = true
			v.found = append(v.found, found(t))
		}
	}
	return v
}

func found(t detect.Track) detect.Detection {
	return detect.Detection{Class: t.Class, Score: t.Score, Box: t.Box}
}

// foot is where an object stands, inside the picture: what is cut off by its
// lower edge stands on that edge.
func foot(b detect.Box) detect.Point {
	f := b.Foot()
	return detect.Point{X: min(max(f.X, 0), 1), Y: min(max(f.Y, 0), 1)}
}

// footing is where a track last stood clearly on one side of a line.
type footing struct {
	side int // -1 left, +1 right, 0 not yet clear
	at   detect.Point
	good int     // instants in which the rule wanted it
	best float64 // its best score in them
}

// Within this distance of a line an object is on neither side, so that the
// jitter of its box is no crossing: a share of the picture, or of its height.
const (
	lineBand       = 0.01
	lineBandHeight = 0.05
)

// crossing is line_cross: an object's foot went from clearly one side of the line
// to clearly the other, through the line itself and not around its ends.
func (i *incident) crossing(obs detect.Observation) verdict {
	v := verdict{detected: true, sure: true}
	for _, t := range obs.Tracks {
		if !t.Seen.Equal(obs.At) {
			continue
		}
		f := i.feet[t.ID]
		if f == nil {
			f = &footing{}
			i.feet[t.ID] = f
		}
		if i.rule.wants(t) {
			f.good++
			f.best = max(f.best, t.Score)
		}
		if i.crosses(f, t.Box) && f.good >= i.rule.cfg.Frames {
			v.met = true
			t.Score = f.best // the line may be crossed where the object is seen badly
			v.found = append(v.found, found(t))
		}
	}
	forgetLost(i.feet, obs.Tracks)
	return v
}

// forgetLost drops what is kept of tracks that live no more.
func forgetLost[T any](kept map[uint64]T, live []detect.Track) {
	maps.DeleteFunc(kept, func(id uint64, _ T) bool {
		return !slices.ContainsFunc(live, func(t detect.Track) bool { return t.ID == id })
	})
}

// crosses moves f to where b stands and says whether it crossed in the rule's
// direction.
func (i *incident) crosses(f *footing, b detect.Box) bool {
	p := foot(b)
	side := sideOf(i.place.a, i.place.b, p, max(lineBand, lineBandHeight*b.H))
	if side == 0 {
		return false
	}
	was := *f
	f.side, f.at = side, p
	if was.side == 0 || was.side == side || !meet(was.at, p, i.place.a, i.place.b) {
		return false
	}
	switch i.rule.cfg.Direction {
	case "left":
		return side < 0
	case "right":
		return side > 0
	}
	return true
}

// turn is positive when c lies to the right of the way from a to b; y grows
// downwards.
func turn(a, b, c detect.Point) float64 {
	return (b.X-a.X)*(c.Y-a.Y) - (b.Y-a.Y)*(c.X-a.X)
}

// sideOf returns on which side of the line p is, or 0 within band of it.
func sideOf(a, b, p detect.Point, band float64) int {
	d := turn(a, b, p) / math.Hypot(b.X-a.X, b.Y-a.Y)
	switch {
	case d > band:
		return 1
	case d < -band:
		return -1
	}
	return 0
}

// meet says whether the stretches p-q and a-b have a point in common.
func meet(p, q, a, b detect.Point) bool {
	return turn(a, b, p)*turn(a, b, q) <= 0 && turn(p, q, a)*turn(p, q, b) <= 0
}

// stay is since when a track stands, and where.
type stay struct {
	anchor detect.Box
	since  time.Time
	good   int
}

// standsIoU is how much of its place a standing object keeps.
const standsIoU = 0.5

// dwell: an object stands in the zone for long enough. Driving through slowly, or
// to and fro, is not standing.
func (i *incident) dwell(obs detect.Observation) verdict {
	v := verdict{detected: true, sure: true}
	for _, t := range obs.Tracks {
		if !t.Seen.Equal(obs.At) {
			continue
		}
		if !i.place.zone.Contains(foot(t.Box)) {
			delete(i.stays, t.ID)
			continue
		}
		s := i.stays[t.ID]
		if s == nil || s.anchor.IoU(t.Box) < standsIoU {
			s = &stay{anchor: t.Box, since: obs.At}
			i.stays[t.ID] = s
		}
		if !i.rule.wants(t) {
			continue
		}
		if s.good++; s.good >= i.rule.cfg.Frames && obs.At.Sub(s.since) >= i.rule.after {
			v.met = true
			v.found = append(v.found, found(t))
			if v.since.IsZero() || s.since.Before(v.since) {
				v.since = s.since
			}
		}
	}
	forgetLost(i.stays, obs.Tracks)
	return v
}
