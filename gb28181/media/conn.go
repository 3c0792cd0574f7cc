package media

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"
)

// accept takes TCP connections.
func (p *port) accept() {
	for {
		c, err := p.tcp.AcceptTCP()
		if err != nil {
			if isClosed(err) {
				return
			}
			time.Sleep(10 * time.Millisecond) // out of descriptors: some will be closed
			continue
		}
		from := c.RemoteAddr().(*net.TCPAddr).AddrPort()
		if !p.admit(c, from.Addr().Unmap()) {
			p.refused.Add(1)
			_ = c.Close() // unwanted
			continue
		}
		p.done.Go(func() { p.identify(c, from) })
	}
}

// admit counts a connection as pending, if there is room: for those that are
// expected, and some.
func (p *port) admit(c net.Conn, a netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	// A recorder may connect all its channels before it sends a byte.
	due := len(p.bySSRC)
	if p.closed || len(p.pending) >= maxPending+due || p.perHost[a] >= maxPendingHost+due {
		return false
	}
	p.pending[c] = a
	p.perHost[a]++
	return true
}

// identified takes a connection off the pending ones.
func (p *port) identified(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, ok := p.pending[c]
	if !ok {
		return
	}
	delete(p.pending, c)
	if p.perHost[a]--; p.perHost[a] == 0 {
		delete(p.perHost, a)
	}
}

// identify reads a connection that a device made until its first packet says
// whose it is, and then for its stream.
func (p *port) identify(c *net.TCPConn, from netip.AddrPort) {
	defer func() { _ = c.Close() }() // its end is told by reads
	defer p.identified(c)
	if p.own != nil {
		p.own.accepted(from)
	}
	if c.SetReadDeadline(time.Now().Add(identifyWithin)) != nil {
		return
	}
	var f framer
	for {
		n, err := c.Read(f.space())
		if err != nil {
			p.strange.Add(1)
			return
		}
		f.wrote(n)
		for {
			b, ok, err := f.next()
			if err != nil {
				p.strange.Add(1)
				return
			}
			if !ok {
				break
			}
			k, ok := parseRTP(b)
			if !ok || isRTCP(b) {
				continue
			}
			s := p.stream(k.ssrc, from, false, time.Now())
			if s == nil {
				p.strange.Add(1)
				return
			}
			t, ok := s.take(c, from, k.ssrc)
			if !ok {
				p.strange.Add(1)
				return
			}
			p.identified(c)
			defer s.done.Done()
			s.tcp(t, k, len(b), time.Now())
			s.read(t, &f)
			return
		}
	}
}

// connection is a TCP connection that a stream has taken.
type connection struct {
	*net.TCPConn
	from netip.AddrPort

	skipped, resyncs uint64 // as counted into the stream so far
}

// read reads the packets of a connection until it ends.
func (s *Stream) read(c *connection, f *framer) {
	for {
		at := time.Now()
		for {
			b, ok, err := f.next()
			if err != nil {
				s.hungUp(c, wrap(ErrUnreadable, "%v", err))
				return
			}
			if !ok {
				break
			}
			if isRTCP(b) {
				continue
			}
			k, ok := parseRTP(b)
			if !ok {
				s.malformed()
				continue
			}
			s.tcp(c, k, len(b), at)
		}
		s.framed(c, f)
		if err := c.SetReadDeadline(time.Now().Add(s.want.Silence + identifyWithin)); err != nil {
			s.hungUp(c, err)
			return
		}
		n, err := c.Read(f.space())
		f.wrote(n)
		if n == 0 && err != nil {
			if errors.Is(err, io.EOF) {
				err = ErrHungUp
			}
			s.hungUp(c, err)
			return
		}
	}
}

// The standard asks for three attempts, a second apart (annex D).
const (
	dialAttempts = 3
	dialPause    = time.Second
	dialWithin   = 3 * time.Second
)

// Dial connects to the device's media port and reads from there. It does not
// block; when the device does not answer a stream that was opened as TCPActive
// ends with ErrConnect. Call it once.
func (s *Stream) Dial(remote netip.AddrPort) {
	ctx, cancel := context.WithCancel(context.Background())
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		cancel()
		return
	}
	s.dialer = cancel // the end of the stream ends it
	s.done.Add(1)
	s.mu.Unlock()
	go func() { // owned by the stream: Close waits for it
		defer s.done.Done()
		defer cancel()
		s.dial(ctx, remote)
	}()
}

// dial connects and reads.
func (s *Stream) dial(ctx context.Context, remote netip.AddrPort) {
	d := net.Dialer{Timeout: dialWithin}
	var err error
	for i := range dialAttempts {
		if i > 0 && !s.pause(dialPause) {
			return
		}
		if s.here.Load() {
			return // it connected to us, although it said that it would listen
		}
		var c net.Conn
		if c, err = d.DialContext(ctx, "tcp", remote.String()); err == nil {
			s.active(c.(*net.TCPConn), remote)
			return
		}
	}
	if s.want.Transport == TCPActive && !s.here.Load() { // else the device may still come, or is here
		s.end(wrap(ErrConnect, "%s: %v", remote, err))
	}
}

// active reads a connection that we made.
func (s *Stream) active(c *net.TCPConn, remote netip.AddrPort) {
	defer func() { _ = c.Close() }() // its end is told by reads
	t, ok := s.take(c, remote, 0)
	if !ok {
		return
	}
	defer s.done.Done()
	s.read(t, &framer{})
}
