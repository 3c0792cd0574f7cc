package ingest

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// rateWindow is how many seconds the bit rate looks back.
const rateWindow = 10

// counters are the running totals of one camera.
type counters struct {
	mu         sync.Mutex
	units      uint64
	bytes      uint64
	lost       uint64
	dropped    uint64
	jumps      uint64
	reconnects map[Reason]uint64
	seconds    [rateWindow + 1]struct { // ring of whole seconds, the running one included
		at    int64
		bytes uint64
	}
}

func newCounters() *counters { return &counters{reconnects: make(map[Reason]uint64)} }

func (c *counters) unit(bytes int, jumped bool, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.units++
	c.bytes += uint64(bytes)
	if jumped {
		c.jumps++
	}
	s := &c.seconds[at.Unix()%int64(len(c.seconds))]
	if s.at != at.Unix() {
		s.at, s.bytes = at.Unix(), 0
	}
	s.bytes += uint64(bytes)
}

func (c *counters) add(field *uint64, n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*field += n
}

func (c *counters) reconnect(why Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reconnects[why]++
}

// bitrate returns bytes per second over the last rateWindow whole seconds.
func (c *counters) bitrate(now time.Time) float64 {
	var sum uint64
	for _, s := range c.seconds {
		if age := now.Unix() - s.at; age >= 1 && age <= rateWindow {
			sum += s.bytes
		}
	}
	return float64(sum) / rateWindow
}

// collector exports what the fleet's cameras have counted. The series are made
// when they are asked for, so those of a removed camera are simply gone.
type collector struct {
	fleet *Fleet

	units, bytes, bitrate, lost, jumps, reconnects, state, depth, dropped *prometheus.Desc
}

func newCollector(f *Fleet) *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("sharpeyes_"+name, help, append([]string{"camera"}, labels...), nil)
	}
	return &collector{
		fleet:      f,
		units:      desc("camera_access_units_total", "Access units received."),
		bytes:      desc("camera_bytes_total", "Bytes of NAL units received."),
		bitrate:    desc("camera_bitrate_bytes_per_second", "Video bit rate over the last 10 s, in bytes: times 8 for bit/s."),
		lost:       desc("camera_lost_total", "RTP packets, or units where there are no packets, that did not arrive."),
		jumps:      desc("camera_clock_jumps_total", "Jumps of the camera's media clock."),
		reconnects: desc("camera_reconnects_total", "Sessions and attempts that ended, by reason.", "reason"),
		state:      desc("camera_state", "1 for the value that the fact has now, 0 for the others.", "fact", "value"),
		depth:      desc("queue_depth", "Access units that wait for the analyser."),
		dropped:    desc("queue_dropped_total", "Access units dropped because the analyser was behind."),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.units, c.bytes, c.bitrate, c.lost, c.jumps, c.reconnects, c.state, c.depth, c.dropped} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	for _, w := range c.fleet.snapshot() {
		id := string(w.record.ID)
		count := func(d *prometheus.Desc, v uint64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), append([]string{id}, labels...)...)
		}
		gauge := func(d *prometheus.Desc, v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{id}, labels...)...)
		}
		n := w.counters
		n.mu.Lock()
		count(c.units, n.units)
		count(c.bytes, n.bytes)
		count(c.lost, n.lost)
		count(c.jumps, n.jumps)
		count(c.dropped, n.dropped)
		gauge(c.bitrate, n.bitrate(now))
		for r, v := range n.reconnects {
			count(c.reconnects, v, string(r))
		}
		n.mu.Unlock()
		gauge(c.depth, float64(w.queue.Len()))
		s := w.states.get()
		for name, f := range map[string]Fact{
			"registered": s.Registered, "transport": s.Transport, "frames": s.Frames,
			"picture": s.Picture, "recording": s.Recording,
		} {
			for _, v := range []Value{Unknown, Yes, No} {
				is := 0.0
				if f.Value == v {
					is = 1
				}
				gauge(c.state, is, name, v.String())
			}
		}
	}
}
