package media

import (
	"bytes"
	"encoding/binary"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// Payload is what the RTP packets of a stream carry, as their bytes say; what
// SDP and payload type say is wrong too often.
type Payload uint8

// The payloads that are understood.
const (
	PayloadUnknown Payload = iota
	PayloadPS              // MPEG program stream, GB/T 28181 annex C.1
	PayloadTS              // MPEG transport stream (RFC 2250 §2)
	PayloadH264            // H.264 by RFC 6184
	PayloadH265            // H.265 by RFC 7798
	PayloadAnnexB          // H.264 or H.265 with start codes, cut anywhere
)

// String returns "ps", "ts", "h264", "h265", "annexb" or "unknown": a bounded
// set, fit for a metric label.
func (p Payload) String() string {
	switch p {
	case PayloadPS:
		return "ps"
	case PayloadTS:
		return "ts"
	case PayloadH264:
		return "h264"
	case PayloadH265:
		return "h265"
	case PayloadAnnexB:
		return "annexb"
	}
	return "unknown"
}

const tsPacket = 188 // ISO/IEC 13818-1 §2.4.3.2

var (
	startCode = []byte{0, 0, 1}
	packStart = []byte{0, 0, 1, 0xba} // ISO/IEC 13818-1 §2.5.3.4
)

// recognise says what a packet's payload is, if it can be told from these bytes
// alone. frame says that a picture begins with this packet, as far as RTP
// timestamps and markers tell; the bytes in the middle of a picture can look
// like anything, so there only what cannot occur by chance counts. Beginnings
// that a key frame has are told; others are not, since decoding cannot start
// there anyhow.
func recognise(b []byte, frame bool) Payload {
	if isTS(b) {
		return PayloadTS
	}
	if i := bytes.Index(b, packStart); i >= 0 && isPack(b[i:]) {
		// In H.264 and H.265 three such bytes are always escaped, so this
		// is a program stream wherever it stands.
		return PayloadPS
	}
	if n, ok := afterStartCode(b); ok && len(n) > 1 {
		switch {
		case n[0] >= 0xb9: // a PES packet or a map, without its pack header
			return PayloadPS
		case frame && parameterCodec(n) != 0:
			return PayloadAnnexB
		}
		return PayloadUnknown
	}
	if !frame || len(b) < 3 {
		return PayloadUnknown
	}
	return recogniseRTP(b)
}

// recogniseRTP tells H.265 from H.264 by a payload that begins a key frame.
func recogniseRTP(b []byte) Payload {
	first := b
	if t := b[0] >> 1 & 0x3f; b[0]&0x81 == 0 && b[1] == 1 && t == 48 { // aggregation, RFC 7798 §4.4.2
		if first = firstOf(b[2:]); first == nil {
			return PayloadUnknown
		}
	} else if b[0]&0x9f == 24 { // STAP-A, RFC 6184 §5.7.1
		if first = firstOf(b[1:]); first == nil {
			return PayloadUnknown
		}
	}
	switch parameterCodec(first) {
	case ingest.H265:
		return PayloadH265
	case ingest.H264:
		return PayloadH264
	}
	return PayloadUnknown
}

// firstOf returns the first NAL unit of an aggregation packet, nil when the
// sizes in it do not add up.
func firstOf(b []byte) []byte {
	var first []byte
	for len(b) > 2 {
		n := int(binary.BigEndian.Uint16(b))
		if n == 0 || n > len(b)-2 {
			return nil
		}
		// A delimiter or SEI may stand before the parameter sets.
		if first == nil || parameterCodec(first) == 0 {
			first = b[2 : 2+n]
		}
		b = b[2+n:]
	}
	if len(b) != 0 {
		return nil
	}
	return first
}

// parameterCodec tells the codec by a parameter set, or a delimiter that stands
// in front of one; 0 if n is neither. The first byte of one codec's never is
// the first byte of the other's as encoders write it.
func parameterCodec(n []byte) ingest.Codec {
	if len(n) < 2 {
		return 0
	}
	if n[0] == 0x46 && n[1] == 1 && len(n) < 8 {
		return ingest.H265 // delimiter
	}
	if len(n) > 3 && n[1] == 1 && (n[0] == 0x40 || n[0] == 0x42 || n[0] == 0x44) { // VPS, SPS, PPS; layer 0, temporal ID 0
		return ingest.H265
	}
	if n[0]&0x9f == 9 && len(n) < 8 && n[1]&0x1f == 0x10 {
		return ingest.H264 // delimiter
	}
	if n[0]&0x9f == 7 && n[0]&0x60 != 0 && len(n) > 4 && isProfile(n[1]) {
		return ingest.H264
	}
	return 0
}

// isProfile says whether b is a profile_idc (H.264 annex A and later annexes).
func isProfile(b byte) bool {
	switch b {
	case 66, 77, 88, 100, 110, 122, 244, 44, 83, 86, 118, 128:
		return true
	}
	return false
}

// isTS says whether b is made of transport stream packets.
func isTS(b []byte) bool {
	if len(b) < tsPacket || len(b)%tsPacket != 0 {
		return false
	}
	for i := 0; i < len(b); i += tsPacket {
		if b[i] != 0x47 {
			return false
		}
	}
	return true
}

// isPack says whether what follows a pack start code can be a pack header of
// MPEG-2 or MPEG-1, or a PES packet in its place, as Hikvision sends it.
func isPack(b []byte) bool {
	if len(b) < 5 {
		return true
	}
	return b[4]&0xc0 == 0x40 || b[4]&0xf0 == 0x20 || b[4] == 0xe0
}

// afterStartCode returns what follows the start code that b begins with.
func afterStartCode(b []byte) ([]byte, bool) {
	if bytes.HasPrefix(b, startCode) {
		return b[3:], true
	}
	if len(b) > 4 && b[0] == 0 && bytes.HasPrefix(b[1:], startCode) {
		return b[4:], true
	}
	return nil, false
}
