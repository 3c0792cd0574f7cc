package gb28181

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestUDPSocket(t *testing.T) {
	for _, c := range []struct{ name, listen, peer string }{
		{"IPv4", "127.0.0.1:0", "127.0.0.1"},
		{"IPv6", "[::1]:0", "::1"},
		{"both, IPv4 comes", "[::]:0", "127.0.0.1"},
		{"both, IPv6 comes", "[::]:0", "::1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			pc, err := net.ListenPacket("udp", c.listen)
			if err != nil {
				t.Skip("this machine has no such address: ", err)
			}
			s, err := newUDPSocket(pc.(*net.UDPConn))
			require.NoError(t, err)
			far, err := net.Dial("udp", netip.AddrPortFrom(netip.MustParseAddr(c.peer), s.local.Port()).String())
			require.NoError(t, err)
			defer far.Close()
			require.NoError(t, far.SetDeadline(time.Now().Add(5*time.Second)))
			buf := make([]byte, 64)
			for _, patient := range []bool{false, true} {
				for _, text := range []string{"one", "", "three"} {
					// Where reading is patient, what comes meanwhile is not lost.
					time.AfterFunc(5*time.Millisecond, func() { _, _ = far.Write([]byte(text)) })
					n, from, err := s.read(buf, patient)
					require.NoError(t, err)
					require.Equal(t, text, string(buf[:n]))
					require.Equal(t, far.LocalAddr().String(), from.String(), "IPv4 is itself in a socket of both")
					require.NoError(t, s.send([]byte("to "+text), from))
					n, err = far.Read(buf)
					require.NoError(t, err)
					require.Equal(t, "to "+text, string(buf[:n]))
				}
			}
			ended := make(chan error)
			go func() {
				_, _, err := s.read(buf, true)
				ended <- err
			}()
			require.NoError(t, s.close())
			require.ErrorIs(t, <-ended, net.ErrClosed)
			require.Error(t, s.send([]byte("late"), netip.MustParseAddrPort("127.0.0.1:9")))
			require.Error(t, s.close())
		})
	}
}

func TestUDPSocketEndsWhileItWaits(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	s, err := newUDPSocket(pc.(*net.UDPConn))
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		buf := make([]byte, 64)
		for {
			if _, _, err := s.read(buf, false); err != nil {
				ended <- err
				return
			}
		}
	}()
	require.NoError(t, s.send([]byte("the reader is there"), s.local))
	select {
	case err := <-ended:
		t.Fatal("reading ended by itself: ", err)
	case <-time.After(20 * time.Millisecond):
	}
	require.NoError(t, s.close())
	require.ErrorIs(t, <-ended, net.ErrClosed)
	// The port is free again.
	again, err := net.ListenPacket("udp", s.local.String())
	require.NoError(t, err)
	require.NoError(t, again.Close())
}
