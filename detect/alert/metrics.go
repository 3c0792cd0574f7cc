package alert

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// Metrics counts the alerts of a node, by camera, kind and phase: configured
// cameras and fixed lists.
type Metrics struct{ alerts *prometheus.CounterVec }

// NewMetrics registers with reg; a nil reg registers nothing. It panics when the
// metrics are registered already, as prometheus.MustRegister does.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{alerts: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sharpeyes_alerts_total", Help: "Phases of alerts that the rules caused, by kind and phase.",
	}, []string{"camera", "kind", "phase"})}
	if reg != nil {
		reg.MustRegister(m.alerts)
	}
	return m
}

// Count counts each phase in alerts.
func (m *Metrics) Count(alerts []Alert) {
	for i := range alerts {
		a := &alerts[i]
		m.alerts.WithLabelValues(string(a.Camera), string(a.Kind), string(a.Phase)).Inc()
	}
}

// Forget removes all series of a camera that is no longer configured.
func (m *Metrics) Forget(camera ingest.CameraID) {
	m.alerts.DeletePartialMatch(prometheus.Labels{"camera": string(camera)})
}
