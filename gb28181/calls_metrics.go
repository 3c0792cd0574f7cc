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

// sum is a figure of all streams together.
type sum struct {
	desc *prometheus.Desc
	of   func(*callTotals) uint64
}

func newSum(name, help string, of func(*callTotals) uint64) sum {
	return sum{newGauge(name, help), of}
}

// callCollector shows what calls counted when it is asked.
type callCollector struct {
	c *calls

	sessions, ended, faults, skipped, dropped, pending *prometheus.Desc
	sums                                               []sum
}

func newCallCollector(c *calls) *callCollector {
	return &callCollector{
		c:        c,
		sessions: newGauge("media_sessions", "Media sessions by how far they have come.", "state"),
		ended:    newGauge("media_sessions_ended_total", "Media sessions that ended, by kind and reason.", "kind", "reason"),
		faults:   newGauge("ps_errors_total", "Damage and deviations met in program streams, by kind.", "kind"),
		skipped:  newGauge("ps_skipped_total", "Packets of program streams that were passed over, by reason.", "reason"),
		dropped:  newGauge("media_dropped_total", "Packets and connections at the shared media port that belong to no stream, by what they are.", "what"),
		pending:  newGauge("media_connections_pending", "TCP connections at the shared media port that have not shown whose they are."),
		sums: []sum{
			newSum("media_bytes_total", "Bytes of RTP received, headers included.", func(t *callTotals) uint64 { return t.stats.Bytes }),
			newSum("media_packets_total", "RTP packets received.", func(t *callTotals) uint64 { return t.stats.Packets }),
			newSum("media_packets_lost_total", "RTP packets that never came, or too late.", func(t *callTotals) uint64 { return t.stats.Lost }),
			newSum("media_packets_reordered_total", "RTP packets that came out of order, but in time.", func(t *callTotals) uint64 { return t.stats.Reordered }),
			newSum("media_packets_late_total", "RTP packets that came after their gap was given up.", func(t *callTotals) uint64 { return t.stats.Late }),
			newSum("media_packets_duplicate_total", "RTP packets that came twice.", func(t *callTotals) uint64 { return t.stats.Duplicate }),
			newSum("media_packets_bad_total", "RTP packets whose payload is not what it should be.", func(t *callTotals) uint64 { return t.stats.Bad }),
			newSum("media_packets_strange_total", "RTP packets and connections of a stream from another sender.", func(t *callTotals) uint64 { return t.stats.Strange }),
			newSum("media_access_units_total", "Access units made of them.", func(t *callTotals) uint64 { return t.stats.Units }),
			newSum("media_wrong_ssrc_total", "Streams that came with another SSRC than asked for.", func(t *callTotals) uint64 { return t.wrongSSRC }),
		},
	}
}

// Describe implements prometheus.Collector.
func (k *callCollector) Describe(ch chan<- *prometheus.Desc) {
	k.c.first.seconds.Describe(ch)
	for _, d := range []*prometheus.Desc{k.sessions, k.ended, k.faults, k.skipped, k.dropped, k.pending} {
		ch <- d
	}
	for _, s := range k.sums {
		ch <- s.desc
	}
}

// Collect implements prometheus.Collector.
func (k *callCollector) Collect(ch chan<- prometheus.Metric) {
	k.c.first.seconds.Collect(ch)
	open, total, receiver := k.c.count()
	var states [stateCount]int
	for _, x := range open {
		states[x.state()]++
	}
	counter := func(d *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	for s, n := range states {
		ch <- prometheus.MustNewConstMetric(k.sessions, prometheus.GaugeValue, float64(n), callState(s).String())
	}
	for e, n := range total.calls {
		counter(k.ended, n, e.kind.String(), e.reason)
	}
	for _, s := range k.sums {
		counter(s.desc, s.of(&total))
	}
	for kind, n := range total.faults {
		counter(k.faults, n, kind)
	}
	for reason, n := range total.skips {
		counter(k.skipped, n, reason)
	}
	counter(k.dropped, receiver.Unknown, "unknown_ssrc")
	counter(k.dropped, receiver.Garbage, "not_rtp")
	counter(k.dropped, receiver.Refused, "connection_refused")
	counter(k.dropped, receiver.Strange, "connection_unknown")
	ch <- prometheus.MustNewConstMetric(k.pending, prometheus.GaugeValue, float64(receiver.Pending))
}

// count adds up what has ended and what stands. A call that ends meanwhile is
// counted once: it is in open or in ended.
func (c *calls) count() (open []*call, total callTotals, receiver media.ReceiverStats) {
	c.mu.Lock()
	defer c.mu.Unlock()
	total = c.ended.clone()
	for x := range c.open {
		open = append(open, x)
		if s := x.streamOf(); s != nil {
			total.add(s.Stats())
		}
	}
	if c.receiver != nil {
		receiver = c.receiver.Stats()
	}
	return open, total, receiver
}

func (x *call) streamOf() *media.Stream {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.stream
}
