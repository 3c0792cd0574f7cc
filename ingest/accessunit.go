package ingest

import "time"

// Codec is a video codec that the gateway carries.
type Codec uint8

// The codecs, by their ITU-T names.
const (
	H264 Codec = iota + 1 // ITU-T H.264
	H265                  // ITU-T H.265
)

// String returns the field's usual name, "H264" or "H265".
func (c Codec) String() string {
	switch c {
	case H264:
		return "H264"
	case H265:
		return "H265"
	}
	return "unknown"
}

// AccessUnit is one coded picture: the NAL units between two access unit
// boundaries (ITU-T H.264 §7.4.1.2.3, H.265 §7.4.2.4.4). The receiver owns it
// and everything it points to; a Source never touches it again.
type AccessUnit struct {
	Camera   CameraID
	Codec    Codec
	PTS      time.Duration // media clock, unwrapped, origin arbitrary; from the fleet: from about zero in each session, without jumps. Decode order: with B-frames it steps back by less than 1 s
	Received time.Time     // when its last byte was received, with monotonic reading
	Key      bool          // decoding can start here: IDR or open GOP (H.264) or IRAP (H.265), parameter sets included
	Recovery int           // above 0: no key unit, but decoding may start here too, parameter sets included, and shows what the camera sent from so many units later on (H.264 gradual refresh, §D.2.8)
	Lost     bool          // something before or inside this unit was lost since the previous one
	NALUs    [][]byte      // without start codes or length prefixes; never empty
}

// Entry says whether decoding can start here, if only to show something later.
func (a *AccessUnit) Entry() bool { return a.Key || a.Recovery > 0 }

// Size returns the bytes of all NAL units.
func (a *AccessUnit) Size() int {
	n := 0
	for _, u := range a.NALUs {
		n += len(u)
	}
	return n
}
