//go:build !cgo

package onnx

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/detect"
)

func TestWithoutCgo(t *testing.T) {
	require.ErrorIs(t, Load(""), detect.ErrNoCgo)
	require.Empty(t, Version())
	_, err := Open(nil, 1)
	require.ErrorIs(t, err, detect.ErrNoCgo)
	var e Engine
	_, err = e.Run(nil)
	require.ErrorIs(t, err, detect.ErrNoCgo)
	e.Close()
}
