package detect_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/detect/ffmpeg"
)

// The pool decodes to a later unit exactly as a decoder of its own does, and the
// next camera finds nothing of it.
func TestKeyPoolDecodesToAnInstantExactly(t *testing.T) {
	pool := detect.NewKeyPool(1, ffmpeg.NewDecoder)
	defer pool.Close() //nolint:errcheck // never fails
	for _, name := range []string{"lawn.h264", "yard.h264", "road.h265"} {
		units := readClip(t, "../configs/clips/"+name, 25)[:13]
		own, err := ffmpeg.NewDecoder(units[0].Codec)
		if errors.Is(err, detect.ErrNoCgo) {
			t.Skip("SKIPPED: built without cgo, no decoder")
		}
		require.NoError(t, err)
		var want []byte
		for _, au := range units {
			f, err := own.Decode(au)
			require.NoError(t, err)
			require.NotNil(t, f)
			want = pixels(f.Image)
		}
		own.Close()
		for range 2 {
			require.NoError(t, pool.DecodeTo(t.Context(), units, func(f *detect.Frame) { require.Equal(t, want, pixels(f.Image)) }), name)
		}
	}
	require.Error(t, pool.DecodeTo(t.Context(), nil, nil))
}
