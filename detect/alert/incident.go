package alert

import (
	"maps"
	"slices"
	"time"

	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/ingest"
)

const (
	// updateFirst is how long after a phase an update waits when nothing but time
	// has changed; it doubles up to updateLast, so that a busy zone does not send
	// an update every few seconds all day.
	updateFirst = 5 * time.Second
	updateLast  = time.Minute
	// sampleLife bounds how far apart the instants of N-of-M may lie, for each of
	// the M: the analyser looks at least every two seconds at what it follows.
	sampleLife = 3 * time.Second
	// betterScore is how much surer an update must be to bring a new picture.
	betterScore = 0.1
)

// verdict is what one instant said about one incident.
type verdict struct {
	met      bool
	since    time.Time // when what met the rule began; zero means now
	found    []detect.Detection
	detected bool // the detector looked, so that a picture can be pixelated finely
	sure     bool // one instant is enough: the evaluation has counted its own
	reason   ingest.Reason
}

// incident is one rule at one place: what was seen lately and the open alert.
type incident struct {
	rule  *rule
	place place

	recent []sample // the last M analysed instants, oldest first
	open   *Alert
	ended  time.Time // End of the latest alert
	sent   time.Time // latest phase
	pause  time.Duration
	shown  float64 // score of the picture that was asked for
	sharp  bool    // that picture could be pixelated finely

	feet  map[uint64]*footing // line_cross, by track
	stays map[uint64]*stay    // dwell, by track
}

type sample struct {
	at  time.Time
	met bool
}

// judge takes one analysed instant.
func (i *incident) judge(cam ingest.CameraID, at time.Time, v verdict) []Alert {
	if i.open == nil {
		return i.consider(cam, at, v)
	}
	if !v.met {
		return i.expire(at)
	}
	return i.extend(at, v)
}

// consider opens an alert when enough of the recent instants met the rule.
func (i *incident) consider(cam ingest.CameraID, at time.Time, v verdict) []Alert {
	if !i.ended.IsZero() && at.Before(i.ended.Add(i.rule.cooldown)) {
		return nil
	}
	need, of := i.rule.cfg.Frames, i.rule.cfg.Of
	if v.sure {
		need, of = 1, 1
	}
	i.recent = append(i.recent, sample{at, v.met})
	i.recent = i.recent[max(0, len(i.recent)-of):]
	if !v.met {
		return nil
	}
	start, met := at, 0
	for k := len(i.recent) - 1; k >= 0; k-- {
		s := i.recent[k]
		if s.met && at.Sub(s.at) <= time.Duration(of)*sampleLife {
			start, met = s.at, met+1
		}
	}
	if met < need {
		return nil
	}
	if !v.since.IsZero() {
		start = v.since
	}
	// What closed an alert and goes on is a new incident and begins now: the same
	// start would be the same identity.
	if !i.ended.IsZero() && !start.After(i.ended) {
		start = at
	}
	c := i.rule.cfg
	i.open = &Alert{
		ID: NewID(cam, c.ID, i.place.id, start), Camera: cam, Rule: c.ID, RuleName: c.Name, Kind: i.rule.kind,
		Zone: i.place.id, ZoneName: i.place.name, Category: c.Category, Level: c.Level, Start: start, Last: at,
	}
	i.recent, i.pause, i.shown, i.sharp = nil, updateFirst, 0, false
	i.take(at, v)
	return i.emit(Opened, at, true, v)
}

// extend keeps the alert open and sends an update when there is news.
func (i *incident) extend(at time.Time, v verdict) []Alert {
	news := i.take(at, v)
	better := v.score() >= i.shown+betterScore
	sharper := v.detected && !i.sharp && i.rule.kind != CameraFault
	late := i.rule.kind != CameraFault && at.Sub(i.sent) >= i.pause
	if !news && !sharper && !late {
		return nil
	}
	if late {
		i.pause = min(2*i.pause, updateLast)
	}
	return i.emit(Updated, at, better || sharper, v)
}

// take puts what was seen into the open alert and says whether it is news: more
// objects of a class than ever before, or another reason.
func (i *incident) take(at time.Time, v verdict) (news bool) {
	a := i.open
	if at.After(a.Last) {
		a.Last = at
	}
	a.Score = max(a.Score, v.score())
	if a.Reason != v.reason {
		a.Reason, news = v.reason, true
	}
	for class, n := range count(v.found) {
		if a.Classes == nil {
			a.Classes = make(map[detect.Class]int)
		}
		if n > a.Classes[class] {
			a.Classes[class], news = n, true
		}
	}
	return news
}

func count(found []detect.Detection) map[detect.Class]int {
	n := make(map[detect.Class]int)
	for _, d := range found {
		n[d.Class]++
	}
	return n
}

func (v verdict) score() float64 {
	best := 0.0
	for _, d := range v.found {
		best = max(best, d.Score)
	}
	return best
}

// expire closes the alert when its rule was not met for long enough.
func (i *incident) expire(at time.Time) []Alert {
	if i.open == nil || at.Sub(i.open.Last) < i.rule.closeAfter {
		return nil
	}
	return i.close(at)
}

// close closes the alert, whatever it shows.
func (i *incident) close(at time.Time) []Alert {
	if i.open == nil {
		return nil
	}
	if at.Before(i.open.Last) {
		at = i.open.Last
	}
	i.open.End = &at
	out := i.emit(Closed, at, false, verdict{})
	i.open, i.ended, i.recent = nil, at, nil
	return out
}

// emit makes a phase of the open alert. What leaves shares nothing with what
// goes on changing.
func (i *incident) emit(p Phase, at time.Time, picture bool, v verdict) []Alert {
	a := i.open
	a.Phase, a.Received = p, at
	i.sent = at
	a.PictureDue = picture && i.rule.kind != CameraFault
	if a.PictureDue {
		// The boxes belong to the picture, so they change with it and only then.
		a.Boxes = v.found
		i.shown, i.sharp = max(i.shown, v.score()), i.sharp || v.detected
	}
	out := *a
	out.Classes, out.Boxes = maps.Clone(a.Classes), slices.Clone(a.Boxes)
	return []Alert{out}
}
