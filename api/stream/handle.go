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
func (c *Consumer) deliver(ctx context.Context, batch []delivery) error {
	held, err := c.sort(ctx, batch)
	if err != nil {
		return err
	}
	wait := backoff{min: c.opt.MinWait, max: c.opt.MaxWait}
	trouble := troubleLog{log: c.log, msg: "consumer: handler fails; the messages come again"}
	for tries := 4; len(held) > 0; tries *= 2 {
		failure := c.call(ctx, held)
		if failure == nil {
			trouble.over("consumer: handler works again")
			return c.ack(ctx, held...)
		}
		trouble.failed(failure)
		handled := 0
		if ctx.Err() == nil {
			if held, handled, err = c.singly(ctx, held, tries); err != nil {
				return err
			}
		}
		if held, err = c.keep(ctx, held, failure); err != nil {
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
		if len(held) > 0 && len(held) < 4*c.opt.Batch {
			batch, err := c.next(ctx, -1, held)
			if err != nil {
				return err
			}
			fresh, err := c.sort(ctx, batch)
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
func (c *Consumer) sort(ctx context.Context, batch []delivery) ([]Message, error) {
	var good []Message
	for _, d := range batch {
		if d.Values == nil { // deleted from the stream while it was pending
			c.log.Error("consumer: a message was deleted by someone before it was handled", "id", d.ID)
			c.m.vanished.Inc()
			if err := c.ack(ctx, Message{ID: d.ID}); err != nil { // no receipt: its edge sends it again
				return nil, err
			}
			continue
		}
		m, err := c.parse(d.XMessage)
		m.Deliveries = d.count
		reason := reasonUnreadable
		if err == nil && d.count > c.opt.MaxDeliveries {
			err, reason = fmt.Errorf("delivered %d times; its handler never came back", d.count), reasonDeliveries
		}
		if err == nil {
			good = append(good, m)
			continue
		}
		if err := c.bury(ctx, m, d.Values, reason, err); err != nil {
			return nil, err
		}
	}
	return good, nil
}

// parse reads an entry of the stream.
func (c *Consumer) parse(x redis.XMessage) (Message, error) {
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
		c.attach(&m, []byte(jpeg))
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
func (c *Consumer) attach(m *Message, jpeg []byte) {
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
	c.m.mismatched.Inc()
	c.log.Error("consumer: a picture is not the one its alert names; it is dropped", "id", m.ID, "node", e.Node, "seq", e.Seq)
	if e.Alert != nil {
		e.Alert.Picture = nil
	} else {
		e.Picture.Lost = true
	}
}

// call runs the handler and measures it.
func (c *Consumer) call(ctx context.Context, batch []Message) error {
	start := time.Now()
	err := c.opt.Handle(ctx, batch)
	c.m.handle.Observe(time.Since(start).Seconds())
	if err != nil {
		c.m.handleErrors.Inc()
		return err
	}
	c.m.consumed.Add(float64(len(batch)))
	newest := batch[len(batch)-1].Envelope.Time
	c.m.lag.Set(max(time.Since(newest).Seconds(), 0))
	return nil
}

// singly hands the messages over one by one after a batch failed, and returns
// those that failed. It stops after tries failures without a success: then the
// database is ill and not a message. Messages of one camera stay in order: what
// follows a failed one waits with it.
//
// A message that fails while others succeed collects deliveries. One that fails
// with all others collects none, so that an outage of the database, however
// long, sends nothing to the dead letters.
func (c *Consumer) singly(ctx context.Context, batch []Message, tries int) (failed []Message, handled int, err error) {
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
		failure := c.call(ctx, batch[i:i+1])
		if ctx.Err() != nil && failure != nil {
			return append(failed, batch[i:]...), handled, nil
		}
		var reject *RejectError
		switch {
		case failure == nil:
			handled++
			err = c.ack(ctx, m)
		case errors.As(failure, &reject) && reject.ID == m.ID:
			handled++
			err = c.buryMessage(ctx, m, reasonRejected, reject.Err)
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
func (c *Consumer) keep(ctx context.Context, held []Message, failure error) ([]Message, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackTimeout)
	defer cancel()
	var kept []Message
	var counts []delivery
	for _, m := range held {
		if m.Deliveries > c.opt.MaxDeliveries {
			if err := c.buryMessage(ctx, m, reasonDeliveries, failure); err != nil {
				return nil, err
			}
			continue
		}
		kept = append(kept, m)
		counts = append(counts, delivery{redis.XMessage{ID: m.ID}, m.Deliveries - 1})
	}
	return kept, c.count(ctx, counts)
}

// ackTimeout bounds what is still told to Redis after ctx is done.
const ackTimeout = 2 * time.Second

// ack acknowledges handled messages and sends their receipts, in one step, even
// when ctx is done meanwhile: they are committed, and would only come again. What
// Redis could not be told is remembered for the next session.
func (c *Consumer) ack(ctx context.Context, batch ...Message) error {
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
	_, err := c.opt.Redis.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		back.send(ctx, pipe, c.opt.Stream)
		n = pipe.XAck(ctx, c.opt.Stream, c.opt.Group, ids...)
		return nil
	})
	if err != nil {
		for _, m := range batch {
			c.unacked = append(c.unacked, Message{ID: m.ID, receipt: m.receipt})
		}
		return err
	}
	c.m.acked.Add(float64(n.Val()))
	c.acks += len(ids)
	return nil
}
