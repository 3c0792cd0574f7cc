package simulate

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// line carries a device's SIP: a UDP socket, shared or its own, or a TCP or TLS
// connection.
type line struct {
	proto string // "UDP", "TCP" or "TLS", as in Via
	local string // host:port that the platform sees, as far as we know
	send  func([]byte) error
}

// openSockets opens one UDP socket for all devices, or one for each, and reads
// them until lines is done.
func (s *Simulator) openSockets(lines context.Context) error {
	if s.opt.OwnSocket {
		for _, d := range s.devices {
			if err := s.openSocket(lines, func(*message) *device { return d }, d); err != nil {
				return err
			}
		}
		return nil
	}
	return s.openSocket(lines, s.whose, s.devices...)
}

func (s *Simulator) openSocket(lines context.Context, whose func(*message) *device, devices ...*device) error {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addrPort(s.opt.Bind, 0)))
	if err != nil {
		return err
	}
	if len(devices) > 1 {
		_ = c.SetReadBuffer(4 << 20) // best effort: thousands of answers come in bursts
	}
	l := &line{proto: "UDP", local: c.LocalAddr().String(), send: func(b []byte) error {
		_, err := c.WriteToUDP(b, s.server)
		return err
	}}
	for _, d := range devices {
		d.setLine(l)
	}
	stop := context.AfterFunc(lines, func() { _ = c.Close() })
	s.work.Go(func() {
		defer stop()
		buf := make([]byte, 65536)
		for {
			n, _, err := c.ReadFromUDP(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue // an ICMP error of the platform's absence
			}
			m, err := parseMessage(buf[:n])
			if err != nil {
				s.stats.garbage.Add(1)
				continue
			}
			if d := whose(m); d != nil {
				d.take(m)
			}
		}
	})
	return nil
}

// whose finds the device that a message on the shared socket is for: a response
// by its branch, which we made, a request by its address, channel or device. What
// is for nobody goes to the first device, which says so.
func (s *Simulator) whose(m *message) *device {
	if m.status > 0 {
		var index int
		if _, err := fmt.Sscanf(param(m.get("via"), "branch"), branchForm, &index); err != nil || index < 0 || index >= len(s.devices) {
			return nil
		}
		return s.devices[index]
	}
	if d := s.byID[user(m.uri)]; d != nil {
		return d
	}
	if d := s.byID[user(address(m.get("to")))]; d != nil {
		return d
	}
	return s.devices[0]
}

// branchForm begins the branch of what a device sends: its number stands in it.
const branchForm = "z9hG4bK%d-"

// dial opens the device's TCP or TLS connection and reads it until it or lines
// ends; lost is closed then.
func (d *device) dial(lines context.Context) (lost <-chan struct{}, err error) {
	dialer := &net.Dialer{Timeout: 5 * time.Second, LocalAddr: net.TCPAddrFromAddrPort(addrPort(d.sim.opt.Bind, 0))}
	dial := dialer.DialContext
	if d.sim.opt.Transport == "tls" {
		dial = (&tls.Dialer{NetDialer: dialer, Config: d.sim.opt.TLS}).DialContext
	}
	c, err := dial(lines, "tcp", d.sim.server.String())
	if err != nil {
		return nil, err
	}
	var one sync.Mutex // writes do not mix
	d.setLine(&line{proto: strings.ToUpper(d.sim.opt.Transport), local: c.LocalAddr().String(), send: func(b []byte) error {
		one.Lock()
		defer one.Unlock()
		_ = c.SetWriteDeadline(time.Now().Add(5 * time.Second))
		_, err := c.Write(b)
		return err
	}})
	gone := make(chan struct{})
	stop := context.AfterFunc(lines, func() { _ = c.Close() })
	d.sim.work.Go(func() {
		defer close(gone)
		defer c.Close() //nolint:errcheck // over
		defer stop()
		d.readStream(c)
	})
	return gone, nil
}

// readStream takes messages off a TCP connection until it ends or is garbage.
func (d *device) readStream(r io.Reader) {
	in := bufio.NewReader(r)
	var held []byte
	buf := make([]byte, 16<<10)
	for {
		n, err := in.Read(buf)
		held = append(held, buf[:n]...)
		for {
			msg, rest, bad := takeMessage(held)
			if bad != nil {
				d.sim.stats.garbage.Add(1)
				return
			}
			held = rest
			if msg == nil {
				break
			}
			if m, err := parseMessage(msg); err == nil {
				d.take(m)
			} else {
				d.sim.stats.garbage.Add(1)
			}
		}
		if err != nil {
			return
		}
	}
}
