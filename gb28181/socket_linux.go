package gb28181

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lull is how long datagrams wait for each other once a keepalive was answered. A
// device repeats what is not answered after T1 at the earliest (RFC 3261 §17.1.2).
const lull = 2 * timerT1 / 5

// endCheck is how often an idle reader looks whether it has to end where shutting
// a UDP socket down wakes nobody.
const endCheck = time.Second

// udpSocket is a UDP socket beside the runtime's poller. The poller wakes a thread
// for each datagram that comes, even while nobody reads, and at a few hundred a
// second waking costs several times what answering does: see read.
type udpSocket struct {
	file   *os.File // keeps the descriptor while it is used
	conn   syscall.RawConn
	local  netip.AddrPort
	six    bool // of the family of IPv6, which reaches IPv4 by mapped addresses
	ending atomic.Bool
	rouse  chan struct{} // one: a lull is over
}

// newUDPSocket takes c over: c is closed, its port stays open.
func newUDPSocket(c *net.UDPConn) (*udpSocket, error) {
	defer c.Close()
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("the UDP socket: %w", err)
	}
	var fd int
	var failed error
	err = raw.Control(func(of uintptr) { fd, failed = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0) })
	if err = errors.Join(err, failed); err != nil {
		return nil, fmt.Errorf("the UDP socket: %w", err)
	}
	// os.File leaves blocking descriptors to their owner. Writing blocks, so that a
	// full queue delays answers instead of losing them.
	name, err := unix.Getsockname(fd)
	limit := unix.NsecToTimeval(writeTimeout.Nanoseconds())
	if err = errors.Join(err, unix.SetNonblock(fd, false), unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit)); err != nil {
		return nil, errors.Join(fmt.Errorf("the UDP socket: %w", err), unix.Close(fd))
	}
	s := &udpSocket{file: os.NewFile(uintptr(fd), "udp"), local: addrOf(name), rouse: make(chan struct{}, 1)}
	_, s.six = name.(*unix.SockaddrInet6)
	s.conn, err = s.file.SyscallConn()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the UDP socket: %w", err), s.file.Close())
	}
	return s, nil
}

// read returns one datagram and whose it is; it waits for one. When nobody waits
// for an answer to the next, it first lets those of a lull come together, so that
// they share one awakening. After close the error is net.ErrClosed.
func (s *udpSocket) read(buf []byte, patient bool) (n int, from netip.AddrPort, err error) {
	var peer unix.Sockaddr
	take := func(fd uintptr) { n, peer, err = unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT) }
	for {
		used := s.conn.Control(take)
		switch {
		case used != nil || s.ending.Load():
			return 0, netip.AddrPort{}, net.ErrClosed
		case err == nil:
			return n, addrOf(peer), nil
		case !errors.Is(err, unix.EAGAIN):
			return 0, netip.AddrPort{}, err
		case patient:
			select {
			case <-time.After(lull):
			case <-s.rouse:
			}
			patient = false
		default:
			_ = s.conn.Control(awaitDatagram) // whatever it says: reading tells
		}
	}
}

// hurry ends a lull: somebody waits for an answer now.
func (s *udpSocket) hurry() {
	select {
	case s.rouse <- struct{}{}:
	default:
	}
}

func awaitDatagram(fd uintptr) {
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(endCheck.Milliseconds()))
}

// send writes one datagram; it blocks at most writeTimeout.
func (s *udpSocket) send(msg []byte, to netip.AddrPort) error {
	var peer unix.Sockaddr
	if addr := to.Addr(); s.six || !addr.Is4() {
		zone, _ := strconv.ParseUint(addr.Zone(), 10, 32) // as addrOf writes it
		peer = &unix.SockaddrInet6{Port: int(to.Port()), Addr: addr.As16(), ZoneId: uint32(zone)}
	} else {
		peer = &unix.SockaddrInet4{Port: int(to.Port()), Addr: addr.As4()}
	}
	var sent error
	used := s.conn.Control(func(fd uintptr) {
		for {
			if sent = unix.Sendto(int(fd), msg, 0, peer); !errors.Is(sent, unix.EINTR) {
				return
			}
		}
	})
	return errors.Join(used, sent)
}

// close ends read and closes the socket.
func (s *udpSocket) close() error {
	s.ending.Store(true)
	s.hurry()
	// Wakes who waits for a datagram, although it reports that nothing is connected.
	_ = s.conn.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RD) })
	return s.file.Close()
}

// addrOf returns a peer's address, IPv4 as itself.
func addrOf(peer unix.Sockaddr) netip.AddrPort {
	switch a := peer.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		addr := netip.AddrFrom16(a.Addr).Unmap()
		if a.ZoneId != 0 {
			addr = addr.WithZone(strconv.FormatUint(uint64(a.ZoneId), 10))
		}
		return netip.AddrPortFrom(addr, uint16(a.Port))
	}
	return netip.AddrPort{}
}
