package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/detect/onnx"
)

// One measurement of the detector: so many pictures first that do not count, and
// so many that do.
const (
	detectWarmUp = 3
	detectTimed  = 20
)

// detectBench is what one picture of 1080p costs, scaling and suppression
// included, milliseconds.
type detectBench struct {
	Model   string  `json:"model"`
	Runtime string  `json:"runtime"`
	Threads int     `json:"threads"`
	Wall    float64 `json:"wall_ms"`      // median of all pictures of all runs
	Fastest float64 `json:"fastest_ms"`   // the least
	CPU     float64 `json:"cpu_ms"`       // mean of the run that used least, all threads
	Ratio   float64 `json:"times_faster"` // by wall time, against OpenCV with the same model and threads
}

// detect measures each built-in model in each runtime with one thread, two, and
// one for each core. Runs are interleaved, so that what else the machine does
// meets all alike.
func (b *benchRun) detect(ctx context.Context) ([]detectBench, error) {
	picture := filepath.Join(b.dir, "picture.jpg")
	_, err := ffmpegRun(ctx, "-y", "-ss", "20", "-i", b.flags.footage, "-frames:v", "1",
		"-vf", "crop=iw:iw*9/16,scale=1920:1080", "-pix_fmt", "yuvj420p", "-q:v", "2", picture)
	if err != nil {
		return nil, fmt.Errorf("%w (install ffmpeg and opencv-doc, or name another --footage)", err)
	}
	rows, err := detectRows()
	if err != nil {
		return nil, err
	}
	times := make([][]float64, len(rows))
	for run := range b.flags.runs {
		for i := range rows {
			row := &rows[i]
			b.say("run %d: %s, %s, %d threads", run+1, row.Model, row.Runtime, row.Threads)
			r, err := worker(ctx, "detect-time", picture, row.Model, row.Runtime, strconv.Itoa(row.Threads))
			if err != nil {
				return nil, err
			}
			times[i] = append(times[i], r.Times...)
			if cpu := r.CPU / float64(len(r.Times)) * 1000; run == 0 || cpu < row.CPU {
				row.CPU = cpu
			}
		}
	}
	for i := range rows {
		rows[i].Wall, rows[i].Fastest = median(times[i])*1000, slices.Min(times[i])*1000
	}
	compareRuntimes(rows)
	return rows, nil
}

// detectRows returns what is to be measured, without figures.
func detectRows() ([]detectBench, error) {
	runtimes := []string{configs.RuntimeOpenCV}
	switch _, err := onnx.Find(""); {
	case err == nil:
		runtimes = append(runtimes, configs.RuntimeONNXRuntime)
	case !errors.Is(err, onnx.ErrNotFound):
		return nil, err
	}
	threads := []int{1, 2, runtime.NumCPU()}
	slices.Sort(threads)
	threads = slices.Compact(threads)
	var rows []detectBench
	for _, m := range []string{configs.ModelBuiltIn, configs.ModelLight} {
		for _, n := range threads {
			for _, r := range runtimes {
				rows = append(rows, detectBench{Model: m, Runtime: r, Threads: n})
			}
		}
	}
	return rows, nil
}

// compareRuntimes fills Ratio.
func compareRuntimes(rows []detectBench) {
	for i := range rows {
		for _, o := range rows {
			if o.Runtime == configs.RuntimeOpenCV && o.Model == rows[i].Model && o.Threads == rows[i].Threads && rows[i].Wall > 0 {
				rows[i].Ratio = o.Wall / rows[i].Wall
			}
		}
	}
}

// workDetectTime times one model in one runtime on one picture.
func workDetectTime(ctx context.Context, args []string) (workerResult, error) {
	if len(args) != 4 {
		return workerResult{}, fmt.Errorf("want PICTURE MODEL RUNTIME THREADS, got %q", args)
	}
	threads, err := strconv.Atoi(args[3])
	if err != nil {
		return workerResult{}, err
	}
	img, err := readPicture(args[0])
	if err != nil {
		return workerResult{}, err
	}
	d, err := newDetector(ctx, configs.Detector{Model: args[1], Runtime: args[2], Threads: threads})
	if err != nil {
		return workerResult{}, err
	}
	defer d.Close()
	var r workerResult
	var before float64
	for i := range detectWarmUp + detectTimed {
		if i == detectWarmUp {
			before = cpuSeconds()
		}
		began := time.Now()
		if _, err := d.Detect(img, 0.15); err != nil {
			return workerResult{}, err
		}
		if i >= detectWarmUp {
			r.Times = append(r.Times, time.Since(began).Seconds())
		}
	}
	r.CPU = cpuSeconds() - before
	return r, nil
}

func readPicture(path string) (*image.YCbCr, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	img, err := jpeg.Decode(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	ycbcr, ok := img.(*image.YCbCr)
	if !ok {
		return nil, fmt.Errorf("%s is not a picture in colour", path)
	}
	return ycbcr, nil
}

// printDetect writes the table of bench detect.
func printDetect(w io.Writer, rows []detectBench) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprint(w, "\nMilliseconds for one picture of 1080p, scaling included:\n\n| model | runtime | threads | median | fastest | CPU | times OpenCV's speed |\n|---|---|---|---|---|---|---|\n")
	for _, d := range rows {
		fmt.Fprintf(w, "| %s | %s | %d | %.1f | %.1f | %.1f | %.2f |\n", d.Model, d.Runtime, d.Threads, d.Wall, d.Fastest, d.CPU, d.Ratio)
	}
}

// drawDetect writes the plot of bench detect.
func drawDetect(w io.Writer, rows []detectBench) error {
	var bars []plotRow
	for _, d := range rows {
		bars = append(bars, plotRow{Label: fmt.Sprintf("%s, %s, %d threads", d.Model, d.Runtime, d.Threads), Value: d.Wall, Note: fmt.Sprintf("%.1f ms (CPU %.1f ms)", d.Wall, d.CPU)})
	}
	return barPlot(w, "One picture of 1080p through the object detector, scaling included", "milliseconds, median", bars)
}
