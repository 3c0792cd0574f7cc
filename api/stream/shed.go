package stream

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// makeRoom gives up what the drop policy allows until need more bytes fit: what
// is delivered, then the oldest pictures, then repeats. Committer only.
func (o *Outbox) makeRoom(need int64) bool {
	limit := o.opt.MaxBytes
	for o.used()+need > limit {
		switch {
		case o.rotateDelivered():
		case o.dropOldestPictures("outbox full"):
		case o.compactOne(func(*segment) bool { return true }):
			// Rewriting is dear. It makes room for some time, not for one envelope.
			limit = o.opt.MaxBytes - o.opt.MaxBytes/32
		default:
			return o.used()+need <= o.opt.MaxBytes
		}
	}
	return true
}

// rotateDelivered gives the active files free when everything in them is
// delivered. It reports whether that made room.
func (o *Outbox) rotateDelivered() bool {
	before := o.used()
	o.mu.Lock()
	s, seq := o.active(), o.next
	idle := s.live == 0 && len(s.refs) > 0
	if o.filled != nil {
		seq = o.filled.puts[0].rec.seq
	}
	o.mu.Unlock()
	if n := len(o.pics); o.picture != nil && n > 0 && o.delivered(o.pics[n-1]) {
		o.closePictures()
	}
	if idle && o.text != nil {
		// The batch in hand is not in a segment yet: its numbers are higher than
		// every one that is, so the segment may start behind those.
		if err := o.newSegment(min(seq, o.last+1)); err != nil {
			o.log.Error("outbox: cannot begin a new segment", "err", err)
		}
	}
	o.removeAcked()
	return o.used() < before
}

func (o *Outbox) delivered(p *pictureFile) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(p.seqs) > 0 && p.seqs[len(p.seqs)-1] <= o.cursor.cur.acked
}

func (o *Outbox) hasPictures(id uint64) bool {
	return slices.ContainsFunc(o.pics, func(p *pictureFile) bool { return p.id == id })
}

// dropOldestPictures removes the oldest picture file and counts the pictures in
// it that were not delivered. It reports false when there is none.
func (o *Outbox) dropOldestPictures(why string) bool {
	if len(o.pics) == 0 {
		return false
	}
	p := o.pics[0]
	if len(o.pics) == 1 {
		o.closePictures()
	}
	o.mu.Lock()
	o.pics = o.pics[1:]
	lost := 0
	for _, seq := range p.seqs {
		if seq > o.cursor.cur.acked {
			lost++
		}
	}
	o.mu.Unlock()
	o.unlink(p.path)
	if lost > 0 {
		o.m.dropped["picture"].Add(float64(lost))
		o.log.Warn("outbox: pictures dropped", "pictures", lost, "why", why)
	}
	return true
}

// compactOne rewrites one segment that eligible accepts without its delivered
// and repeated entries. It reports false when none has repeats, or on an error.
func (o *Outbox) compactOne(eligible func(*segment) bool) bool {
	var s *segment
	o.mu.Lock()
	for _, c := range o.segs {
		if c.repeats > 0 && eligible(c) && (s == nil || c.repeats > s.repeats) {
			s = c
		}
	}
	active := s != nil && s == o.active()
	next := o.last + 1
	o.mu.Unlock()
	if s == nil {
		return false
	}
	if active && o.text != nil {
		if err := o.newSegment(next); err != nil {
			o.log.Error("outbox: cannot begin a new segment", "err", err)
			return false
		}
	}
	if err := o.compact(s); err != nil {
		o.log.Error("outbox: cannot rewrite a segment", "file", s.path, "err", err)
		return false
	}
	return true
}

// compact replaces the file of s in one step. A crash leaves the old one or the
// new one.
func (o *Outbox) compact(s *segment) error {
	old, err := os.ReadFile(s.path)
	if err != nil {
		return err
	}
	o.mu.Lock()
	kept := slices.DeleteFunc(slices.Clone(s.refs), func(r ref) bool { return r.acked || r.repeat })
	o.mu.Unlock()
	buf := appendHeader(nil, s.id)
	whole := kept[:0]
	for _, r := range kept {
		rec, _, err := parseFrame(old[min(int(r.off), len(old)):], s.id, int64(r.off))
		if err != nil {
			o.damage("record", "seq", r.seq)
			continue
		}
		r.off = uint32(len(buf))
		buf = appendFrame(buf, s.id, int64(r.off), &rec)
		whole = append(whole, r)
	}
	tmp := s.path + tmpSuffix
	if err := writeSynced(tmp, buf); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	o.mu.Lock()
	err = os.Rename(tmp, s.path) // under the lock: a reader opens the file and takes the offsets in one step
	if err == nil {
		err = o.replaceRefs(s, whole, int64(len(buf)))
	}
	o.mu.Unlock()
	return errors.Join(err, syncDir(o.dir))
}

// replaceRefs takes the index of a rewritten segment. Entries that were acked
// meanwhile stay acked. The caller holds mu.
func (o *Outbox) replaceRefs(s *segment, kept []ref, size int64) error {
	live := 0
	for i := range kept {
		if was := s.find(kept[i].seq); was != nil {
			kept[i].acked, kept[i].repeat, kept[i].textDone, kept[i].picture = was.acked, was.repeat, was.textDone, was.picture
		}
		if !kept[i].acked {
			live++
		}
	}
	o.m.dropped["state"].Add(float64(s.repeats))
	o.depth -= s.live - live
	s.refs, s.size, s.live, s.head, s.repeats = kept, size, live, 0, 0
	return o.advance()
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(b); err != nil {
		return errors.Join(err, f.Close())
	}
	return errors.Join(f.Sync(), f.Close())
}

// expire gives up pictures and repeats that are older than MaxAge.
func (o *Outbox) expire(now time.Time) {
	limit := now.Add(-o.opt.MaxAge).UnixMilli()
	for len(o.pics) > 0 && o.pics[0].newest < limit && len(o.pics[0].seqs) > 0 {
		o.dropOldestPictures("too old")
	}
	for o.compactOne(func(s *segment) bool { return s.refs[len(s.refs)-1].at < limit }) {
	}
}

// readFrame reads the frame at off and checks it.
func readFrame(f *os.File, segment uint64, off, size uint32) (record, error) {
	b := make([]byte, size)
	if _, err := f.ReadAt(b, int64(off)); err != nil && !errors.Is(err, io.EOF) {
		return record{}, fmt.Errorf("read %s: %w", f.Name(), err)
	}
	r, _, err := parseFrame(b, segment, int64(off))
	return r, err
}
