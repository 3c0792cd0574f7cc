package detect

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// Metrics counts what the analysers of a node do. Its labels are the configured
// cameras and fixed lists.
type Metrics struct {
	decoded    *prometheus.CounterVec
	instants   *prometheus.CounterVec
	skipped    *prometheus.CounterVec
	motion     *prometheus.CounterVec
	detections *prometheus.CounterVec
	stages     *prometheus.CounterVec

	gateState   *prometheus.GaugeVec
	gateSeconds *prometheus.CounterVec
	gateWakes   *prometheus.CounterVec
	unconfirmed *prometheus.CounterVec
	units       *prometheus.CounterVec
	main        *prometheus.CounterVec
	analysis    *prometheus.CounterVec

	masked, capped, threshold, constant *prometheus.GaugeVec
}

// NewMetrics registers the metrics of all analysers with reg; a nil reg
// registers nothing. It panics when they are registered already, as
// prometheus.MustRegister does.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"camera"}, labels...))
	}
	m := &Metrics{
		decoded:    counter("sharpeyes_camera_decoded_frames_total", "Pictures decoded."),
		instants:   counter("sharpeyes_analysed_instants_total", "Instants in which motion was looked for."),
		skipped:    counter("sharpeyes_skipped_instants_total", "Instants that were not analysed, by reason.", "reason"),
		motion:     counter("sharpeyes_motion_instants_total", "Analysed instants in which something moved."),
		detections: counter("sharpeyes_detections_total", "Objects found outside privacy masks with a score that the camera's rules care for, by class.", "class"),
		stages:     counter("sharpeyes_stage_seconds_total", "CPU seconds of the analyser's thread, by stage: decode, motion, detect.", "stage"),
		gateState: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sharpeyes_gate_state", Help: "1 for the state in which the camera's gate is, 0 for the others.",
		}, []string{"camera", "state"}),
		gateSeconds: counter("sharpeyes_gate_state_seconds_total", "Seconds of video that passed in each state of the gate.", "state"),
		gateWakes:   counter("sharpeyes_gate_wakes_total", "Times that the gate began to decode every unit, by cause.", "cause"),
		unconfirmed: counter("sharpeyes_gate_unconfirmed_total", "Wakes after which no motion was found."),
		units:       counter("sharpeyes_gate_units_total", "Access units that came to the gate, and those that were decoded: key units alone, to catch up, or as they came.", "what"),
		main:        counter("sharpeyes_main_pictures_total", "Pictures of the main stream that were wanted while the substream is analysed, by result.", "result"),
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"camera"})
	}
	m.masked = gauge("sharpeyes_motion_masked_share", "Share of the picture, 0 to 1, in which motion is not looked for because it changes about once a second, as a clock written into the picture does.")
	m.capped = gauge("sharpeyes_gate_wakes_capped", "1 while only key units wake the gate because there were max_wakes unconfirmed wakes within an hour.")
	m.threshold = gauge("sharpeyes_gate_threshold", "Standard deviations at which the score wakes the gate: as configured, and higher after unconfirmed wakes.")
	m.constant = gauge("sharpeyes_gate_constant_quality", "1 where the stream was learned to be of constant quality (VBR), 0 where its rate is constant (CBR) or not enough is known.")
	m.analysis = counter("sharpeyes_analysis_seconds_total", "Seconds of video by how closely they were watched: full, gated (nothing moved), degraded (key frames alone, for want of time).", "state")
	if reg != nil {
		reg.MustRegister(m.masked, m.capped, m.threshold, m.constant, m.analysis, m.decoded, m.instants, m.skipped, m.motion, m.detections, m.stages,
			m.gateState, m.gateSeconds, m.gateWakes, m.unconfirmed, m.units, m.main)
	}
	return m
}

// Forget removes all series of a camera that is no longer configured. Its
// analyser must have ended.
func (m *Metrics) Forget(camera ingest.CameraID) {
	of := prometheus.Labels{"camera": string(camera)}
	for _, v := range []*prometheus.CounterVec{
		m.decoded, m.instants, m.skipped, m.motion, m.detections, m.stages, m.gateSeconds, m.gateWakes, m.unconfirmed, m.units, m.main, m.analysis,
	} {
		v.DeletePartialMatch(of)
	}
	m.gateState.DeletePartialMatch(of)
	for _, g := range []*prometheus.GaugeVec{m.masked, m.capped, m.threshold, m.constant} {
		g.DeletePartialMatch(of)
	}
}

// cameraMetrics are one camera's counters, looked up once and at zero from the
// start, so that a rate over them has a beginning.
type cameraMetrics struct {
	decoded, instants, motion       prometheus.Counter
	masked                          prometheus.Gauge
	decodeCPU, motionCPU, detectCPU prometheus.Counter
	skipped                         map[Skip]prometheus.Counter
	detections                      map[Class]prometheus.Counter
	main                            map[MainResult]prometheus.Counter
	gate                            *gateMetrics
}

// gateMetrics are the counters of one camera's gate.
type gateMetrics struct {
	state                                map[GateState]prometheus.Gauge
	seconds                              map[GateState]prometheus.Counter
	levels                               map[ingest.Level]prometheus.Counter
	wakes                                map[WakeCause]prometheus.Counter
	unconfirmed                          prometheus.Counter
	received, keys, caughtUp, continuous prometheus.Counter
	capped, threshold, constant          prometheus.Gauge
}

// say sets a gauge that is 1 or 0.
func (m *gateMetrics) say(g prometheus.Gauge, on bool) {
	if on {
		g.Set(1)
	} else {
		g.Set(0)
	}
}

// enter says in which state the gate is.
func (m *gateMetrics) enter(s GateState) {
	for state, g := range m.state {
		m.say(g, state == s)
	}
}

func (m *Metrics) forGate(c string) *gateMetrics {
	out := &gateMetrics{
		state: make(map[GateState]prometheus.Gauge), seconds: make(map[GateState]prometheus.Counter),
		levels: make(map[ingest.Level]prometheus.Counter, 3),
		wakes:  make(map[WakeCause]prometheus.Counter), unconfirmed: m.unconfirmed.WithLabelValues(c),
		received: m.units.WithLabelValues(c, "received"), keys: m.units.WithLabelValues(c, "key"),
		caughtUp: m.units.WithLabelValues(c, "catch_up"), continuous: m.units.WithLabelValues(c, "continuous"),
		capped: m.capped.WithLabelValues(c), threshold: m.threshold.WithLabelValues(c), constant: m.constant.WithLabelValues(c),
	}
	for _, s := range GateStates() {
		out.state[s] = m.gateState.WithLabelValues(c, string(s))
		out.seconds[s] = m.gateSeconds.WithLabelValues(c, string(s))
	}
	for _, l := range ingest.Levels() {
		out.levels[l] = m.analysis.WithLabelValues(c, string(l))
	}
	for _, w := range WakeCauses() {
		out.wakes[w] = m.gateWakes.WithLabelValues(c, string(w))
	}
	return out
}

func (m *Metrics) forCamera(id ingest.CameraID) *cameraMetrics {
	c := string(id)
	out := &cameraMetrics{
		decoded:    m.decoded.WithLabelValues(c),
		instants:   m.instants.WithLabelValues(c),
		motion:     m.motion.WithLabelValues(c),
		masked:     m.masked.WithLabelValues(c),
		decodeCPU:  m.stages.WithLabelValues(c, "decode"),
		motionCPU:  m.stages.WithLabelValues(c, "motion"),
		detectCPU:  m.stages.WithLabelValues(c, "detect"),
		skipped:    make(map[Skip]prometheus.Counter),
		detections: make(map[Class]prometheus.Counter),
		main:       make(map[MainResult]prometheus.Counter),
		gate:       m.forGate(c),
	}
	for _, s := range SkipReasons() {
		out.skipped[s] = m.skipped.WithLabelValues(c, string(s))
	}
	for _, r := range MainResults() {
		out.main[r] = m.main.WithLabelValues(c, string(r))
	}
	for _, k := range Classes() {
		out.detections[k] = m.detections.WithLabelValues(c, string(k))
	}
	return out
}

// stage measures the CPU time of one stage of the analyser. Between begin and
// end the goroutine stays on its thread, whose clock is read.
type stage struct {
	seconds prometheus.Counter
	began   time.Duration
}

func beginStage(seconds prometheus.Counter) stage {
	runtime.LockOSThread()
	return stage{seconds, threadCPU()}
}

// end counts the stage and returns what it took.
func (s stage) end() time.Duration {
	d := threadCPU() - s.began
	addTime(s.seconds, d)
	runtime.UnlockOSThread()
	return d
}

// addTime adds d to a counter of seconds. A clock that ran backwards adds
// nothing: counters only grow.
func addTime(c prometheus.Counter, d time.Duration) {
	if d > 0 {
		c.Add(d.Seconds())
	}
}
