package rtsp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph264"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph265"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// bench collects what a depacketiser says.
type bench struct {
	depacketiser
	units []ingest.AccessUnit
	gaps  uint64
}

func newBench(c ingest.Codec) *bench {
	b := &bench{}
	b.depacketiser = depacketiser{
		asm:   ingest.Assembler{Codec: c},
		clock: rtpClock{rate: 90000},
		emit:  func(u ingest.AccessUnit) { b.units = append(b.units, u) },
		lost:  func(n uint64) { b.gaps += n }, buffers: &Buffers{},
	}
	return b
}

// one makes a packet.
func one(seq uint16, ts uint32, marker bool, payload ...byte) *rtp.Packet {
	return &rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: seq, Timestamp: ts, Marker: marker}, Payload: payload}
}

// seen writes the units as "K" or "p", "!" for lost, and the sizes of the NALs.
func (b *bench) seen() (s []string) {
	for _, u := range b.units {
		x := "p"
		if u.Key {
			x = "K"
		}
		if u.Lost {
			x += "!"
		}
		for _, n := range u.NALUs {
			x += fmt.Sprintf(" %d", len(n))
		}
		s = append(s, x)
	}
	return s
}

func TestDepacketise(t *testing.T) {
	idr, idr2, p := []byte{0x65, 0x80, 1}, []byte{0x65, 0x40, 2, 2}, []byte{0x41, 0x80, 3, 3, 3}
	sps, pps := []byte{0x67, 1, 1, 1, 1, 1}, []byte{0x68, 1}
	stap := func(ns ...[]byte) []byte {
		b := []byte{0x18}
		for _, n := range ns {
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(n))), n...)
		}
		return b
	}
	fu := func(flags byte, part ...byte) []byte { return append([]byte{0x7c, flags | 5}, part...) }
	sets := one(0, 0, false, stap(sps, pps)...)
	for _, c := range []struct {
		name string
		in   []*rtp.Packet
		want []string
		gaps uint64
	}{
		{"key frame and another", []*rtp.Packet{sets, one(1, 0, true, idr...), one(2, 3600, true, p...)}, []string{"K 6 2 3", "p 5"}, 0},
		{"two slices", []*rtp.Packet{sets, one(1, 0, false, idr...), one(2, 0, true, idr2...)}, []string{"K 6 2 3 4"}, 0},
		{"fragments", []*rtp.Packet{sets, one(1, 0, false, fu(0x80, 0x80, 1)...), one(2, 0, false, fu(0, 2, 3)...), one(3, 0, true, fu(0x40, 4)...)}, []string{"K 6 2 6"}, 0},
		{"one fragment that is all", []*rtp.Packet{sets, one(1, 0, true, fu(0xc0, 0x80, 1)...)}, []string{"K 6 2 3"}, 0},
		{"sets with markers of their own", []*rtp.Packet{one(0, 0, true, sps...), one(1, 0, true, pps...), one(2, 0, true, idr...)}, []string{"K 6 2 3"}, 0},
		{"marker lost between pictures", []*rtp.Packet{sets, one(1, 0, false, idr...), one(2, 3600, true, p...)}, []string{"K 6 2 3", "p 5"}, 0},
		{"whole picture lost", []*rtp.Packet{sets, one(1, 0, true, idr...), one(4, 7200, true, p...)}, []string{"K 6 2 3", "p! 5"}, 2},
		{"fragment lost: the key frame is none", []*rtp.Packet{sets, one(1, 0, false, fu(0x80, 0x80, 1)...), one(3, 0, true, fu(0x40, 4)...), one(4, 3600, true, p...)}, []string{"p! 5"}, 1},
		{"slice lost: key frame damaged", []*rtp.Packet{sets, one(1, 0, false, idr...), one(3, 0, true, idr2...)}, []string{"p! 6 2 3 4"}, 1},
		{"first slice lost", []*rtp.Packet{sets, one(2, 0, true, idr2...)}, []string{"p! 6 2 4"}, 1},
		{"joined in the middle", []*rtp.Packet{one(7, 0, false, fu(0, 9)...), one(8, 0, true, fu(0x40, 9)...), one(9, 3600, true, p...)}, []string{"p! 5"}, 0},
		{"late and double packets", []*rtp.Packet{sets, one(1, 0, true, idr...), one(1, 0, true, idr...), one(0, 0, true, p...), one(2, 3600, true, p...)}, []string{"K 6 2 3", "p 5"}, 0},
		{"sender begins anew", []*rtp.Packet{sets, one(1, 0, true, idr...), one(40000, 3600, true, p...), one(40001, 7200, true, p...)}, []string{"K 6 2 3", "p! 5", "p 5"}, 1},
		{"sequence number wraps", []*rtp.Packet{one(65534, 0, false, stap(sps, pps)...), one(65535, 0, true, idr...), one(0, 3600, true, p...)}, []string{"K 6 2 3", "p 5"}, 0},
		{"annex b inside", []*rtp.Packet{one(0, 0, true, bytes.Join([][]byte{nil, sps, pps, idr}, []byte{0, 0, 0, 1})...)}, []string{"K 6 2 3"}, 0},
		{"stap with padding", []*rtp.Packet{one(0, 0, false, append(stap(sps, pps), 0, 0)...), one(1, 0, true, idr...)}, []string{"K 6 2 3"}, 0},
		{"stap that lies", []*rtp.Packet{sets, one(1, 0, false, 0x18, 0xff, 0xff, 1), one(2, 0, true, idr...)}, []string{"p! 6 2 3"}, 0},
		{"empty payload keeps the way open", []*rtp.Packet{sets, one(1, 0, false), one(2, 0, true, idr...)}, []string{"K 6 2 3"}, 0},
		{"unknown packing", []*rtp.Packet{one(0, 0, true, 0x19, 1, 2, 3), one(1, 1, true, 0x1c), one(2, 2, true, 0, 0)}, nil, 0},
		{"marker on every slice", []*rtp.Packet{
			sets, one(1, 0, true, idr...), one(2, 0, true, idr2...),
			one(3, 3600, true, idr...), one(4, 3600, true, idr2...), one(5, 7200, true, idr...), one(6, 7200, true, idr2...), one(7, 10800, true, p...),
		}, []string{"K 6 2 3", "K! 6 2 3 4", "K 6 2 3 4"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(ingest.H264)
			for _, pkt := range c.in {
				b.packet(pkt, time.Now())
			}
			require.Equal(t, c.want, b.seen())
			require.Equal(t, c.gaps, b.gaps)
		})
	}
}

func TestDepacketise265(t *testing.T) {
	b := newBench(ingest.H265)
	b.asm.Remember([]byte{0x40, 1, 1}, []byte{0x42, 1, 1}, []byte{0x44, 1, 1})
	fu := func(flags byte, part ...byte) []byte { return append([]byte{49 << 1, 1, flags | 19}, part...) }
	b.packet(one(0, 0, false, fu(0x80, 0x80, 1)...), time.Now())
	b.packet(one(1, 0, true, fu(0x40, 2)...), time.Now())
	b.packet(one(2, 3600, false, 48<<1, 1, 0, 3, 0x02, 1, 0x80), time.Now())
	b.packet(one(3, 3600, true, 0x02, 1, 0x10, 9), time.Now())
	b.packet(one(4, 7200, true, 50<<1, 1, 2, 3), time.Now())
	b.packet(one(5, 10800, true, 1, 1), time.Now())
	b.packet(one(6, 14400, true, 0x02, 1, 0x80), time.Now())
	require.Equal(t, []string{"K 3 3 3 5", "p 3 4", "p! 3"}, b.seen())
	require.Equal(t, []byte{19 << 1, 1, 0x80, 1, 2}, b.units[0].NALUs[3])
	require.EqualValues(t, 2, b.bad)
}

func TestDepacketiserIsBounded(t *testing.T) {
	b := newBench(ingest.H264)
	seq := uint16(0)
	send := func(p ...byte) {
		b.packet(one(seq, 0, false, p...), time.Now())
		seq++
	}
	// A fragmented unit that never ends.
	send(append([]byte{0x7c, 0x85, 0x80}, make([]byte, 60000)...)...)
	for range 200 {
		send(append([]byte{0x7c, 0x05}, make([]byte, 60000)...)...)
		require.LessOrEqual(t, len(b.buf), ingest.MaxUnitBytes+60010)
	}
	require.True(t, b.dropped)
	require.Empty(t, b.buf)
	// And one without content, which keeps nothing at all.
	b = newBench(ingest.H264)
	send(0x7c, 0x85)
	for range 100000 {
		send(0x7c, 0x05)
	}
	require.Less(t, cap(b.buf), 100)
	// Units without number.
	b = newBench(ingest.H264)
	for range 1000 {
		send(0x41, 0x80, 1)
	}
	require.LessOrEqual(t, len(b.starts), ingest.MaxUnitNALUs+1)
	// The next picture is taken again, and says that something is missing.
	b.packet(one(seq, 3600, true, 0x41, 0x80, 1), time.Now())
	require.Equal(t, []string{"p! 3"}, b.seen())
}

func TestDepacketiserAgreesWithTheEncoder(t *testing.T) {
	for _, c := range []struct {
		path   string
		codec  ingest.Codec
		encode func([][]byte) ([]*rtp.Packet, error)
	}{
		{walk264, ingest.H264, func() func([][]byte) ([]*rtp.Packet, error) {
			e := &rtph264.Encoder{PayloadMaxSize: 300, PacketizationMode: 1}
			require.NoError(t, e.Init())
			return e.Encode
		}()},
		{walk265, ingest.H265, func() func([][]byte) ([]*rtp.Packet, error) {
			e := &rtph265.Encoder{PayloadMaxSize: 300}
			require.NoError(t, e.Init())
			return e.Encode
		}()},
	} {
		b := newBench(c.codec)
		want := reference(t, c.path)
		for i, u := range want {
			packets, err := c.encode(u.NALUs)
			require.NoError(t, err)
			for _, p := range packets {
				p.Timestamp = 0xffffff00 + uint32(i)*9000 // wraps at once
				b.packet(p, time.Now())
			}
		}
		require.Len(t, b.units, len(want))
		for i := range want {
			require.Equal(t, want[i].NALUs, b.units[i].NALUs)
			require.Equal(t, time.Duration(i)*100*time.Millisecond, b.units[i].PTS)
			require.False(t, b.units[i].Lost)
		}
	}
}

func TestRTPClock(t *testing.T) {
	c := rtpClock{rate: 90000}
	require.Zero(t, c.at(0xfffffff0))
	require.Equal(t, time.Second, c.at(90000-16).Round(time.Microsecond), "wraps")
	require.Equal(t, 960*time.Millisecond, c.at(90000-16-3600).Round(time.Microsecond), "b-frame")
	// A day of 25 pictures a second does not overflow.
	c = rtpClock{rate: 90000}
	ts := uint32(0)
	for range 40 * 3600 {
		c.at(ts)
		ts += 90000
	}
	require.Equal(t, 40*time.Hour, c.at(ts))
}

func FuzzDepacketiser(f *testing.F) {
	// Each packet: flags (bit 0 marker, bit 1 new timestamp, bit 2 gap), length, payload.
	f.Add(true, []byte{0, 8, 0x18, 0, 2, 0x67, 1, 0, 1, 0x68, 1, 3, 0x65, 0x80, 1, 3, 3, 0x41, 0x80, 1})
	f.Add(true, []byte{0, 4, 0x7c, 0x85, 0x80, 1, 4, 3, 0x7c, 5, 1, 1, 3, 0x7c, 0x45, 1})
	f.Add(false, []byte{0, 5, 98, 1, 0x93, 0x80, 1, 1, 4, 98, 1, 0x53, 2, 3, 7, 96, 1, 0, 3, 2, 1, 0x80})
	f.Fuzz(func(t *testing.T, h264 bool, in []byte) {
		codec := ingest.H265
		if h264 {
			codec = ingest.H264
		}
		b := newBench(codec)
		seq, ts, sent := uint16(0), uint32(0), 0
		for len(in) >= 2 {
			flags, n := in[0], min(int(in[1]), len(in)-2)
			if flags&2 != 0 {
				ts += 3600
			}
			if flags&4 != 0 {
				seq += uint16(flags >> 3)
			}
			b.packet(one(seq, ts, flags&1 != 0, in[2:2+n]...), time.Time{})
			in = in[2+n:]
			sent += n
			seq++
		}
		size := 0
		for _, u := range b.units {
			if len(u.NALUs) == 0 || len(u.NALUs) > ingest.MaxUnitNALUs {
				t.Fatalf("unit of %d NAL units", len(u.NALUs))
			}
			if !u.Key {
				size += u.Size()
			}
		}
		if size > sent {
			t.Fatalf("%d bytes out of %d", size, sent)
		}
	})
}
