package media

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph264"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph265"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sharpeyes/sharpeyes/gb28181/ps"
	"github.com/sharpeyes/sharpeyes/ingest"
	"github.com/sharpeyes/sharpeyes/ingest/replay"
)

func TestMain(m *testing.M) {
	if args := os.Getenv(benchEnv); args != "" { // the other process of BenchmarkReceive
		if err := benchSender(args); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

const (
	walk264 = "../../ingest/testdata/walk.h264"
	walk265 = "../../ingest/testdata/walk.h265"
)

// taken is a sink that keeps what it gets.
type taken struct {
	mu         sync.Mutex
	transports []string
	units      []ingest.AccessUnit
	lost       uint64
}

func (s *taken) Connected(transport string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.transports = append(s.transports, transport)
}

func (s *taken) Write(u ingest.AccessUnit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.units = append(s.units, u)
}

func (s *taken) Lost(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost += n
}

func (s *taken) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.units)
}

func (s *taken) all() []ingest.AccessUnit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.units
}

// film returns the access units of a clip.
func film(t testing.TB, path string) []ingest.AccessUnit {
	t.Helper()
	src, err := replay.New(path, replay.Options{FPS: 25})
	require.NoError(t, err)
	var s taken
	require.Error(t, src.Run(context.Background(), &s)) // it ended
	require.Greater(t, len(s.units), 20)
	return s.units
}

func annexBytes(u ingest.AccessUnit) []byte {
	var b []byte
	for _, n := range u.NALUs {
		b = append(append(b, 0, 0, 0, 1), n...)
	}
	return b
}

// wire is what a device does with its pictures.
type wire struct {
	payload   Payload
	ssrc      uint32
	pt        byte
	seq       uint16
	noMarker  bool
	allMarker bool
	size      int              // of a payload; 0: 1400
	ts        func(int) uint32 // of picture i; nil: 90 kHz at 25 pictures a second
	muxer     *ps.Muxer
	enc264    *rtph264.Encoder
	enc265    *rtph265.Encoder
	counters  map[uint16]int // of a transport stream
}

// packets returns the RTP packets of picture i.
func (w *wire) packets(t testing.TB, u ingest.AccessUnit, i int) [][]byte {
	t.Helper()
	ts := uint32(i) * 3600
	if w.ts != nil {
		ts = w.ts(i)
	}
	var out [][]byte
	parts := w.payloads(t, u, i)
	for k, p := range parts {
		b := make([]byte, 12, 12+len(p))
		b[0], b[1] = 0x80, w.pt|96
		if last := k == len(parts)-1; (last && !w.noMarker) || w.allMarker {
			b[1] |= 0x80
		}
		binary.BigEndian.PutUint16(b[2:], w.seq)
		binary.BigEndian.PutUint32(b[4:], ts)
		binary.BigEndian.PutUint32(b[8:], w.ssrc)
		w.seq++
		out = append(out, append(b, p...))
	}
	return out
}

func (w *wire) payloads(t testing.TB, u ingest.AccessUnit, i int) [][]byte {
	var b []byte
	switch w.payload {
	case PayloadH264:
		if w.enc264 == nil {
			w.enc264 = &rtph264.Encoder{PacketizationMode: 1, PayloadMaxSize: 1400}
			require.NoError(t, w.enc264.Init())
		}
		ps, err := w.enc264.Encode(u.NALUs)
		require.NoError(t, err)
		var out [][]byte
		for _, p := range ps {
			out = append(out, p.Payload)
		}
		return out
	case PayloadH265:
		if w.enc265 == nil {
			w.enc265 = &rtph265.Encoder{PayloadMaxSize: 1400}
			require.NoError(t, w.enc265.Init())
		}
		ps, err := w.enc265.Encode(u.NALUs)
		require.NoError(t, err)
		var out [][]byte
		for _, p := range ps {
			out = append(out, p.Payload)
		}
		return out
	case PayloadAnnexB:
		b = annexBytes(u)
	case PayloadTS:
		return chunks(w.tsOf(u, i), 7*tsPacket)
	default:
		if w.muxer == nil {
			kind := ps.TypeH264
			if u.Codec == ingest.H265 {
				kind = ps.TypeH265
			}
			w.muxer = ps.NewMuxer(kind)
		}
		b = w.muxer.Frame(nil, annexBytes(u), int64(i)*3600+90000, u.Key)
	}
	size := w.size
	if size == 0 {
		size = 1400
	}
	return chunks(b, size)
}

func chunks(b []byte, size int) [][]byte {
	var out [][]byte
	for len(b) > 0 {
		n := min(size, len(b))
		out = append(out, b[:n])
		b = b[n:]
	}
	return out
}

// tsOf writes picture i as a transport stream: tables on key frames, then PES.
func (w *wire) tsOf(u ingest.AccessUnit, i int) []byte {
	var out []byte
	if w.counters == nil {
		w.counters = make(map[uint16]int)
	}
	packet := func(pid uint16, start bool, payload []byte) []byte {
		b := []byte{0x47, byte(pid >> 8), byte(pid), 0x10 | byte(w.counters[pid]&15)}
		w.counters[pid]++
		if start {
			b[1] |= 0x40
		}
		n := min(len(payload), tsPacket-4)
		if n < tsPacket-4 { // stuffing by an adaptation field
			b[3] |= 0x20
			stuff := tsPacket - 4 - n - 1
			b = append(b, byte(stuff))
			if stuff > 0 {
				b = append(b, 0)
				b = append(b, bytes.Repeat([]byte{0xff}, stuff-1)...)
			}
		}
		out = append(out, append(b, payload[:n]...)...)
		return payload[n:]
	}
	kind := byte(ps.TypeH264)
	if u.Codec == ingest.H265 {
		kind = ps.TypeH265
	}
	if u.Key {
		packet(0, true, []byte{0, 0, 0xb0, 13, 0, 1, 0xc1, 0, 0, 0, 1, 0xe1, 0, 1, 2, 3, 4})
		packet(0x100, true, []byte{0, 2, 0xb0, 23, 0, 1, 0xc1, 0, 0, 0xe1, 1, 0xf0, 0, 0x0f, 0xe1, 2, 0xf0, 0, kind, 0xe1, 1, 0xf0, 0, 1, 2, 3, 4})
	}
	pts := uint64(i)*3600 + 90000
	pes := []byte{0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5, 0x21 | byte(pts>>29)&0x0e, byte(pts >> 22), byte(pts>>14) | 1, byte(pts >> 7), byte(pts<<1) | 1}
	pes = append(pes, annexBytes(u)...)
	for start := true; len(pes) > 0; start = false {
		pes = packet(0x101, start, pes)
	}
	return out
}

// device sends packets over UDP or TCP.
type device struct {
	net.Conn
	dollar bool
}

func (d *device) send(t testing.TB, packets ...[]byte) {
	t.Helper()
	for _, p := range packets {
		_, err := d.Conn.Write(d.frame(p))
		require.NoError(t, err)
	}
}

func (d *device) frame(p []byte) []byte {
	if _, udp := d.Conn.(*net.UDPConn); udp {
		return p
	}
	var b []byte
	if d.dollar {
		b = append(b, '$', 0)
	}
	return append(binary.BigEndian.AppendUint16(b, uint16(len(p))), p...)
}

func dial(t testing.TB, network string, port uint16) *device {
	t.Helper()
	c, err := net.Dial(network, netip.AddrPortFrom(loopback, port).String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return &device{Conn: c}
}

var loopback = netip.MustParseAddr("127.0.0.1")

func receiver(t testing.TB, opt Options) *Receiver {
	t.Helper()
	r, err := Listen(opt)
	require.NoError(t, err)
	t.Cleanup(r.Close)
	return r
}

// freeRange finds n even ports in a row, each with the odd one above it.
func freeRange(t testing.TB, n int) (first, last uint16) {
	t.Helper()
	for range 100 {
		first = uint16(20000 + 2*rand.IntN(5000))
		ok := true
		for p := first; p < first+uint16(2*n) && ok; p++ {
			c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, p)))
			if ok = err == nil; ok {
				_ = c.Close()
			}
		}
		if ok {
			return first, first + uint16(2*n) - 1
		}
	}
	t.Fatal("no free ports")
	return 0, 0
}

// open opens a stream that was answered.
func open(t testing.TB, r *Receiver, want Expect) (*Stream, *taken) {
	t.Helper()
	s := &taken{}
	if want.Sink == nil {
		want.Sink = s
	}
	x, err := r.Open(want)
	require.NoError(t, err)
	t.Cleanup(x.Close)
	x.Answered(0, netip.AddrPort{})
	return x, s
}

// same compares what came with the pictures of the clip.
func same(t testing.TB, want, got []ingest.AccessUnit) {
	t.Helper()
	require.GreaterOrEqual(t, len(got), 1)
	require.LessOrEqual(t, len(got), len(want))
	for i, u := range got {
		require.Equal(t, want[i].Codec, u.Codec, "unit %d", i)
		require.Equal(t, want[i].Key, u.Key, "unit %d", i)
		require.Equal(t, annexBytes(want[i]), annexBytes(u), "unit %d", i)
		require.False(t, u.Lost, "unit %d", i)
		require.InDelta(t, float64(i)*0.04, u.PTS.Seconds(), 0.011, "unit %d", i)
	}
}

func eventually(t testing.TB, f func() bool, msg string, args ...any) {
	t.Helper()
	require.Eventually(t, f, 10*time.Second, 2*time.Millisecond, append([]any{msg}, args...)...)
}
