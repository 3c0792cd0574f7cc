package detect

import (
	"bytes"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// PictureType is how a picture is predicted.
type PictureType uint8

// The types, by the first slice of a picture (ITU-T H.264 table 7-6, H.265
// table 7-7). SP and SI count as P and I.
const (
	PictureUnknown PictureType = iota
	PictureI
	PictureP
	PictureB
)

// String returns "I", "P", "B" or "?".
func (t PictureType) String() string { return [...]string{"?", "I", "P", "B"}[t&3] }

// Header is what the slice headers of one access unit say without decoding it.
type Header struct {
	OK         bool        // the header of the first slice was understood, with its parameter sets; else Type and QP mean nothing
	Type       PictureType // of the first slice
	Key        bool        // IDR (H.264) or IRAP (H.265)
	Recovery   bool        // has a recovery point message: gradual refresh or open GOP (H.264 §D.2.8, H.265 §D.3.8)
	Reference  bool        // other pictures may be predicted from it
	TemporalID uint8       // H.265 only, 0 to 6
	QP         int8        // luma quantiser of the first slice, -48 to 51
	Slices     int         // slices, in H.265 slice segments
	Bytes      int         // of all slices
}

// HeaderReader reads slice headers of one stream. It learns parameter sets from
// the units themselves, also when they change. It reads the first slice only,
// and of it no more than up to the quantiser; sizes of the others are summed.
// What it is fed may be any bytes. It does not allocate but for a parameter set
// that changed, and is not safe for concurrent use.
type HeaderReader struct {
	codec ingest.Codec
	h264  *h264Sets
	h265  *h265Sets
}

// NewHeaderReader returns a reader for a stream of the given codec.
func NewHeaderReader(codec ingest.Codec) *HeaderReader {
	r := &HeaderReader{codec: codec}
	if codec == ingest.H265 {
		r.h265 = &h265Sets{}
	} else {
		r.h264 = &h264Sets{}
	}
	return r
}

// Read reads one access unit, given as its NAL units without start codes. It
// keeps nothing of them but copies of parameter sets.
func (r *HeaderReader) Read(nalus [][]byte) Header {
	var h Header
	for _, n := range nalus {
		if r.codec == ingest.H265 {
			r.h265.nalu(n, &h)
		} else {
			r.h264.nalu(n, &h)
		}
	}
	return h
}

// parameterSet is a parameter set as it came, to see that it did not change.
type parameterSet struct{ raw []byte }

func (p *parameterSet) same(n []byte) bool { return p != nil && bytes.Equal(p.raw, n) }

// maxSetBytes bounds a parameter set; a larger one is not one.
const maxSetBytes = 4096
