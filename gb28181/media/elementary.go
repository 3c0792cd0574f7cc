package media

import (
	"encoding/binary"

	"github.com/sharpeyes/sharpeyes/ingest"
)

var longStart = []byte{0, 0, 0, 1}

// elementary turns RTP payloads of H.264 (RFC 6184) or H.265 (RFC 7798) into
// Annex-B bytes.
type elementary struct {
	codec ingest.Codec
	pics  *pictures
	inFU  bool // a fragmented NAL unit is open
	fuAt  int  // where it begins in pics.buf
}

// payload takes one payload; false means that it is malformed or of a kind that
// the modes in use do not have.
func (e *elementary) payload(p []byte) bool {
	if len(p) < 3 {
		e.cut()
		return len(p) == 0
	}
	if _, ok := afterStartCode(p); ok { // some wrap whole pictures
		e.cut()
		e.pics.write(p)
		return true
	}
	if e.codec == ingest.H265 {
		return e.payload265(p)
	}
	switch t := p[0] & 0x1f; {
	case t >= 1 && t <= 23:
		e.nalu(p)
	case t == 24: // STAP-A, RFC 6184 §5.7.1
		return e.aggregate(p[1:])
	case t == 28: // FU-A, RFC 6184 §5.8
		return e.fragment(p[1], p[2:], p[0]&0xe0|p[1]&0x1f)
	default:
		e.cut()
		return false
	}
	return true
}

func (e *elementary) payload265(p []byte) bool {
	switch t := p[0] >> 1 & 0x3f; {
	case t < 48:
		e.nalu(p)
	case t == 48: // aggregation packet, RFC 7798 §4.4.2
		return e.aggregate(p[2:])
	case t == 49: // fragmentation unit, RFC 7798 §4.4.3
		return e.fragment(p[2], p[3:], p[0]&0x81|p[2]&0x3f<<1, p[1])
	default:
		e.cut()
		return false
	}
	return true
}

// aggregate takes NAL units that each have 16 bits of size in front.
func (e *elementary) aggregate(p []byte) bool {
	e.cut()
	for len(p) >= 2 {
		n := int(binary.BigEndian.Uint16(p))
		if p = p[2:]; n > len(p) {
			return false
		}
		if n > 0 { // zero is padding, where some cameras put it
			e.nalu(p[:n])
		}
		p = p[n:]
	}
	return len(p) == 0
}

// fragment takes a part of a NAL unit; fu is the FU header, whose S and E bits
// are the same in both codecs, header the NAL unit header it stands for.
func (e *elementary) fragment(fu byte, part []byte, header ...byte) bool {
	switch {
	case fu&0x80 != 0:
		e.cut()
		e.fuAt = len(e.pics.buf)
		e.pics.write(longStart, header)
		e.inFU = true
	case !e.inFU:
		e.pics.damaged = true // its beginning is missing: joined in the middle, or lost
		return true
	}
	e.pics.write(part)
	if fu&0x40 != 0 {
		e.inFU = false
	}
	return true
}

func (e *elementary) nalu(n []byte) {
	e.cut()
	e.pics.write(longStart, n)
}

// cut forgets a fragmented NAL unit whose rest will not come.
func (e *elementary) cut() {
	if !e.inFU {
		return
	}
	e.inFU = false
	e.pics.damaged = true
	if e.fuAt <= len(e.pics.buf) {
		e.pics.buf = e.pics.buf[:e.fuAt]
	}
}
