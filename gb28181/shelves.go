package gb28181

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// shelves are the catalogues of all devices. With a directory they survive a
// restart, each in a file of its own, so that channels are known before a device
// has answered.
type shelves struct {
	dir  string // "" keeps nothing
	idle time.Duration
	news chan struct{} // one: something is to be written

	mu   sync.Mutex
	byID map[string]*shelf
}

func newShelves(dir string) *shelves {
	if dir != "" {
		dir = filepath.Join(dir, "catalogues")
	}
	return &shelves{dir: dir, idle: catalogueIdle, news: make(chan struct{}, 1), byID: make(map[string]*shelf)}
}

// of returns the shelf of a device, with what the file had when it is asked for
// the first time. A file that cannot be read is an empty shelf: the device will be
// asked anyway.
func (ss *shelves) of(id string) *shelf {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if s := ss.byID[id]; s != nil {
		return s
	}
	s := new(shelf)
	if path, ok := ss.path(id); ok {
		if b, err := os.ReadFile(path); err == nil {
			if err := json.Unmarshal(b, s); err != nil {
				s = new(shelf)
			}
		}
	}
	if isID([]byte(id)) {
		ss.byID[id] = s
	}
	return s
}

// path returns the file of a device. Only a device's ID can name one.
func (ss *shelves) path(id string) (string, bool) {
	if ss.dir == "" || !isID([]byte(id)) {
		return "", false
	}
	return filepath.Join(ss.dir, id+".json"), true
}

// touch says that something is to be written.
func (ss *shelves) touch() {
	select {
	case ss.news <- struct{}{}:
	default:
	}
}

// run writes changed catalogues, at most every few seconds, and once more at the
// end.
func (ss *shelves) run(ctx context.Context, failed func(error)) {
	const pause = 5 * time.Second
	for {
		select {
		case <-ctx.Done():
			ss.save(failed)
			return
		case <-ss.news:
		}
		ss.save(failed)
		wait := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-wait.C:
		}
		wait.Stop()
	}
}

func (ss *shelves) save(failed func(error)) {
	if ss.dir == "" {
		return
	}
	ss.mu.Lock()
	all := maps.Clone(ss.byID)
	ss.mu.Unlock()
	for id, s := range all {
		if err := ss.write(id, s); err != nil {
			failed(err)
			return // a full disk is full for the next one too
		}
	}
}

// write replaces the file of a device, when there is something new.
func (ss *shelves) write(id string, s *shelf) error {
	s.mu.Lock()
	if !s.dirty {
		s.mu.Unlock()
		return nil
	}
	b, err := json.Marshal(s)
	s.dirty = false
	s.mu.Unlock()
	if err == nil {
		err = os.MkdirAll(ss.dir, 0o750)
	}
	if err == nil {
		path, _ := ss.path(id)
		err = replaceFile(path, b)
	}
	if err != nil {
		s.mu.Lock()
		s.dirty = true
		s.mu.Unlock()
		return fmt.Errorf("keep the catalogue of %s: %w", id, err)
	}
	return nil
}
