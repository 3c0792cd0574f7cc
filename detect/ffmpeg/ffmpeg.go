// Package ffmpeg decodes H.264 and H.265 access units with libavcodec, in
// process and on the caller's thread. It is one of the two rooms that hold C.
// It opens no file and no network, decides nothing about what to decode, and
// hands out libav's own planes instead of copies.
//
// Built without cgo, the same functions answer detect.ErrNoCgo.
package ffmpeg

import (
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
