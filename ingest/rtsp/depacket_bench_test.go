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
