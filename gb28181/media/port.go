package media

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of what strangers may open on a port, beside what is expected.
const (
	maxPending     = 512 // TCP connections that have not shown whose they are
	maxPendingHost = 64  // and of one address
	identifyWithin = 10 * time.Second
)

// port is a UDP socket and a TCP listener of the same number, and a UDP socket
// above it for RTCP if that was free.
type port struct {
	r      *Receiver
	number uint16
	udp    *net.UDPConn
	rtcp   *net.UDPConn // nil: reports leave from udp
	tcp    *net.TCPListener
	own    *Stream // the only stream of a port of a range

	mu      sync.RWMutex
	bySSRC  map[uint32]*Stream       // the shared port's
	waiting map[netip.Addr][]*Stream // expected from there, nothing came so far
	strays  strays
	pending map[net.Conn]netip.Addr
	perHost map[netip.Addr]int
	closed  bool

	received, unknown, garbage, refused, strange atomic.Uint64

	done sync.WaitGroup
}

// listen opens a port; with number 0 one that the system chooses.
func listen(r *Receiver, number uint16, buffer int) (*port, error) {
	tries := 1
	if number == 0 {
		tries = 10 // a free TCP port need not be a free UDP port
	}
	var last error
	for range tries {
		tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(r.opt.Listen, number)))
		if err != nil {
			return nil, err
		}
		got := uint16(tcp.Addr().(*net.TCPAddr).Port)
		udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(r.opt.Listen, got)))
		if err != nil {
			_ = tcp.Close() // of no use alone
			last = err
			continue
		}
		// What the system does not grant shows as loss, which is counted.
		_ = udp.SetReadBuffer(buffer)
		p := &port{
			r: r, number: got, udp: udp, tcp: tcp,
			bySSRC: make(map[uint32]*Stream), waiting: make(map[netip.Addr][]*Stream), strays: strays{all: make(map[source]stray)},
			pending: make(map[net.Conn]netip.Addr), perHost: make(map[netip.Addr]int),
		}
		if got < 65535 {
			if c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(r.opt.Listen, got+1))); err == nil {
				p.rtcp = c
			}
		}
		return p, nil
	}
	return nil, fmt.Errorf("no number free for both udp and tcp: %w", last)
}

// serve begins to read. own is the only stream of the port, nil on a shared one.
func (p *port) serve(own *Stream) {
	p.own = own
	p.done.Go(p.readUDP)
	p.done.Go(p.accept)
	if p.rtcp != nil {
		p.done.Go(p.drainRTCP)
	}
}

// close closes the sockets and every connection and waits for the readers.
func (p *port) close() {
	p.mu.Lock()
	p.closed = true
	for c := range p.pending {
		_ = c.Close() // its reader says goodbye
	}
	p.mu.Unlock()
	_ = p.udp.Close() // nothing to flush in any of them
	_ = p.tcp.Close()
	if p.rtcp != nil {
		_ = p.rtcp.Close()
	}
	p.done.Wait()
}

// expect puts a stream on the shared port.
func (p *port) expect(s *Stream) error {
	s.others = p.others()
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.want.SSRC != 0 {
		if p.bySSRC[s.want.SSRC] != nil {
			return fmt.Errorf("ssrc %010d is expected already", s.want.SSRC)
		}
		p.bySSRC[s.want.SSRC] = s
	}
	if s.want.Remote.IsValid() {
		p.wait(s, s.want.Remote.Addr())
	}
	return nil
}

// others returns how much came to the port that belongs to no stream.
func (p *port) others() uint64 { return p.unknown.Load() + p.strange.Load() }

// wait adds s to those expected from a; p.mu is held.
func (p *port) wait(s *Stream, a netip.Addr) {
	a = a.Unmap()
	p.waiting[a] = append(p.waiting[a], s)
}

// forget takes a stream off the shared port. What comes of it later is not for
// another one to take.
func (p *port) forget(s *Stream) {
	now := time.Now()
	gone := stray{camera: s.want.Camera, first: now, last: now}
	st := s.Stats()
	p.mu.Lock()
	defer p.mu.Unlock()
	for ssrc, t := range p.bySSRC { // it may have been given more than one
		if t == s {
			delete(p.bySSRC, ssrc)
			if !st.WrongSSRC || ssrc != st.SSRC { // another device may choose the same one
				p.strays.put(source{ssrc: ssrc}, gone, now)
			}
		}
	}
	if st.Packets > 0 {
		p.strays.put(sourceOf(st.SSRC, st.Remote, st.Transport == "udp"), gone, now)
	}
	for a := range p.waiting {
		p.arrived(s, a)
	}
}

// arrived takes s off those expected from a; p.mu is held.
func (p *port) arrived(s *Stream, a netip.Addr) {
	var rest []*Stream
	for _, t := range p.waiting[a] {
		if t != s {
			rest = append(rest, t)
		}
	}
	if len(rest) == 0 {
		delete(p.waiting, a)
		return
	}
	p.waiting[a] = rest
}

// stream finds whose a packet is: by SSRC, else that of the one stream that is
// expected from there and has nothing yet, if its sender is new.
func (p *port) stream(ssrc uint32, from netip.AddrPort, udp bool, at time.Time) *Stream {
	if p.own != nil {
		return p.own
	}
	p.mu.RLock()
	s := p.bySSRC[ssrc]
	p.mu.RUnlock()
	if s != nil {
		return s
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s = p.guess(ssrc, from, udp, at); s != nil {
		p.arrived(s, from.Addr().Unmap())
		p.bySSRC[ssrc] = s
	}
	return s
}

// guess finds the stream that a sender of unknown SSRC must be, or nil: a wrong
// picture is worse than none. p.mu is held.
func (p *port) guess(ssrc uint32, from netip.AddrPort, udp bool, at time.Time) *Stream {
	var one *Stream
	count, named := 0, false
	for _, t := range p.waiting[from.Addr().Unmap()] {
		if (t.want.Transport == UDP) != udp || t.arrived() {
			continue
		}
		if port := t.remote().Port(); port != 0 && port == from.Port() {
			one, count, named = t, 1, true
			break
		}
		one, count = t, count+1
	}
	anywhere, k := source{ssrc: ssrc}, sourceOf(ssrc, from, udp)
	if count == 1 && p.strays.may(anywhere, one, named, at) && p.strays.may(k, one, named, at) {
		return one
	}
	p.strays.again(anywhere, at)
	p.strays.came(k, count > 1, at)
	return nil
}

// knocks says whether a connection from a stands that has sent nothing so far.
func (p *port) knocks(a netip.Addr) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.perHost[a.Unmap()] > 0
}

// announce says that a stream may come with another SSRC, or from another
// address, as the device's answer told.
func (p *port) announce(s *Stream, ssrc uint32, remote netip.AddrPort) {
	if p.own != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if ssrc != 0 && p.bySSRC[ssrc] == nil {
		p.bySSRC[ssrc] = s
	}
	if remote.IsValid() && !s.arrived() {
		a := remote.Addr().Unmap()
		p.arrived(s, a)
		p.wait(s, a)
	}
}

// readUDP is the one reader of the UDP socket.
func (p *port) readUDP() {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := p.udp.ReadFromUDPAddrPort(buf)
		if err != nil {
			if isClosed(err) {
				return
			}
			continue // an ICMP error of something sent; the next read blocks
		}
		p.datagram(buf[:n], from, time.Now())
	}
}

func (p *port) datagram(b []byte, from netip.AddrPort, at time.Time) {
	p.received.Add(1)
	if isRTCP(b) {
		return
	}
	k, ok := parseRTP(b)
	if !ok {
		p.garbage.Add(1)
		return
	}
	s := p.stream(k.ssrc, from, true, at)
	if s == nil {
		p.unknown.Add(1)
		return
	}
	s.datagram(k, len(b), from, at)
}

// drainRTCP takes sender reports off the socket: nothing in them is needed.
func (p *port) drainRTCP() {
	buf := make([]byte, 256)
	for {
		if _, _, err := p.rtcp.ReadFromUDPAddrPort(buf); isClosed(err) {
			return
		}
	}
}
