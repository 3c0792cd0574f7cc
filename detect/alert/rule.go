package alert

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/detect"
)

// What a rule does when its configuration says nothing.
const (
	defaultMinScore   = 0.4
	defaultFrames     = 2
	defaultOf         = 3
	defaultDwell      = 3 * time.Minute
	defaultFault      = 30 * time.Second
	defaultCloseAfter = 10 * time.Second
	defaultLevel      = 3
)

// rule is one configured rule, read and checked, with an incident for each place
// it watches.
type rule struct {
	cfg        configs.Rule
	kind       Kind
	schedule   configs.Schedule
	classes    []detect.Class
	after      time.Duration
	closeAfter time.Duration
	cooldown   time.Duration
	incidents  []*incident
}

// place is what a rule watches: a zone, a line, or with neither the whole picture.
type place struct {
	id, name string
	zone     detect.Polygon
	a, b     detect.Point
}

// newRule checks cfg against the camera it belongs to.
func newRule(cam configs.Camera, cfg configs.Rule) (*rule, error) {
	r := &rule{cfg: cfg, kind: Kind(cfg.Kind)}
	r.setDefaults()
	var err error
	if r.schedule, err = configs.ParseSchedule(cfg.Schedule); err != nil {
		return nil, err
	}
	if r.classes, err = parseClasses(r.cfg.Classes); err != nil {
		return nil, err
	}
	places, err := r.places(cam)
	if err != nil {
		return nil, err
	}
	for _, p := range places {
		r.incidents = append(r.incidents, &incident{rule: r, place: p, feet: map[uint64]*footing{}, stays: map[uint64]*stay{}})
	}
	return r, nil
}

func (r *rule) setDefaults() {
	c := &r.cfg
	r.after, r.closeAfter, r.cooldown = c.After.Std(), c.CloseAfter.Std(), c.Cooldown.Std()
	if c.MinScore <= 0 {
		c.MinScore = defaultMinScore
	}
	if c.Of <= 0 {
		c.Of = max(defaultOf, c.Frames)
	}
	if c.Frames <= 0 {
		c.Frames = min(defaultFrames, c.Of)
	}
	if c.Level == 0 {
		c.Level = defaultLevel
	}
	if len(c.Classes) == 0 {
		c.Classes = []string{string(detect.Person)}
	}
	if r.closeAfter <= 0 {
		r.closeAfter = defaultCloseAfter
	}
	if r.after <= 0 {
		switch r.kind {
		case Dwell:
			r.after = defaultDwell
		case CameraFault:
			r.after = defaultFault
		}
	}
}

// parseClasses reads class and group names.
func parseClasses(names []string) ([]detect.Class, error) {
	var out []detect.Class
	for _, n := range names {
		known := false
		for _, c := range detect.Classes() {
			if string(c) == n || string(c.Group()) == n {
				out, known = append(out, c), true
			}
		}
		if !known {
			return nil, fmt.Errorf("class %q is not detected; write one of %v or a group: person, vehicle, animal", n, detect.Classes())
		}
	}
	return out, nil
}

func (r *rule) places(cam configs.Camera) ([]place, error) {
	switch r.kind {
	case CameraFault:
		return []place{{}}, nil
	case LineCross:
		return linePlaces(cam, r.cfg)
	case MotionInSchedule:
		if len(r.cfg.Zones) == 0 {
			return []place{{}}, nil
		}
		return zonePlaces(cam, r.cfg)
	case ZoneEntry, Dwell:
		return zonePlaces(cam, r.cfg)
	}
	return nil, fmt.Errorf("kind %q is none of %s, %s, %s, %s, %s", r.kind, ZoneEntry, LineCross, Dwell, MotionInSchedule, CameraFault)
}

func zonePlaces(cam configs.Camera, cfg configs.Rule) ([]place, error) {
	if len(cfg.Zones) == 0 {
		return nil, errors.New("zones: name at least one zone of the camera")
	}
	var out []place
	for _, id := range cfg.Zones {
		i := slices.IndexFunc(cam.Zones, func(z configs.Zone) bool { return z.ID == id })
		if i < 0 {
			return nil, fmt.Errorf("zone %q: the camera has no such zone", id)
		}
		if len(cam.Zones[i].Points) < 3 {
			return nil, fmt.Errorf("zone %q: a zone needs at least three points", id)
		}
		out = append(out, place{id: id, name: cam.Zones[i].Name, zone: detect.NewPolygon(cam.Zones[i].Points)})
	}
	return out, nil
}

func linePlaces(cam configs.Camera, cfg configs.Rule) ([]place, error) {
	if len(cfg.Lines) == 0 {
		return nil, errors.New("lines: name at least one line of the camera")
	}
	switch cfg.Direction {
	case "", "both", "left", "right":
	default:
		return nil, fmt.Errorf("direction %q: write both, left or right", cfg.Direction)
	}
	var out []place
	for _, id := range cfg.Lines {
		i := slices.IndexFunc(cam.Lines, func(l configs.Line) bool { return l.ID == id })
		if i < 0 {
			return nil, fmt.Errorf("line %q: the camera has no such line", id)
		}
		l := cam.Lines[i]
		if l.A == l.B {
			return nil, fmt.Errorf("line %q: its two ends are the same point", id)
		}
		out = append(out, place{id: id, name: l.Name, a: detect.Point{X: l.A[0], Y: l.A[1]}, b: detect.Point{X: l.B[0], Y: l.B[1]}})
	}
	return out, nil
}

// wants says whether a track is of the rule's classes, sure and tall enough.
func (r *rule) wants(t detect.Track) bool {
	return slices.Contains(r.classes, t.Class) && t.Score >= r.cfg.MinScore && t.Box.H >= r.cfg.MinHeight
}
