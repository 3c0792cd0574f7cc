package simulate

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// session is one stream that the platform asked for.
type session struct {
	d       *device
	channel *channel
	offer   offer
	ssrc    uint32
	// The dialog, from our side.
	callID, from, to, target string

	listener net.Listener // TCP, when the platform is active
	udp      *net.UDPConn // UDP

	cancel context.CancelFunc // ends it without a BYE
	acked  chan struct{}
	once   atomic.Bool // acked is closed
	key    atomic.Bool // a key frame is asked for
	orders chan order  // of INFO
}

// order is what an INFO changes.
type order struct {
	pause bool
	scale float64       // 0: as before; below 0: backwards
	seek  time.Duration // -1: none
}

// onInvite answers a request for a stream and starts it.
func (d *device) onInvite(m *message) *message {
	id := user(m.uri)
	c := d.find(id)
	if c == nil { // some platforms write the device there and the channel in Subject
		subject, _, _ := strings.Cut(m.get("subject"), ":")
		c = d.find(subject)
	}
	o, err := parseOffer(m.body)
	switch {
	case c == nil:
		return m.answer(404, random())
	case err != nil:
		return m.answer(488, random())
	case c.clip == nil:
		return m.answer(486, random())
	}
	s := &session{d: d, channel: c, offer: o, callID: m.get("call-id"), acked: make(chan struct{}), orders: make(chan order, 8)}
	ssrc := o.ssrc
	if ssrc == "" {
		ssrc = fmt.Sprintf("0%s%04d", d.id[3:8], d.index%10000)
	}
	n, err := strconv.ParseUint(ssrc, 10, 32)
	if err != nil {
		return m.answer(488, random())
	}
	s.ssrc = uint32(n)
	local, setup, err := s.open()
	if err != nil {
		return m.answer(500, random())
	}
	r := m.answer(200, random(), header{"Content-Type", "APPLICATION/SDP"})
	s.from, s.to, s.target = r.get("to"), m.get("from"), address(m.get("contact"))
	if s.target == "" {
		s.target = address(s.to)
	}
	r.body = d.answerSDP(o, c.id, local, setup, ssrc)
	if d.has(NoSDP) {
		r.body = nil
	}
	d.mu.Lock()
	r.headers = append(r.headers, header{"Contact", d.contact(d.line)})
	d.mu.Unlock()
	d.event(c.id, EventInvited, "%s", o.name)
	if !d.start(s, r.bytes()) {
		s.close()
		return m.answer(486, random())
	}
	return r
}

// start lets a session run. answer is repeated until the ACK comes.
func (d *device) start(s *session, answer []byte) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running == nil || d.running.Err() != nil || len(d.sessions) >= maxSessions {
		return false
	}
	ctx, cancel := context.WithCancel(d.running)
	s.cancel = cancel
	d.sessions[s.callID] = s
	d.sim.stats.sessions.Add(1)
	d.sim.work.Go(func() {
		defer func() {
			cancel()
			s.close()
			d.mu.Lock()
			if d.sessions[s.callID] == s {
				delete(d.sessions, s.callID)
			}
			d.mu.Unlock()
			d.sim.stats.sessions.Add(-1)
		}()
		s.run(ctx, answer)
	})
	return true
}

// open makes the local side: a UDP socket, or a listener when the platform
// dials. Towards a platform that listens, the port is a formality (RFC 4145
// §4.1: 9, discard).
func (s *session) open() (local netip.AddrPort, setup string, err error) {
	bind := s.d.sim.opt.Bind
	switch {
	case !s.offer.tcp:
		if s.udp, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(addrPort(bind, 0))); err != nil {
			return local, "", err
		}
		return s.udp.LocalAddr().(*net.UDPAddr).AddrPort(), "", nil
	case s.offer.setup == "active":
		if s.listener, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addrPort(bind, 0))); err != nil {
			return local, "", err
		}
		return s.listener.Addr().(*net.TCPAddr).AddrPort(), "passive", nil
	}
	return addrPort(bind, 9), "active", nil
}

func (s *session) close() {
	if s.udp != nil {
		_ = s.udp.Close()
	}
	if s.listener != nil {
		_ = s.listener.Close()
	}
}

// run waits for the ACK, sends the stream, and says how it ended.
func (s *session) run(ctx context.Context, answer []byte) {
	if !s.awaitAck(ctx, answer) {
		s.d.event(s.channel.id, EventEnded, "no ACK")
		return
	}
	media, err := s.connect(ctx)
	if err == nil {
		defer media.close()
		s.d.event(s.channel.id, EventPlaying, "%s", s.offer.name)
		err = s.play(ctx, media)
	}
	switch {
	case ctx.Err() != nil:
		s.d.event(s.channel.id, EventEnded, "by the platform")
		return
	case err == nil: // the end of a record: the platform is told, and hangs up
		s.tell(ctx, "MESSAGE", s.d.document("Notify", "MediaStatus", s.d.nextSN(), s.channel.id, node("NotifyType", "121")))
		if !pause(ctx, 5*time.Second) {
			s.d.event(s.channel.id, EventEnded, "end of record")
			return
		}
	}
	s.tell(ctx, "BYE", nil)
	s.d.event(s.channel.id, EventEnded, "by the device: %v", err)
}

// awaitAck repeats the answer until the ACK comes (RFC 3261 §13.3.1.4).
func (s *session) awaitAck(ctx context.Context, answer []byte) bool {
	s.d.mu.Lock()
	l := s.d.line
	s.d.mu.Unlock()
	wait := 500 * time.Millisecond
	for range 5 {
		t := time.NewTimer(wait)
		select {
		case <-s.acked:
			t.Stop()
			return true
		case <-ctx.Done():
			t.Stop()
			return false
		case <-t.C:
			if l.proto == "UDP" {
				_ = l.send(answer)
			}
			wait = min(2*wait, 4*time.Second)
		}
	}
	return false
}

// tell sends a request within the dialog and waits for its answer.
func (s *session) tell(ctx context.Context, method string, body []byte) {
	kind := ""
	if body != nil {
		kind = xmlType
	}
	s.d.transact(ctx, s.d.build(method, place{s.target, s.callID, s.from, s.to}, kind, body))
}

func (d *device) session(callID string) *session {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sessions[callID]
}

func (d *device) onAck(m *message) {
	if s := d.session(m.get("call-id")); s != nil && !s.once.Swap(true) {
		close(s.acked)
	}
}

func (d *device) onBye(m *message) *message {
	s := d.session(m.get("call-id"))
	if s == nil {
		return m.answer(481, random())
	}
	s.cancel()
	return m.answer(200, "")
}

// onInfo takes MANSRTSP (GB/T 28181 annex B): play, pause, seek, speed, end.
func (d *device) onInfo(m *message) *message {
	s := d.session(m.get("call-id"))
	if s == nil {
		return m.answer(481, random())
	}
	request, _, _ := strings.Cut(string(m.body), "\r\n")
	verb, _, _ := strings.Cut(request, " ")
	o, cseq := order{seek: -1}, ""
	for line := range strings.Lines(string(m.body)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		switch strings.ToLower(key) {
		case "cseq":
			cseq = value
		case "scale":
			o.scale, _ = strconv.ParseFloat(value, 64)
		case "range":
			from, _, _ := strings.Cut(strings.TrimPrefix(value, "npt="), "-")
			if seconds, err := strconv.ParseFloat(from, 64); err == nil && seconds >= 0 {
				o.seek = time.Duration(seconds * float64(time.Second))
			}
		}
	}
	d.event(s.channel.id, EventInfo, "%s scale=%g seek=%s", verb, o.scale, o.seek)
	switch verb {
	case "PLAY":
	case "PAUSE":
		o.pause = true
	case "TEARDOWN":
		s.cancel()
	default:
		return m.answer(400, "")
	}
	backwards := d.sim.opt.Version >= "3.0" && s.offer.name == "Playback" // new in 2022, and of records only
	if math.Abs(o.scale) > 64 || (o.scale < 0 && !backwards) {
		return m.answer(400, "")
	}
	select {
	case s.orders <- o:
	default:
		return m.answer(500, "")
	}
	r := m.answer(200, "", header{"Content-Type", "Application/MANSRTSP"})
	r.body = fmt.Appendf(nil, "RTSP/1.0 200 OK\r\nCSeq: %s\r\n\r\n", cseq)
	return r
}

// keyFrame lets the sessions of a channel (or of the whole device) go on with a
// key frame.
func (d *device) keyFrame(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.sessions {
		if id == d.id || s.channel.id == id {
			s.key.Store(true)
		}
	}
}
