//go:build !cgo

package ffmpeg

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/ingest"
)

func TestWithoutCgo(t *testing.T) {
	d, err := NewDecoder(ingest.H264)
	require.ErrorIs(t, err, detect.ErrNoCgo)
	require.Nil(t, d)
	require.Equal(t, "none", Version())
}
