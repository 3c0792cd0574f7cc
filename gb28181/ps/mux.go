package ps

import "encoding/binary"

const (
	// muxRate is the bound on the stream's rate in units of 50 bytes/s: 40 Mbit/s.
	muxRate = 100_000
	// lead is how long before its time stamp a frame enters the stream, in
	// 90 kHz ticks: one frame at 25 frames/s.
	lead = 3600
	// pesMax is the largest PES_packet_length.
	pesMax = 0xFFFF
)

// Muxer writes frames as a program stream for RTP (GB/T 28181-2022 annex C):
// each begins with a pack header, each key frame also has a system header and
// a program stream map. It is for one goroutine.
type Muxer struct {
	streamType byte
	audioType  byte
}

// NewMuxer returns a Muxer for one video stream of a type such as TypeH264.
func NewMuxer(streamType byte) *Muxer { return &Muxer{streamType: streamType} }

// AddAudio announces an audio stream of a type such as TypeG711A in the headers
// of the following key frames.
func (m *Muxer) AddAudio(streamType byte) { m.audioType = streamType }

// Frame appends one frame to dst and returns it. annexB is a whole coded
// picture with start codes; pts is in 90 kHz ticks, of which 33 bits are
// written; key says that decoding can start here.
func (m *Muxer) Frame(dst, annexB []byte, pts int64, key bool) []byte {
	dst = appendPack(dst, max(pts-lead, 0))
	if key {
		dst = m.appendSystem(dst)
		dst = m.appendMap(dst)
	}
	return appendPES(dst, StreamVideo, annexB, pts)
}

// Audio appends one frame of the audio stream to dst, in a pack of its own.
func (m *Muxer) Audio(dst, frame []byte, pts int64) []byte {
	dst = appendPack(dst, max(pts-lead, 0))
	return appendPES(dst, StreamAudio, frame, pts)
}

// appendPack writes a pack header with the system clock reference scr in
// 90 kHz ticks (ISO/IEC 13818-1 §2.5.3.3).
func appendPack(dst []byte, scr int64) []byte {
	s := uint64(scr) & clockMask
	return append(dst, 0, 0, 1, codePack,
		0x44|byte(s>>27)&0x38|byte(s>>28)&3, byte(s>>20), byte(s>>12)&0xF8|4|byte(s>>13)&3, byte(s>>5), byte(s<<3)|4, 1,
		byte(muxRate>>14), byte(muxRate>>6&0xFF), byte(muxRate<<2&0xFF)|3, 0xF8)
}

// appendSystem writes the system header (ISO/IEC 13818-1 §2.5.3.5): free bit
// rate, buffers of 2 MiB for video and 8 KiB for audio.
func (m *Muxer) appendSystem(dst []byte) []byte {
	streams := []byte{StreamVideo, 0xE0 | 2048>>8, 2048 & 0xFF}
	var audios byte
	if m.audioType != 0 {
		streams = append(streams, StreamAudio, 0xC0, 64)
		audios = 1
	}
	dst = append(dst, 0, 0, 1, codeSystem, 0, byte(6+len(streams)),
		0x80|byte(muxRate>>15), byte(muxRate>>7&0xFF), byte(muxRate<<1&0xFF)|1,
		audios<<2, 0x20|1, 0x7F)
	return append(dst, streams...)
}

// appendMap writes the program stream map (ISO/IEC 13818-1 §2.5.4.1).
func (m *Muxer) appendMap(dst []byte) []byte {
	at := len(dst)
	entries := []byte{m.streamType, StreamVideo, 0, 0}
	if m.audioType != 0 {
		entries = append(entries, m.audioType, StreamAudio, 0, 0)
	}
	dst = append(dst, 0, 0, 1, codeMap, 0, byte(10+len(entries)), 0xE0, 0xFF, 0, 0, 0, byte(len(entries)))
	dst = append(dst, entries...)
	return binary.BigEndian.AppendUint32(dst, crc32MPEG(dst[at:]))
}

// appendPES writes data as PES packets, the first with the time stamp, the
// others without: theirs would be of a picture that begins in them.
func appendPES(dst []byte, id byte, data []byte, pts int64) []byte {
	t := uint64(pts) & clockMask
	header := []byte{0x84, 0x80, 5, 0x21 | byte(t>>29)&0x0E, byte(t >> 22), byte(t>>14) | 1, byte(t >> 7), byte(t<<1) | 1}
	for first := true; first || len(data) > 0; first = false {
		if !first {
			header = []byte{0x80, 0, 0}
		}
		n := min(len(data), pesMax-len(header))
		size := n + len(header)
		dst = append(dst, 0, 0, 1, id, byte(size>>8), byte(size))
		dst = append(dst, header...)
		dst = append(dst, data[:n]...)
		data = data[n:]
	}
	return dst
}
