package media

import (
	"encoding/binary"

	"github.com/sharpeyes/sharpeyes/gb28181/ps"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// transportStream takes the video out of an MPEG transport stream (ISO/IEC
// 13818-1 §2.4): the first program with video that is understood. Tables that
// do not fit into one packet are not read; a video PID is then found by its PES
// header. Its memory is constant. It is not safe for concurrent use.
type transportStream struct {
	begin func(pts int64, streamType byte, data []byte) // a PES packet begins
	more  func(data []byte)                             // and goes on
	lost  func()

	pmt     uint16 // PID of the program map, 0 unknown
	video   uint16 // PID of the video, 0 unknown
	kind    byte   // its stream type
	counter byte
	counted bool

	bad uint64
}

// write takes whole transport stream packets.
func (t *transportStream) write(b []byte) {
	for ; len(b) >= tsPacket; b = b[tsPacket:] {
		if b[0] != 0x47 || !t.packet(b[:tsPacket]) {
			t.bad++
		}
	}
}

func (t *transportStream) packet(b []byte) bool {
	if b[1]&0x80 != 0 { // transport_error_indicator
		return false
	}
	start := b[1]&0x40 != 0
	pid := binary.BigEndian.Uint16(b[1:]) & 0x1fff
	control := b[3]
	b = b[4:]
	if control&0x20 != 0 { // adaptation field
		n := int(b[0]) + 1
		if n > len(b) {
			return false
		}
		b = b[n:]
	}
	if control&0x10 == 0 || len(b) == 0 {
		return true
	}
	switch {
	case pid == 0 && start:
		return t.association(b)
	case pid == t.pmt && t.pmt != 0 && start:
		return t.programMap(b)
	case t.video == 0 && start && t.pmt == 0 && len(b) > 3 && b[0] == 0 && b[1] == 0 && b[2] == 1 && b[3]&0xf0 == 0xe0:
		t.video = pid // no tables so far: a video PES header says it as well
	}
	if pid != t.video || t.video == 0 {
		return true
	}
	if next := (t.counter + 1) & 0x0f; t.counted && control&0x0f != next {
		if control&0x0f == t.counter {
			return true // a packet may be sent twice
		}
		t.lost()
	}
	t.counter, t.counted = control&0x0f, true
	if start {
		return t.pes(b)
	}
	t.more(b)
	return true
}

// section returns the table section that begins in b, without its CRC.
func section(b []byte, table byte) []byte {
	if int(b[0])+9 > len(b) {
		return nil
	}
	b = b[1+int(b[0]):]
	n := int(binary.BigEndian.Uint16(b[1:])&0x0fff) + 3
	if b[0] != table || n > len(b) || n < 12 {
		return nil
	}
	return b[:n-4]
}

// association reads a program association (ISO/IEC 13818-1 §2.4.4.3).
func (t *transportStream) association(b []byte) bool {
	s := section(b, 0)
	if s == nil {
		return false
	}
	for s = s[8:]; len(s) >= 4; s = s[4:] {
		if program := binary.BigEndian.Uint16(s); program != 0 {
			t.pmt = binary.BigEndian.Uint16(s[2:]) & 0x1fff
			return true
		}
	}
	return true
}

// programMap reads a program map (ISO/IEC 13818-1 §2.4.4.8).
func (t *transportStream) programMap(b []byte) bool {
	s := section(b, 2)
	if len(s) < 12 {
		return false
	}
	skip := 12 + int(binary.BigEndian.Uint16(s[10:])&0x0fff)
	if skip > len(s) {
		return false
	}
	for s = s[skip:]; len(s) >= 5; {
		kind, pid := s[0], binary.BigEndian.Uint16(s[1:])&0x1fff
		if kind == ps.TypeH264 || kind == ps.TypeH265 || kind == ps.TypeSVAC {
			if pid != t.video {
				t.counted = false
			}
			t.video, t.kind = pid, kind
			return true
		}
		n := 5 + int(binary.BigEndian.Uint16(s[3:])&0x0fff)
		if n > len(s) {
			return false
		}
		s = s[n:]
	}
	return true
}

// pes reads a PES header (ISO/IEC 13818-1 §2.4.3.6).
func (t *transportStream) pes(b []byte) bool {
	if len(b) < 9 || b[0] != 0 || b[1] != 0 || b[2] != 1 || 9+int(b[8]) > len(b) {
		t.lost()
		return false
	}
	pts := int64(unknownTime)
	if b[7]&0x80 != 0 && b[8] >= 5 {
		pts = int64(b[9]>>1&7)<<30 | int64(b[10])<<22 | int64(b[11]>>1)<<15 | int64(b[12])<<7 | int64(b[13]>>1)
	}
	t.begin(pts, t.kind, b[9+int(b[8]):])
	return true
}

// codecOf returns the codec of a stream type, 0 for those that are not carried.
func codecOf(streamType byte) ingest.Codec {
	switch streamType {
	case ps.TypeH264:
		return ingest.H264
	case ps.TypeH265:
		return ingest.H265
	}
	return 0
}
