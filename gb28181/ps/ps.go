// Package ps reads and writes the MPEG program stream in which GB/T 28181
// devices pack their pictures: ISO/IEC 13818-1 §2.5 as GB/T 28181-2022 annex C
// narrows it, and as cameras bend it. The Demuxer takes bytes from the network
// in any portions and hands out frames; it holds at most one frame, never
// panics and never reads a byte more than a bounded number of times, whatever
// it is fed. The Muxer writes what annex C asks for. The package knows no
// sockets, no RTP and no clock: order, loss and the wrap of the 33-bit time
// stamps are the caller's.
package ps

// Stream types of the program stream map (ISO/IEC 13818-1 table 2-34 and
// GB/T 28181-2022 annex C).
const (
	TypeUnknown   byte = 0x00 // nothing said; some devices send just this
	TypeAAC       byte = 0x0F // ISO/IEC 13818-7 with ADTS
	TypeMPEG4     byte = 0x10 // ISO/IEC 14496-2 video
	TypeH264      byte = 0x1B // ITU-T H.264
	TypeH265      byte = 0x24 // ITU-T H.265
	TypeSVAC      byte = 0x80 // GB/T 25724 video
	TypeG711A     byte = 0x90 // ITU-T G.711 A-law
	TypeG711U     byte = 0x91 // ITU-T G.711 µ-law
	TypeG7221     byte = 0x92 // ITU-T G.722.1
	TypeG7231     byte = 0x93 // ITU-T G.723.1
	TypeG729      byte = 0x99 // ITU-T G.729
	TypeSVACAudio byte = 0x9B // GB/T 25724 audio
)

// Stream identifiers (ISO/IEC 13818-1 table 2-22).
const (
	StreamAudio byte = 0xC0 // the first of 32 audio streams
	StreamVideo byte = 0xE0 // the first of 16 video streams
)

// The start codes that structure a program stream. A NAL unit's first byte is
// below 0x80, so that inside video a start code from codeEnd on is always the
// stream's own: this is what resynchronisation rests on.
const (
	codeEnd      = 0xB9
	codePack     = 0xBA
	codeSystem   = 0xBB
	codeMap      = 0xBC
	codePrivate1 = 0xBD
	codePadding  = 0xBE
	codePrivate2 = 0xBF
	codeAudioEnd = 0xDF
	codeVideoEnd = 0xEF
)

// MaxFrame is the largest frame that a Demuxer gathers, in bytes. A key frame
// of a 4K camera is about 1 MiB. A larger one is dropped and counted.
const MaxFrame = 4 << 20

// clockMask keeps the 33 bits of a time stamp.
const clockMask = 1<<33 - 1

// Fault is a kind of damage or deviation that a Demuxer met.
type Fault uint8

// The faults. Those marked so cost a frame, the others are repaired.
const (
	FaultPack      Fault = iota // pack header malformed or missing; Hikvision's H.265 has only its start code
	FaultMap                    // program stream map with wrong lengths
	FaultMapCRC                 // program stream map whose CRC-32 is wrong; used all the same
	FaultPESHeader              // PES header whose lengths contradict its flags
	FaultShortPES               // a start code came before the PES packet's declared end
	FaultLongPES                // payload went on after the declared end: length wrapped at 64 KiB or wrong
	FaultType                   // the bytes are of another codec than the map says
	FaultOversize               // a frame above MaxFrame; dropped
	FaultDamaged                // a frame cut by a gap or by the end; dropped
	faultCount
)

var faultNames = [faultCount]string{"pack", "map", "map_crc", "pes_header", "short_pes", "long_pes", "type", "oversize", "damaged"}

// String returns the fault's name, fit for a metric label.
func (f Fault) String() string {
	if f < faultCount {
		return faultNames[f]
	}
	return "unknown"
}

// Reason says why a sound PES packet or frame was not handed out.
type Reason uint8

// The reasons.
const (
	SkipAudio      Reason = iota // audio; the gateway carries pictures only
	SkipPrivate                  // private_stream_1 and 2: vendors' own data
	SkipPadding                  // padding_stream
	SkipSVAC                     // SVAC video, for which there is no open decoder
	SkipOtherVideo               // a video codec other than H.264 and H.265
	SkipOther                    // any other stream identifier
	reasonCount
)

var reasonNames = [reasonCount]string{"audio", "private", "padding", "svac", "other_video", "other"}

// String returns the reason's name, fit for a metric label.
func (r Reason) String() string {
	if r < reasonCount {
		return reasonNames[r]
	}
	return "unknown"
}

// Stats counts what a Demuxer saw since it was made.
type Stats struct {
	Bytes     uint64              // written into it
	Discarded uint64              // bytes that belonged to nothing: searched through for the next start code, or cut off by a gap
	Packs     uint64              // pack headers
	Maps      uint64              // program stream maps with at least one entry
	PES       uint64              // PES packets of video
	Frames    uint64              // frames handed out
	Gaps      uint64              // calls of Lost
	Faults    [faultCount]uint64  // by Fault
	Skipped   [reasonCount]uint64 // PES packets, and frames for SkipSVAC and SkipOtherVideo, by Reason
}

// Faulted returns the faults by name, for metrics and pages.
func (s *Stats) Faulted(each func(name string, n uint64)) {
	for i, n := range s.Faults {
		each(faultNames[i], n)
	}
}

// SkippedBy returns the skipped packets by reason, for metrics and pages.
func (s *Stats) SkippedBy(each func(name string, n uint64)) {
	for i, n := range s.Skipped {
		each(reasonNames[i], n)
	}
}

// Packet is one frame of video.
type Packet struct {
	StreamType byte   // TypeH264, TypeH265, or TypeUnknown before anything told
	StreamID   byte   // 0xE0 to 0xEF
	PTS        int64  // 90 kHz, 33 bits, -1 if the device sent none; wraps every 26.5 h, which the caller unwraps
	DTS        int64  // like PTS; -1 if not sent, which means the same as PTS
	Data       []byte // Annex-B bytes, start codes included; valid until the function returns
	Lost       bool   // something before or inside this frame was lost since the previous one
}
