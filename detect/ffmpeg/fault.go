//go:build cgo

package ffmpeg

import (
	"errors"
	"fmt"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// errClosed is returned by Decode after Close.
var errClosed = errors.New("decoder is closed")

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
