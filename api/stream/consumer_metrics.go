package stream

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type consumerMetrics struct {
	consumed, acked, redelivered, claimed, trimmed prometheus.Counter
	mismatched, vanished, deadDropped              prometheus.Counter
	errors, handleErrors                           prometheus.Counter
	dead                                           map[string]prometheus.Counter
	handle                                         prometheus.Histogram
	lag, deadLetters                               prometheus.Gauge
	entries                                        map[string]prometheus.Gauge
}

func newConsumerMetrics(reg prometheus.Registerer) *consumerMetrics {
	f := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: "sharpeyes_consumer_" + name, Help: help})
	}
	m := &consumerMetrics{
		consumed:     counter("messages_total", "Messages that the handler committed."),
		acked:        counter("acked_total", "Entries acknowledged to Redis, dead letters included."),
		redelivered:  counter("redelivered_total", "Entries that were delivered before and came again."),
		claimed:      counter("claimed_total", "Entries taken over from a consumer that gave no sign of life."),
		trimmed:      counter("trimmed_total", "Acknowledged entries removed from the stream."),
		mismatched:   counter("pictures_mismatched_total", "Pictures dropped because their SHA-256 is not the one that the alert names."),
		vanished:     counter("vanished_total", "Entries deleted from the stream by someone else before they were handled."),
		deadDropped:  counter("dead_letters_dropped_total", "Oldest dead letters that gave way to new ones."),
		errors:       counter("redis_errors_total", "Failures of Redis; each is followed by another try."),
		handleErrors: counter("handle_errors_total", "Calls of the handler that failed."),
		dead:         map[string]prometheus.Counter{},
		handle: f.NewHistogram(prometheus.HistogramOpts{
			Name: "sharpeyes_consumer_handle_seconds", Help: "Time the handler took for one batch.",
			Buckets: prometheus.ExponentialBuckets(0.001, 3, 10),
		}),
		lag: f.NewGauge(prometheus.GaugeOpts{
			Name: "sharpeyes_consumer_lag_seconds", Help: "From the outbox of the edge to the commit at the center, for the newest message.",
		}),
	}
	m.deadLetters = f.NewGauge(prometheus.GaugeOpts{
		Name: "sharpeyes_dead_letters", Help: "Dead letters that wait to be looked at.",
	})
	m.entries = map[string]prometheus.Gauge{}
	entries := f.NewGaugeVec(prometheus.GaugeOpts{
		Name: "sharpeyes_stream_entries", Help: "Entries in Redis that no center has committed and removed yet: texts or pictures.",
	}, []string{"stream"})
	for _, name := range []string{"texts", "pictures"} {
		m.entries[name] = entries.WithLabelValues(name)
	}
	dead := f.NewCounterVec(prometheus.CounterOpts{
		Name: "sharpeyes_consumer_dead_letters_total", Help: "Messages moved to the dead letters, by reason.",
	}, []string{"reason"})
	for _, reason := range []string{reasonUnreadable, reasonDeliveries, reasonRejected} {
		m.dead[reason] = dead.WithLabelValues(reason)
	}
	return m
}
