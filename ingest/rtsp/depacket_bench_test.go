package rtsp

import (
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph264"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// BenchmarkDepacketise measures what a picture of a 4 Mbit/s stream at 25 per
// second costs from packets to access unit, without the network.
func BenchmarkDepacketise(b *testing.B) {
	e := &rtph264.Encoder{PacketizationMode: 1}
	require.NoError(b, e.Init())
	slice := make([]byte, 4_000_000/8/25)
	for i := range slice {
		slice[i] = byte(i*7) | 1
	}
	slice[0], slice[1] = 0x41, 0x80
	units := 0
	d := newBench(ingest.H264)
	d.emit = func(ingest.AccessUnit) { units++ }
	packets, err := e.Encode([][]byte{slice})
	require.NoError(b, err)
	var last *rtp.Packet
	seq := uint16(0)
	b.SetBytes(int64(len(slice)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		now := time.Now()
		for _, last = range packets {
			last.SequenceNumber, last.Timestamp = seq, uint32(i)*3600
			d.packet(last, now)
			seq++
		}
	}
	require.Positive(b, units)
}

// BenchmarkReceive is the same from the bytes of the connection on.
func BenchmarkReceive(b *testing.B) {
	slice := make([]byte, 4_000_000/8/25)
	for i := range slice {
		slice[i] = byte(i*7) | 1
	}
	slice[0], slice[1] = 0x41, 0x80
	e := &rtph264.Encoder{PacketizationMode: 1}
	require.NoError(b, e.Init())
	packets, err := e.Encode([][]byte{slice})
	require.NoError(b, err)
	var stream []byte
	for _, p := range packets {
		stream = append(stream, rtpFrame(2, 0, 0, p.Marker, p.Payload)...)
	}
	units, seq := 0, uint16(0)
	d := newBench(ingest.H264)
	d.emit = func(ingest.AccessUnit) { units++ }
	var x interleaved
	x.begin(2, 96, func(p *rtp.Packet, at time.Time) {
		p.SequenceNumber, p.Timestamp = seq, uint32(units)*3600
		seq++
		d.packet(p, at)
	}, func() { b.Fatal("garbled") })
	from := &piecewise{size: 8 << 10}
	rest := make([]byte, 4096)
	b.SetBytes(int64(len(slice)))
	b.ReportAllocs()
	for b.Loop() {
		from.b = stream
		for {
			if _, err := x.read(rest, from.read); err != nil {
				break
			}
		}
	}
	require.Positive(b, units)
}
