//go:build !cgo

package opencv

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/detect/model"
)

func TestWithoutCgo(t *testing.T) {
	_, err := Open(nil, 1)
	require.ErrorIs(t, err, detect.ErrNoCgo)
	_, err = model.BuiltIn("")
	require.ErrorIs(t, err, detect.ErrNoCgo)
	var e Engine
	_, err = e.Run(nil)
	require.ErrorIs(t, err, detect.ErrNoCgo)
	e.Close()
	require.Equal(t, "none", Version())
	_, err = NewMotion(MotionOptions{})
	require.ErrorIs(t, err, detect.ErrNoCgo)
	var m Motion
	require.Equal(t, detect.Motion{}, m.Find(detect.Luma{}))
	m.Reset()
	m.Sparse(true)
	m.Close()
}
