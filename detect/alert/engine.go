package alert

import (
	"fmt"
	"time"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// Engine holds the rules of one camera and what they saw. It is used by one
// goroutine at a time and blocks on nothing.
type Engine struct {
	camera ingest.CameraID
	zone   *time.Location
	rules  []*rule
	fault  faultWatch
	held   bool
}

// NewEngine reads the rules of cam; schedules are in loc (nil means UTC). The
// error names the rule and what to write. When the legal basis of the camera
// does not allow analysis only its camera_fault rules are kept.
func NewEngine(cam configs.Camera, loc *time.Location) (*Engine, error) {
	if loc == nil {
		loc = time.UTC
	}
	e := &Engine{camera: ingest.CameraID(cam.ID), zone: loc}
	for _, c := range cam.Rules {
		r, err := newRule(cam, c)
		if err != nil {
			return nil, fmt.Errorf("camera %s: rule %s: %w", cam.ID, c.ID, err)
		}
		if r.kind == CameraFault || detect.Lawful(cam.LegalBasis) {
			e.rules = append(e.rules, r)
		}
	}
	return e, nil
}

// Observe takes one instant and returns the phases that it caused, in the order
// of the rules. The alerts are the caller's to keep. A skipped instant counts
// neither for nor against a rule; only time goes on.
func (e *Engine) Observe(obs detect.Observation) []Alert {
	var out []Alert
	for _, r := range e.rules {
		active := r.schedule.Active(obs.At.In(e.zone))
		for _, i := range r.incidents {
			v, known := i.evaluate(obs)
			switch {
			case r.kind == CameraFault:
			case !known:
				out = append(out, i.expire(obs.At)...)
			default:
				v.met = v.met && active
				out = append(out, i.judge(e.camera, obs.At, v)...)
			}
		}
	}
	return out
}

// State takes a changed state of the camera, for the camera_fault rules.
func (e *Engine) State(s ingest.State, at time.Time) []Alert {
	e.fault.take(s, at)
	return e.faults(at)
}

// Hold says whether no camera_fault is to be opened for now, because the camera's
// whole site is down (SiteWatch). One that is open stays open. What lasts beyond
// the hold opens at the next Tick.
func (e *Engine) Hold(held bool) { e.held = held }

// Tick lets time pass: it opens a camera_fault that lasted long enough and
// closes what was not met for long enough. Call it about once a second.
func (e *Engine) Tick(at time.Time) []Alert {
	var out []Alert
	for _, r := range e.rules {
		if r.kind == CameraFault {
			continue
		}
		for _, i := range r.incidents {
			out = append(out, i.expire(at)...)
		}
	}
	return append(out, e.faults(at)...)
}

// Stop closes everything that is open: the camera is no longer watched.
func (e *Engine) Stop(at time.Time) []Alert {
	var out []Alert
	for _, r := range e.rules {
		for _, i := range r.incidents {
			out = append(out, i.close(at)...)
		}
	}
	return out
}

func (e *Engine) faults(at time.Time) []Alert {
	var out []Alert
	for _, r := range e.rules {
		if r.kind != CameraFault {
			continue
		}
		active := r.schedule.Active(at.In(e.zone))
		for _, i := range r.incidents {
			if e.held && i.open == nil {
				continue
			}
			after := r.after
			if i.open != nil {
				after = 0 // a camera that comes and goes is one fault, not many
			}
			v := e.fault.verdict(at, after)
			v.met = v.met && active
			out = append(out, i.judge(e.camera, at, v)...)
		}
	}
	return out
}
