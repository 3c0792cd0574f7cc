package stream

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sharpeyes/sharpeyes/api"
)

// Errors of an outbox that a caller decides by.
var (
	// ErrFull is wrapped when not even the text of an envelope fits although all
	// pictures and repeats were dropped. Trying again helps once the center has
	// taken something.
	ErrFull = errors.New("outbox is full")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("outbox is closed")
)

// OutboxOptions bounds an outbox. The zero value of a field means its default.
type OutboxOptions struct {
	Node         string                // name of the node, for envelopes that bring none; default none
	MaxBytes     int64                 // bytes on disk; default 1 GiB, at least 256 KiB
	MaxAge       time.Duration         // pictures and repeats of a state older than this are dropped, alerts never; default 720 h
	SegmentBytes int64                 // size of one file; default a 32nd of MaxBytes, 64 KiB to 8 MiB
	Log          *slog.Logger          // default slog.Default()
	Registerer   prometheus.Registerer // default none
}

func (o *OutboxOptions) defaults() {
	o.MaxBytes = max(cmp.Or(o.MaxBytes, 1<<30), 256<<10)
	o.MaxAge = cmp.Or(o.MaxAge, 720*time.Hour)
	o.SegmentBytes = cmp.Or(o.SegmentBytes, min(max(o.MaxBytes/32, 64<<10), 8<<20))
	o.Log = cmp.Or(o.Log, slog.Default())
}

// Outbox keeps envelopes on disk, in order, until the center has them. When
// MaxBytes is reached it gives up the oldest pictures first, then camera and
// node reports that a newer report of the same camera or node makes
// superfluous, and never the text of an alert: when that does not fit, Put says
// so. An Outbox is safe for concurrent use; one process owns its folder.
type Outbox struct {
	dir  string
	opt  OutboxOptions
	log  *slog.Logger
	lock *os.File
	m    *outboxMetrics

	identity string // by which receipts know it

	wake chan struct{} // capacity 1: the committer has something to do
	quit chan struct{}
	done chan struct{} // the committer has ended

	// Written by the committer only, without mu.
	text         *os.File // the last of segs
	picture      *os.File // the last of pics, nil when none is open
	lastPictures uint64   // number of the newest picture file there ever was in this life

	mu     sync.Mutex
	closed bool
	next   uint64 // number of the next envelope
	last   uint64 // highest number that is durable
	filled *batch // what the next commit takes; nil when empty
	segs   []*segment
	pics   []*pictureFile
	newest map[string]place // the newest report by key
	cursor *cursorFile
	depth  int
	grown  chan struct{} // closed and replaced when entries become readable
}

// batch is what one commit makes durable. Its size is bounded by the number of
// callers that wait in Put, each with one envelope.
type batch struct {
	puts []*put
	done chan struct{}
}

type put struct {
	rec  record
	jpeg []byte
	err  error // set before batch.done is closed
}

// Put gives the envelope its number and time, makes it durable together with
// the JPEG of its alert, and returns the number. It blocks for about one sync
// of the disk; concurrent calls share it. The envelope is not kept. An error
// means that nothing of it will be sent, unless the process dies at once: then
// it may be. A JPEG that does not fit is dropped and counted without an error.
func (o *Outbox) Put(e api.Envelope) (uint64, error) {
	p := &put{}
	b, err := o.enqueue(e, p)
	if err != nil {
		return 0, err
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
	<-b.done
	if p.err != nil {
		return 0, fmt.Errorf("outbox: put %d: %w", p.rec.seq, p.err)
	}
	return p.rec.seq, nil
}

// enqueue numbers and encodes the envelope under the lock, so that the order on
// disk is the order of the numbers.
func (o *Outbox) enqueue(e api.Envelope, p *put) (*batch, error) {
	p.rec.kind, p.rec.key = envelopeKind(&e)
	if p.rec.kind == 0 {
		return nil, fmt.Errorf("outbox: %w: want exactly one of alert, camera and node report", api.ErrEnvelope)
	}
	if len(p.rec.key) > maxKey {
		return nil, fmt.Errorf("outbox: %w: camera ID of %d bytes; at most %d", api.ErrEnvelope, len(p.rec.key), maxKey)
	}
	e.Node = cmp.Or(e.Node, o.opt.Node)
	if e.Node == "" {
		return nil, fmt.Errorf("outbox: %w: no node name", api.ErrEnvelope)
	}
	e.V = cmp.Or(e.V, api.Version)
	if e.Alert != nil && e.Alert.Picture != nil {
		p.jpeg = e.Alert.Picture.JPEG
	}

	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil, ErrClosed
	}
	e.Seq, e.Time = o.next, time.Now()
	body, err := json.Marshal(&e)
	if err != nil {
		return nil, fmt.Errorf("outbox: encode: %w", err)
	}
	if len(body) > maxText {
		return nil, fmt.Errorf("outbox: %w: %d bytes of JSON; at most %d", api.ErrEnvelope, len(body), maxText)
	}
	o.next++
	p.rec.seq, p.rec.at, p.rec.body = e.Seq, e.Time.UnixMilli(), body
	if o.filled == nil {
		o.filled = &batch{done: make(chan struct{})}
	}
	o.filled.puts = append(o.filled.puts, p)
	return o.filled, nil
}

// envelopeKind returns 0 unless e has exactly one body. An operation is kept as
// an alert is: the register must not miss one. Pictures are not put: they come
// with their alert.
func envelopeKind(e *api.Envelope) (kind, []byte) {
	switch {
	case e.Operation != nil && e.Alert == nil && e.Picture == nil && e.Camera == nil && e.NodeUp == nil:
		return kindAlert, nil
	case e.Operation != nil || e.Picture != nil:
		return 0, nil
	case e.Alert != nil && e.Camera == nil && e.NodeUp == nil:
		return kindAlert, nil
	case e.Camera != nil && e.Alert == nil && e.NodeUp == nil:
		return kindCamera, []byte("c:" + e.Camera.Camera.ID)
	case e.NodeUp != nil && e.Alert == nil && e.Camera == nil:
		return kindNode, []byte("n:")
	}
	return 0, nil
}

// Depth returns the number of envelopes that the center does not have yet.
func (o *Outbox) Depth() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.depth
}

// Close waits for the calls of Put that are under way, syncs and gives the
// folder free. Later calls return ErrClosed. Close may be called twice.
func (o *Outbox) Close() error {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		<-o.done
		return nil
	}
	o.closed = true
	close(o.grown) // readers wake up and see that it is closed
	o.mu.Unlock()
	close(o.quit)
	<-o.done
	o.m.unregister()
	err := errors.Join(o.cursor.sync(), o.closeFiles())
	if err != nil {
		return fmt.Errorf("outbox %s: close: %w", o.dir, err)
	}
	return nil
}

// closeFiles closes what is open and releases the lock last.
func (o *Outbox) closeFiles() error {
	var errs []error
	for _, f := range []*os.File{o.text, o.picture, o.cursorHandle(), o.lock} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

func (o *Outbox) cursorHandle() *os.File {
	if o.cursor == nil {
		return nil
	}
	return o.cursor.f
}

// run is the committer: the one goroutine that changes files.
func (o *Outbox) run() {
	defer close(o.done)
	sweep := time.NewTicker(min(max(o.opt.MaxAge/100, time.Second), 10*time.Minute))
	defer sweep.Stop()
	for {
		select {
		case <-o.wake:
		case <-sweep.C:
			o.expire(time.Now())
		case <-o.quit:
			o.commitFilled()
			o.removeAcked()
			return
		}
		o.commitFilled()
		o.removeAcked()
	}
}

func (o *Outbox) path(id uint64, suffix string) string {
	return filepath.Join(o.dir, fmt.Sprintf("%020d%s", id, suffix))
}

const (
	textSuffix    = ".log"
	pictureSuffix = ".pic"
)
