package gb28181

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sharpeyes/sharpeyes/gb28181/media"
)

// firstUnits times the way from INVITE to the first access unit.
type firstUnits struct{ seconds *prometheus.HistogramVec }

func newFirstUnits() *firstUnits {
	return &firstUnits{prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: metricPrefix + "first_unit_seconds", Help: "Time from INVITE to the first access unit, by kind of session.",
		Buckets: []float64{.05, .1, .2, .3, .5, 1, 2, 5, 10, 20},
	}, []string{"kind"})}
}

func (f *firstUnits) observe(k callKind, d time.Duration) {
	f.seconds.WithLabelValues(k.String()).Observe(max(d, 0).Seconds())
}

// callCollector shows what calls counted when it is asked.
type callCollector struct{ c *calls }

// Describe implements prometheus.Collector; the rest is made when it is asked
// for.
func (k callCollector) Describe(ch chan<- *prometheus.Desc) { k.c.first.seconds.Describe(ch) }

// Collect implements prometheus.Collector.
func (k callCollector) Collect(ch chan<- prometheus.Metric) {
	c := k.c
	c.first.seconds.Collect(ch)
	var states [stateCount]int
	// A call that ends meanwhile is counted once: it is in open or in ended.
	c.mu.Lock()
	total := c.ended.clone()
	var open []*call
	for x := range c.open {
		open = append(open, x)
		if s := x.streamOf(); s != nil {
			total.add(s.Stats())
		}
	}
	r := c.receiver
	c.mu.Unlock()
	for _, x := range open {
		states[x.state()]++
	}
	sessions := newGauge("media_sessions", "Media sessions by how far they have come.", "state")
	for s, n := range states {
		ch <- prometheus.MustNewConstMetric(sessions, prometheus.GaugeValue, float64(n), callState(s).String())
	}
	ends := newGauge("media_sessions_ended_total", "Media sessions that ended, by kind and reason.", "kind", "reason")
	for e, n := range total.calls {
		ch <- prometheus.MustNewConstMetric(ends, prometheus.CounterValue, float64(n), e.kind.String(), e.reason)
	}
	total.collect(ch)
	if r != nil {
		collectReceiver(ch, r.Stats())
	}
}

func (x *call) streamOf() *media.Stream {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.stream
}

// collect shows the sums over all streams.
func (t *callTotals) collect(ch chan<- prometheus.Metric) {
	for _, m := range []struct {
		name, help string
		value      uint64
	}{
		{"media_bytes_total", "Bytes of RTP received, headers included.", t.stats.Bytes},
		{"media_packets_total", "RTP packets received.", t.stats.Packets},
		{"media_packets_lost_total", "RTP packets that never came, or too late.", t.stats.Lost},
		{"media_packets_reordered_total", "RTP packets that came out of order, but in time.", t.stats.Reordered},
		{"media_packets_late_total", "RTP packets that came after their gap was given up.", t.stats.Late},
		{"media_packets_duplicate_total", "RTP packets that came twice.", t.stats.Duplicate},
		{"media_packets_bad_total", "RTP packets whose payload is not what it should be.", t.stats.Bad},
		{"media_packets_strange_total", "RTP packets on a stream's port from another sender.", t.stats.Strange},
		{"media_access_units_total", "Access units made of them.", t.stats.Units},
		{"media_wrong_ssrc_total", "Streams that came with another SSRC than asked for.", t.wrongSSRC},
	} {
		ch <- prometheus.MustNewConstMetric(newGauge(m.name, m.help), prometheus.CounterValue, float64(m.value))
	}
	faults := newGauge("ps_errors_total", "Damage and deviations met in program streams, by kind.", "kind")
	for kind, n := range t.faults {
		ch <- prometheus.MustNewConstMetric(faults, prometheus.CounterValue, float64(n), kind)
	}
	skips := newGauge("ps_skipped_total", "Packets of program streams that were passed over, by reason.", "reason")
	for reason, n := range t.skips {
		ch <- prometheus.MustNewConstMetric(skips, prometheus.CounterValue, float64(n), reason)
	}
}

// collectReceiver shows what came to the shared media port and belongs to
// nobody.
func collectReceiver(ch chan<- prometheus.Metric, r media.ReceiverStats) {
	dropped := newGauge("media_dropped_total", "Packets and connections at the shared media port that belong to no stream, by what they are.", "what")
	for what, n := range map[string]uint64{"unknown_ssrc": r.Unknown, "not_rtp": r.Garbage, "connection_refused": r.Refused, "connection_unknown": r.Strange} {
		ch <- prometheus.MustNewConstMetric(dropped, prometheus.CounterValue, float64(n), what)
	}
	ch <- prometheus.MustNewConstMetric(newGauge("media_connections_pending", "TCP connections at the shared media port that have not shown whose they are."), prometheus.GaugeValue, float64(r.Pending))
}
