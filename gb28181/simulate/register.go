package simulate

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	retryAfter  = 5 * time.Second // real devices wait 60 s; a test does not
	missAllowed = 3               // keepalives without an answer, then the device registers anew
)

// run registers and keeps the device alive until ctx is done, then unregisters.
// lines ends the sockets later.
func (d *device) run(ctx, lines context.Context) {
	for ctx.Err() == nil {
		d.live(ctx, lines)
		pause(ctx, retryAfter)
	}
}

// live is one registration, from the first REGISTER to its loss.
func (d *device) live(ctx, lines context.Context) {
	lost := (<-chan struct{})(nil)
	if d.sim.opt.Transport != "udp" {
		var err error
		if lost, err = d.dial(lines); err != nil {
			d.event("", EventLost, "connect: %v", err)
			return
		}
	}
	if !d.register(ctx, d.sim.opt.Expires) {
		return
	}
	d.sim.stats.registered.Add(1)
	d.sim.stats.registrations.Add(1)
	running, stop := context.WithCancel(ctx)
	d.mu.Lock()
	d.running = running
	d.mu.Unlock()
	d.event("", EventRegistered, "%s", d.proof)
	d.keep(ctx, lost)
	stop()
	d.hangUp()
	d.sim.stats.registered.Add(-1)
	if ctx.Err() != nil {
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		d.register(bye, 0)
		d.event("", EventUnregistered, "")
	}
}

// register sends REGISTER and answers the challenge. Expires 0 unregisters.
func (d *device) register(ctx context.Context, expires time.Duration) bool {
	uri := "sip:" + d.sim.opt.ServerID + "@" + d.sim.opt.Domain
	self := fmt.Sprintf("<sip:%s@%s>", d.id, d.sim.opt.Domain)
	more := []header{{"Expires", strconv.Itoa(int(expires / time.Second))}}
	if d.sim.opt.Version >= "3.0" {
		more = append(more, header{"X-GB-ver", d.sim.opt.Version})
	}
	first := more
	if d.sim.opt.Digest != "MD5" { // else the platform would ask for what every device has
		first = append(slices.Clip(more), header{"Authorization", fmt.Sprintf("Capability algorithm=\"H:%s\"", d.sim.opt.Digest)})
	}
	r := d.transact(ctx, d.build("REGISTER", place{uri, d.callID, self + ";tag=" + d.tag, self}, "", nil, first...))
	if r != nil && r.status == 401 {
		c, ok := pick(r.all("www-authenticate"), d.sim.opt.Digest)
		if !ok {
			d.event("", EventRefused, "401 with a challenge that has no known algorithm")
			return false
		}
		d.proof = strings.ToUpper(c.algorithm)
		proof := c.authorization(d.id, d.sim.opt.Password, "REGISTER", uri, random(), 1)
		r = d.transact(ctx, d.build("REGISTER", place{uri, d.callID, self + ";tag=" + d.tag, self}, "", nil, append(more, header{"Authorization", proof})...))
	}
	switch {
	case r == nil:
		if ctx.Err() == nil {
			d.event("", EventLost, "no answer to REGISTER")
		}
		return false
	case r.status != 200:
		d.sim.stats.refused.Add(1)
		d.event("", EventRefused, "%d %s", r.status, r.phrase)
		return false
	}
	return true
}

// keep sends keepalives, refreshes and alarms until something ends it.
func (d *device) keep(ctx context.Context, lost <-chan struct{}) {
	beat := time.NewTicker(d.sim.opt.Keepalive)
	defer beat.Stop()
	refresh := time.NewTicker(max(d.sim.opt.Expires*4/5, time.Second))
	defer refresh.Stop()
	var alarms <-chan time.Time
	if every := d.sim.opt.AlarmEvery; every > 0 {
		t := time.NewTicker(every)
		defer t.Stop()
		alarms = t.C
	}
	missed, alarm := 0, 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-lost:
			d.event("", EventLost, "the connection ended")
			return
		case <-d.wake:
			return
		case <-refresh.C:
			if !d.register(ctx, d.sim.opt.Expires) {
				return
			}
			d.sim.stats.registrations.Add(1)
		case <-alarms:
			d.raise(ctx, d.channels[alarm%len(d.channels)].id, periodic[alarm%len(periodic)])
			alarm++
		case <-beat.C:
			r := d.transact(ctx, d.message(d.keepalive()))
			if r != nil && r.status == 200 {
				d.sim.stats.keepalives.Add(1)
				missed = 0
				continue
			}
			if missed++; missed >= missAllowed || (r != nil && (r.status == 401 || r.status == 403)) {
				d.event("", EventLost, "%d keepalives missed", missed)
				return
			}
		}
	}
}

// hangUp ends every session and forgets every subscription.
func (d *device) hangUp() {
	d.mu.Lock()
	sessions := d.sessions
	d.sessions, d.subs = make(map[string]*session), make(map[string]*subscription)
	d.running, d.guarded = nil, false
	d.mu.Unlock()
	for _, s := range sessions {
		s.cancel()
	}
}
