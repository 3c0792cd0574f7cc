package ps

import "encoding/binary"

const (
	// peek is how much of a payload is looked at before it is taken: a start
	// code of four bytes, a NAL unit header of two, the first bits of a slice.
	peek = 7
	// repairSpan is how far behind a contradictory header its payload is sought.
	repairSpan = 32
	// fullPES is the payload from which on a PES packet counts as one of several.
	fullPES = 60_000
)

// pesHeader is what a PES packet's header says.
type pesHeader struct {
	payload  int // offset of the payload from the start code
	pts, dts int64
}

// pes reads the header of a PES packet of video at b[0].
func (d *Demuxer) pes(b []byte) int {
	if len(b) < 9 {
		return 0
	}
	size := int(binary.BigEndian.Uint16(b[4:]))
	end := 6 + size
	need := 9 + int(b[8]) + peek
	if b[6]>>6 != 2 {
		need = 6 + mpeg1HeaderMax + peek
	}
	need = max(need, 6+repairSpan)
	if size > 0 {
		need = min(need, max(end, 9))
	}
	if len(b) < need {
		return 0
	}
	h, sound := parsePES(b[:need])
	if !sound {
		d.stats.Faults[FaultPESHeader]++
	}
	d.stats.PES++
	if h.payload == 0 {
		d.expect = size
		return 6
	}
	d.left = unbounded
	if size > 0 {
		d.left = max(end-h.payload, 0)
	}
	d.join(b[3], h, b[h.payload:need])
	d.full = d.left >= fullPES
	return h.payload
}

// parsePES reads the header of the PES packet that b begins with. It reports
// whether the header is free of contradictions; a payload offset of 0 means
// that no payload was found.
func parsePES(b []byte) (h pesHeader, sound bool) {
	if b[6]>>6 != 2 {
		return parseMPEG1(b)
	}
	flags, length := b[7], int(b[8])
	h = pesHeader{payload: 9 + length, pts: -1, dts: -1}
	want := headerWants(flags)
	sound = length >= want && h.payload <= len(b)
	for i := 9 + want; sound && i < h.payload; i++ {
		// Only an extension and CRC may stand here besides stuffing.
		sound = b[i] == 0xFF || flags&1 != 0
	}
	switch {
	case !sound:
		h.repair(b, len(b))
	case flags&1 != 0:
		sound = !h.repair(b, h.payload)
	}
	if h.payload > len(b) {
		return pesHeader{}, false
	}
	if flags>>7 != 0 || !sound {
		h.pts = timestamp(b, 9)
	}
	if flags>>6 == 3 && h.pts >= 0 {
		h.dts = timestamp(b, 14)
	}
	return h, sound
}

// headerWants returns the least header_data_length that the flags ask for
// (ISO/IEC 13818-1 §2.4.3.6).
func headerWants(flags byte) int {
	want := 0
	for bit, n := range [8]int{1, 2, 1, 1, 3, 6, 0, 0} {
		if flags&(1<<bit) != 0 {
			want += n
		}
	}
	switch flags >> 6 {
	case 2:
		want += 5
	case 3:
		want += 10
	}
	return want
}

// repair looks for the payload of a header that contradicts itself: boards
// exist that write the header's length into the wrong byte. It trusts the
// length if a start code follows it, and else the first start code of a NAL
// unit before limit.
func (h *pesHeader) repair(b []byte, limit int) bool {
	if h.payload <= len(b) && startLen(b[h.payload:]) > 0 {
		return false
	}
	for i := 9; i < limit && i+4 <= len(b); i++ {
		if n := startLen(b[i:]); n > 0 && i+n < len(b) && b[i+n] < 0x80 {
			h.payload = i
			return true
		}
	}
	return false
}

// mpeg1HeaderMax is the largest header of an MPEG-1 packet behind its length:
// stuffing, buffer size, two time stamps.
const mpeg1HeaderMax = 16 + 2 + 10

// parseMPEG1 reads a packet header of ISO/IEC 11172-1 §2.4.3.3.
func parseMPEG1(b []byte) (h pesHeader, sound bool) {
	h = pesHeader{pts: -1, dts: -1}
	i := 6
	for i < len(b) && i < 6+16 && b[i] == 0xFF {
		i++
	}
	if i < len(b) && b[i]>>6 == 1 {
		i += 2
	}
	if i >= len(b) {
		return h, false
	}
	switch {
	case b[i]>>4 == 2:
		h.pts = timestamp(b, i)
		i += 5
	case b[i]>>4 == 3:
		h.pts, h.dts = timestamp(b, i), timestamp(b, i+5)
		i += 10
	case b[i] == 0x0F:
		i++
	default:
		h.payload = len(b) + 1
		if !h.repair(b, len(b)) {
			h.payload = 0
		}
		return h, false
	}
	if i > len(b) {
		return pesHeader{}, false
	}
	h.payload = i
	return h, true
}

// timestamp reads the 33 bits at b[i], or -1 if they are not there: prefix and
// marker bits must be right.
func timestamp(b []byte, i int) int64 {
	if i+5 > len(b) {
		return -1
	}
	b = b[i : i+5]
	if p := b[0] >> 4; p == 0 || p > 3 || b[0]&b[2]&b[4]&1 == 0 {
		return -1
	}
	return int64(b[0]>>1&7)<<30 | int64(b[1])<<22 | int64(b[2]>>1)<<15 | int64(b[3])<<7 | int64(b[4]>>1)
}

// join decides whether a PES packet goes on with the frame or opens another,
// and whether it may. payload holds its first bytes, up to peek.
func (d *Demuxer) join(id byte, h pesHeader, payload []byte) {
	packed := d.packed
	d.packed = false
	if d.open && d.ends(id, h.pts, packed, payload) {
		d.finish()
	}
	d.video = true
	if d.open {
		if d.pts < 0 {
			d.pts, d.dts = h.pts, h.dts
		}
		return
	}
	if d.resume && !d.opens(id, h.pts, payload) {
		return
	}
	d.open, d.resume = true, false
	d.frame, d.id, d.pts, d.dts = d.frame[:0], id, h.pts, h.dts
}

// ends says whether a PES packet ends the frame being gathered. Neither pack
// headers nor time stamps do alone: some devices put each 64 KiB of a frame in
// a pack of its own, some repeat the time stamp for ever, some send none.
func (d *Demuxer) ends(id byte, pts int64, packed bool, payload []byte) bool {
	if id != d.id {
		return true
	}
	if pts >= 0 && pts != d.pts {
		return d.pts >= 0 || d.hasSlice()
	}
	return (packed || pts < 0) && opensPicture(d.kind(), payload) && d.hasSlice()
}

// opens says whether a PES packet may be the beginning of a frame after a gap:
// not one of the frame that the gap cut.
func (d *Demuxer) opens(id byte, pts int64, payload []byte) bool {
	switch pts {
	case -1:
		return startLen(payload) > 0
	case d.cutPTS: // or of a device that always sends the same
		return opensPicture(d.known(id), payload)
	}
	return true
}

// known returns the stream type that the frames before or the map told.
func (d *Demuxer) known(id byte) byte {
	if seen := d.sniffed[id-StreamVideo]; seen != TypeUnknown {
		return seen
	}
	return d.mapped[id]
}

// kind returns the stream type of the frame being gathered, as far as its bytes
// so far, those before or the map tell.
func (d *Demuxer) kind() byte {
	if kind, _ := sniff(d.frame); kind != TypeUnknown {
		return kind
	}
	return d.known(d.id)
}

// hasSlice says whether the frame holds a slice, or may: of a codec not known
// every NAL unit may be one.
func (d *Demuxer) hasSlice() bool { return holdsSlice(d.kind(), d.frame) }
