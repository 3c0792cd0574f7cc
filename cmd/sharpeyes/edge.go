package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
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
	"github.com/sharpeyes/sharpeyes/ingest/rtsp"
)

func newEdge() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "edge",
		Short: "边缘节点：拉流、检测、送出告警 / pull cameras, detect, send alerts to the center",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runParts(cmd, path, func(ctx context.Context, g *errgroup.Group, p *process) error {
				if p.cfg.Edge == nil {
					return fmt.Errorf("%s has no edge section; see configs/edge.yaml", path)
				}
				if err := p.connect(ctx, false); err != nil {
					return err
				}
				if _, err := p.startEdge(ctx, g); err != nil {
					return err
				}
				if err := p.serveEdge(ctx, g); err != nil {
					return err
				}
				p.say("边缘节点 %s 已启动，%d 路摄像机 / edge %s runs with %d cameras", p.cfg.Node, len(p.cfg.Edge.Cameras), p.cfg.Node, len(p.cfg.Edge.Cameras))
				return nil
			})
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "edge.yaml", "configuration file")
	return cmd
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
	buffers := &rtsp.Buffers{}
	open := func(c configs.Camera) (ingest.Source, error) { return openSource(c, e.devices, buffers, p.log) }
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
	e.sayDue(now)
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
