package ingest

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sharpeyes/sharpeyes/configs"
)

// settledAfter is how long units must have come for the next failure to count
// as the first: a camera that dies every few seconds keeps its back-off.
const settledAfter = 30 * time.Second

// errOverdue ends a session in which no unit came for the camera's timeout.
var errOverdue = &Fault{Reason: ReasonNoFrames, Err: errors.New("no access unit in time"), Hint: hintNoFrames}

// errStuck ends an attempt that neither failed nor made a session.
var errStuck = &Fault{Reason: ReasonTimeout, Err: errors.New("no session in time"),
	Hint: "the camera answers too slowly: look at the link, or raise its timeout"}

// worker keeps one camera's source open. Its goroutine runs the source and
// waits between attempts; timers watch over it without goroutines of their own.
type worker struct {
	cam      configs.Camera
	record   Camera
	open     func(configs.Camera) (Source, error)
	link     *uplink
	log      *slog.Logger
	queue    *Queue
	states   *states
	counters *counters
	seed     maphash.Seed

	nudged chan struct{} // one: do not wait for the next attempt
	cancel context.CancelFunc
	done   sync.WaitGroup // worker and analyser
	fed    atomic.Bool    // a unit went into the queue in this or an earlier session

	// The running session; mu also orders the source against the watchdog.
	mu      sync.Mutex
	session *session
}

// session is one Run of a source. It is the Sink.
type session struct {
	w       *worker
	end     context.CancelCauseFunc
	begun   time.Time
	clock   Clock
	release sync.Once // of the uplink's slot

	mu        sync.Mutex // the worker asks while the source writes
	connected bool
	first     time.Time // when the first unit came
	last      time.Time // when the last unit came, or the session stood
	playing   bool      // an Entry was seen: units go into the queue
	over      bool      // Run has returned; whoever still writes is not heard
}

// run keeps the source open until ctx is done.
func (w *worker) run(ctx context.Context) {
	failures, last := 0, ReasonNone
	for ctx.Err() == nil {
		w.forgetNudge() // of before: this attempt is what it asked for
		settled, err := w.attempt(ctx)
		if ctx.Err() != nil {
			return
		}
		why, hint := ReasonEnded, ""
		if f, ok := errors.AsType[*Fault](err); ok {
			why, hint = f.Reason, f.Hint
		} else if err != nil {
			why = ReasonOf(err)
		}
		w.counters.reconnect(why)
		w.states.change(func(f *facts, at time.Time) bool { return f.ended(why, hint, at) })
		if settled {
			failures = 0
		}
		failures++
		wait := backoff(failures, why, fullJitter)
		level := slog.LevelInfo
		if why == last && failures > 1 {
			level = slog.LevelDebug // said already
		}
		last = why
		w.log.Log(ctx, level, "stream ended", "reason", why, "error", err, "failures", failures, "retry_in", wait.Round(time.Millisecond))
		if w.pause(ctx, wait) {
			failures, last = 0, ReasonNone
		}
	}
}

// nudge makes the worker try again now, if it waits or when its attempt fails.
func (w *worker) nudge() {
	select {
	case w.nudged <- struct{}{}:
	default:
	}
}

func (w *worker) forgetNudge() {
	select {
	case <-w.nudged:
	default:
	}
}

// attempt opens the source and runs it once. It reports whether the session was
// good for long enough to forget earlier failures.
func (w *worker) attempt(ctx context.Context) (settled bool, err error) {
	if err := w.link.acquire(ctx); err != nil {
		return false, err
	}
	src, err := w.open(w.cam)
	if err != nil {
		w.link.release()
		return false, err
	}
	runCtx, end := context.WithCancelCause(ctx)
	defer end(nil)
	s := &session{w: w, end: end, begun: time.Now()}
	w.mu.Lock()
	w.session = s
	w.mu.Unlock()
	err = src.Run(runCtx, s)
	s.free()
	s.mu.Lock()
	s.over = true
	settled = !s.first.IsZero() && s.last.Sub(s.first) >= settledAfter
	s.mu.Unlock()
	w.mu.Lock()
	w.session = nil
	w.mu.Unlock()
	// The watchdog's cancel reaches the source as a plain ctx.Err(); what it
	// stands for is the cause.
	if f, ok := errors.AsType[*Fault](context.Cause(runCtx)); ok {
		if _, said := errors.AsType[*Fault](err); !said {
			err = f
		}
	}
	return settled, err
}

// free gives the uplink's slot back.
func (s *session) free() { s.release.Do(s.w.link.release) }

// Connected implements Sink.
func (s *session) Connected(transport string) {
	s.free()
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return
	}
	s.connected, s.last = true, time.Now() // another transport gets its full time
	s.mu.Unlock()
	s.w.log.Info("stream connected", "transport", transport)
	s.w.states.change(func(f *facts, at time.Time) bool { return f.connected(at) })
}

// Write implements Sink.
func (s *session) Write(u AccessUnit) {
	w := s.w
	if u.Received.IsZero() {
		u.Received = time.Now()
	}
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return
	}
	var jumped bool
	u.PTS, jumped = s.clock.Next(u.PTS, u.Received)
	u.Camera = w.record.ID
	s.last = u.Received
	if s.first.IsZero() {
		s.first = u.Received
	}
	if u.Entry() && !s.playing {
		s.playing = true
		u.Lost = u.Lost || w.fed.Swap(true) // an earlier session left a gap
	}
	playing := s.playing
	s.mu.Unlock()

	w.counters.unit(u.Size(), jumped, u.Received)
	var sum uint64
	if u.Entry() {
		sum = w.sum(&u)
	}
	w.states.change(func(f *facts, at time.Time) bool { return f.unit(u.Entry(), sum, jumped, at) })
	if !playing {
		return // no decoder can use it
	}
	if n := w.queue.Push(u); n > 0 {
		w.counters.add(&w.counters.dropped, uint64(n))
	}
}

// Lost implements Sink.
func (s *session) Lost(n uint64) { s.w.counters.add(&s.w.counters.lost, n) }

// sum is a checksum of the picture data of a key frame: slices only, since
// parameter sets never and time stamps in SEI always change.
func (w *worker) sum(u *AccessUnit) uint64 {
	var h maphash.Hash
	h.SetSeed(w.seed)
	for _, n := range u.NALUs {
		if slice, _ := IsSlice(u.Codec, n); slice {
			_, _ = h.Write(n) // never fails
		}
	}
	return h.Sum64()
}

// pause waits for d, for a nudge, of which it tells, or for the end of ctx.
func (w *worker) pause(ctx context.Context, d time.Duration) (nudged bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-w.nudged:
		return true
	case <-t.C:
	}
	return false
}
