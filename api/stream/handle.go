package stream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sharpeyes/sharpeyes/api"
)

// deliver takes a batch through the handler. It returns once each message is
// acknowledged, as handled or as dead letter, or with an error of Redis or ctx.
func (r *reader) deliver(ctx context.Context, batch []delivery) error {
	held, err := r.sort(ctx, batch)
	if err != nil {
		return err
	}
	wait := backoff{min: r.opt.MinWait, max: r.opt.MaxWait}
	trouble := troubleLog{log: r.log, msg: "consumer: handler fails; the messages come again"}
	for tries := 4; len(held) > 0; tries *= 2 {
		failure := r.call(ctx, held)
		if failure == nil {
			trouble.over("consumer: handler works again")
			return r.ack(ctx, held...)
		}
		trouble.failed(failure)
		handled := 0
		if ctx.Err() == nil {
			if held, handled, err = r.singly(ctx, held, tries); err != nil {
				return err
			}
		}
		if held, err = r.keep(ctx, held, failure); err != nil {
			return err
		}
		if ctx.Err() == nil && handled == 0 && len(held) > 0 {
			_ = wait.wait(ctx) // the next line looks at ctx
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// New messages join those that failed, so that one bad message neither
		// stops the others nor stays without anything to compare it with.
		if len(held) > 0 && len(held) < 4*r.opt.Batch {
			batch, err := r.next(ctx, -1, held)
			if err != nil {
				return err
			}
			fresh, err := r.sort(ctx, batch)
			if err != nil {
				return err
			}
			held = append(held, fresh...)
		}
	}
	return nil
}

// sort parses a batch. What is not an envelope, or was delivered too often,
// goes to the dead letters.
func (r *reader) sort(ctx context.Context, batch []delivery) ([]Message, error) {
	var good []Message
	for _, d := range batch {
		if d.Values == nil { // deleted from the stream while it was pending
			r.log.Error("consumer: a message was deleted by someone before it was handled", "id", d.ID)
			r.m.vanished.Inc()
			if err := r.ack(ctx, Message{ID: d.ID}); err != nil { // no receipt: its edge sends it again
				return nil, err
			}
			continue
		}
		m, err := r.parse(d.XMessage)
		m.Deliveries = d.count
		reason := reasonUnreadable
		if err == nil && d.count > r.opt.MaxDeliveries {
			err, reason = fmt.Errorf("delivered %d times; its handler never came back", d.count), reasonDeliveries
		}
		if err == nil {
			good = append(good, m)
			continue
		}
		if err := r.bury(ctx, m, d.Values, reason, err); err != nil {
			return nil, err
		}
	}
	return good, nil
}

// parse reads an entry of the stream.
func (r *reader) parse(x redis.XMessage) (Message, error) {
	m := Message{ID: x.ID}
	m.receipt, _ = x.Values[fieldReceipt].(string)
	text, err := envelopeText(x.Values)
	if err != nil {
		return m, err
	}
	if m.Envelope, err = api.ParseEnvelope(text); err != nil {
		return m, err
	}
	if jpeg, ok := x.Values[fieldJPEG].(string); ok {
		r.attach(&m, []byte(jpeg))
	}
	return m, nil
}

// envelopeText returns the JSON of an entry's envelope.
func envelopeText(fields map[string]any) ([]byte, error) {
	if text, ok := fields[fieldEnvelope].(string); ok {
		return []byte(text), nil
	}
	if packed, ok := fields[fieldDeflated].(string); ok {
		text, err := inflate([]byte(packed))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", api.ErrEnvelope, err)
		}
		return text, nil
	}
	return nil, fmt.Errorf("%w: neither of the fields %q and %q", api.ErrEnvelope, fieldEnvelope, fieldDeflated)
}

// attach gives the JPEG to the picture that it is. What is not the picture that
// was named is dropped: of a picture report that leaves the word that it is lost.
func (r *reader) attach(m *Message, jpeg []byte) {
	e := m.Envelope
	var want *api.AlertPicture
	switch {
	case e.Alert != nil:
		want = e.Alert.Picture
	case e.Picture != nil:
		want = &e.Picture.Picture
	default:
		return
	}
	sum := sha256.Sum256(jpeg)
	if want != nil && want.SHA256 == hex.EncodeToString(sum[:]) {
		want.JPEG = jpeg
		return
	}
	r.m.mismatched.Inc()
	r.log.Error("consumer: a picture is not the one its alert names; it is dropped", "id", m.ID, "node", e.Node, "seq", e.Seq)
	if e.Alert != nil {
		e.Alert.Picture = nil
	} else {
		e.Picture.Lost = true
	}
}

// call runs the handler and measures it.
func (r *reader) call(ctx context.Context, batch []Message) error {
	start := time.Now()
	err := r.opt.Handle(ctx, batch)
	took := time.Since(start)
	r.m.handle.Observe(took.Seconds())
	r.adapt(len(batch), took)
	if err != nil {
		r.m.handleErrors.Inc()
		return err
	}
	r.m.consumed.Add(float64(len(batch)))
	if r.key == r.opt.Stream {
		newest := batch[len(batch)-1].Envelope.Time
		r.m.lag.Set(max(time.Since(newest).Seconds(), 0))
	}
	return nil
}

// Batches of pictures follow the store: texts wait for the same database, for as
// long as a batch takes.
const (
	fastHandle   = 50 * time.Millisecond
	slowHandle   = 150 * time.Millisecond
	leastPicture = 8
)

// adapt sizes the next batch of pictures by how long the last one took.
func (r *reader) adapt(n int, took time.Duration) {
	switch {
	case r.key == r.opt.Stream:
	case took > slowHandle:
		r.opt.Batch = max(min(r.opt.Batch, n)/2, min(leastPicture, r.most))
	case took < fastHandle && n >= r.opt.Batch:
		r.opt.Batch = min(2*r.opt.Batch, r.most)
	}
}

// singly hands the messages over one by one after a batch failed, and returns
// those that failed. It stops after tries failures without a success: then the
// database is ill and not a message. Messages of one camera stay in order: what
// follows a failed one waits with it.
//
// A message that fails while others succeed collects deliveries. One that fails
// with all others collects none, so that an outage of the database, however
// long, sends nothing to the dead letters.
func (r *reader) singly(ctx context.Context, batch []Message, tries int) (failed []Message, handled int, err error) {
	blocked := map[string]bool{}
	blame := map[string]bool{}
	for i, m := range batch {
		if handled == 0 && len(blame) >= tries {
			failed = append(failed, batch[i:]...)
			break
		}
		if key := orderKey(m.Envelope); blocked[key] {
			failed = append(failed, m)
			continue
		}
		failure := r.call(ctx, batch[i:i+1])
		if ctx.Err() != nil && failure != nil {
			return append(failed, batch[i:]...), handled, nil
		}
		var reject *RejectError
		switch {
		case failure == nil:
			handled++
			err = r.ack(ctx, m)
		case errors.As(failure, &reject) && reject.ID == m.ID:
			handled++
			err = r.buryMessage(ctx, m, reasonRejected, reject.Err)
		default:
			blocked[orderKey(m.Envelope)] = true
			blame[m.ID] = true
			failed = append(failed, m)
		}
		if err != nil {
			return nil, 0, err
		}
	}
	if handled > 0 {
		for i := range failed {
			if blame[failed[i].ID] {
				failed[i].Deliveries++
			}
		}
	}
	return failed, handled, nil
}

// orderKey names what messages must stay in order with.
func orderKey(e *api.Envelope) string {
	switch {
	case e.Alert != nil:
		return "c:" + string(e.Alert.Camera)
	case e.Picture != nil:
		return "c:" + string(e.Picture.Camera)
	case e.Camera != nil:
		return "c:" + string(e.Camera.Camera.ID)
	}
	return "n:" + e.Node
}

// keep buries messages that have collected too many deliveries and renews the
// hold on the others, so that no other consumer takes them over. It also takes
// this delivery off their count: the handler came back, so it is no crash. It
// does so even when ctx is done, or each restart would count.
func (r *reader) keep(ctx context.Context, held []Message, failure error) ([]Message, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackTimeout)
	defer cancel()
	var kept []Message
	var counts []delivery
	for _, m := range held {
		if m.Deliveries > r.opt.MaxDeliveries {
			if err := r.buryMessage(ctx, m, reasonDeliveries, failure); err != nil {
				return nil, err
			}
			continue
		}
		kept = append(kept, m)
		counts = append(counts, delivery{redis.XMessage{ID: m.ID}, m.Deliveries - 1})
	}
	return kept, r.count(ctx, counts)
}

// ackTimeout bounds what is still told to Redis after ctx is done.
const ackTimeout = 2 * time.Second

// ack acknowledges handled messages and sends their receipts, in one step, even
// when ctx is done meanwhile: they are committed, and would only come again. What
// Redis could not be told is remembered for the next session.
func (r *reader) ack(ctx context.Context, batch ...Message) error {
	if len(batch) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackTimeout)
	defer cancel()
	ids, back := make([]string, len(batch)), receipts{}
	for i, m := range batch {
		ids[i] = m.ID
		back.take(m.receipt)
	}
	var n *redis.IntCmd
	_, err := r.opt.Redis.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		back.send(ctx, pipe, r.opt.Stream)
		n = pipe.XAck(ctx, r.key, r.opt.Group, ids...)
		return nil
	})
	if err != nil {
		for _, m := range batch {
			r.unacked = append(r.unacked, Message{ID: m.ID, receipt: m.receipt})
		}
		return err
	}
	r.m.acked.Add(float64(n.Val()))
	r.acks += len(ids)
	return nil
}
