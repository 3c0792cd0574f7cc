package detect

import (
	"context"
	"errors"
	"image"
	"time"

	"github.com/sharpeyes/sharpeyes/ingest"
)

const (
	emptyEvery = 500 * time.Millisecond // observations while nothing moves, so that rules close
	leastTurn  = time.Second            // a key unit waits at least this long for its turn
	mostTurn   = 10 * time.Second

	askAfter = 75          // pictures after a key unit from which another is asked for
	askFor   = time.Second // and how long it is waited for
	askDeaf  = 10 * time.Minute
)

// gated is what an Analyser holds for its gate.
type gated struct {
	gate     *gate
	claim    *claim
	keyTurns keyTurns
	headers  *HeaderReader
	ring     *Ring
	wakes    chan WakeCause // from other goroutines; holds one
	lastEmit time.Time
	empty    pace
	kept     image.YCbCr // copy of a key picture for the detector
	asked    time.Time   // a key unit was asked for, and decoding waits for it
	deaf     time.Time   // until then the camera is not asked: none came
	saidFull bool
}

// sparse is a motion finder that can be told that pictures come seconds apart.
type sparse interface{ Sparse(on bool) }

// clocked is a motion finder that masks by itself what changes once a second.
type clocked interface {
	At(t time.Duration)                     // of when the next picture is
	Vain()                                  // what was claimed on the last key unit was no motion
	Masked() (share float64, learning bool) // of the picture; more is about to be found
}

// begin starts on a stream of a codec.
func (a *Analyser) begin(c ingest.Codec) {
	if a.opt.Keys == nil {
		return
	}
	a.headers = NewHeaderReader(c)
	cfg := a.opt.Camera.Settings.Gate
	a.claim.leave()
	a.gate = newGate(cfg, c, a.metrics.gate)
	a.gate.claim, a.gate.tell = a.claim, a.opt.Analysis
	a.ring = NewRing(int(cfg.RingBytes))
	a.empty = pace{every: emptyEvery}
	a.asked, a.deaf = time.Time{}, time.Time{}
	if cfg.Mode == "full" {
		a.claim.take(WakeFallback)
		a.gate.enter(GateFull)
		a.gate.forced = true
	}
}

// Wake asks for every unit to be decoded from the last key unit on, for at least
// ten seconds: somebody looks, or the camera itself raised an alarm. It may be
// called from any goroutine and does not block; while one request waits for the
// next unit, others are dropped.
func (a *Analyser) Wake(c WakeCause) {
	select {
	case a.wakes <- c:
	default:
	}
}

// Ring returns the coded pictures of the camera since the key unit before last.
// It is nil without a pool of key decoders and before the first unit, and another
// one after the codec changed; ask on the goroutine of Run, which calls Emit.
func (a *Analyser) Ring() *Ring { return a.ring }

// pass takes a unit to the gate and does what the gate says. accepted is false
// for a unit that cannot be decoded for want of a key unit.
func (a *Analyser) pass(ctx context.Context, au ingest.AccessUnit, accepted bool) {
	if !accepted {
		a.ring.Break()
		return
	}
	if !a.lawful {
		if au.Key {
			a.checkKey(ctx, au)
		}
		return
	}
	select {
	case c := <-a.wakes:
		a.gate.ask(c)
	default:
	}
	was := a.gate.state
	action := a.gate.unit(gateUnit{
		header: a.headers.Read(au.NALUs), key: au.Key, at: au.Received, pts: au.PTS,
		behind: a.opt.Now().Sub(au.Received), dropped: au.Lost, fits: a.ring.Fits(&au),
	})
	if a.gate.state == GateFull && was != GateFull {
		a.sayFull()
	}
	if action == gateWake && !a.ring.Fits(&au) {
		// The last chance to decode this stream: the ring breaks with this unit.
		a.catchUp(ctx)
		a.ring.Put(au)
		a.follow(ctx, au)
		return
	}
	a.ring.Put(au)
	if a.awaitKey(ctx, au, action) {
		return
	}
	switch action {
	case gateQuiet:
		a.quiet(au)
	case gateCheck:
		a.leave(was)
		a.checkKey(ctx, au)
	case gateDecode:
		a.follow(ctx, au)
	case gateWake:
		a.catchUp(ctx)
	case gateSkip:
		a.leave(was)
		a.skip(au, SkipOverload)
	}
}

// awaitKey lets a wake late in a long group of pictures wait for a key unit that the
// camera is asked for, since to decode all of the group would take longer. When none
// comes, the group is decoded after all. It says whether it dealt with the unit.
func (a *Analyser) awaitKey(ctx context.Context, au ingest.AccessUnit, action gateAction) bool {
	switch {
	case action == gateWake && !au.Key && a.opt.AskKey != nil && a.gate.state == GateCatchUp &&
		a.ring.Pictures() > askAfter && !au.Received.Before(a.deaf):
		a.asked = au.Received
		a.opt.AskKey()
	case a.asked.IsZero():
		return false
	case action != gateDecode: // the wake is over
		a.asked = time.Time{}
		return false
	case au.Key:
		a.asked = time.Time{}
		a.spread(false)
		a.gate.resume(au.Received)
		a.follow(ctx, au)
		return true
	case au.Received.Sub(a.asked) >= askFor:
		a.asked, a.deaf = time.Time{}, au.Received.Add(askDeaf)
		a.gate.resume(au.Received)
		a.catchUp(ctx)
		return true
	}
	a.quiet(au)
	return true
}

// sayFull says once that a camera costs more than it should.
func (a *Analyser) sayFull() {
	if !a.saidFull {
		a.saidFull = true
		a.opt.Log.Warn("stream cannot be gated, every picture is decoded: set the camera to a key frame every 2 s and one of the usual profiles", "camera", a.id)
	}
}

// leave frees the decoder when the gate has ended continuous decoding.
func (a *Analyser) leave(was GateState) {
	if was != a.gate.state {
		a.rest()
	}
}

// rest is the end of continuous decoding: an idle camera holds no decoder.
func (a *Analyser) rest() {
	a.close()
	if a.opt.Main != nil {
		a.opt.Main.release()
	}
	a.spread(true)
}

func (a *Analyser) spread(on bool) {
	if s, ok := a.opt.Motion.(sparse); ok {
		s.Sparse(on)
	}
}

// follow decodes the next unit of a stream that is decoded continuously.
func (a *Analyser) follow(ctx context.Context, au ingest.AccessUnit) {
	if a.decoder == nil && !au.Entry() {
		a.needKey = true // after a decode error the units up to the next key unit are worth nothing
		a.skip(au, SkipDecode)
		return
	}
	a.metrics.gate.continuous.Inc()
	a.step(ctx, au)
}

// quiet emits that nothing moved, often enough for rules to close.
func (a *Analyser) quiet(au ingest.AccessUnit) {
	if a.empty.due(au.Received) {
		a.emit(Observation{Camera: a.id, At: au.Received, PTS: au.PTS, Tracks: a.tracks})
	}
}

// catchUp decodes from the last key unit to now. What was emitted before is not
// emitted again: of those instants the pictures only lead to the next.
func (a *Analyser) catchUp(ctx context.Context) {
	a.spread(false)
	for _, au := range a.ring.Snapshot() {
		if ctx.Err() != nil {
			return
		}
		a.metrics.gate.caughtUp.Inc()
		if au.Received.After(a.lastEmit) {
			if !a.step(ctx, au) || a.decoder == nil {
				break
			}
		} else if !a.pastUnit(au) {
			break
		}
	}
	a.gate.caughtUp()
}

// pastUnit decodes a unit that leads to now and is not looked at itself.
func (a *Analyser) pastUnit(au ingest.AccessUnit) (ok bool) {
	frame, err := a.decode(au, false, au.Key)
	if err != nil {
		a.refused(au, err)
		return false
	}
	if frame != nil {
		a.metrics.decoded.Inc()
	}
	return true
}

// checkKey lets the pool decode a key unit and looks at its picture. The
// detector is asked with a copy, so that no other camera waits for it.
func (a *Analyser) checkKey(ctx context.Context, au ingest.AccessUnit) {
	if a.gate.thin = !a.keyTurns.due(au.Received, a.between()); a.gate.thin {
		a.skip(au, SkipKeyBusy)
		return
	}
	c := keyCheck{quick: a.tracker.Len() == 0}
	err := a.lookAtKey(ctx, au, &c)
	if err == nil && c.quick && c.motion.Active {
		// Rules and people want the picture as the camera made it.
		again := keyCheck{motion: c.motion, known: true}
		if err = a.lookAtKey(ctx, au, &again); err == nil {
			c = again
		}
	}
	switch {
	case ctx.Err() != nil:
		return
	case errors.Is(err, ErrBusy):
		a.skip(au, SkipKeyBusy)
		return
	case err != nil:
		a.refused(au, err)
		a.ring.Break()
		return
	}
	if !a.lawful {
		return
	}
	if !c.reported {
		a.report(ctx, au, c.picture, c.motion)
	}
	if a.gate.key(au.Received, c.motion) {
		a.catchUp(ctx)
		return
	}
	a.gate.motion(au.Received, c.motion, a.tracker.Len())
	if a.tracker.Len() == 0 {
		a.kept = image.YCbCr{} // several MiB that most cameras never need
		if a.opt.Main != nil {
			a.opt.Main.release()
		}
	}
}

// keyCheck is one look at a key unit.
type keyCheck struct {
	quick    bool // a picture to find motion in
	known    bool // what moved was found before
	motion   Motion
	picture  *image.YCbCr // a copy for the detector
	reported bool
}

// lookAtKey waits for a turn of the pool, one GOP at most, and looks.
func (a *Analyser) lookAtKey(ctx context.Context, au ingest.AccessUnit, c *keyCheck) error {
	patience := min(mostTurn, max(leastTurn, a.gate.usual()))
	turn, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	waited, err := a.opt.Keys.decode(turn, []ingest.AccessUnit{au}, c.quick, func(f *Frame) { a.seeKey(ctx, au, f, c) })
	if ctx.Err() == nil {
		a.gate.thin = errors.Is(err, ErrBusy)
		a.claim.waited(waited, patience)
	}
	return err
}

// between is the least time between looks at key units, a quarter of it where something
// moves and there is no room to decode everything.
func (a *Analyser) between() time.Duration {
	if a.gate.wanted != "" {
		return a.claim.between() / 4
	}
	return a.claim.between()
}

// seeKey looks at the picture of a key unit while the pool holds it.
func (a *Analyser) seeKey(ctx context.Context, au ingest.AccessUnit, f *Frame, c *keyCheck) {
	a.metrics.gate.keys.Inc()
	if !a.usable(f) {
		c.reported = true
		return
	}
	if !c.known {
		a.health.gap = a.gate.longestGap()
		a.health.alive(au.Received, f.Luma.Pix)
	}
	if !a.lawful {
		c.reported = true
		return
	}
	if !c.known {
		c.motion = a.findMotion(au.Received, f)
	}
	switch {
	case c.quick && c.motion.Active:
	case a.wantsDetector(au.Received):
		c.picture = a.keep(f.Image)
	default:
		a.report(ctx, au, f.Image, c.motion)
		c.reported = true
	}
}

// keep copies a picture.
func (a *Analyser) keep(from *image.YCbCr) *image.YCbCr {
	copyPicture(&a.kept, from)
	return &a.kept
}

// tellGate tells the gate what an instant of a continuously decoded stream
// showed, and ends decoding when the gate says so.
func (a *Analyser) tellGate(at time.Time, m Motion) {
	if a.gate == nil {
		return
	}
	was := a.gate.state
	c, masks := a.opt.Motion.(clocked)
	if masks {
		_, a.gate.learning = c.Masked()
	}
	a.gate.motion(at, m, a.tracker.Len())
	if masks && a.gate.vain {
		a.gate.vain = false
		c.Vain()
	}
	if was != a.gate.state && (a.gate.state == GateIdle || a.gate.state == GateStationary) {
		a.rest()
	}
}
