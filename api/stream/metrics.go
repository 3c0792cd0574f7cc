package stream

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// outboxMetrics is what an outbox tells. The label what is one of picture,
// state, alert; damage is one of record, picture, tail.
type outboxMetrics struct {
	reg     prometheus.Registerer
	all     []prometheus.Collector
	appends prometheus.Counter
	dropped map[string]prometheus.Counter
	damaged map[string]prometheus.Counter
	sync    prometheus.Histogram
}

func newOutboxMetrics(o *Outbox) (*outboxMetrics, error) {
	m := &outboxMetrics{reg: o.opt.Registerer, dropped: map[string]prometheus.Counter{}, damaged: map[string]prometheus.Counter{}}
	dropped := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sharpeyes_outbox_dropped_total",
		Help: "What was given up because the outbox or the disk was full, or by age: pictures first, then repeats of a state, an alert only when nothing else was left.",
	}, []string{"what"})
	for _, what := range []string{"picture", "state", "alert"} {
		m.dropped[what] = dropped.WithLabelValues(what)
	}
	damaged := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sharpeyes_outbox_damaged_total",
		Help: "Places on disk that did not hold what was written: whole records, pictures, and tails torn by a crash.",
	}, []string{"what"})
	for _, what := range []string{"record", "picture", "tail"} {
		m.damaged[what] = damaged.WithLabelValues(what)
	}
	m.appends = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "sharpeyes_outbox_appends_total", Help: "Envelopes made durable in the outbox.",
	})
	m.sync = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "sharpeyes_outbox_fsync_seconds", Help: "Time to write and sync one group of envelopes or pictures.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 3, 10),
	})
	gauge := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f)
	}
	m.all = []prometheus.Collector{
		dropped, damaged, m.appends, m.sync,
		gauge("sharpeyes_outbox_depth", "Envelopes that the center does not have yet.", func() float64 { return float64(o.Depth()) }),
		gauge("sharpeyes_outbox_bytes", "Bytes of the outbox on disk, delivered ones that wait for removal included.", func() float64 {
			o.mu.Lock()
			defer o.mu.Unlock()
			return float64(o.used())
		}),
		gauge("sharpeyes_outbox_max_bytes", "Most bytes that the outbox may take: near it pictures are given up.", func() float64 { return float64(o.opt.MaxBytes) }),
		gauge("sharpeyes_outbox_oldest_age_seconds", "Age of the oldest envelope that the center does not have yet, 0 when there is none.", func() float64 {
			if at, ok := o.oldestAt(); ok {
				return max(time.Since(at).Seconds(), 0)
			}
			return 0
		}),
	}
	if m.reg == nil {
		return m, nil
	}
	for i, c := range m.all {
		if err := m.reg.Register(c); err != nil {
			m.all = m.all[:i]
			m.unregister()
			return nil, err
		}
	}
	return m, nil
}

func (m *outboxMetrics) unregister() {
	if m.reg == nil {
		return
	}
	for _, c := range m.all {
		m.reg.Unregister(c)
	}
}

// whatOf names a kind in the dropped metric.
func whatOf(k kind) string {
	if k == kindAlert {
		return "alert"
	}
	return "state"
}

// damage counts and logs something on disk that is not what was written.
func (o *Outbox) damage(what string, args ...any) {
	o.m.damaged[what].Inc()
	o.log.Error("outbox: damage on disk", append([]any{"what", what}, args...)...)
}

// producerMetrics is what a producer tells.
type producerMetrics struct {
	produced, confirmed, resent, errors, held prometheus.Counter
	stream                                    prometheus.Gauge
}

func newProducerMetrics(reg prometheus.Registerer, f *flight, maxLen int64) *producerMetrics {
	auto := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return auto.NewCounter(prometheus.CounterOpts{Name: "sharpeyes_producer_" + name, Help: help})
	}
	auto.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "sharpeyes_producer_unconfirmed", Help: "Entries that Redis accepted and no center has committed yet.",
	}, func() float64 { return float64(f.size()) })
	auto.NewGauge(prometheus.GaugeOpts{
		Name: "sharpeyes_producer_stream_max_entries", Help: "Entries in the stream from which on alerts wait in the outbox.",
	}).Set(float64(maxLen))
	return &producerMetrics{
		stream: auto.NewGauge(prometheus.GaugeOpts{
			Name: "sharpeyes_producer_stream_entries", Help: "Entries in the stream when this edge last heard of it.",
		}),
		produced:  counter("entries_total", "Entries that Redis accepted from this edge."),
		confirmed: counter("confirmed_total", "Entries of which a center said that they are committed."),
		resent:    counter("resent_total", "Entries sent again because Redis lost them before a center had them."),
		errors:    counter("redis_errors_total", "Failed transactions with Redis; each is tried again."),
		held:      counter("held_total", "Times the producer waited because the stream was full of unread entries."),
	}
}
