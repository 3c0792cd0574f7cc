package stream

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// segment is one file of text frames. Its number is the number that the first
// envelope in it may have.
type segment struct {
	id      uint64
	path    string
	size    int64
	refs    []ref // by number, in the order of the file
	head    int   // refs before it are acked
	live    int   // refs that are not acked
	repeats int   // live refs that a newer report made superfluous
}

// ref is what is kept in memory of one envelope.
type ref struct {
	seq    uint64
	at     int64 // Unix milliseconds
	off    uint32
	size   uint32
	kind   kind
	repeat bool
	// textDone says that the text was delivered, picture that a JPEG is still to
	// be, acked that nothing is left.
	textDone, picture, acked bool
}

// pictureFile is one file of JPEG frames, apart from the text so that pictures
// can be given up by removing a file, which needs no room on a full disk.
type pictureFile struct {
	id     uint64
	path   string
	size   int64
	newest int64    // time of the newest picture, Unix milliseconds
	seqs   []uint64 // envelopes whose pictures it holds
}

// place is where the newest report of a key stands.
type place struct {
	seq uint64
	seg *segment
}

// find returns the ref with the number, or nil.
func (s *segment) find(seq uint64) *ref {
	i, ok := slices.BinarySearchFunc(s.refs, seq, func(r ref, seq uint64) int {
		switch {
		case r.seq < seq:
			return -1
		case r.seq > seq:
			return 1
		}
		return 0
	})
	if !ok {
		return nil
	}
	return &s.refs[i]
}

// add takes a durable record into the index. The caller holds mu.
func (o *Outbox) add(s *segment, off int64, size int, r *record) {
	done := r.seq <= o.cursor.cur.acked
	s.refs = append(s.refs, ref{
		seq: r.seq, at: r.at, off: uint32(off), size: uint32(size), kind: r.kind,
		textDone: done, acked: done, picture: !done && r.picture.segment != 0 && r.picture != lostPicture,
	})
	o.last = max(o.last, r.seq)
	if done {
		return
	}
	s.live++
	o.depth++
	if len(r.key) == 0 {
		return
	}
	if old, ok := o.newest[string(r.key)]; ok {
		if was := old.seg.find(old.seq); was != nil && !was.acked && !was.repeat {
			was.repeat = true
			old.seg.repeats++
		}
	}
	o.newest[string(r.key)] = place{r.seq, s}
}

// used returns the bytes on disk. The caller holds mu or is the committer.
func (o *Outbox) used() int64 {
	var n int64
	for _, s := range o.segs {
		n += s.size
	}
	for _, p := range o.pics {
		n += p.size
	}
	return n
}

func (o *Outbox) active() *segment { return o.segs[len(o.segs)-1] }

// newSegment opens an empty segment behind the others. seq is the lowest number
// that it will hold.
func (o *Outbox) newSegment(seq uint64) error {
	if len(o.segs) > 0 {
		seq = max(seq, o.active().id+1) // the last one may have been given up without an entry
	}
	s := &segment{id: seq, path: o.path(seq, textSuffix), size: segmentHeader}
	f, err := createFile(s.path, appendHeader(nil, seq))
	if err != nil {
		return fmt.Errorf("new segment: %w", err)
	}
	if err := errors.Join(f.Sync(), syncDir(o.dir)); err != nil {
		return errors.Join(fmt.Errorf("new segment: %w", err), f.Close(), os.Remove(s.path))
	}
	o.mu.Lock()
	next := o.cursor.cur
	next.newest = seq
	err = o.cursor.write(next)
	was := o.text
	o.text, o.segs = f, append(o.segs, s)
	o.mu.Unlock()
	if was != nil {
		err = errors.Join(err, was.Close())
	}
	return errors.Join(err, o.cursor.sync())
}

// newPictures opens an empty picture file behind the others.
func (o *Outbox) newPictures(seq uint64) error {
	seq = max(seq, o.lastPictures+1)
	p := &pictureFile{id: seq, path: o.path(seq, pictureSuffix), size: segmentHeader}
	f, err := createFile(p.path, appendHeader(nil, seq))
	if err != nil {
		return fmt.Errorf("new picture file: %w", err)
	}
	if err := syncDir(o.dir); err != nil {
		return errors.Join(fmt.Errorf("new picture file: %w", err), f.Close(), os.Remove(p.path))
	}
	o.closePictures()
	o.lastPictures = seq
	o.mu.Lock()
	o.picture, o.pics = f, append(o.pics, p)
	o.mu.Unlock()
	return nil
}

// closePictures ends the open picture file; the next picture opens a new one.
// Everything in it was synced by the commit that wrote it.
func (o *Outbox) closePictures() {
	if o.picture == nil {
		return
	}
	if err := o.picture.Close(); err != nil {
		o.log.Warn("outbox: close a picture file", "err", err)
	}
	o.picture = nil
}

func createFile(path string, header []byte) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err := f.WriteAt(header, 0); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return f, nil
}

// removeAcked removes the files of which nothing is needed any more. The cursor
// is made durable first: afterwards nothing else knows these numbers.
func (o *Outbox) removeAcked() {
	o.mu.Lock()
	acked := o.cursor.cur.acked
	var gone []string
	segs := slices.DeleteFunc(slices.Clone(o.segs), func(s *segment) bool {
		done := s.live == 0 && s != o.active()
		if done {
			gone = append(gone, s.path)
		}
		return done
	})
	pics := slices.DeleteFunc(slices.Clone(o.pics), func(p *pictureFile) bool {
		done := (len(p.seqs) == 0 || p.seqs[len(p.seqs)-1] <= acked) && (o.picture == nil || p != o.pics[len(o.pics)-1])
		if done {
			gone = append(gone, p.path)
		}
		return done
	})
	o.mu.Unlock()
	if len(gone) == 0 {
		return
	}
	if err := o.cursor.sync(); err != nil {
		o.log.Error("outbox: delivered envelopes stay on disk", "err", err)
		return
	}
	o.mu.Lock()
	o.segs, o.pics = segs, pics
	for key, at := range o.newest {
		if at.seq <= acked {
			delete(o.newest, key)
		}
	}
	o.mu.Unlock()
	o.unlink(gone...)
}

// unlink removes files. A file that stays is found and removed by the next open.
func (o *Outbox) unlink(paths ...string) {
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			o.log.Error("outbox: cannot remove a file", "file", path, "err", err)
		}
	}
}
