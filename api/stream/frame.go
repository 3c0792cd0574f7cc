package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
)

// A segment is a file of frames behind a header:
//
//	header  magic (8 bytes) | segment number (8)
//	frame   mark (4) | length of the payload (4) | CRC-32C (4) | payload
//	payload kind (1) | 0 (1) | length of key (2) | sequence (8) | time, Unix ms (8) |
//	        picture: segment (8), offset (4), length of frame (4) | key | body
//
// All numbers are little-endian. The CRC also covers the segment's number and
// the frame's offset, so that old blocks of the disk, or bytes of a body that
// happen to look like a frame, are never taken for one.
const (
	segmentMagic  = "sharpEY1"
	segmentHeader = 16
	frameMark     = 0xA5E51EAF
	frameHeader   = 12
	payloadFixed  = 36

	// maxText bounds the JSON of one envelope and maxPicture one JPEG. A frame
	// that claims to be longer is damaged.
	maxText    = 1 << 20
	maxPicture = 16 << 20
	maxKey     = 64
)

// kind says what the body of a record is.
type kind uint8

const (
	kindAlert   kind = 1
	kindCamera  kind = 2
	kindNode    kind = 3
	kindPicture kind = 4
)

// pictureRef says where the JPEG of an alert lies; the zero value is no picture.
type pictureRef struct {
	segment   uint64
	off, size uint32
}

// lostPicture stands for a JPEG that was dropped before it was written.
var lostPicture = pictureRef{segment: math.MaxUint64}

// record is the content of one frame. body and key alias the bytes that they
// were parsed from.
type record struct {
	kind    kind
	seq     uint64
	at      int64 // when it was put, Unix milliseconds
	picture pictureRef
	key     []byte // what a report is about: a newer report with the same key makes it a repeat
	body    []byte // JSON of the envelope, or a JPEG
}

var (
	errTorn    = errors.New("frame goes on behind the end of the bytes")
	errDamaged = errors.New("frame is damaged")

	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	markBytes  = binary.LittleEndian.AppendUint32(nil, frameMark)
)

func (r *record) frameSize() int {
	return frameHeader + payloadFixed + len(r.key) + len(r.body)
}

// appendHeader appends the header of a segment.
func appendHeader(dst []byte, segment uint64) []byte {
	return binary.LittleEndian.AppendUint64(append(dst, segmentMagic...), segment)
}

// appendFrame appends r as the frame that will stand at off in the segment.
func appendFrame(dst []byte, segment uint64, off int64, r *record) []byte {
	le := binary.LittleEndian
	start := len(dst)
	dst = le.AppendUint32(dst, frameMark)
	dst = le.AppendUint32(dst, uint32(r.frameSize()-frameHeader))
	dst = le.AppendUint32(dst, 0) // the CRC, below
	dst = append(dst, byte(r.kind), 0)
	dst = le.AppendUint16(dst, uint16(len(r.key)))
	dst = le.AppendUint64(dst, r.seq)
	dst = le.AppendUint64(dst, uint64(r.at))
	dst = le.AppendUint64(dst, r.picture.segment)
	dst = le.AppendUint32(dst, r.picture.off)
	dst = le.AppendUint32(dst, r.picture.size)
	dst = append(append(dst, r.key...), r.body...)
	le.PutUint32(dst[start+8:], frameSum(segment, off, dst[start+frameHeader:]))
	return dst
}

func frameSum(segment uint64, off int64, payload []byte) uint32 {
	var seed [16]byte
	binary.LittleEndian.PutUint64(seed[:], segment)
	binary.LittleEndian.PutUint64(seed[8:], uint64(off))
	return crc32.Update(crc32.Checksum(seed[:], castagnoli), castagnoli, payload)
}

// parseFrame reads the frame at the beginning of b, which stands at off in the
// segment. It returns the length of the frame, or errTorn when b ends inside a
// frame that may be whole on disk, or errDamaged. It copies nothing.
func parseFrame(b []byte, segment uint64, off int64) (record, int, error) {
	le := binary.LittleEndian
	if len(b) < frameHeader {
		return record{}, 0, errTorn
	}
	if le.Uint32(b) != frameMark {
		return record{}, 0, errDamaged
	}
	n := int(le.Uint32(b[4:]))
	if n < payloadFixed || n > payloadFixed+maxKey+maxPicture {
		return record{}, 0, errDamaged
	}
	if len(b)-frameHeader < n {
		return record{}, 0, errTorn
	}
	p := b[frameHeader : frameHeader+n]
	if le.Uint32(b[8:]) != frameSum(segment, off, p) {
		return record{}, 0, errDamaged
	}
	r := record{
		kind:    kind(p[0]),
		seq:     le.Uint64(p[4:]),
		at:      int64(le.Uint64(p[12:])),
		picture: pictureRef{segment: le.Uint64(p[20:]), off: le.Uint32(p[28:]), size: le.Uint32(p[32:])},
	}
	keyLen := int(le.Uint16(p[2:]))
	if keyLen > maxKey || payloadFixed+keyLen > n || r.seq == 0 {
		return record{}, 0, errDamaged
	}
	r.key, r.body = p[payloadFixed:payloadFixed+keyLen], p[payloadFixed+keyLen:]
	return r, frameHeader + n, nil
}

// scanned is what scanSegment found.
type scanned struct {
	end     int    // where the last whole frame ends; what follows is a torn tail
	damaged int    // stretches that were skipped because a whole frame follows them
	lastSeq uint64 // number of the last whole frame, 0 when there is none
	torn    uint64 // highest number that the torn tail may have held, 0 when there is no tail
}

// scanSegment calls found for each whole frame of the segment in b, in order of
// offset, and never fails: damaged stretches are stepped over to the next whole
// frame. It does not check that numbers grow.
func scanSegment(b []byte, segment uint64, found func(off int64, size int, r record)) scanned {
	s := scanned{end: min(segmentHeader, len(b))}
	if !bytes.Equal(b[:s.end], appendHeader(nil, segment)[:s.end]) {
		s.damaged++ // the frames carry the segment's number in their CRC and stand for themselves
	}
	// A search through damage checks a CRC per mark that it meets; the budget
	// keeps hostile bytes from making that quadratic.
	budget := 16*len(b) + 1<<20
	for off := s.end; off < len(b); {
		r, n, err := parseFrame(b[off:], segment, int64(off))
		if err == nil {
			found(int64(off), n, r)
			off += n
			s.end, s.lastSeq = off, r.seq
			continue
		}
		next := nextFrame(b, segment, off+1, &budget)
		if next < 0 {
			break
		}
		s.damaged++
		off = next
	}
	if s.end < len(b) {
		s.torn = claimedSeq(b[s.end:], s.lastSeq)
	}
	return s
}

// nextFrame returns the offset of the next whole frame at or behind from, or -1.
func nextFrame(b []byte, segment uint64, from int, budget *int) int {
	for from < len(b) && *budget > 0 {
		i := bytes.Index(b[from:], markBytes)
		if i < 0 {
			return -1
		}
		from += i
		if len(b)-from >= frameHeader {
			*budget -= min(int(binary.LittleEndian.Uint32(b[from+4:])), len(b)-from)
		}
		if _, _, err := parseFrame(b[from:], segment, int64(from)); err == nil {
			return from
		}
		from++
	}
	return -1
}

// claimedSeq returns the highest number that the damaged bytes of a tail may
// have held, so that it is not given out again. Where headers are readable
// their claims are believed as far as that many frames fit in; otherwise each
// frame that could have stood there counts.
func claimedSeq(tail []byte, last uint64) uint64 {
	const smallest = frameHeader + payloadFixed
	limit := last + uint64(len(tail)/smallest) + 1
	highest := uint64(0)
	for from := 0; from < len(tail); from++ {
		i := bytes.Index(tail[from:], markBytes)
		if i < 0 {
			break
		}
		from += i
		if len(tail)-from < frameHeader+12 {
			break
		}
		if q := binary.LittleEndian.Uint64(tail[from+frameHeader+4:]); q > last && q <= limit {
			highest = max(highest, q)
		}
	}
	if highest == 0 {
		return limit
	}
	return highest
}
