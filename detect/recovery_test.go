package detect_test

import (
	"crypto/sha256"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/detect/ffmpeg"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// recoveryClips are streams with one IDR picture, at their start: gradual refresh
// every 12 pictures, and open GOPs of 20 with B pictures.
func recoveryClips() []string {
	return []string{"testdata/headers/refresh.h264", "testdata/opengop.h264"}
}

// entries are the places behind the start at which decoding may begin.
func entries(all units) (at []int) {
	for i := range all[1:] {
		if all[i+1].Entry() {
			at = append(at, i+1)
		}
	}
	return at
}

// decodeFrom decodes units and returns the sums of the pictures that came out.
func decodeFrom(t *testing.T, d detect.Decoder, all units) (sums [][32]byte) {
	t.Helper()
	for i, au := range all {
		f, err := d.Decode(au)
		require.NoError(t, err, "unit %d", i)
		if f != nil {
			sums = append(sums, sha256.Sum256(pixels(f.Image)))
		}
	}
	return sums
}

func newDecoder(t *testing.T) detect.Decoder {
	t.Helper()
	d, err := ffmpeg.NewDecoder(ingest.H264)
	if errors.Is(err, detect.ErrNoCgo) {
		t.Skip("SKIPPED: built without cgo, no decoder")
	}
	require.NoError(t, err)
	t.Cleanup(d.Close)
	return d
}

// Decoding that begins at a recovery point shows exactly what decoding from the
// start shows there, and nothing before it is right; also when what was decoded
// before is of before a loss.
func TestDecodingBeginsAtARecoveryPoint(t *testing.T) {
	for _, path := range recoveryClips() {
		t.Run(filepath.Base(path), func(t *testing.T) {
			all := readClip(t, path, 25)
			want := decodeFrom(t, newDecoder(t), all)
			require.Len(t, entries(all), 3)
			for _, from := range entries(all) {
				late := decodeFrom(t, newDecoder(t), all[from:])
				require.GreaterOrEqual(t, len(late), len(all)-from-all[from].Recovery-3, "from unit %d", from)
				require.Equal(t, append([][32]byte(nil), want[len(want)-len(late):]...), late, "from unit %d", from)

				torn := newDecoder(t)
				decodeFrom(t, torn, all[:from-3])
				rest := append(units(nil), all[from:]...)
				rest[0].Lost = true
				require.Equal(t, late, decodeFrom(t, torn, rest), "after a loss, from unit %d", from)
			}
		})
	}
}

// A camera that sends one IDR picture when it starts, and refreshes gradually from
// then on, is watched when we come later, and again after a loss.
func TestGradualRefreshIsWatched(t *testing.T) {
	all := readClip(t, "testdata/refresh.h264", 25)
	require.Greater(t, len(entries(all)), 10)
	torn := append(append(units(nil), all[:130]...), all[133:]...)
	torn[130].Lost = true
	for name, in := range map[string]units{"late": all[60:], "torn": torn} {
		t.Run(name, func(t *testing.T) {
			r := analyseClip(t, in, configs.Camera{}, true)
			looked, lost := 0, 0
			for _, o := range r.observations {
				switch o.Skipped {
				case detect.SkipNone:
					looked++
				case detect.SkipLoss:
					lost++
				default:
					t.Errorf("skipped at %s: %s", o.At, o.Skipped)
				}
			}
			require.Greater(t, looked, len(in)*8/25*8/10, "of eight instants a second, all but two seconds")
			require.Positive(t, lost, "what cannot be seen is said")
			require.LessOrEqual(t, lost, 16)
			require.Greater(t, r.motion(8*time.Second), 10)
			r.checkDense(t)
		})
	}
}

// The picture of an open GOP's key unit comes out of that unit alone, as it does
// in the stream: such a camera can be gated.
func TestKeyPoolDecodesOpenGOPs(t *testing.T) {
	all := readClip(t, "testdata/opengop.h264", 25)
	want := decodeFrom(t, newDecoder(t), all)
	pool := detect.NewKeyPool(1, ffmpeg.NewDecoder)
	defer pool.Close() //nolint:errcheck // never fails
	for _, i := range entries(all) {
		require.NoError(t, pool.Decode(t.Context(), all[i], func(f *detect.Frame) { require.Contains(t, want, sha256.Sum256(pixels(f.Image))) }))
	}
}
