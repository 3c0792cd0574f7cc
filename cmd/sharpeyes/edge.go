package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/api/stream"
	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/detect/alert"
	"github.com/sharpeyes/sharpeyes/detect/ffmpeg"
	"github.com/sharpeyes/sharpeyes/detect/onnx"
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

func newEdge() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "edge",
		Short: "边缘节点：拉流、检测、送出告警 / pull cameras, detect, send alerts to the center",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := newProcess(cmd, path)
			if err != nil {
				return err
			}
			defer p.close()
			if p.cfg.Edge == nil {
				return fmt.Errorf("%s has no edge section; see configs/edge.yaml", path)
			}
			if err := p.connect(cmd.Context(), false); err != nil {
				return err
			}
			g, ctx := errgroup.WithContext(cmd.Context())
			if _, err := p.startEdge(ctx, g); err != nil {
				return err
			}
			if err := p.serveEdge(ctx, g); err != nil {
				return err
			}
			p.say("边缘节点 %s 已启动，%d 路摄像机 / edge %s runs with %d cameras", p.cfg.Node, len(p.cfg.Edge.Cameras), p.cfg.Node, len(p.cfg.Edge.Cameras))
			return untilStopped(g)
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "edge.yaml", "configuration file")
	return cmd
}

// untilStopped waits for all parts; being told to stop is no error.
func untilStopped(g *errgroup.Group) error {
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// serveEdge offers metrics and health of an edge that has no center beside it.
func (p *process) serveEdge(ctx context.Context, g *errgroup.Group) error {
	l, err := net.Listen("tcp", p.cfg.Edge.Listen)
	if err != nil {
		return fmt.Errorf("edge.listen: %w; another program listens there, or the address is not this machine's", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	if p.local != nil {
		mux.Handle(localPrefix, p.local)
		if err := p.local.publish(p, l.Addr()); err != nil {
			return errors.Join(err, l.Close())
		}
	}
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: stopTime, IdleTimeout: time.Minute}
	g.Go(func() error {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("edge.listen: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		return srv.Shutdown(end)
	})
	return nil
}

// edge is the running edge: the fleet of cameras, one post for each that is
// analysed, and the outbox they write to.
type edge struct {
	cfg     *configs.Config
	zone    *time.Location
	log     *slog.Logger
	outbox  *stream.Outbox
	shared  *detect.Shared
	keys    *detect.KeyPool
	budget  *detect.Budget
	metrics *detect.Metrics
	alerts  *alert.Metrics
	fleet   *ingest.Fleet
	mains   *mains    // main streams beside analysed substreams
	devices *platform // nil without edge.gb28181
	started time.Time

	mu    sync.Mutex
	posts map[ingest.CameraID]*post // analysed cameras
	known map[ingest.CameraID]bool  // cameras that the center was told of
	sites *alert.SiteWatch          // used under mu
	news  map[ingest.CameraID]*news // changed states by camera
}

// news is what was last said of a camera and what is still to be said.
type news struct {
	said time.Time
	next *api.CameraReport // nil when there is nothing
}

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

// startEdge brings up outbox, detector, devices and fleet, and lets g wait for
// them. The devices are nil without edge.gb28181.
func (p *process) startEdge(ctx context.Context, g *errgroup.Group) (*platform, error) {
	e, err := p.newEdge(ctx)
	if err != nil {
		return nil, err
	}
	// Producer and fleet stop together: what the stopping cameras still say waits
	// in the outbox and goes out at the next start, before the new life's report.
	producer := stream.NewProducer(stream.ProducerOptions{
		Outbox: e.outbox, Redis: p.redis, Stream: p.cfg.Redis.Stream, Log: p.log, Registerer: p.registry,
		Compress: p.cfg.Edge.Outbox.Compress, DailyBytes: int64(p.cfg.Edge.Outbox.DailyBytes), Location: e.zone,
	})
	g.Go(func() error { return producer.Run(ctx) })
	g.Go(func() error { return e.run(ctx) })
	g.Go(func() error {
		return stream.ListenWakes(ctx, p.redis, p.cfg.Redis.Stream, p.log, func(id api.CameraID) { e.wake(id, detect.WakeOperator) })
	})
	if e.devices != nil {
		e.devices.start(ctx, g)
		p.local = e.newLocal()
	}
	p.keepRunning()
	reload := newReloader(p, e)
	g.Go(func() error { return reload.run(ctx) })
	return e.devices, nil
}

// spareMemory lets the garbage collector come when the heap has grown by half.
// Most of it are coded pictures, which cost it nothing to go over, and every
// camera holds seconds of them.
func spareMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}

func (p *process) newEdge(ctx context.Context) (*edge, error) {
	spareMemory()
	zone, err := time.LoadLocation(p.cfg.Timezone)
	if err != nil {
		return nil, fmt.Errorf("timezone: %w", err)
	}
	e := &edge{
		cfg: p.cfg, zone: zone, log: p.log, started: time.Now(),
		posts: map[ingest.CameraID]*post{}, known: map[ingest.CameraID]bool{},
		sites: alert.NewSiteWatch(p.cfg.Edge.SiteDown), news: map[ingest.CameraID]*news{},
		metrics: detect.NewMetrics(p.registry),
		alerts:  alert.NewMetrics(p.registry),
	}
	e.outbox, err = stream.OpenOutbox(filepath.Join(p.cfg.DataDir, "outbox"), stream.OutboxOptions{
		Node: p.cfg.Node, MaxBytes: int64(p.cfg.Edge.Outbox.MaxBytes), MaxAge: p.cfg.Edge.Outbox.MaxAge.Std(),
		Log: p.log, Registerer: p.registry,
	})
	if err != nil {
		return nil, err
	}
	p.closers = append(p.closers, e.outbox)
	detector, err := newDetector(ctx, p.cfg.Edge.Detector)
	if err != nil {
		return nil, err
	}
	if detector.passed != nil {
		level := slog.LevelWarn
		if errors.Is(detector.passed, onnx.ErrNotFound) {
			level = slog.LevelInfo
		}
		p.log.Log(ctx, level, "ONNX Runtime is not used, OpenCV does its work", "reason", detector.passed)
	}
	p.log.Info("object detector", "runtime", detector.runtime, "workers", detector.Workers())
	p.closers = append(p.closers, closer(detector.Close))
	e.keys = detect.NewKeyPool(0, ffmpeg.NewDecoder)
	p.closers = append(p.closers, e.keys)
	e.budget = detect.NewBudget(p.cfg.Edge.Budget, runtime.GOMAXPROCS(0), p.registry)
	e.shared = detect.NewShared(detector, p.cfg.Edge.Detector, p.registry)
	if e.devices, err = p.newPlatform(e); err != nil {
		return nil, err
	}
	open := func(c configs.Camera) (ingest.Source, error) { return openSource(c, e.devices, p.log) }
	e.fleet = ingest.NewFleet(ingest.FleetOptions{
		Open: open, Consume: e.analyse, OnState: e.onState, Registerer: p.registry, Log: p.log,
	})
	e.mains = newMains(open, e.keys, p.registry, p.log, e.fleet.SetPicture)
	return e, nil
}

// run keeps the fleet on the configured cameras until ctx is done.
func (e *edge) run(ctx context.Context) error {
	e.apply(e.cfg)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	report := time.NewTimer(nextReport())
	defer report.Stop()
	e.report()
	for {
		select {
		case <-ctx.Done():
			e.fleet.Close()
			e.mains.fleet.Close()
			e.send(e.site(func(w *alert.SiteWatch) []alert.Alert { return w.Stop(time.Now()) }))
			return nil
		case now := <-tick.C:
			e.tick(now)
		case <-report.C:
			e.report()
			report.Reset(nextReport())
		}
	}
}

// nextReport is when the next report is due.
func nextReport() time.Duration { return reportEvery*3/4 + rand.N(reportEvery/2) }

// tick lets a second pass: for the sites first, which say whose faults are held
// back, then for the cameras.
func (e *edge) tick(now time.Time) {
	e.send(e.site(func(w *alert.SiteWatch) []alert.Alert { return w.Tick(now) }))
	for id, p := range e.snapshot() {
		held := e.holds(id)
		e.send(p.do(func(en *alert.Engine) []alert.Alert {
			en.Hold(held)
			return en.Tick(now)
		}))
	}
	if e.devices != nil {
		e.send(e.devices.alarms.tick(now))
	}
	for _, r := range e.due(now) {
		e.put(api.Envelope{Camera: r})
	}
}

// site lets f use the watch over the sites.
func (e *edge) site(f func(*alert.SiteWatch) []alert.Alert) []alert.Alert {
	e.mu.Lock()
	defer e.mu.Unlock()
	return f(e.sites)
}

func (e *edge) holds(id ingest.CameraID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sites.Holds(id)
}

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
	id, now := r.Camera.ID, time.Now()
	n := e.news[id]
	if n == nil {
		n = &news{}
		e.news[id] = n
	}
	if now.Sub(n.said) < stateEvery {
		n.next = r
		return false
	}
	n.next, n.said = nil, now
	return true
}

// apply hands the configured cameras to the fleet and tells the center of those
// that are gone.
func (e *edge) apply(cfg *configs.Config) {
	now := map[ingest.CameraID]bool{}
	for _, c := range cfg.Edge.Cameras {
		now[ingest.CameraID(c.ID)] = true
	}
	e.mains.prepare(cfg.Edge.Cameras)
	if e.devices != nil {
		e.devices.know(cfg.Edge.Cameras)
	}
	e.send(e.site(func(w *alert.SiteWatch) []alert.Alert { return w.Cameras(cfg.Edge.Cameras, time.Now()) }))
	started, stopped, changed := e.fleet.Apply(cfg.Edge.Cameras)
	if e.devices != nil {
		e.devices.tell()
	}
	e.mains.apply(cfg.Edge.Cameras)
	e.mu.Lock()
	gone := e.known
	e.known = now
	for id := range gone {
		if !now[id] {
			delete(e.news, id)
		}
	}
	e.mu.Unlock()
	for id := range gone {
		if !now[id] {
			e.put(api.Envelope{Camera: &api.CameraReport{Camera: ingest.Camera{ID: id}, State: ingest.State{Camera: id}, Removed: true}})
			e.metrics.Forget(id)
			e.shared.Forget(id)
			e.alerts.Forget(id)
		}
	}
	e.log.Info("cameras applied", "started", len(started), "stopped", len(stopped), "changed", len(changed))
}

// report says that this edge lives, and repeats the state of each camera.
func (e *edge) report() {
	states := e.fleet.States()
	up := &api.NodeReport{Version: version, Started: e.started, Cameras: len(states)}
	if e.devices != nil {
		up.GB28181 = e.devices.report()
	}
	e.put(api.Envelope{NodeUp: up})
	records := map[ingest.CameraID]ingest.Camera{}
	for _, c := range e.fleet.Cameras() {
		records[c.ID] = c
	}
	for _, s := range states {
		e.put(api.Envelope{Camera: &api.CameraReport{Camera: records[s.Camera], State: s}})
	}
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

func (e *edge) snapshot() map[ingest.CameraID]*post {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.posts)
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
