package simulate

import (
	"fmt"
	"strconv"
	"strings"
)

// subscription is a dialog in which the platform hears events (RFC 6665).
type subscription struct {
	event, callID    string // event as the platform wrote it: "Catalog;id=1"
	from, to, target string // of what we send: From is the platform's To
}

// onSubscribe takes, refreshes or ends a subscription to the catalogue or to
// alarms. A device that does not move has no positions to tell.
func (d *device) onSubscribe(m *message) *message {
	kind := element(m.body, "CmdType")
	if kind == "" { // a refresh may come without a body
		kind, _, _ = strings.Cut(m.get("event"), ";")
	}
	if kind == "presence" {
		kind = "Catalog"
	}
	if kind != "Catalog" && kind != "Alarm" {
		return m.answer(489, random())
	}
	expires, err := strconv.Atoi(m.get("expires"))
	if err != nil {
		expires = 600
	}
	r := m.answer(200, d.tag, header{"Expires", strconv.Itoa(expires)}, header{"Event", m.get("event")})
	d.mu.Lock()
	r.headers = append(r.headers, header{"Contact", d.contact(d.line)})
	if expires == 0 {
		delete(d.subs, kind)
	} else {
		d.subs[kind] = &subscription{event: m.get("event"), callID: m.get("call-id"), from: r.get("to"), to: m.get("from"), target: address(m.get("contact"))}
	}
	d.mu.Unlock()
	d.event("", EventSubscribed, "%s %d", kind, expires)
	return r
}

// notify makes a NOTIFY within a subscription.
func (d *device) notify(s *subscription, body []byte) *message {
	target := s.target
	if target == "" {
		target = fmt.Sprintf("sip:%s@%s", d.sim.opt.ServerID, d.sim.opt.Domain)
	}
	return d.build("NOTIFY", place{target, s.callID, s.from, s.to}, xmlType, body,
		header{"Event", s.event}, header{"Subscription-State", "active"})
}
