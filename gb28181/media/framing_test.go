package media

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// rtpOf returns a packet with a recognisable payload.
func rtpOf(ssrc uint32, seq uint16, size int) []byte {
	b := make([]byte, rtpHeader+size)
	b[0], b[1] = 0x80, 96
	binary.BigEndian.PutUint16(b[2:], seq)
	binary.BigEndian.PutUint32(b[8:], ssrc)
	for i := range size {
		b[rtpHeader+i] = byte(i) + byte(seq)
	}
	return b
}

func framed4571(p []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(p))), p...)
}

func framedDollar(p []byte) []byte { return append([]byte{'$', 2}, framed4571(p)...) }

// cut runs bytes through a framer, size at a time.
func cut(t testing.TB, f *framer, in []byte, size int) (frames [][]byte, err error) {
	t.Helper()
	for len(in) > 0 {
		n := copy(f.space(), in[:min(size, len(in))])
		f.wrote(n)
		in = in[n:]
		for {
			b, ok, err := f.next()
			if err != nil {
				return frames, err
			}
			if !ok {
				break
			}
			frames = append(frames, bytes.Clone(b))
		}
	}
	return frames, nil
}

func TestFraming(t *testing.T) {
	garbage := make([]byte, 5000)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range garbage {
		garbage[i] = byte(r.Uint32())
	}
	var plain, dollar, both []byte
	var want [][]byte
	for i := range 40 {
		p := rtpOf(7, uint16(i), 10+i*37)
		want = append(want, p)
		plain = append(plain, framed4571(p)...)
		dollar = append(dollar, framedDollar(p)...)
	}
	half := 0
	for i := range 20 {
		half += 2 + len(want[i])
	}
	both = append(append(append([]byte{}, plain[:half]...), garbage...), plain[half:]...)
	// Garbage with frames of somebody else in it, as a stream within a stream.
	inner := append([]byte{0xff, 0xff, 0xff}, bytes.Repeat(framed4571(rtpOf(8, 1, 50)), 3)...)
	other := append(append(append([]byte{}, plain[:half]...), inner...), plain[half:]...)
	rr := framed4571([]byte{0x80, 201, 0, 1, 0, 0, 0, 7})
	for _, c := range []struct {
		name    string
		in      []byte
		want    [][]byte
		skipped int
	}{
		{"rfc 4571", plain, want, 0},
		{"dollar", dollar, want, 0},
		{"ehome in front", append(append([]byte{1, 0, 2, 0}, make([]byte, 252)...), plain...), want, 256},
		{"garbage in front", append(bytes.Clone(garbage), plain...), want, len(garbage)},
		{"garbage in between", both, want, len(garbage)},
		{"frames of another sender in garbage", other, want, len(inner)},
		{"http in front", append([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), plain...), want, 27},
		{"empty frames", append([]byte{0, 0, 0, 0}, bytes.Join([][]byte{framed4571(want[0]), framed4571(want[1])}, []byte{0, 0})...), want[:2], 4},
		{"rtcp first", append(bytes.Clone(rr), plain...), append([][]byte{rr[2:]}, want...), 0},
		{"largest", append(framed4571(rtpOf(7, 1, frameMax-12)), framed4571(want[0])...), [][]byte{rtpOf(7, 1, frameMax-12), want[0]}, 0},
		{"a length of dollar", append(framed4571(rtpOf(7, 1, 0x2460-12)), framed4571(want[0])...), [][]byte{rtpOf(7, 1, 0x2460-12), want[0]}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, size := range []int{1, 3, 1000, 1 << 20} {
				var f framer
				got, err := cut(t, &f, c.in, size)
				require.NoError(t, err)
				require.Equal(t, c.want, got, "%d at a time", size)
				require.Equal(t, c.skipped, int(f.skipped))
			}
		})
	}
}

func TestFramingGivesUp(t *testing.T) {
	var f framer
	frames, err := cut(t, &f, bytes.Repeat([]byte("HTTP"), maxGarbage), 4000)
	require.ErrorIs(t, err, errGarbage)
	require.Empty(t, frames)
	require.LessOrEqual(t, len(f.buf), bufferMax+readAtLeast)
}

func FuzzFraming(f *testing.F) {
	p := rtpOf(7, 1, 20)
	f.Add(append(framed4571(p), framed4571(p)...), uint16(5))
	f.Add(append(framedDollar(p), framedDollar(p)...), uint16(1000))
	f.Add(append(make([]byte, 256), append(framed4571(p), framed4571(p)...)...), uint16(100))
	f.Add(append([]byte{0, 0, 0, 0}, framed4571(p)[:13]...), uint16(3))
	f.Fuzz(func(t *testing.T, in []byte, size uint16) {
		var a, b framer
		whole, err1 := cut(t, &a, in, 1<<20)
		parts, err2 := cut(t, &b, in, int(size)+1)
		if err1 == nil && err2 == nil && len(parts) > len(whole)+1 {
			t.Fatalf("%d frames whole, %d in parts", len(whole), len(parts))
		}
		total := 0
		for _, p := range whole {
			total += len(p) + 2
			if len(p) < 8 || p[0]>>6 != 2 {
				t.Fatalf("frame %x", p)
			}
			parseRTP(p)
		}
		if total > len(in) {
			t.Fatal("more out than in")
		}
		if len(a.buf) > bufferMax+readAtLeast {
			t.Fatalf("buffer of %d bytes", len(a.buf))
		}
	})
}

func TestParseRTP(t *testing.T) {
	pad := append(rtpOf(1, 1, 4), 0, 0, 3)
	pad[0] |= 0x20
	wrongPad := rtpOf(1, 1, 4)
	wrongPad[0] |= 0x20
	wrongPad[15] = 200
	ext := append(append(rtpOf(1, 1, 0), 0xbe, 0xde, 0, 1, 9, 9, 9, 9), 1, 2, 3)
	ext[0] |= 0x10
	csrc := append(rtpOf(1, 1, 0), 0, 0, 0, 5, 7)
	csrc[0] |= 1
	cutExt := bytes.Clone(ext[:14])
	for _, c := range []struct {
		name string
		in   []byte
		want []byte
		ok   bool
	}{
		{"plain", rtpOf(1, 1, 3), []byte{1, 2, 3}, true},
		{"empty", rtpOf(1, 1, 0), []byte{}, true},
		{"padding", pad, []byte{1, 2, 3, 4}, true},
		{"padding that cannot be", wrongPad, []byte{1, 2, 3, 200}, true},
		{"extension", ext, []byte{1, 2, 3}, true},
		{"contributing source", csrc, []byte{7}, true},
		{"cut extension", cutExt, nil, false},
		{"short", rtpOf(1, 1, 0)[:11], nil, false},
		{"version", append([]byte{0x40}, rtpOf(1, 1, 0)[1:]...), nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, ok := parseRTP(c.in)
			require.Equal(t, c.ok, ok)
			if ok {
				require.Equal(t, c.want, p.payload)
			}
		})
	}
}

func FuzzParseRTP(f *testing.F) {
	f.Add(rtpOf(1, 2, 3))
	f.Add([]byte{0xbf, 0xe0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		if p, ok := parseRTP(in); ok && len(p.payload) > len(in)-rtpHeader {
			t.Fatal("payload longer than the packet")
		}
	})
}
