package detect

import (
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// What the budget works with.
const (
	budgetShare   = 0.85             // of the processors that Go uses, when the configuration says nothing
	budgetTurn    = 6 * time.Second  // ditto
	budgetGuess   = 0.12             // cores that a camera takes, before any was measured: 1080p25 of 4 Mbit/s
	budgetLook    = time.Second      // how often the node's load is looked at
	budgetForget  = 30 * time.Second // a camera that waits and does not ask again is gone
	budgetLate    = 500 * time.Millisecond
	budgetSmooth  = 0.3 // weight of the newest look
	budgetBackOff = 0.8 // of what is granted, by each look at a node that is late
	budgetRegain  = 0.05
	budgetSlow    = 0.1              // where the key frames of many cameras come at the same time
	spacingLeast  = time.Second      // what is shorter passes no key unit over
	spacingMost   = 10 * time.Second // however long the line is, no camera goes without a look for much longer
	spacingBusy   = 0.97             // of the processors: with less left, receiving falls behind
	spacingMore   = 1.03             // by each look at a node that is so busy, or whose key units wait for long
	spacingLess   = 0.98
)

// Budget shares out the processor time of a node. Reading headers and looking at
// key frames comes first; what is left is given to cameras that ask to have every
// picture decoded, as many as it carries by what they were measured to take. One
// that finds no room waits in line and is looked at by its key frames meanwhile;
// who has had its turn makes room when others wait. It looks at the processor
// time of the whole process, so that receiving, the object detector and whatever
// else runs here count, and it retreats when key frames wait for their decoder,
// which is how other programs on the machine are felt. Where even key frames are too
// many, each camera's are looked at as seldom as every other's: a line in which all
// wait for long would make everybody late and nobody better off. It starts no
// goroutine and is safe for concurrent use.
type Budget struct {
	cores float64 // processor seconds per second
	all   float64 // that there are
	turn  time.Duration
	now   func() time.Time
	used  func() time.Duration // by the process so far

	mu      sync.Mutex
	holders map[ingest.CameraID]*holder
	line    []*waiter // who waits, first come first
	cost    float64   // of one camera, cores, by what was measured
	known   bool      // cost was measured
	others  float64   // cores that all else takes
	busy    float64   // cores that everything takes, over some seconds
	factor  float64   // 0..1, what being late leaves of the room
	looked  time.Time
	before  time.Duration // used, at the last look
	spent   time.Duration // by holders since the last look
	late    bool          // a key unit waited too long since the last look
	behind  bool          // one waited for most of its group of pictures
	gop     time.Duration // the longest such group since the last look
	spacing time.Duration // least time between looks at a camera's key units; 0: at each

	room    prometheus.Gauge
	waiting prometheus.Gauge
	holding prometheus.Gauge
	yielded prometheus.Counter
	spaced  prometheus.Gauge
}

// holder is a camera whose every picture is decoded.
type holder struct {
	since time.Time
	rank  int
	cost  float64       // cores, 0 when not measured yet
	spent time.Duration // since the last look
	start bool
}

// waiter is a camera that would be one.
type waiter struct {
	camera ingest.CameraID
	rank   int
	asked  time.Time
	cost   float64
}

// NewBudget returns the budget of a node. Zero values of cfg mean 85 % of the
// processors that Go uses and turns of six seconds. A nil reg registers no metrics.
func NewBudget(cfg configs.Budget, processors int, reg prometheus.Registerer) *Budget {
	if cfg.Cores <= 0 {
		cfg.Cores = budgetShare * float64(processors)
	}
	turn := cfg.Turn.Std()
	if turn <= 0 {
		turn = budgetTurn
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	b := &Budget{
		cores: cfg.Cores, all: float64(processors), turn: turn, now: time.Now, used: processCPU, factor: 1, cost: budgetGuess,
		holders: map[ingest.CameraID]*holder{},
		room:    gauge("sharpeyes_budget_cores", "Processor seconds per second that the node has for cameras of which every picture is decoded."),
		holding: gauge("sharpeyes_budget_active_cameras", "Cameras of which every picture is decoded."),
		waiting: gauge("sharpeyes_budget_waiting_cameras", "Cameras that wait for room to have every picture decoded."),
		yielded: prometheus.NewCounter(prometheus.CounterOpts{Name: "sharpeyes_budget_yields_total", Help: "Times that a camera had had its turn and made room for one that waited."}),
		spaced:  gauge("sharpeyes_budget_key_spacing_seconds", "Least time between looks at key frames of one camera, since there is no time for all; 0 where each is looked at."),
	}
	if reg != nil {
		reg.MustRegister(b.room, b.holding, b.waiting, b.yielded, b.spaced)
	}
	b.looked, b.before = b.now(), b.used()
	return b
}

// The ranks of a wish to have every picture decoded.
const (
	rankStart = iota // to learn the scene
	rankMotion
	rankAsked // somebody looks, or the camera itself raised an alarm
	rankMust  // a stream that cannot be looked at in another way
)

func rankOf(c WakeCause) int {
	switch c {
	case WakeStart:
		return rankStart
	case WakeOperator, WakeDevice:
		return rankAsked
	case WakeFallback:
		return rankMust
	}
	return rankMotion
}

// take asks for room and says whether there is any. Who gets none waits in line
// and asks again, at best with each key unit; one that only wants to learn its
// scene does not wait.
func (b *Budget) take(camera ingest.CameraID, c WakeCause) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, rank := b.now(), rankOf(c)
	b.look(now)
	if h := b.holders[camera]; h != nil {
		h.rank = max(h.rank, rank)
		return true
	}
	ahead := b.ahead(camera, rank, now)
	switch {
	case rank == rankMust:
	case rank == rankStart && (b.starting() >= max(2, int(2*b.cores)) || len(b.line) > 0):
		return false
	case ahead+b.want(camera) > b.left() && len(b.holders) > 0, b.factor < budgetRegain:
		if rank != rankStart {
			b.wait(camera, rank, now)
		}
		return false
	}
	cost := 0.0
	if i := b.place(camera); i >= 0 {
		cost = b.line[i].cost
		b.line = slices.Delete(b.line, i, i+1)
	}
	b.holders[camera] = &holder{since: now, rank: rank, cost: cost, start: rank == rankStart}
	b.tell()
	return true
}

// want is what the camera would take: what it took last, else the usual.
func (b *Budget) want(camera ingest.CameraID) float64 {
	if i := b.place(camera); i >= 0 && b.line[i].cost > 0 {
		return b.line[i].cost
	}
	return b.cost
}

// left is the room that nobody has. The first camera always finds room, however
// small the node.
func (b *Budget) left() float64 {
	left := (b.cores - b.others) * b.factor
	for _, h := range b.holders {
		if h.cost > 0 {
			left -= h.cost
		} else {
			left -= b.cost
		}
	}
	return left
}

// ahead is the room that those need who go before the camera: a higher rank, or
// the same and longer in the line.
func (b *Budget) ahead(camera ingest.CameraID, rank int, now time.Time) float64 {
	b.line = slices.DeleteFunc(b.line, func(w *waiter) bool { return now.Sub(w.asked) > budgetForget })
	sum, before := 0.0, true
	for _, w := range b.line {
		switch {
		case w.camera == camera:
			before = false
		case w.rank > rank, w.rank == rank && before:
			sum += max(w.cost, b.cost)
		}
	}
	return sum
}

func (b *Budget) place(camera ingest.CameraID) int {
	return slices.IndexFunc(b.line, func(w *waiter) bool { return w.camera == camera })
}

func (b *Budget) starting() int {
	n := 0
	for _, h := range b.holders {
		if h.start {
			n++
		}
	}
	return n
}

// wait puts the camera into the line, once.
func (b *Budget) wait(camera ingest.CameraID, rank int, now time.Time) {
	if i := b.place(camera); i >= 0 {
		b.line[i].asked, b.line[i].rank = now, max(rank, b.line[i].rank)
		return
	}
	b.line = append(b.line, &waiter{camera: camera, rank: rank, asked: now})
	b.tell()
}

// keep says whether a camera may go on; false puts it at the end of the line. It
// is asked at each key unit, where leaving costs nothing.
func (b *Budget) keep(camera ingest.CameraID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.look(now)
	h := b.holders[camera]
	if h == nil || h.rank == rankMust {
		return true
	}
	left := b.left()
	over := left < -0.1*b.cores && len(b.holders) > 1
	if !over && (now.Sub(h.since) < b.turn || !b.pressed(h.rank, left)) {
		return true
	}
	delete(b.holders, camera)
	b.yielded.Inc()
	b.line = append(b.line, &waiter{camera: camera, rank: h.rank, asked: now, cost: h.cost})
	b.tell()
	return false
}

// pressed says whether somebody of no lower rank waits and does not fit.
func (b *Budget) pressed(rank int, left float64) bool {
	return slices.ContainsFunc(b.line, func(w *waiter) bool { return w.rank >= rank && max(w.cost, b.cost) > left })
}

// leave gives up the camera's room, or its place in the line.
func (b *Budget) leave(camera ingest.CameraID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.holders, camera)
	if i := b.place(camera); i >= 0 {
		b.line = slices.Delete(b.line, i, i+1)
	}
	b.tell()
}

// spend counts processor time of a camera whose every picture is decoded.
func (b *Budget) spend(camera ingest.CameraID, d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h := b.holders[camera]; h != nil && d > 0 {
		h.spent += d
		b.spent += d
	}
}

// waited says how long a key unit waited for its decoder, and how long its group of
// pictures is.
func (b *Budget) waited(d, gop time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.late = b.late || d >= budgetLate
	b.behind = b.behind || d > gop/2
	b.gop = max(b.gop, gop)
	b.look(b.now())
}

// between is the least time between looks at a camera's key units.
func (b *Budget) between() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.look(b.now())
	return b.spacing
}

// look takes stock, once in budgetLook.
func (b *Budget) look(now time.Time) {
	d := now.Sub(b.looked).Seconds()
	if d < budgetLook.Seconds() {
		return
	}
	used := b.used()
	others := max(0, (used-b.before-b.spent).Seconds()/d)
	b.others += budgetSmooth * (others - b.others)
	sum, n := 0.0, 0
	for _, h := range b.holders {
		if took := h.spent.Seconds() / d; took > 0 && now.Sub(h.since) >= now.Sub(b.looked) {
			if h.cost == 0 {
				h.cost = took
			}
			h.cost += budgetSmooth * (took - h.cost)
			sum, n = sum+h.cost, n+1
		}
		h.spent = 0
	}
	if n > 0 {
		if mean := sum / float64(n); b.known {
			b.cost += 0.1 * (mean - b.cost)
		} else {
			b.cost, b.known = mean, true
		}
	}
	if b.late {
		b.factor *= budgetBackOff
	} else {
		b.factor = min(1, b.factor+budgetRegain)
	}
	b.busy += budgetSlow * ((used-b.before).Seconds()/d - b.busy)
	b.space()
	b.looked, b.before, b.spent, b.late, b.behind, b.gop = now, used, 0, false, false, 0
	b.room.Set(max(0, (b.cores-b.others)*b.factor))
}

// space sets how far apart the looks at a camera's key units are.
func (b *Budget) space() {
	if b.behind || b.busy > spacingBusy*b.all {
		b.spacing = min(spacingMost, max(b.gop, time.Duration(spacingMore*float64(b.spacing))))
	} else if b.spacing = time.Duration(spacingLess * float64(b.spacing)); b.spacing < spacingLeast {
		b.spacing = 0
	}
	b.spaced.Set(b.spacing.Seconds())
}

func (b *Budget) tell() {
	b.holding.Set(float64(len(b.holders)))
	b.waiting.Set(float64(len(b.line)))
}

// claim is one camera's way to the budget; a nil claim always finds room.
type claim struct {
	budget *Budget
	camera ingest.CameraID
}

func (c *claim) take(cause WakeCause) bool { return c == nil || c.budget.take(c.camera, cause) }

func (c *claim) keep() bool { return c == nil || c.budget.keep(c.camera) }

func (c *claim) leave() {
	if c != nil {
		c.budget.leave(c.camera)
	}
}

func (c *claim) spend(d time.Duration) {
	if c != nil {
		c.budget.spend(c.camera, d)
	}
}

func (c *claim) waited(d, gop time.Duration) {
	if c != nil {
		c.budget.waited(d, gop)
	}
}

func (c *claim) between() time.Duration {
	if c == nil {
		return 0
	}
	return c.budget.between()
}
