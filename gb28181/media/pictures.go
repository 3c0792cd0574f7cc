package media

import (
	"bytes"
	"time"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// pictures puts the pieces of coded pictures together, as Annex-B bytes, and
// makes access units of them. Every kind of payload ends here. It copies what
// it keeps; what it keeps is bounded by ingest.MaxUnitBytes. It is not safe for
// concurrent use.
type pictures struct {
	asm   ingest.Assembler
	hint  ingest.Codec // by the container, until the bytes tell
	known bool         // the bytes told
	clock mediaClock
	emit  func(ingest.AccessUnit)

	// The picture that is being put together.
	open    bool
	pts     int64
	ts      uint32
	buf     []byte
	damaged bool // something of it is missing
	dropped bool // it is beyond the bounds: take no more of it

	gap       bool // something is missing since the last unit
	partOf    uint32
	partial   bool // the last unit was ended by a marker, at timestamp partOf
	noMarkers bool // the marker bit does not end pictures here
	size      int  // of the last picture, to allocate the next

	units, bad uint64
}

// begin starts a picture unless these bytes go on with the one that is open: a
// picture of more than 64 KB is many PES packets, of which the first has the
// time stamp.
func (p *pictures) begin(data []byte, pts int64, ts uint32, at time.Time) {
	if p.open {
		other := pts != unknownTime && p.pts != unknownTime && pts != p.pts
		if other || p.startsAnew(data) {
			p.end(at)
		} else if p.pts == unknownTime {
			p.pts = pts
		}
	}
	if !p.open {
		p.open, p.pts, p.ts = true, pts, ts
	}
}

// startsAnew says whether data begins the next picture although nothing else
// says so: there is a slice already, and what comes can only stand first.
func (p *pictures) startsAnew(data []byte) bool {
	n, ok := afterStartCode(data)
	if !ok || len(n) < 3 || len(p.buf) == 0 {
		return false
	}
	c := p.codec()
	if slice, first := ingest.IsSlice(c, n); slice {
		return first && p.hasSlice()
	}
	return leads(c, n) && p.hasSlice()
}

// leads says whether n is a NAL unit that stands before the slices of its
// picture (H.264 §7.4.1.2.3, H.265 §7.4.2.4.4).
func leads(c ingest.Codec, n []byte) bool {
	if c == ingest.H265 {
		t := n[0] >> 1 & 0x3f
		return t >= 32 && t <= 35 || t == 39
	}
	t := n[0] & 0x1f
	return t >= 6 && t <= 9
}

func (p *pictures) hasSlice() bool {
	found := false
	eachNALU(p.buf, func(n []byte) bool {
		found, _ = ingest.IsSlice(p.codec(), n)
		return !found
	})
	return found
}

func (p *pictures) codec() ingest.Codec {
	if p.known || p.hint == 0 {
		return p.asm.Codec
	}
	return p.hint
}

// write appends bytes to the picture.
func (p *pictures) write(b ...[]byte) {
	if p.dropped {
		return
	}
	for _, b := range b {
		if len(p.buf)+len(b) > ingest.MaxUnitBytes {
			p.dropped, p.buf = true, nil
			return
		}
		if p.buf == nil {
			p.buf = make([]byte, 0, max(p.size+p.size/4, len(b)))
		}
		p.buf = append(p.buf, b...)
	}
}

// lose says that something is missing here.
func (p *pictures) lose() {
	p.gap = true
	p.damaged = p.damaged || p.open
}

// mark ends the picture because the sender's marker says so.
func (p *pictures) mark(at time.Time) {
	if p.noMarkers || !p.open {
		return
	}
	ts := p.ts
	p.end(at)
	p.partial, p.partOf = true, ts
}

// end makes an access unit of what there is.
func (p *pictures) end(at time.Time) {
	if !p.open {
		return
	}
	nalus := p.cut()
	pts, ts, damaged, dropped := p.pts, p.ts, p.damaged, p.dropped
	part := p.partial && p.partOf == ts
	p.open, p.buf, p.damaged, p.dropped, p.partial = false, nil, false, false, false
	first, slice := p.beginsPicture(nalus)
	if part && slice && !first {
		// The rest of a picture that went out already: this device sets the
		// marker on every packet.
		p.noMarkers, p.gap = true, true
		return
	}
	if p.codec() == 0 || dropped {
		p.gap = p.gap || dropped
		p.bad++
		return
	}
	u, ok := p.asm.Unit(nalus)
	if !ok {
		p.gap = p.gap || damaged
		return
	}
	damaged = damaged || !first
	u.PTS, u.Received = p.clock.at(pts, ts, at), at
	u.Lost = p.gap || damaged
	if damaged {
		u.Key, u.Recovery = false, 0
	}
	p.gap = false
	p.units++
	p.emit(u)
}

// cut returns the NAL units of the picture, which they own, and learns the
// codec from them.
func (p *pictures) cut() [][]byte {
	p.size = len(p.buf)
	nalus := make([][]byte, 0, 8) // a key frame's, usually
	eachNALU(p.buf, func(n []byte) bool {
		nalus = append(nalus, n)
		return len(nalus) <= ingest.MaxUnitNALUs
	})
	for _, n := range nalus {
		if c := parameterCodec(n); c != 0 && (c != p.asm.Codec || !p.known) {
			p.asm = ingest.Assembler{Camera: p.asm.Camera, Codec: c}
			p.known = true
			break
		}
	}
	if !p.known {
		p.asm.Codec = p.hint
	}
	return nalus
}

func (p *pictures) beginsPicture(nalus [][]byte) (first, slice bool) {
	for _, n := range nalus {
		if slice, first := ingest.IsSlice(p.asm.Codec, n); slice {
			return first, true
		}
	}
	return false, false
}

// eachNALU calls f with the NAL units of Annex-B bytes (H.264 annex B) until it
// returns false. What stands before the first start code is none.
func eachNALU(b []byte, f func([]byte) bool) {
	i := bytes.Index(b, startCode)
	if i < 0 {
		return
	}
	for b = b[i+3:]; len(b) > 0; {
		n := b
		i := bytes.Index(b, startCode)
		if i >= 0 {
			n, b = bytes.TrimRight(b[:i:i], "\x00"), b[i+3:]
		} else {
			n, b = n[:len(n):len(n)], nil
		}
		if len(n) > 0 && !f(n) {
			return
		}
	}
}
