package main

import (
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/detect/alert"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// reportEvery is how often the edge repeats what it is and how its cameras are,
// so that a center that lost its last minutes learns them again. Each wait is
// between three and five quarters of it, so that edges that came back together do
// not report together for ever.
const reportEvery = 30 * time.Second

// stateEvery is how often the changed state of one camera is reported: of one
// that comes and goes the center hears the latest.
const stateEvery = 5 * time.Second

// putsAtOnce bounds how many states wait for one sync of the disk.
const putsAtOnce = 32

// news is what was last said of a camera and what is still to be said.
type news struct {
	said time.Time
	next *api.CameraReport // nil when there is nothing
}

// nextReport is when the next report is due.
func nextReport() time.Duration { return reportEvery*3/4 + rand.N(reportEvery/2) }

// due takes the states that waited long enough to be reported.
func (e *edge) due(now time.Time) []*api.CameraReport {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []*api.CameraReport
	for _, n := range e.news {
		if n.next != nil && now.Sub(n.said) >= stateEvery {
			out = append(out, n.next)
			n.next, n.said = nil, now
		}
	}
	return out
}

// tell notes a changed state. It reports whether it is to be said at once;
// otherwise due returns it, or what comes after it.
func (e *edge) tell(r *api.CameraReport) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	n, now := e.newsOf(r.Camera.ID), time.Now()
	if now.Sub(n.said) < stateEvery {
		n.next = r
		return false
	}
	n.next, n.said = nil, now
	return true
}

// newsOf returns what there is to say of a camera; e.mu is held.
func (e *edge) newsOf(id ingest.CameraID) *news {
	n := e.news[id]
	if n == nil {
		n = &news{}
		e.news[id] = n
	}
	return n
}

// report says that this edge lives, and has the state of each camera said again
// with what is due. A state that is read before the next change is told, and sent
// after it, would undo it: so it waits where the change would take its place.
func (e *edge) report() {
	cameras := e.fleet.Cameras()
	up := &api.NodeReport{Version: version, Started: e.started, Cameras: len(cameras)}
	if e.devices != nil {
		up.GB28181 = e.devices.report()
	}
	e.put(api.Envelope{NodeUp: up})
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range cameras {
		if s, ok := e.fleet.State(c.ID); ok {
			e.newsOf(c.ID).next = &api.CameraReport{Camera: c, State: s}
		}
	}
}

// sayDue sends the states that are due. They share the syncs of the disk: of 300
// cameras one after the other it would take seconds, in which no rule hears of the
// time.
func (e *edge) sayDue(now time.Time) {
	var g errgroup.Group
	g.SetLimit(putsAtOnce)
	for _, r := range e.due(now) {
		g.Go(func() error {
			e.put(api.Envelope{Camera: r})
			return nil
		})
	}
	_ = g.Wait() // put logs and counts
}

// onState passes a changed state on to the center and to the camera's rules.
func (e *edge) onState(c ingest.Camera, s ingest.State) {
	if r := (&api.CameraReport{Camera: c, State: s}); e.tell(r) {
		e.put(api.Envelope{Camera: r})
	}
	e.send(e.site(func(w *alert.SiteWatch) []alert.Alert { return w.State(s, time.Now()) }))
	e.mu.Lock()
	p := e.posts[c.ID]
	held := e.sites.Holds(c.ID)
	e.mu.Unlock()
	if p != nil {
		e.send(p.do(func(en *alert.Engine) []alert.Alert {
			en.Hold(held)
			return en.State(s, time.Now())
		}))
	}
}

func (e *edge) send(alerts []alert.Alert) {
	e.alerts.Count(alerts)
	for i := range alerts {
		e.put(api.Envelope{Alert: &alerts[i]})
	}
}

// put writes to the outbox. A disk that takes nothing is the one case in which
// something can be lost here: it is logged and counted by the outbox.
func (e *edge) put(env api.Envelope) {
	env.V, env.Node, env.Time = api.Version, e.cfg.Node, time.Now()
	if _, err := e.outbox.Put(env); err != nil {
		e.log.Error("outbox takes nothing; free the disk under data_dir", "err", err)
	}
}
