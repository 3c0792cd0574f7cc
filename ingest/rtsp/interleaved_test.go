package rtsp

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"
)

// piecewise reads a stream in pieces of a given size.
type piecewise struct {
	b    []byte
	size int
}

func (p *piecewise) read(b []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.size)], p.b)
	p.b = p.b[n:]
	return n, nil
}

// separate lets interleaved read a stream to its end, and returns the sequence
// numbers it took and what it left to gortsplib.
func separate(stream []byte, piece, ask int) (taken []uint16, left []byte, bad int) {
	var x interleaved
	x.begin(2, 96, func(p *rtp.Packet, _ time.Time) { taken = append(taken, p.SequenceNumber) }, func() { bad++ })
	from := &piecewise{stream, piece}
	b := make([]byte, ask)
	for {
		n, err := x.read(b, from.read)
		left = append(left, b[:n]...)
		if err != nil {
			return taken, left, bad
		}
	}
}

func TestInterleavedTakesItsPacketsAndLeavesTheRest(t *testing.T) {
	answer := []byte("RTSP/1.0 200 OK\r\nCSeq: 4\r\nContent-Length: 6\r\n\r\n$\x02\x00\x01ab")
	report := []byte{'$', 3, 0, 4, 0x80, 200, 0, 0}
	var stream []byte
	stream = append(stream, answer...)
	for i := range 40 {
		stream = append(stream, rtpFrame(2, uint16(i), 0, true, make([]byte, 10+i*30))...)
		if i == 20 {
			stream = append(stream, report...)
			stream = append(stream, 'x') // garbage between two frames
			stream = append(stream, answer...)
		}
	}
	first := rtpFrame(2, 0, 0, true, make([]byte, 10)) // the sample that gortsplib sees too
	want := bytes.Join([][]byte{answer, first, report, answer}, nil)
	for _, size := range []int{1, 7, 1000, 1 << 20} {
		for _, ask := range []int{1, 16, 4096} {
			taken, left, bad := separate(stream, size, ask)
			require.Len(t, taken, 40, "pieces of %d", size)
			for i, seq := range taken {
				require.Equal(t, uint16(i), seq)
			}
			require.Zero(t, bad)
			require.Equal(t, want, left, "pieces of %d, asked for %d", size, ask)
		}
	}
}

func TestInterleavedCountsWhatIsNoPacketOfTheTrack(t *testing.T) {
	other := rtpFrame(2, 1, 0, true, []byte{1, 2})
	other[5] = 97 // another payload type
	taken, _, bad := separate(append(other, '$', 2, 0, 1, 0x80), 4096, 4096)
	require.Empty(t, taken)
	require.Equal(t, 2, bad)
}

// What nobody understands goes on to gortsplib, which refuses it, and does not
// pile up.
func TestInterleavedHeadWithoutEnd(t *testing.T) {
	stream := append([]byte("RTSP/1.0 200 OK\r\n"), bytes.Repeat([]byte("a"), 3*frameBuffer)...)
	_, left, _ := separate(stream, 4096, 4096)
	require.GreaterOrEqual(t, len(left), frameBuffer)
}

// FuzzInterleaved feeds any bytes in any pieces: what is taken does not depend on
// how the network cuts it, and nothing is handed to gortsplib twice.
func FuzzInterleaved(f *testing.F) {
	f.Add(append([]byte("RTSP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc"), rtpFrame(2, 7, 0, true, []byte{1, 2, 3})...), uint8(3))
	f.Add([]byte{'$', 3, 0, 4, 0x80, 200, 0, 0, '$', 2, 0xff, 0xff, 1}, uint8(1))
	f.Fuzz(func(t *testing.T, stream []byte, piece uint8) {
		taken, left, bad := separate(stream, int(piece)+1, 64)
		all, _, allBad := separate(stream, 1<<20, 64)
		require.Equal(t, all, taken)
		require.Equal(t, allBad, bad)
		require.LessOrEqual(t, len(left), len(stream))
	})
}
