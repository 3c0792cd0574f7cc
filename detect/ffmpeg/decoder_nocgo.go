//go:build !cgo

package ffmpeg

import (
	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// NewDecoder returns detect.ErrNoCgo: this program was built without cgo.
func NewDecoder(ingest.Codec) (detect.Decoder, error) { return nil, detect.ErrNoCgo }

// Version returns "none": this program was built without cgo.
func Version() string { return "none" }
