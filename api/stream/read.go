package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sharpeyes/sharpeyes/api"
)

// entry is one envelope on its way out.
type entry struct {
	seq  uint64
	kind kind
	at   time.Time
	json []byte
	jpeg []byte // nil when there is none, or when it was dropped: then json has no picture either
}

// read returns the oldest entries behind the number after, in order, at least
// one and at most n of them; it stops early once it has maxBytes. It blocks
// until there is one, ctx is done or the outbox is closed (ErrClosed). Reading
// changes nothing: what is not acked is returned again.
func (o *Outbox) read(ctx context.Context, after uint64, n, maxBytes int) ([]entry, error) {
	for {
		o.mu.Lock()
		if o.closed {
			o.mu.Unlock()
			return nil, ErrClosed
		}
		grown := o.grown
		s, refs, f, err := o.oldest(after, n)
		o.mu.Unlock()
		if err != nil {
			return nil, fmt.Errorf("outbox: read: %w", err)
		}
		if len(refs) > 0 {
			got, err := o.load(s.id, f, refs, maxBytes)
			if err != nil || len(got) > 0 {
				return got, err
			}
			continue // all of them were damaged and are skipped now
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-grown:
		}
	}
}

// oldest returns up to n refs of one segment and its file, opened in the same
// step so that neither removal nor compaction can come between. The caller
// holds mu.
func (o *Outbox) oldest(after uint64, n int) (*segment, []ref, *os.File, error) {
	for _, s := range o.segs {
		if s.live == 0 || s.refs[len(s.refs)-1].seq <= after {
			continue
		}
		var refs []ref
		for _, r := range s.refs[s.head:] {
			if !r.acked && r.seq > after {
				refs = append(refs, r)
			}
			if len(refs) == n {
				break
			}
		}
		if len(refs) == 0 {
			continue
		}
		f, err := os.Open(s.path)
		if errors.Is(err, os.ErrNotExist) {
			// Somebody removed the file. Nothing brings it back; going on does
			// deliver the rest.
			for _, r := range refs {
				o.damage("record", "seq", r.seq)
				o.markAcked(r.seq)
			}
			if err := o.advance(); err != nil {
				return nil, nil, nil, err
			}
			return o.oldest(after, n)
		}
		return s, refs, f, err
	}
	return nil, nil, nil, nil
}

// load reads the frames. Damaged ones are counted and never come again.
func (o *Outbox) load(segment uint64, f *os.File, refs []ref, maxBytes int) ([]entry, error) {
	pics := map[uint64]*os.File{}
	defer func() {
		_ = f.Close() // only read
		for _, p := range pics {
			_ = p.Close()
		}
	}()
	var got []entry
	for _, r := range refs {
		rec, err := readFrame(f, segment, r.off, r.size)
		if errors.Is(err, errDamaged) || errors.Is(err, errTorn) {
			o.damage("record", "seq", r.seq)
			if err := o.ack(r.seq); err != nil {
				return got, err
			}
			continue
		}
		if err != nil {
			return got, fmt.Errorf("outbox: %w", err)
		}
		e := entry{seq: rec.seq, kind: rec.kind, at: time.UnixMilli(rec.at), json: rec.body}
		if rec.kind == kindAlert {
			if err := o.loadPicture(&e, rec.picture, pics); err != nil {
				return got, err
			}
		}
		got = append(got, e)
		if maxBytes -= len(e.json) + len(e.jpeg); maxBytes <= 0 {
			break
		}
	}
	return got, nil
}

// loadPicture adds the JPEG. Where it was dropped or is damaged the alert says
// that it has none, so that nobody waits for it.
func (o *Outbox) loadPicture(e *entry, at pictureRef, open map[uint64]*os.File) error {
	if at.segment == 0 {
		// Nothing came with it. It may still say which picture belongs to the alert.
		return nil
	}
	f := open[at.segment]
	if f == nil {
		var err error
		f, err = os.Open(o.path(at.segment, pictureSuffix))
		if errors.Is(err, os.ErrNotExist) {
			return stripPicture(e)
		}
		if err != nil {
			return fmt.Errorf("outbox: %w", err)
		}
		open[at.segment] = f
	}
	rec, err := readFrame(f, at.segment, at.off, at.size)
	switch {
	case errors.Is(err, errDamaged) || errors.Is(err, errTorn) || err == nil && rec.seq != e.seq:
		o.damage("picture", "seq", e.seq)
		return stripPicture(e)
	case err != nil:
		return fmt.Errorf("outbox: %w", err)
	}
	e.jpeg = rec.body
	return nil
}

// stripPicture takes the picture out of the envelope's JSON.
func stripPicture(e *entry) error {
	var env api.Envelope
	if err := json.Unmarshal(e.json, &env); err != nil {
		return fmt.Errorf("outbox: entry %d: %w", e.seq, err)
	}
	env.Alert.Picture = nil
	b, err := json.Marshal(&env)
	if err != nil {
		return fmt.Errorf("outbox: entry %d: %w", e.seq, err)
	}
	e.json = b
	return nil
}

// ack says that the entries need not be sent again, in any order. It is not
// synced: after a loss of power some are sent twice.
func (o *Outbox) ack(seqs ...uint64) error {
	o.mu.Lock()
	for _, seq := range seqs {
		o.markAcked(seq)
	}
	err := o.advance()
	o.mu.Unlock()
	if err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
	return nil
}

// markAcked marks one entry. The caller holds mu and calls advance.
func (o *Outbox) markAcked(seq uint64) {
	for _, s := range o.segs {
		if len(s.refs) == 0 || s.refs[len(s.refs)-1].seq < seq {
			continue
		}
		if r := s.find(seq); r != nil && !r.acked {
			r.acked = true
			s.live--
			o.depth--
			if r.repeat {
				s.repeats--
			}
		}
		return
	}
}

// advance moves the cursor up to the oldest entry that is not acked. The caller
// holds mu.
func (o *Outbox) advance() error {
	acked := o.last
	for _, s := range o.segs {
		for s.head < len(s.refs) && s.refs[s.head].acked {
			s.head++
		}
		if s.head < len(s.refs) {
			acked = s.refs[s.head].seq - 1
			break
		}
	}
	if acked <= o.cursor.cur.acked {
		return nil
	}
	next := o.cursor.cur
	next.acked = acked
	return o.cursor.write(next)
}

// oldestAt returns the time of the oldest entry that is not acked.
func (o *Outbox) oldestAt() (time.Time, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range o.segs {
		for i := s.head; i < len(s.refs); i++ {
			if !s.refs[i].acked {
				return time.UnixMilli(s.refs[i].at), true
			}
		}
	}
	return time.Time{}, false
}
