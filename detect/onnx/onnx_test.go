package onnx

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFind(t *testing.T) {
	empty, one, two := t.TempDir(), t.TempDir(), t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(empty, "libonnxruntime.so"), 0o700))
	first, second := filepath.Join(one, "libonnxruntime.so.1"), filepath.Join(two, "libonnxruntime.so")
	require.NoError(t, os.WriteFile(first, nil, 0o600))
	require.NoError(t, os.WriteFile(second, nil, 0o600))
	_, err := findIn([]string{empty, filepath.Join(empty, "none")})
	require.ErrorIs(t, err, ErrNotFound)
	path, err := findIn([]string{empty, one, two})
	require.NoError(t, err)
	require.Equal(t, first, path)

	path, err = Find(second)
	require.NoError(t, err)
	require.Equal(t, second, path)
	_, err = Find(filepath.Join(one, "none.so"))
	require.ErrorContains(t, err, "no such file")
	_, err = Find(one)
	require.ErrorContains(t, err, "is not a file")
}

// The folder of the program comes first.
func TestFindBesideTheProgram(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	beside := filepath.Join(filepath.Dir(self), "libonnxruntime.so")
	require.NoError(t, os.WriteFile(beside, nil, 0o600))
	defer os.Remove(beside)
	path, err := Find("")
	require.NoError(t, err)
	require.Equal(t, beside, path)
}

// The script that installs the library and the program mean the same one.
func TestPinned(t *testing.T) {
	script, err := os.ReadFile(filepath.Join("..", "..", "deployments", "onnxruntime.sh"))
	require.NoError(t, err)
	sum := regexp.MustCompile(`(?m)^sum=([0-9a-f]{64})`).FindSubmatch(script)
	require.NotNil(t, sum)
	require.Equal(t, pinnedSum, string(sum[1]))
	require.False(t, Pinned(filepath.Join("..", "..", "deployments", "onnxruntime.sh")))
	require.False(t, Pinned("none"))
}
