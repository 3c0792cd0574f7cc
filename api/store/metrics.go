package store

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what Save and Expire did. Labels come from fixed sets.
type metrics struct {
	envelopes *prometheus.CounterVec
	pictures  *prometheus.CounterVec
	expired   prometheus.Counter
	save      prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		envelopes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sharpeyes_store_envelopes_total",
			Help: "Envelopes handed to the store, by body and by what became of them.",
		}, []string{"kind", "result"}),
		pictures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sharpeyes_store_pictures_total",
			Help: "Pictures that came with alerts: kept, or refused and why.",
		}, []string{"result"}),
		expired: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sharpeyes_store_pictures_expired_total",
			Help: "Pictures deleted because their time was over.",
		}),
		save: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "sharpeyes_store_save_seconds",
			Help:    "Time to save one batch of envelopes, pictures and commit included.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
	}
	if reg == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.envelopes, m.pictures, m.expired, m.save} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}
