package ingest

import "time"

// Bounds of the facts.
const (
	jumpsAllowed = 2                // clock jumps within jumpWindow that leave the frames good: a time sync makes one
	jumpWindow   = 60 * time.Second // and they are forgotten after this
)

// facts is the state machine of one camera: it takes what happened and keeps
// the five facts. It is pure: times come in, nothing goes out, and it does not
// lock. Two parties judge the picture: facts itself (frozen, no key frame) and
// the analyser, whose verdict holds while facts finds nothing worse.
type facts struct {
	timeout time.Duration // without a unit for this long the frames are No
	frozen  time.Duration // with the same key frame for this long the picture is frozen

	state State

	session   bool      // between connected and ended
	begun     time.Time // of the session
	lastUnit  time.Time // of any session
	lastKey   time.Time // of this session
	keySum    uint64    // of the newest key frame
	sameSince time.Time // since when keySum is what it is
	jumps     []time.Time
	endWhy    Fact // reason and hint of the last end
	verdict   Fact // of the analyser, who speaks when it changes
	stale     bool // the frames failed since: wait for a key frame before it counts again
}

func newFacts(id CameraID, timeout, frozen time.Duration, at time.Time) *facts {
	f := &facts{timeout: timeout, frozen: frozen}
	unknown := Fact{Value: Unknown, Since: at, Reason: ReasonStarting}
	never := Fact{Value: Unknown, Since: at, Reason: ReasonNotOffered}
	f.state = State{Camera: id, Registered: never, Transport: unknown, Frames: unknown, Picture: unknown, Recording: never}
	return f
}

// set changes a fact and reports whether it did. Since moves only with the
// value, so that "offline since" survives a change of the reason.
func set(f *Fact, v Value, r Reason, hint string, at time.Time) bool {
	if f.Value == v && f.Reason == r && f.Hint == hint {
		return false
	}
	if f.Value != v {
		f.Since = at
	}
	f.Value, f.Reason, f.Hint = v, r, hint
	return true
}

// off puts the three facts of a camera that is not connected on purpose.
func (f *facts) off(r Reason, hint string, at time.Time) bool {
	f.session = false
	c := set(&f.state.Transport, Unknown, r, hint, at)
	c = set(&f.state.Frames, Unknown, r, hint, at) || c
	return set(&f.state.Picture, Unknown, r, hint, at) || c
}

// connected says that a session stands.
func (f *facts) connected(at time.Time) bool {
	if !f.session {
		f.session, f.begun = true, at
		f.lastKey, f.jumps = time.Time{}, nil
	}
	return set(&f.state.Transport, Yes, ReasonNone, "", at)
}

// ended says that the session, or the attempt to make one, is over. The frames
// turn No when they are overdue, not before: a reconnect within the timeout is
// nobody's outage. Where there never were any, they are No at once.
func (f *facts) ended(r Reason, hint string, at time.Time) bool {
	f.session = false
	f.endWhy = Fact{Reason: r, Hint: hint}
	c := set(&f.state.Transport, No, r, hint, at)
	if f.lastUnit.IsZero() || f.state.Frames.Value == No {
		c = set(&f.state.Frames, No, r, hint, at) || c
	}
	return f.tick(at) || c
}

// unit says that an access unit arrived; sum is a checksum of its slices when
// it is a key frame, jumped says that the camera's clock jumped before it.
func (f *facts) unit(key bool, sum uint64, jumped bool, at time.Time) bool {
	f.lastUnit = at
	if jumped {
		f.jumps = append(f.jumps, at)
		if len(f.jumps) > jumpsAllowed+1 {
			f.jumps = f.jumps[1:]
		}
	}
	for len(f.jumps) > 0 && at.Sub(f.jumps[0]) > jumpWindow {
		f.jumps = f.jumps[1:]
	}
	v, r, hint := Yes, ReasonNone, ""
	if len(f.jumps) > 0 {
		r, hint = ReasonClock, "the camera's clock jumped: give it one time server and switch off others"
	}
	if len(f.jumps) > jumpsAllowed {
		v = No
	}
	c := set(&f.state.Frames, v, r, hint, at)
	if key {
		if f.lastKey.IsZero() || sum != f.keySum {
			f.keySum, f.sameSince = sum, at
		}
		f.lastKey, f.stale = at, false
	}
	return f.judge(at) || c
}

// picture takes the analyser's verdict.
func (f *facts) picture(v Value, r Reason, at time.Time) bool {
	f.verdict, f.stale = Fact{Value: v, Reason: r}, false
	return f.judge(at)
}

// analysis takes how closely the camera is watched. Only into and out of degraded
// is a change that people are told of at once.
func (f *facts) analysis(a Analysis) bool {
	was := f.state.Analysis.Level
	f.state.Analysis = a
	return (was == LevelDegraded) != (a.Level == LevelDegraded)
}

// tick looks at the clock: are units overdue?
func (f *facts) tick(at time.Time) bool {
	c := false
	if f.overdue(at) {
		r, hint := f.endWhy.Reason, f.endWhy.Hint
		if f.session {
			r, hint = ReasonNoFrames, hintNoFrames
		}
		c = set(&f.state.Frames, No, r, hint, at)
	}
	return f.judge(at) || c
}

// overdue says whether the frames that should be there are not.
func (f *facts) overdue(at time.Time) bool {
	return f.dueIn(at) <= 0 && (f.session || f.state.Frames.Value == Yes)
}

// dueIn returns how long the next unit may still take.
func (f *facts) dueIn(at time.Time) time.Duration {
	since := f.lastUnit
	if f.session && f.begun.After(since) {
		since = f.begun
	}
	if since.IsZero() {
		return f.timeout
	}
	return f.timeout - at.Sub(since)
}

// judge decides on the picture.
func (f *facts) judge(at time.Time) bool {
	p := &f.state.Picture
	switch {
	case f.state.Frames.Value == No && f.state.Frames.Reason != ReasonClock:
		// What nobody sees is neither good nor bad.
		f.stale = true
		f.state.Analysis = Analysis{}
		return set(p, Unknown, f.state.Frames.Reason, f.state.Frames.Hint, at)
	case f.session && f.lastKey.IsZero() && at.Sub(f.begun) >= 2*f.timeout:
		return set(p, No, ReasonNoKeyFrame, "set the camera's key frame interval to 2 s and switch off intra refresh", at)
	case f.session && !f.lastKey.IsZero() && f.lastKey.Sub(f.sameSince) >= f.frozen && f.lastKey != f.sameSince:
		return set(p, No, ReasonFrozen, "the camera sends the same picture again and again: restart it", at)
	case f.state.Frames.Value == Unknown:
		return false // nothing came yet
	case f.stale:
		return set(p, Unknown, ReasonNone, "", at)
	}
	hint := ""
	if f.verdict.Reason == ReasonSubstreamOnly {
		hint = hintSubstream
	}
	return set(p, f.verdict.Value, f.verdict.Reason, hint, at)
}

const (
	hintNoFrames  = "the session stands but no video comes: look at the camera's stream settings and at the link"
	hintSubstream = "the main stream does not come, alerts carry the smaller picture: look at url, at the link and at how many connections the camera allows"
)
