//go:build !cgo

package opencv

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/detect"
)

func TestWithoutCgo(t *testing.T) {
	_, err := NewDetector(nil, 1)
	require.ErrorIs(t, err, detect.ErrNoCgo)
	_, err = DefaultModel()
	require.ErrorIs(t, err, detect.ErrNoCgo)
	var d Detector
	_, err = d.Detect(nil, 0)
	require.ErrorIs(t, err, detect.ErrNoCgo)
	d.Close()
	require.Equal(t, "none", Version())
}
