package stream

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const tmpSuffix = ".tmp"

// OpenOutbox opens the outbox in dir, making the folder (mode 0700) when it is
// not there, and finds again everything that was durable. A tail that a crash
// tore is cut off; damaged records are stepped over; both are counted and
// logged. It reads all text once and no pictures. It fails when another process
// has the folder. The caller closes the outbox.
func OpenOutbox(dir string, opt OutboxOptions) (*Outbox, error) {
	opt.defaults()
	o := &Outbox{
		dir: dir, opt: opt, log: opt.Log,
		wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}), grown: make(chan struct{}),
		newest: map[string]place{},
	}
	if err := o.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("outbox %s: open: %w", dir, err), o.closeFiles())
	}
	go o.run()
	return o, nil
}

func (o *Outbox) open() (err error) {
	if err := privateDir(o.dir); err != nil {
		return err
	}
	if o.lock, err = lockFile(filepath.Join(o.dir, "lock")); errors.Is(err, errLocked) {
		return fmt.Errorf("%w; stop the other sharpeyes or give this one its own data_dir", err)
	} else if err != nil {
		return err
	}
	if o.identity, err = readIdentity(o.dir); err != nil {
		return err
	}
	logs, pics, err := listFiles(o.dir)
	if err != nil {
		return err
	}
	var known bool
	if o.cursor, known, err = openCursor(filepath.Join(o.dir, "cursor")); err != nil {
		return err
	}
	if o.m, err = newOutboxMetrics(o); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			o.m.unregister()
		}
	}()
	torn, err := o.recover(logs, pics)
	if err != nil {
		return err
	}
	o.next = o.nextNumber(known, torn)
	o.mu.Lock()
	err = o.advance()
	o.mu.Unlock()
	if err != nil {
		return err
	}
	return o.openTail()
}

// recover reads the segments in order and finds out which pictures they still
// refer to. It returns the highest number of a torn tail.
func (o *Outbox) recover(logs, pics []uint64) (torn uint64, err error) {
	held := map[uint64]*pictureFile{}
	for _, id := range pics {
		p := &pictureFile{id: id, path: o.path(id, pictureSuffix)}
		info, err := os.Stat(p.path)
		if err != nil {
			return 0, err
		}
		p.size = info.Size()
		held[id] = p
		o.lastPictures = id
	}
	var buf []byte
	for i, id := range logs {
		s := &segment{id: id, path: o.path(id, textSuffix)}
		if buf, err = readInto(buf[:0], s.path); err != nil {
			return 0, err
		}
		o.segs = append(o.segs, s)
		got := o.index(s, buf, held)
		s.size = int64(got.end)
		if got.end < len(buf) {
			o.damage("tail", "file", s.path, "bytes", len(buf)-got.end)
			torn = max(torn, got.torn)
			if err := os.Truncate(s.path, s.size); err != nil {
				return 0, err
			}
		}
		o.m.damaged["record"].Add(float64(got.damaged))
		if got.damaged > 0 {
			o.log.Error("outbox: damaged records are stepped over", "file", s.path, "stretches", got.damaged)
		}
		if i < len(logs)-1 {
			continue
		}
		// The last commit may have been written and not synced when the process
		// died. It is shown to readers from now on, so it must not vanish any more.
		if err := syncFile(s.path); err != nil {
			return 0, err
		}
	}
	for _, id := range pics {
		if p := held[id]; len(p.seqs) > 0 {
			o.pics = append(o.pics, p)
		} else {
			o.unlink(p.path)
		}
	}
	return torn, nil
}

// index scans one segment. Numbers that do not grow are a copy of something
// older and are left out.
func (o *Outbox) index(s *segment, b []byte, held map[uint64]*pictureFile) scanned {
	o.mu.Lock()
	defer o.mu.Unlock()
	return scanSegment(b, s.id, func(off int64, size int, r record) {
		if r.seq <= o.last {
			o.m.damaged["record"].Inc()
			return
		}
		o.add(s, off, size, &r)
		if p := held[r.picture.segment]; p != nil && r.seq > o.cursor.cur.acked {
			p.seqs = append(p.seqs, r.seq)
			p.newest = max(p.newest, r.at)
		}
	})
}

// nextNumber returns a number that was never given out before.
func (o *Outbox) nextNumber(known bool, torn uint64) uint64 {
	c := o.cursor.cur
	next := max(o.last, c.acked, torn) + 1
	if len(o.segs) > 0 {
		next = max(next, o.active().id) // a segment begins behind all numbers before it
	}
	lost := known && c.newest > 0 && (len(o.segs) == 0 || o.active().id < c.newest)
	switch {
	case lost:
		o.log.Error("outbox: segments are missing from the folder; numbers are skipped so that none is used twice", "dir", o.dir, "up_to", c.reserved)
		return max(next, c.reserved+1)
	case !known && o.cursorHadBytes():
		// Nothing says how far we were. Numbers grow by far less than one a
		// microsecond, so the clock is beyond all of them.
		o.log.Error("outbox: both copies of the cursor are damaged; everything on disk is sent again", "dir", o.dir)
		return max(next, uint64(time.Now().UnixMicro()))
	}
	return next
}

func (o *Outbox) cursorHadBytes() bool {
	info, err := o.cursor.f.Stat()
	return err == nil && info.Size() > 0
}

// openTail goes on in the last segment, or begins the first one.
func (o *Outbox) openTail() error {
	if len(o.segs) == 0 || o.active().size < segmentHeader || o.active().size >= o.opt.SegmentBytes {
		return o.newSegment(o.next)
	}
	f, err := os.OpenFile(o.active().path, os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	o.text = f
	return nil
}

// listFiles returns the numbers of text and picture files in order, and removes
// what an interrupted rewrite left.
func listFiles(dir string) (logs, pics []uint64, err error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range files {
		name := f.Name()
		if strings.HasSuffix(name, tmpSuffix) {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				return nil, nil, err
			}
			continue
		}
		id, err := strconv.ParseUint(strings.TrimSuffix(name, filepath.Ext(name)), 10, 64)
		if err != nil {
			continue // the lock, the cursor, or nothing of ours
		}
		switch filepath.Ext(name) {
		case textSuffix:
			logs = append(logs, id)
		case pictureSuffix:
			pics = append(pics, id)
		}
	}
	slices.SortFunc(logs, cmp.Compare[uint64])
	slices.SortFunc(pics, cmp.Compare[uint64])
	return logs, pics, nil
}

// readInto reads a whole file into the memory of buf where it fits.
func readInto(buf []byte, path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	buf = slices.Grow(buf[:0], int(info.Size()))[:info.Size()]
	_, err = io.ReadFull(f, buf)
	return buf, err
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
