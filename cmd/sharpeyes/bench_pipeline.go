package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/detect/ffmpeg"
	"github.com/sharpeyes/sharpeyes/ingest"
	"github.com/sharpeyes/sharpeyes/ingest/replay"
	"github.com/sharpeyes/sharpeyes/ingest/rtsp"
)

// pipelineBench is one stream's row: CPU seconds for one minute of one camera.
type pipelineBench struct {
	Stream     string  `json:"stream"`
	Receive    float64 `json:"receive"`
	Decode     float64 `json:"decode"`
	Motion     float64 `json:"motion"`
	Detect     float64 `json:"detect"` // at DetectFPS looks a second
	DetectOnce float64 `json:"detect_once_seconds"`
	DetectFPS  float64 `json:"detect_fps"`
	Ours       float64 `json:"decode_and_motion"` // whole process: file, queue, decode, motion
	Yardstick  float64 `json:"ffmpeg"`            // whole process
	Ratio      float64 `json:"ratio"`             // Ours / Yardstick, run by run
}

const (
	receiveCameras = 32               // streams received at once, half of what a core carries of 1080p: one wake of the process serves several
	receiveFor     = 10 * time.Second // for how long
	detectLooks    = 20
	benchFPS       = 25 // of the clips that bench makes
)

// workerResult is what a worker process prints about itself.
type workerResult struct {
	CPU     float64            `json:"cpu"`   // seconds of this process, from the first unit to the last
	Media   float64            `json:"media"` // seconds of video that went through
	Stages  map[string]float64 `json:"stages,omitempty"`
	Looks   int                `json:"looks,omitempty"`
	Dropped uint64             `json:"dropped,omitempty"`
	Times   []float64          `json:"times,omitempty"` // seconds of each look
	Gate    *gateRun           `json:"gate,omitempty"`
}

func (b *benchRun) pipeline(ctx context.Context) ([]pipelineBench, error) {
	clips, err := b.clips(ctx)
	if err != nil {
		return nil, err
	}
	var out []pipelineBench
	for _, c := range clips {
		row, err := b.pipelineOne(ctx, c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		out = append(out, row)
	}
	return out, nil
}

// pipelineOne runs ours and the yardstick in turn, so that a machine whose speed
// drifts drifts for both.
func (b *benchRun) pipelineOne(ctx context.Context, c clip) (pipelineBench, error) {
	row := pipelineBench{Stream: c.name, DetectFPS: configs.Camera{}.Effective(configs.Stream{}).Settings.DetectFPS}
	var ours, yard, ratio, decode, motion []float64
	for i := range b.flags.runs {
		b.say("%s: decode and motion, run %d of %d", c.name, i+1, b.flags.runs)
		w, err := worker(ctx, "analyse", c.file)
		if err != nil {
			return row, err
		}
		y, err := yardstick(ctx, c.file)
		if err != nil {
			return row, err
		}
		minute := 60 / w.Media
		ours, yard, ratio = append(ours, w.CPU*minute), append(yard, y*minute), append(ratio, w.CPU/y)
		decode, motion = append(decode, w.Stages["decode"]*minute), append(motion, w.Stages["motion"]*minute)
	}
	row.Ours, row.Yardstick, row.Ratio = median(ours), median(yard), median(ratio)
	row.Decode, row.Motion = median(decode), median(motion)
	b.say("%s: detector", c.name)
	d, err := worker(ctx, "detect", c.file)
	if err != nil {
		return row, err
	}
	row.DetectOnce = d.CPU / float64(d.Looks)
	row.Detect = row.DetectOnce * row.DetectFPS * 60
	b.say("%s: receiving %d streams for %s", c.name, receiveCameras, receiveFor)
	row.Receive, err = receiveCost(ctx, c.file)
	return row, err
}

func median(v []float64) float64 {
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// yardstick returns the CPU seconds of ffmpeg decoding the file.
func yardstick(ctx context.Context, file string) (float64, error) {
	ended, err := ffmpegRun(ctx, "-threads", "1", "-i", file, "-f", "null", "-")
	if err != nil {
		return 0, err
	}
	return (ended.UserTime() + ended.SystemTime()).Seconds(), nil
}

// worker runs one measurement in a process of its own.
func worker(ctx context.Context, args ...string) (workerResult, error) {
	var r workerResult
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{"bench", "worker"}, args...)...)
	if args[0] != "gate" { // which is compared with a worker like itself
		// One thread of Go, as the yardstick has one thread: with two, what the
		// scheduler spins between file and analyser would be counted as theirs.
		cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("worker %v: %w", args, err)
	}
	return r, json.Unmarshal(out, &r)
}

func newBenchWorker() *cobra.Command {
	return &cobra.Command{
		Use: "worker KIND ARG...", Hidden: true, Args: cobra.MinimumNArgs(2),
		Short: "one measurement in a process of its own",
		RunE: func(cmd *cobra.Command, args []string) error {
			kinds := map[string]func(context.Context, []string) (workerResult, error){
				"analyse": workAnalyse, "detect": workDetect, "detect-time": workDetectTime, "receive": workReceive, "gate": workGate,
			}
			work, ok := kinds[args[0]]
			if !ok {
				return fmt.Errorf("no worker %q", args[0])
			}
			r, err := work(cmd.Context(), args[1:])
			if err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(r)
		},
	}
}

// cpuSeconds is what this process used so far.
func cpuSeconds() float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// paced feeds a queue no faster than the analyser takes from it, and dates each
// unit by its media clock, so that a file runs through in no time with the
// analyser's own rates.
type paced struct {
	q     *ingest.Queue
	turns chan struct{}
	start time.Time
	last  time.Duration
}

// Connected implements ingest.Sink.
func (p *paced) Connected(string) {}

// Lost implements ingest.Sink.
func (p *paced) Lost(uint64) {}

// Write implements ingest.Sink.
func (p *paced) Write(au ingest.AccessUnit) {
	p.turns <- struct{}{}
	p.last = au.PTS
	au.Received = p.start.Add(au.PTS)
	p.q.Push(au)
}

// countedDecoder gives a turn back for each unit it was fed.
type countedDecoder struct {
	detect.Decoder
	detect.Sparing
	turns chan struct{}
}

// Decode implements detect.Decoder.
func (d countedDecoder) Decode(au ingest.AccessUnit) (*detect.Frame, error) {
	<-d.turns
	return d.Decoder.Decode(au)
}

// workAnalyse runs a file through queue, decoder and motion.
func workAnalyse(ctx context.Context, args []string) (workerResult, error) {
	reg := prometheus.NewRegistry()
	cam := configs.Camera{ID: "bench", LegalBasis: "A9"}.Effective(configs.Stream{})
	p := &paced{q: ingest.NewQueue(64, 64<<20), turns: make(chan struct{}, 16), start: time.Now()}
	a, err := detect.NewAnalyser(detect.AnalyserOptions{
		Camera: cam, Emit: func(detect.Observation) {}, Metrics: detect.NewMetrics(reg), Log: slog.New(slog.DiscardHandler),
		NewDecoder: func(c ingest.Codec) (detect.Decoder, error) {
			d, err := ffmpeg.NewDecoder(c)
			if err != nil {
				return nil, err
			}
			return countedDecoder{d, d.(detect.Sparing), p.turns}, nil
		},
	})
	if err != nil {
		return workerResult{}, err
	}
	src, err := replay.New(args[0], replay.Options{Camera: "bench", FPS: benchFPS})
	if err != nil {
		return workerResult{}, err
	}
	before := cpuSeconds()
	var wg sync.WaitGroup
	wg.Go(func() { a.Run(ctx, p.q) })
	err = src.Run(ctx, p)
	p.q.Close()
	wg.Wait()
	if ingest.ReasonOf(err) != ingest.ReasonEnded {
		return workerResult{}, err
	}
	return workerResult{CPU: cpuSeconds() - before, Media: (p.last + time.Second/benchFPS).Seconds(), Stages: stageSeconds(reg)}, nil
}

// stageSeconds reads sharpeyes_stage_seconds_total.
func stageSeconds(reg *prometheus.Registry) map[string]float64 {
	out := map[string]float64{}
	families, err := reg.Gather()
	if err != nil {
		return out
	}
	for _, f := range families {
		if f.GetName() != "sharpeyes_stage_seconds_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			out[label(m, "stage")] += m.GetCounter().GetValue()
		}
	}
	return out
}

// looker asks the detector about some pictures of a file and then stops.
type looker struct {
	decoder  detect.Decoder
	detector detect.Detector
	cancel   context.CancelFunc
	looks, n int
	spent    float64
	err      error
}

// Connected implements ingest.Sink.
func (l *looker) Connected(string) {}

// Lost implements ingest.Sink.
func (l *looker) Lost(uint64) {}

// Write implements ingest.Sink.
func (l *looker) Write(au ingest.AccessUnit) {
	f, err := l.decoder.Decode(au)
	if l.n++; err != nil || f == nil || l.n%10 != 0 || l.err != nil || l.looks == detectLooks {
		return
	}
	before := cpuSeconds()
	if _, l.err = l.detector.Detect(f.Image, 0.15); l.err != nil {
		l.cancel()
		return
	}
	l.spent += cpuSeconds() - before
	if l.looks++; l.looks == detectLooks {
		l.cancel()
	}
}

// workDetect measures the object detector on pictures of a file.
func workDetect(ctx context.Context, args []string) (workerResult, error) {
	d, err := newDetector(ctx, configs.Detector{Threads: 1})
	if err != nil {
		return workerResult{}, err
	}
	defer d.Close()
	codec := ingest.H264
	if len(args[0]) > 4 && args[0][len(args[0])-4:] == "h265" {
		codec = ingest.H265
	}
	dec, err := ffmpeg.NewDecoder(codec)
	if err != nil {
		return workerResult{}, err
	}
	defer dec.Close()
	src, err := replay.New(args[0], replay.Options{Camera: "bench", FPS: benchFPS})
	if err != nil {
		return workerResult{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l := &looker{decoder: dec, detector: d, cancel: cancel}
	if err := src.Run(ctx, l); l.looks < detectLooks && l.err == nil {
		l.err = fmt.Errorf("the clip is too short: %d looks (%w)", l.looks, err)
	}
	return workerResult{CPU: l.spent, Looks: l.looks}, l.err
}

// receiveCost serves the file over RTSP and lets a worker receive it.
func receiveCost(ctx context.Context, file string) (float64, error) {
	srv, err := serve(map[string]string{"clip": file}, benchFPS)
	if err != nil {
		return 0, err
	}
	defer srv.Close()
	r, err := worker(ctx, "receive", srv.URL("clip"), strconv.Itoa(receiveCameras))
	if err != nil {
		return 0, err
	}
	if r.Dropped > 0 {
		return 0, fmt.Errorf("%d packets were lost on loopback: the machine is too busy to measure", r.Dropped)
	}
	return r.CPU / r.Media * 60, nil
}

// workReceive receives one address some times over and throws the units away.
func workReceive(ctx context.Context, args []string) (workerResult, error) {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return workerResult{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, receiveFor)
	defer cancel()
	sinks, buffers := make([]tally, n), &rtsp.Buffers{}
	before := cpuSeconds()
	var wg sync.WaitGroup
	for i := range sinks {
		cam := configs.Camera{ID: "bench-" + strconv.Itoa(i), Name: "bench", URL: args[0]}.Effective(configs.Stream{Transport: "tcp"})
		src, err := rtsp.New(cam, slog.New(slog.DiscardHandler), buffers)
		if err != nil {
			return workerResult{}, err
		}
		wg.Go(func() { _ = src.Run(ctx, &sinks[i]) }) // ends with ctx; what was received counts
	}
	wg.Wait()
	r := workerResult{CPU: cpuSeconds() - before}
	for i := range sinks {
		if sinks[i].units == 0 {
			return r, fmt.Errorf("stream %d gave nothing", i)
		}
		r.Media += float64(sinks[i].units) / benchFPS
		r.Dropped += sinks[i].lost
	}
	return r, nil
}

// tally is a Sink that counts.
type tally struct{ units, lost uint64 }

// Connected implements ingest.Sink.
func (*tally) Connected(string) {}

// Lost implements ingest.Sink.
func (t *tally) Lost(n uint64) { t.lost += n }

// Write implements ingest.Sink.
func (t *tally) Write(ingest.AccessUnit) { t.units++ }
