package simulate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// media is the way of the packets: packet sends one RTP packet.
type media struct {
	packet func([]byte) error
	gone   <-chan struct{} // closed when the platform closed a TCP connection
	close  func()
}

// connect opens the way to the platform.
func (s *session) connect(ctx context.Context) (*media, error) {
	if s.udp != nil {
		to := net.UDPAddrFromAddrPort(s.offer.remote)
		return &media{packet: func(p []byte) error {
			_, err := s.udp.WriteToUDP(p, to)
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			return nil // ICMP says that nobody listens there; the platform notices itself
		}, close: func() {}}, nil
	}
	c, err := s.dialOrAccept(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	gone := make(chan struct{})
	s.d.sim.work.Go(func() { // ends with the connection, which close ends
		defer close(gone)
		_, _ = io.Copy(io.Discard, c) // RTCP, and the end
	})
	framed := make([]byte, 0, 2048)
	return &media{gone: gone, close: func() { stop(); _ = c.Close() }, packet: func(p []byte) error {
		framed = append(append(framed[:0], byte(len(p)>>8), byte(len(p))), p...) // RFC 4571 §2
		_ = c.SetWriteDeadline(time.Now().Add(10 * time.Second))
		_, err := c.Write(framed)
		return err
	}}, nil
}

// dialOrAccept makes the TCP connection: three attempts a second apart, as
// GB/T 28181 annex D asks of whoever dials.
func (s *session) dialOrAccept(ctx context.Context) (net.Conn, error) {
	if s.listener != nil {
		stop := context.AfterFunc(ctx, func() { _ = s.listener.Close() })
		defer stop()
		_ = s.listener.(*net.TCPListener).SetDeadline(time.Now().Add(10 * time.Second))
		return s.listener.Accept()
	}
	dialer := net.Dialer{Timeout: 5 * time.Second, LocalAddr: net.TCPAddrFromAddrPort(addrPort(s.d.sim.opt.Bind, 0))}
	for attempt := 1; ; attempt++ {
		c, err := dialer.DialContext(ctx, "tcp", s.offer.remote.String())
		if err == nil || attempt == 3 || !pause(ctx, time.Second) {
			return c, err
		}
	}
}

// play sends the clip until the session ends; nil means: the end of a record.
func (s *session) play(ctx context.Context, m *media) error {
	w := newWriter(s)
	switch {
	case s.d.has(HalfOpen):
		_ = m.packet(w.halfPacket())
		return s.wait(ctx, m)
	case s.d.has(Silence):
		return s.wait(ctx, m)
	}
	p := playhead{clip: s.channel.clip, every: s.d.sim.opt.KeyEvery, scale: float64(s.offer.speed)}
	history := s.offer.name != "Play"
	length := s.d.length(s.offer)
	timer := time.NewTimer(0)
	defer timer.Stop()
	due := time.Now()
	for !history || !p.ended(length) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-m.gone:
			return errors.New("the platform closed the media connection")
		case o := <-s.orders:
			p.obey(o)
			if p.paused {
				timer.Stop()
				continue
			}
			due = time.Now()
			timer.Reset(0)
			continue
		case <-timer.C:
		}
		if s.key.Swap(false) {
			p.toKey()
		}
		u := p.take()
		if err := w.write(m, u, p.at); err != nil {
			return fmt.Errorf("send media: %w", err)
		}
		s.d.sim.stats.units.Add(1)
		due = due.Add(p.step())
		if late := time.Since(due); late > 2*time.Second {
			due = time.Now() // the machine slept: go on, do not race
		}
		timer.Reset(time.Until(due))
	}
	return nil
}

// wait holds a session that sends nothing.
func (s *session) wait(ctx context.Context, m *media) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-m.gone:
		return errors.New("the platform closed the media connection")
	}
}
