package media

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sharpeyes/sharpeyes/gb28181/ps"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// staleAfter is how long a sender must be silent for another one to take its
// place: a device that comes back has a new port and often a new SSRC, one that
// guesses an SSRC must not cut a stream that flows.
const staleAfter = 2 * time.Second

// Stream is one expected stream. Its methods may be called from any goroutine,
// but not from its sink.
type Stream struct {
	r    *Receiver
	port *port
	want Expect

	opened   time.Time                      // when it was expected first
	others   uint64                         // what had come to a shared port for nobody when the stream was opened
	here     atomic.Bool                    // a packet was taken
	expected atomic.Pointer[netip.AddrPort] // where it should come from

	over   chan struct{}      // closed when the stream has ended
	dialer context.CancelFunc // of the dial under way; nil: none
	done   sync.WaitGroup     // readers of its connections
	once   sync.Once          // Close

	mu       sync.Mutex
	ended    bool
	err      error
	timer    *time.Timer
	answered time.Time // the wait counts from here; zero: not yet
	paused   bool
	conn     *connection // TCP, nil between two
	gone     time.Time   // the last connection ended
	knocked  bool        // somebody connected

	latched  bool // sender is set
	sender   netip.AddrPort
	udp      bool
	order    reorder
	numbers  numbers
	depacket *depacketiser
	st       Stats
}

func newStream(r *Receiver, want Expect) *Stream {
	s := &Stream{r: r, want: want, opened: time.Now(), over: make(chan struct{})}
	remote := want.Remote
	s.expected.Store(&remote)
	s.depacket = newDepacketiser(want.Camera, s.unit)
	s.depacket.raw = want.Bytes
	s.order.out = s.ordered
	return s
}

// Port returns the number that the device is to send to, for the offer.
func (s *Stream) Port() uint16 { return s.port.number }

// Done is closed when the stream has ended: by Close, or for the reason that
// Err tells. Close must be called all the same.
func (s *Stream) Done() <-chan struct{} { return s.over }

// Err says why the stream ended; nil while it has not.
func (s *Stream) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Answered says that the device has accepted, and what its answer told: another
// SSRC than asked, or 0, and where it sends from, if it said. The time for the
// first packet counts from here.
func (s *Stream) Answered(ssrc uint32, remote netip.AddrPort) {
	if remote.IsValid() {
		s.expected.Store(&remote)
	}
	s.port.announce(s, ssrc, remote)
	s.mu.Lock()
	defer s.mu.Unlock()
	if ssrc != 0 {
		s.want.SSRC = ssrc
		s.st.WrongSSRC = s.latched && s.st.SSRC != ssrc
	}
	s.answered = time.Now()
	s.check()
}

// Pause says that no media is due, as in a paused playback, or that it is again.
func (s *Stream) Pause(paused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = paused
	if !s.st.LastPacket.IsZero() {
		s.st.LastPacket = time.Now() // the silence was wanted
	}
	s.check()
}

// Stats returns what is known so far.
func (s *Stream) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.st
	st.Reordered, st.Late, st.Duplicate = s.order.reordered, s.order.late, s.order.dup
	st.Bad += s.depacket.bad + s.depacket.pics.bad + s.depacket.ts.bad
	st.Payload, st.PS = s.depacket.kind, s.depacket.stats()
	if st.Units > 0 {
		st.Codec = s.depacket.pics.asm.Codec
	}
	return st
}

// Finish says that nothing more comes, as at the end of a record: what waits for
// packets that are missing goes to the sink, and so does the last picture, which
// without a marker only the next one would have ended.
func (s *Stream) Finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.order.flush()
	s.depacket.finish()
}

// Close ends the stream, gives its port and SSRC free, and waits until nothing
// of it is left. It may be called again.
func (s *Stream) Close() {
	s.end(ErrClosed)
	s.once.Do(func() {
		s.done.Wait()
		s.r.forget(s)
	})
}

// end ends the stream for the given reason; the first one counts.
func (s *Stream) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(err)
}

func (s *Stream) endLocked(err error) {
	if s.ended {
		return
	}
	s.ended, s.err = true, err
	close(s.over) // before the connection: a device that notices must not be noticed first
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.conn != nil {
		_ = s.conn.Close() // wakes its reader
		s.conn = nil
	}
	if s.dialer != nil {
		s.dialer()
	}
}

func (s *Stream) arrived() bool          { return s.here.Load() }
func (s *Stream) remote() netip.AddrPort { return *s.expected.Load() }

// accepted says that somebody connected to the stream's own port.
func (s *Stream) accepted(netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.knocked = true
}

// take makes a connection the stream's, and its reader one that Close waits
// for, unless another one carries the stream already.
func (s *Stream) take(c *net.TCPConn, from netip.AddrPort, ssrc uint32) (*connection, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil, false
	}
	if s.conn != nil {
		// A device that comes back may be here before its end is; another
		// address must not take a stream that flows.
		alive := time.Since(s.st.LastPacket) < staleAfter && from.Addr() != s.conn.from.Addr()
		better := s.st.WrongSSRC && ssrc == s.want.SSRC
		if alive && !better {
			s.st.Strange++
			return nil, false
		}
		_ = s.conn.Close() // its reader finds that it was replaced
		s.depacket.lose(1)
	}
	s.conn = &connection{TCPConn: c, from: from}
	s.knocked, s.gone = true, time.Time{}
	s.numbers = numbers{}
	s.st.Connects++
	s.done.Add(1)
	return s.conn, true
}

// hungUp says that a connection has ended.
func (s *Stream) hungUp(c *connection, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.conn != c {
		return
	}
	s.conn, s.gone = nil, time.Now()
	if s.want.Transport == TCPActive {
		s.endLocked(wrap(ErrHungUp, "%v", err))
		return
	}
	s.depacket.lose(1) // what comes next does not go on where this ended
	s.check()
}

// framed takes over what the framing counted.
func (s *Stream) framed(c *connection, f *framer) {
	if f.skipped == c.skipped && f.resyncs == c.resyncs {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.st.Skipped += f.skipped - c.skipped
	s.st.Resyncs += f.resyncs - c.resyncs
	c.skipped, c.resyncs = f.skipped, f.resyncs
}

func (s *Stream) malformed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.st.Bad++
}

// datagram takes a UDP packet.
func (s *Stream) datagram(p packet, size int, from netip.AddrPort, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.mine(p.ssrc, from, true, at) {
		return
	}
	s.count(size, at)
	s.order.push(p, at)
}

// tcp takes a packet of a connection.
func (s *Stream) tcp(c *connection, p packet, size int, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c || !s.mine(p.ssrc, c.from, false, at) {
		return
	}
	s.count(size, at)
	s.ordered(p, s.numbers.missing(p.seq), at)
}

// mine says whether a packet belongs to the stream. The first sender is
// believed; another one must be the one that was asked for, or find the first
// one gone.
func (s *Stream) mine(ssrc uint32, from netip.AddrPort, udp bool, at time.Time) bool {
	switch {
	case s.ended:
		return false
	case !s.latched:
	case at.Sub(s.st.LastPacket) > staleAfter:
		if ssrc != s.st.SSRC || udp != s.udp {
			s.order = reorder{out: s.ordered, reordered: s.order.reordered, late: s.order.late, dup: s.order.dup}
			s.depacket.lose(1)
		}
	case ssrc == s.st.SSRC && udp == s.udp && from.Addr() == s.sender.Addr():
		s.sender = from // behind NAT the port may change
		return true
	case s.st.WrongSSRC && ssrc == s.want.SSRC:
		s.order = reorder{out: s.ordered, reordered: s.order.reordered, late: s.order.late, dup: s.order.dup}
		s.depacket.lose(1)
	default:
		s.st.Strange++
		return false
	}
	s.latched, s.sender, s.udp = true, from, udp
	s.st.SSRC, s.st.Remote = ssrc, from
	s.st.WrongSSRC = s.want.SSRC != 0 && ssrc != s.want.SSRC
	s.here.Store(true)
	name := "tcp"
	if udp {
		name = "udp"
	}
	if s.st.Transport != name {
		s.st.Transport = name
		if s.want.Sink != nil {
			s.want.Sink.Connected(name)
		}
	}
	return true
}

// count counts a packet that was taken.
func (s *Stream) count(size int, at time.Time) {
	s.st.Packets++
	s.st.Bytes += uint64(size)
	first := s.st.FirstPacket.IsZero()
	s.st.LastPacket = at
	if first {
		s.st.FirstPacket = at
		s.check() // other deadlines hold from here
	}
}

// ordered takes the packets in order.
func (s *Stream) ordered(p packet, lost int, at time.Time) {
	if lost > 0 {
		s.st.Lost += uint64(lost)
		if s.want.Sink != nil {
			s.want.Sink.Lost(uint64(lost))
		}
	}
	s.depacket.packet(p, lost, at)
}

// unit takes an access unit.
func (s *Stream) unit(u ingest.AccessUnit) {
	s.st.Units++
	if s.st.FirstUnit.IsZero() {
		s.st.FirstUnit = u.Received
	}
	if s.want.Sink != nil {
		s.want.Sink.Write(u)
	}
}

// watch begins to look whether the stream does what it should.
func (s *Stream) watch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer = time.AfterFunc(time.Hour, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.check()
	})
	s.check()
}

// check ends a stream that is overdue, or looks again when it would be.
func (s *Stream) check() {
	if s.ended || s.timer == nil {
		return
	}
	due, why := s.due()
	if due.IsZero() {
		s.timer.Stop()
		return
	}
	if left := time.Until(due); left > 0 {
		s.timer.Reset(left)
		return
	}
	s.endLocked(why())
}

// due returns until when the next thing must have happened, and what it means
// if it has not; the zero time for no deadline.
func (s *Stream) due() (time.Time, func() error) {
	switch {
	case s.paused || s.answered.IsZero():
		return time.Time{}, nil
	case s.st.FirstPacket.IsZero():
		return s.answered.Add(s.want.Wait), s.absent
	case s.conn == nil && !s.udp && !s.gone.IsZero():
		return s.gone.Add(s.want.Reconnect), func() error { return ErrHungUp }
	case s.st.Units == 0:
		first, last := s.st.FirstPacket.Add(s.want.Wait), s.st.LastPacket.Add(s.want.Silence)
		if last.Before(first) {
			return last, s.fruitless
		}
		return first, s.fruitless
	}
	return s.st.LastPacket.Add(s.want.Silence), func() error { return wrap(ErrSilent, "for %v", s.want.Silence) }
}

// absent says what is known of media that never came.
func (s *Stream) absent() error {
	n := s.port.number
	switch {
	case s.port.own == nil && s.port.others() > s.others:
		return wrap(ErrOtherSSRC, "to port %d, which streams share, in %v", n, s.want.Wait)
	case s.want.Transport == UDP:
		return wrap(ErrNoMedia, "no packet came to udp port %d in %v", n, s.want.Wait)
	case s.knocked || s.port.knocks(s.remote().Addr()):
		return wrap(ErrNoMedia, "a connection stands, but nothing came over it in %v", s.want.Wait)
	case s.want.Transport == TCPPassive:
		return wrap(ErrNobody, "to tcp port %d in %v", n, s.want.Wait)
	}
	return wrap(ErrNoMedia, "in %v", s.want.Wait)
}

// fruitless says what is known of media that is no video we know.
func (s *Stream) fruitless() error {
	st := s.depacket.stats()
	switch {
	case st.Skipped[ps.SkipSVAC] > 0:
		return wrap(ErrUnsupported, "SVAC (GB/T 25724)")
	case st.Skipped[ps.SkipOtherVideo] > 0:
		return wrap(ErrUnsupported, "neither H.264 nor H.265")
	case s.depacket.kind == PayloadUnknown:
		return wrap(ErrUnreadable, "%d packets, no payload that is known", s.st.Packets)
	case st.Skipped[ps.SkipAudio] > 0 && st.PES == 0:
		return wrap(ErrUnsupported, "audio only")
	}
	return wrap(ErrUnreadable, "%d packets of %s, no picture in them", s.st.Packets, s.depacket.kind)
}

// pause waits; false when the stream ended first.
func (s *Stream) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-s.over:
		return false
	case <-t.C:
		return true
	}
}

// numbers follows the sequence numbers of a TCP connection, where nothing gets
// lost on the way: what is missing the device left out, or it does not number
// its packets.
type numbers struct {
	begun         bool
	next          uint16
	packets, gaps int
}

// missing returns how many packets the device left out before this one.
func (n *numbers) missing(seq uint16) int {
	d := int(int16(seq - n.next))
	begun := n.begun
	n.begun, n.next = true, seq+1
	n.packets++
	if !begun || d <= 0 || d > aheadBy {
		return 0
	}
	n.gaps++
	if n.gaps > 16 && n.gaps*4 > n.packets {
		return 0
	}
	return d
}
