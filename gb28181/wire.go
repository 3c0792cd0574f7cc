package gb28181

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of the sockets.
const (
	maxDatagram   = 65535
	maxStreams    = 20000            // TCP and TLS connections at once
	maxGreeting   = 2048             // of them, on which nobody registered yet
	maxSmallBody  = 16 << 10         // on such a connection
	maxLargeBody  = 8 << 20          // of one on which somebody did: a catalogue of 10,000 items in one message
	maxLargeBytes = 64 << 20         // of all such bodies that are being received
	shakeTimeout  = 10 * time.Second // for a new connection to agree on TLS
	greetTimeout  = 30 * time.Second // for a new connection to register
	streamIdle    = time.Hour        // for one that did, beside the keepalives
	streamLeft    = 2 * time.Minute  // for one that no device is reached by any more
	quietTimeout  = time.Second      // after which an unfinished body that looks whole is whole
	writeTimeout  = 3 * time.Second  // for a device that does not read
	receiveBuffer = 8 << 20          // asked of the kernel: 10,000 devices may speak at once
)

var errGone = errors.New("the connection is closed")

// route is where a message came from, and so where answers and requests go.
type route struct {
	network string // "udp", "tcp", "tls"
	addr    netip.AddrPort
	conn    *stream // nil for udp
}

// alive says whether something can be sent there.
func (r route) alive() bool {
	return r.addr.IsValid() && (r.network == "udp" || (r.conn != nil && !r.conn.closed.Load()))
}

// stream is one TCP or TLS connection of a device.
type stream struct {
	net.Conn
	trusted atomic.Bool  // somebody registered on it
	users   atomic.Int32 // devices that are reached by it
	closed  atomic.Bool
	write   sync.Mutex
}

// enter says that a device is reached by s; s may be nil.
func (s *stream) enter() {
	if s != nil {
		s.users.Add(1)
	}
}

// leave says that a device is reached elsewhere now. A connection that nobody is
// reached by is not kept long: devices open new ones and forget to close.
func (s *stream) leave() {
	if s != nil && s.users.Add(-1) == 0 {
		_ = s.SetReadDeadline(time.Now().Add(streamLeft))
	}
}

// wire is the sockets: it reads messages and hands them to receive on the
// goroutine of their socket, and writes to routes. It knows nothing of devices.
type wire struct {
	log    *sparing
	met    *metrics
	closed func(*stream) // a connection ended

	// receive takes a message; msg is valid until it returns. It says whether the
	// message was one of those that come in masses, and that leave nobody waiting
	// for the next one.
	receive func(from route, msg []byte, mended repairs) (patient bool)

	udp       *udpSocket
	urgent    atomic.Int32 // calls that are being opened: see hurry
	listeners []net.Listener
	large     atomic.Int64 // bytes of large bodies being received

	mu       sync.Mutex
	streams  map[*stream]struct{}
	greeting []*stream // those that were not trusted when they were looked at last, oldest first
	stopped  bool
	wg       sync.WaitGroup
}

// listen opens UDP and TCP on one address, and TLS where asked for.
func (w *wire) listen(ctx context.Context, address, tlsAddress string, conf *tls.Config) error {
	if err := w.listenPair(ctx, address); err != nil {
		return fmt.Errorf("gb28181: listen: %w", err)
	}
	if conf == nil {
		return nil
	}
	var lc net.ListenConfig
	secure, err := lc.Listen(ctx, "tcp", tlsAddress)
	if err != nil {
		return errors.Join(fmt.Errorf("gb28181: listen for TLS: %w", err), w.udp.close(), w.listeners[0].Close())
	}
	w.listeners = append(w.listeners, tls.NewListener(secure, conf))
	return nil
}

// listenPair opens UDP and TCP on one port. Where the system chooses it (port 0),
// it chooses again when somebody else has that port for TCP.
func (w *wire) listenPair(ctx context.Context, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	for try := 0; ; try++ {
		pc, err := lc.ListenPacket(ctx, "udp", address)
		if err != nil {
			return err
		}
		udp := pc.(*net.UDPConn)
		_, got, _ := net.SplitHostPort(udp.LocalAddr().String())
		tcp, err := lc.Listen(ctx, "tcp", net.JoinHostPort(host, got))
		if err == nil {
			_ = udp.SetReadBuffer(receiveBuffer) // the kernel gives what it may
			if w.udp, err = newUDPSocket(udp); err != nil {
				return errors.Join(err, tcp.Close())
			}
			w.listeners = []net.Listener{tcp}
			return nil
		}
		_ = udp.Close()
		if port != "0" || try == 20 {
			return err
		}
	}
}

// serve starts reading; close ends it.
func (w *wire) serve() {
	w.wg.Go(w.readDatagrams)
	for i, l := range w.listeners {
		network := [...]string{"tcp", "tls"}[min(i, 1)]
		w.wg.Go(func() { w.accept(l, network) })
	}
}

// close closes every socket and returns when all readers have ended.
func (w *wire) close() {
	_ = w.udp.close()
	for _, l := range w.listeners {
		_ = l.Close()
	}
	w.mu.Lock()
	w.stopped = true
	for s := range w.streams {
		_ = s.Close()
	}
	w.mu.Unlock()
	w.wg.Wait()
}

func (w *wire) readDatagrams() {
	buf := make([]byte, maxDatagram)
	patient := false
	for {
		n, from, err := w.udp.read(buf, patient)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of an earlier send: the socket lives
		}
		msg, mended := repair(buf[:n])
		if len(msg) == 0 {
			continue // a ping, to keep a NAT open
		}
		patient = w.receive(route{network: "udp", addr: from}, msg, mended) && w.urgent.Load() == 0
	}
}

// hurry reads datagrams as they come until the function that it returns is called:
// somebody waits for a picture.
func (w *wire) hurry() (enough func()) {
	w.urgent.Add(1)
	w.udp.hurry()
	return func() { w.urgent.Add(-1) }
}

func (w *wire) accept(l net.Listener, network string) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of file descriptors: each accept would fail again at once.
			w.met.refused("accept")
			time.Sleep(50 * time.Millisecond)
			continue
		}
		s := &stream{Conn: c}
		if !w.add(s) {
			w.met.refused("connections")
			_ = c.Close()
			continue
		}
		w.wg.Go(func() {
			defer w.remove(s)
			if w.shake(s) {
				w.readStream(s, network)
			}
		})
	}
}

// shake makes TLS of a connection that is to be TLS. Why it fails is told: a
// device says nothing of a certificate that it does not trust, or does not have.
func (w *wire) shake(s *stream) bool {
	c, secure := s.Conn.(*tls.Conn)
	if !secure {
		return true
	}
	_ = s.SetDeadline(time.Now().Add(shakeTimeout))
	if err := c.Handshake(); err != nil {
		w.met.refused("tls")
		w.log.Warn("no TLS with whoever connects: its clock, or one of the two certificates, is not right",
			"remote", s.RemoteAddr().String(), "error", err)
		return false
	}
	_ = s.SetDeadline(time.Time{})
	return true
}

func (w *wire) add(s *stream) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped || len(w.streams) >= maxStreams {
		return false
	}
	w.streams[s] = struct{}{}
	w.greeting = append(w.greeting, s)
	if len(w.greeting) > maxGreeting {
		w.greeting = slices.DeleteFunc(w.greeting, func(s *stream) bool { return s.trusted.Load() || s.closed.Load() })
	}
	if len(w.greeting) > maxGreeting {
		// A device registers within a second; the oldest of so many is none.
		w.met.refused("greeting")
		_ = w.greeting[0].Close()
		w.greeting = w.greeting[1:]
	}
	return true
}

func (w *wire) remove(s *stream) {
	s.closed.Store(true)
	_ = s.Close()
	w.mu.Lock()
	delete(w.streams, s)
	w.mu.Unlock()
	w.closed(s)
}

func (w *wire) streamCount() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.streams)
}

// readStream reads one connection until it ends.
func (w *wire) readStream(s *stream, network string) {
	remote, err := netip.ParseAddrPort(s.RemoteAddr().String())
	if err != nil {
		return
	}
	from := route{network: network, addr: netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port()), conn: s}
	f := framer{maxBody: maxSmallBody}
	held := int64(0) // of w.large
	defer func() { w.large.Add(-held) }()
	opened := time.Now()
	last := opened
	chunk := make([]byte, 2048)
	for {
		if s.trusted.Load() {
			f.maxBody = maxLargeBody
		}
		_ = s.SetReadDeadline(deadline(&f, s, opened))
		n, err := s.Read(chunk)
		quiet := false
		if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
			quiet = f.pending() > 0
		}
		if err != nil && n == 0 && !quiet {
			return
		}
		if n > 0 {
			last = time.Now()
		}
		f.write(chunk[:n])
		if !w.drain(&f, from, quiet) {
			return
		}
		if now := int64(cap(f.buf)); now > maxSmallBody || held > 0 {
			w.large.Add(now - held)
			held = now
			if w.large.Load() > maxLargeBytes {
				w.met.refused("memory")
				return
			}
			if f.pending() > len(chunk) && len(chunk) < maxSmallBody {
				chunk = make([]byte, maxSmallBody)
			}
		}
		if f.pending() > 0 && (time.Since(last) > greetTimeout || (!s.trusted.Load() && time.Since(opened) > greetTimeout)) {
			return // half a message, or one in drips from somebody unknown
		}
		f.release()
	}
}

// deadline says how long to wait for more on a connection.
func deadline(f *framer, s *stream, opened time.Time) time.Time {
	switch {
	case f.pending() > 0:
		return time.Now().Add(quietTimeout)
	case s.trusted.Load() && s.users.Load() == 0:
		return time.Now().Add(streamLeft)
	case s.trusted.Load():
		return time.Now().Add(streamIdle)
	}
	return opened.Add(greetTimeout)
}

// drain hands over what is whole; it returns false when the connection must end.
func (w *wire) drain(f *framer, from route, flush bool) bool {
	for {
		msg, mended, err := f.next(flush)
		if f.pongs > 0 {
			f.pongs = 0
			if w.send(from, []byte("\r\n")) != nil {
				return false
			}
		}
		if err != nil {
			w.met.refused("framing")
			w.log.Warn("closing a SIP connection that cannot be read", "remote", from.addr.String(), "error", err)
			return false
		}
		if msg == nil {
			return true
		}
		w.receive(from, msg, mended)
	}
}

// send writes one message to a route. It blocks at most writeTimeout.
func (w *wire) send(to route, msg []byte) error {
	if to.network == "udp" {
		return w.udp.send(msg, to.addr)
	}
	if to.conn == nil || to.conn.closed.Load() {
		return errGone
	}
	to.conn.write.Lock()
	defer to.conn.write.Unlock()
	_ = to.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := to.conn.Write(msg)
	if err != nil {
		_ = to.conn.Close() // half a message may be out: the stream is of no use any more
	}
	return err
}

// port returns the port that listens.
func (w *wire) port() uint16 { return w.udp.local.Port() }

// tlsPort returns the port that listens for TLS; something came by it.
func (w *wire) tlsPort() uint16 { return uint16(w.listeners[1].Addr().(*net.TCPAddr).Port) }
