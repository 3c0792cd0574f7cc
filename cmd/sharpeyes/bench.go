package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// defaultFootage is the pedestrian clip of OpenCV's samples, where Debian's
// opencv-doc puts it.
const defaultFootage = "/usr/share/doc/opencv-doc/examples/data/vtest.avi"

// benchReport is what `bench --json` prints; times are CPU seconds for one
// minute of one camera unless the name says otherwise.
type benchReport struct {
	Machine  string          `json:"machine"`
	Version  string          `json:"version"`
	At       time.Time       `json:"at"`
	Pipeline []pipelineBench `json:"pipeline,omitempty"`
	Latency  *latencyBench   `json:"latency,omitempty"`
	Memory   *memoryBench    `json:"memory,omitempty"`
	Detect   []detectBench   `json:"detect,omitempty"`
	Node     []nodeBench     `json:"node,omitempty"`
}

// benchFlags are the flags of `bench`.
type benchFlags struct {
	footage string
	json    bool
	runs    int
	alerts  int
	nodeFlags
}

// nodeFlags are those of the part node alone.
type nodeFlags struct {
	quick   bool
	streams string
	clip    string
	plot    string
}

func newBench() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:       "bench [pipeline] [latency] [memory] [detect] [node]",
		Short:     "在本机测量：每路 CPU、告警时延、内存、检测耗时 / measure this machine: CPU per camera, alert latency, memory, detector",
		Long:      "Makes clips of real footage with ffmpeg, runs them through the real pipeline and prints a table, with ffmpeg's own decoding of the same clips as the yardstick of the same run. Without names, all parts but node run (about ten minutes). The part node finds by trying how many cameras one core of this machine carries (about ten minutes more; --quick: a rough figure in 90 s). Needs ffmpeg; the footage is OpenCV's pedestrian clip (Debian: opencv-doc).",
		ValidArgs: []string{"pipeline", "latency", "memory", "detect", "node"},
		Args:      cobra.OnlyValidArgs,
		RunE:      func(cmd *cobra.Command, args []string) error { return bench(cmd, args, f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.footage, "footage", defaultFootage, "a video that ffmpeg reads, 60 s or more, with people walking")
	fl.BoolVar(&f.json, "json", false, "print JSON")
	fl.IntVar(&f.runs, "runs", 3, "runs of each measurement; the median counts")
	fl.IntVar(&f.alerts, "alerts", 200, "alerts to time")
	fl.BoolVar(&f.quick, "quick", false, "node: one kind of camera, two activities, short measurements")
	fl.StringVar(&f.streams, "streams", "h264,sub,h265", "node: kinds of cameras")
	fl.StringVar(&f.clip, "clip", "", "node: instead, an H.264 or H.265 file with a key frame every 2 s at 25 pictures a second, as it is")
	fl.StringVar(&f.plot, "plot", "", "node, detect: write a plot to this SVG file")
	cmd.AddCommand(newBenchWorker(), newBenchGate(), newBenchNodeServe(), newBenchNodeRun())
	return cmd
}

func bench(cmd *cobra.Command, parts []string, f benchFlags) error {
	if len(parts) == 0 {
		parts = []string{"pipeline", "latency", "memory", "detect"}
	}
	if f.plot != "" && slices.Contains(parts, "node") == slices.Contains(parts, "detect") {
		return errors.New("--plot shows either detect or node: name one of them")
	}
	dir, err := os.MkdirTemp("", "sharpeyes-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &benchRun{dir: dir, flags: f, progress: cmd.ErrOrStderr()}
	r := benchReport{Machine: machine(), Version: version, At: time.Now().UTC().Truncate(time.Second)}
	for _, part := range parts {
		switch part {
		case "pipeline":
			r.Pipeline, err = b.pipeline(cmd.Context())
		case "latency":
			r.Latency, err = b.latency(cmd.Context())
		case "memory":
			r.Memory, err = b.memory(cmd.Context())
		case "detect":
			r.Detect, err = b.detect(cmd.Context())
		case "node":
			r.Node, err = b.node(cmd.Context())
		}
		if err != nil {
			return fmt.Errorf("bench %s: %w", part, err)
		}
	}
	if f.plot != "" {
		if err := plotFile(f.plot, r.draw); err != nil {
			return err
		}
	}
	if f.json {
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	r.print(cmd.OutOrStdout())
	return nil
}

// draw writes the plot of the part that has one.
func (r *benchReport) draw(w io.Writer) error {
	if len(r.Node) > 0 {
		drawNode(w, r)
		return nil
	}
	return drawDetect(w, r.Detect)
}

// benchRun is one run of the measurements: its folder, its flags, and where it
// tells how far it is.
type benchRun struct {
	dir      string
	flags    benchFlags
	progress io.Writer
}

func (b *benchRun) say(format string, args ...any) {
	fmt.Fprintf(b.progress, "… "+format+"\n", args...)
}

// machine names processor, cores and memory, as far as Linux tells.
func machine() string {
	model := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	var info unix.Sysinfo_t
	memory := "unknown memory"
	if unix.Sysinfo(&info) == nil {
		memory = fmt.Sprintf("%d GiB", (uint64(info.Totalram)*uint64(info.Unit)+1<<29)>>30)
	}
	return fmt.Sprintf("%s, %d cores, %s, %s", model, runtime.NumCPU(), memory, runtime.Version())
}

// clip is footage as a camera would send it.
type clip struct {
	name string
	file string
}

// benchCamera is a kind of camera that the benches imitate.
type benchCamera struct {
	name          string // in the flag --streams of bench node
	title         string
	width, height int
	ending        string // of its files
	codec         string // ffmpeg's arguments after -c:v
}

var benchCameras = []benchCamera{
	{"h264", "1080p25 H.264 4 Mbit/s", 1920, 1080, "h264", "libx264 -preset veryfast -tune zerolatency -b:v 4M -maxrate 4M -bufsize 4M"},
	{"h265", "1080p25 H.265 4 Mbit/s", 1920, 1080, "h265", "libx265 -preset superfast -b:v 4M -x265-params log-level=error:bframes=0:sao=1:scenecut=0:open-gop=0:keyint=50:min-keyint=50:vbv-maxrate=4000:vbv-bufsize=4000"},
	{"sub", "640x360 H.264 512 kbit/s", 640, 360, "h264", "libx264 -preset veryfast -tune zerolatency -b:v 512k -maxrate 512k -bufsize 512k"},
}

// encode returns ffmpeg's arguments that encode as the camera does, one key frame
// every nodeGOP, no B-frames and no scene cuts.
func (c benchCamera) encode(file string) []string {
	args := append([]string{"-r", "25", "-pix_fmt", "yuv420p", "-c:v"}, strings.Fields(c.codec)...)
	return append(args, "-bf", "0", "-g", "50", "-keyint_min", "50", "-sc_threshold", "0", file)
}

// clips makes the clips once a run, with ffmpeg. Each picture of the footage becomes
// one of 25 a second, so that no picture repeats the one before.
func (b *benchRun) clips(ctx context.Context) ([]clip, error) {
	var out []clip
	for _, c := range benchCameras {
		file := filepath.Join(b.dir, "clip-"+c.name+"."+c.ending)
		out = append(out, clip{c.title, file})
		if _, err := os.Stat(file); err == nil {
			continue
		}
		b.say("making the clip %s", c.title)
		args := []string{"-y", "-i", b.flags.footage, "-an",
			"-vf", fmt.Sprintf("crop=iw:iw*9/16,scale=%d:%d,setpts=N/25/TB", c.width, c.height)}
		if _, err := ffmpegRun(ctx, append(args, c.encode(file)...)...); err != nil {
			return nil, fmt.Errorf("%w (install ffmpeg and opencv-doc, or name another --footage)", err)
		}
	}
	return out, nil
}

// ffmpegRun runs ffmpeg and returns how it ended. What it says is in the error.
func ffmpegRun(ctx context.Context, args ...string) (*os.ProcessState, error) {
	cmd := exec.CommandContext(ctx, "ffmpeg", append([]string{"-v", "error"}, args...)...)
	if msg, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("ffmpeg: %w: %s", err, msg)
	}
	return cmd.ProcessState, nil
}

// print writes the report as Markdown, as the README shows it.
func (r *benchReport) print(w io.Writer) {
	fmt.Fprintf(w, "%s, sharpeyes %s, %s\n", r.Machine, r.Version, r.At.Format(time.DateOnly))
	if len(r.Pipeline) > 0 {
		fmt.Fprint(w, "\nCPU seconds for one minute of one camera:\n\n| stream | receive (RTSP/TCP) | decode | motion | detect, while something moves | decode + motion, whole process | `ffmpeg -threads 1 -f null` | ratio |\n|---|---|---|---|---|---|---|---|\n")
		for _, p := range r.Pipeline {
			fmt.Fprintf(w, "| %s | %.2f | %.2f | %.3f | %.1f | %.2f | %.2f | %.2f |\n", p.Stream, p.Receive, p.Decode, p.Motion, p.Detect, p.Ours, p.Yardstick, p.Ratio)
		}
		p := r.Pipeline[0]
		fmt.Fprintf(w, "\nDetect is %.0f ms of CPU for each look, at %.0f looks a second while something moves, bounded by the node's budget.\n", p.DetectOnce*1000, p.DetectFPS)
	}
	if l := r.Latency; l != nil {
		fmt.Fprintf(w, "\nFrame received → alert on the event stream, %d alerts, %d cameras: p50 %d ms, p95 %d ms, p99 %d ms, most %d ms; the machine was %.0f %% busy.\n", l.Alerts, l.Cameras, l.P50, l.P95, l.P99, l.Max, l.Busy*100)
	}
	if m := r.Memory; m != nil {
		fmt.Fprintf(w, "\nResident memory: %.0f MiB without cameras; %.1f MiB for each idle camera (%s, still scene), %.1f MiB for each analysed one (%s, people walking), %d cameras each.\n",
			m.Base, m.Idle, m.Stream, m.Analysed, m.Stream, m.Cameras)
	}
	printDetect(w, r.Detect)
	printNode(w, r.Node)
}
