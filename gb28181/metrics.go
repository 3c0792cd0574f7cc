package gb28181

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// metrics are the platform's figures. No label comes from a device: methods and
// results are bounded sets.
type metrics struct {
	registrations *prometheus.CounterVec
	messages      *prometheus.CounterVec
	requests      *prometheus.CounterVec
	answered      *prometheus.HistogramVec
	repaired      *prometheus.CounterVec
	dropped       *prometheus.CounterVec
	uplinks       prometheus.Counter
	keepalives    prometheus.Counter // of messages, resolved: the hottest one
	gauges        [gaugeCount]*prometheus.Desc
}

const metricPrefix = "sharpeyes_gb28181_"

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricPrefix + name, Help: help}, labels)
	}
	m := &metrics{
		gauges:        gaugeDescs(),
		registrations: counter("registrations_total", "REGISTER requests of devices, by what became of them.", "result"),
		messages:      counter("messages_total", "Other SIP requests of devices, by method and by what became of them.", "method", "result"),
		requests:      counter("requests_total", "SIP requests to devices, by method and by the class of the answer.", "method", "result"),
		answered: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: metricPrefix + "request_seconds", Help: "Time from a SIP request to its final answer, by method.",
			Buckets: []float64{.005, .02, .05, .1, .25, .5, 1, 2, 5, 10, 32},
		}, []string{"method"}),
		repaired: counter("repaired_total", "SIP messages that had to be mended before they could be read, by what was wrong.", "what"),
		dropped:  counter("dropped_total", "SIP messages and connections dropped without an answer, by reason.", "reason"),
		uplinks:  prometheus.NewCounter(prometheus.CounterOpts{Name: metricPrefix + "uplink_incidents_total", Help: "Times that all devices behind one address went silent together."}),
	}
	m.keepalives = m.messages.WithLabelValues("MESSAGE", "keepalive")
	return m
}

// refused counts a message or connection that was dropped.
func (m *metrics) refused(reason string) { m.dropped.WithLabelValues(reason).Inc() }

// mended counts the repairs of a message.
func (m *metrics) mended(r repairs) {
	for what, was := range map[string]bool{"leading_bytes": r.leading, "line_ends": r.lines, "content_length": r.length} {
		if was {
			m.repaired.WithLabelValues(what).Inc()
		}
	}
}

// asked counts a request to a device and how long its answer took.
func (m *metrics) asked(method, result string, took time.Duration) {
	m.requests.WithLabelValues(method, result).Inc()
	m.answered.WithLabelValues(method).Observe(took.Seconds())
}

// methods that may be a label.
var methodLabels = map[string]string{
	"REGISTER": "REGISTER", "MESSAGE": "MESSAGE", "NOTIFY": "NOTIFY", "INVITE": "INVITE", "ACK": "ACK", "BYE": "BYE",
	"CANCEL": "CANCEL", "OPTIONS": "OPTIONS", "INFO": "INFO", "SUBSCRIBE": "SUBSCRIBE",
}

// methodLabel bounds the label of a method that came from outside.
func methodLabel(method string) string {
	if l, ok := methodLabels[method]; ok {
		return l
	}
	return "other"
}

// collector shows the metrics and what is counted when it is asked.
type collector struct{ p *Platform }

// newGauge describes what is read at the moment of asking.
func newGauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(metricPrefix+name, help, labels, nil)
}

// The gauges, read at the moment of asking.
const (
	gaugeDevices = iota
	gaugeKeepaliveAge
	gaugeConnections
	gaugeTransactions
	gaugeAnswers
	gaugeDialogs
	gaugeQueue
	gaugeUplinks
	gaugeCount
)

// gaugeDescs describes the gauges, by the constants above.
func gaugeDescs() [gaugeCount]*prometheus.Desc {
	return [gaugeCount]*prometheus.Desc{
		gaugeDevices:      newGauge("devices", "Devices by whether they are registered; waiting ones are not in the configuration.", "registered"),
		gaugeKeepaliveAge: newGauge("keepalive_age_seconds", "How long ago registered devices sent their last keepalive."),
		gaugeConnections:  newGauge("connections", "TCP and TLS connections that stand."),
		gaugeTransactions: newGauge("transactions", "SIP requests to devices that wait for their answer."),
		gaugeAnswers:      newGauge("remembered_answers", "Answers that are kept for devices that ask again."),
		gaugeDialogs:      newGauge("dialogs", "Calls and subscriptions that stand."),
		gaugeQueue:        newGauge("queue_bytes", "Bytes of bodies that wait to be handled."),
		gaugeUplinks:      newGauge("uplinks_down", "Addresses behind which all devices are silent."),
	}
}

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range c.p.collectors() {
		m.Describe(ch)
	}
	for _, d := range c.p.met.gauges {
		ch <- d
	}
}

func (p *Platform) collectors() []prometheus.Collector {
	return append(p.met.collectors(), p.field.collectors()...)
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.registrations, m.messages, m.requests, m.answered, m.repaired, m.dropped, m.uplinks}
}

// keepaliveBuckets are seconds: the standard's 60 s, three misses, and beyond.
var keepaliveBuckets = []float64{15, 30, 60, 90, 120, 180, 300, 600}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	p, desc := c.p, c.p.met.gauges
	for _, m := range p.collectors() {
		m.Collect(ch)
	}
	c.collectDevices(ch)
	for which, value := range map[int]float64{
		gaugeConnections:  float64(p.wire.streamCount()),
		gaugeTransactions: float64(p.pending.len()),
		gaugeAnswers:      float64(p.answers.len()),
		gaugeDialogs:      float64(p.dialogs.len()),
		gaugeQueue:        float64(p.inbox.bytes.Load()),
		gaugeUplinks:      float64(p.uplinks.len()),
	} {
		ch <- prometheus.MustNewConstMetric(desc[which], prometheus.GaugeValue, value)
	}
}

// collectDevices counts the devices and the age of their keepalives.
func (c collector) collectDevices(ch chan<- prometheus.Metric) {
	states := map[ingest.Value]int{}
	buckets := make(map[float64]uint64, len(keepaliveBuckets))
	var count uint64
	var sum float64
	now := c.p.now()
	for _, d := range c.p.allDevices() {
		d.mu.Lock()
		value, heard := d.link.value, d.link.keepalive
		d.mu.Unlock()
		states[value]++
		if value != ingest.Yes || heard.IsZero() {
			continue
		}
		age := now.Sub(heard).Seconds()
		count++
		sum += age
		for _, b := range keepaliveBuckets {
			if age <= b {
				buckets[b]++
			}
		}
	}
	desc := c.p.met.gauges
	for _, v := range []ingest.Value{ingest.Yes, ingest.No, ingest.Unknown} {
		ch <- prometheus.MustNewConstMetric(desc[gaugeDevices], prometheus.GaugeValue, float64(states[v]), v.String())
	}
	ch <- prometheus.MustNewConstMetric(desc[gaugeDevices], prometheus.GaugeValue, float64(c.p.waiting.len()), "waiting")
	ch <- prometheus.MustNewConstHistogram(desc[gaugeKeepaliveAge], count, sum, buckets)
}
