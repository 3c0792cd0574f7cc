package gb28181

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// Bounds of a registration.
const (
	expiresDefault = 24 * time.Hour // GB/T 28181 §9.1.1
	expiresMax     = 7 * 24 * time.Hour
	maxDevices     = 20000 // that were let in by a prefix, beside those in the configuration
	textMax        = 128   // bytes kept of what a device says of itself
)

// gbVersion is what we speak: the 2022 edition (annex I).
const gbVersion = "3.0"

// beijing is the zone of Date (GB/T 28181 §9.10.3).
var beijing = time.FixedZone("CST", 8*60*60)

// verdict is what becomes of a REGISTER.
type verdict struct {
	code    int
	reason  string
	result  string // label of the metric
	headers []sip.Header
	keep    bool // the answer is kept for the same request sent again
}

// register answers a REGISTER and acts on it. It does not block.
func (p *Platform) register(req *sip.Request, from route, entry configs.GB28181Device, known bool) {
	id := req.From().Address.User
	now := p.now()
	v := p.judge(req, from, id, entry, known, now)
	p.met.registrations.WithLabelValues(v.result).Inc()
	// GB/T 28181-2022 annex I: on every answer, refusals too.
	headers := append([]sip.Header{sip.NewHeader("X-GB-ver", gbVersion)}, v.headers...)
	answer := answerTo(req, from, v.code, v.reason, headers...)
	if v.keep {
		p.answers.keep(req, from, answer, now)
	}
	p.reply(from, answer)
}

// judge decides on a REGISTER.
func (p *Platform) judge(req *sip.Request, from route, id string, entry configs.GB28181Device, known bool, now time.Time) verdict {
	if !known {
		return p.judgeUnknown(req, from, id, now)
	}
	who := caller{device: id, addr: from.addr.Addr()}
	if until := p.throttle.barred(who, now); !until.IsZero() {
		return barred(until.Sub(now))
	}
	var creds credentials
	var issued time.Time
	if !entry.Open {
		authorization := header(req, "Authorization")
		var err error
		if creds, err = parseCredentials(authorization); err != nil {
			if !p.throttle.ask(who, now) {
				return barred(time.Minute)
			}
			return p.challenge(id, offeredAlgorithm(authorization), false, now)
		}
		if !creds.matches(string(req.Method), entry.Password.Value()) {
			return p.wrongPassword(who, now)
		}
		var ok bool
		if issued, ok = p.nonces.check(creds.nonce, id, now); !ok {
			return p.challenge(id, creds.algorithm, true, now)
		}
		p.throttle.right(who)
	}
	return p.admit(claim{req, from, id, entry, creds, issued}, now)
}

// judgeUnknown refuses a device that is not in the configuration, and lists it.
func (p *Platform) judgeUnknown(req *sip.Request, from route, id string, now time.Time) verdict {
	if p.opt.Config.Unknown != configs.GB28181Refuse && isID([]byte(id)) {
		if p.waiting.seen(id, from, cut(header(req, "X-GB-ver")), cut(header(req, "User-Agent")), now) {
			p.sparing.Info("an unknown device asks to register: add it to gb28181.devices, or leave it out", "device", id, "remote", from.addr.String())
		}
	}
	return verdict{code: 403, reason: "Forbidden", result: "unknown"}
}

func barred(wait time.Duration) verdict {
	seconds := strconv.Itoa(int(wait.Seconds()) + 1)
	return verdict{code: 403, reason: "Forbidden", result: "barred", headers: []sip.Header{sip.NewHeader("Retry-After", seconds)}}
}

// challenge asks for a password.
func (p *Platform) challenge(id, algorithm string, stale bool, now time.Time) verdict {
	result := "challenged"
	if stale {
		result = "stale"
	}
	if algorithm == "" {
		algorithm = "MD5"
	}
	h := sip.NewHeader("WWW-Authenticate", challenge(p.domain, p.nonces.issue(id, now), algorithm, stale))
	return verdict{code: 401, reason: "Unauthorized", result: result, headers: []sip.Header{h}}
}

// wrongPassword refuses: 403, because a device that is asked again after a wrong
// password asks for ever.
func (p *Platform) wrongPassword(who caller, now time.Time) verdict {
	if until := p.throttle.wrong(who, now); !until.IsZero() {
		p.sparing.Warn("wrong password, repeatedly: this address is refused for a while",
			"device", who.device, "remote", who.addr.String(), "until", until)
	}
	return verdict{code: 403, reason: "Forbidden", result: "wrong_password"}
}

// claim is a REGISTER whose password was right, or not needed.
type claim struct {
	req    *sip.Request
	from   route
	id     string
	entry  configs.GB28181Device
	creds  credentials
	issued time.Time // of the nonce in creds
}

// admit registers, refreshes or takes off a device that has shown its password.
func (p *Platform) admit(c claim, now time.Time) verdict {
	req, from, id, entry, creds, issued := c.req, c.from, c.id, c.entry, c.creds, c.issued
	expires, err := wantedExpiry(req)
	if err != nil {
		return verdict{code: 400, reason: "Bad Expires", result: "malformed"}
	}
	d := p.admitted(id, entry, now)
	if d == nil {
		return verdict{code: 503, reason: "Too many devices", result: "full"}
	}
	call := registration{callID: req.CallID().Value(), cseq: req.CSeq().SeqNo}
	d.mu.Lock()
	again := !entry.Open && call == d.call && creds.nonce == d.nonce.nonce && creds.count == d.nonce.count && sameHost(d.route.addr, from.addr)
	if !entry.Open && !d.nonce.fresh(creds, issued) && !again {
		d.mu.Unlock()
		return p.challenge(id, creds.algorithm, true, now)
	}
	v := verdict{code: 200, reason: "OK", result: "repeated", headers: p.registered(req, expires, now), keep: true}
	away := entry.Redirect != "" && expires > 0
	if away {
		v = redirected(entry.Redirect, expires)
	}
	if again {
		d.mu.Unlock()
		return v
	}
	d.nonce.use(creds, issued)
	d.call = call
	d.gbver, d.userAgent = cut(header(req, "X-GB-ver")), cut(header(req, "User-Agent"))
	was := d.link.value
	var changed bool
	switch {
	case away:
		changed = d.link.bound && d.link.unregistered(now)
	case expires == 0:
		v.result = "unregistered"
		changed = d.link.unregistered(now)
	case d.link.bound:
		v.result = "refreshed"
		changed = d.link.registered(now.Add(expires), now)
	default:
		v.result = "accepted"
		changed = d.link.registered(now.Add(expires), now)
	}
	moved := d.moved(from)
	d.mu.Unlock()
	if from.conn != nil && expires > 0 && !away {
		from.conn.trusted.Store(true)
	}
	p.saver.touch()
	p.afterwards(d, changed, moved, was)
	return v
}

// redirected sends a device to another platform (GB/T 28181-2022 §9.1.2.3): there
// it registers anew. It comes back when that one is out of reach or refuses it.
func redirected(platform string, expires time.Duration) verdict {
	return verdict{code: 302, reason: "Moved Temporarily", result: "redirected", keep: true, headers: []sip.Header{
		sip.NewHeader("Contact", "<"+platform+">"),
		sip.NewHeader("Expires", strconv.Itoa(int(expires/time.Second))),
	}}
}

// moved makes from the route of d, and reports whether the address is another
// one. The caller holds d.mu.
func (d *device) moved(from route) bool {
	moved := d.route.addr.IsValid() && (d.route.addr != from.addr || d.route.network != from.network)
	if d.route.conn != from.conn {
		d.route.conn.leave()
		from.conn.enter()
	}
	d.route = from
	return moved
}

// afterwards does what follows from a message of d, outside its lock.
func (p *Platform) afterwards(d *device, changed, moved bool, was ingest.Value) {
	if moved {
		p.saver.touch()
	}
	if changed {
		p.announce(d)
	}
	if now := d.isRegistered().Value; now == ingest.Yes && was != ingest.Yes {
		p.uplinks.heard(p, d)
		for _, f := range p.onRegistered {
			f(d)
		}
	}
}

// admitted returns the device, made when it is new; nil when there are too many.
func (p *Platform) admitted(id string, entry configs.GB28181Device, now time.Time) *device {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.devices[id]; d != nil {
		return d
	}
	if len(p.devices) >= maxDevices+len(p.opt.Config.Devices) {
		return nil
	}
	d := &device{id: id, first: now}
	d.config.Store(&entry)
	d.link.set(ingest.No, ReasonNever, now)
	p.devices[id] = d
	p.list = append(p.list, d)
	return d
}

// registered writes the headers of a 200 to REGISTER: the Contact with what is
// granted, and the time for the device's clock.
func (p *Platform) registered(req *sip.Request, expires time.Duration, now time.Time) []sip.Header {
	seconds := strconv.Itoa(int(expires / time.Second))
	headers := []sip.Header{
		sip.NewHeader("Date", now.In(beijing).Format("2006-01-02T15:04:05.000")),
		sip.NewHeader("Expires", seconds),
	}
	if c := req.Contact(); c != nil && expires > 0 && !c.Address.Wildcard {
		granted := c.Clone()
		granted.Params.Remove("expires")
		granted.Params.Add("expires", seconds)
		headers = append(headers, granted)
	}
	return headers
}

// wantedExpiry reads how long a registration is to hold, from the Contact or from
// Expires (RFC 3261 §10.2.1.1); zero takes it off.
func wantedExpiry(req *sip.Request) (time.Duration, error) {
	text := header(req, "Expires")
	if c := req.Contact(); c != nil {
		if own, ok := c.Params.Get("expires"); ok {
			text = own
		}
	}
	if text == "" {
		return expiresDefault, nil
	}
	n, err := strconv.ParseUint(strings.Trim(text, ` "`), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("expires %.20q is no number", text)
	}
	return time.Duration(min(n, uint64(expiresMax/time.Second))) * time.Second, nil
}

// cut bounds what is kept of a device's words, and leaves printable ASCII only.
func cut(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s[:min(len(s), textMax)])
	return s
}

// ownAddress returns the address of ours that a route's device can answer to.
func (p *Platform) ownAddress(to route) netip.AddrPort {
	if to.network == "tls" {
		return p.ownTLS.facing(to.addr.Addr(), p.wire.tlsPort())
	}
	return p.own.facing(to.addr.Addr(), p.wire.port())
}
