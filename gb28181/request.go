package gb28181

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Errors that callers decide by.
var (
	errOffline  = errors.New("the device is not registered")
	errLost     = error(lostError{})
	errTimeout  = errors.New("the device did not answer")
	errStopping = errors.New("the platform is stopping")
)

// lostError is errOffline of a device that still counts as registered: its
// connection broke a moment ago, and it has the time of reconnectGrace to come
// back.
type lostError struct{}

// Error implements error.
func (lostError) Error() string { return "connection lost, waiting for it to come back" }

// Is makes it errOffline to whoever only decides by that.
func (lostError) Is(target error) bool { return target == errOffline }

// The timers of RFC 3261 §17.
const (
	timerT1 = 500 * time.Millisecond
	timerT2 = 4 * time.Second
	timerB  = 64 * timerT1 // until an unanswered request is given up
)

// maxPending bounds the requests that wait for answers.
const maxPending = 65536

// statusError is a final answer other than 2xx.
type statusError struct {
	Code   int
	Reason string // the device's words
}

// Error implements error.
func (e *statusError) Error() string {
	return fmt.Sprintf("the device answered %d %s", e.Code, e.Reason)
}

// send asks the device outside any dialog and returns its 2xx. It goes to where
// the device was last heard from, over the connection it came by, from the
// listening port. Other final answers are a *statusError. It blocks until the
// answer, ctx, or 64·T1 = 32 s.
func (p *Platform) send(ctx context.Context, dev *device, method sip.RequestMethod, contentType string, body []byte, headers ...sip.Header) (*sip.Response, error) {
	to, err := dev.way()
	if err != nil {
		return nil, err
	}
	own := p.ownAddress(to)
	req := p.newRequest(heading{method: method, target: dev.id, callID: newToken(), tag: newToken(), cseq: 1}, to, own)
	attach(req, contentType, body, headers)
	res, err := p.transact(ctx, to, req, nil)
	if err != nil {
		return nil, err
	}
	return res, statusOf(res)
}

// statusOf returns a *statusError for everything but 2xx.
func statusOf(res *sip.Response) error {
	if res.IsSuccess() {
		return nil
	}
	return &statusError{Code: res.StatusCode, Reason: cut(res.Reason)}
}

// newToken returns 16 random hex digits: a branch, tag or Call-ID that nobody can
// guess.
func newToken() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}

// heading is what distinguishes one request from another.
type heading struct {
	method sip.RequestMethod
	target string // user part of Request-URI and To
	callID string
	tag    string // of From
	cseq   uint32
}

// newRequest builds a request to a device (GB/T 28181 §9 and annex K: From is our
// ID in our domain, the Request-URI is the target at the device's address).
func (p *Platform) newRequest(h heading, to route, own netip.AddrPort) *sip.Request {
	host, port := to.addr.Addr().String(), int(to.addr.Port())
	req := sip.NewRequest(h.method, sip.Uri{Scheme: "sip", User: h.target, Host: host, Port: port})
	via := &sip.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: strings.ToUpper(to.network), Host: own.Addr().String(), Port: int(own.Port())}
	via.Params.Add("rport", "")
	via.Params.Add("branch", sip.RFC3261BranchMagicCookie+newToken())
	from := &sip.FromHeader{Address: sip.Uri{Scheme: "sip", User: p.id, Host: p.domain}}
	from.Params.Add("tag", h.tag)
	id := sip.CallIDHeader(h.callID)
	hops := sip.MaxForwardsHeader(70)
	for _, one := range []sip.Header{
		via, from, &sip.ToHeader{Address: sip.Uri{Scheme: "sip", User: h.target, Host: p.domain}},
		&id, &sip.CSeqHeader{SeqNo: h.cseq, MethodName: h.method}, &hops,
		sip.NewHeader("User-Agent", p.agent),
	} {
		req.AppendHeader(one)
	}
	return req
}

// attach adds headers and a body.
func attach(req *sip.Request, contentType string, body []byte, headers []sip.Header) {
	for _, h := range headers {
		req.AppendHeader(h)
	}
	if contentType != "" {
		h := sip.ContentTypeHeader(contentType)
		req.AppendHeader(&h)
	}
	req.SetBody(body)
}

// waiter is one client transaction.
type waiter struct {
	method  sip.RequestMethod
	answers chan *sip.Response // provisional and final; never blocks the socket

	// late takes what comes after the transaction's owner has left; nil: dropped.
	late    func(p *Platform, res *sip.Response)
	expires time.Time // when a late answer is not expected any more; zero while owned
}

// pending is the client transactions, by the branch of their Via (RFC 3261
// §17.1.3).
type pending struct {
	mu      sync.Mutex
	waiters map[string]*waiter
}

func newPending() *pending { return &pending{waiters: make(map[string]*waiter)} }

func (t *pending) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.waiters)
}

func (t *pending) waits(branch []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.waiters[string(branch)]
	return ok
}

func (t *pending) add(branch string, w *waiter) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiters) >= maxPending {
		return false
	}
	t.waiters[branch] = w
	return true
}

// remove ends a transaction; with late, answers are taken for 64·T1 more.
func (t *pending) remove(branch string, late func(*Platform, *sip.Response), now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.waiters[branch]
	if late == nil || w == nil {
		delete(t.waiters, branch)
		return
	}
	w.late, w.expires = late, now.Add(timerB)
}

// deliver hands a response to whoever waits for it.
func (t *pending) deliver(p *Platform, branch string, res *sip.Response) {
	t.mu.Lock()
	w := t.waiters[branch]
	if w == nil || w.method != res.CSeq().MethodName {
		t.mu.Unlock()
		p.met.refused("stray_response")
		return
	}
	late := w.late
	if late == nil {
		select {
		case w.answers <- res:
		default: // many provisional ones: the next counts as well
		}
	}
	t.mu.Unlock()
	if late != nil {
		late(p, res)
	}
}

// sweep forgets transactions for which even late answers are too late.
func (t *pending) sweep(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for branch, w := range t.waiters {
		if !w.expires.IsZero() && now.After(w.expires) {
			delete(t.waiters, branch)
		}
	}
}

// transact sends a request and returns its final answer, whatever it is. Over UDP
// it repeats the request until something comes back (RFC 3261 §17.1). provisional
// hears 1xx; it may be nil. When it returns an error, late answers are dropped,
// unless the caller arranged otherwise with pending.remove before.
func (p *Platform) transact(ctx context.Context, to route, req *sip.Request, provisional func(*sip.Response)) (*sip.Response, error) {
	branch, _ := req.Via().Params.Get("branch")
	w := &waiter{method: req.Method, answers: make(chan *sip.Response, 16)}
	if !p.pending.add(branch, w) {
		return nil, errors.New("too many requests wait for answers")
	}
	defer func() {
		p.pending.mu.Lock()
		if w.late == nil {
			delete(p.pending.waiters, branch)
		}
		p.pending.mu.Unlock()
	}()
	began := time.Now()
	res, err := p.await(ctx, to, marshal(req), w, provisional)
	p.met.asked(methodLabel(string(req.Method)), resultOf(res, err), time.Since(began))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", req.Method, err)
	}
	return res, nil
}

// resultOf is the label of an answer.
func resultOf(res *sip.Response, err error) string {
	switch {
	case err == nil:
		return [...]string{"1xx", "2xx", "3xx", "4xx", "5xx", "6xx"}[min(max(res.StatusCode/100, 1), 6)-1]
	case errors.Is(err, errTimeout):
		return "timeout"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "canceled"
	}
	return "gone"
}

// await repeats msg until a final answer comes.
func (p *Platform) await(ctx context.Context, to route, msg []byte, w *waiter, provisional func(*sip.Response)) (*sip.Response, error) {
	if w.method == sip.INVITE {
		defer p.wire.hurry()()
	}
	if err := p.wire.send(to, msg); err != nil {
		return nil, err
	}
	wait := timerT1
	again := time.NewTimer(wait)
	defer again.Stop()
	giveUp := time.NewTimer(timerB)
	defer giveUp.Stop()
	heard := false
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-giveUp.C:
			if w.method == sip.INVITE && heard {
				giveUp.Reset(timerB) // it rings: the caller's ctx decides
				continue
			}
			return nil, errTimeout
		case <-again.C:
			if to.network != "udp" {
				if !to.alive() {
					return nil, errGone
				}
				again.Reset(timerT1)
				continue
			}
			if w.method == sip.INVITE && heard {
				continue
			}
			if err := p.wire.send(to, msg); err != nil {
				return nil, err
			}
			wait *= 2
			if w.method != sip.INVITE {
				wait = min(wait, timerT2)
			}
			again.Reset(wait)
		case res := <-w.answers:
			if !res.IsProvisional() {
				return res, nil
			}
			heard = true
			if provisional != nil {
				provisional(res)
			}
		}
	}
}

// own finds the address of ours that a device can answer to, when we listen on
// all of them.
type own struct {
	listen netip.Addr // unspecified: look it up

	mu    sync.Mutex
	known map[netip.Addr]netip.Addr
}

const maxOwn = 4096 // remembered hosts

func newOwn(listen string) *own {
	o := &own{known: make(map[netip.Addr]netip.Addr)}
	if host, _, err := net.SplitHostPort(listen); err == nil {
		o.listen, _ = netip.ParseAddr(host)
	}
	return o
}

// facing returns the address that a packet to host leaves from. Nothing is sent:
// connecting a UDP socket only looks at the routing table.
func (o *own) facing(host netip.Addr, port uint16) netip.AddrPort {
	if o.listen.IsValid() && !o.listen.IsUnspecified() {
		return netip.AddrPortFrom(o.listen, port)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if a, ok := o.known[host]; ok {
		return netip.AddrPortFrom(a, port)
	}
	a := netip.IPv4Unspecified()
	if c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(host, 9))); err == nil {
		a = c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
		_ = c.Close()
	}
	if len(o.known) >= maxOwn {
		clear(o.known)
	}
	o.known[host] = a
	return netip.AddrPortFrom(a, port)
}
