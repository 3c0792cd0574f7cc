package detect_test

import (
	"errors"
	"fmt"
	"image"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/detect/alert"
	"github.com/sharpeyes/sharpeyes/detect/ffmpeg"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// run is what came of a clip.
type run struct {
	observations []detect.Observation
	opened       []alert.Alert
	metrics      map[string]float64
}

// clipStart is the receipt time of a clip's first unit.
func clipStart() time.Time { return time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC) }

// analyseClip runs units through analyser and rules, each received at its media
// time, gated or in full.
func analyseClip(t *testing.T, all units, cam configs.Camera, gated bool) run {
	t.Helper()
	if _, err := ffmpeg.NewDecoder(ingest.H264); errors.Is(err, detect.ErrNoCgo) {
		t.Skip("SKIPPED: built without cgo, no decoder")
	}
	cam.ID, cam.LegalBasis = "clip", "A9"
	cam = cam.Effective(configs.Stream{})
	engine, err := alert.NewEngine(cam, time.UTC)
	require.NoError(t, err)
	reg := prometheus.NewRegistry()
	var out run
	now := clipStart()
	last := time.Time{}
	opt := detect.AnalyserOptions{
		Camera: cam, NewDecoder: ffmpeg.NewDecoder, Metrics: detect.NewMetrics(reg), Now: func() time.Time { return now },
		Emit: func(o detect.Observation) {
			require.False(t, o.At.Before(last), "time does not run backwards: %s after %s", o.At, last)
			last = o.At
			for _, a := range engine.Observe(o) {
				if a.Phase == alert.Opened {
					out.opened = append(out.opened, a)
				}
			}
			o.Picture = nil
			out.observations = append(out.observations, o)
		},
	}
	if gated {
		pool := detect.NewKeyPool(1, ffmpeg.NewDecoder)
		defer pool.Close() //nolint:errcheck // never fails
		opt.Keys = pool
	}
	a, err := detect.NewAnalyser(opt)
	require.NoError(t, err)
	q := ingest.NewQueue(len(all)+1, 1<<30)
	for _, au := range all {
		au.Received = clipStart().Add(au.PTS)
		q.Push(au)
	}
	now = clipStart() // the analyser is never late
	done := make(chan struct{})
	go func() { defer close(done); a.Run(t.Context(), q) }()
	require.Eventually(t, func() bool { return q.Len() == 0 }, 3*time.Minute, 5*time.Millisecond)
	q.Close()
	<-done
	out.metrics = gathered(t, reg)
	return out
}

// gathered returns counters and gauges by name and the value of their second
// label.
func gathered(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				if l.GetName() != "camera" {
					name += " " + l.GetValue()
				}
			}
			out[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return out
}

func (r run) motion(from time.Duration) (n int) {
	for _, o := range r.observations {
		if o.Motion.Active && o.At.Sub(clipStart()) >= from {
			n++
		}
	}
	return n
}

// checkDense holds the promise that rules can close: an observation each second.
func (r run) checkDense(t *testing.T) {
	t.Helper()
	for i := 1; i < len(r.observations); i++ {
		require.LessOrEqual(t, r.observations[i].At.Sub(r.observations[i-1].At), time.Second)
	}
}

func gop(all units) (longest time.Duration) {
	last := time.Duration(0)
	for _, au := range all {
		if au.Key {
			longest, last = max(longest, au.PTS-last), au.PTS
		}
	}
	return longest
}

// watched is a camera whose rules are met by motion in each quarter of the
// picture.
func watched() configs.Camera {
	cam := configs.Camera{}
	for i := range 4 {
		x, y := 0.5*float64(i%2), 0.5*float64(i/2)
		id := fmt.Sprintf("q%d", i)
		cam.Zones = append(cam.Zones, configs.Zone{ID: id, Points: []configs.Point{{x, y}, {x + 0.5, y}, {x + 0.5, y + 0.5}, {x, y + 0.5}}})
		cam.Rules = append(cam.Rules, configs.Rule{ID: id, Kind: "motion_in_schedule", Zones: []string{id}, CloseAfter: configs.Duration(3 * time.Second)})
	}
	return cam
}

// checkRecall: each alert that opens with full decoding opens with the gate too,
// at most a GOP and half a second later, or is open already.
func checkRecall(t *testing.T, full, gated run, within time.Duration) {
	t.Helper()
	for _, f := range full.opened {
		found, near := false, time.Hour
		for _, g := range gated.opened {
			if g.Rule != f.Rule {
				continue
			}
			d := g.Start.Sub(f.Start)
			near = min(near, d.Abs())
			found = found || d.Abs() <= within
		}
		require.True(t, found, "%s at %s is missing; the nearest is %s away", f.Rule, f.Start.Sub(clipStart()), near)
	}
}

func TestGateFindsWhatFullDecodingFinds(t *testing.T) {
	for _, name := range []string{"lawn.h264", "yard.h264", "road.h265"} {
		t.Run(name, func(t *testing.T) {
			all := readClip(t, "../configs/clips/"+name, 10)
			full, gated := analyseClip(t, all, watched(), false), analyseClip(t, all, watched(), true)
			require.NotEmpty(t, full.opened)
			t.Logf("alerts %d full, %d gated; decoded %.0f of %.0f units; wakes: key %.0f score %.0f, unconfirmed %.0f; active %.0f s, idle %.0f s",
				len(full.opened), len(gated.opened), gated.metrics["sharpeyes_camera_decoded_frames_total"], gated.metrics["sharpeyes_gate_units_total received"],
				gated.metrics["sharpeyes_gate_wakes_total key"], gated.metrics["sharpeyes_gate_wakes_total score"], gated.metrics["sharpeyes_gate_unconfirmed_total"],
				gated.metrics["sharpeyes_gate_state_seconds_total active"], gated.metrics["sharpeyes_gate_state_seconds_total idle"])
			checkRecall(t, full, gated, gop(all)+500*time.Millisecond)
			gated.checkDense(t)
		})
	}
}

// encode makes a clip with ffmpeg: a still picture with sensor noise of its own in
// each frame, and what filter draws on it. It is the same each time: of colours
// that are not given ffmpeg takes any.
func encode(t *testing.T, codec string, seconds int, filter string, args ...string) units {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("SKIPPED: no ffmpeg here to make the clip with")
	}
	ext := map[string]string{"libx264": "h264", "libx265": "hevc"}[codec]
	path := filepath.Join(t.TempDir(), "clip."+ext)
	if filter != "" {
		filter += ","
	}
	cmd := []string{"-v", "error", "-f", "lavfi", "-i", fmt.Sprintf("gradients=s=320x180:r=25:d=%d:x0=10:y0=20:x1=300:y1=160:speed=0.00001:seed=3:c0=0x384858:c1=0xb8a890", seconds+4)}
	cmd = append(cmd, "-vf", filter+"noise=alls=6:allf=t:all_seed=5", "-pix_fmt", "yuv420p", "-c:v", codec, "-threads", "1")
	cmd = append(append(cmd, args...), "-f", ext, path)
	out, err := exec.Command("ffmpeg", cmd...).CombinedOutput()
	require.NoError(t, err, string(out))
	return readClip(t, path, 25)[:seconds*25] // an encoder that looks ahead ends otherwise than it goes on
}

// streams are ways to encode the same scene, GOP of 2 s.
func streams() map[string][]string {
	x264 := []string{"-preset", "veryfast", "-g", "50", "-keyint_min", "50", "-sc_threshold", "0"}
	plain := append([]string{"-bf", "0"}, x264...)
	return map[string][]string{
		"vbr":      append([]string{"-crf", "28"}, plain...),
		"cbr":      append([]string{"-b:v", "200k", "-maxrate", "200k", "-bufsize", "200k"}, plain...),
		"b-frames": append([]string{"-crf", "28", "-bf", "2", "-b_strategy", "0"}, x264...),
		"slices":   append([]string{"-crf", "28", "-slices", "4"}, plain...),
	}
}

func TestGateSleepsInAQuietScene(t *testing.T) {
	for name, args := range streams() {
		t.Run(name, func(t *testing.T) {
			all := encode(t, "libx264", 60, "", args...)
			r := analyseClip(t, all, watched(), true)
			t.Logf("decoded %.0f of %d, wakes by score %.0f by key %.0f, unconfirmed %.0f", r.metrics["sharpeyes_camera_decoded_frames_total"], len(all),
				r.metrics["sharpeyes_gate_wakes_total score"], r.metrics["sharpeyes_gate_wakes_total key"], r.metrics["sharpeyes_gate_unconfirmed_total"])
			require.Zero(t, r.motion(0), "nothing moves")
			require.Empty(t, r.opened)
			require.Equal(t, 1.0, r.metrics["sharpeyes_gate_state idle"], "idle at the end")
			require.LessOrEqual(t, r.metrics["sharpeyes_gate_unconfirmed_total"], 1.0)
			require.Less(t, r.metrics["sharpeyes_camera_decoded_frames_total"], 0.2*float64(len(all)), "4 s at the start, key frames, little else")
			require.Positive(t, r.metrics["sharpeyes_gate_units_total key"])
			r.checkDense(t)
		})
	}
}

// crossing is a block that crosses the picture from 40 s on.
const crossing = "drawbox=x=0:y=0:w=1:h=1:t=fill:color=gray[b];color=c=black:s=16x40:r=25[p];[b][p]overlay=x='(t-40)*60':y=80:enable='between(t,40,45)':shortest=1"

func TestGateWakesWhenSomethingMoves(t *testing.T) {
	for name, args := range streams() {
		t.Run(name, func(t *testing.T) {
			all := encode(t, "libx264", 50, crossing, args...)
			full, gated := analyseClip(t, all, watched(), false), analyseClip(t, all, watched(), true)
			require.NotEmpty(t, full.opened)
			checkRecall(t, full, gated, 2500*time.Millisecond)
			require.Positive(t, gated.metrics["sharpeyes_gate_wakes_total score"]+gated.metrics["sharpeyes_gate_wakes_total key"])
			require.Equal(t, 1.0, gated.metrics["sharpeyes_gate_state idle"], "and sleeps again")
			t.Logf("full %v, gated %v after the clip's start; by score %.0f, by key %.0f", full.opened[0].Start.Sub(clipStart()), gated.opened[0].Start.Sub(clipStart()),
				gated.metrics["sharpeyes_gate_wakes_total score"], gated.metrics["sharpeyes_gate_wakes_total key"])
		})
	}
}

// A stream without key frames has no place to start from: it is decoded in full,
// and said to be.
func TestGateDecodesGradualRefreshInFull(t *testing.T) {
	all := encode(t, "libx264", 20, "", "-preset", "veryfast", "-bf", "0", "-g", "50", "-crf", "28", "-sc_threshold", "0", "-intra-refresh", "1")
	r := analyseClip(t, all, watched(), true)
	require.Equal(t, 1.0, r.metrics["sharpeyes_gate_state full"])
	require.Equal(t, 1.0, r.metrics["sharpeyes_gate_wakes_total fallback"])
	require.Greater(t, r.metrics["sharpeyes_camera_decoded_frames_total"], 0.98*float64(len(all)), "nothing is left out")
	small := watched()
	small.Settings.Gate.RingBytes = 200 << 10
	r = analyseClip(t, all, small, true)
	require.Equal(t, 1.0, r.metrics["sharpeyes_gate_state full"], "nor when the ring is too small for it")
	require.Greater(t, r.metrics["sharpeyes_camera_decoded_frames_total"], 0.98*float64(len(all)))
}

// One decoder of the pool serves cameras of different sizes, and its pictures are
// those of a decoder of their own, bit by bit.
func TestKeyPoolIsExact(t *testing.T) {
	pool := detect.NewKeyPool(1, ffmpeg.NewDecoder)
	var keys []ingest.AccessUnit
	for _, path := range append(headerClips(t), "../configs/clips/lawn.h264", "../configs/clips/yard.h264", "../configs/clips/road.h265") {
		for _, au := range readClip(t, path, 25)[:min(60, len(readClip(t, path, 25)))] {
			if au.Key {
				keys = append(keys, au)
			}
		}
	}
	for i := range 2 * len(keys) {
		au := keys[i*7%len(keys)]
		own, err := ffmpeg.NewDecoder(au.Codec)
		if errors.Is(err, detect.ErrNoCgo) {
			t.Skip("SKIPPED: built without cgo, no decoder")
		}
		require.NoError(t, err)
		f, err := own.Decode(au)
		require.NoError(t, err)
		if f == nil {
			f, err = own.Drain()
			require.NoError(t, err)
		}
		require.NotNil(t, f)
		require.NoError(t, pool.Decode(t.Context(), au, func(g *detect.Frame) {
			require.Equal(t, pixels(f.Image), pixels(g.Image))
			require.Equal(t, f.Luma, g.Luma)
		}))
		own.Close()
	}
	require.NoError(t, pool.Close())
	require.ErrorIs(t, pool.Decode(t.Context(), keys[0], nil), detect.ErrKeyPoolClosed)
}

func pixels(m *image.YCbCr) []byte {
	var out []byte
	for y := range m.Rect.Dy() {
		out = append(out, m.Y[y*m.YStride:][:m.Rect.Dx()]...)
	}
	for y := range (m.Rect.Dy() + 1) / 2 {
		out = append(out, m.Cb[y*m.CStride:][:(m.Rect.Dx()+1)/2]...)
		out = append(out, m.Cr[y*m.CStride:][:(m.Rect.Dx()+1)/2]...)
	}
	return out
}

// clock is a digit that changes each second and one that changes each ten, as
// cameras write them into the picture; half a second off the GOP.
const clock = "null[b];color=c=white:s=6x6:r=25,split[d][e];[b][d]overlay=x=60:y='10+4*mod(floor(t*1.003+0.4),4)':eval=frame:shortest=1[c];[c][e]overlay=x=48:y='10+4*mod(floor((t*1.003+0.4)/10),4)':eval=frame:shortest=1"

// What changes without anybody's moving is not confirmed as motion, and the gate
// sleeps again.
func TestGateIsNotFooled(t *testing.T) {
	for _, c := range []struct {
		name, filter string
		check        func(t *testing.T, r run)
	}{
		{"clock", clock, func(t *testing.T, r run) {
			require.Positive(t, r.metrics["sharpeyes_motion_masked_share"])
			require.LessOrEqual(t, r.metrics["sharpeyes_motion_masked_share"], 0.03)
		}},
		{"infrared switch", "hue=s=0:enable='between(t,40.6,60)',vignette=angle=PI/2.5:enable='between(t,40.6,60)'", func(t *testing.T, r run) {
			require.Equal(t, 2, r.global(), "there and back")
		}},
		{"flicker", "eq=brightness='0.02*sin(2*PI*t*9.25)':eval=frame", nil},
		{"cloud", "eq=contrast='1+0.15*sin(2*PI*t/20)':eval=frame", nil},
	} {
		rates := []string{"vbr", "cbr"}
		if c.check == nil {
			rates = rates[:1] // where size alone speaks
		}
		for _, rate := range rates {
			t.Run(c.name+" "+rate, func(t *testing.T) {
				r := analyseClip(t, encode(t, "libx264", 75, c.filter, streams()[rate]...), watched(), true)
				t.Logf("instants with motion %d, wakes by score %.0f by key %.0f, unconfirmed %.0f, masked %.4f", r.motion(0), r.metrics["sharpeyes_gate_wakes_total score"],
					r.metrics["sharpeyes_gate_wakes_total key"], r.metrics["sharpeyes_gate_unconfirmed_total"], r.metrics["sharpeyes_motion_masked_share"])
				require.Zero(t, r.confirmed())
				require.LessOrEqual(t, r.metrics["sharpeyes_gate_unconfirmed_total"], 8.0)
				require.Equal(t, 1.0, r.metrics["sharpeyes_gate_state idle"], "idle at the end")
				if c.check != nil {
					c.check(t, r)
				}
			})
		}
	}
}

// A clock in the picture does not hide who walks through it.
func TestGateFindsWhoWalksBehindAClock(t *testing.T) {
	all := encode(t, "libx264", 50, strings.Replace(crossing, "drawbox", clock+"[k];[k]drawbox", 1), streams()["vbr"]...)
	full, gated := analyseClip(t, all, watched(), false), analyseClip(t, all, watched(), true)
	early := func(a alert.Alert) bool { return a.Start.Sub(clipStart()) < 38*time.Second }
	require.False(t, slices.ContainsFunc(gated.opened, early), "nobody came before 40 s")
	full.opened = slices.DeleteFunc(full.opened, early) // full decoding is not what is tested
	require.NotEmpty(t, full.opened)
	require.Positive(t, gated.metrics["sharpeyes_motion_masked_share"])
	checkRecall(t, full, gated, 2500*time.Millisecond)
}
