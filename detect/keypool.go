package detect

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// KeyPool decodes key units of many cameras with few decoders: a key unit needs
// nothing of what was before it, so one decoder serves any camera of its codec,
// of any size, and a camera in which nothing moves holds none. At most so many
// units are decoded at once as the pool has workers; who comes next waits in
// line, in order. It has no goroutine: the caller's own does the work. It is safe
// for concurrent use.
type KeyPool struct {
	newDecoder func(ingest.Codec) (Decoder, error)
	turns      chan struct{}

	mu     sync.Mutex
	idle   map[ingest.Codec][]Decoder
	closed bool
}

// ErrKeyPoolClosed is returned by Decode after Close.
var ErrKeyPoolClosed = errors.New("pool of key decoders is closed")

// NewKeyPool returns a pool of that many workers; 0 or less means one for each
// processor that Go uses. Decoders are made when they are first needed, at most
// as many of each codec as there are workers.
func NewKeyPool(workers int, newDecoder func(ingest.Codec) (Decoder, error)) *KeyPool {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	return &KeyPool{newDecoder: newDecoder, turns: make(chan struct{}, workers), idle: map[ingest.Codec][]Decoder{}}
}

// Decode waits for a turn until ctx is done, decodes one key unit and calls use
// with its picture, which is valid until use returns. While use runs the turn is
// taken, so it must be short. Errors are ErrBusy when no turn came in time, and
// the decoder's. A unit that yields no picture is an error too.
func (p *KeyPool) Decode(ctx context.Context, au ingest.AccessUnit, use func(*Frame)) error {
	_, err := p.decode(ctx, []ingest.AccessUnit{au}, false, use)
	return err
}

// DecodeTo is Decode for the picture of the last of units, which follow each other
// from a key unit on. It takes one turn for all of them.
func (p *KeyPool) DecodeTo(ctx context.Context, units []ingest.AccessUnit, use func(*Frame)) error {
	if len(units) == 0 {
		return &ingest.Fault{Reason: ingest.ReasonNoKeyFrame, Err: errors.New("nothing to decode")}
	}
	_, err := p.decode(ctx, units, false, use)
	return err
}

// decode is DecodeTo that also says how long it waited for its turn. With quick
// the picture is good enough to find motion in, and not to be shown.
func (p *KeyPool) decode(ctx context.Context, units []ingest.AccessUnit, quick bool, use func(*Frame)) (time.Duration, error) {
	asked := time.Now()
	select {
	case p.turns <- struct{}{}:
	case <-ctx.Done():
		return time.Since(asked), fmt.Errorf("key unit of camera %s: %w", units[0].Camera, ErrBusy)
	}
	waited := time.Since(asked)
	defer func() { <-p.turns }()
	return waited, p.once(units, quick, use)
}

func (p *KeyPool) once(units []ingest.AccessUnit, quick bool, use func(*Frame)) error {
	d, err := p.take(units[0].Codec)
	if err != nil {
		return err
	}
	defer p.give(units[0].Codec, d)
	sparing, spares := d.(Sparing)
	if spares {
		sparing.Deblock(!quick)
	}
	var frame *Frame
	for i, au := range units {
		if spares {
			sparing.Decimate(i == len(units)-1) // use sees no other
		}
		au.Lost = au.Lost || i == 0 // the decoder forgets the camera before
		if frame, err = d.Decode(au); err != nil {
			break
		}
	}
	if err == nil && frame == nil {
		frame, err = d.Drain()
	}
	switch {
	case err == nil && frame == nil:
		err = &ingest.Fault{Reason: ingest.ReasonUndecodable, Err: errors.New("key unit without a picture")}
	case err == nil:
		use(frame)
	}
	return err
}

func (p *KeyPool) take(c ingest.Codec) (Decoder, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrKeyPoolClosed
	}
	if list := p.idle[c]; len(list) > 0 {
		d := list[len(list)-1]
		p.idle[c] = list[:len(list)-1]
		return d, nil
	}
	return p.newDecoder(c)
}

func (p *KeyPool) give(c ingest.Codec, d Decoder) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		d.Close()
		return
	}
	p.idle[c] = append(p.idle[c], d)
}

// Close frees the decoders that are idle now; those at work are freed when they
// are done. Closing twice is harmless.
func (p *KeyPool) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for c, list := range p.idle {
		for _, d := range list {
			d.Close()
		}
		delete(p.idle, c)
	}
	return nil
}
