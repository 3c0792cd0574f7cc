package main

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/detect/ffmpeg"
	"github.com/sharpeyes/sharpeyes/detect/opencv"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// claim is an instant in which motion was claimed: when it was, and when that was
// known, seconds of the clip. A gate that catches up knows later.
type claim struct {
	At    float64 `json:"at"`
	Known float64 `json:"known"`
}

// gateRun is what one worker tells of one clip. CPU seconds are of the part of
// the clip after the lead.
type gateRun struct {
	CPU     float64            `json:"cpu"`
	MOG2    float64            `json:"mog2,omitempty"`
	Cells   float64            `json:"cells,omitempty"`
	Seconds float64            `json:"seconds"` // of the clip, after the lead
	Claims  []claim            `json:"claims,omitempty"`
	ByMOG2  []claim            `json:"by_mog2,omitempty"`
	ByCells []claim            `json:"by_cells,omitempty"`
	Counts  map[string]float64 `json:"counts,omitempty"` // metrics of the gate by name and label
	Luma    string             `json:"luma,omitempty"`   // size of the picture that motion is looked for in
	GOP     float64            `json:"gop,omitempty"`    // the longest, seconds
	Bytes   int                `json:"bytes,omitempty"`  // of the whole clip
}

// leadOf is how many seconds of a clip do not count: the gate learns, which with
// long GOPs takes its whole warm-up.
func leadOf(gop float64) float64 {
	if gop > 4 {
		return 40
	}
	return 10
}

// clipUnits are all units of a clip, received at their media time from start on.
type clipUnits struct {
	units []ingest.AccessUnit
	start time.Time
}

// readUnits loads a clip into memory, so that files cost nothing later.
func readUnits(ctx context.Context, path string) (*clipUnits, error) {
	all, err := collect(ctx, path)
	if err != nil {
		return nil, err
	}
	c := &clipUnits{units: all, start: time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)}
	for i := range all {
		all[i].Received = c.start.Add(all[i].PTS)
	}
	return c, nil
}

// gop returns the longest GOP in seconds, and how long the clip is.
func (c *clipUnits) gop() (longest, length float64) {
	last := 0
	for i, au := range c.units {
		if au.Key {
			longest, last = max(longest, float64(i-last)/benchFPS), i
		}
	}
	return max(longest, float64(len(c.units)-last)/benchFPS), float64(len(c.units)) / benchFPS
}

// workGate runs one of the three ways to analyse a clip: "gate", "plain" (decode
// each picture) or "motion" (decode each picture and look for motion in it, with
// MOG2 and with cells).
func workGate(ctx context.Context, args []string) (workerResult, error) {
	if len(args) != 2 {
		return workerResult{}, fmt.Errorf("want CLIP WAY, got %q", args)
	}
	clip, err := readUnits(ctx, args[0])
	if err != nil {
		return workerResult{}, err
	}
	longest, length := clip.gop()
	r := &gateRun{Seconds: length - leadOf(longest), GOP: longest}
	if r.Seconds < 5 {
		return workerResult{}, fmt.Errorf("the clip is too short: %.0f s, of which the first %.0f do not count", length, leadOf(longest))
	}
	for _, au := range clip.units {
		r.Bytes += au.Size()
	}
	from := clip.start.Add(time.Duration(leadOf(longest) * float64(time.Second)))
	// What loading left is swept away before anything is measured.
	runtime.GC()
	if args[1] == "gate" {
		err = r.gated(ctx, clip, from)
	} else {
		err = r.full(clip, from, args[1] == "motion")
	}
	return workerResult{Gate: r}, err
}

// gated lets the gate analyse the clip as it would a camera, without objects.
func (r *gateRun) gated(ctx context.Context, clip *clipUnits, from time.Time) error {
	reg := prometheus.NewRegistry()
	keys := detect.NewKeyPool(1, ffmpeg.NewDecoder)
	defer keys.Close() //nolint:errcheck // never fails
	before := -1.0
	active := false
	a, err := detect.NewAnalyser(detect.AnalyserOptions{
		Camera: configs.Camera{ID: "bench", LegalBasis: "A9"}.Effective(configs.Stream{}), NewDecoder: ffmpeg.NewDecoder, Keys: keys,
		Metrics: detect.NewMetrics(reg), Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return clip.start },
		Emit: func(o detect.Observation) {
			if before < 0 && !o.At.Before(from) {
				before = cpuSeconds()
			}
			if o.Motion.Active {
				at := o.At.Sub(clip.start).Seconds()
				known := at
				if !active { // the first of a row: the gate may be looking back
					known = (gateCounts(reg)["sharpeyes_gate_units_total received"] - 1) / benchFPS
				}
				r.Claims = append(r.Claims, claim{at, max(at, known)})
			}
			active = o.Motion.Active
		},
	})
	if err != nil {
		return err
	}
	q := ingest.NewQueue(len(clip.units)+1, r.Bytes+1)
	for _, au := range clip.units {
		q.Push(au)
	}
	var wg sync.WaitGroup
	wg.Go(func() { a.Run(ctx, q) })
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for q.Len() > 0 && ctx.Err() == nil {
		<-look.C
	}
	q.Close()
	wg.Wait()
	r.CPU = cpuSeconds() - before
	r.Counts = gateCounts(reg)
	return ctx.Err()
}

// gateCounts returns the gate's counters by name and the value of their label.
func gateCounts(reg *prometheus.Registry) map[string]float64 {
	out := map[string]float64{}
	families, err := reg.Gather()
	if err != nil {
		return out
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				if l.GetName() != "camera" {
					name += " " + l.GetValue()
				}
			}
			if v := m.GetCounter().GetValue(); v > 0 {
				out[name] = v
			}
		}
	}
	return out
}

// full decodes each picture, and looks for motion in each if motion is set. MOG2
// remembers 500 pictures then, as OpenCV's default is, since they come at 25 a
// second.
func (r *gateRun) full(clip *clipUnits, from time.Time, motion bool) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	mog, err := opencv.NewMotion(opencv.MotionOptions{History: 500})
	if err != nil {
		return err
	}
	defer mog.Close()
	cells := detect.NewCellMotion(configs.Motion{}, nil)
	dec, err := ffmpeg.NewDecoder(clip.units[0].Codec)
	if err != nil {
		return err
	}
	defer dec.Close()
	dec.(detect.Sparing).Decimate(motion)
	before := -1.0
	for _, au := range clip.units {
		counts := !au.Received.Before(from)
		if before < 0 && counts {
			before = cpuSeconds()
		}
		f, err := dec.Decode(au)
		if err != nil {
			return err
		}
		if !motion || f == nil {
			continue
		}
		r.Luma = fmt.Sprintf("%dx%d", f.Luma.Width, f.Luma.Height)
		at := au.Received.Sub(clip.start).Seconds()
		begun := threadSeconds()
		byMOG2 := mog.Find(f.Luma)
		between := threadSeconds()
		byCells := cells.Find(f.Luma)
		if counts {
			r.MOG2, r.Cells = r.MOG2+between-begun, r.Cells+threadSeconds()-between
		}
		if byMOG2.Active {
			r.ByMOG2 = append(r.ByMOG2, claim{at, at})
		}
		if byCells.Active {
			r.ByCells = append(r.ByCells, claim{at, at})
		}
	}
	r.CPU = cpuSeconds() - before
	return nil
}

// threadSeconds is what this thread used so far.
func threadSeconds() float64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano()).Seconds()
}
