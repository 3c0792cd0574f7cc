package ps

import "encoding/binary"

const (
	// chunk bounds what one step copies together with the bytes left over from
	// the previous Write, whatever the caller hands over at once.
	chunk = 64 << 10
	// unbounded marks a PES packet whose length field is zero, as video may.
	unbounded = -1
)

// Demuxer cuts frames out of a program stream. It is for one goroutine.
type Demuxer struct {
	deliver func(Packet)
	stats   Stats

	carry  []byte // bytes of the last Write that need more to be understood: a header, or zeros that may open a start code
	skip   int    // bytes of a packet still to be passed over
	expect int    // bytes known to be of no interest, but searched for start codes

	video bool // the bytes until the next start code are payload of video
	left  int  // of them, bytes the PES packet declared and has not yet shown; or unbounded
	full  bool // the PES packet is about as large as they get: the frame probably goes on in another

	open     bool // frame holds the beginning of a frame
	frame    []byte
	id       byte
	pts, dts int64
	packed   bool // a pack header came since the frame's last PES packet

	lost    bool  // flag the next frame
	resume  bool  // wait for a PES packet that opens a frame
	cutPTS  int64 // of the frame that was cut; its other PES packets are not taken for a frame
	mapped  [256]byte
	sniffed [codeVideoEnd - StreamVideo + 1]byte // by stream, what the NAL units showed last
}

// NewDemuxer returns a Demuxer that calls deliver with each frame, from within
// Write, EndFrame, Lost and Flush. deliver must not call the Demuxer.
func NewDemuxer(deliver func(Packet)) *Demuxer {
	return &Demuxer{deliver: deliver, resume: true, cutPTS: -1}
}

// Stats returns the counts so far.
func (d *Demuxer) Stats() Stats { return d.stats }

// Write takes the next bytes of the stream, split anywhere. A frame ends, and
// is handed out, when a PES packet of another time stamp or one that opens a
// picture arrives. p is not kept.
func (d *Demuxer) Write(p []byte) {
	d.stats.Bytes += uint64(len(p))
	for len(p) > 0 {
		n := min(len(p), chunk)
		d.feed(p[:n])
		p = p[n:]
	}
}

func (d *Demuxer) feed(b []byte) {
	if len(d.carry) > 0 {
		d.carry = append(d.carry, b...)
		b = d.carry
	}
	for len(b) > 0 {
		n := d.step(b)
		if n == 0 {
			break
		}
		b = b[n:]
	}
	d.carry = append(d.carry[:0], b...)
}

// step consumes some of b and says how much; none means that it needs more,
// which is never more than mapMax bytes.
func (d *Demuxer) step(b []byte) int {
	if d.skip > 0 {
		n := min(d.skip, len(b))
		d.skip -= n
		return n
	}
	i := indexSystem(b)
	switch {
	case i == 0:
		return d.header(b)
	case i < 0:
		i = len(b) - openStart(b)
	}
	d.take(b[:i])
	return i
}

// take accounts for bytes that hold no start code of the stream.
func (d *Demuxer) take(b []byte) {
	if !d.video {
		n := min(d.expect, len(b))
		d.expect -= n
		d.stats.Discarded += uint64(len(b) - n)
		return
	}
	switch {
	case d.left == unbounded:
	case d.left >= len(b):
		d.left -= len(b)
	default:
		if d.left >= 0 {
			d.stats.Faults[FaultLongPES]++
		}
		d.left = unbounded
	}
	if !d.open {
		d.stats.Discarded += uint64(len(b))
		return
	}
	if len(d.frame)+len(b) > MaxFrame {
		d.stats.Faults[FaultOversize]++
		d.cut()
		return
	}
	d.frame = append(d.frame, b...)
}

// cut gives up the frame being gathered.
func (d *Demuxer) cut() {
	d.stats.Discarded += uint64(len(d.frame))
	d.cutPTS = d.pts
	d.open, d.lost, d.resume = false, true, true
}

// header reads what the start code at b[0] opens.
func (d *Demuxer) header(b []byte) int {
	if d.video && d.left > 0 {
		d.stats.Faults[FaultShortPES]++
	}
	d.video, d.expect = false, 0
	switch code := b[3]; {
	case code == codeEnd:
		d.finish()
		return 4
	case code == codePack:
		return d.pack(b)
	case code == codeMap:
		return d.programMap(b)
	case code >= StreamVideo && code <= codeVideoEnd:
		return d.pes(b)
	default:
		return d.other(b)
	}
}

// pack reads a pack header of MPEG-2 (14 bytes and stuffing) or MPEG-1 (12).
func (d *Demuxer) pack(b []byte) int {
	if len(b) < 5 {
		return 0
	}
	d.packed = true
	switch {
	case b[4]>>6 == 1:
		if len(b) < 14 {
			return 0
		}
		d.stats.Packs++
		d.expect = int(b[13] & 7)
		return 14
	case b[4]>>4 == 2:
		if len(b) < 12 {
			return 0
		}
		d.stats.Packs++
		return 12
	}
	d.stats.Faults[FaultPack]++
	return 4
}

// other passes over a packet that is not video. A system header is searched
// rather than jumped over, as a wrong length must not cost the frame behind it;
// audio and private data may hold any bytes and are jumped over.
func (d *Demuxer) other(b []byte) int {
	if len(b) < 6 {
		return 0
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	d.skip = n
	switch code := b[3]; {
	case code == codeSystem:
		d.skip, d.expect = 0, n
	case code == codePrivate1, code == codePrivate2:
		d.stats.Skipped[SkipPrivate]++
	case code == codePadding:
		d.stats.Skipped[SkipPadding]++
	case code >= StreamAudio && code <= codeAudioEnd:
		d.stats.Skipped[SkipAudio]++
	default:
		d.stats.Skipped[SkipOther]++
	}
	return 6
}

// EndFrame says that the caller believes a frame to end here, as by the marker
// bit of RTP. It spares waiting for the next frame: what is gathered is handed
// out if its PES packet is complete by its own length and not of about 64 KiB.
// Else nothing happens, so that a device that marks every packet does no harm.
func (d *Demuxer) EndFrame() {
	if !d.open || d.skip > 0 {
		return
	}
	if held := len(d.carry); d.video && held > 0 && held == d.left {
		d.take(d.carry)
		d.carry = d.carry[:0]
	}
	if d.whole() && len(d.carry) == 0 {
		d.finish()
	}
}

// Lost says that n packets of the transport are missing here (n is at least 1;
// what it counts is the caller's). The frame being gathered is given up if its
// PES packet is incomplete and handed out with Lost set if complete; the next
// frame has Lost set.
func (d *Demuxer) Lost(n int) {
	if n < 1 {
		return
	}
	d.stats.Gaps++
	d.lost = true
	d.cutPTS = -1
	switch {
	case d.open && d.whole():
		d.finish()
		d.cutPTS = d.pts
	case d.open:
		d.stats.Faults[FaultDamaged]++
		d.cut()
	}
	d.lost = true
	d.restart()
}

// Flush ends the stream: a complete frame is handed out, an incomplete one is
// dropped. The Demuxer can then be given another stream.
func (d *Demuxer) Flush() {
	if d.video && (d.left == unbounded || d.left == len(d.carry)) {
		d.take(d.carry)
		d.carry = d.carry[:0]
	}
	if d.open {
		if d.left > 0 && d.video {
			d.stats.Faults[FaultDamaged]++
			d.cut()
		} else {
			d.finish()
		}
	}
	d.cutPTS = -1
	d.restart()
}

// whole says whether the frame seems to be complete: its last PES packet is,
// and has room to spare. One of unknown length is not before the next start code.
func (d *Demuxer) whole() bool { return !d.full && (!d.video || d.left == 0) }

// restart looks for the next start code as at the beginning.
func (d *Demuxer) restart() {
	d.stats.Discarded += uint64(len(d.carry))
	d.carry = d.carry[:0]
	d.skip, d.expect = 0, 0
	d.video, d.resume = false, true
}

// finish hands out the frame gathered so far.
func (d *Demuxer) finish() {
	if !d.open {
		return
	}
	d.open = false
	if len(d.frame) == 0 {
		return
	}
	kind := d.identify()
	switch kind {
	case TypeH264, TypeH265, TypeUnknown:
	case TypeSVAC:
		d.stats.Skipped[SkipSVAC]++
		return
	default:
		d.stats.Skipped[SkipOtherVideo]++
		return
	}
	d.stats.Frames++
	lost := d.lost
	d.lost = false
	d.deliver(Packet{StreamType: kind, StreamID: d.id, PTS: d.pts, DTS: d.dts, Data: d.frame, Lost: lost})
}

// identify returns the frame's stream type: what its NAL units show, else what
// those before showed, else what the map says. Bytes win over the map because
// devices exist that say H.264 and send H.265, or say nothing.
func (d *Demuxer) identify() byte {
	said, seen := d.mapped[d.id], &d.sniffed[d.id-StreamVideo]
	if kind, sure := sniff(d.frame); kind != TypeUnknown && (sure || said == TypeUnknown || said == TypeH264 || said == TypeH265) {
		if said != TypeUnknown && said != kind && *seen != kind {
			d.stats.Faults[FaultType]++
		}
		*seen = kind
	}
	if *seen != TypeUnknown {
		return *seen
	}
	return said
}
