package ingest

import (
	"encoding/binary"
	"math/bits"
)

const (
	recoveryMessage = 6    // payload type of a recovery point in both codecs
	maxMessages     = 32   // of one SEI NAL unit that are looked at
	maxMessageBytes = 256  // ditto; messages of this kind come first and are short
	maxRecovery     = 1500 // pictures until a stream is refreshed, a minute at 25 a second; a larger number is none
)

// RecoveryPoint says whether n, a NAL unit of the codec without start code, holds
// a recovery point message (SEI; H.264 §D.2.8, H.265 §D.3.8): decoding may start
// at its picture, and what is shown is right from so many pictures later on (H.265:
// steps of the picture order count). Zero is a picture that is right itself, as in
// open GOPs; more is gradual refresh. n may be any bytes.
func RecoveryPoint(c Codec, n []byte) (after int, ok bool) {
	head := 1
	if c == H265 {
		head = 2
	}
	if len(n) < head+3 || (c == H264 && n[0]&0x1f != 6) || (c == H265 && n[0]>>1&0x3f != 39) {
		return 0, false
	}
	var room [maxMessageBytes]byte
	b := unescape(room[:0], n[head:])
	for range maxMessages {
		var kind, size int
		kind, b = messageNumber(b)
		size, b = messageNumber(b)
		if kind == recoveryMessage {
			k, ok := expGolomb(b[:min(size, len(b))])
			if c == H265 { // se(v): odd numbers are positive, even ones lie before this picture
				k = (k + 1) / 2 * (k & 1)
			}
			return k, ok && k <= maxRecovery
		}
		if size >= len(b) {
			return 0, false
		}
		b = b[size:]
	}
	return 0, false
}

// messageNumber reads a type or size of an SEI message: 255 for each byte 0xff,
// then the rest (H.264 §7.3.2.3.1, H.265 §7.3.5).
func messageNumber(b []byte) (int, []byte) {
	v := 0
	for len(b) > 0 && b[0] == 0xff {
		v, b = v+255, b[1:]
	}
	if len(b) == 0 {
		return v, nil
	}
	return v + int(b[0]), b[1:]
}

// unescape appends b to dst without emulation prevention bytes (H.264 §7.4.1.1,
// H.265 §7.4.2.1), as far as dst has room.
func unescape(dst, b []byte) []byte {
	zeros := 0
	for _, c := range b {
		if zeros >= 2 && c == 3 {
			zeros = 0
			continue
		}
		if len(dst) == cap(dst) {
			break
		}
		if dst = append(dst, c); c == 0 {
			zeros++
		} else {
			zeros = 0
		}
	}
	return dst
}

// expGolomb reads the number at the front of b, ue(v), of at most 31 bits.
func expGolomb(b []byte) (int, bool) {
	var room [8]byte
	copy(room[:], b)
	v := binary.BigEndian.Uint64(room[:])
	zeros := bits.LeadingZeros64(v)
	if zeros > 15 || 2*zeros+1 > 8*len(b) {
		return 0, false
	}
	return int(v>>(63-2*zeros)) - 1, true
}

// isIntra says whether an H.264 slice that is the first of its picture is
// predicted from nothing: slice_type I or SI (H.264 table 7-6).
func isIntra(n []byte) bool {
	var room [2]byte
	copy(room[:], n[1:])
	// Behind first_mb_in_slice, which is a single 1 bit.
	binary.BigEndian.PutUint16(room[:], binary.BigEndian.Uint16(room[:])<<1)
	kind, ok := expGolomb(room[:])
	return ok && (kind%5 == 2 || kind%5 == 4)
}
