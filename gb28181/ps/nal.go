package ps

import (
	"bytes"
	"slices"
)

var prefix = []byte{0, 0, 1}

// indexSystem returns where the first start code of the stream itself begins
// in b, its four bytes complete, or -1.
func indexSystem(b []byte) int {
	for from := 0; ; {
		i := bytes.Index(b[from:], prefix)
		if i < 0 || from+i+3 >= len(b) {
			return -1
		}
		i += from
		if b[i+3] >= codeEnd {
			return i
		}
		from = i + 3
	}
}

// openStart returns how many bytes at the end of b may begin a start code.
func openStart(b []byte) int {
	n := len(b)
	switch {
	case n >= 3 && b[n-3] == 0 && b[n-2] == 0 && b[n-1] == 1:
		return 3
	case n >= 2 && b[n-2] == 0 && b[n-1] == 0:
		return 2
	case n >= 1 && b[n-1] == 0:
		return 1
	}
	return 0
}

// startLen returns the length of the Annex-B start code that b begins with, or 0.
func startLen(b []byte) int {
	switch {
	case bytes.HasPrefix(b, prefix):
		return 3
	case len(b) >= 4 && b[0] == 0 && bytes.HasPrefix(b[1:], prefix):
		return 4
	}
	return 0
}

// The NAL units of a frame are looked at no further than this: what tells the
// codec stands at its beginning, and the work per PES packet must be bounded.
const (
	maxUnits = 24
	maxSpan  = 16 << 10
)

// units calls each with the bytes from every NAL unit's header on, until it
// returns false.
func units(b []byte, each func(unit []byte) bool) {
	b = b[:min(len(b), maxSpan)]
	for range maxUnits {
		i := bytes.Index(b, prefix)
		if i < 0 || i+3 >= len(b) {
			return
		}
		b = b[i+3:]
		if !each(b) {
			return
		}
	}
}

// h264Profiles are the values of profile_idc (ITU-T H.264 annex A, G, H). With
// one of them behind it, a byte that could be a sequence parameter set is one.
var h264Profiles = []byte{66, 77, 88, 100, 110, 122, 244, 44, 83, 86, 118, 128}

// sniff returns the codec that the first telling NAL unit of the frame shows,
// or TypeUnknown. It is sure if that is a parameter set; slices of H.264 and
// H.265 look like pieces of MPEG-2 and MPEG-4.
func sniff(frame []byte) (kind byte, sure bool) {
	units(frame, func(u []byte) bool {
		kind, sure = sniffUnit(u)
		return kind == TypeUnknown && u[0] < 0x80
	})
	return kind, sure
}

// sniffUnit rests on two facts: the first byte of an H.265 unit of the base
// layer is even and the second 1 in every stream without temporal layers, and
// an H.264 slice or sequence parameter set, whose first byte is odd, would as
// H.265 be of a layer that nobody sends.
func sniffUnit(u []byte) (kind byte, sure bool) {
	if len(u) < 2 {
		return TypeUnknown, false
	}
	switch u[0] {
	case 0x40, 0x42, 0x44: // VPS, SPS, PPS
		if u[1] == 1 {
			return TypeH265, true
		}
	case 0x46, 0x00, 0x02, 0x26, 0x28, 0x2A: // AUD, TRAIL, IDR, CRA
		if u[1] == 1 {
			return TypeH265, false
		}
	case 0x27, 0x47, 0x67: // SPS
		if slices.Contains(h264Profiles, u[1]) {
			return TypeH264, true
		}
	case 0x01, 0x21, 0x41, 0x61, 0x25, 0x45, 0x65: // slices
		return TypeH264, false
	}
	return TypeUnknown, false
}

// holdsSlice says whether the frame has a slice of the codec; if that is not
// known, whether it has any NAL unit.
func holdsSlice(kind byte, frame []byte) (found bool) {
	units(frame, func(u []byte) bool {
		found = isSlice(kind, u[0])
		return !found
	})
	return found
}

func isSlice(kind, header byte) bool {
	switch kind {
	case TypeH264: // ITU-T H.264 table 7-1
		t := header & 0x1F
		return t >= 1 && t <= 5
	case TypeH265: // ITU-T H.265 table 7-1
		return header>>1&0x3F < 32
	}
	return true
}

// opensPicture says whether a payload begins with the first NAL unit of a
// picture: a parameter set, a delimiter, a message, or a first slice. It needs
// peek bytes to tell slices apart.
func opensPicture(kind byte, payload []byte) bool {
	n := startLen(payload)
	if n == 0 || n == len(payload) {
		return false
	}
	u := payload[n:]
	if !isSlice(kind, u[0]) {
		return true
	}
	first := 1 // H.264: first_mb_in_slice 0 is a single 1 bit
	if kind == TypeH265 {
		first = 2 // first_slice_segment_in_pic_flag
	}
	return kind == TypeUnknown || first < len(u) && u[first]&0x80 != 0
}
