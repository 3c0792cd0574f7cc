package ps

import "encoding/binary"

const (
	// mapLengthMax is the largest program_stream_map_length (ISO/IEC 13818-1 §2.5.4.2).
	mapLengthMax = 0x3FA
	// mapMax is the most of a map that is gathered before it is judged.
	mapMax = 6 + mapLengthMax
)

// programMap reads a program stream map (ISO/IEC 13818-1 §2.5.4.1). Its
// own length is believed only where those inside agree; else the map ends
// before the next start code.
func (d *Demuxer) programMap(b []byte) int {
	end, sound := mapEnd(b)
	if end == 0 {
		return 0
	}
	if end < 0 {
		d.stats.Faults[FaultMap]++
		return 4
	}
	body := b[:end]
	trusted := sound
	switch {
	case !sound:
		d.stats.Faults[FaultMap]++
	case crc32MPEG(body) != 0:
		d.stats.Faults[FaultMapCRC]++
		trusted = false
	}
	if d.entries(body, trusted) > 0 {
		d.stats.Maps++
	}
	return end
}

// mapEnd returns where the map that b begins with ends, and whether its lengths
// agree. 0 asks for more bytes, -1 means that no end is in reach.
func mapEnd(b []byte) (end int, sound bool) {
	if len(b) < 10 {
		return 0, false
	}
	length, info := int(binary.BigEndian.Uint16(b[4:])), int(binary.BigEndian.Uint16(b[8:]))
	if length <= mapLengthMax && info+10 <= length {
		if len(b) < 12+info {
			return 0, false
		}
		if int(binary.BigEndian.Uint16(b[10+info:]))+info+10 == length {
			if len(b) < 6+length {
				return 0, false
			}
			return 6 + length, true
		}
	}
	if i := indexSystem(b[4:min(len(b), mapMax)]); i >= 0 {
		return 4 + i, false
	}
	if len(b) < mapMax {
		return 0, false
	}
	return -1, false
}

// entries takes over the stream types of a map and returns how many there were.
// A trusted map that names another codec than before makes the demuxer forget
// what it saw of the old one.
func (d *Demuxer) entries(body []byte, trusted bool) (n int) {
	if len(body) < 12 {
		return 0
	}
	at := 10 + int(binary.BigEndian.Uint16(body[8:]))
	if at+2 > len(body) {
		return 0
	}
	end := min(at+2+int(binary.BigEndian.Uint16(body[at:])), len(body))
	for at += 2; at+4 <= end; n++ {
		kind, id := body[at], body[at+1]
		if id < codePrivate1 {
			return n
		}
		if d.open && d.id == id && d.mapped[id] != kind {
			d.finish() // it is of the codec from before
		}
		if v := int(id) - int(StreamVideo); trusted && v >= 0 && v < len(d.sniffed) && d.mapped[id] != kind {
			d.sniffed[v] = TypeUnknown
		}
		d.mapped[id] = kind
		at += 4 + int(binary.BigEndian.Uint16(body[at+2:]))
	}
	return n
}

// AudioType returns the stream type that the last program stream map gave to
// the first audio stream, TypeUnknown if none did. Some devices swap A-law and
// µ-law.
func (d *Demuxer) AudioType() byte { return d.mapped[StreamAudio] }

// crc32MPEG is the CRC of ISO/IEC 13818-1 annex A: polynomial 0x04C11DB7, not
// reflected, begun with ones. Over a section with its CRC it is zero. Maps are
// short and rare, so that it needs no table.
func crc32MPEG(b []byte) uint32 {
	crc := ^uint32(0)
	for _, c := range b {
		crc ^= uint32(c) << 24
		for range 8 {
			top := crc >> 31
			crc = crc<<1 ^ 0x04C11DB7*top
		}
	}
	return crc
}
