package gb28181

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sharpeyes/sharpeyes/gb28181/manscdp"
	"github.com/sharpeyes/sharpeyes/gb28181/media"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// Times of history sessions.
const (
	historySilence = 15 * time.Second       // without media, unless paused
	settled        = 500 * time.Millisecond // without a packet after the end was told: nothing is on its way
	settleWithin   = 5 * time.Second
)

// Span is a stretch of recorded video on a device.
type Span struct {
	Device   string // 20 digits
	Channel  string
	From, To time.Time // by the device's clock, to the second
}

func (s Span) check() error {
	if !s.From.Before(s.To) {
		return fmt.Errorf("channel %s: the time to play from is not before that to play to", s.Channel)
	}
	return nil
}

// Playback is a record that plays on a device (GB/T 28181 §9.8). Its methods may
// be called from any goroutine.
type Playback struct{ c *call }

// Playback asks a device to play a record and returns when it has accepted; with
// TCP, when media comes or it is known that none will. The access units go to
// sink, in decode order, as fast as the device sends them. It must be closed. The
// error is a *ingest.Fault or ctx.Err().
func (p *Platform) Playback(ctx context.Context, span Span, sink ingest.Sink) (*Playback, error) {
	c, err := p.openHistory(ctx, span, wish{kind: playback, sink: sink})
	if err != nil {
		return nil, err
	}
	return &Playback{c}, nil
}

// openHistory opens a call for a record, by UDP if nobody connects by TCP.
func (p *Platform) openHistory(ctx context.Context, span Span, w wish) (*call, error) {
	if err := span.check(); err != nil {
		return nil, err
	}
	dev := p.device(span.Device)
	if dev == nil {
		return nil, p.absent(span.Device)
	}
	t, mayFall := p.calls.transport(dev)
	w.dev, w.channel, w.from, w.to, w.transport = dev, span.Channel, span.From, span.To, t
	w.wait, w.silence = defaultTimeout, historySilence
	if mayFall {
		w.wait = defaultTimeout / 2
	}
	c, err := p.openCall(ctx, w)
	if err != nil || !mayFall {
		return c, err
	}
	select {
	case <-c.flowing:
		return c, nil
	case <-c.stream.Done():
	case <-c.dialog.Done():
	case <-c.finished:
	case <-ctx.Done():
	}
	if !errors.Is(c.stream.Err(), media.ErrNobody) || ctx.Err() != nil {
		return c, nil // how it ended is told by whoever waits for its end
	}
	c.close(c.stream.Err())
	w.transport, w.fell, w.wait = media.UDP, true, defaultTimeout
	return p.openCall(ctx, w)
}

// Pause stops the record where it stands.
func (b *Playback) Pause(ctx context.Context) error {
	if err := b.order(ctx, manscdp.RTSP{Method: manscdp.RTSPPause}); err != nil {
		return err
	}
	b.c.rest(true)
	return nil
}

// Resume goes on where it stands.
func (b *Playback) Resume(ctx context.Context) error {
	return b.play(ctx, manscdp.RTSP{From: manscdp.NowFrom()})
}

// Seek goes on at an offset from the beginning of the span.
func (b *Playback) Seek(ctx context.Context, offset time.Duration) error {
	return b.play(ctx, manscdp.RTSP{From: manscdp.At(max(offset, 0))})
}

// Speed plays at a factor of real time: 0.25 to 8 by what devices can; below 0
// is backwards, for devices of 2022. It goes on if it was paused.
func (b *Playback) Speed(ctx context.Context, factor float64) error {
	return b.play(ctx, manscdp.RTSP{Scale: factor})
}

func (b *Playback) play(ctx context.Context, m manscdp.RTSP) error {
	m.Method = manscdp.RTSPPlay
	if err := b.order(ctx, m); err != nil {
		return err
	}
	b.c.rest(false)
	return nil
}

// order sends MANSRTSP and reads the answer. A device may answer INFO without a
// body: then the 200 is the answer.
func (b *Playback) order(ctx context.Context, m manscdp.RTSP) error {
	c := b.c
	c.mu.Lock()
	c.cseq++
	m.CSeq = c.cseq
	d := c.dialog
	c.mu.Unlock()
	res, err := d.info(ctx, m.Marshal())
	if err == nil {
		if a, bad := manscdp.ParseRTSP(res.Body()); bad == nil && a.Status >= 300 {
			err = &statusError{Code: a.Status, Reason: "in MANSRTSP"}
		}
	}
	if err != nil {
		return fmt.Errorf("device %s, channel %s: %s: %w", c.dev.id, c.channel, m.Method, err)
	}
	return nil
}

// rest notes that no media is due, or that it is again.
func (c *call) rest(paused bool) {
	c.mu.Lock()
	c.paused = paused
	c.mu.Unlock()
	c.stream.Pause(paused)
}

// Wait returns when the record has ended: nil at its end, a *ingest.Fault when it
// failed, or ctx.Err(). After nil nothing more goes to the sink.
func (b *Playback) Wait(ctx context.Context) error {
	err := b.c.wait(ctx)
	if b.c.finish(ctx, err) {
		b.c.close(nil)
		return nil
	}
	b.c.close(err)
	return b.c.p.ended(ctx, b.c, err)
}

// finish takes what is left of a record that has ended with err, and says whether
// that is its own end. Some devices end a record by BYE alone.
func (c *call) finish(ctx context.Context, err error) bool {
	if err == nil {
		c.settle(ctx)
	}
	whole := err == nil || errors.Is(err, errPeerBye)
	if whole {
		c.stream.Finish()
	}
	return whole
}

// settle waits until what is on its way has come.
func (c *call) settle(ctx context.Context) {
	limit, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	for limit.Err() == nil {
		left := settled
		if last := c.stream.Stats().LastPacket; !last.IsZero() {
			left = settled - time.Since(last)
		}
		if left <= 0 || !pause(limit, left) {
			return
		}
		if c.stream.Stats().LastPacket.IsZero() {
			return
		}
	}
}

// Stats returns what came so far.
func (b *Playback) Stats() media.Stats { return b.c.stream.Stats() }

// Close hangs up, if the record still plays, and waits for the device's answer
// for 2 s at most.
func (b *Playback) Close() { b.c.close(context.Canceled) }

// progress is a sink that follows how far a record has come.
type progress struct {
	ingest.Sink

	mu          sync.Mutex
	begun       bool
	first, last time.Duration
}

// Write implements ingest.Sink.
func (s *progress) Write(u ingest.AccessUnit) {
	s.mu.Lock()
	if !s.begun {
		s.begun, s.first, s.last = true, u.PTS, u.PTS
	}
	s.last = max(s.last, u.PTS)
	s.mu.Unlock()
	s.Sink.Write(u)
}

// played returns how much of the record came.
func (s *progress) played() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last - s.first
}
