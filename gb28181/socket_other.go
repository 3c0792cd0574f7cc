//go:build !linux

package gb28181

import (
	"net"
	"net/netip"
)

// udpSocket is a UDP socket of the runtime's poller.
type udpSocket struct {
	conn  *net.UDPConn
	local netip.AddrPort
}

func newUDPSocket(c *net.UDPConn) (*udpSocket, error) {
	local := c.LocalAddr().(*net.UDPAddr).AddrPort()
	return &udpSocket{conn: c, local: netip.AddrPortFrom(local.Addr().Unmap(), local.Port())}, nil
}

// read returns one datagram and whose it is, IPv4 as itself; it waits for one.
// After close the error is net.ErrClosed.
func (s *udpSocket) read(buf []byte, _ bool) (n int, from netip.AddrPort, err error) {
	n, from, err = s.conn.ReadFromUDPAddrPort(buf)
	return n, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), err
}

// hurry does nothing: read never lingers.
func (s *udpSocket) hurry() {}

// send writes one datagram.
func (s *udpSocket) send(msg []byte, to netip.AddrPort) error {
	_, err := s.conn.WriteToUDPAddrPort(msg, to)
	return err
}

// close ends read and closes the socket.
func (s *udpSocket) close() error { return s.conn.Close() }
