package server

import (
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the counters of this room. Every label has a fixed, small set of
// values: route is the pattern and never the path, method is one of the known
// ones, and nothing a client chooses becomes a label.
type metrics struct {
	requests *prometheus.CounterVec   // route, method, code
	duration *prometheus.HistogramVec // route
	panics   prometheus.Counter
	logins   *prometheus.CounterVec // result
	clients  prometheus.Gauge
	dropped  *prometheus.CounterVec // reason
	events   *prometheus.CounterVec // event
	latency  prometheus.Histogram
	pictures *prometheus.CounterVec // result
	hubFails prometheus.Counter
}

// Results of a login.
const (
	loginOK        = "ok"
	loginBad       = "bad"
	loginThrottled = "throttled"
	loginBusy      = "busy"
)

// Reasons of a dropped stream.
const (
	dropSlow  = "slow"  // its queue was full
	dropWrite = "write" // a write failed or took too long
	dropLimit = "limit" // refused: too many streams
)

// newMetrics makes the metrics and registers them.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sharpeyes_http_requests_total", Help: "HTTP requests answered, by route pattern, method and status code.",
		}, []string{"route", "method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sharpeyes_http_request_seconds", Help: "Time to answer an HTTP request, by route pattern; streams are not counted.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sharpeyes_http_panics_total", Help: "Handlers that panicked and were recovered.",
		}),
		logins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sharpeyes_logins_total", Help: "Logins tried, by result.",
		}, []string{"result"}),
		clients: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sharpeyes_sse_clients", Help: "Streams of server-sent events that are open.",
		}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sharpeyes_sse_dropped_total", Help: "Streams of server-sent events that the server ended or refused, by reason.",
		}, []string{"reason"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sharpeyes_sse_events_total", Help: "Server-sent events written to clients, by event name.",
		}, []string{"event"}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sharpeyes_alert_latency_seconds", Help: "Time from the receipt of the frame that opened an alert to its event being written to a browser; resumed streams are not counted.",
			Buckets: []float64{.025, .05, .1, .15, .2, .3, .4, .5, .75, 1, 1.5, 2, 3, 5, 10, 30, 60, 300},
		}),
		pictures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sharpeyes_pictures_total", Help: "Pictures asked for, by result.",
		}, []string{"result"}),
		hubFails: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sharpeyes_sse_read_errors_total", Help: "Reads of changes for the streams that failed and are tried again.",
		}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.duration, m.panics, m.logins, m.clients, m.dropped, m.events, m.latency, m.pictures, m.hubFails} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("server metrics: %w", err)
		}
	}
	// Every value is there from the start, so that an alert on a rate sees zero
	// and not absence.
	for _, r := range []string{loginOK, loginBad, loginThrottled, loginBusy} {
		m.logins.WithLabelValues(r)
	}
	for _, r := range []string{dropSlow, dropWrite, dropLimit} {
		m.dropped.WithLabelValues(r)
	}
	for _, r := range []string{eventAlert, eventCamera, eventEvent} {
		m.events.WithLabelValues(r)
	}
	for _, r := range []string{pictureShown, pictureMissing, pictureRefused} {
		m.pictures.WithLabelValues(r)
	}
	return m, nil
}

// Results of a request for a picture.
const (
	pictureShown   = "shown"
	pictureMissing = "missing" // the alert has none, or it has expired
	pictureRefused = "refused" // the access register could not be written
)

// methodLabel keeps the method label to the methods that this server knows.
func methodLabel(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodDelete, http.MethodPut, http.MethodOptions:
		return m
	}
	return "other"
}
