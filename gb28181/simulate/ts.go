package simulate

import "encoding/binary"

// Of the transport stream (ISO/IEC 13818-1 §2.4).
const (
	tsPacket = 188
	patPID   = 0
	pmtPID   = 0x100
	videoPID = 0x101
)

// tsMuxer writes MPEG-TS, which some devices send although they agreed to PS.
type tsMuxer struct {
	streamType byte
	counters   [3]byte // of PAT, PMT and video
}

// frame appends one picture to dst, with the tables before each key frame.
func (t *tsMuxer) frame(dst, annexB []byte, pts int64, key bool) []byte {
	if key {
		dst = t.section(dst, patPID, 0, []byte{0x00, 0xB0, 13, 0, 1, 0xC1, 0, 0, 0, 1, 0xE0 | pmtPID>>8, pmtPID & 0xFF})
		dst = t.section(dst, pmtPID, 1, []byte{
			0x02, 0xB0, 18, 0, 1, 0xC1, 0, 0, 0xE0 | videoPID>>8, videoPID & 0xFF, 0xF0, 0,
			t.streamType, 0xE0 | videoPID>>8, videoPID & 0xFF, 0xF0, 0,
		})
	}
	p := uint64(pts) & (1<<33 - 1)
	pes := []byte{
		0, 0, 1, 0xE0, 0, 0, 0x80, 0x80, 5, // length 0: until the next unit start
		0x21 | byte(p>>29)&0x0E, byte(p >> 22), 1 | byte(p>>14)&0xFE, byte(p >> 7), 1 | byte(p<<1),
	}
	pes = append(pes, annexB...)
	for start := true; len(pes) > 0; start = false {
		room := tsPacket - 4
		var field []byte // adaptation field without its length byte
		if start {
			pcr := p
			field = []byte{0x10, byte(pcr >> 25), byte(pcr >> 17), byte(pcr >> 9), byte(pcr >> 1), byte(pcr<<7) | 0x7E, 0}
			if key {
				field[0] |= 0x40
			}
			room -= 1 + len(field)
		}
		n := min(room, len(pes))
		dst = t.head(dst, videoPID, 2, start, n, field)
		dst = append(dst, pes[:n]...)
		pes = pes[n:]
	}
	return dst
}

// head appends a packet header for n bytes of payload, with an adaptation field
// that holds field and fills the packet.
func (t *tsMuxer) head(dst []byte, pid uint16, counter int, start bool, n int, field []byte) []byte {
	first := byte(pid >> 8)
	if start {
		first |= 0x40
	}
	adapt := tsPacket - 4 - n // with its length byte
	control := byte(0x10)
	if adapt > 0 {
		control = 0x30
	}
	dst = append(dst, 0x47, first, byte(pid), control|t.counters[counter]&0x0F)
	t.counters[counter]++
	if adapt == 0 {
		return dst
	}
	dst = append(dst, byte(adapt-1))
	if adapt == 1 {
		return dst
	}
	if len(field) == 0 {
		field = []byte{0}
	}
	dst = append(dst, field...)
	for range adapt - 1 - len(field) {
		dst = append(dst, 0xFF)
	}
	return dst
}

// section appends a packet with one table.
func (t *tsMuxer) section(dst []byte, pid uint16, counter int, table []byte) []byte {
	dst = append(dst, 0x47, 0x40|byte(pid>>8), byte(pid), 0x10|t.counters[counter]&0x0F, 0)
	t.counters[counter]++
	at := len(dst)
	dst = append(dst, table...)
	dst = binary.BigEndian.AppendUint32(dst, crcMPEG(dst[at:]))
	for len(dst)-at < tsPacket-5 {
		dst = append(dst, 0xFF)
	}
	return dst
}

// crcMPEG is the CRC of ISO/IEC 13818-1 annex A.
func crcMPEG(b []byte) uint32 {
	crc := ^uint32(0)
	for _, x := range b {
		crc ^= uint32(x) << 24
		for range 8 {
			if crc&(1<<31) != 0 {
				crc = crc<<1 ^ 0x04C11DB7
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}
