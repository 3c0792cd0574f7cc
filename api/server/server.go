package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/api/audit"
	"github.com/sharpeyes/sharpeyes/api/coverage"
	"github.com/sharpeyes/sharpeyes/api/grid"
	"github.com/sharpeyes/sharpeyes/api/store"
)

// Options are what a Server is made of. Everything without a default is
// required.
type Options struct {
	Store     *store.Store
	Events    *grid.Events
	Coverage  *coverage.Coverage
	Divisions *coverage.Divisions // names of places; default: none, codes only
	Audit     *audit.Register

	DeadLetters DeadLetters // messages that no center could take

	Web        fs.FS                 // the built page, index.html at its root; default none: the interface only
	Gatherer   prometheus.Gatherer   // what /metrics shows
	Registerer prometheus.Registerer // where this room's metrics go

	SessionFor   time.Duration // a login lasts at most this long, whatever its user does; default 12h
	OfflineAfter time.Duration // a camera whose edge is silent for this long is unknown; default 3m
	Secure       bool          // people come by TLS, here or at a proxy in front: Secure cookies and HSTS

	// Ready says why the center does not take part yet, nil when it does. It is
	// asked by /readyz after the store has answered; default: always ready.
	Ready func(context.Context) error

	// Wake tells the edge of a camera that somebody looks at it, so that all of its
	// pictures are decoded for some seconds. It blocks for one answer of Redis at
	// most. Default: none, and the route answers that it is not ready.
	Wake func(context.Context, api.CameraID) error

	// PasswordChanged is told after a user has chosen a password of their own,
	// so that a stored first password can be removed. Default: nobody is told.
	PasswordChanged func(user string)

	Log *slog.Logger     // default slog.Default
	Now func() time.Time // the center's clock; default time.Now
}

// Server answers browsers and other programs. All methods are safe for
// concurrent use.
type Server struct {
	opt      Options
	log      *slog.Logger
	metrics  *metrics
	answers  map[code]answer
	origin   *http.CrossOriginProtection
	hasher   *hasher
	accounts *Accounts
	byUser   *throttle
	byClient *throttle
	page     *page
	hub      *hub
	gatherer http.Handler
	timeouts timeouts
	engine   *gin.Engine
}

// New checks the options, registers the metrics and starts following the
// store's changes. It computes one password hash (some 20 ms). The caller calls
// Close, before it closes the store.
func New(opt Options) (*Server, error) {
	if opt.Store == nil || opt.Events == nil || opt.Coverage == nil || opt.Audit == nil || opt.DeadLetters == nil || opt.Gatherer == nil || opt.Registerer == nil {
		return nil, errors.New("server: store, events, coverage, audit, dead letters, gatherer and registerer are required")
	}
	opt = withDefaults(opt)
	m, err := newMetrics(opt.Registerer)
	if err != nil {
		return nil, err
	}
	p, err := newPage(opt.Web)
	if err != nil {
		return nil, err
	}
	h, err := newHasher(owaspParams, min(4, runtime.GOMAXPROCS(0)))
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	s := &Server{
		opt: opt, log: opt.Log, metrics: m, answers: answers(), origin: http.NewCrossOriginProtection(), hasher: h,
		accounts: &Accounts{store: opt.Store, hasher: h, now: opt.Now},
		byUser:   newThrottle(userFree, throttleItems, opt.Now), byClient: newThrottle(clientFree, throttleItems, opt.Now),
		page: p, timeouts: defaultTimeouts(),
		gatherer: promhttp.HandlerFor(opt.Gatherer, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second}),
	}
	s.engine = s.newEngine()
	last, err := opt.Store.LastChange(context.Background())
	if err != nil {
		return nil, fmt.Errorf("server: where the changes stand: %w", err)
	}
	s.hub = newHub(opt.Store, s.render, m, opt.Log)
	s.hub.start(last, opt.Now())
	return s, nil
}

func withDefaults(opt Options) Options {
	if opt.SessionFor <= 0 {
		opt.SessionFor = 12 * time.Hour
	}
	if opt.OfflineAfter <= 0 {
		opt.OfflineAfter = 3 * time.Minute
	}
	if opt.Ready == nil {
		opt.Ready = func(context.Context) error { return nil }
	}
	if opt.PasswordChanged == nil {
		opt.PasswordChanged = func(string) {}
	}
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return opt
}

// Handler returns the whole of it: interface, streams, metrics and page.
func (s *Server) Handler() http.Handler { return s.engine }

// Close ends all streams and stops following the store. It waits until that is
// done and does not close what was handed in. A second call does nothing.
func (s *Server) Close() error {
	s.hub.close()
	return nil
}
