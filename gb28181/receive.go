package gb28181

import (
	"bytes"
	"net/netip"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// allowed is what OPTIONS and 405 say.
const allowed = "REGISTER, MESSAGE, NOTIFY, BYE, INFO, OPTIONS, ACK, CANCEL"

// receive takes one message off the wire, on the goroutine of its socket. It
// does what is quick at once (registration, keepalives, answers to our requests)
// and queues the rest. It says whether it was a plain keepalive.
func (p *Platform) receive(from route, msg []byte, mended repairs) (beat bool) {
	if mended.any() {
		p.met.mended(mended)
	}
	g := look(msg)
	if g.response {
		p.receiveResponse(g, msg)
		return false
	}
	now := p.now()
	entry, known := p.book.find(g.user)
	if !known && !p.throttle.stranger(now) {
		p.met.refused("stranger")
		return false
	}
	if p.beat(from, g, msg, now) {
		return true
	}
	m, err := parseMessage(p.parser, msg)
	req, ok := m.(*sip.Request)
	if err != nil || !ok {
		p.met.messages.WithLabelValues(methodLabel(string(g.method)), "malformed").Inc()
		if no := refusal(msg, "Bad Request"); no != nil {
			p.reply(from, no)
		}
		return false
	}
	if answer, kept := p.answers.find(req, from); kept {
		p.reply(from, answer)
		return false
	}
	if req.Method == sip.REGISTER {
		p.register(req, from, entry, known)
		return false
	}
	p.serve(req, from, known, now)
	return false
}

// receiveResponse hands an answer to the request that waits for it.
func (p *Platform) receiveResponse(g glance, msg []byte) {
	if !p.pending.waits(g.branch) {
		p.met.refused("stray_response")
		return
	}
	m, err := parseMessage(p.parser, msg)
	res, ok := m.(*sip.Response)
	if err != nil || !ok {
		p.met.refused("malformed_response")
		return
	}
	p.pending.deliver(p, string(g.branch), res)
}

// reply writes an answer to where the request came from. An answer that cannot be
// written is as good as lost: the device asks again.
func (p *Platform) reply(to route, answer []byte) {
	if err := p.wire.send(to, answer); err != nil {
		p.met.refused("send")
	}
}

// finish answers a request and counts what became of it.
func (p *Platform) finish(req *sip.Request, from route, code int, reason, result string, headers ...sip.Header) {
	p.met.messages.WithLabelValues(methodLabel(string(req.Method)), result).Inc()
	p.reply(from, answerTo(req, from, code, reason, headers...))
}

// serve answers every request but REGISTER.
func (p *Platform) serve(req *sip.Request, from route, known bool, now time.Time) {
	switch req.Method {
	case sip.ACK:
		return
	case sip.OPTIONS:
		p.finish(req, from, 200, "OK", "ok", sip.NewHeader("Allow", allowed), sip.NewHeader("Accept", typeMANSCDP+", "+typeMANSRTSP+", "+typeSDP))
		return
	case sip.CANCEL:
		p.finish(req, from, 481, "Call/Transaction Does Not Exist", "no_dialog")
		return
	case sip.MESSAGE, sip.NOTIFY, sip.BYE, sip.INFO:
	default:
		p.finish(req, from, 405, "Method Not Allowed", "method", sip.NewHeader("Allow", allowed))
		return
	}
	d := p.device(req.From().Address.User)
	dialog := p.dialogs.find(req.CallID().Value())
	if dialog != nil && sameHost(dialog.addr(), from.addr) {
		d = dialog.dev // Hikvision's From inside a dialog is not always the device
	} else if dialog != nil && (d == nil || d != dialog.dev) {
		dialog = nil
	}
	if d == nil || !p.mayTalk(d, dialog, from, req.Body(), now) {
		// 403 makes a device register again, which is what is wanted of one that
		// believes that it still is.
		who := caller{device: req.From().Address.User, addr: from.addr.Addr()}
		if known && !p.throttle.ask(who, now) {
			p.met.refused("insistent")
			return
		}
		p.finish(req, from, 403, "Forbidden", "unregistered")
		return
	}
	switch req.Method {
	case sip.BYE:
		p.receiveBye(req, from, dialog)
	case sip.INFO:
		p.receiveInfo(req, from, dialog)
	default:
		p.receiveBody(req, from, d, dialog, now)
	}
}

// mayTalk says whether a message that claims to be of d is taken, and updates
// what is known of d when it is: the ID in From proves nothing, where it comes
// from does.
func (p *Platform) mayTalk(d *device, dialog *dialog, from route, body []byte, now time.Time) bool {
	beat := bytes.Contains(body, []byte("Keepalive"))
	d.mu.Lock()
	was := d.link.value
	at := d.route
	switch {
	case !d.link.bound || now.After(d.link.expires.Add(expiryGrace)):
		d.mu.Unlock()
		return false
	case d.link.value == ingest.No && d.link.reason != ReasonFlapping && p.opt.Reregister:
		d.mu.Unlock()
		return false
	case sameHost(at.addr, from.addr):
	case at.network == "udp" && !d.link.missed(now), at.network != "udp" && at.alive():
		// The device is heard at its own address: this is somebody else with its
		// ID, or it has just moved, then its next message will be taken.
		d.mu.Unlock()
		p.met.refused("elsewhere")
		return false
	}
	var changed bool
	if beat {
		changed = d.link.beat(now)
	} else {
		changed = d.link.hear(now)
	}
	moved := newerRoute(at, from, dialog != nil) && d.moved(from)
	d.mu.Unlock()
	if from.conn != nil {
		from.conn.trusted.Store(true)
	}
	p.afterwards(d, changed, moved, was)
	return true
}

// newerRoute says whether requests should go to where this message came from. A
// stray datagram of a device that holds a connection does not move it there, nor
// does a call that it leads from another port.
func newerRoute(at, from route, inDialog bool) bool {
	switch {
	case at.addr == from.addr && at.conn == from.conn && at.network == from.network:
		return false
	case !at.alive():
		return true
	case inDialog, from.network == "udp" && at.network != "udp":
		return false
	}
	return true
}

// receiveBody takes MESSAGE and NOTIFY.
func (p *Platform) receiveBody(req *sip.Request, from route, d *device, dialog *dialog, now time.Time) {
	m := incoming{
		dev: d, method: string(req.Method), body: req.Body(), callID: req.CallID().Value(), from: from.addr,
		event: header(req, "Event"), dialog: dialog, charset: parameterOf(req.ContentType(), "charset"),
		ended: bytes.HasPrefix(bytes.ToLower([]byte(header(req, "Subscription-State"))), []byte("terminated")),
	}
	m.root, m.cmdType, m.sn, m.id = scanBody(m.body)
	if m.root == "Notify" && equalFold(m.cmdType, "Keepalive") && !p.wants(m) {
		p.met.keepalives.Inc()
		p.reply(from, answerTo(req, from, 200, "OK"))
		return
	}
	if req.Method == sip.MESSAGE && len(m.body) == 0 {
		p.finish(req, from, 200, "OK", "empty")
		return
	}
	if why := p.inbox.put(m); why != "" {
		// The device sends it again, or asks again.
		p.finish(req, from, 503, "Service Unavailable", why, sip.NewHeader("Retry-After", "5"))
		return
	}
	answer := answerTo(req, from, 200, "OK")
	p.answers.keep(req, from, answer, now)
	p.met.messages.WithLabelValues(methodLabel(string(req.Method)), "ok").Inc()
	p.reply(from, answer)
}

// wants says whether somebody handles keepalives of this form: those that name
// channels with faults.
func (p *Platform) wants(m incoming) bool {
	return bytes.Contains(m.body, []byte("<Info>")) && p.handlerOf(m.root, m.cmdType) != nil
}

func parameterOf(h *sip.ContentTypeHeader, name string) string {
	if h == nil {
		return ""
	}
	return string(bytes.Trim(parameter([]byte(h.Value()), name), `"`))
}

// receiveBye ends a call that the device hangs up.
func (p *Platform) receiveBye(req *sip.Request, from route, d *dialog) {
	if d == nil || d.event != "" {
		p.finish(req, from, 481, "Call/Transaction Does Not Exist", "no_dialog")
		return
	}
	answer := answerTo(req, from, 200, "OK")
	p.answers.keep(req, from, answer, p.now())
	p.met.messages.WithLabelValues("BYE", "ok").Inc()
	p.reply(from, answer)
	d.end(errPeerBye)
}

// receiveInfo takes what a device says inside a call.
func (p *Platform) receiveInfo(req *sip.Request, from route, d *dialog) {
	if d == nil {
		p.finish(req, from, 481, "Call/Transaction Does Not Exist", "no_dialog")
		return
	}
	p.finish(req, from, 200, "OK", "ok")
	if d.onRequest != nil {
		contentType := ""
		if h := req.ContentType(); h != nil {
			contentType = h.Value()
		}
		d.onRequest(string(req.Method), contentType, req.Body())
	}
}

// addr returns where the dialog's device is.
func (d *dialog) addr() netip.AddrPort {
	d.dev.mu.Lock()
	defer d.dev.mu.Unlock()
	return d.dev.route.addr
}
