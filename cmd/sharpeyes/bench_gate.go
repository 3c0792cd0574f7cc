package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// gateFlags are the flags of `bench gate`.
type gateFlags struct {
	clips string
	only  string
	quick bool
	json  bool
	plot  string
	runs  int
}

func newBenchGate() *cobra.Command {
	var f gateFlags
	cmd := &cobra.Command{
		Use:   "gate",
		Short: "门控解码：召回、时延、唤醒、CPU / gated decoding: recall, latency, wakes, CPU",
		Long: "Lets the gate and the yardstick, which decodes each picture and looks for motion in it with OpenCV's MOG2, analyse the same clips in the same run. " +
			"Without --clips it makes its own with ffmpeg: things that cross a still, noisy scene, quiet scenes, scenes in which something moves for 5 and for 10 % of the time, busy ones, and light and weather that are no motion. " +
			"A whole run takes about an hour, --quick three minutes.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runBenchGate(cmd, f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.clips, "clips", "", "folder with .h264 and .h265 files of 25 pictures a second, and SCENE.gt.csv (picture, pixels of 768x432 that things cover, and more) for the clips whose names begin with SCENE")
	fl.StringVar(&f.only, "only", "", "regular expression: only clips whose name in the table matches")
	fl.BoolVar(&f.quick, "quick", false, "fewer and shorter clips, one run of each")
	fl.BoolVar(&f.json, "json", false, "print JSON")
	fl.StringVar(&f.plot, "plot", "", "also write this SVG file: how many cameras the gate makes of one")
	fl.IntVar(&f.runs, "runs", 3, "runs of the clips whose CPU time counts, twice as many of busy ones; the least counts, since what else runs only adds")
	return cmd
}

// gateReport is what `bench gate --json` prints.
type gateReport struct {
	Machine string      `json:"machine"`
	Version string      `json:"version"`
	At      time.Time   `json:"at"`
	Luma    string      `json:"luma"` // size of the pictures in which all three look for motion
	Clips   []gateBench `json:"clips"`
}

// gateBench is one clip. Milliseconds are of CPU time for one second of video, of
// whole processes, after the lead. Rates are for an hour.
type gateBench struct {
	Clip     string  `json:"clip"`
	Kind     string  `json:"kind"`
	Codec    string  `json:"codec"`
	Seconds  float64 `json:"seconds"`  // that count
	GOP      float64 `json:"gop"`      // longest, seconds
	Kbit     float64 `json:"kbit_s"`   // of the clip
	Activity float64 `json:"activity"` // share of the time in which something is there, by the ground truth

	Events      int       `json:"events"`
	ByMOG2      int       `json:"found_by_mog2"`
	ByCells     int       `json:"found_by_cells"`
	ByGate      int       `json:"found_by_gate"`
	Later       []float64 `json:"later_s,omitempty"` // than MOG2 on each picture, of the events that both found
	LaterMedian float64   `json:"later_median_s"`
	LaterMost   float64   `json:"later_most_s"`
	FalseMOG2   float64   `json:"false_mog2"` // share of the seconds without a thing in which motion was claimed
	FalseGate   float64   `json:"false_gate"`

	Wakes       float64 `json:"wakes_h"` // without the one at the start
	Unconfirmed float64 `json:"unconfirmed_h"`
	Awake       float64 `json:"awake"` // share of the time in which each picture was decoded

	Receive float64 `json:"receive_ms"` // RTSP over TCP; 0 when it was not measured
	Gate    float64 `json:"gate_ms"`
	Decode  float64 `json:"decode_ms"`
	MOG2    float64 `json:"mog2_ms"`
	Cells   float64 `json:"cells_ms"`

	OfYardstick float64 `json:"of_yardstick"` // (receive + gate) / (decode + MOG2)
	OfDecode    float64 `json:"of_decode"`    // (receive + gate) / decode
	Busy        float64 `json:"gate_of_decode"`
	Times       float64 `json:"cameras_times"` // (receive + decode + MOG2) / (receive + gate)
}

func runBenchGate(cmd *cobra.Command, f gateFlags) error {
	if f.runs < 1 {
		return errors.New("--runs must be 1 or more")
	}
	if f.quick {
		f.runs = 1
	}
	dir, err := os.MkdirTemp("", "sharpeyes-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a folder for temporary files
	b := &benchRun{dir: dir, progress: cmd.ErrOrStderr()}
	r := gateReport{Machine: machine(), Version: version, At: time.Now().UTC().Truncate(time.Second)}
	if err := b.gate(cmd.Context(), f, &r); err != nil {
		return fmt.Errorf("bench gate: %w", err)
	}
	if len(r.Clips) == 0 {
		return fmt.Errorf("bench gate: --only %s: no clip has such a name; they are in the README's table", f.only)
	}
	if f.plot != "" {
		if err := plotFile(f.plot, r.draw); err != nil {
			return fmt.Errorf("bench gate: %w", err)
		}
	}
	if f.json {
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	return r.print(cmd.OutOrStdout())
}

// gateClip is a clip with what is known of it.
type gateClip struct {
	name, kind, file, truth string // truth: path of the table, "" when nothing happens
}

// gate measures all clips, one after the other, so that a full disk holds one of
// its own clips only.
func (b *benchRun) gate(ctx context.Context, f gateFlags, r *gateReport) error {
	only, err := regexp.Compile(f.only)
	if err != nil {
		return fmt.Errorf("--only: %w", err)
	}
	receive := map[string]float64{}
	one := func(c gateClip) error {
		runs := f.runs
		switch c.kind {
		case "recall", "nuisance":
			runs = 1 // what they are for does not change from run to run
		case "busy":
			runs *= 2 // small differences count
		}
		row, luma, err := b.gateOne(ctx, c, runs, receive)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		r.Luma = luma
		r.Clips = append(r.Clips, row)
		return nil
	}
	if f.clips != "" {
		clips, err := findClips(f.clips)
		if err != nil {
			return err
		}
		for _, c := range clips {
			if !only.MatchString(c.name) {
				continue
			}
			if err := one(c); err != nil {
				return err
			}
		}
		return nil
	}
	for i, s := range gateScenes(f.quick) {
		if !only.MatchString(s.name()) {
			continue
		}
		b.say("%s: making the clip", s.name())
		file, err := s.make(ctx, b.dir, i)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name(), err)
		}
		if err := one(gateClip{name: s.name(), kind: s.kind, file: file, truth: truthOf(file)}); err != nil {
			return err
		}
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	return nil
}

func truthOf(file string) string { return strings.TrimSuffix(file, filepath.Ext(file)) + ".gt.csv" }

// findClips returns the clips of a folder. A clip belongs to the longest scene
// that its name begins with; without one nothing happens in it.
func findClips(dir string) ([]gateClip, error) {
	truths, err := filepath.Glob(filepath.Join(dir, "*.gt.csv"))
	if err != nil {
		return nil, err
	}
	var out []gateClip
	for _, pattern := range []string{"*.h264", "*.h265"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
			c := gateClip{name: name, kind: "quiet", file: file}
			for _, t := range truths {
				if scene := strings.TrimSuffix(t, ".gt.csv"); strings.HasPrefix(file, scene) && len(t) > len(c.truth) {
					c.truth, c.kind = t, "recall"
				}
			}
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no .h264 or .h265 file in %s", dir)
	}
	return out, nil
}

// gateOne measures one clip: gate, plain decoding and yardstick in turn.
func (b *benchRun) gateOne(ctx context.Context, c gateClip, runs int, receive map[string]float64) (gateBench, string, error) {
	row := gateBench{Clip: c.name, Kind: c.kind, Codec: strings.TrimPrefix(filepath.Ext(c.file), ".")}
	var first, yard *gateRun
	var gate, plain, mog, cells []float64
	for i := range runs {
		b.say("%s: run %d of %d", c.name, i+1, runs)
		var got [3]*gateRun
		for k, way := range []string{"gate", "plain", "motion"} {
			w, err := worker(ctx, "gate", c.file, way)
			if err != nil {
				return row, "", err
			}
			got[k] = w.Gate
		}
		per := 1000 / got[0].Seconds
		gate, plain = append(gate, got[0].CPU*per), append(plain, got[1].CPU*per)
		mog, cells = append(mog, got[2].MOG2*per), append(cells, got[2].Cells*per)
		if i == 0 {
			first, yard = got[0], got[2]
		}
	}
	row.Gate, row.Decode, row.MOG2, row.Cells = slices.Min(gate), slices.Min(plain), slices.Min(mog), slices.Min(cells)
	row.Seconds, row.GOP = first.Seconds, first.GOP
	length := first.Seconds + leadOf(first.GOP)
	row.Kbit = float64(first.Bytes) * 8 / 1000 / length
	hour := 3600 / length
	for name, n := range first.Counts {
		if cause, is := strings.CutPrefix(name, "sharpeyes_gate_wakes_total "); is && cause != "start" {
			row.Wakes += n * hour
		}
	}
	row.Unconfirmed = first.Counts["sharpeyes_gate_unconfirmed_total"] * hour
	for _, state := range []string{"active", "catch_up", "full"} {
		row.Awake += first.Counts["sharpeyes_gate_state_seconds_total "+state] / length
	}
	if err := row.judge(c.truth, first, yard); err != nil {
		return row, "", err
	}
	row.Receive = b.gateReceive(ctx, c, row, receive)
	row.OfYardstick = (row.Receive + row.Gate) / (row.Decode + row.MOG2)
	row.OfDecode = (row.Receive + row.Gate) / row.Decode
	row.Busy = row.Gate / row.Decode
	row.Times = (row.Receive + row.Decode + row.MOG2) / (row.Receive + row.Gate)
	return row, yard.Luma, nil
}

// receiveRuns is how often receiving is measured; the least counts.
const receiveRuns = 3

// gateReceive measures what receiving a clip costs, for each codec and rate. A
// machine too busy to measure it leaves 0.
func (b *benchRun) gateReceive(ctx context.Context, c gateClip, row gateBench, known map[string]float64) float64 {
	key := fmt.Sprintf("%s %.0f", row.Codec, row.Kbit/400)
	if v, have := known[key]; have {
		return v
	}
	for i := range receiveRuns {
		b.say("%s: receiving %d streams for %s, run %d of %d", c.name, receiveCameras, receiveFor, i+1, receiveRuns)
		cost, err := receiveCost(ctx, c.file)
		if err != nil {
			b.say("%s: receiving was not measured: %v", c.name, err)
			continue
		}
		if v, have := known[key]; !have || cost/60*1000 < v {
			known[key] = cost / 60 * 1000
		}
	}
	return known[key]
}

// draw writes the plot.
func (r *gateReport) draw(w io.Writer) error {
	var rows []plotRow
	for _, c := range r.Clips {
		rows = append(rows, plotRow{Label: c.Clip, Value: c.Times, Note: fmt.Sprintf("%.1f × (%.0f %% awake)", c.Times, 100*c.Awake)})
	}
	return barPlot(w, "Cameras on the same core, gate against full decoding with MOG2", "times as many cameras", rows)
}

// print writes both tables.
func (r *gateReport) print(w io.Writer) error {
	fmt.Fprintf(w, "%s, sharpeyes %s, %s\n", r.Machine, r.Version, r.At.Format(time.DateOnly))
	fmt.Fprintf(w, "Yardstick: each picture decoded, and MOG2 (and cells) on each at %s, the size that the gate uses too.\n\n", r.Luma)
	events := [][]string{{"clip", "events", "MOG2", "cells", "gate", "later, median s", "most s", "false MOG2 %", "false gate %", "wakes/h", "unconfirmed/h"}}
	cpu := [][]string{{"clip", "active %", "awake %", "receive", "gate", "decode", "MOG2", "cells", "of yardstick %", "of decode %", "gate/decode", "cameras ×"}}
	for _, c := range r.Clips {
		later, most := "-", "-"
		if len(c.Later) > 0 {
			later, most = fmt.Sprintf("%.2f", c.LaterMedian), fmt.Sprintf("%.2f", c.LaterMost)
		}
		events = append(events, []string{c.Clip, fmt.Sprint(c.Events), fmt.Sprint(c.ByMOG2), fmt.Sprint(c.ByCells), fmt.Sprint(c.ByGate), later, most,
			fmt.Sprintf("%.1f", 100*c.FalseMOG2), fmt.Sprintf("%.1f", 100*c.FalseGate), fmt.Sprintf("%.0f", c.Wakes), fmt.Sprintf("%.0f", c.Unconfirmed)})
		cpu = append(cpu, []string{c.Clip, fmt.Sprintf("%.0f", 100*c.Activity), fmt.Sprintf("%.0f", 100*c.Awake), fmt.Sprintf("%.2f", c.Receive),
			fmt.Sprintf("%.2f", c.Gate), fmt.Sprintf("%.2f", c.Decode), fmt.Sprintf("%.2f", c.MOG2), fmt.Sprintf("%.2f", c.Cells),
			fmt.Sprintf("%.1f", 100*c.OfYardstick), fmt.Sprintf("%.1f", 100*c.OfDecode), fmt.Sprintf("%.2f", c.Busy), fmt.Sprintf("%.1f", c.Times)})
	}
	fmt.Fprintln(w, "Events that were scripted, and that each way found; later: when the gate knew, against MOG2; false: seconds without a thing in which motion was claimed:")
	fmt.Fprintln(w)
	alignedTable(w, events)
	fmt.Fprintf(w, "\nMilliseconds of CPU for one second of video. Of yardstick: (receive + gate) / (decode + MOG2); cameras ×: (receive + decode + MOG2) / (receive + gate):\n\n")
	alignedTable(w, cpu)
	return nil
}
