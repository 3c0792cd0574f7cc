package rtsp

import (
	"bytes"
	"encoding/binary"
	"sync"
	"time"

	"github.com/pion/rtp"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// maxLate is how far behind the newest a packet may be to count as late; what
// is farther behind is a sender that began to count anew.
const maxLate = 256

// depacketiser turns RTP packets of one track, in the order of their sequence
// numbers, into access units (RFC 6184 for H.264, RFC 7798 for H.265). It
// copies what it keeps, so that small pictures do not pin large network
// buffers, and what it keeps is bounded by ingest.MaxUnitBytes. It is not safe
// for concurrent use.
type depacketiser struct {
	asm   ingest.Assembler
	clock rtpClock
	emit  func(ingest.AccessUnit)
	lost  func(uint64)

	buffers *Buffers
	begun   bool
	next    uint16 // sequence number

	// The picture that is being put together.
	open    bool
	ts      uint32
	buf     []byte // of buffers; what is handed on is an exact copy
	scratch *[]byte
	starts  []int // of NAL units in buf
	inFU    bool  // the last one is a fragmented unit without its end so far
	damaged bool  // something of this picture is missing
	dropped bool  // it is beyond the bounds: take no more of it

	gap         bool // something is missing since the last unit
	lastTS      uint32
	lastEmitted bool
	noMarkers   bool // the marker bit does not end pictures here: go by timestamps

	packets uint64 // taken
	bad     uint64 // packets that are not what they should be
}

// packet takes the next packet, received at at.
func (d *depacketiser) packet(p *rtp.Packet, at time.Time) {
	d.packets++
	if !d.inOrder(p.SequenceNumber) {
		return
	}
	if d.open && p.Timestamp != d.ts {
		d.flush(at) // its marker was lost, or never sent
	}
	if !d.open {
		d.open, d.ts = true, p.Timestamp
		d.scratch = d.buffers.take()
		d.buf = (*d.scratch)[:0]
	}
	if len(p.Payload) > 0 && !d.dropped {
		if !d.payload(p.Payload) {
			d.bad++
			d.damaged = true
		}
		if len(d.buf) > ingest.MaxUnitBytes || len(d.starts) > ingest.MaxUnitNALUs {
			d.dropped, d.inFU, d.buf, d.starts = true, false, d.buf[:0], nil
		}
	}
	if p.Marker && !d.noMarkers {
		d.flush(at)
	}
}

// inOrder follows the sequence numbers and reports gaps; false means that the
// packet is late or double and not to be used.
func (d *depacketiser) inOrder(seq uint16) bool {
	if !d.begun {
		d.begun, d.next = true, seq+1
		return true
	}
	diff := int16(seq - d.next)
	if diff < 0 && diff > -maxLate {
		return false
	}
	d.next = seq + 1
	if diff == 0 {
		return true
	}
	missing := uint64(1)
	if diff > 0 {
		missing = uint64(diff)
	}
	d.gap = true
	d.damaged = d.damaged || d.open
	d.cutFragment()
	d.lost(missing)
	return true
}

// cutFragment forgets a fragmented NAL unit whose rest will not come.
func (d *depacketiser) cutFragment() {
	if d.inFU {
		last := len(d.starts) - 1
		d.buf, d.starts = d.buf[:d.starts[last]], d.starts[:last]
		d.inFU = false
		d.damaged = true
	}
}

// payload takes one RTP payload; false means that it is malformed or of a kind
// that nobody sends in the modes we accept.
func (d *depacketiser) payload(p []byte) bool {
	if d.asm.Codec == ingest.H265 {
		return d.payload265(p)
	}
	switch t := p[0] & 0x1f; {
	case t >= 1 && t <= 23, bytes.HasPrefix(p, []byte{0, 0, 0, 1}), bytes.HasPrefix(p, startCode):
		d.cutFragment()
		d.nalu(p)
	case t == 24: // STAP-A, RFC 6184 §5.7.1
		return d.aggregate(p[1:])
	case t == 28 && len(p) >= 2: // FU-A, RFC 6184 §5.8
		return d.fragment(p[1], p[2:], p[0]&0xe0|p[1]&0x1f)
	default:
		d.cutFragment()
		return false
	}
	return true
}

func (d *depacketiser) payload265(p []byte) bool {
	if len(p) < 3 {
		d.cutFragment()
		return false
	}
	switch t := p[0] >> 1 & 0x3f; {
	case t < 48:
		d.cutFragment()
		d.nalu(p)
	case t == 48: // aggregation packet, RFC 7798 §4.4.2
		return d.aggregate(p[2:])
	case t == 49: // fragmentation unit, RFC 7798 §4.4.3
		return d.fragment(p[2], p[3:], p[0]&0x81|p[2]&0x3f<<1, p[1])
	default:
		d.cutFragment()
		return false
	}
	return true
}

// aggregate takes NAL units that each have 16 bits of size in front.
func (d *depacketiser) aggregate(p []byte) bool {
	d.cutFragment()
	for len(p) >= 2 {
		n := int(binary.BigEndian.Uint16(p))
		if p = p[2:]; n > len(p) {
			return false
		}
		if n == 0 { // padding, where some cameras put it
			continue
		}
		d.nalu(p[:n])
		p = p[n:]
	}
	return len(p) == 0
}

// fragment takes a part of a NAL unit; fu is the FU header, whose S and E bits
// are the same in both codecs, header the NAL unit header it stands for.
func (d *depacketiser) fragment(fu byte, part []byte, header ...byte) bool {
	start, end := fu&0x80 != 0, fu&0x40 != 0
	switch {
	case start:
		d.cutFragment()
		d.starts = append(d.starts, len(d.buf))
		d.buf = append(d.buf, header...)
		d.inFU = true
	case !d.inFU:
		// Its beginning is missing: joined in the middle, or lost.
		d.damaged = true
		return true
	}
	d.buf = append(d.buf, part...)
	if end {
		d.inFU = false
	}
	return true
}

// nalu takes a whole NAL unit.
func (d *depacketiser) nalu(n []byte) {
	d.starts = append(d.starts, len(d.buf))
	d.buf = append(d.buf, n...)
}

// flush ends the picture.
func (d *depacketiser) flush(at time.Time) {
	d.cutFragment()
	ts, nalus := d.ts, d.cut()
	d.giveBack()
	damaged, dropped := d.damaged, d.dropped
	d.open, d.starts, d.damaged, d.dropped = false, d.starts[:0], false, false
	first := d.beginsPicture(nalus)
	if !first && d.lastEmitted && ts == d.lastTS && hasSlice(d.asm.Codec, nalus) {
		// A second part of the picture that went out already: this camera sets
		// the marker bit on every slice.
		d.noMarkers, d.gap = true, true
		return
	}
	u, ok := d.asm.Unit(nalus)
	if dropped || !ok {
		d.gap = d.gap || dropped || damaged
		d.lastEmitted = false
		return
	}
	damaged = damaged || !first
	u.PTS, u.Received = d.clock.at(ts), at
	u.Lost = d.gap || damaged
	if damaged {
		u.Key, u.Recovery = false, 0
	}
	d.gap, d.lastTS, d.lastEmitted = false, ts, true
	d.emit(u)
}

// cut returns the NAL units in buf, which they keep.
func (d *depacketiser) cut() [][]byte {
	buf := bytes.Clone(d.buf)
	nalus := make([][]byte, 0, len(d.starts)+4) // room for parameter sets
	for i, s := range d.starts {
		end := len(buf)
		if i+1 < len(d.starts) {
			end = d.starts[i+1]
		}
		nalus = appendNALUs(nalus, buf[s:end:end])
	}
	return nalus
}

// Buffers is the memory in which the pictures of many cameras grow: each has some
// only between the first and the last packet of a picture, and what it keeps for
// seconds is cut to size. The zero value is ready. It is safe for concurrent use.
type Buffers struct{ pool sync.Pool }

func (b *Buffers) take() *[]byte {
	if s, ok := b.pool.Get().(*[]byte); ok {
		return s
	}
	return new([]byte)
}

// giveBack puts the buffer back for another camera.
func (d *depacketiser) giveBack() {
	if d.scratch == nil {
		return
	}
	*d.scratch = d.buf[:0]
	d.buffers.pool.Put(d.scratch)
	d.scratch, d.buf = nil, nil
}

var startCode = []byte{0, 0, 1}

// appendNALUs appends n, cut at Annex-B start codes: some cameras wrap whole
// pictures into one. A proper NAL unit cannot contain one (H.264 §7.4.1).
func appendNALUs(to [][]byte, n []byte) [][]byte {
	for len(to) <= ingest.MaxUnitNALUs {
		i := bytes.Index(n, startCode)
		if i < 0 {
			return append(to, n)
		}
		if head := bytes.TrimRight(n[:i:i], "\x00"); len(head) > 0 {
			to = append(to, head)
		}
		n = n[i+len(startCode):]
	}
	return to
}

// beginsPicture says whether the first slice among nalus is the first of its
// picture.
func (d *depacketiser) beginsPicture(nalus [][]byte) bool {
	for _, n := range nalus {
		if slice, first := ingest.IsSlice(d.asm.Codec, n); slice {
			return first
		}
	}
	return false
}

func hasSlice(c ingest.Codec, nalus [][]byte) bool {
	for _, n := range nalus {
		if slice, _ := ingest.IsSlice(c, n); slice {
			return true
		}
	}
	return false
}

// rtpClock unwraps 32-bit RTP timestamps (RFC 3550 §5.1). Steps back, as
// B-frames make them, stay steps back.
type rtpClock struct {
	rate  int64 // Hz
	begun bool
	last  uint32
	ticks int64
}

func (c *rtpClock) at(ts uint32) time.Duration {
	if c.begun {
		c.ticks += int64(int32(ts - c.last))
	}
	c.begun, c.last = true, ts
	return time.Duration(c.ticks/c.rate)*time.Second + time.Duration(c.ticks%c.rate)*time.Second/time.Duration(c.rate)
}
