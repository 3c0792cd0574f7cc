package detect

import (
	"math"
	"slices"
	"time"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// GateState is what the gate of one camera does with its units.
type GateState string

// The states.
const (
	GateIdle       GateState = "idle"       // headers of all units are read, key units are looked at
	GateCatchUp    GateState = "catch_up"   // decoding from the last key unit to now
	GateActive     GateState = "active"     // every unit is decoded
	GateStationary GateState = "stationary" // as idle, while something that was found stands there
	GateDegraded   GateState = "degraded"   // the node is behind: only key units are looked at, also where something moves
	GateFull       GateState = "full"       // every unit is decoded for good: by configuration, or the stream cannot be gated
)

// GateStates returns all states in a fixed order.
func GateStates() []GateState {
	return []GateState{GateIdle, GateCatchUp, GateActive, GateStationary, GateDegraded, GateFull}
}

// WakeCause is why a gate began to decode every unit.
type WakeCause string

// The causes.
const (
	WakeStart    WakeCause = "start"     // the scene is learned from every picture first
	WakeKey      WakeCause = "key"       // something moved between two key units
	WakeScore    WakeCause = "score"     // size and quantiser of predicted pictures
	WakeEarlyKey WakeCause = "early_key" // a key unit before its time: cameras that stretch their GOP end it on motion
	WakeOperator WakeCause = "operator"  // somebody looks
	WakeDevice   WakeCause = "device"    // the camera's own alarm
	WakeFallback WakeCause = "fallback"  // the stream cannot be gated
)

// WakeCauses returns all causes in a fixed order.
func WakeCauses() []WakeCause {
	return []WakeCause{WakeStart, WakeKey, WakeScore, WakeEarlyKey, WakeOperator, WakeDevice, WakeFallback}
}

// What no setting changes.
const (
	gateLearn      = 2 * time.Second  // after the start, on top of the hold time
	gateAsked      = 10 * time.Second // an operator's or device's wake lasts at least this long
	gateDecay      = 0.95
	gateForgive    = 10 * time.Minute // without an unconfirmed wake the threshold decays once
	gateEarly      = 0.75             // a key unit before this share of the usual GOP is early
	gateGOPs       = 5                // that must agree to be usual
	gateUnread     = 50               // units in a row whose header is not understood
	gateKeyEvery   = time.Second      // a longer key_every holds only where the score sees everything
	gateRecover    = 10 * time.Second
	gateScoreAfter = 20 * time.Second // after a global change, without wakes by the score
	gateLongGOP    = 4 * time.Second  // with a longer one the warm-up decodes everything, since key units say too little, and rests are dear
)

// gateAction is what is to be done with a unit.
type gateAction uint8

const (
	gateQuiet  gateAction = iota // nothing: the score says that nothing moves
	gateCheck                    // decode this key unit by the pool and tell Key
	gateDecode                   // decode it
	gateWake                     // decode from the last key unit to it and tell CaughtUp
	gateSkip                     // not looked at for want of time
)

// gateUnit is what the gate must know of a unit.
type gateUnit struct {
	header  Header
	key     bool // decoding can start here
	at      time.Time
	pts     time.Duration
	behind  time.Duration // how late the analyser is
	dropped bool          // units were dropped before it because the analyser was late
	fits    bool          // the ring can hold it
}

// gate decides for one camera which units are decoded. It is a pure state
// machine: time is what it is told, and it starts nothing.
type gate struct {
	cfg   configs.Gate
	score *motionScore
	count *gateMetrics
	claim *claim // to the node's budget; nil: there is always room

	state   GateState
	wanted  WakeCause // degraded for want of room: why it would be active; else empty
	learn   bool      // the scene was not learned from every picture yet, for want of room
	forced  bool      // full by configuration
	since   time.Time // last time that was counted
	began   time.Time
	raised  float64 // threshold, as it is now
	cause   WakeCause
	asked   WakeCause // wake at the next unit
	woke    time.Time
	sure    bool // the wake was confirmed
	moved   time.Time
	rested  time.Time // the active state ended
	soon    bool      // it had to begin again soon after
	seen    []bool    // latest instants: something moved
	misses  []time.Time
	settled time.Time // the threshold was changed
	lastKey time.Time
	keyPTS  time.Duration
	checked time.Time
	gops    []time.Duration
	units   int  // of this GOP
	qp      int8 // of the latest unit; where it is not known, coarse
	unread  int
	mute    time.Time // the score wakes nobody before
	calm    time.Time // not behind since
	tracks  int

	steady   bool    // the last key unit was as large as those before
	lastHigh float64 // score of the GOP before it
	learning bool    // the motion finder is about to mask a clock
	lit      bool    // most of the picture changed since the wake
	vain     bool    // the last wake by a key unit was not confirmed
	withheld bool    // the score would have woken since the last look at a key unit
	thin     bool    // key units are passed over for want of time
	window   analysisWindow
	tell     func(ingest.Analysis) // hears how closely the camera is watched; nil: nobody does
}

// newGate returns the gate of a stream that begins. cfg has no zero fields.
func newGate(cfg configs.Gate, codec ingest.Codec, count *gateMetrics) *gate {
	g := &gate{cfg: cfg, score: newMotionScore(codec, cfg), count: count}
	g.setThreshold(cfg.Threshold, time.Time{})
	return g
}

// enter changes the state.
func (g *gate) enter(s GateState) {
	if s == g.state {
		return
	}
	g.state = s
	g.count.enter(s)
	switch s {
	case GateIdle, GateStationary:
		g.wanted = ""
		g.claim.leave()
	case GateDegraded:
		if g.wanted == "" {
			g.claim.leave()
		}
	}
}

// short is what to do where there is no room to decode everything: key units are
// looked at, and room is asked for with each of them.
func (g *gate) short(c WakeCause, at time.Time, key bool) gateAction {
	if c == WakeStart {
		g.learn = true
		g.enter(GateIdle)
	} else {
		g.wanted, g.cause, g.woke, g.moved = c, c, at, at
		g.enter(GateDegraded)
	}
	if key {
		return gateCheck
	}
	return gateSkip
}

// degraded decides where there is no room, or no time, to decode everything.
func (g *gate) degraded(u gateUnit) gateAction {
	switch {
	case !u.key:
		return gateSkip
	case g.wanted == "":
	case u.at.Sub(g.moved) > g.cfg.Hold.Std()+g.usual():
		if !g.sure && !g.moved.After(g.woke) {
			g.unconfirmed(u.at) // two key units showed nothing
		}
		g.rest()
	case g.claim.take(g.wanted):
		c := g.wanted
		g.wanted = ""
		return g.wake(c, u.at)
	}
	return gateCheck
}

// wake begins to decode everything.
func (g *gate) wake(c WakeCause, at time.Time) gateAction {
	g.soon = !g.rested.IsZero() && at.Sub(g.rested) < 4*g.cfg.Hold.Std()
	g.cause, g.woke, g.moved, g.sure, g.lit, g.vain, g.withheld = c, at, at, false, false, false, false
	g.seen = g.seen[:0]
	switch c {
	case WakeStart:
		g.sure, g.moved = true, at.Add(gateLearn)
	case WakeOperator, WakeDevice:
		g.sure, g.moved = true, at.Add(max(0, gateAsked-g.hold()))
	}
	g.count.wakes[c].Inc()
	g.wanted, g.learn = "", false
	if c == WakeFallback {
		g.enter(GateFull)
	} else {
		g.enter(GateCatchUp)
	}
	return gateWake
}

// tryWake is wake where there is room.
func (g *gate) tryWake(c WakeCause, u gateUnit) gateAction {
	if !g.claim.take(c) {
		g.sure = false
		return g.short(c, u.at, u.key)
	}
	return g.wake(c, u.at)
}

// unit takes the next unit and says what to do with it.
func (g *gate) unit(u gateUnit) gateAction {
	g.clock(u.at)
	early := g.follow(u)
	moving := g.state == GateActive && u.at.Sub(g.moved) < time.Second || g.state == GateDegraded
	z := 0.0
	if u.key {
		g.lastHigh, g.score.highest = g.score.highest, 0
		g.steady = g.score.steady(u.header)
	} else {
		z = g.score.add(u.header, u.at, moving)
	}
	g.load(u)
	switch g.state {
	case "":
		g.began = u.at
		return g.tryWake(WakeStart, u)
	case GateFull:
		if !g.forced && g.gateable(u.at) {
			g.sure, g.moved = true, u.at
			g.enter(GateActive)
		}
		return gateDecode
	case GateActive, GateCatchUp:
		if g.ungateable(u) {
			// Decoding goes on, so that nothing is missed: it could not begin again.
			g.count.wakes[WakeFallback].Inc()
			g.claim.take(WakeFallback)
			g.enter(GateFull)
		}
		if u.key && !g.claim.keep() {
			return g.short(g.cause, u.at, true)
		}
		return gateDecode
	case GateDegraded:
		return g.degraded(u)
	}
	return g.idle(u, z, early)
}

// idle decides where nothing is known to move.
func (g *gate) idle(u gateUnit, z float64, early bool) gateAction {
	switch {
	case g.ungateable(u):
		return g.tryWake(WakeFallback, u)
	case g.asked != "":
		c := g.asked
		g.asked = ""
		return g.tryWake(c, u)
	case early && g.mayMiss(u.at):
		return g.tryWake(WakeEarlyKey, u)
	case g.learn && u.key && u.at.Sub(g.began) < g.cfg.WarmUp.Std() && g.claim.take(WakeStart):
		return g.wake(WakeStart, u.at)
	case u.key && g.due(u):
		return gateCheck
	case z < g.raised:
	case u.at.Sub(g.began) >= g.cfg.WarmUp.Std() && u.at.After(g.mute) && g.mayMiss(u.at):
		return g.tryWake(WakeScore, u)
	default:
		g.withheld = true
	}
	return gateQuiet
}

// ungateable says that decoding could not begin again at need: the key unit is
// too far back or no longer in the ring. Or the headers are not understood.
func (g *gate) ungateable(u gateUnit) bool {
	return !u.fits || g.unread >= gateUnread || u.at.Sub(g.lastKey) > g.cfg.MaxGOP.Std()
}

// due says whether a key unit must be looked at. Where the quantiser moves, the
// score may miss what is small, and key units are what finds it. Where it does
// not, a key unit that is as large as ever after a GOP without a sign of motion
// shows what the last one showed.
func (g *gate) due(u gateUnit) bool {
	quiet := g.steady && g.score.constant() && g.lastHigh < g.cfg.Threshold/2 && g.state == GateIdle
	every := g.cfg.KeyEvery.Std()
	if !quiet || u.at.Sub(g.began) < g.cfg.WarmUp.Std() {
		every = min(every, gateKeyEvery)
	}
	// Half a GOP later than the first that is over the time, at most.
	return g.checked.IsZero() || u.at.Sub(g.checked) >= every-g.usual()/2
}

// usual is the length of the latest GOP, zero when it is not known.
func (g *gate) usual() time.Duration {
	if len(g.gops) == 0 {
		return 0
	}
	return g.gops[len(g.gops)-1]
}

// follow keeps account of GOPs and says whether this key unit is early.
func (g *gate) follow(u gateUnit) (early bool) {
	g.qp = math.MaxInt8
	if u.header.OK {
		g.unread, g.qp = 0, u.header.QP
	} else {
		g.unread++
	}
	g.units++
	if !u.key {
		return false
	}
	g.perKey(u.at)
	if !g.lastKey.IsZero() && !u.dropped {
		gop := u.at.Sub(g.lastKey)
		if len(g.gops) == gateGOPs {
			least, most := slices.Min(g.gops), slices.Max(g.gops)
			early = most-least <= most/10 && gop < time.Duration(gateEarly*float64(least))
			g.gops = slices.Delete(g.gops, 0, 1)
		}
		g.gops = append(g.gops, gop)
		if d := u.pts - g.keyPTS; d > 0 {
			g.score.key(d / time.Duration(g.units))
		} else {
			g.score.key(0)
		}
	} else {
		g.score.key(0)
	}
	g.lastKey, g.keyPTS, g.units = u.at, u.pts, 0
	return early
}

// perKey does what needs no doing more often than once in a GOP.
func (g *gate) perKey(at time.Time) {
	if g.raised > g.cfg.Threshold && at.Sub(g.settled) >= gateForgive {
		g.setThreshold(g.raised*gateDecay, at)
	}
	g.mayMiss(at)
	g.count.say(g.count.constant, g.score.constant())
}

// gateable says whether a stream that was given up has become one that can be
// gated: two GOPs of a length that is, and headers that are understood.
func (g *gate) gateable(at time.Time) bool {
	n := len(g.gops)
	return n >= 2 && g.unread == 0 && at.Sub(g.lastKey) < g.cfg.MaxGOP.Std() &&
		max(g.gops[n-1], g.gops[n-2]) < g.cfg.MaxGOP.Std()
}

// load goes into the degraded state while the analyser cannot follow, and out of
// it when it has followed for some time.
func (g *gate) load(u gateUnit) {
	late := u.behind > g.cfg.Behind.Std() || u.dropped
	if late || g.calm.IsZero() {
		g.calm = u.at
	}
	switch {
	case g.state == "" || g.state == GateFull:
	case late && u.behind > g.cfg.Behind.Std():
		g.enter(GateDegraded)
	case g.state == GateDegraded && g.wanted == "" && u.at.Sub(g.calm) >= gateRecover:
		g.enter(GateIdle)
	}
}

// clock adds the time since the unit before to the state.
func (g *gate) clock(at time.Time) {
	if d := at.Sub(g.since); !g.since.IsZero() && d > 0 && d < time.Minute && g.state != "" {
		g.count.seconds[g.state].Add(d.Seconds())
		g.watched(d)
	}
	g.since = at
}

// watched adds d to the level at which the camera is watched.
func (g *gate) watched(d time.Duration) {
	l := ingest.LevelFull
	switch {
	case g.state == GateDegraded || g.thin:
		l = ingest.LevelDegraded
	case g.state == GateIdle || g.state == GateStationary:
		l = ingest.LevelGated
	}
	g.count.levels[l].Add(d.Seconds())
	if a, full := g.window.add(l, d); full && g.tell != nil {
		g.tell(a)
	}
}

// caughtUp says that the ring was decoded to its end.
func (g *gate) caughtUp() {
	if g.state == GateCatchUp {
		g.enter(GateActive)
	}
}

// resume is caughtUp after waiting for a key unit: only now can the wake be confirmed.
func (g *gate) resume(at time.Time) {
	g.woke = at
	g.moved = laterOf(g.moved, at)
	g.caughtUp()
}

// key takes what a key unit showed, and says whether to wake.
func (g *gate) key(at time.Time, m Motion) (wake bool) {
	g.checked = at
	withheld := g.withheld
	g.withheld = false
	switch {
	case m.Global:
		g.changed(at)
	case g.state == GateDegraded:
		g.keyDegraded(at, m)
	case m.Active || m.Faint:
		return g.tryWake(WakeKey, gateUnit{at: at, key: true}) == gateWake
	case withheld:
		g.score.vain()
	}
	return false
}

// keyDegraded takes what a key unit showed of a camera that has no room. Where the
// score alone asked for it and nothing is seen, it was in vain.
func (g *gate) keyDegraded(at time.Time, m Motion) {
	switch {
	case m.Active:
		g.moved = laterOf(g.moved, at)
	case !m.Faint && g.wanted == WakeScore && !g.sure && !g.moved.After(g.woke):
		g.unconfirmed(at)
		g.rest()
	}
}

// changed forgets what is known of the scene: light or infrared switched, or the
// camera was turned.
func (g *gate) changed(at time.Time) {
	g.score.reset()
	g.lit = true
	g.mute = at.Add(gateScoreAfter)
	g.seen = g.seen[:0]
}

// motion takes what one instant of a decoded stream showed. It may end the
// active state.
func (g *gate) motion(at time.Time, m Motion, tracks int) {
	g.tracks = tracks
	if m.Global {
		g.changed(at)
	}
	if g.state == GateStationary && tracks == 0 {
		g.enter(GateIdle)
	}
	if g.state != GateActive && g.state != GateCatchUp {
		return
	}
	if m.Active {
		g.moved = laterOf(g.moved, at)
	}
	if len(g.seen) == g.cfg.ConfirmOf {
		g.seen = slices.Delete(g.seen, 0, 1)
	}
	g.seen = append(g.seen, m.Active)
	if !g.sure {
		g.confirm()
	}
	switch {
	case g.cause == WakeStart && g.longStart(at):
	case g.sure && g.held(at):
		g.rest()
	case !g.sure && at.Sub(g.woke) > g.cfg.ConfirmWithin.Std():
		g.unconfirmed(at)
		g.rest()
	}
}

// eager says that each picture is to be looked at: the camera was woken, and what woke
// it was not seen yet. It ends with the first sign, so that what confirms a wake lies
// as far apart as ever.
func (g *gate) eager() bool {
	woken := g.state == GateCatchUp || g.state == GateActive
	return woken && !g.sure && g.cause != WakeStart && !slices.Contains(g.seen, true)
}

// longStart says that the stream is new and its key units too far apart, as far
// as is known, to find what moves before the score has learned, or that a clock
// in the picture is half learned.
func (g *gate) longStart(at time.Time) bool {
	gop := g.usual()
	return at.Sub(g.began) < g.cfg.WarmUp.Std() && (g.learning || gop == 0 || max(gop, at.Sub(g.lastKey)) > gateLongGOP)
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// confirm counts the instants that moved.
func (g *gate) confirm() {
	n := 0
	for _, moved := range g.seen {
		if moved {
			n++
		}
	}
	if n >= g.cfg.Confirm {
		g.sure = true
		g.score.proven()
		g.setThreshold(g.raised*gateDecay, g.since)
	}
}

// setThreshold changes the threshold within its bounds.
func (g *gate) setThreshold(t float64, at time.Time) {
	g.raised = min(max(g.cfg.Threshold, t), g.cfg.RaiseMost*g.cfg.Threshold)
	g.settled = at
	g.count.threshold.Set(g.raised)
}

// hold is how long after the last motion everything is still decoded: twice what is
// configured where that was too short the last time, or GOPs are long. To begin
// again costs half a GOP of decoding in the mean.
func (g *gate) hold() time.Duration {
	if g.soon || g.usual() > gateLongGOP {
		return 2 * g.cfg.Hold.Std()
	}
	return g.cfg.Hold.Std()
}

// held says that nothing moved for long enough. Half the time will do just after a
// key unit: beginning again costs least there.
func (g *gate) held(at time.Time) bool {
	still := at.Sub(g.moved)
	return still > g.hold() || still > g.hold()/2 && at.Sub(g.lastKey) < gateKeyEvery/4
}

// rest ends the active state.
func (g *gate) rest() {
	g.rested = g.since
	if g.tracks > 0 {
		g.enter(GateStationary)
	} else {
		g.enter(GateIdle)
	}
}

// unconfirmed makes the score less ready to wake.
func (g *gate) unconfirmed(at time.Time) {
	g.count.unconfirmed.Inc()
	g.vain = g.cause == WakeKey
	if g.lit {
		return // there was something: a light
	}
	if g.cause == WakeScore || g.cause == WakeEarlyKey {
		g.misses = append(g.misses, at)
	}
	if g.cause == WakeScore {
		g.setThreshold(g.raised*g.cfg.Raise, at)
		g.score.vain()
	}
}

// mayMiss says whether there were fewer unconfirmed wakes in the last hour than
// allowed. Key units go on to be looked at when there were more.
func (g *gate) mayMiss(at time.Time) bool {
	for len(g.misses) > 0 && at.Sub(g.misses[0]) > time.Hour {
		g.misses = slices.Delete(g.misses, 0, 1)
	}
	may := len(g.misses) < g.cfg.MaxWakes
	g.count.say(g.count.capped, !may)
	return may
}

// ask wakes the gate at the next unit.
func (g *gate) ask(c WakeCause) {
	switch g.state {
	case GateActive, GateCatchUp:
		g.sure = true
		g.moved = g.since.Add(max(0, gateAsked-g.hold()))
	case GateIdle, GateStationary:
		g.asked = c
	case GateDegraded:
		if g.wanted != "" {
			// With the next key unit, and before those for whom nobody asks.
			g.wanted, g.cause, g.sure = c, c, true
			g.moved = g.since.Add(max(0, gateAsked-g.hold()))
		}
	}
}

// deblock says whether predicted pictures are to be deblocked. At a fine quantiser
// they need not be where key units come often: until the next one they drift by less
// than what motion and objects are found by. At a coarse one noise drifts into motion.
func (g *gate) deblock() bool {
	gop := g.usual()
	return g.state == GateFull || gop == 0 || gop > gateLongGOP || int(g.qp) >= g.cfg.DeblockFrom
}

// longestGap is the longest time between two pictures that the gate lets be looked at.
func (g *gate) longestGap() time.Duration {
	longest := g.cfg.KeyEvery.Std()
	for _, d := range g.gops {
		longest = max(longest, d)
	}
	return longest + time.Second
}
