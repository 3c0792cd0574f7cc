package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/spf13/cobra"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/detect/alert"
	"github.com/sharpeyes/sharpeyes/detect/ffmpeg"
	"github.com/sharpeyes/sharpeyes/ingest"
	"github.com/sharpeyes/sharpeyes/ingest/rtsp"
)

// runOrder asks for a measurement with so many cameras.
type runOrder struct {
	Cameras int           `json:"cameras"`
	Settle  time.Duration `json:"settle"` // before the measurement
	Measure time.Duration `json:"measure"`
}

// nodeSample is what one measurement showed.
type nodeSample struct {
	Began    time.Time          `json:"began"`
	Cameras  int                `json:"cameras"`
	CPU      float64            `json:"cpu"`      // of one core, 0..1
	LateP95  float64            `json:"late_p95"` // seconds from the receipt of a picture to its observation
	Keys     int                `json:"keys"`     // key frames that should have been looked at
	Missed   int                `json:"missed"`   // and were not
	Unseen   float64            `json:"unseen"`   // seconds, the longest that a camera was without a look
	Resident float64            `json:"resident"` // MiB
	Active   float64            `json:"active"`   // share of the camera time in which everything was decoded
	Degraded float64            `json:"degraded"` // share of the camera time that the wall calls degraded: no room for that, or key frames passed over
	Wakes    map[string]float64 `json:"wakes"`    // by cause
	Queued   int                `json:"queued"`   // most access units that waited for one analyser
	Dropped  float64            `json:"dropped"`  // access units that the queues dropped
	Lost     float64            `json:"lost"`     // packets that did not arrive
	Alerts   []nodeAlert        `json:"alerts"`   // in the time of the measurement
}

// nodeAlert is an alert that was opened.
type nodeAlert struct {
	Camera string    `json:"camera"`
	Frame  time.Time `json:"frame"` // receipt of the picture that made it
	At     time.Time `json:"at"`
}

func newBenchNodeRun() *cobra.Command {
	var profile string
	cmd := &cobra.Command{
		Use: "node-run ADDRESS", Hidden: true, Args: cobra.ExactArgs(1),
		Short: "the node of bench node, in a process of its own",
		RunE: func(cmd *cobra.Command, args []string) error {
			if profile != "" {
				f, err := os.Create(profile)
				if err != nil {
					return err
				}
				defer f.Close()
				if err := pprof.StartCPUProfile(f); err != nil {
					return err
				}
				defer pprof.StopCPUProfile()
			}
			spareMemory()
			r := newNodeRun(args[0])
			defer r.close()
			in, out := json.NewDecoder(cmd.InOrStdin()), json.NewEncoder(cmd.OutOrStdout())
			for {
				var o runOrder
				if err := in.Decode(&o); err != nil {
					return endOfOrders(err)
				}
				s, err := r.measure(cmd.Context(), o)
				if err != nil {
					return err
				}
				if err := out.Encode(s); err != nil {
					return err
				}
			}
		},
	}
	cmd.Flags().StringVar(&profile, "profile", "", "write a CPU profile")
	return cmd
}

// nodeRun is an edge without detector, center and disk: receipt, gate, decoding,
// motion and rules.
type nodeRun struct {
	base  string
	reg   *prometheus.Registry
	fleet *ingest.Fleet
	keys  *detect.KeyPool
	share *detect.Budget
	out   *detect.Metrics

	mu     sync.Mutex
	on     bool // a measurement runs
	late   []time.Duration
	missed int
	unseen time.Duration
	alerts []nodeAlert
}

func newNodeRun(base string) *nodeRun {
	reg := prometheus.NewRegistry()
	r := &nodeRun{base: strings.TrimSuffix(base, "/"), reg: reg, keys: detect.NewKeyPool(0, ffmpeg.NewDecoder), out: detect.NewMetrics(reg)}
	r.share = detect.NewBudget(configs.Budget{}, runtime.GOMAXPROCS(0), reg)
	buffers := &rtsp.Buffers{}
	r.fleet = ingest.NewFleet(ingest.FleetOptions{
		Open: func(c configs.Camera) (ingest.Source, error) {
			return rtsp.New(c, slog.New(slog.DiscardHandler), buffers)
		},
		Consume: r.analyse, Registerer: reg,
	})
	return r
}

func (r *nodeRun) close() {
	r.fleet.Close()
	_ = r.keys.Close() // never fails
}

// camera is a camera whose whole picture is watched at any time.
func (r *nodeRun) camera(i int) configs.Camera {
	id := nodeCamera(i)
	return configs.Camera{
		ID: id, Name: id, URL: r.base + "/" + id, LegalBasis: "A9", Uplink: id,
		Rules: []configs.Rule{{ID: "moves", Kind: "motion_in_schedule", CloseAfter: configs.Duration(3 * time.Second)}},
	}.Effective(configs.Stream{Transport: "tcp"})
}

func (r *nodeRun) analyse(ctx context.Context, cam configs.Camera, q *ingest.Queue) {
	rules, err := alert.NewEngine(cam, time.UTC)
	if err != nil {
		return // the configuration is made here
	}
	w := &nodeWatch{run: r, rules: rules, queue: q}
	a, err := detect.NewAnalyser(detect.AnalyserOptions{
		Camera: cam, NewDecoder: ffmpeg.NewDecoder, Keys: r.keys, Budget: r.share, Emit: w.observe, Metrics: r.out,
		Picture: func(v ingest.Value, why ingest.Reason) { r.fleet.SetPicture(ingest.CameraID(cam.ID), v, why) },
	})
	if err != nil {
		return // as above
	}
	a.Run(ctx, q)
}

// nodeWatch takes the observations of one camera.
type nodeWatch struct {
	run    *nodeRun
	rules  *alert.Engine
	queue  *ingest.Queue
	looked time.Time // last picture that was looked at
}

func (w *nodeWatch) observe(o detect.Observation) {
	alerts := w.rules.Observe(o)
	now := time.Now()
	r := w.run
	r.mu.Lock()
	defer r.mu.Unlock()
	if o.Picture != nil {
		if gap := o.At.Sub(w.looked); r.on && !w.looked.IsZero() {
			// One look in a group of pictures is due; two thirds of a group may
			// be lost to chance.
			due := gap.Seconds() / nodeGOP.Seconds()
			r.missed += int(due - 2./3)
			r.unseen = max(r.unseen, gap)
		}
		w.looked = o.At
	}
	if !r.on {
		return
	}
	if o.Skipped == detect.SkipNone {
		r.late = append(r.late, now.Sub(o.At))
	}
	for _, a := range alerts {
		if a.Phase == alert.Opened {
			r.alerts = append(r.alerts, nodeAlert{string(a.Camera), a.Received, now})
		}
	}
}

// measure brings up the cameras, waits and measures.
func (r *nodeRun) measure(ctx context.Context, o runOrder) (nodeSample, error) {
	cams := make([]configs.Camera, o.Cameras)
	for i := range cams {
		cams[i] = r.camera(i)
	}
	r.fleet.Apply(cams)
	if err := sleepUntil(ctx, time.Now().Add(o.Settle)); err != nil {
		return nodeSample{}, err
	}
	before, err := r.counters()
	if err != nil {
		return nodeSample{}, err
	}
	r.mu.Lock()
	r.on, r.late, r.alerts, r.missed, r.unseen = true, r.late[:0], nil, 0, 0
	r.mu.Unlock()
	cpu, start, queued := cpuSeconds(), time.Now(), 0
	for time.Since(start) < o.Measure {
		if err := sleepUntil(ctx, time.Now().Add(2*time.Second)); err != nil {
			return nodeSample{}, err
		}
		c, err := r.counters()
		if err != nil {
			return nodeSample{}, err
		}
		queued = max(queued, int(c["queue_depth"]))
	}
	wall := time.Since(start).Seconds()
	s := nodeSample{Began: start, Cameras: o.Cameras, CPU: (cpuSeconds() - cpu) / wall, Queued: queued}
	after, err := r.counters()
	if err != nil {
		return s, err
	}
	if s.Resident, err = residentOf(os.Getpid()); err != nil {
		return s, err
	}
	share := func(names ...string) (v float64) {
		for _, name := range names {
			v += after[name] - before[name]
		}
		return v / wall / float64(o.Cameras)
	}
	s.Active = share("state active", "state catch_up", "state full")
	s.Degraded = share("level degraded")
	s.Dropped, s.Lost = after["dropped"]-before["dropped"], after["lost"]-before["lost"]
	s.Wakes = map[string]float64{}
	for _, c := range detect.WakeCauses() {
		if n := after["wakes "+string(c)] - before["wakes "+string(c)]; n > 0 {
			s.Wakes[string(c)] = n
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on = false
	s.Keys, s.Missed, s.Alerts = int(wall/nodeGOP.Seconds()*float64(o.Cameras)), r.missed, r.alerts
	s.Unseen = r.unseen.Seconds()
	if len(r.late) > 0 {
		slices.Sort(r.late)
		s.LateP95 = r.late[len(r.late)*95/100].Seconds()
	}
	return s, nil
}

// counters sums what the node's own metrics say over all cameras.
func (r *nodeRun) counters() (map[string]float64, error) {
	families, err := r.reg.Gather()
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	sum := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch f.GetName() {
			case "sharpeyes_gate_state_seconds_total":
				sum["state "+label(m, "state")] += m.GetCounter().GetValue()
			case "sharpeyes_analysis_seconds_total":
				sum["level "+label(m, "state")] += m.GetCounter().GetValue()
			case "sharpeyes_gate_wakes_total":
				sum["wakes "+label(m, "cause")] += m.GetCounter().GetValue()
			case "sharpeyes_queue_depth":
				sum["queue_depth"] = max(sum["queue_depth"], m.GetGauge().GetValue())
			case "sharpeyes_queue_dropped_total":
				sum["dropped"] += m.GetCounter().GetValue()
			case "sharpeyes_camera_lost_total":
				sum["lost"] += m.GetCounter().GetValue()
			}
		}
	}
	return sum, nil
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}
