package detect_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// scripted is when somebody is in the picture, by the ground truth of a clip.
type scripted struct{ from, to time.Duration }

// groundTruth reads the events of a clip, beside which lies SCENE_HEIGHT.gt.csv:
// frame, pixels covered by people, and more. Gaps of under four seconds do not
// divide an event; what begins in the first ten seconds is left out.
func groundTruth(t *testing.T, clip string) []scripted {
	t.Helper()
	stem := regexp.MustCompile(`^(.*_(?:360|1080))_h26`).FindStringSubmatch(filepath.Base(clip))
	require.NotNil(t, stem, clip)
	f, err := os.Open(filepath.Join(filepath.Dir(clip), stem[1]+".gt.csv"))
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(t, err)
	defer f.Close() //nolint:errcheck // read only
	rows, err := csv.NewReader(f).ReadAll()
	require.NoError(t, err)
	var out []scripted
	for i, row := range rows {
		pixels, err := strconv.Atoi(row[1])
		require.NoError(t, err)
		if pixels <= 150 {
			continue
		}
		at := time.Duration(i) * time.Second / 25
		if n := len(out); n > 0 && at-out[n-1].to <= 4*time.Second {
			out[n-1].to = at
		} else {
			out = append(out, scripted{at, at})
		}
	}
	return slices.DeleteFunc(out, func(e scripted) bool { return e.from < 10*time.Second })
}

// first is when the run first saw motion in the event, zero when it did not.
func (r run) first(e scripted) time.Duration {
	for _, o := range r.observations {
		if at := o.At.Sub(clipStart()); o.Motion.Active && at >= e.from && at <= e.to {
			return at
		}
	}
	return 0
}

// outside counts instants with motion when nobody is there, nor was lately.
func (r run) outside(events []scripted) (n int) {
	for _, o := range r.observations {
		at := o.At.Sub(clipStart())
		if o.Motion.Active && !slices.ContainsFunc(events, func(e scripted) bool { return at >= e.from-time.Second && at <= e.to+3*time.Second }) {
			n++
		}
	}
	return n
}

// promised is what a kind of stream must reach: median and most of the latency
// beyond that of decoding everything. At constant quality that is none, to within
// the eighth of a second between two instants, which begin anew on each wake.
func promised(name string, gop time.Duration) (median, most time.Duration) {
	switch most = gop + 500*time.Millisecond; {
	case strings.Contains(name, "_h265_cbr"):
		return 700 * time.Millisecond, most
	case strings.Contains(name, "_cbr"):
		return 300 * time.Millisecond, most
	}
	return time.Second / 8, most
}

// TestGateOnMeasuredClips is the larger test, with clips of exact ground truth
// that are too large to commit: SHARPEYES_GATE_CLIPS names their folder. Clips of
// a scene in which nobody moves begin with "static".
func TestGateOnMeasuredClips(t *testing.T) {
	dir := os.Getenv("SHARPEYES_GATE_CLIPS")
	if dir == "" {
		t.Skip("SKIPPED: SHARPEYES_GATE_CLIPS names no folder with measured clips")
	}
	clips, err := filepath.Glob(filepath.Join(dir, "*.h26?"))
	require.NoError(t, err)
	require.NotEmpty(t, clips)
	for _, path := range clips {
		t.Run(filepath.Base(path), func(t *testing.T) { measureClip(t, path) })
	}
}

func measureClip(t *testing.T, path string) {
	name := filepath.Base(path)
	all := readClip(t, path, 25)
	gated := analyseClip(t, all, watched(), true)
	gated.checkDense(t)
	hours := all[len(all)-1].PTS.Hours()
	m := gated.metrics
	events := groundTruth(t, path)
	if strings.HasPrefix(name, "static") {
		events = nil
	}
	t.Logf("%-44s %5.0f s; decoded %4.1f %%; wakes key %.0f score %.0f early %.0f, unconfirmed %.0f (%.0f/h); motion instants in quiet %d, confirmed %d, global %d; masked %.2f %%",
		name, hours*3600, 100*m["sharpeyes_camera_decoded_frames_total"]/float64(len(all)), m["sharpeyes_gate_wakes_total key"], m["sharpeyes_gate_wakes_total score"],
		m["sharpeyes_gate_wakes_total early_key"], m["sharpeyes_gate_unconfirmed_total"], m["sharpeyes_gate_unconfirmed_total"]/hours, gated.outside(events), gated.confirmed()*b2i(len(events) == 0), gated.global(), 100*m["sharpeyes_motion_masked_share"])
	if len(events) == 0 {
		require.Zero(t, gated.confirmed(), "nothing moves")
		return
	}
	full := analyseClip(t, all, watched(), false)
	var late []time.Duration
	found, seen := 0, 0
	for _, e := range events {
		f, g := full.first(e), gated.first(e)
		if g == 0 || f == 0 || g-f > time.Second {
			t.Logf("%-44s event %.1f to %.1f s: full decoding %.2f s, gate %.2f s", name, e.from.Seconds(), e.to.Seconds(), f.Seconds(), g.Seconds())
		}
		found, seen = found+b2i(f > 0), seen+b2i(g > 0)
		if f > 0 && g > 0 {
			late = append(late, max(0, g-f))
		}
	}
	slices.Sort(late)
	require.NotEmpty(t, late)
	median, most := promised(name, gop(all))
	t.Logf("%-44s recall %d of %d, full decoding %d; later than it by %s in the median, %s at most", name, seen, len(events), found, late[len(late)/2], late[len(late)-1])
	require.GreaterOrEqual(t, seen, found)
	require.LessOrEqual(t, late[len(late)/2], median)
	require.LessOrEqual(t, late[len(late)-1], most)
	checkRecall(t, full, gated, most)
}

// confirmed counts instants in which motion is confirmed as the gate does by
// default: in three of the latest five.
func (r run) confirmed() (n int) {
	var latest []bool
	for _, o := range r.observations {
		latest = append(latest, o.Motion.Active)
		moved := 0
		for _, m := range latest[max(0, len(latest)-5):] {
			moved += b2i(m)
		}
		n += b2i(moved >= 3)
	}
	return n
}

// global counts instants in which most of the picture changed.
func (r run) global() (n int) {
	for _, o := range r.observations {
		n += b2i(o.Motion.Global)
	}
	return n
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
