package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/sharpeyes/sharpeyes/configs"
)

// reloader takes the configuration file anew on SIGHUP and whenever it changes.
// A bad file changes nothing: it is logged with every problem and raises
// sharpeyes_config_last_reload_successful to 0.
type reloader struct {
	process *process
	edge    *edge
	running *configs.Config
	good    prometheus.Gauge
	total   *prometheus.CounterVec
}

func newReloader(p *process, e *edge) *reloader {
	r := &reloader{
		process: p, edge: e, running: p.cfg,
		good: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sharpeyes_config_last_reload_successful", Help: "1 when the configuration file as it stands was taken, 0 when it was refused.",
		}),
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sharpeyes_config_reloads_total", Help: "Reloads of the configuration file by result.",
		}, []string{"result"}),
	}
	p.registry.MustRegister(r.good, r.total)
	r.good.Set(1)
	r.total.WithLabelValues("ok")
	r.total.WithLabelValues("refused")
	return r
}

// run waits for reasons to reload until ctx is done.
func (r *reloader) run(ctx context.Context) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	changed := make(chan struct{}, 1)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return configs.Watch(ctx, r.process.path, func() {
			select {
			case changed <- struct{}{}:
			default: // one is waiting already, and it will read the newest file
			}
		})
	})
	g.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-hup:
				r.reload()
			case <-changed:
				r.reload()
			}
		}
	})
	return g.Wait()
}

func (r *reloader) reload() {
	log := r.process.log
	next, _, err := loadConfig(r.process.path)
	if err == nil && next.Edge == nil {
		err = errNoEdge
	}
	if err != nil {
		r.good.Set(0)
		r.total.WithLabelValues("refused").Inc()
		log.Error("configuration refused, the running one stays", "file", r.process.path, "problems", err.Error())
		return
	}
	plan := configs.Diff(r.running, next)
	r.edge.apply(next)
	if d := r.edge.devices; d != nil && next.Edge.GB28181 != nil {
		if err := d.SetDevices(next.Edge.GB28181.Devices); err != nil {
			log.Error("the list of devices stays as it is", "err", err)
		}
	}
	r.running = next
	r.process.keepRunning()
	r.good.Set(1)
	r.total.WithLabelValues("ok").Inc()
	log.Info("configuration taken", "file", r.process.path, "start", len(plan.Start), "stop", len(plan.Stop), "change", len(plan.Change))
	if len(plan.Settings) > 0 {
		log.Warn("these settings take effect at the next start", "settings", plan.Settings)
	}
}
