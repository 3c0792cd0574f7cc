//go:build cgo

package ffmpeg

/*
#cgo pkg-config: libavcodec libavutil libswscale
#cgo CFLAGS: -O3 -Wall
#cgo LDFLAGS: -lpthread
#include "decoder.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"image"
	"slices"
	"unsafe"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// decoder is one libavcodec context. It belongs to one goroutine.
type decoder struct {
	codec   ingest.Codec
	c       *C.se_decoder
	input   []byte // libav's input buffer, C memory; nil when a new one must be reserved
	params  parameters
	broken  error // why units are refused until the next key unit; nil when decoding goes on
	refresh int   // in so many units more, at most, may be missing what they are predicted from: decoding began at a recovery point
	noLuma  bool
	picture C.se_picture
	image   image.YCbCr
	frame   detect.Frame
}

var (
	_ detect.Decoder = (*decoder)(nil)
	_ detect.Sparing = (*decoder)(nil)
)

// NewDecoder opens a decoder for one camera's stream of the given codec. It uses
// one thread, the caller's, and holds 1 MiB until the first unit, then the
// reference pictures of the stream (measured: 6 to 25 MiB at 1080p). The caller
// closes it.
//
// Decode returns the newest picture that the unit completes, which aliases
// libav's own memory until the next Decode or Close; a nil frame and nil error
// when the unit completes none. Its errors are Faults: no_key_frame before the
// first key unit; unsupported_size outside of 16x16..8192x8192 or above
// 8192x4352 pixels; unsupported_codec for a unit of another codec; undecodable
// for data that libav refuses and for pictures predicted from references that
// are missing. After an error every unit up to the next key unit gets the same
// answer without being decoded, because what follows would be predicted from a
// picture that never was. A unit with Recovery is as good as a key unit then: no
// picture comes out before what it began is complete.
func NewDecoder(codec ingest.Codec) (detect.Decoder, error) {
	names := map[ingest.Codec]C.int{ingest.H264: C.SE_H264, ingest.H265: C.SE_H265}
	name, ok := names[codec]
	if !ok {
		return nil, wrongCodec(codec)
	}
	c := C.se_open(name, maxArea, minSide)
	if c == nil {
		return nil, fmt.Errorf("libavcodec has no decoder for %s: install Debian's libavcodec59", codec)
	}
	return &decoder{codec: codec, c: c, broken: waitingForKey()}, nil
}

// Version names the libavcodec that is linked, with its FFmpeg release.
func Version() string {
	var b [128]byte
	C.se_version((*C.char)(unsafe.Pointer(&b[0])), C.size_t(len(b)))
	return C.GoString((*C.char)(unsafe.Pointer(&b[0])))
}

// Close frees the decoder and the memory of its last frame. Closing twice is
// harmless.
func (d *decoder) Close() {
	if d.c == nil {
		return
	}
	C.se_close(d.c)
	d.c, d.input = nil, nil
	d.forget()
}

// Decode implements detect.Decoder; NewDecoder says what it promises.
func (d *decoder) Decode(au ingest.AccessUnit) (*detect.Frame, error) {
	if d.c == nil {
		return nil, errClosed
	}
	d.forget()
	flush, err := d.admit(au)
	if err != nil {
		return nil, err
	}
	n, err := d.fill(au.NALUs)
	if err == nil && n == 0 {
		return nil, nil
	}
	if err == nil {
		err = d.run(n, au.Key, flush)
		d.refresh = max(0, d.refresh-1)
	}
	if err != nil {
		d.broken = err
		d.forget()
		return nil, err
	}
	if d.picture.y == nil {
		return nil, nil
	}
	d.publish()
	return &d.frame, nil
}

// Deblock says whether the units that follow are deblocked (H.264 §8.7, H.265
// §8.7), as they are at first; without it decoding costs a quarter less, and the
// pictures drift from what the camera encoded until the next key unit.
func (d *decoder) Deblock(on bool) {
	if d.c != nil {
		C.se_deblock(d.c, cBool(on))
	}
}

// Decimate implements detect.Sparing.
func (d *decoder) Decimate(on bool) { d.noLuma = !on }

// Drain implements detect.Decoder. Of a stream with reordered pictures (B-frames)
// a key unit alone yields its picture only here.
func (d *decoder) Drain() (*detect.Frame, error) {
	if d.c == nil {
		return nil, errClosed
	}
	d.forget()
	err := d.judge(C.se_drain(d.c, &d.picture))
	d.broken = waitingForKey()
	if err != nil {
		d.forget()
		return nil, err
	}
	if d.picture.y == nil {
		return nil, nil
	}
	d.publish()
	return &d.frame, nil
}

// forget cuts the last frame off from libav's memory, so that whoever kept it
// against the contract gets an empty picture and not freed memory.
func (d *decoder) forget() {
	d.picture = C.se_picture{}
	d.image = image.YCbCr{SubsampleRatio: image.YCbCrSubsampleRatio420}
	d.frame = detect.Frame{Image: &d.image}
}

// admit says whether the unit may be decoded and whether the decoder must forget
// its references first.
func (d *decoder) admit(au ingest.AccessUnit) (flush bool, err error) {
	if au.Codec != d.codec {
		d.broken = wrongCodec(au.Codec)
		return false, d.broken
	}
	again := d.broken != nil || au.Lost
	if !au.Key && (au.Recovery == 0 || !again) {
		if d.broken == nil && au.Lost {
			d.broken = undecodable("units were lost on the way")
		}
		return false, d.broken
	}
	if err := d.params.update(d.codec, au.NALUs); err != nil {
		d.broken = err
		return false, err
	}
	// After a loss an H.265 CRA must not let its leading pictures (RASL) refer to
	// what was before it (H.265 §8.1.3): a flush makes it the first picture.
	if again {
		d.refresh = refreshOf(au)
	}
	d.broken = nil
	return again, nil
}

// refreshOf returns for how many units from this one on, with which decoding
// begins, references may be missing. Not every unit counts as a picture for
// Recovery, and after an open GOP's key unit come some that are shown before it.
func refreshOf(au ingest.AccessUnit) int {
	if au.Recovery > 0 {
		return 2*au.Recovery + openGOP
	}
	if au.Codec == ingest.H264 && !slices.ContainsFunc(au.NALUs, func(n []byte) bool {
		return len(n) > 0 && h264.NALUType(n[0]&0x1F) == h264.NALUTypeIDR
	}) {
		return openGOP
	}
	return 0
}

// openGOP bounds the pictures that are shown before an H.264 picture in which
// decoding may start and come after it (max_num_reorder_frames, §E.2.1).
const openGOP = 16

// fill writes the unit into libav's input buffer and returns its bytes.
func (d *decoder) fill(nalus [][]byte) (int, error) {
	n := annexBSize(nalus)
	if n > maxUnit {
		return 0, undecodable(fmt.Sprintf("access unit of %d bytes", n))
	}
	if n > len(d.input) {
		var size C.size_t
		p := C.se_reserve(d.c, C.size_t(n), &size)
		if p == nil {
			return 0, errors.New("decode: no memory for the access unit")
		}
		d.input = unsafe.Slice((*byte)(unsafe.Pointer(p)), int(size))
	}
	return putAnnexB(d.input, nalus), nil
}

// run decodes the first n bytes of the input into d.picture.
func (d *decoder) run(n int, key, flush bool) error {
	rc := C.se_decode(d.c, C.size_t(n), cBool(key), cBool(flush), cBool(!d.noLuma), &d.picture)
	if d.picture.input_taken != 0 {
		d.input = nil
	}
	return d.judge(rc)
}

// judge says what is wrong with d.picture, if anything.
func (d *decoder) judge(rc C.int) error {
	p := &d.picture
	switch rc {
	case C.SE_NOTHING, C.SE_PICTURE:
	case C.SE_SIZE:
		if err := checkSize(int(p.width), int(p.height)); err != nil {
			return err
		}
		return checkSize(0, 0)
	case C.SE_FORMAT:
		return undecodable("pixel format that libswscale cannot convert")
	case C.SE_MEMORY:
		return errors.New("decode: out of memory")
	default:
		return undecodable("libavcodec refuses the access unit")
	}
	switch {
	case d.refresh > 0 && (p.broken != 0 || p.gap != 0):
		d.forget() // not to be shown; libav itself shows only what is complete
		return nil
	case p.broken != 0:
		return undecodable("damaged, or predicted from pictures that are missing")
	case p.gap != 0 && !d.params.gapsAllowed:
		return undecodable("frame numbers jump: pictures are missing")
	case p.y != nil:
		d.refresh = 0
		return checkSize(int(p.width), int(p.height))
	}
	return nil
}

// publish points d.frame at libav's planes. The slices end with the last pixel,
// not with the last row's padding: of a cropped picture the padding may reach
// past libav's buffer.
func (d *decoder) publish() {
	p := &d.picture
	w, h := int(p.width), int(p.height)
	cw, ch := (w+1)/2, (h+1)/2
	d.image = image.YCbCr{
		Y:              plane(p.y, p.y_stride, w, h),
		Cb:             plane(p.u, p.c_stride, cw, ch),
		Cr:             plane(p.v, p.c_stride, cw, ch),
		YStride:        int(p.y_stride),
		CStride:        int(p.c_stride),
		SubsampleRatio: image.YCbCrSubsampleRatio420,
		Rect:           image.Rect(0, 0, w, h),
	}
	lw, lh := int(p.luma_width), int(p.luma_height)
	d.frame.Luma = detect.Luma{Width: lw, Height: lh, Pix: plane(p.luma, p.luma_width, lw, lh)}
}

func plane(p *C.uint8_t, stride C.int, w, h int) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(p)), int(stride)*(h-1)+w)
}

func cBool(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
