package gb28181

import (
	"log/slog"
	"sync"
	"time"
)

// How often one line may be logged.
const (
	lineRate  = 1 // a second
	lineBurst = 20
)

// sparing is a log for lines that strangers, or ten thousand devices at once, can
// cause: each message is bounded in rate, and the next one says how many were
// left out.
type sparing struct {
	log *slog.Logger
	now func() time.Time

	mu    sync.Mutex
	lines map[string]*line // by message, and messages are constants
}

type line struct {
	bucket bucket
	left   int // out since the last one that was logged
}

func newSparing(log *slog.Logger, now func() time.Time) *sparing {
	return &sparing{log: log, now: now, lines: make(map[string]*line)}
}

// may says whether the message is logged now, and how many were left out before.
func (s *sparing) may(msg string) (left int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lines[msg]
	if l == nil {
		l = &line{}
		s.lines[msg] = l
	}
	if !l.bucket.take(lineRate, lineBurst, s.now()) {
		l.left++
		return 0, false
	}
	left, l.left = l.left, 0
	return left, true
}

// Info logs, or counts, a constant message.
func (s *sparing) Info(msg string, args ...any) { s.put(s.log.Info, msg, args) }

// Warn logs, or counts, a constant message.
func (s *sparing) Warn(msg string, args ...any) { s.put(s.log.Warn, msg, args) }

func (s *sparing) put(log func(string, ...any), msg string, args []any) {
	left, ok := s.may(msg)
	if !ok {
		return
	}
	if left > 0 {
		args = append(args, "left_out", left)
	}
	log(msg, args...)
}
