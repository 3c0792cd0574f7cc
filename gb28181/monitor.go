package gb28181

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// Bounds of the watch over devices.
const (
	watchEvery  = time.Second
	lookEvery   = 10 * time.Second // at a device that is far from its deadline; deadlines are further off than this when they are set
	sweepEvery  = 5 * time.Second
	uplinkLeast = 5 // devices behind one address that make an uplink
)

// watch finds each second who is gone, until ctx is done.
func (p *Platform) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	swept := p.now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := p.now()
		p.watchDevices(now)
		if now.Sub(swept) >= sweepEvery {
			swept = now
			p.answers.sweep(now)
			p.pending.sweep(now)
			p.throttle.sweep(now)
		}
	}
}

// watchDevices finds the devices that are gone, and the uplinks that went with
// all theirs.
func (p *Platform) watchDevices(now time.Time) {
	devices := p.allDevices()
	gone := make(map[*device]ingest.Reason)
	var hosts map[netip.Addr]bool
	p.lookouts.mu.Lock()
	defer p.lookouts.mu.Unlock()
	for i, d := range devices {
		if !p.lookouts.due(i, now) {
			continue
		}
		d.mu.Lock()
		if d.route.conn != nil && d.route.conn.closed.Load() {
			d.link.disconnected(now)
		}
		why, fault := d.link.fault(now)
		if !fault && d.link.bound {
			p.lookouts.hasten(i, d.link.deadline())
		}
		counted := d.link.value == ingest.No && d.link.reason != ReasonFlapping
		host := d.route.addr.Addr()
		d.mu.Unlock()
		if !fault || (counted && why != ReasonExpired) {
			continue
		}
		gone[d] = why
		if hosts == nil {
			hosts = make(map[netip.Addr]bool)
		}
		hosts[host] = true
	}
	if len(gone) == 0 {
		return
	}
	for host := range hosts {
		for _, d := range p.uplinkDown(host, devices, now) {
			if gone[d] != ReasonExpired {
				gone[d] = ReasonUplink
			}
		}
	}
	for d, why := range gone {
		d.mu.Lock()
		changed := d.link.fell(why, now)
		d.mu.Unlock()
		if changed {
			p.announce(d)
		}
		if why == ReasonExpired {
			p.saver.touch()
		}
	}
}

// lookouts is when each device is to be looked at again, in the order of
// Platform.list: ten thousand times side by side are read in no time, ten thousand
// devices are not.
type lookouts struct {
	mu sync.Mutex
	at []time.Time
}

// due says whether the i-th device is looked at now, and puts the next time off.
// The caller holds mu, and goes through the devices in order.
func (l *lookouts) due(i int, now time.Time) bool {
	if i == len(l.at) {
		l.at = append(l.at, time.Time{})
	}
	if now.Before(l.at[i]) {
		return false
	}
	l.at[i] = now.Add(lookEvery)
	return true
}

// hasten lets the i-th device be looked at when t comes, if that is earlier.
func (l *lookouts) hasten(i int, t time.Time) {
	if t.Before(l.at[i]) {
		l.at[i] = t
	}
}

// uplinkDown says which devices an uplink took with it: all behind one address,
// when there are enough of them and not one is heard.
func (p *Platform) uplinkDown(host netip.Addr, devices []*device, now time.Time) []*device {
	var behind []*device
	for _, d := range devices {
		d.mu.Lock()
		here := d.link.bound && d.route.addr.Addr() == host
		silent := d.link.silent(now)
		lost := d.link.value == ingest.No && d.link.reason != ReasonUplink && d.link.reason != ReasonFlapping
		d.mu.Unlock()
		switch {
		case !here || lost: // gone before, on its own
		case !silent:
			return nil
		default:
			behind = append(behind, d)
		}
	}
	if len(behind) < uplinkLeast {
		return nil
	}
	if p.uplinks.down(host, len(behind), now) {
		p.met.uplinks.Inc()
		p.log.Warn("an uplink is gone: all devices behind one address are silent", "remote", host.String(), "devices", len(behind))
	}
	return behind
}

// Uplink is an address behind which all devices went silent together: one
// incident, however many they are.
type Uplink struct {
	Address netip.Addr `json:"address"`
	Since   time.Time  `json:"since"`
	Devices int        `json:"devices"`
}

// uplinks are the incidents that last.
type uplinks struct {
	mu   sync.Mutex
	open map[netip.Addr]Uplink
}

func newUplinks() *uplinks { return &uplinks{open: make(map[netip.Addr]Uplink)} }

func (u *uplinks) len() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.open)
}

// down opens an incident; false when it is open already.
func (u *uplinks) down(host netip.Addr, devices int, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, known := u.open[host]
	if !known {
		u.open[host] = Uplink{Address: host, Since: now, Devices: devices}
	}
	return !known
}

// heard closes the incident of a device's address: something comes through.
func (u *uplinks) heard(p *Platform, d *device) {
	d.mu.Lock()
	host := d.route.addr.Addr()
	d.mu.Unlock()
	u.mu.Lock()
	up, known := u.open[host]
	delete(u.open, host)
	u.mu.Unlock()
	if known {
		p.log.Info("an uplink is back", "remote", host.String(), "devices", up.Devices, "since", up.Since)
	}
}

// Uplinks lists the addresses behind which all devices are silent.
func (p *Platform) Uplinks() []Uplink {
	p.uplinks.mu.Lock()
	defer p.uplinks.mu.Unlock()
	list := make([]Uplink, 0, len(p.uplinks.open))
	for _, u := range p.uplinks.open {
		list = append(list, u)
	}
	return list
}

// streamClosed marks the devices that came by a connection.
func (p *Platform) streamClosed(s *stream) {
	if !s.trusted.Load() {
		return
	}
	now := p.now()
	for _, d := range p.allDevices() {
		d.mu.Lock()
		if d.route.conn == s {
			d.link.disconnected(now)
		}
		d.mu.Unlock()
	}
}

// news is the devices whose state OnState has not heard of. A device is in it at
// most once, so it is as long as there are devices.
type news struct {
	mu    sync.Mutex
	list  []*device
	ready chan struct{}
}

// announce lets OnState hear of d's registration.
func (p *Platform) announce(d *device) {
	p.news.mu.Lock()
	defer p.news.mu.Unlock()
	d.mu.Lock()
	owed := d.owed
	d.owed = true
	d.mu.Unlock()
	if !owed {
		p.news.list = append(p.news.list, d)
	}
	select {
	case p.news.ready <- struct{}{}:
	default:
	}
}

// tell calls OnState until ctx is done: with the newest state, without those that
// were over before it could be told.
func (p *Platform) tell(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.news.ready:
		}
		p.news.mu.Lock()
		list := p.news.list
		p.news.list = nil
		p.news.mu.Unlock()
		for _, d := range list {
			d.mu.Lock()
			d.owed = false
			fact := ingest.Fact{Value: d.link.value, Since: d.link.since, Reason: d.link.reason}
			same := fact == d.told
			d.told = fact
			d.mu.Unlock()
			if same {
				continue
			}
			if fact.Reason != ReasonUplink { // told once, for all of them
				p.sparing.Info("registration changed", "device", d.id, "registered", fact.Value.String(), "reason", string(fact.Reason))
			}
			if p.opt.OnState != nil {
				p.opt.OnState(d.id, fact.Value, fact.Reason)
			}
		}
	}
}
