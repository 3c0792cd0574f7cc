package ps

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// The streams of these tests are put together from literal bytes here, so that
// the demuxer is not held to the muxer beside it.

type sample struct {
	data []byte
	key  bool
}

// clip cuts the first n pictures out of a clip of the demonstration, whose
// pictures are one slice each.
func clip(t testing.TB, name string, n int) (frames []sample) {
	t.Helper()
	all, err := os.ReadFile(filepath.Join("..", "..", "configs", "clips", name))
	if err != nil {
		t.Fatal(err)
	}
	h265 := filepath.Ext(name) == ".h265"
	start := 0
	for at := 0; len(frames) < n; {
		i := bytes.Index(all[at:], []byte{0, 0, 1})
		if i < 0 || at+i+3 >= len(all) {
			t.Fatalf("%s has %d pictures, want %d", name, len(frames), n)
		}
		header := all[at+i+3]
		slice, key := header&0x1F == 1 || header&0x1F == 5, header&0x1F == 5
		if h265 {
			slice, key = header>>1&0x3F < 32, header>>1&0x3F >= 16 && header>>1&0x3F < 24
		}
		at += i + 3
		if !slice {
			continue
		}
		end := len(all)
		if j := bytes.Index(all[at:], []byte{0, 0, 1}); j >= 0 {
			end = at + j
			if all[end-1] == 0 {
				end--
			}
		}
		frames = append(frames, sample{all[start:end], key})
		start, at = end, end
	}
	return frames
}

// unit is a NAL unit of n bytes behind its start code, free of zeros.
func unit(header []byte, n int) []byte {
	u := append([]byte{0, 0, 0, 1}, header...)
	for i := range n {
		u = append(u, byte(i*7+i>>8)|1)
	}
	return u
}

var (
	sps264  = unit([]byte{0x67, 0x64, 0x00, 0x1E}, 12)
	pps264  = unit([]byte{0x68, 0xEE}, 4)
	idr264  = unit([]byte{0x65, 0x88}, 3000)
	p264    = unit([]byte{0x41, 0x9A}, 700)
	rest264 = unit([]byte{0x41, 0x48}, 300) // a slice that is not the picture's first
	vps265  = unit([]byte{0x40, 0x01, 0x0C}, 18)
	sps265  = unit([]byte{0x42, 0x01, 0x01}, 30)
	idr265  = unit([]byte{0x26, 0x01, 0xAF}, 4000)
	p265    = unit([]byte{0x02, 0x01, 0xD0}, 600)
)

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// pack is a pack header with 3 stuffing bytes.
func pack() []byte {
	return []byte{0, 0, 1, 0xBA, 0x44, 0, 4, 0, 4, 1, 0, 0x50, 0x03, 0xFB, 0xFF, 0xFF, 0xFF}
}

func system() []byte {
	return []byte{0, 0, 1, 0xBB, 0, 9, 0x80, 0x28, 1, 0, 0x21, 0x7F, 0xE0, 0xE8, 0}
}

// mapOf is a program stream map with a right CRC; lengthError is added to its length.
func mapOf(videoType byte, lengthError int) []byte {
	m := []byte{0, 0, 1, 0xBC, 0, byte(18 + lengthError), 0xE1, 0xFF, 0, 0, 0, 8, videoType, 0xE0, 0, 0, 0x90, 0xC0, 0, 0}
	crc := crc32MPEG(m)
	return append(m, byte(crc>>24), byte(crc>>16), byte(crc>>8), byte(crc))
}

func stamp(prefix byte, t int64) []byte {
	return []byte{prefix<<4 | byte(t>>29)&0x0E | 1, byte(t >> 22), byte(t>>14) | 1, byte(t >> 7), byte(t<<1) | 1}
}

// pes is a PES packet with the time stamp pts, or without if that is negative.
func pes(id byte, pts int64, payload []byte) []byte {
	header := []byte{0x80, 0, 0}
	if pts >= 0 {
		header = append([]byte{0x80, 0x80, 5}, stamp(2, pts)...)
	}
	return rawPES(id, header, payload, len(header)+len(payload))
}

func rawPES(id byte, header, payload []byte, length int) []byte {
	return join([]byte{0, 0, 1, id, byte(length >> 8), byte(length)}, header, payload)
}

type got struct {
	kind byte
	pts  int64
	data []byte
	lost bool
}

// collect returns a demuxer that keeps copies of what it hands out.
func collect() (*Demuxer, *[]got) {
	out := new([]got)
	return NewDemuxer(func(p Packet) {
		*out = append(*out, got{p.StreamType, p.PTS, bytes.Clone(p.Data), p.Lost})
	}), out
}

func equal(t *testing.T, have []got, want []got) {
	t.Helper()
	if len(have) != len(want) {
		t.Fatalf("%d frames, want %d: %s", len(have), len(want), outline(have))
	}
	for i, w := range want {
		h := have[i]
		if h.kind != w.kind || h.pts != w.pts || h.lost != w.lost || !bytes.Equal(h.data, w.data) {
			t.Errorf("frame %d: type %#x pts %d lost %v, %d bytes; want type %#x pts %d lost %v, %d bytes",
				i, h.kind, h.pts, h.lost, len(h.data), w.kind, w.pts, w.lost, len(w.data))
		}
	}
}

func outline(frames []got) (lines []string) {
	for _, f := range frames {
		lines = append(lines, string(appendHex(nil, f.data[:min(8, len(f.data))])))
	}
	return lines
}

func appendHex(dst, b []byte) []byte {
	for _, c := range b {
		dst = append(dst, "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
	}
	return dst
}
