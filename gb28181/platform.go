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
	"net/netip"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
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
	UserAgent  string                // how we call ourselves; default "sharpeyes"

	// Dir is where the addresses of devices survive a restart; "" keeps nothing.
	// It is made when it is not there.
	Dir string

	// Reregister makes a device that was called gone register again before it
	// counts. Default: its next keepalive is enough, while its registration lasts.
	Reregister bool

	// OnState hears that the registration of a device changed. It is called from
	// one goroutine, in order for each device; changes that were over before they
	// could be told are left out. It should not block for long.
	OnState func(deviceID string, registered ingest.Value, reason ingest.Reason)

	// OnAlarm hears the alarms of devices. It is called from several goroutines, in
	// order for each device, and must not block.
	OnAlarm func(DeviceAlarm)

	// Now is the clock; default time.Now. Deadlines of requests do not follow it.
	Now func() time.Time
}

// Platform is one SIP platform with its devices. Make one with New, then Run it
// once; every other method may be called at any time from any goroutine.
type Platform struct {
	opt     Options
	log     *slog.Logger
	sparing *sparing // for what strangers, or all devices at once, can cause
	met     *metrics
	now     func() time.Time
	id      string // our 20 digits
	domain  string // SIP domain and realm
	agent   string
	started time.Time

	book      *book
	parser    *sip.Parser
	nonces    *nonces
	throttle  *throttle
	waiting   *waitingList
	answers   *answers
	pending   *pending
	exchanges *exchanges
	dialogs   *dialogs
	inbox     *inbox
	uplinks   *uplinks
	lookouts  lookouts
	news      news
	saver     *saver
	own       *own // what we are to those who come by UDP and TCP
	ownTLS    *own
	wire      *wire
	calls     *calls

	handlers     map[handlerKey]handler // fixed before Run
	onRegistered []func(*device)        // fixed before Run
	listening    chan struct{}          // closed when sockets are open

	mu      sync.RWMutex
	devices map[string]*device
	list    []*device // of devices; only appended to

	field // what devices say in bodies

	life     sync.Mutex
	running  context.Context // of spawned goroutines; nil before Run and while stopping
	stopping bool
	spawned  sync.WaitGroup
}

// New checks opt, and listens on nothing yet.
func New(opt Options) (*Platform, error) {
	if !isID([]byte(opt.Config.ID)) {
		return nil, errors.New("gb28181: id: write the platform's 20-digit ID")
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.UserAgent == "" {
		opt.UserAgent = "sharpeyes"
	}
	p := &Platform{
		opt: opt, log: opt.Log, met: newMetrics(), now: opt.Now, started: opt.Now(),
		id: opt.Config.ID, domain: opt.Config.Domain(), agent: cut(opt.UserAgent),
		book: newBook(opt.Config.Devices), parser: newParser(), nonces: newNonces(), throttle: newThrottle(),
		waiting: newWaitingList(), answers: newAnswers(), pending: newPending(), exchanges: newExchanges(),
		dialogs: newDialogs(), inbox: newInbox(), uplinks: newUplinks(), news: news{ready: make(chan struct{}, 1)},
		saver: newSaver(opt.Dir), own: newOwn(opt.Config.Listen), ownTLS: newOwn(opt.ListenTLS), handlers: make(map[handlerKey]handler),
		listening: make(chan struct{}), devices: make(map[string]*device),
	}
	p.sparing = newSparing(opt.Log, opt.Now)
	p.wire = &wire{log: p.sparing, met: p.met, receive: p.receive, closed: p.streamClosed, streams: make(map[*stream]struct{})}
	p.calls = newCalls(p)
	if err := p.takeBodies(); err != nil {
		return nil, err
	}
	if opt.Registerer != nil {
		for _, c := range []prometheus.Collector{collector{p}, newCallCollector(p.calls)} {
			if err := opt.Registerer.Register(c); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

// Run listens, serves until ctx is done, hangs up every call, ends every
// subscription, and returns when everything it started is still: within 4 s. It
// returns an error when it cannot listen, else nil.
func (p *Platform) Run(ctx context.Context) error {
	if err := p.wire.listen(ctx, p.opt.Config.Listen, p.opt.ListenTLS, p.opt.TLS); err != nil {
		return err
	}
	if err := p.restore(); err != nil {
		p.wire.close()
		return err
	}
	if err := p.calls.listen(); err != nil {
		p.wire.close()
		return err
	}
	defer p.calls.close()
	close(p.listening)
	// What works for devices outlives ctx, until calls are hung up.
	work, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	p.life.Lock()
	p.running = work
	p.life.Unlock()
	var owned sync.WaitGroup
	for _, f := range []func(context.Context){p.watch, p.tell, p.save, p.keepCatalogues, p.attendance.run, func(ctx context.Context) { p.inbox.run(ctx, p.dispatch) }} {
		owned.Go(func() { f(work) })
	}
	p.wire.serve()
	<-ctx.Done()
	p.hangUp(ctx)
	p.life.Lock()
	p.running = nil
	p.life.Unlock()
	end()
	p.spawned.Wait()
	owned.Wait()
	p.wire.close()
	return nil
}

// hangUp ends every dialog, all at once, within 3 s.
func (p *Platform) hangUp(ctx context.Context) {
	p.life.Lock()
	p.stopping = true
	p.life.Unlock()
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for _, d := range p.dialogs.all() {
		if d.Answer() == nil {
			continue // not open yet: whoever opens it is told to stop, and cancels
		}
		all.Go(func() {
			if d.event != "" {
				_, _ = d.refresh(limit, 0, nil)
				return
			}
			_ = d.bye(limit)
		})
	}
	all.Wait()
}

func (p *Platform) isStopping() bool {
	p.life.Lock()
	defer p.life.Unlock()
	return p.stopping
}

// spawn runs f in a goroutine that Run waits for; f must return soon after its
// context is done. It returns false when the platform is stopping or not running:
// f is not called then.
func (p *Platform) spawn(f func(ctx context.Context)) bool {
	p.life.Lock()
	defer p.life.Unlock()
	if p.running == nil || p.stopping {
		return false
	}
	ctx := p.running
	p.spawned.Go(func() { f(ctx) })
	return true
}

// Addr returns where the platform listens for SIP, UDP and TCP alike; it waits
// until it does, or until ctx is done.
func (p *Platform) Addr(ctx context.Context) (netip.AddrPort, error) {
	select {
	case <-p.listening:
		return p.wire.udp.local, nil
	case <-ctx.Done():
		return netip.AddrPort{}, ctx.Err()
	}
}

// device returns a device that registered, now or formerly; nil for none.
func (p *Platform) device(id string) *device {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.devices[id]
}

// allDevices returns them all, as they are now; the caller does not append.
func (p *Platform) allDevices() []*device {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.list
}
