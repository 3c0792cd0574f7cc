package ingest

import (
	"cmp"
	"context"
	"hash/maphash"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sharpeyes/sharpeyes/configs"
)

// Defaults for cameras whose settings say nothing.
const (
	defaultTimeout = 10 * time.Second
	defaultFrozen  = 30 * time.Second
)

// stopWithin bounds how long Apply and Close wait for a camera's goroutines.
const stopWithin = 4500 * time.Millisecond

// FleetOptions is what a Fleet needs from outside.
type FleetOptions struct {
	// Open makes the source of a camera, for one Run. It is called from the
	// camera's goroutine before every attempt and must not block for long.
	// Required.
	Open func(configs.Camera) (Source, error)
	// Consume takes a camera's access units from q until ctx is done. It has a
	// goroutine of its own per camera. Default: they are taken and forgotten.
	Consume func(ctx context.Context, cam configs.Camera, q *Queue)
	// OnState hears every change of a fact, in order and one call at a time per
	// camera, and the first state of a camera when it starts. It may call
	// States, but not Apply or Close, and should not block: while it does, the
	// camera's next states wait (64 at most, then steps are left out).
	// Default: nobody hears.
	OnState func(Camera, State)
	// Registerer takes the metrics of all cameras. Default: none are exported.
	Registerer prometheus.Registerer
	// Log is told of sessions that come and go. Default: nobody is told.
	Log *slog.Logger
	// QueueUnits and QueueBytes bound each camera's queue. Default: 128, 16 MiB.
	QueueUnits, QueueBytes int
}

// Fleet keeps the sources of all cameras open and knows how each of them is. It
// has two goroutines per connected camera: the worker, which runs the source,
// and the analyser, which is Consume. All methods may be called from any
// goroutine.
type Fleet struct {
	opt FleetOptions

	apply sync.Mutex // one Apply or Close at a time

	mu      sync.Mutex
	workers map[CameraID]*worker
	links   map[string]*uplink
	closed  bool
}

// NewFleet makes a fleet without cameras. It panics if opt.Registerer already
// holds the metrics of another fleet, which is a mistake of wiring.
func NewFleet(opt FleetOptions) *Fleet {
	if opt.Consume == nil {
		opt.Consume = forget
	}
	if opt.OnState == nil {
		opt.OnState = func(Camera, State) {}
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	f := &Fleet{opt: opt, workers: make(map[CameraID]*worker), links: make(map[string]*uplink)}
	if opt.Registerer != nil {
		opt.Registerer.MustRegister(newCollector(f))
	}
	return f
}

func forget(ctx context.Context, _ configs.Camera, q *Queue) {
	for {
		if _, err := q.Pop(ctx); err != nil {
			return
		}
	}
}

// Apply makes cams the cameras of the fleet: it starts what is new, stops what
// is gone and restarts what is configured differently in any way, its secret
// included. The others are not touched: they do not lose an access unit. Cams
// carry effective settings; a disabled camera and one whose legal basis is A33
// are known but never connected. It waits until what it stops has stopped, at
// most about 5 s. After Close it does nothing.
func (f *Fleet) Apply(cams []configs.Camera) (started, stopped, changed []CameraID) {
	f.apply.Lock()
	defer f.apply.Unlock()
	if f.isClosed() {
		return nil, nil, nil
	}
	want := make(map[CameraID]configs.Camera, len(cams))
	for _, c := range cams {
		want[CameraID(c.ID)] = c
	}
	var out []*worker
	for _, w := range f.snapshot() {
		c, stays := want[w.record.ID]
		switch {
		case !stays:
			stopped = append(stopped, w.record.ID)
			out = append(out, w)
		case !reflect.DeepEqual(c, w.cam):
			changed = append(changed, w.record.ID)
			out = append(out, w)
		default:
			delete(want, w.record.ID)
		}
	}
	f.stop(out)
	for _, id := range stopped {
		delete(want, id)
	}
	for _, c := range cams { // in the order of the file
		if c, missing := want[CameraID(c.ID)]; missing {
			delete(want, CameraID(c.ID))
			f.start(c)
			if !slices.Contains(changed, CameraID(c.ID)) {
				started = append(started, CameraID(c.ID))
			}
		}
	}
	return started, stopped, changed
}

func (f *Fleet) isClosed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed
}

// start makes a camera's worker and lets it run.
func (f *Fleet) start(c configs.Camera) {
	record := FromConfig(c)
	timeout := cmp.Or(time.Duration(c.Settings.Timeout), defaultTimeout)
	frozen := cmp.Or(time.Duration(c.Settings.FrozenFor), defaultFrozen)
	w := &worker{
		cam:      c,
		record:   record,
		open:     f.opt.Open,
		log:      f.opt.Log.With("camera", c.ID),
		queue:    NewQueue(f.opt.QueueUnits, f.opt.QueueBytes),
		counters: newCounters(),
		seed:     maphash.MakeSeed(),
		nudged:   make(chan struct{}, 1),
		states: &states{
			facts:  newFacts(record.ID, timeout, frozen, time.Now()),
			listen: func(s State) { f.opt.OnState(record, s) },
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	f.mu.Lock()
	w.link = f.holdLink(UplinkOf(c))
	f.workers[record.ID] = w
	f.mu.Unlock()

	if reason, hint := off(c); reason != ReasonNone {
		w.states.change(func(s *facts, at time.Time) bool { return s.off(reason, hint, at) })
		return
	}
	w.states.change(func(*facts, time.Time) bool { return true })
	stopWatch := every(w.watch)
	w.done.Go(func() {
		defer stopWatch()
		w.run(ctx)
	})
	w.done.Go(func() { f.opt.Consume(ctx, c, w.queue) })
}

// off says why a camera must not be connected.
func off(c configs.Camera) (Reason, string) {
	switch {
	case c.LegalBasis == "A33":
		return ReasonForbidden, "a private camera (Order 799, article 33) is never connected"
	case c.Disabled:
		return ReasonStopped, "the camera is disabled in the configuration"
	}
	return ReasonNone, ""
}

// holdLink returns the budget of an uplink and counts its user; f.mu is held.
func (f *Fleet) holdLink(name string) *uplink {
	l := f.links[name]
	if l == nil {
		l = newUplink()
		f.links[name] = l
	}
	l.users++
	return l
}

// stop ends workers, all at once, and forgets them.
func (f *Fleet) stop(ws []*worker) {
	if len(ws) == 0 {
		return
	}
	for _, w := range ws {
		w.cancel()
		w.queue.Close()
	}
	late := time.NewTimer(stopWithin)
	defer late.Stop()
	for _, w := range ws {
		still := make(chan struct{})
		go func() { // ends with the worker; a source that ignores its ctx keeps it, and is named below
			w.done.Wait()
			close(still)
		}()
		select {
		case <-still:
		case <-late.C:
			w.log.Error("camera does not stop", "waited", stopWithin)
			late.Reset(0)
		}
		f.mu.Lock()
		delete(f.workers, w.record.ID)
		name := UplinkOf(w.cam)
		if w.link.users--; w.link.users == 0 {
			delete(f.links, name)
		}
		f.mu.Unlock()
		w.states.change(func(s *facts, at time.Time) bool { return s.off(ReasonStopped, "", at) })
	}
}

// snapshot returns the workers by camera ID.
func (f *Fleet) snapshot() []*worker {
	f.mu.Lock()
	defer f.mu.Unlock()
	ws := make([]*worker, 0, len(f.workers))
	for _, w := range f.workers {
		ws = append(ws, w)
	}
	slices.SortFunc(ws, func(a, b *worker) int { return cmp.Compare(a.record.ID, b.record.ID) })
	return ws
}

// States returns the state of every camera, in the order of their IDs.
func (f *Fleet) States() []State {
	var all []State
	for _, w := range f.snapshot() {
		all = append(all, w.states.get())
	}
	return all
}

// State returns the state of a camera, and whether there is such a camera.
func (f *Fleet) State(id CameraID) (State, bool) {
	f.mu.Lock()
	w := f.workers[id]
	f.mu.Unlock()
	if w == nil {
		return State{}, false
	}
	return w.states.get(), true
}

// Cameras returns the record of every camera, in the order of their IDs.
func (f *Fleet) Cameras() []Camera {
	var all []Camera
	for _, w := range f.snapshot() {
		all = append(all, w.record)
	}
	return all
}

// SetPicture takes the analyser's verdict on a camera's picture: Yes when it
// decodes to a picture that lives, No with the reason, or Unknown. It holds
// until the next one; while the frames fail, and until the next key frame, the
// picture is Unknown all the same. Saying the same again is cheap. Unknown
// cameras are ignored.
func (f *Fleet) SetPicture(id CameraID, v Value, r Reason) {
	f.mu.Lock()
	w := f.workers[id]
	f.mu.Unlock()
	if w == nil {
		return
	}
	w.states.change(func(s *facts, at time.Time) bool { return s.picture(v, r, at) })
}

// SetAnalysis takes how closely a camera was watched lately. OnState hears of it
// when the camera becomes degraded, or is no longer. Unknown cameras are ignored.
func (f *Fleet) SetAnalysis(id CameraID, a Analysis) {
	f.mu.Lock()
	w := f.workers[id]
	f.mu.Unlock()
	if w != nil {
		w.states.change(func(s *facts, _ time.Time) bool { return s.analysis(a) })
	}
}

// SetRegistered takes what the registrar says of the camera's device
// (GB/T 28181): Yes, No with the reason, or Unknown. It holds until the next one
// or until the camera is applied anew. Unknown cameras are ignored.
func (f *Fleet) SetRegistered(id CameraID, v Value, r Reason) {
	f.fact(id, func(s *State) *Fact { return &s.Registered }, v, r)
}

// Nudge says that what a camera waited for may be there again, its device for
// one: the next attempt comes at once and not after the back-off, and failures
// count from the beginning. The budget of the uplink still holds. While
// a source runs, it is for the attempt that follows. Unknown cameras are ignored.
// It does not block.
func (f *Fleet) Nudge(id CameraID) {
	f.mu.Lock()
	w := f.workers[id]
	f.mu.Unlock()
	if w != nil {
		w.nudge()
	}
}

// SetRecording takes what the device says of its own recording, as SetRegistered
// does.
func (f *Fleet) SetRecording(id CameraID, v Value, r Reason) {
	f.fact(id, func(s *State) *Fact { return &s.Recording }, v, r)
}

// fact changes one fact that nobody but a registrar knows.
func (f *Fleet) fact(id CameraID, which func(*State) *Fact, v Value, r Reason) {
	f.mu.Lock()
	w := f.workers[id]
	f.mu.Unlock()
	if w != nil {
		w.states.change(func(s *facts, at time.Time) bool { return set(which(&s.state), v, r, "", at) })
	}
}

// Close stops all cameras and waits for them, at most 5 s. The fleet cannot be
// used again.
func (f *Fleet) Close() {
	f.apply.Lock()
	defer f.apply.Unlock()
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.stop(f.snapshot())
	if f.opt.Registerer != nil {
		f.opt.Registerer.Unregister(newCollector(f))
	}
}
