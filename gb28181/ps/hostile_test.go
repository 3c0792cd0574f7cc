package ps

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math/rand/v2"
	"testing"
	"time"
)

// audit feeds stream to a demuxer in portions and holds it to what it promises
// whatever the bytes are. It returns a hash of all that came out.
func audit(t *testing.T, stream []byte, portion func() int, gap func() bool) []byte {
	t.Helper()
	sum, total := sha256.New(), 0
	d := NewDemuxer(func(p Packet) {
		total += len(p.Data)
		if len(p.Data) == 0 || len(p.Data) > MaxFrame {
			t.Errorf("a frame of %d bytes", len(p.Data))
		}
		if p.PTS < -1 || p.PTS > clockMask || p.DTS < -1 || p.DTS > clockMask {
			t.Errorf("time stamps %d, %d", p.PTS, p.DTS)
		}
		if p.StreamID < StreamVideo || p.StreamID > codeVideoEnd {
			t.Errorf("stream %#x", p.StreamID)
		}
		digest(sum, p)
	})
	for rest := stream; len(rest) > 0; {
		n := min(portion(), len(rest))
		d.Write(rest[:n])
		rest = rest[n:]
		if len(d.carry) >= mapMax {
			t.Fatalf("%d bytes carried over", len(d.carry))
		}
		if gap() {
			d.Lost(1)
		}
	}
	d.Flush()
	s := d.Stats()
	if uint64(total)+s.Discarded > s.Bytes || s.Bytes != uint64(len(stream)) {
		t.Errorf("%d bytes in, %d out, %d discarded", len(stream), total, s.Discarded)
	}
	return sum.Sum(nil)
}

func digest(sum hash.Hash, p Packet) {
	var head [18]byte
	head[0], head[1] = p.StreamType, p.StreamID
	binary.BigEndian.PutUint64(head[2:], uint64(p.PTS))
	binary.BigEndian.PutUint64(head[10:], uint64(p.DTS))
	sum.Write(head[:])
	sum.Write(p.Data)
}

// within fails the test if f hangs. The time is far above what any input takes.
func within(t *testing.T, input string, f func()) {
	t.Helper()
	watch := time.AfterFunc(20*time.Second, func() { panic("demuxer hangs on " + input) })
	defer watch.Stop()
	f()
}

func never() bool { return false }

// TestDemuxerMutations feeds 30,000 damaged streams: bytes flipped, chunks of a
// packet's size dropped, doubled or moved, start codes sown. Each is read twice,
// at once and in portions, and must give the same.
func TestDemuxerMutations(t *testing.T) {
	rounds := 30_000
	if testing.Short() {
		rounds = 3_000
	}
	var seeds [][]byte
	for _, c := range clips {
		seeds = append(seeds, muxed(clip(t, c.file, 4), c.streamType, true))
	}
	for _, b := range bends {
		seeds = append(seeds, b.stream)
	}
	for round := range rounds {
		seed := rand.New(rand.NewPCG(uint64(round), 28181))
		stream := mutate(seed, seeds[seed.IntN(len(seeds))])
		within(t, "round "+time.Duration(round).String(), func() {
			whole := audit(t, stream, func() int { return len(stream) }, never)
			split := audit(t, stream, func() int { return 1 + seed.IntN(1500) }, never)
			if !bytes.Equal(whole, split) {
				t.Errorf("round %d: split, the stream gives other frames", round)
			}
			audit(t, stream, func() int { return 1 + seed.IntN(1500) }, func() bool { return seed.IntN(30) == 0 })
		})
		if t.Failed() {
			return
		}
	}
}

func mutate(seed *rand.Rand, b []byte) []byte {
	b = bytes.Clone(b)
	for range 1 + seed.IntN(20) {
		if len(b) == 0 {
			return b
		}
		at := seed.IntN(len(b))
		end := min(at+1+seed.IntN(1400), len(b))
		switch seed.IntN(8) {
		case 0, 1, 2:
			b[at] ^= byte(1 << seed.IntN(8))
		case 3:
			b[at] = byte(seed.Uint32())
		case 4:
			b = append(b[:at], b[end:]...)
		case 5:
			b = append(b[:end:end], b[at:]...)
		case 6:
			copy(b[seed.IntN(len(b)):], b[at:end])
		case 7:
			copy(b[at:], []byte{0, 0, 1, byte(codeEnd + seed.IntN(0x100-codeEnd)), byte(seed.Uint32()), byte(seed.Uint32())})
		}
	}
	return b
}

// TestDemuxerWorstCases feeds what would take a careless demuxer quadratic
// time: start codes, headers and tiny packets without end.
func TestDemuxerWorstCases(t *testing.T) {
	tiny := pes(0xE0, -1, []byte{0, 0, 1, 0x67, 0x64})
	for name, c := range map[string]struct{ head, again []byte }{
		"zeros":                    {nil, make([]byte, 64)},
		"start codes":              {nil, []byte{0, 0, 1}},
		"pack start codes":         {nil, []byte{0, 0, 1, 0xBA}},
		"maps that never end":      {nil, []byte{0, 0, 1, 0xBC, 0xFF, 0xFF, 0, 0, 0x03, 0xF0}},
		"maps of the largest size": {nil, append([]byte{0, 0, 1, 0xBC, 0x03, 0xFA, 0, 0, 0x03, 0xF0}, make([]byte, 1010)...)},
		"tiny PES packets":         {join(pack(), pes(0xE0, -1, idr264[:8]), bytes.Repeat([]byte{9}, 3<<20)), tiny},
		"packs and tiny packets":   {join(pack(), pes(0xE0, 7, []byte{0, 0, 1, 0x67, 0x64})), join(pack(), pes(0xE0, 7, []byte{0, 0, 1, 0x68, 0x64}))},
		"unbounded packets":        {nil, []byte{0, 0, 1, 0xE0, 0, 0, 0x80, 0, 0}},
		"one frame for ever":       {pes(0xE0, 0, idr264), bytes.Repeat([]byte{3}, 4096)},
	} {
		t.Run(name, func(t *testing.T) {
			stream := append(bytes.Clone(c.head), bytes.Repeat(c.again, (8<<20)/len(c.again))...)
			within(t, name, func() { audit(t, stream, func() int { return 1400 }, never) })
		})
	}
	t.Run("byte by byte", func(t *testing.T) {
		stream := bytes.Repeat([]byte{0, 0, 1, 0xBC, 0xFF, 0xFF, 0, 0, 0x03, 0xF0, 0, 0, 1, 0xE0, 0, 0, 0x80, 0, 0xFF}, 20_000)
		within(t, "byte by byte", func() { audit(t, stream, func() int { return 1 }, never) })
	})
}

func FuzzDemuxer(f *testing.F) {
	for _, b := range bends {
		if len(b.stream) < 10_000 {
			f.Add(b.stream, uint16(100), uint8(0))
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte, portion uint16, gap uint8) {
		n := int(portion) + 1
		whole := audit(t, stream, func() int { return len(stream) }, never)
		if split := audit(t, stream, func() int { return n }, never); !bytes.Equal(whole, split) {
			t.Errorf("in portions of %d the stream gives other frames", n)
		}
		writes := 0
		audit(t, stream, func() int { return n }, func() bool { writes++; return gap > 0 && writes%int(gap) == 0 })
	})
}
