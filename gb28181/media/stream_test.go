package media

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/gb28181/ps"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// TestStream sends a clip in every way that devices do and expects the same
// pictures.
func TestStream(t *testing.T) {
	clips := map[string][]ingest.AccessUnit{"h264": film(t, walk264), "h265": film(t, walk265)}
	for _, c := range []struct {
		name, clip string
		network    string
		own        bool
		dollar     bool
		wire       wire
		want       Payload
		first      string // bytes in front
	}{
		{name: "ps over tcp", clip: "h264", network: "tcp", want: PayloadPS},
		{name: "ps over udp", clip: "h264", network: "udp", want: PayloadPS},
		{name: "ps h265 over tcp, own port", clip: "h265", network: "tcp", own: true, want: PayloadPS},
		{name: "ps h265 over udp, own port", clip: "h265", network: "udp", own: true, want: PayloadPS},
		{name: "dollar framing", clip: "h264", network: "tcp", dollar: true, want: PayloadPS},
		{name: "ehome header in front", clip: "h264", network: "tcp", first: "\x01\x00\x01\x00" + string(make([]byte, 252)), want: PayloadPS},
		{name: "no markers", clip: "h264", network: "tcp", wire: wire{noMarker: true}, want: PayloadPS},
		{name: "markers on every packet", clip: "h264", network: "tcp", wire: wire{allMarker: true}, want: PayloadPS},
		{name: "tiny payloads", clip: "h264", network: "tcp", wire: wire{size: 37}, want: PayloadPS},
		{name: "huge payloads", clip: "h264", network: "tcp", wire: wire{size: 60000}, want: PayloadPS},
		{name: "constant rtp timestamp", clip: "h264", network: "tcp", wire: wire{ts: func(int) uint32 { return 7 }}, want: PayloadPS},
		{name: "ts", clip: "h264", network: "tcp", wire: wire{payload: PayloadTS, pt: 33}, want: PayloadTS},
		{name: "ts h265 over udp", clip: "h265", network: "udp", wire: wire{payload: PayloadTS}, want: PayloadTS},
		{name: "bare h264", clip: "h264", network: "tcp", wire: wire{payload: PayloadH264}, want: PayloadH264},
		{name: "bare h264 without markers", clip: "h264", network: "tcp", wire: wire{payload: PayloadH264, noMarker: true}, want: PayloadH264},
		{name: "bare h265 over udp", clip: "h265", network: "udp", wire: wire{payload: PayloadH265}, want: PayloadH265},
		{name: "annex b", clip: "h264", network: "tcp", wire: wire{payload: PayloadAnnexB}, want: PayloadAnnexB},
		{name: "annex b h265, no markers", clip: "h265", network: "udp", wire: wire{payload: PayloadAnnexB, noMarker: true}, want: PayloadAnnexB},
	} {
		t.Run(c.name, func(t *testing.T) {
			opt := Options{}
			if c.own {
				opt.First, opt.Last = freeRange(t, 1)
			}
			want := Expect{Camera: "c1", SSRC: 12345, Transport: TCPPassive}
			if c.network == "udp" {
				want.Transport = UDP
			}
			s, sink := open(t, receiver(t, opt), want)
			d := dial(t, c.network, s.Port())
			d.dollar = c.dollar
			if c.first != "" {
				_, err := io.WriteString(d.Conn, c.first)
				require.NoError(t, err)
			}
			clip := clips[c.clip]
			w := c.wire
			w.ssrc = 12345
			for i, u := range clip {
				d.send(t, w.packets(t, u, i)...)
				if c.network == "udp" { // as fast as it is taken, so that the socket does not overflow
					eventually(t, func() bool { return s.Stats().Packets >= uint64(w.seq) }, "unit %d", i)
				}
			}
			least := len(clip)
			if w.noMarker || w.payload == PayloadTS {
				least-- // what comes next would end it
			}
			eventually(t, func() bool { return sink.count() >= least }, "got %d of %d units: %+v", sink.count(), least, s.Stats())
			same(t, clip, sink.all())
			eventually(t, func() bool { return s.Stats().Packets >= uint64(w.seq) }, "the last of %d packets", w.seq)
			s.Finish()
			require.Len(t, sink.all(), len(clip))
			same(t, clip, sink.all())
			st := s.Stats()
			require.Equal(t, c.want, st.Payload)
			require.Equal(t, clip[0].Codec, st.Codec)
			require.Equal(t, c.network, st.Transport)
			require.Equal(t, []string{c.network}, sink.transports)
			require.Zero(t, st.Lost)
			require.Zero(t, st.Bad)
			require.False(t, st.WrongSSRC)
			require.Equal(t, uint64(len(c.first)), st.Skipped)
			require.Equal(t, "c1", string(sink.all()[0].Camera))
			s.Close()
			require.ErrorIs(t, s.Err(), ErrClosed)
		})
	}
}

// TestActive connects to a device that listens, after it was refused once.
func TestActive(t *testing.T) {
	clip := film(t, walk264)
	r := receiver(t, Options{})
	s, sink := open(t, r, Expect{SSRC: 5, Transport: TCPActive})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	at := l.Addr().(*net.TCPAddr).AddrPort()
	require.NoError(t, l.Close())
	s.Dial(at)
	l, err = net.Listen("tcp", at.String())
	require.NoError(t, err)
	defer l.Close() //nolint:errcheck // it is a test
	c, err := l.Accept()
	require.NoError(t, err)
	d := &device{Conn: c}
	w := wire{ssrc: 5}
	for i, u := range clip {
		d.send(t, w.packets(t, u, i)...)
	}
	eventually(t, func() bool { return sink.count() == len(clip) }, "units")
	require.NoError(t, c.Close())
	<-s.Done()
	require.ErrorIs(t, s.Err(), ErrHungUp)
}

func TestActiveRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	at := l.Addr().(*net.TCPAddr).AddrPort()
	require.NoError(t, l.Close())
	s, _ := open(t, receiver(t, Options{}), Expect{Transport: TCPActive})
	s.Dial(at)
	eventually(t, func() bool { return s.Err() != nil }, "end")
	require.ErrorIs(t, s.Err(), ErrConnect)
}

// TestActiveComes is a device that connects to us although we said that we
// would: lzh2nix's simulator does. Its stream must not end because nobody
// listens on its side.
func TestActiveComes(t *testing.T) {
	clip := film(t, walk264)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	at := l.Addr().(*net.TCPAddr).AddrPort()
	require.NoError(t, l.Close())
	s, sink := open(t, receiver(t, Options{}), Expect{SSRC: 5, Transport: TCPActive})
	d := dial(t, "tcp", s.Port())
	w := wire{ssrc: 5}
	d.send(t, w.packets(t, clip[0], 0)...)
	eventually(t, func() bool { return sink.count() == 1 }, "first unit")
	s.dial(t.Context(), at)
	require.NoError(t, s.Err())
	d.send(t, w.packets(t, clip[1], 1)...)
	eventually(t, func() bool { return sink.count() == 2 }, "second unit")
}

// TestSSRC walks through who is believed.
func TestSSRC(t *testing.T) {
	clip := film(t, walk264)
	remote := netip.AddrPortFrom(loopback, 0)
	t.Run("own port takes another ssrc and says so", func(t *testing.T) {
		first, last := freeRange(t, 1)
		s, sink := open(t, receiver(t, Options{First: first, Last: last}), Expect{SSRC: 1, Transport: UDP})
		d := dial(t, "udp", s.Port())
		wrong, right := wire{ssrc: 99}, wire{ssrc: 1}
		d.send(t, wrong.packets(t, clip[0], 0)...)
		eventually(t, func() bool { return sink.count() == 1 }, "unit")
		require.True(t, s.Stats().WrongSSRC)
		require.Equal(t, uint32(99), s.Stats().SSRC)
		// The one that was asked for goes before it.
		d.send(t, right.packets(t, clip[0], 0)...)
		eventually(t, func() bool { return sink.count() == 2 }, "unit")
		require.False(t, s.Stats().WrongSSRC)
		d.send(t, wrong.packets(t, clip[0], 0)...)
		eventually(t, func() bool { return s.Stats().Strange > 0 }, "the wrong one is not taken back")
	})
	t.Run("shared port: unknown ssrc of the one that is expected from there", func(t *testing.T) {
		r := receiver(t, Options{})
		s, sink := open(t, r, Expect{SSRC: 1, Transport: UDP, Remote: remote})
		d := dial(t, "udp", s.Port())
		w := wire{ssrc: 99}
		d.send(t, w.packets(t, clip[0], 0)...)
		eventually(t, func() bool { return sink.count() == 1 }, "unit")
		require.True(t, s.Stats().WrongSSRC)
	})
	t.Run("shared port: two expected from there, neither gets a stranger's", func(t *testing.T) {
		r := receiver(t, Options{})
		s1, k1 := open(t, r, Expect{SSRC: 1, Transport: UDP, Remote: remote})
		_, k2 := open(t, r, Expect{SSRC: 2, Transport: UDP, Remote: remote})
		d := dial(t, "udp", s1.Port())
		w := wire{ssrc: 99}
		sendStray(t, r, d, w.packets(t, clip[0], 0))
		require.Zero(t, k1.count()+k2.count())
		// The port that the answer named tells them apart.
		s1.Answered(0, d.LocalAddr().(*net.UDPAddr).AddrPort())
		w.seq = 0
		d.send(t, w.packets(t, clip[0], 0)...)
		eventually(t, func() bool { return k1.count() == 1 }, "unit")
		require.Zero(t, k2.count())
	})
	t.Run("shared port: what goes on after its stream was closed is no other camera's", func(t *testing.T) {
		r := receiver(t, Options{})
		gone, sink := open(t, r, Expect{Camera: "a", SSRC: 1, Transport: UDP, Remote: remote})
		d := dial(t, "udp", gone.Port())
		w := wire{ssrc: 99}
		d.send(t, w.packets(t, clip[0], 0)...)
		eventually(t, func() bool { return sink.count() == 1 }, "unit")
		gone.Close()
		other, none := open(t, r, Expect{Camera: "b", SSRC: 2, Transport: UDP, Remote: remote})
		sendStray(t, r, d, w.packets(t, clip[1], 1))
		other.Close()
		_, again := open(t, r, Expect{Camera: "a", SSRC: 3, Transport: UDP, Remote: remote})
		w.seq = 0
		d.send(t, w.packets(t, clip[0], 2)...)
		eventually(t, func() bool { return again.count() == 1 }, "its own camera's")
		require.Zero(t, none.count())
	})
	t.Run("shared port: another device may choose the ssrc of a closed stream", func(t *testing.T) {
		r := receiver(t, Options{})
		gone, sink := open(t, r, Expect{Camera: "a", SSRC: 1, Transport: UDP, Remote: remote})
		w := wire{ssrc: 99}
		dial(t, "udp", gone.Port()).send(t, w.packets(t, clip[0], 0)...)
		eventually(t, func() bool { return sink.count() == 1 }, "unit")
		gone.Close()
		_, own := open(t, r, Expect{Camera: "b", SSRC: 2, Transport: UDP, Remote: remote})
		w.seq = 0
		dial(t, "udp", gone.Port()).send(t, w.packets(t, clip[0], 0)...)
		eventually(t, func() bool { return own.count() == 1 }, "from another port")
	})
	t.Run("shared port: what comes after its stream was closed is no other camera's", func(t *testing.T) {
		r := receiver(t, Options{})
		gone, _ := open(t, r, Expect{Camera: "a", SSRC: 1, Transport: UDP, Remote: remote})
		gone.Close()
		_, sink := open(t, r, Expect{Camera: "b", SSRC: 2, Transport: UDP, Remote: remote})
		d := dial(t, "udp", gone.Port())
		late, own := wire{ssrc: 1}, wire{ssrc: 99}
		sendStray(t, r, d, late.packets(t, clip[0], 0))
		n := r.Stats().Unknown
		d.send(t, own.packets(t, clip[0], 0)...)
		eventually(t, func() bool { return sink.count() == 1 }, "its own")
		require.Equal(t, n, r.Stats().Unknown)
	})
	t.Run("shared port: the last of several does not get what may be another's", func(t *testing.T) {
		r := receiver(t, Options{})
		gone, _ := open(t, r, Expect{Camera: "a", SSRC: 1, Transport: UDP, Remote: remote})
		_, sink := open(t, r, Expect{Camera: "b", SSRC: 2, Transport: UDP, Remote: remote})
		d := dial(t, "udp", gone.Port())
		w := wire{ssrc: 99}
		sendStray(t, r, d, w.packets(t, clip[0], 0))
		gone.Close()
		sendStray(t, r, d, w.packets(t, clip[0], 0))
		require.Zero(t, sink.count())
	})
	t.Run("shared port: what came before is not what was asked for", func(t *testing.T) {
		r := receiver(t, Options{})
		d := dial(t, "udp", r.Port())
		w := wire{ssrc: 99}
		sendStray(t, r, d, w.packets(t, clip[0], 0))
		_, sink := open(t, r, Expect{Camera: "a", SSRC: 1, Transport: UDP, Remote: remote})
		sendStray(t, r, d, w.packets(t, clip[0], 0))
		require.Zero(t, sink.count())
	})
	t.Run("shared port: the answer's ssrc", func(t *testing.T) {
		r := receiver(t, Options{})
		s, sink := open(t, r, Expect{SSRC: 1, Transport: TCPPassive})
		s.Answered(77, netip.AddrPort{})
		d := dial(t, "tcp", s.Port())
		w := wire{ssrc: 77}
		d.send(t, w.packets(t, clip[0], 0)...)
		eventually(t, func() bool { return sink.count() == 1 }, "unit")
		require.False(t, s.Stats().WrongSSRC)
	})
	t.Run("two streams by ssrc over one port and address", func(t *testing.T) {
		r := receiver(t, Options{})
		s1, k1 := open(t, r, Expect{SSRC: 1, Transport: TCPPassive})
		_, k2 := open(t, r, Expect{SSRC: 2, Transport: TCPPassive})
		d2, d1 := dial(t, "tcp", s1.Port()), dial(t, "tcp", s1.Port())
		w1, w2 := wire{ssrc: 1}, wire{ssrc: 2}
		d1.send(t, w1.packets(t, clip[0], 0)...)
		d2.send(t, w2.packets(t, clip[1], 1)...)
		eventually(t, func() bool { return k1.count() == 1 }, "first")
		require.Equal(t, annexBytes(clip[0]), annexBytes(k1.all()[0]))
		d2.send(t, w2.packets(t, clip[2], 2)...)
		require.Eventually(t, func() bool { return k2.count() <= 2 }, time.Second, time.Millisecond)
		_, err := r.Open(Expect{SSRC: 2, Transport: UDP})
		require.ErrorContains(t, err, "expected already")
	})
	t.Run("a second connection does not take a stream that flows", func(t *testing.T) {
		r := receiver(t, Options{})
		s, sink := open(t, r, Expect{SSRC: 1, Transport: TCPPassive})
		d := dial(t, "tcp", s.Port())
		far := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
		c, err := far.Dial("tcp", netip.AddrPortFrom(loopback, s.Port()).String())
		require.NoError(t, err)
		defer c.Close() //nolint:errcheck // it is a test
		thief := &device{Conn: c}
		w, x := wire{ssrc: 1}, wire{ssrc: 1}
		d.send(t, w.packets(t, clip[0], 0)...)
		eventually(t, func() bool { return sink.count() == 1 }, "unit")
		thief.send(t, x.packets(t, clip[0], 0)[0])
		eventually(t, func() bool { return s.Stats().Strange > 0 }, "refused")
		d.send(t, w.packets(t, clip[1], 1)...)
		eventually(t, func() bool { return sink.count() == 2 }, "goes on")
	})
}

// sendStray sends packets that no stream takes: each is counted.
func sendStray(t *testing.T, r *Receiver, d *device, packets [][]byte) {
	t.Helper()
	before := r.Stats().Unknown
	d.send(t, packets...)
	eventually(t, func() bool { return r.Stats().Unknown == before+uint64(len(packets)) }, "counted")
}

// TestReconnect lets a device hang up and come back, and then stay away.
func TestReconnect(t *testing.T) {
	clip := film(t, walk264)
	s, sink := open(t, receiver(t, Options{}), Expect{SSRC: 1, Transport: TCPPassive, Reconnect: 300 * time.Millisecond})
	d := dial(t, "tcp", s.Port())
	w := wire{ssrc: 1}
	d.send(t, w.packets(t, clip[0], 0)...)
	eventually(t, func() bool { return sink.count() == 1 }, "unit")
	require.NoError(t, d.Close())
	d = dial(t, "tcp", s.Port())
	w.seq = 500
	d.send(t, w.packets(t, clip[0], 10)...)
	eventually(t, func() bool { return sink.count() == 2 }, "unit after coming back")
	require.True(t, sink.all()[1].Lost)
	require.Equal(t, uint64(2), s.Stats().Connects)
	require.NoError(t, d.Close())
	eventually(t, func() bool { return s.Err() != nil }, "end")
	require.ErrorIs(t, s.Err(), ErrHungUp)
}

// TestOverdue ends streams that do not come.
func TestOverdue(t *testing.T) {
	clip := film(t, walk264)
	const short = 150 * time.Millisecond
	for _, c := range []struct {
		name      string
		transport Transport
		send      func(*testing.T, *device)
		err       error
		text      string
	}{
		{"nobody connects", TCPPassive, nil, ErrNobody, "tcp port"},
		{"no packet", UDP, nil, ErrNoMedia, "udp port"},
		{"a connection that says nothing", TCPPassive, func(t *testing.T, d *device) { dial(t, "tcp", uint16(d.RemoteAddr().(*net.UDPAddr).Port)) }, ErrNoMedia, "a connection stands"},
		{"garbage", UDP, func(t *testing.T, d *device) { d.send(t, []byte("not rtp, not anything")) }, ErrNoMedia, ""},
		{"another's ssrc", UDP, func(t *testing.T, d *device) { d.send(t, (&wire{ssrc: 5}).packets(t, clip[0], 0)...) }, ErrOtherSSRC, "which streams share"},
		{"silence", UDP, func(t *testing.T, d *device) { d.send(t, (&wire{ssrc: 1}).packets(t, clip[0], 0)...) }, ErrSilent, ""},
		{"no video", UDP, func(t *testing.T, d *device) {
			d.send(t, append([]byte{0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1}, "something that is no video"...))
		}, ErrUnreadable, "no payload that is known"},
		{"svac", UDP, func(t *testing.T, d *device) {
			w := wire{ssrc: 1, muxer: ps.NewMuxer(ps.TypeSVAC)}
			for i := range 3 {
				u := ingest.AccessUnit{Key: true, NALUs: [][]byte{bytes.Repeat([]byte{0x7e, 9}, 40)}}
				d.send(t, w.packets(t, u, i)...)
			}
		}, ErrUnsupported, "SVAC"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, err := Listen(Options{})
			require.NoError(t, err)
			defer r.Close()
			s, err := r.Open(Expect{SSRC: 1, Transport: c.transport, Remote: netip.AddrPortFrom(loopback, 0), Wait: short, Silence: short})
			require.NoError(t, err)
			defer s.Close()
			// Another one is expected from there too, so that nothing can be guessed.
			s2, err := r.Open(Expect{SSRC: 2, Transport: c.transport, Remote: netip.AddrPortFrom(loopback, 0)})
			require.NoError(t, err)
			defer s2.Close()
			s.Answered(0, netip.AddrPort{})
			if c.send != nil {
				c.send(t, dial(t, "udp", s.Port()))
			}
			<-s.Done()
			require.ErrorIs(t, s.Err(), c.err)
			require.ErrorContains(t, s.Err(), c.text)
		})
	}
}

// TestPause keeps a paused playback.
func TestPause(t *testing.T) {
	clip := film(t, walk264)
	s, sink := open(t, receiver(t, Options{}), Expect{SSRC: 1, Transport: UDP, Silence: 100 * time.Millisecond})
	d := dial(t, "udp", s.Port())
	d.send(t, (&wire{ssrc: 1}).packets(t, clip[0], 0)...)
	eventually(t, func() bool { return sink.count() == 1 }, "unit")
	s.Pause(true)
	require.Never(t, func() bool { return s.Err() != nil }, 300*time.Millisecond, 20*time.Millisecond)
	s.Pause(false)
	eventually(t, func() bool { return s.Err() != nil }, "end")
	require.ErrorIs(t, s.Err(), ErrSilent)
}

// TestSpraying sends packets of a hundred thousand SSRCs at a shared port.
func TestSpraying(t *testing.T) {
	clip := film(t, walk264)
	r := receiver(t, Options{})
	s, sink := open(t, r, Expect{SSRC: 1, Transport: UDP})
	d := dial(t, "udp", s.Port())
	b := (&wire{}).packets(t, clip[0], 0)[0]
	const sent = 100000
	for i := range sent {
		b[8], b[9], b[10], b[11] = byte(i>>24)|0x40, byte(i>>16), byte(i>>8), byte(i)
		d.send(t, b)
	}
	p := r.shared
	p.mu.RLock()
	require.Len(t, p.bySSRC, 1)
	require.Empty(t, p.waiting)
	p.mu.RUnlock()
	require.Positive(t, r.Stats().Unknown)
	eventually(t, func() bool {
		d.send(t, (&wire{ssrc: 1}).packets(t, clip[0], 0)...)
		return sink.count() > 0
	}, "the expected stream is heard")
}

// TestConnections opens more connections than are admitted; the stream's own
// device is heard all the same once they are gone.
func TestConnections(t *testing.T) {
	r := receiver(t, Options{})
	for range maxPendingHost + 10 {
		dial(t, "tcp", r.Port())
	}
	eventually(t, func() bool { return r.Stats().Refused == 10 }, "refused: %d", r.Stats().Refused)
	require.Equal(t, maxPendingHost, r.Stats().Pending)
}

// TestGarbageConnection is hung up on, and costs no stream anything.
func TestGarbageConnection(t *testing.T) {
	r := receiver(t, Options{})
	d := dial(t, "tcp", r.Port())
	for range 1000 {
		if _, err := d.Write(bytes.Repeat([]byte{0xff}, 1000)); err != nil {
			break
		}
	}
	eventually(t, func() bool { return r.Stats().Strange == 1 }, "hung up")
	require.Zero(t, r.Stats().Pending)
}

// TestPorts takes all ports of a range and gives them back.
func TestPorts(t *testing.T) {
	first, last := freeRange(t, 3)
	r := receiver(t, Options{First: first, Last: last})
	seen := make(map[uint16]bool)
	var all []*Stream
	for range 3 {
		s, _ := open(t, r, Expect{Transport: UDP})
		require.Zero(t, s.Port()%2)
		seen[s.Port()] = true
		all = append(all, s)
	}
	require.Len(t, seen, 3)
	_, err := r.Open(Expect{Transport: UDP})
	require.ErrorIs(t, err, ErrNoPort)
	all[1].Close()
	s, _ := open(t, r, Expect{Transport: UDP})
	require.Equal(t, all[1].Port(), s.Port())
	require.Equal(t, 3, r.Stats().Streams)
	r.Close()
	require.ErrorIs(t, s.Err(), ErrClosed)
	_, err = r.Open(Expect{})
	require.ErrorIs(t, err, ErrClosed)
}

// TestReport reads a receiver report as the device would.
func TestReport(t *testing.T) {
	clip := film(t, walk264)
	first, last := freeRange(t, 1)
	s, sink := open(t, receiver(t, Options{First: first, Last: last}), Expect{SSRC: 9, Transport: UDP})
	var rtp, ctl *net.UDPConn
	for rtp == nil { // a pair of ports for the device
		a, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
		require.NoError(t, err)
		at := a.LocalAddr().(*net.UDPAddr)
		if ctl, err = net.ListenUDP("udp", &net.UDPAddr{IP: at.IP, Port: at.Port + 1}); err == nil {
			rtp = a
		} else {
			require.NoError(t, a.Close())
		}
	}
	defer rtp.Close() //nolint:errcheck // it is a test
	defer ctl.Close() //nolint:errcheck // it is a test
	for _, p := range (&wire{ssrc: 9}).packets(t, clip[0], 0) {
		_, err := rtp.WriteToUDPAddrPort(p, netip.AddrPortFrom(loopback, s.Port()))
		require.NoError(t, err)
	}
	eventually(t, func() bool { return sink.count() == 1 }, "unit")
	s.report()
	b := make([]byte, 200)
	require.NoError(t, ctl.SetReadDeadline(time.Now().Add(5*time.Second)))
	n, from, err := ctl.ReadFromUDPAddrPort(b)
	require.NoError(t, err)
	require.Equal(t, s.Port()+1, from.Port())
	var rr rtcp.ReceiverReport
	require.NoError(t, rr.Unmarshal(b[:n]))
	require.Equal(t, uint32(9), rr.Reports[0].SSRC)
	require.Equal(t, uint32(s.Stats().Packets-1), rr.Reports[0].LastSequenceNumber)
}

// TestLoss drops and mixes UDP packets.
func TestLoss(t *testing.T) {
	clip := film(t, walk264)
	s, sink := open(t, receiver(t, Options{}), Expect{SSRC: 1, Transport: UDP})
	d := dial(t, "udp", s.Port())
	w := wire{ssrc: 1, size: 100}
	send := func(i int, order func([][]byte) [][]byte) {
		d.send(t, order(w.packets(t, clip[i], i))...)
	}
	asIs := func(p [][]byte) [][]byte { return p }
	send(0, asIs)
	send(1, func(p [][]byte) [][]byte { p[0], p[1] = p[1], p[0]; return append(p, p[0]) })
	send(2, func(p [][]byte) [][]byte { return append(p[:1:1], p[2:]...) }) // one is lost
	for i := 3; i < 30; i++ {
		send(i, asIs)
	}
	eventually(t, func() bool { return s.Stats().Lost == 1 && sink.count() >= 28 }, "%+v", s.Stats())
	st := s.Stats()
	require.Equal(t, uint64(1), st.Lost)
	require.Equal(t, uint64(1), sink.lost)
	require.Equal(t, uint64(1), st.Reordered)
	require.Equal(t, uint64(1), st.Duplicate)
	lost := 0
	for _, u := range sink.all() {
		if u.Lost {
			lost++
		}
	}
	require.Equal(t, 1, lost, "marks of loss")
}
