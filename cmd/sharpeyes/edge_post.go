package main

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/detect/alert"
	"github.com/sharpeyes/sharpeyes/detect/ffmpeg"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// post is the rule engine of one camera. Observations come from its analyser,
// states from its worker, ticks from the edge: the lock puts them in order.
type post struct {
	analyser *detect.Analyser
	wake     func(detect.WakeCause) // the analyser's
	mu       sync.Mutex
	engine   *alert.Engine
}

func (p *post) do(f func(*alert.Engine) []alert.Alert) []alert.Alert {
	p.mu.Lock()
	defer p.mu.Unlock()
	return f(p.engine)
}

func (e *edge) snapshot() map[ingest.CameraID]*post {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.posts)
}

// analyse is the second goroutine of a camera: it looks at what the first one
// queues until the queue closes.
func (e *edge) analyse(ctx context.Context, cam configs.Camera, q *ingest.Queue) {
	id := ingest.CameraID(cam.ID)
	engine, err := alert.NewEngine(cam, e.zone)
	if err != nil {
		e.log.Error("rules", "camera", cam.ID, "err", err)
		return
	}
	motion, free, err := newMotion(cam)
	if err != nil {
		e.log.Error("motion", "camera", cam.ID, "err", err)
		return
	}
	defer free()
	p := &post{engine: engine}
	a, err := detect.NewAnalyser(detect.AnalyserOptions{
		Camera: cam, NewDecoder: ffmpeg.NewDecoder, Keys: e.keys, Budget: e.budget, Motion: motion, Detector: e.shared,
		Main:     e.mains.begin(id),
		Emit:     func(o detect.Observation) { e.observe(ctx, p, cam, o) },
		Picture:  func(v ingest.Value, r ingest.Reason) { e.mains.picture(id, v, r) },
		AskKey:   e.askKey(cam),
		Analysis: func(w ingest.Analysis) { e.fleet.SetAnalysis(id, w) },
		Metrics:  e.metrics, Log: e.log,
	})
	if err != nil {
		e.log.Error("analysis", "camera", cam.ID, "err", err)
		return
	}
	p.analyser, p.wake = a, a.Wake
	e.mu.Lock()
	e.posts[id] = p
	e.mu.Unlock()
	// What the fleet said of the camera before this post stood.
	if s, ok := e.fleet.State(id); ok {
		e.send(p.do(func(en *alert.Engine) []alert.Alert { return en.State(s, time.Now()) }))
	}
	a.Run(ctx, q)
	e.mu.Lock()
	delete(e.posts, id)
	e.mu.Unlock()
	e.send(p.do(func(en *alert.Engine) []alert.Alert { return en.Stop(time.Now()) }))
}

// wake decodes all pictures of a camera for at least ten seconds: somebody looks at
// it (detect.WakeOperator), or the device raised an alarm of its own
// (detect.WakeDevice). It may be called from any goroutine and does not block. It
// says whether the camera is one of this edge and analysed; one that is not decoded
// at all for want of a legal basis stays so.
func (e *edge) wake(id ingest.CameraID, cause detect.WakeCause) bool {
	e.mu.Lock()
	p := e.posts[id]
	e.mu.Unlock()
	if p == nil {
		return false
	}
	p.wake(cause)
	return true
}

// nudge lets a camera whose device is there again connect at once. It may be
// called from any goroutine and does not block.
func (e *edge) nudge(id ingest.CameraID) {
	e.fleet.Nudge(id)
	e.mains.fleet.Nudge(id)
}

// observe lets the camera's rules judge one instant, and gives each alert that
// asks for it a picture in which nobody can be recognised, of the main stream where
// there is one.
func (e *edge) observe(ctx context.Context, p *post, cam configs.Camera, o detect.Observation) {
	alerts := p.do(func(en *alert.Engine) []alert.Alert { return en.Observe(o) })
	if slices.ContainsFunc(alerts, func(a alert.Alert) bool { return a.PictureDue }) {
		o, _ = p.analyser.Closer(ctx, o)
	}
	if err := alert.Illustrate(alerts, o, cam.Masks); err != nil {
		e.log.Error("alert goes without a picture", "err", err)
	}
	e.send(alerts)
}
