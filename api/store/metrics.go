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
	put       prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		envelopes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sharpeyes_store_envelopes_total",
			Help: "Envelopes handed to the store, by body and by what became of them.",
		}, []string{"kind", "result"}),
		pictures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sharpeyes_store_pictures_total",
			Help: "Pictures that came: kept, refused and why, or failed to be put, which is tried again.",
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
	m.put = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "sharpeyes_store_pictures_put_seconds",
		Help:    "Time to make the pictures of one batch durable, on disk or in the object store.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
	})
	if reg == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.envelopes, m.pictures, m.expired, m.save, m.put} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}
