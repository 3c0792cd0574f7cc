package ingest

import (
	"bytes"
	"slices"
)

// Bounds on one access unit. A 2160p60 stream of 50 Mbit/s stays far below the
// size; 48 slices in a picture have been seen (Parrot drones).
const (
	MaxUnitBytes = 8 << 20 // NAL unit bytes in one access unit
	MaxUnitNALUs = 64      // NAL units in one access unit, parameter sets that are added included
)

// maxSets bounds the parameter sets kept of each kind.
const maxSets = 16

// Assembler turns the NAL units of one coded picture into an access unit that
// a decoder can use: it drops what is not a NAL unit of the codec, remembers
// the newest parameter sets, and puts those that are missing in front of every
// key frame. Every way in (RTP, files, program streams) uses it, so that a
// consumer may start at any Entry and know nothing of SDP. It never looks
// deeper than the NAL unit header, the first bits of a slice and recovery points.
// It is not safe for concurrent use.
type Assembler struct {
	Camera CameraID
	Codec  Codec

	sets   [3][][]byte // VPS (H.265 only), SPS, PPS: the newest group of each kind, own copies
	inBand bool
}

// setKind is an index into sets, or -1 for other NAL units.
func setKind(c Codec, n []byte) int {
	if c == H265 {
		switch n[0] >> 1 & 0x3f { // H.265 table 7-1
		case 32:
			return 0
		case 33:
			return 1
		case 34:
			return 2
		}
		return -1
	}
	switch n[0] & 0x1f { // H.264 table 7-1
	case 7:
		return 1
	case 8:
		return 2
	}
	return -1
}

// valid says whether n can be a NAL unit of the codec: long enough, forbidden
// zero bit clear, and a type that may stand in a stream (not one of those that
// RTP uses for its own packets).
func valid(c Codec, n []byte) bool {
	if c == H265 {
		return len(n) > 2 && n[0]&0x80 == 0 && n[0]>>1&0x3f < 48 && n[1]&7 != 0
	}
	t := byte(0)
	if len(n) > 0 {
		t = n[0] & 0x1f
	}
	return len(n) > 1 && n[0]&0x80 == 0 && t >= 1 && t <= 23
}

// IsSlice says whether n carries picture data (a VCL NAL unit; H.264 §7.4.1,
// H.265 §7.4.2.2) and whether it is the first slice of its picture. n must be
// a NAL unit without start code; anything too short is not a slice.
func IsSlice(c Codec, n []byte) (slice, first bool) {
	if !valid(c, n) {
		return false, false
	}
	if c == H265 {
		return n[0]>>1&0x3f < 32, n[2]&0x80 != 0 // first_slice_segment_in_pic_flag
	}
	t := n[0] & 0x1f
	// first_mb_in_slice is ue(v): zero is a single 1 bit. Data partitions B and
	// C (3, 4) begin with slice_id and never start a picture.
	return t >= 1 && t <= 5, (t == 1 || t == 2 || t == 5) && n[1]&0x80 != 0
}

func isKey(c Codec, n []byte) bool {
	if c == H265 {
		t := n[0] >> 1 & 0x3f
		return t >= 16 && t <= 23 // IRAP
	}
	return n[0]&0x1f == 5 // IDR
}

func isFiller(c Codec, n []byte) bool {
	if c == H265 {
		return n[0]>>1&0x3f == 38
	}
	return n[0]&0x1f == 12
}

func isDelimiter(c Codec, n []byte) bool {
	if c == H265 {
		return n[0]>>1&0x3f == 35
	}
	return n[0]&0x1f == 9
}

// Remember takes parameter sets that came another way, such as SDP. Other NAL
// units are ignored. Sets seen in the stream later replace them.
func (a *Assembler) Remember(nalus ...[]byte) {
	var seen [3][][]byte
	for _, n := range nalus {
		if !valid(a.Codec, n) {
			continue
		}
		if k := setKind(a.Codec, n); k >= 0 && len(seen[k]) < maxSets {
			seen[k] = append(seen[k], n)
		}
	}
	for k := range seen {
		if seen[k] != nil && !slices.EqualFunc(seen[k], a.sets[k], bytes.Equal) {
			a.sets[k] = clone(seen[k])
		}
	}
}

func clone(sets [][]byte) [][]byte {
	c := make([][]byte, len(sets))
	for i, s := range sets {
		c[i] = bytes.Clone(s)
	}
	return c
}

// InBand reports whether parameter sets have come in the stream itself.
func (a *Assembler) InBand() bool { return a.inBand }

// Parameters returns the newest VPS (H.265 only), SPS and PPS, nil for those
// never seen. The caller must not change them.
func (a *Assembler) Parameters() (vps, sps, pps []byte) {
	first := func(s [][]byte) []byte {
		if len(s) == 0 {
			return nil
		}
		return s[0]
	}
	return first(a.sets[0]), first(a.sets[1]), first(a.sets[2])
}

// Unit makes the access unit of one picture and takes ownership of nalus. It
// returns false when there is no picture in them (parameter sets alone are
// remembered) or when they are beyond MaxUnitBytes or MaxUnitNALUs. PTS,
// Received and Lost are left to the caller. A key frame whose parameter sets
// nobody has seen yet is not Key: decoding cannot start there.
func (a *Assembler) Unit(nalus [][]byte) (AccessUnit, bool) {
	u := AccessUnit{Camera: a.Camera, Codec: a.Codec}
	size, picture := 0, false
	kept := nalus[:0]
	for _, n := range nalus {
		if !valid(a.Codec, n) || isFiller(a.Codec, n) {
			continue
		}
		slice, _ := IsSlice(a.Codec, n)
		picture = picture || slice
		u.Key = u.Key || (slice && isKey(a.Codec, n))
		a.inBand = a.inBand || setKind(a.Codec, n) > 0
		size += len(n)
		kept = append(kept, n)
	}
	if len(kept) > MaxUnitNALUs || size > MaxUnitBytes {
		return AccessUnit{}, false
	}
	a.Remember(kept...)
	if !picture {
		return AccessUnit{}, false
	}
	u.NALUs = kept
	if !u.Key && a.Codec == H264 {
		u.Key, u.Recovery = recovery(kept)
	}
	if u.Entry() {
		var decodable bool
		if u.NALUs, decodable = a.complete(kept); !decodable {
			u.Key, u.Recovery = false, 0
		}
	}
	return u, true
}

// recovery says whether decoding may start at an H.264 picture that is no IDR
// picture. Encoders with open GOPs or gradual refresh send one of those at the
// start of the stream and never again. A picture that is right at once and still
// predicted from others counts as right one later.
func recovery(nalus [][]byte) (key bool, after int) {
	point := false
	for _, n := range nalus {
		if at, ok := RecoveryPoint(H264, n); ok {
			point, after = true, at
		}
		slice, first := IsSlice(H264, n)
		switch {
		case !slice:
			continue
		case !point:
			return false, 0 // messages stand before the first slice
		case after == 0 && first && isIntra(n):
			return true, 0
		}
		return false, max(after, 1)
	}
	return false, 0
}

// complete puts the parameter sets that nalus lack in front of them, behind an
// access unit delimiter, which must stay first.
func (a *Assembler) complete(nalus [][]byte) (_ [][]byte, decodable bool) {
	var have [3]bool
	have[0] = a.Codec == H264
	for _, n := range nalus {
		if k := setKind(a.Codec, n); k >= 0 {
			have[k] = true
		}
	}
	var missing [][]byte
	for k := range have {
		if have[k] {
			continue
		}
		if len(a.sets[k]) == 0 {
			return nalus, false
		}
		missing = append(missing, clone(a.sets[k])...) // the receiver owns what it gets
	}
	if missing == nil {
		return nalus, true
	}
	if len(missing)+len(nalus) > MaxUnitNALUs {
		return nalus, false
	}
	at := 0
	if isDelimiter(a.Codec, nalus[0]) {
		at = 1
	}
	return slices.Insert(nalus, at, missing...), true
}
