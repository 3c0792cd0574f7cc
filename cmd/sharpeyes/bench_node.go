package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// What one core must hold for a number of cameras to count as carried.
const (
	nodeBusy     = 0.85 // of the core
	nodeAim      = 0.80 // what the next try aims at
	nodeLate     = time.Second
	nodeMissed   = 0.01 // of the looks at key frames
	nodeDegraded = 0.01 // of the camera time
	nodeTries    = 4
	nodeOverload = 3 // times what it carries
)

// nodeBench is what one core carries of one kind of camera.
type nodeBench struct {
	Stream   string      `json:"stream"`
	Rows     []nodeRow   `json:"rows"`
	PerIdle  float64     `json:"mib_per_further_idle_camera"`
	Overload *nodeRow    `json:"overload,omitempty"`
	Tries    []nodeTried `json:"tries"`
}

// nodeRow is the largest number of cameras that was carried at an activity.
type nodeRow struct {
	Activity  float64            `json:"activity"` // share of time in which something moves, as asked for
	Active    float64            `json:"active"`   // share of time in which everything was decoded, as measured
	Cameras   int                `json:"cameras"`
	CPU       float64            `json:"cpu"` // of the core
	PerCamera float64            `json:"cpu_ms_per_camera_second"`
	LateP95   float64            `json:"observation_p95_s"`
	Keys      int                `json:"keys"`
	Missed    int                `json:"missed"`
	Unseen    float64            `json:"longest_without_look_s"` // of any camera
	Degraded  float64            `json:"degraded"`
	Queued    int                `json:"most_queued"`
	Wakes     map[string]float64 `json:"wakes"` // by cause
	Lost      float64            `json:"lost_packets"`
	Resident  float64            `json:"resident_mib"`
	Events    int                `json:"events"`
	Found     int                `json:"found"`
	FoundP95  float64            `json:"event_to_alert_p95_s"` // from the first picture of the event on
	Alerts    int                `json:"alerts"`
	AlertP95  float64            `json:"alert_p95_s"` // from the receipt of the picture that made it
	Carried   bool               `json:"carried"`     // false: no number that was tried was
}

// nodeTried is one measurement on the way.
type nodeTried struct {
	Activity float64 `json:"activity"`
	Cameras  int     `json:"cameras"`
	CPU      float64 `json:"cpu"`
	Why      string  `json:"why,omitempty"` // it was not carried
}

// node measures each kind of camera that the flags name.
func (b *benchRun) node(ctx context.Context) ([]nodeBench, error) {
	if b.flags.clip != "" {
		r, err := b.nodeOne(ctx, b.flags.clip, b.flags.clip, []float64{0}, false)
		return []nodeBench{r}, err
	}
	levels := []float64{0, 0.05, 0.10, 0.20, 0.50}
	streams := strings.Split(b.flags.streams, ",")
	if b.flags.quick {
		levels, streams = []float64{0, 0.10}, streams[:1]
	}
	var out []nodeBench
	for _, name := range streams {
		i := slices.IndexFunc(benchCameras, func(c benchCamera) bool { return c.name == name })
		if i < 0 {
			return nil, fmt.Errorf("--streams: no %q: use h264, sub, h265", name)
		}
		file, err := b.nodeClip(ctx, benchCameras[i])
		if err != nil {
			return nil, err
		}
		ours := levels
		if name == "h265" && !b.flags.quick {
			ours = []float64{0, 0.10}
		}
		r, err := b.nodeOne(ctx, file, benchCameras[i].title, ours, true)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", benchCameras[i].title, err)
		}
		out = append(out, r)
	}
	return out, nil
}

// nodeTrial is one kind of camera on the bench.
type nodeTrial struct {
	run      *benchRun
	cameras  *partner // serves
	node     *partner
	activity float64
	bench    nodeBench

	mu     sync.Mutex
	events []serveLine
	ready  chan int
}

// nodeOne starts the cameras on the other processors and the node on one, and
// raises the number of cameras until the core has enough.
func (b *benchRun) nodeOne(ctx context.Context, file, title string, levels []float64, scripted bool) (r nodeBench, err error) {
	t := &nodeTrial{run: b, bench: nodeBench{Stream: title}, ready: make(chan int, 1)}
	cpus := processors()
	others := cpus
	if len(cpus) > 1 {
		others, cpus = cpus[:len(cpus)-1], cpus[len(cpus)-1:]
	}
	args := []string{"bench", "node-serve", file}
	if scripted {
		args = append(args, "--scripted")
	}
	if t.cameras, err = startPartner(ctx, others, nil, args...); err != nil {
		return r, err
	}
	var hearing sync.WaitGroup
	defer func() {
		err = errors.Join(err, t.cameras.end())
		hearing.Wait()
	}()
	var hello serveLine
	if err := t.cameras.hear(&hello); err != nil {
		return r, err
	}
	hearing.Go(t.listen)
	if t.node, err = startPartner(ctx, cpus, []string{"GOMAXPROCS=1"}, "bench", "node-run", hello.Base); err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, t.node.end()) }()
	for i, level := range levels {
		if err := t.level(level, i == 0); err != nil {
			return r, err
		}
	}
	if scripted && !b.flags.quick {
		if err := t.overload(); err != nil {
			return r, err
		}
	}
	return t.bench, nil
}

// listen hears of events until the cameras end.
func (t *nodeTrial) listen() {
	defer close(t.ready)
	for {
		var l serveLine
		if t.cameras.hear(&l) != nil {
			return
		}
		if l.Ready > 0 {
			t.ready <- l.Ready
			continue
		}
		t.mu.Lock()
		t.events = append(t.events, l)
		t.mu.Unlock()
	}
}

// first is how many cameras a kind begins with, and more is what it then tries.
func (t *nodeTrial) first() (first, more int) {
	if strings.Contains(t.bench.Stream, "360") {
		return 40, 200
	}
	return 8, 40
}

// level finds how many cameras are carried at an activity.
func (t *nodeTrial) level(activity float64, cold bool) error {
	t.activity = activity
	n, best, tries := 0, nodeRow{Activity: activity}, nodeTries
	var large nodeRow // the largest that was tried
	if cold {
		first, more := t.first()
		small, err := t.try(first, t.run.warm())
		if err != nil {
			return err
		}
		n = max(first+1, min(4*more, int(float64(first)*nodeAim/max(small.CPU, 0.01))))
		if t.run.flags.quick {
			n, tries = more, 1
		}
		defer func() {
			if large.Cameras > first {
				t.bench.PerIdle = (large.Resident - small.Resident) / float64(large.Cameras-first)
			}
		}()
		if t.carried(small) == "" {
			best = small
		}
	} else {
		n = max(1, t.bench.Rows[len(t.bench.Rows)-1].Cameras*2/3)
		if t.run.flags.quick {
			n, tries = max(1, n*3/4), 1
		}
	}
	settle := t.run.warm()
	if !cold {
		settle = 5 * time.Second
	}
	for range tries {
		row, err := t.try(n, settle)
		if err != nil {
			return err
		}
		if row.Cameras > large.Cameras {
			large = row
		}
		if t.carried(row) == "" && row.Cameras > best.Cameras {
			best = row
		}
		next := int(float64(n) * nodeAim / max(row.CPU, 0.01))
		if t.carried(row) != "" {
			next = min(next, n*9/10)
		} else if row.CPU > nodeAim-0.06 {
			break
		}
		if next = max(1, next); next == n || !cold && next > t.bench.Rows[0].Cameras {
			break
		}
		n = next
	}
	t.bench.Rows = append(t.bench.Rows, best)
	return nil
}

// warm is how long new cameras learn their scene.
func (b *benchRun) warm() time.Duration {
	if b.flags.quick {
		return 20 * time.Second
	}
	return 45 * time.Second
}

// try runs so many cameras and measures.
func (t *nodeTrial) try(n int, settle time.Duration) (nodeRow, error) {
	b := t.run
	row := nodeRow{Activity: t.activity, Cameras: n}
	if err := t.cameras.order(serveOrder{Cameras: n, Activity: t.activity}); err != nil {
		return row, err
	}
	if _, ok := <-t.ready; !ok {
		return row, errors.New("the process of the cameras ended early")
	}
	measure := 20 * time.Second
	if b.flags.quick {
		measure = 8 * time.Second
	}
	b.say("%s, %g %% activity, %d cameras: %s to settle, %s to measure", t.bench.Stream, t.activity*100, n, settle, measure)
	if err := t.node.order(runOrder{Cameras: n, Settle: settle, Measure: measure}); err != nil {
		return row, err
	}
	var s nodeSample
	if err := t.node.hear(&s); err != nil {
		return row, err
	}
	row.Active, row.CPU, row.LateP95 = s.Active, s.CPU, s.LateP95
	row.Keys, row.Missed, row.Unseen = s.Keys, s.Missed, s.Unseen
	row.Degraded, row.Queued, row.Resident, row.Wakes, row.Lost = s.Degraded, s.Queued, s.Resident, s.Wakes, s.Lost
	row.PerCamera = s.CPU / float64(n) * 1000
	t.judge(&row, s, measure)
	why := t.carried(row)
	row.Carried = why == ""
	b.say("  core %.0f %% busy, %.1f ms a camera and second, observations p95 %.2f s, %d of %d looks at key frames missed, %.0f %% active, %.1f %% degraded, %.0f MiB%s",
		row.CPU*100, row.PerCamera, row.LateP95, row.Missed, row.Keys, row.Active*100, row.Degraded*100, row.Resident, because(why))
	t.bench.Tries = append(t.bench.Tries, nodeTried{row.Activity, n, row.CPU, why})
	return row, nil
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": not carried, " + why
}

// judge puts alerts and events of the measurement together.
func (t *nodeTrial) judge(row *nodeRow, s nodeSample, measure time.Duration) {
	var took, found []time.Duration
	for _, a := range s.Alerts {
		took = append(took, a.At.Sub(a.Frame))
	}
	row.Alerts, row.AlertP95 = len(took), p95(took)
	t.mu.Lock()
	defer t.mu.Unlock()
	// Events of the last five seconds may be found after the measurement.
	for _, e := range t.events {
		if e.Camera >= row.Cameras || e.Event.Before(s.Began) || e.Event.After(s.Began.Add(measure-5*time.Second)) {
			continue
		}
		row.Events++
		for _, a := range s.Alerts {
			if late := a.At.Sub(e.Event); a.Camera == nodeCamera(e.Camera) && late >= 0 && late < eventLength {
				row.Found++
				found = append(found, late)
				break
			}
		}
	}
	row.FoundP95 = p95(found)
	t.events = nil
}

func p95(d []time.Duration) float64 {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(len(d)-1, len(d)*95/100)].Seconds()
}

// carried says why so many cameras are not carried, "" when they are.
func (t *nodeTrial) carried(r nodeRow) string {
	switch {
	case r.Lost > 0:
		return fmt.Sprintf("%.0f packets were lost on loopback: the processors that serve the cameras are too busy", r.Lost)
	case r.CPU > nodeBusy:
		return "the core is too busy"
	case r.LateP95 > nodeLate.Seconds() || r.AlertP95 > nodeLate.Seconds():
		return "it is late"
	case float64(r.Missed) > nodeMissed*float64(r.Keys):
		return "key frames were not looked at"
	case r.Degraded > nodeDegraded:
		return "cameras were degraded"
	}
	return ""
}

// overload runs three times what was carried at five per cent.
func (t *nodeTrial) overload() error {
	i := min(1, len(t.bench.Rows)-1)
	t.activity = t.bench.Rows[i].Activity
	row, err := t.try(nodeOverload*max(1, t.bench.Rows[i].Cameras), t.run.warm())
	t.bench.Overload = &row
	return err
}

// end closes the partner's orders and waits for it.
func (p *partner) end() error {
	_ = p.orders.Close() // tells it to end
	return p.done()
}

// printNode writes the tables.
func printNode(w io.Writer, all []nodeBench) {
	for _, b := range all {
		fmt.Fprintf(w, "\nCameras that ONE core carries, %s, key frame every %s, received over RTSP/TCP, gate and motion on each, without object detector; the cameras run in another process:\n\n", b.Stream, nodeGOP)
		fmt.Fprint(w, "| activity | decoded in full | cameras | core | ms per camera and second | observation p95 | alerts found | frame → alert p95 | event → alert p95 |\n|---|---|---|---|---|---|---|---|---|\n")
		for _, r := range b.Rows {
			fmt.Fprintf(w, "| %g %% | %.0f %% | %d | %.0f %% | %.1f | %.2f s | %d of %d | %.2f s | %.1f s |\n", r.Activity*100, r.Active*100, r.Cameras, r.CPU*100, r.PerCamera, r.LateP95, r.Found, r.Events, r.AlertP95, r.FoundP95)
		}
		fmt.Fprintf(w, "\nMemory: %.1f MiB for each further idle camera.\n", b.PerIdle)
		if o := b.Overload; o != nil {
			fmt.Fprintf(w, "\nOverload, %d cameras at %g %%: core %.0f %% busy, %d of %d looks at key frames missed, no camera without one for more than %.1f s, %.0f %% of the camera time degraded, %d of %d events found, frame → alert p95 %.2f s, at most %d units queued, %.0f MiB.\n",
				o.Cameras, o.Activity*100, o.CPU*100, o.Missed, o.Keys, o.Unseen, o.Degraded*100, o.Found, o.Events, o.AlertP95, o.Queued, o.Resident)
		}
	}
}
