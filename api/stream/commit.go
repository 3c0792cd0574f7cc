package stream

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// reserveBlock is how many numbers the cursor reserves at a time. So many are
// skipped when segments went missing from the folder.
const reserveBlock = 10_000

// commitBytes bounds what one commit holds in memory a second time.
const commitBytes = 32 << 20

// commitFilled makes batches durable until none is waiting.
func (o *Outbox) commitFilled() {
	for {
		o.mu.Lock()
		b := o.filled
		o.filled = nil
		o.mu.Unlock()
		if b == nil {
			return
		}
		for puts := b.puts; len(puts) > 0; {
			n, bytes := 0, 0
			for n < len(puts) && bytes < commitBytes {
				bytes += puts[n].rec.frameSize() + len(puts[n].jpeg)
				n++
			}
			o.commit(puts[:n])
			puts = puts[n:]
		}
		close(b.done)
	}
}

// commit writes the pictures of the puts, then their text, each with one sync, and
// shows the entries to readers. It sets the errors of the puts.
func (o *Outbox) commit(puts []*put) {
	puts = o.fit(puts)
	if len(puts) == 0 {
		return
	}
	o.writePictures(puts)
	err := o.reserve(puts[len(puts)-1].rec.seq)
	if err == nil {
		err = o.writeText(puts)
	}
	// A full disk can be helped by giving up pictures, file by file.
	for errors.Is(err, unix.ENOSPC) && o.dropOldestPictures("disk full") {
		for _, p := range puts {
			if p.rec.picture.segment != 0 && !o.hasPictures(p.rec.picture.segment) {
				p.rec.picture = lostPicture
			}
		}
		err = o.writeText(puts)
	}
	if err == nil {
		o.m.appends.Add(float64(len(puts)))
		return
	}
	o.log.Error("outbox: envelopes are LOST: the disk does not take them", "envelopes", len(puts), "err", err)
	for _, p := range puts {
		p.err = err
		o.m.dropped[whatOf(p.rec.kind)].Inc()
	}
}

// fit makes room for the puts and returns those that fit, without the pictures
// that do not.
func (o *Outbox) fit(puts []*put) []*put {
	var need int64
	fits := puts[:0:0]
	for _, p := range puts {
		if len(p.jpeg) > maxPicture {
			o.log.Error("outbox: picture is too large and is dropped", "bytes", len(p.jpeg), "most", maxPicture)
			o.m.dropped["picture"].Inc()
			p.jpeg, p.rec.picture = nil, lostPicture
		}
		text, jpeg := int64(p.rec.frameSize()), int64(0)
		if len(p.jpeg) > 0 {
			jpeg = int64(frameHeader + payloadFixed + len(p.jpeg))
		}
		switch {
		case o.makeRoom(need + text + jpeg):
			need += text + jpeg
		case o.makeRoom(need + text):
			o.m.dropped["picture"].Inc()
			p.jpeg, p.rec.picture = nil, lostPicture
			need += text
		default:
			p.err = fmt.Errorf("%w: %d of %d bytes used and nothing left to give up; restore the link to the center or raise edge.outbox.max_bytes",
				ErrFull, o.used(), o.opt.MaxBytes)
			o.log.Error("outbox: full: an envelope is LOST", "kind", whatOf(p.rec.kind), "used", o.used(), "max", o.opt.MaxBytes)
			o.m.dropped[whatOf(p.rec.kind)].Inc()
			continue
		}
		fits = append(fits, p)
	}
	return fits
}

// reserve makes sure that the cursor covers the number on disk before the
// number is used.
func (o *Outbox) reserve(seq uint64) error {
	o.mu.Lock()
	c := o.cursor.cur
	if seq <= c.reserved {
		o.mu.Unlock()
		return nil
	}
	c.reserved = seq + reserveBlock
	err := o.cursor.write(c)
	o.mu.Unlock()
	if err != nil {
		return err
	}
	return o.cursor.sync()
}

// writePictures makes the JPEGs durable and notes in the records where they
// are. A picture that cannot be written is dropped; its alert goes on.
func (o *Outbox) writePictures(puts []*put) {
	var with []*put
	for _, p := range puts {
		if len(p.jpeg) > 0 {
			with = append(with, p)
		}
	}
	if len(with) == 0 {
		return
	}
	err := o.tryPictures(with)
	for errors.Is(err, unix.ENOSPC) && o.dropOldestPictures("disk full") {
		err = o.tryPictures(with)
	}
	if err == nil {
		return
	}
	o.log.Error("outbox: pictures are lost: the disk does not take them", "pictures", len(with), "err", err)
	o.m.dropped["picture"].Add(float64(len(with)))
	for _, p := range with {
		p.rec.picture = lostPicture
	}
}

func (o *Outbox) tryPictures(with []*put) error {
	if o.picture == nil || o.pics[len(o.pics)-1].size >= o.opt.SegmentBytes {
		if err := o.newPictures(with[0].rec.seq); err != nil {
			return err
		}
	}
	to := o.pics[len(o.pics)-1]
	buf := make([]byte, 0, len(with)*(64<<10))
	for _, p := range with {
		r := record{kind: kindPicture, seq: p.rec.seq, at: p.rec.at, body: p.jpeg}
		p.rec.picture = pictureRef{segment: to.id, off: uint32(to.size) + uint32(len(buf)), size: uint32(r.frameSize())}
		buf = appendFrame(buf, to.id, int64(p.rec.picture.off), &r)
	}
	if err := o.append(o.picture, buf, to.size); err != nil {
		o.closePictures() // what a failed sync left behind is not to be trusted
		if len(to.seqs) == 0 {
			o.mu.Lock()
			o.pics = o.pics[:len(o.pics)-1]
			o.mu.Unlock()
			o.unlink(to.path)
		}
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	to.size += int64(len(buf))
	for _, p := range with {
		to.seqs = append(to.seqs, p.rec.seq)
		to.newest = max(to.newest, p.rec.at)
	}
	return nil
}

func (o *Outbox) writeText(puts []*put) error {
	if o.text == nil || o.active().size >= o.opt.SegmentBytes {
		if err := o.newSegment(puts[0].rec.seq); err != nil {
			return err
		}
	}
	s := o.active()
	buf := make([]byte, 0, len(puts)*1024)
	offs := make([]int64, len(puts))
	for i, p := range puts {
		offs[i] = s.size + int64(len(buf))
		buf = appendFrame(buf, s.id, offs[i], &p.rec)
	}
	if err := o.append(o.text, buf, s.size); err != nil {
		// After a failed sync the kernel may have thrown pages away and called
		// them clean. This file gets no more frames.
		err = errors.Join(err, o.text.Close())
		o.text = nil
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	s.size += int64(len(buf))
	for i, p := range puts {
		o.add(s, offs[i], p.rec.frameSize(), &p.rec)
	}
	if !o.closed {
		close(o.grown)
		o.grown = make(chan struct{})
	}
	return nil
}

// append writes at the end of a file and syncs. On an error it tries to take
// the bytes back, so that they are neither sent nor in the way.
func (o *Outbox) append(f *os.File, b []byte, at int64) error {
	start := time.Now()
	_, err := f.WriteAt(b, at)
	if err == nil {
		err = f.Sync()
	}
	o.m.sync.Observe(time.Since(start).Seconds())
	if err != nil {
		return errors.Join(err, f.Truncate(at))
	}
	return nil
}
