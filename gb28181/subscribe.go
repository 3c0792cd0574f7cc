package gb28181

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sharpeyes/sharpeyes/gb28181/manscdp"
)

// How subscriptions and repeated chores are timed.
const (
	subscribeFor    = time.Hour        // asked for; the device may grant less
	subscribeLeast  = time.Minute      // a shorter grant counts as this
	subscribeAfter  = 30 * time.Second // a subscription that the device ended is opened again
	subscribeTries  = 2                // in vain, until a device counts as one that knows no SUBSCRIBE
	quirkFor        = 24 * time.Hour   // and for how long it does
	backoffFirst    = 30 * time.Second // after a failed chore, doubled each time
	backoffMost     = 30 * time.Minute
	catalogueSeldom = 12 * time.Hour // where changes are notified
	answerIdle      = 5 * time.Second
	infoWithin      = 8 * time.Second // the catalogue does not wait longer for who made the device
)

// backoff returns how long to wait after n failures in a row.
func backoff(n int) time.Duration {
	return min(backoffFirst<<min(max(n-1, 0), 10), backoffMost)
}

// attend does one chore at a device; it returns when to do it again, 0 for not
// before it registers anew.
func (p *Platform) attend(ctx context.Context, v *visit, c chore) time.Duration {
	if _, err := v.dev.way(); err != nil {
		return 0
	}
	switch c {
	case choreInfo:
		p.askInfo(ctx, v.dev)
		return 0
	case choreCatalogue:
		return p.attendCatalogue(ctx, v)
	case choreGuard:
		return p.attendGuard(ctx, v)
	case choreChannels, choreAlarms:
		return p.attendSubscription(ctx, v, c)
	}
	return 0
}

// askInfo learns who made a device. A device that does not answer is none the
// worse for it.
func (p *Platform) askInfo(ctx context.Context, d *device) {
	limit, cancel := context.WithTimeout(ctx, infoWithin)
	defer cancel()
	if info, err := p.deviceInfo(limit, d); err == nil {
		p.profiles.learnInfo(d.id, info)
	}
}

func (p *Platform) attendCatalogue(ctx context.Context, v *visit) time.Duration {
	err := p.queryCatalogue(ctx, v.dev)
	switch {
	case err == nil:
		p.attendance.succeeded(v, choreCatalogue)
	case errors.Is(err, errOffline), ctx.Err() != nil:
		return 0
	default:
		p.log.Warn("the catalogue could not be had", "device", v.dev.id, "err", err)
		return backoff(p.attendance.failed(v, choreCatalogue))
	}
	if sub := v.subs[choreChannels]; sub != nil && sub.Err() == nil && p.shelves.of(v.dev.id).isComplete() {
		return catalogueSeldom
	}
	return catalogueEvery
}

// attendGuard sets a device on guard where it sends no alarm otherwise.
func (p *Platform) attendGuard(ctx context.Context, v *visit) time.Duration {
	if !p.profiles.holds(v.dev, quirkGuardFirst) {
		return 0
	}
	err := p.control(ctx, v.dev, "", ControlCmd{Kind: ControlGuard})
	if err == nil || errors.Is(err, ErrUnconfirmed) {
		p.attendance.succeeded(v, choreGuard)
		return 0
	}
	if errors.Is(err, errOffline) || ctx.Err() != nil {
		return 0
	}
	p.log.Warn("the device could not be set on guard: it may send no alarms", "device", v.dev.id, "err", err)
	return backoff(p.attendance.failed(v, choreGuard))
}

// topic is what a subscription is about.
type topic struct {
	label   string
	cmdType string
	event   string
	payload func() manscdp.Payload
}

// topics by chore. Alarms go by the event that the standard has for everything
// but the catalogue (clause 9.11.1).
var topics = map[chore]topic{
	choreChannels: {"catalogue", manscdp.CmdCatalog, "Catalog", func() manscdp.Payload { return &manscdp.CatalogQuery{} }},
	choreAlarms:   {"alarm", manscdp.CmdAlarm, "presence", func() manscdp.Payload { return &manscdp.AlarmQuery{Method: "0"} }},
}

// attendSubscription opens a subscription, or refreshes it in its dialog.
func (p *Platform) attendSubscription(ctx context.Context, v *visit, c chore) time.Duration {
	t, d := topics[c], v.dev
	if slices.Contains(d.entry().Quirks, quirkNoSubscribe) {
		return 0
	}
	granted, err := p.openSubscription(ctx, v, c)
	switch {
	case err == nil:
		p.bodies.subscriptions.WithLabelValues(t.label, "ok").Inc()
		p.attendance.succeeded(v, c)
		p.profiles.forget(d.id, quirkNoSubscribe)
		return granted * 8 / 10
	case errors.Is(err, errOffline), ctx.Err() != nil:
		return 0
	}
	p.bodies.subscriptions.WithLabelValues(t.label, "failed").Inc()
	if n := p.attendance.failed(v, c); n < subscribeTries {
		return backoff(n)
	}
	p.attendance.succeeded(v, c)
	if p.profiles.saw(d.id, quirkNoSubscribe) {
		p.log.Info("the device takes no subscription: its catalogue is asked for from time to time", "device", d.id, "event", t.label, "err", err)
	}
	return quirkFor
}

// openSubscription refreshes the subscription that stands, or opens one; it
// returns for how long the device grants it.
func (p *Platform) openSubscription(ctx context.Context, v *visit, c chore) (time.Duration, error) {
	t, d := topics[c], v.dev
	body := p.encode(d, manscdp.Message{Root: manscdp.Query, CmdType: t.cmdType, SN: d.nextSN(), DeviceID: d.id, Payload: t.payload()})
	seconds := int(subscribeFor / time.Second)
	if sub := v.subs[c]; sub != nil && sub.Err() == nil {
		if res, err := sub.refresh(ctx, seconds, body); err == nil {
			return granted(res.GetHeader("Expires")), nil
		}
		sub.end(errTerminated) // the device has forgotten it, or it would have answered
	}
	event := t.event
	if event != "presence" {
		event += ";id=" + strconv.Itoa(d.nextSN())
		if p.profiles.holds(d, quirkPresence) {
			event = "presence"
		}
	}
	open := func(event string) (*dialog, error) {
		return p.subscribe(ctx, d, subscription{target: d.id, event: event, expires: seconds, body: body, onNotify: func(m incoming) {
			if m.ended {
				p.attendance.want(d, c, p.now().Add(subscribeAfter))
			}
		}})
	}
	sub, err := open(event)
	if status := (*statusError)(nil); errors.As(err, &status) && status.Code == 489 && event != "presence" {
		if sub, err = open("presence"); err == nil {
			p.profiles.saw(d.id, quirkPresence)
		}
	}
	if err != nil {
		return 0, err
	}
	v.subs[c] = sub
	return granted(sub.Answer().GetHeader("Expires")), nil
}

// granted reads the Expires of an answer; devices leave it out.
func granted(h interface{ Value() string }) time.Duration {
	if h == nil {
		return subscribeFor
	}
	n, err := strconv.Atoi(strings.TrimSpace(h.Value()))
	if err != nil || n <= 0 {
		return subscribeFor
	}
	return min(max(time.Duration(n)*time.Second, subscribeLeast), subscribeFor)
}

// isComplete says whether the last catalogue had every channel.
func (s *shelf) isComplete() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Complete
}
