package media

import "encoding/binary"

// rtpHeader is the length of an RTP header without contributing sources and
// extension (RFC 3550 §5.1).
const rtpHeader = 12

// packet is an RTP packet as far as it is used here. Its payload points into
// the buffer that it was parsed from.
type packet struct {
	ssrc, ts uint32
	seq      uint16
	marker   bool
	payload  []byte
}

// parseRTP reads an RTP packet (RFC 3550 §5.1). Padding that says something
// impossible is taken for payload: some boards set the bit and do not pad.
func parseRTP(b []byte) (packet, bool) {
	if len(b) < rtpHeader || b[0]>>6 != 2 {
		return packet{}, false
	}
	p := packet{
		marker: b[1]&0x80 != 0,
		seq:    binary.BigEndian.Uint16(b[2:]), ts: binary.BigEndian.Uint32(b[4:]), ssrc: binary.BigEndian.Uint32(b[8:]),
	}
	at := rtpHeader + 4*int(b[0]&0x0f)
	if b[0]&0x10 != 0 { // extension
		if len(b) < at+4 {
			return packet{}, false
		}
		at += 4 + 4*int(binary.BigEndian.Uint16(b[at+2:]))
	}
	if at > len(b) {
		return packet{}, false
	}
	end := len(b)
	if b[0]&0x20 != 0 && end > at {
		if pad := int(b[end-1]); pad > 0 && pad <= end-at {
			end -= pad
		}
	}
	p.payload = b[at:end]
	return p, true
}

// isRTCP tells RTCP from RTP on one port (RFC 5761 §4).
func isRTCP(b []byte) bool {
	return len(b) >= 8 && b[0]>>6 == 2 && b[1] >= 192 && b[1] <= 223
}
