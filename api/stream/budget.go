package stream

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// budget counts the bytes of a day. It is safe for concurrent use.
type budget struct {
	limit int64
	path  string
	zone  *time.Location
	log   *slog.Logger

	mu    sync.Mutex
	day   spent
	saved int64 // bytes as last written to the file
}

// spent is the content of the file.
type spent struct {
	Day   string `json:"day"` // 2006-01-02
	Bytes int64  `json:"bytes"`
}

// saveSteps is how many parts of a day's budget are written down: so much at most
// is forgotten when the process dies.
const saveSteps = 100

// newBudget goes on with the day of the file in dir. A limit of 0 allows
// everything.
func newBudget(limit int64, dir string, zone *time.Location, log *slog.Logger) *budget {
	if zone == nil {
		zone = time.UTC
	}
	b := &budget{limit: limit, path: filepath.Join(dir, "budget"), zone: zone, log: log}
	if limit == 0 {
		return b
	}
	text, err := os.ReadFile(b.path)
	if err == nil {
		err = json.Unmarshal(text, &b.day)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		log.Warn("producer: what was sent today is not known and counts as nothing", "err", err)
	}
	return b
}

// roll begins a new day when it is time. The caller holds mu.
func (b *budget) roll() {
	if day := time.Now().In(b.zone).Format(time.DateOnly); b.day.Day != day {
		b.day, b.saved = spent{Day: day}, 0
	}
}

// allows reports whether pictures and states may still be sent today.
func (b *budget) allows() bool {
	if b.limit == 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.roll()
	return b.day.Bytes < b.limit
}

// spend counts bytes that were sent.
func (b *budget) spend(n int) {
	if b.limit == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.roll()
	before := b.day.Bytes
	b.day.Bytes += int64(n)
	if before < b.limit && b.day.Bytes >= b.limit {
		b.log.Warn("producer: the bytes of this day are used up; pictures and states wait for tomorrow, alerts go on", "bytes", b.day.Bytes, "limit", b.limit)
	}
	if b.day.Bytes-b.saved < b.limit/saveSteps {
		return
	}
	text, err := json.Marshal(b.day)
	if err == nil {
		err = writeSynced(b.path+tmpSuffix, text)
	}
	if err == nil {
		err = os.Rename(b.path+tmpSuffix, b.path)
	}
	if err != nil {
		b.log.Warn("producer: cannot write down what was sent today", "err", err)
	}
	b.saved = b.day.Bytes
}

// renewed returns a channel that gives a value when the next day begins, nil
// when nothing waits for it.
func (b *budget) renewed() <-chan time.Time {
	if b.allows() {
		return nil
	}
	now := time.Now().In(b.zone)
	return time.After(time.Date(now.Year(), now.Month(), now.Day()+1, 0, 0, 0, 0, b.zone).Sub(now) + time.Second)
}
