//go:build cgo

package opencv

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/detect/ffmpeg"
	"github.com/sharpeyes/sharpeyes/ingest"
	"github.com/sharpeyes/sharpeyes/ingest/replay"
)

// seen is what the finder said of one decoded picture.
type seen struct {
	at     time.Duration
	motion detect.Motion
}

// watcher decodes each unit and looks at every third picture.
type watcher struct {
	t       *testing.T
	decoder detect.Decoder
	motion  *Motion
	n       int
	seen    []seen
}

func (w *watcher) Connected(string) {}

func (w *watcher) Lost(uint64) {}

func (w *watcher) Write(au ingest.AccessUnit) {
	f, err := w.decoder.Decode(au)
	require.NoError(w.t, err)
	if w.n++; w.n%3 == 0 && f != nil {
		w.seen = append(w.seen, seen{au.PTS, w.motion.Find(f.Luma)})
	}
}

// A dark block of 16x40 crosses an encoded, noisy scene of 320x180 from 10 s to
// 15 s, 60 pixels a second: that is the ground truth.
func TestMotionOnAClip(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("SKIPPED: no ffmpeg here to make the clip with")
	}
	path := filepath.Join(t.TempDir(), "clip.h264")
	out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "gradients=s=320x180:r=25:d=20:x0=10:y0=20:x1=300:y1=160:speed=0.00001:seed=3:c0=0x384858:c1=0xb8a890",
		"-vf", "null[b];color=c=black:s=16x40:r=25[p];[b][p]overlay=x='(t-10)*60':y=80:enable='between(t,10,15)':shortest=1,noise=alls=6:allf=t:all_seed=5",
		"-pix_fmt", "yuv420p", "-c:v", "libx264", "-threads", "1", "-preset", "veryfast", "-bf", "0", "-g", "50", "-b:v", "300k", "-maxrate", "300k", "-bufsize", "300k", "-f", "h264", path).CombinedOutput()
	require.NoError(t, err, string(out))
	d, err := ffmpeg.NewDecoder(ingest.H264)
	require.NoError(t, err)
	defer d.Close()
	w := &watcher{t: t, decoder: d, motion: newMotion(t, MotionOptions{})}
	src, err := replay.New(path, replay.Options{Camera: "clip", FPS: 25})
	require.NoError(t, err)
	require.Equal(t, ingest.ReasonEnded, ingest.ReasonOf(src.Run(t.Context(), w)))

	crossing, found := 0, 0
	for _, s := range w.seen {
		x := (s.at.Seconds() - 10) * 60
		switch {
		case s.at < 10*time.Second || s.at > 18*time.Second:
			require.False(t, s.motion.Active, "nothing moves at %s", s.at)
		case x >= 8 && x < 290:
			crossing++
			truth := detect.Box{X: x / 320, Y: 80. / 180, W: 16. / 320, H: 40. / 180}
			if s.motion.Active && s.motion.Boxes[0].Intersect(truth).Area() >= 0.8*truth.Area() {
				found++
			}
		}
	}
	require.Greater(t, crossing, 30)
	require.GreaterOrEqual(t, found, crossing*95/100, "of %d instants", crossing)
}
