package stream

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sort"
	"time"

	"github.com/sharpeyes/sharpeyes/api"
)

// lane is a kind of thing that waits in the outbox. Lanes are served in the
// order of their numbers: the text of an alert overtakes every picture, a picture
// every repeat of a state.
type lane uint8

const (
	laneAlerts lane = iota
	lanePictures
	laneReports
	laneCount
)

// part is what is sent and confirmed by itself: the text of an envelope, or the
// picture that came with it.
type part struct {
	seq     uint64
	picture bool
}

// entry is one part on its way out.
type entry struct {
	part
	at   time.Time
	json []byte
	jpeg []byte // of a picture; nil when it was dropped: then json says so
}

func (e *entry) size() int { return len(e.json) + len(e.jpeg) }

// waits reports whether the ref has something for the lane.
func (r *ref) waits(l lane) bool {
	switch l {
	case laneAlerts:
		return r.kind == kindAlert && !r.textDone
	case lanePictures:
		return r.picture
	}
	return r.kind != kindAlert && !r.textDone
}

// page returns what waits in the lane behind the number after and up to upto, in
// order, at most n entries and about maxBytes. reached is the number up to which
// everything was looked at: the after of the next page. It does not wait, and
// changes nothing: what is not acked is returned again.
func (o *Outbox) page(l lane, after, upto uint64, n, maxBytes int) (got []entry, reached uint64, err error) {
	for after < upto {
		o.mu.Lock()
		if o.closed {
			o.mu.Unlock()
			return nil, after, ErrClosed
		}
		s, refs, next, f, err := o.ahead(l, after, upto, n)
		o.mu.Unlock()
		if err != nil {
			return nil, after, fmt.Errorf("outbox: read: %w", err)
		}
		if len(refs) == 0 {
			return nil, next, nil
		}
		got, err := o.load(s.id, f, refs, l == lanePictures, maxBytes)
		if err != nil {
			return nil, after, err
		}
		if len(got) > 0 {
			if len(got) < len(refs) {
				next = got[len(got)-1].seq
			}
			return got, next, nil
		}
		after = next // all of them were damaged and are skipped now
	}
	return nil, after, nil
}

// ahead returns up to n refs of one segment and its file, opened in the same step
// so that neither removal nor compaction can come between, and the number up to
// which it looked. The caller holds mu.
func (o *Outbox) ahead(l lane, after, upto uint64, n int) (*segment, []ref, uint64, *os.File, error) {
	upto = min(upto, o.last)
	from := sort.Search(len(o.segs), func(i int) bool {
		refs := o.segs[i].refs
		return len(refs) == 0 || refs[len(refs)-1].seq > after
	})
	for _, s := range o.segs[from:] {
		i := sort.Search(len(s.refs), func(i int) bool { return s.refs[i].seq > after })
		var refs []ref
		for i = max(i, s.head); i < len(s.refs) && len(refs) < n && s.refs[i].seq <= upto; i++ {
			if s.refs[i].waits(l) {
				refs = append(refs, s.refs[i])
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
				o.markAcked(part{r.seq, false})
				o.markAcked(part{r.seq, true})
			}
			if err := o.advance(); err != nil {
				return nil, nil, 0, nil, err
			}
			return o.ahead(l, refs[len(refs)-1].seq, upto, n)
		}
		return s, refs, refs[len(refs)-1].seq, f, err
	}
	return nil, nil, max(after, upto), nil, nil
}

// find returns one part that waits, as page would; ok is false when it is done.
func (o *Outbox) find(p part) (e entry, ok bool, err error) {
	o.mu.Lock()
	_, r := o.ref(p.seq)
	l := laneReports
	switch {
	case p.picture:
		l = lanePictures
	case r != nil && r.kind == kindAlert:
		l = laneAlerts
	}
	o.mu.Unlock()
	got, _, err := o.page(l, p.seq-1, p.seq, 1, 1)
	if err != nil || len(got) == 0 {
		return entry{}, false, err
	}
	return got[0], true, nil
}

// look returns the highest number that is durable and a channel that is closed
// when there is a higher one or the outbox is closed.
func (o *Outbox) look() (last uint64, more <-chan struct{}, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return 0, nil, ErrClosed
	}
	return o.last, o.grown, nil
}

// load reads the frames. Damaged ones are counted and never come again.
func (o *Outbox) load(segment uint64, f *os.File, refs []ref, pictures bool, maxBytes int) ([]entry, error) {
	open := map[uint64]*os.File{}
	defer func() {
		_ = f.Close() // only read
		for _, p := range open {
			_ = p.Close()
		}
	}()
	var got []entry
	for _, r := range refs {
		rec, err := readFrame(f, segment, r.off, r.size)
		if errors.Is(err, errDamaged) || errors.Is(err, errTorn) {
			o.damage("record", "seq", r.seq)
			if err := o.ack(part{r.seq, false}, part{r.seq, true}); err != nil {
				return got, err
			}
			continue
		}
		if err != nil {
			return got, fmt.Errorf("outbox: %w", err)
		}
		e := entry{part: part{rec.seq, pictures}, at: time.UnixMilli(rec.at), json: rec.body}
		switch {
		case pictures:
			err = o.loadPicture(&e, rec.picture, open)
		case rec.kind == kindAlert:
			err = o.promise(&e, rec.picture)
		}
		if err != nil {
			return got, err
		}
		got = append(got, e)
		if maxBytes -= e.size(); maxBytes <= 0 {
			break
		}
	}
	return got, nil
}

// promise lets the text of an alert name only a picture that is still there, so
// that nobody waits for another one.
func (o *Outbox) promise(e *entry, at pictureRef) error {
	if at.segment == 0 {
		// Nothing came with it. It may still say which picture belongs to the alert.
		return nil
	}
	o.mu.Lock()
	there := o.hasPictures(at.segment)
	o.mu.Unlock()
	if there {
		return nil
	}
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
	return o.ack(part{e.seq, true})
}

// loadPicture makes the entry the picture of its alert: with the JPEG, or, where
// that was dropped or is damaged, with the word that it will not come.
func (o *Outbox) loadPicture(e *entry, at pictureRef, open map[uint64]*os.File) error {
	var env api.Envelope
	if err := json.Unmarshal(e.json, &env); err != nil {
		return fmt.Errorf("outbox: entry %d: %w", e.seq, err)
	}
	if env.Alert == nil || env.Alert.Picture == nil {
		return fmt.Errorf("outbox: entry %d: a picture without its alert", e.seq)
	}
	jpeg, err := o.readPicture(e.seq, at, open)
	if err != nil {
		return err
	}
	env.Picture = &api.PictureReport{Alert: env.Alert.ID, Camera: env.Alert.Camera, Picture: *env.Alert.Picture, Lost: jpeg == nil}
	env.Alert = nil
	b, err := json.Marshal(&env)
	if err != nil {
		return fmt.Errorf("outbox: entry %d: %w", e.seq, err)
	}
	e.json, e.jpeg = b, jpeg
	return nil
}

// readPicture returns nil without an error when the JPEG is not there any more.
func (o *Outbox) readPicture(seq uint64, at pictureRef, open map[uint64]*os.File) ([]byte, error) {
	f := open[at.segment]
	if f == nil {
		var err error
		f, err = os.Open(o.path(at.segment, pictureSuffix))
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("outbox: %w", err)
		}
		open[at.segment] = f
	}
	rec, err := readFrame(f, at.segment, at.off, at.size)
	switch {
	case errors.Is(err, errDamaged) || errors.Is(err, errTorn) || err == nil && rec.seq != seq:
		o.damage("picture", "seq", seq)
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("outbox: %w", err)
	}
	return rec.body, nil
}

// ack says that the parts need not be sent again, in any order. It is not
// synced: after a loss of power some are sent twice.
func (o *Outbox) ack(parts ...part) error {
	o.mu.Lock()
	for _, p := range parts {
		o.markAcked(p)
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

// markAcked marks one part. The caller holds mu and calls advance.
func (o *Outbox) markAcked(p part) {
	s, r := o.ref(p.seq)
	if r == nil || r.acked {
		return
	}
	if p.picture {
		r.picture = false
	} else {
		r.textDone = true
	}
	if r.acked = r.textDone && !r.picture; !r.acked {
		return
	}
	s.live--
	o.depth--
	if r.repeat {
		s.repeats--
	}
}

// pictures returns the pictures that wait for no more than the texts among the
// parts, which are acked.
func (o *Outbox) pictures(parts []part) []part {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []part
	for _, p := range parts {
		if _, r := o.ref(p.seq); r != nil && !p.picture && r.textDone && r.picture {
			out = append(out, part{p.seq, true})
		}
	}
	return out
}

// ref finds the entry of a number and its segment; the entry is nil when it is
// gone. The caller holds mu.
func (o *Outbox) ref(seq uint64) (*segment, *ref) {
	from := sort.Search(len(o.segs), func(i int) bool {
		refs := o.segs[i].refs
		return len(refs) == 0 || refs[len(refs)-1].seq >= seq
	})
	for _, s := range o.segs[from:] {
		if len(s.refs) > 0 {
			return s, s.find(seq)
		}
	}
	return nil, nil
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
		if i := slices.IndexFunc(s.refs[s.head:], func(r ref) bool { return !r.acked }); i >= 0 {
			return time.UnixMilli(s.refs[s.head+i].at), true
		}
	}
	return time.Time{}, false
}
