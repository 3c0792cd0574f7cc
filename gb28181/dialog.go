package gb28181

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// The content types of GB/T 28181.
const (
	typeMANSCDP  = "Application/MANSCDP+xml"
	typeMANSRTSP = "Application/MANSRTSP"
	typeSDP      = "application/sdp"
)

// Why a dialog ended.
var (
	errPeerBye    = errors.New("the device hung up")
	errTerminated = errors.New("the device ended the subscription")
)

// invitation is what INVITE asks for.
type invitation struct {
	target  string // channel ID: user part of Request-URI and To
	subject string // GB/T 28181-2022 annex L: "<sender>:<n>,<receiver>:<n>"
	offer   []byte // SDP
	headers []sip.Header

	// onRequest hears INFO of the device inside the call; may be nil, must not
	// block.
	onRequest func(method, contentType string, body []byte)
}

// dialog is one dialog that we opened towards a device (RFC 3261 §12): a call, or
// a subscription. It ends by BYE of either side, or by the end of a subscription.
type dialog struct {
	p         *Platform
	dev       *device
	target    string
	callID    string
	tag       string // ours
	event     string // of a subscription, "" for a call
	onRequest func(method, contentType string, body []byte)
	onNotify  func(m incoming)
	done      chan struct{}

	mu     sync.Mutex
	cseq   uint32
	answer *sip.Response // the 2xx that opened it
	err    error
	ended  bool
}

// dialogs are those that stand, or are being opened, by Call-ID.
type dialogs struct {
	mu   sync.Mutex
	open map[string]*dialog
}

func newDialogs() *dialogs { return &dialogs{open: make(map[string]*dialog)} }

func (ds *dialogs) len() int {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	return len(ds.open)
}

func (ds *dialogs) find(callID string) *dialog {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	return ds.open[callID]
}

func (ds *dialogs) all() []*dialog {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	list := make([]*dialog, 0, len(ds.open))
	for _, d := range ds.open {
		list = append(list, d)
	}
	return list
}

// newDialog makes a dialog and lets it be found: a BYE or NOTIFY may overtake the
// answer that opens it.
func (p *Platform) newDialog(dev *device, target, event string) *dialog {
	d := &dialog{p: p, dev: dev, target: target, event: event, callID: newToken() + "@" + p.id, tag: newToken(), done: make(chan struct{})}
	p.dialogs.mu.Lock()
	p.dialogs.open[d.callID] = d
	p.dialogs.mu.Unlock()
	return d
}

// end closes the dialog at our side; it reports whether it stood until now.
func (d *dialog) end(why error) bool {
	d.p.dialogs.mu.Lock()
	delete(d.p.dialogs.open, d.callID)
	d.p.dialogs.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		return false
	}
	d.ended, d.err = true, why
	close(d.done)
	return true
}

// invite sends INVITE, waits for the final answer and acknowledges it. When ctx
// ends first, or nobody answers in 32 s, the call is cancelled, and a late 2xx is
// acknowledged and hung up: nothing is left behind at the device. Other final
// answers are a *statusError.
func (p *Platform) invite(ctx context.Context, dev *device, inv invitation) (*dialog, error) {
	if p.isStopping() {
		return nil, errStopping
	}
	to, err := dev.way()
	if err != nil {
		return nil, err
	}
	d := p.newDialog(dev, inv.target, "")
	d.onRequest = inv.onRequest
	req := p.newRequest(heading{sip.INVITE, inv.target, d.callID, d.tag, d.nextCSeq()}, to, p.ownAddress(to))
	headers := []sip.Header{p.contact(to)}
	if inv.subject != "" {
		headers = append(headers, sip.NewHeader("Subject", inv.subject))
	}
	attach(req, typeSDP, inv.offer, append(headers, inv.headers...))
	res, err := p.call(ctx, to, req, d)
	if err == nil {
		err = statusOf(res)
	}
	if err != nil {
		d.end(err)
		return nil, err
	}
	if err := d.Err(); err != nil { // its BYE was faster than its 200
		return nil, err
	}
	return d, nil
}

// call runs an INVITE transaction. Whatever comes after it has returned is seen
// to by lateAnswer.
func (p *Platform) call(ctx context.Context, to route, req *sip.Request, d *dialog) (*sip.Response, error) {
	branch, _ := req.Via().Params.Get("branch")
	w := &waiter{method: sip.INVITE, answers: make(chan *sip.Response, 16)}
	if !p.pending.add(branch, w) {
		return nil, errors.New("too many requests wait for answers")
	}
	began := time.Now()
	rings := false
	res, err := p.await(ctx, to, marshal(req), w, func(*sip.Response) { rings = true })
	p.met.asked("INVITE", resultOf(res, err), time.Since(began))
	if err != nil {
		l := &lateInvite{d: d, req: req, to: to, hangUp: true}
		p.pending.remove(branch, l.take, time.Now())
		if rings {
			l.cancel(p)
		}
		return nil, err
	}
	l := &lateInvite{d: d, req: req, to: to}
	d.opened(res)
	p.pending.remove(branch, l.take, time.Now())
	l.acknowledge(p, res)
	return res, nil
}

// lateInvite answers what the device sends to an INVITE after its transaction's
// owner has left: repeated final answers are acknowledged again, and a call that
// nobody wants any more is cancelled and hung up.
type lateInvite struct {
	d      *dialog
	req    *sip.Request
	to     route
	hangUp bool

	mu        sync.Mutex
	cancelled bool
	hung      bool
}

func (l *lateInvite) take(p *Platform, res *sip.Response) {
	if res.IsProvisional() {
		if l.hangUp {
			l.cancel(p) // RFC 3261 §9.1: not before the device has said something
		}
		return
	}
	l.acknowledge(p, res)
	if !l.hangUp || !res.IsSuccess() {
		return
	}
	l.mu.Lock()
	again := l.hung
	l.hung = true
	l.mu.Unlock()
	if !again {
		l.d.opened(res)
		bye := l.d.newRequest(sip.BYE, l.to)
		bye.SetBody(nil)
		if !p.spawn(func(ctx context.Context) { _, _ = p.transact(ctx, l.to, bye, nil) }) {
			p.reply(l.to, marshal(bye)) // stopping: once is better than not at all
		}
	}
}

// cancel sends CANCEL, once (RFC 3261 §9.1: same branch, same CSeq number).
func (l *lateInvite) cancel(p *Platform) {
	l.mu.Lock()
	again := l.cancelled
	l.cancelled = true
	l.mu.Unlock()
	if again {
		return
	}
	req := sip.NewRequest(sip.CANCEL, l.req.Recipient)
	for _, h := range []sip.Header{l.req.Via(), l.req.From(), l.req.To(), l.req.CallID(), &sip.CSeqHeader{SeqNo: l.req.CSeq().SeqNo, MethodName: sip.CANCEL}, l.req.MaxForwards()} {
		req.AppendHeader(h)
	}
	req.SetBody(nil)
	p.reply(l.to, marshal(req))
}

// acknowledge sends ACK: for a 2xx a request of its own (RFC 3261 §13.2.2.4), for
// others part of the INVITE's transaction (§17.1.1.3).
func (l *lateInvite) acknowledge(p *Platform, res *sip.Response) {
	var ack *sip.Request
	if res.IsSuccess() {
		ack = l.d.newRequestAt(sip.ACK, l.to, l.req.CSeq().SeqNo, res)
	} else {
		ack = sip.NewRequest(sip.ACK, l.req.Recipient)
		for _, h := range []sip.Header{l.req.Via(), l.req.From(), sip.HeaderClone(res.To()), l.req.CallID(), &sip.CSeqHeader{SeqNo: l.req.CSeq().SeqNo, MethodName: sip.ACK}, l.req.MaxForwards()} {
			ack.AppendHeader(h)
		}
		ack.SetBody(nil)
	}
	p.reply(l.to, marshal(ack))
}

// contact is where a device that is reached by to may reach us.
func (p *Platform) contact(to route) sip.Header {
	own := p.ownAddress(to)
	at := sip.Uri{Scheme: "sip", User: p.id, Host: own.Addr().String(), Port: int(own.Port())}
	if to.network == "tls" {
		at.UriParams = sip.NewParams() // without it the port would be taken for that of UDP
		at.UriParams.Add("transport", "tls")
	}
	return &sip.ContactHeader{Address: at}
}

func (d *dialog) nextCSeq() uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cseq++
	return d.cseq
}

// opened keeps the answer that opened the dialog.
func (d *dialog) opened(res *sip.Response) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if res.IsSuccess() {
		d.answer = res
	}
}

// Answer is the device's 2xx to the INVITE or SUBSCRIBE.
func (d *dialog) Answer() *sip.Response {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.answer
}

// CallID names the dialog; NOTIFY MediaStatus is matched by it.
func (d *dialog) CallID() string { return d.callID }

// Done is closed when the dialog has ended, by whichever side.
func (d *dialog) Done() <-chan struct{} { return d.done }

// Err says why it ended: nil while it stands and after our own bye or
// unsubscription, errPeerBye or errTerminated when the device ended it.
func (d *dialog) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// newRequest builds the next request inside the dialog (RFC 3261 §12.2.1.1).
func (d *dialog) newRequest(method sip.RequestMethod, to route) *sip.Request {
	return d.newRequestAt(method, to, d.nextCSeq(), d.Answer())
}

// newRequestAt builds a request with a CSeq. The Request-URI is the device's
// Contact, if it gave one; where it is sent is its route, whatever the Contact
// says. An answer without a tag leaves the To without one.
func (d *dialog) newRequestAt(method sip.RequestMethod, to route, cseq uint32, answer *sip.Response) *sip.Request {
	own := d.p.ownAddress(to)
	req := d.p.newRequest(heading{method, d.target, d.callID, d.tag, cseq}, to, own)
	if answer == nil {
		return req
	}
	if c := answer.Contact(); c != nil && c.Address.Host != "" && !c.Address.Wildcard {
		req.Recipient = *c.Address.Clone()
	}
	if tag, ok := answer.To().Params.Get("tag"); ok {
		req.To().Params.Add("tag", tag)
	}
	records := answer.GetHeaders("Record-Route")
	for i := len(records) - 1; i >= 0; i-- {
		req.AppendHeader(sip.NewHeader("Route", records[i].Value()))
	}
	if method == sip.ACK {
		req.SetBody(nil)
	}
	return req
}

// request sends a request inside the dialog and waits for its 2xx.
func (d *dialog) request(ctx context.Context, method sip.RequestMethod, contentType string, body []byte, headers ...sip.Header) (*sip.Response, error) {
	to, err := d.dev.way()
	if err != nil {
		return nil, err
	}
	req := d.newRequest(method, to)
	attach(req, contentType, body, headers)
	res, err := d.p.transact(ctx, to, req, nil)
	if err != nil {
		return nil, err
	}
	if res.StatusCode == 481 { // the device knows nothing of it, after its restart
		d.end(errPeerBye)
	}
	return res, statusOf(res)
}

// info sends MANSRTSP (GB/T 28181 annex B) and returns the device's answer.
func (d *dialog) info(ctx context.Context, body []byte) (*sip.Response, error) {
	return d.request(ctx, sip.INFO, typeMANSRTSP, body)
}

// bye ends a call. It may be called again and from anywhere; only the first one
// sends. It blocks until the device answers, ctx, or 64·T1. A device that answers
// anything has heard it; a device that is not reached is sent the BYE all the same
// when it was a datagram's address, for it may only seem gone.
func (d *dialog) bye(ctx context.Context) error {
	if !d.end(nil) {
		return nil
	}
	d.dev.mu.Lock()
	to := d.dev.route
	d.dev.mu.Unlock()
	if !to.alive() {
		return errOffline
	}
	req := d.newRequest(sip.BYE, to)
	req.SetBody(nil)
	_, err := d.p.transact(ctx, to, req, nil)
	return err
}

// subscription is what SUBSCRIBE asks for.
type subscription struct {
	target  string // device or channel ID
	event   string // "Catalog;id=1", "presence"
	expires int    // seconds
	body    []byte

	// onNotify hears every NOTIFY of this dialog, after the handler of its body;
	// may be nil, must not block.
	onNotify func(m incoming)
}

// subscribe opens a subscription (RFC 6665, GB/T 28181 §9.11). It lasts until the
// device ends it or refresh with 0; the caller refreshes it in time.
func (p *Platform) subscribe(ctx context.Context, dev *device, sub subscription) (*dialog, error) {
	if p.isStopping() {
		return nil, errStopping
	}
	to, err := dev.way()
	if err != nil {
		return nil, err
	}
	d := p.newDialog(dev, sub.target, sub.event)
	d.onNotify = sub.onNotify
	res, err := d.subscribe(ctx, to, sub.expires, sub.body)
	if err != nil {
		d.end(err)
		return nil, err
	}
	d.opened(res)
	return d, nil
}

// subscribe sends SUBSCRIBE, the first one or a later one.
func (d *dialog) subscribe(ctx context.Context, to route, expires int, body []byte) (*sip.Response, error) {
	req := d.newRequest(sip.SUBSCRIBE, to)
	attach(req, typeMANSCDP, body, []sip.Header{
		d.p.contact(to), sip.NewHeader("Event", d.event), sip.NewHeader("Expires", strconv.Itoa(expires)),
	})
	res, err := d.p.transact(ctx, to, req, nil)
	if err != nil {
		return nil, err
	}
	return res, statusOf(res)
}

// refresh renews a subscription inside its dialog; expires 0 ends it. A 481 ends
// it as well: the device has forgotten it.
func (d *dialog) refresh(ctx context.Context, expires int, body []byte) (*sip.Response, error) {
	to, err := d.dev.way()
	if err != nil {
		return nil, err
	}
	res, err := d.subscribe(ctx, to, expires, body)
	if se, ok := errors.AsType[*statusError](err); ok && se.Code == 481 {
		d.end(errTerminated)
	}
	if expires == 0 {
		d.end(nil)
	}
	return res, err
}
