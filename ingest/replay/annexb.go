package replay

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// readAhead is how much of the file is held beyond the NAL unit being read.
const readAhead = 64 << 10

var errTooBig = fmt.Errorf("NAL unit of more than %d bytes", ingest.MaxUnitBytes)

// splitter cuts a byte stream (H.264 and H.265, Annex B) into NAL units and
// these into pictures. It holds one picture and readAhead bytes, whatever the
// file's size.
type splitter struct {
	codec ingest.Codec
	r     *bufio.Reader
	begun bool
	held  []byte // the NAL unit that begins the next picture
}

func newSplitter(r io.Reader, c ingest.Codec) *splitter {
	return &splitter{codec: c, r: bufio.NewReaderSize(r, readAhead)}
}

// nalu returns the next NAL unit, never empty, or io.EOF. What stands before
// the first start code is skipped.
func (s *splitter) nalu() ([]byte, error) {
	for {
		n, err := s.upToStartCode()
		if s.begun && len(n) > 0 {
			return n, nil // an error comes again with the next call
		}
		if err != nil {
			return nil, err
		}
		s.begun = true
	}
}

// upToStartCode reads to the next start code and behind it, and returns what
// stood before it, without the zero bytes that may trail a NAL unit (B.1.1).
func (s *splitter) upToStartCode() ([]byte, error) {
	var n []byte
	for {
		part, err := s.r.ReadSlice(1)
		if len(n)+len(part) > ingest.MaxUnitBytes+readAhead {
			return nil, errTooBig
		}
		n = append(n, part...)
		if bytes.HasSuffix(n, []byte{0, 0, 1}) {
			return bytes.TrimRight(n[:len(n)-3], "\x00"), nil
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err != nil:
			return bytes.TrimRight(n, "\x00"), err
		}
	}
}

// picture returns the NAL units of the next picture, or io.EOF.
func (s *splitter) picture() ([][]byte, error) {
	var p [][]byte
	slices := false
	for {
		n := s.held
		s.held = nil
		if n == nil {
			var err error
			if n, err = s.nalu(); err != nil {
				if len(p) > 0 && errors.Is(err, io.EOF) {
					return p, nil
				}
				return nil, err
			}
		}
		slice, first := ingest.IsSlice(s.codec, n)
		if slices && (first || (!slice && precedes(s.codec, n))) {
			s.held = n
			return p, nil
		}
		if len(p) >= ingest.MaxUnitNALUs {
			return nil, fmt.Errorf("picture of more than %d NAL units", ingest.MaxUnitNALUs)
		}
		slices = slices || slice
		p = append(p, n)
	}
}

// precedes says whether a NAL unit that is no slice can only stand before the
// first slice of a picture (H.264 §7.4.1.2.3, H.265 §7.4.2.4.4).
func precedes(c ingest.Codec, n []byte) bool {
	if c == ingest.H265 {
		t := n[0] >> 1 & 0x3f
		return (t >= 32 && t <= 35) || t == 39 || (t >= 41 && t <= 44) || (t >= 48 && t <= 55)
	}
	t := n[0] & 0x1f
	return (t >= 6 && t <= 9) || (t >= 14 && t <= 18)
}

// sniff tells the codec from the first bytes of a byte stream: an H.264 file
// has a sequence parameter set (NAL unit header 0x67, 0x47 or 0x27) early, an
// H.265 file a video parameter set (0x40 0x01).
func sniff(head []byte) (ingest.Codec, error) {
	for i := 0; i+5 <= len(head); i++ {
		if !bytes.Equal(head[i:i+3], []byte{0, 0, 1}) {
			continue
		}
		switch h := head[i+3]; {
		case h>>1&0x3f == 32 && head[i+4] == 1:
			return ingest.H265, nil
		case h&0x9f == 7:
			return ingest.H264, nil
		}
	}
	return 0, errors.New("neither H.264 nor H.265 in Annex-B form: convert it with ffmpeg -i FILE -c copy OUT.h264 (or OUT.h265)")
}
