package ffmpeg

import (
	"bytes"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// parameters is what the newest sequence parameter set says and libavcodec does
// not tell.
type parameters struct {
	raw         []byte // the set that was read last, own copy
	gapsAllowed bool   // H.264 §7.4.2.1.1 gaps_in_frame_num_value_allowed_flag: a gap is no loss
}

// update reads the sequence parameter set of a key unit, if it has one and it
// changed, and returns a Fault when its picture size is out of bounds. The size
// is looked at here and not after decoding so that a stream that announces
// 16384x16384 pixels costs no memory and gets a clear answer. A set that cannot
// be read is left to libavcodec, which knows more of them.
func (p *parameters) update(codec ingest.Codec, nalus [][]byte) error {
	sps := findSPS(codec, nalus)
	if sps == nil || bytes.Equal(sps, p.raw) {
		return nil
	}
	w, h, gaps, ok := readSPS(codec, sps)
	if !ok {
		return nil
	}
	if err := checkSize(w, h); err != nil {
		return err // p.raw stays: the next key unit is checked again
	}
	p.raw = append(p.raw[:0], sps...)
	p.gapsAllowed = gaps
	return nil
}

// findSPS returns the last sequence parameter set of a unit, or nil. Decoders
// let the last one win.
func findSPS(codec ingest.Codec, nalus [][]byte) []byte {
	for i := len(nalus) - 1; i >= 0; i-- {
		u := nalus[i]
		switch {
		case codec == ingest.H264 && len(u) > 3 && h264.NALUType(u[0]&0x1F) == h264.NALUTypeSPS,
			codec == ingest.H265 && len(u) > 3 && h265.NALUType(u[0]>>1&0x3F) == h265.NALUType_SPS_NUT:
			return u
		}
	}
	return nil
}

// readSPS returns the picture's size after cropping, in pixels, and whether gaps
// in frame numbers are lawful.
func readSPS(codec ingest.Codec, sps []byte) (w, h int, gapsAllowed, ok bool) {
	if codec == ingest.H264 {
		var s h264.SPS
		if s.Unmarshal(sps) != nil {
			return 0, 0, false, false
		}
		return s.Width(), s.Height(), s.GapsInFrameNumValueAllowedFlag, true
	}
	var s h265.SPS
	if s.Unmarshal(sps) != nil {
		return 0, 0, false, false
	}
	return s.Width(), s.Height(), false, true
}
