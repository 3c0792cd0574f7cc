package gb28181

import (
	"context"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sharpeyes/sharpeyes/gb28181/manscdp"
)

// field is what the platform keeps of what devices say in bodies.
type field struct {
	bodies       *bodyMetrics
	profiles     *profiles
	shelves      *shelves
	attendance   *attendance
	cameras      cameras
	movements    movements
	repeated     repeats
	alarmReplies atomic.Int32
}

// takeBodies makes the field and registers its handlers; New calls it.
func (p *Platform) takeBodies() error {
	if err := checkQuirks(p.opt.Config.Devices); err != nil {
		return err
	}
	p.bodies, p.profiles, p.shelves = newBodyMetrics(), newProfiles(), newShelves(p.opt.Dir)
	p.attendance = newAttendance(p.now, p.attend)
	p.handle(manscdp.Notify, manscdp.CmdCatalog, p.onCatalogueNotify)
	p.handle(manscdp.Notify, manscdp.CmdAlarm, p.onAlarm)
	p.handle(manscdp.Notify, manscdp.CmdMobilePosition, p.onPosition)
	p.onRegister(p.attendance.arrived)
	return nil
}

// keepCatalogues writes what changed until ctx is done; Run owns it.
func (p *Platform) keepCatalogues(ctx context.Context) {
	p.shelves.run(ctx, func(err error) {
		p.log.Error("catalogues cannot be kept: after a restart channels are unknown until their devices answer", "err", err)
	})
}

// bodyMetrics are the figures of what devices say in bodies: catalogues,
// notifications, alarms. No label comes from a device.
type bodyMetrics struct {
	catalogues       *prometheus.CounterVec
	catalogueSeconds prometheus.Histogram
	notified         *prometheus.CounterVec
	subscriptions    *prometheus.CounterVec
	alarms           *prometheus.CounterVec
	controls         *prometheus.CounterVec
	positions        prometheus.Counter
}

func newBodyMetrics() *bodyMetrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricPrefix + name, Help: help}, labels)
	}
	return &bodyMetrics{
		catalogues: counter("catalogues_total", "Catalogue queries, by what came of them.", "result"),
		catalogueSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: metricPrefix + "catalogue_seconds", Help: "Time from a catalogue query to its last part.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 120},
		}),
		notified:      counter("catalogue_events_total", "Changed channels that devices notified, by event.", "event"),
		subscriptions: counter("subscriptions_total", "SUBSCRIBE requests to devices, by what was asked for and what came of it.", "event", "result"),
		alarms:        counter("alarms_total", "Alarms of devices, by what became of them.", "result"),
		controls:      counter("controls_total", "Commands to devices, by command and result.", "command", "result"),
		positions: prometheus.NewCounter(prometheus.CounterOpts{
			Name: metricPrefix + "positions_refused_total", Help: "Position reports of devices that were dropped unread: nobody's whereabouts are followed.",
		}),
	}
}

func (f *field) collectors() []prometheus.Collector {
	b := f.bodies
	return []prometheus.Collector{f.profiles.hits, b.catalogues, b.catalogueSeconds, b.notified, b.subscriptions, b.alarms, b.controls, b.positions}
}
