// Package ffmpeg decodes H.264 and H.265 access units with libavcodec, in
// process and on the caller's thread. It is one of the two rooms that hold C.
// It opens no file and no network, decides nothing about what to decode, and
// hands out libav's own planes instead of copies.
//
// Built without cgo, the same functions answer detect.ErrNoCgo.
package ffmpeg

import (
	"errors"
	"fmt"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// The bounds of what is decoded. Below them there is nothing to analyse; above
// them one picture takes the memory of a hundred cameras.
const (
	minSide = 16          // pixels
	maxSide = 8192        // pixels
	maxArea = 8192 * 4352 // pixels: 8K with room for both 7680x4320 and 8192x4320
	maxUnit = 16 << 20    // bytes of one access unit in Annex-B form; 8K key frames stay well below
)

// errClosed is returned by Decode after Close.
var errClosed = errors.New("decoder is closed")

// checkSize returns a Fault when a picture of w x h pixels is outside of the
// bounds.
func checkSize(w, h int) error {
	if w >= minSide && h >= minSide && w <= maxSide && h <= maxSide && w*h <= maxArea {
		return nil
	}
	return &ingest.Fault{
		Reason: ingest.ReasonUnsupportedSize,
		Err:    fmt.Errorf("picture is %dx%d", w, h),
		Hint:   fmt.Sprintf("set the camera's stream to between %dx%d and 7680x4320", minSide, minSide),
	}
}

// undecodable returns a Fault for units that the decoder refuses or mends.
func undecodable(what string) error {
	return &ingest.Fault{
		Reason: ingest.ReasonUndecodable,
		Err:    errors.New(what),
		Hint:   "analysis goes on with the next key frame; when it stays, look for packet loss or take another encoder profile",
	}
}

// waitingForKey returns a Fault for units before the first key unit.
func waitingForKey() error {
	return &ingest.Fault{
		Reason: ingest.ReasonNoKeyFrame,
		Err:    errors.New("no key frame with its parameter sets yet"),
		Hint:   "set the camera's key frame interval (GOP) to 2 s",
	}
}

// wrongCodec returns a Fault for a codec that no decoder, or not this decoder,
// takes.
func wrongCodec(got ingest.Codec) error {
	return &ingest.Fault{
		Reason: ingest.ReasonUnsupportedCodec,
		Err:    fmt.Errorf("codec is %s", got),
		Hint:   "set the camera to H.264 or H.265",
	}
}
