package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/sharpeyes/sharpeyes/api"
)

// Message is one envelope from the stream. When the entry brought a JPEG whose
// SHA-256 is that of the named picture, that picture's JPEG holds it; when the
// hash is another one, Alert.Picture is nil or Picture.Lost set.
type Message struct {
	ID         string // of the entry in the stream
	Envelope   *api.Envelope
	Deliveries int64 // how often it was given to a handler that did not come back, this time included; 1 is normal

	receipt string // what its edge is told once it is committed
}

// RejectError is returned (or wrapped) by a handler to say that one message can
// never be handled, whatever is done about the system. It goes to the dead
// letters; the rest of the batch is handed over again.
type RejectError struct {
	ID  string // of the Message
	Err error  // why
}

// Error implements error.
func (e *RejectError) Error() string { return "message " + e.ID + " rejected: " + e.Err.Error() }

// Unwrap returns the reason.
func (e *RejectError) Unwrap() error { return e.Err }

// ConsumerOptions says what is read and who handles it. The zero value of an
// optional field means its default.
type ConsumerOptions struct {
	Redis  redis.UniversalClient // stays the caller's
	Stream string                // key of the stream; dead letters go to Stream + ":dead"
	Group  string                // consumer group that all centers share
	Name   string                // name of this consumer: stable over restarts, used by one process at a time

	// Handle commits a batch, in order, and returns nil once it is durable. It
	// must bear seeing a message twice. An error means that nothing is known to
	// be committed: the messages come again. It is called by one goroutine.
	Handle func(ctx context.Context, batch []Message) error

	Batch         int                   // most messages in one batch; default 128
	Block         time.Duration         // longest wait for new entries, and so for Run to see that ctx is done; default 1 s
	ClaimIdle     time.Duration         // entries of another consumer are taken over after this long without a sign of it; default 1 min
	MaxDeliveries int64                 // a message delivered more often goes to the dead letters; default 5
	MaxDead       int64                 // dead letters kept, the oldest give way; default 10,000
	MinWait       time.Duration         // first wait after an error; default 100 ms
	MaxWait       time.Duration         // longest wait after an error; default 15 s, at most half of ClaimIdle
	Log           *slog.Logger          // default slog.Default()
	Registerer    prometheus.Registerer // default none
}

// Consumer reads the stream as one member of a consumer group.
type Consumer struct {
	opt ConsumerOptions
	log *slog.Logger
	m   *consumerMetrics

	// Owned by the goroutine of Run.
	own     string    // own pending entries from this ID on are still to be read; "" when there are none
	unacked []Message // handled, but Redis failed before it was told
	claimed time.Time // when dead consumers were last looked for
	trimmed time.Time // when the stream was last trimmed
	acks    int       // acknowledged since then
}

// NewConsumer returns a consumer that does nothing before Run. It panics when
// its metrics are registered twice.
func NewConsumer(o ConsumerOptions) *Consumer {
	o.Batch = cmp.Or(o.Batch, 128)
	o.Block = cmp.Or(o.Block, time.Second)
	o.ClaimIdle = cmp.Or(o.ClaimIdle, time.Minute)
	o.MaxDeliveries = cmp.Or(o.MaxDeliveries, 5)
	o.MaxDead = cmp.Or(o.MaxDead, 10_000)
	o.MinWait = cmp.Or(o.MinWait, 100*time.Millisecond)
	o.MaxWait = min(cmp.Or(o.MaxWait, 15*time.Second), o.ClaimIdle/2)
	o.Log = cmp.Or(o.Log, slog.Default())
	return &Consumer{opt: o, log: o.Log, m: newConsumerMetrics(o.Registerer)}
}

// Run reads and handles until ctx is done, and returns ctx.Err(). It begins
// with what an earlier life under the same name was given and did not
// acknowledge, takes over what dead consumers left, and goes on after Redis was
// restarted or emptied: a group that is gone is made again at the beginning of
// the stream. A message is acknowledged after Handle returned nil for it.
func (c *Consumer) Run(ctx context.Context) error {
	wait := backoff{min: c.opt.MinWait, max: c.opt.MaxWait}
	trouble := troubleLog{log: c.log, msg: "consumer: Redis fails"}
	for {
		err := c.session(ctx, func() {
			trouble.over("consumer: Redis answers again")
			wait.reset()
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.m.errors.Inc()
		trouble.failed(err)
		if err := wait.wait(ctx); err != nil {
			return err
		}
	}
}

// session works until Redis fails or ctx is done. It calls well after each step
// that went well.
func (c *Consumer) session(ctx context.Context, well func()) error {
	err := c.opt.Redis.XGroupCreateMkStream(ctx, c.opt.Stream, c.opt.Group, "0").Err()
	if err != nil && !strings.HasPrefix(err.Error(), "BUSYGROUP") {
		return err
	}
	left := c.unacked
	c.unacked = nil
	if err := c.ack(ctx, left...); err != nil {
		return err
	}
	c.own = "-"
	for ctx.Err() == nil {
		batch, err := c.next(ctx, c.opt.Block, nil)
		if err != nil {
			return err
		}
		well()
		if err := c.deliver(ctx, batch); err != nil {
			return err
		}
		if err := c.trim(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// delivery is an entry of the stream and how often it was delivered, this time
// included.
type delivery struct {
	redis.XMessage
	count int64
}

// next returns what is to be handled next: what this consumer was given and did
// not acknowledge, then new entries. Entries in held are left out. It waits at
// most block for new ones; a negative block does not wait.
func (c *Consumer) next(ctx context.Context, block time.Duration, held []Message) ([]delivery, error) {
	if err := c.claim(ctx); err != nil {
		return nil, err
	}
	for c.own != "" {
		if batch, err := c.ownPending(ctx, held); err != nil || len(batch) > 0 {
			return batch, err
		}
	}
	got, err := c.opt.Redis.XReadGroup(ctx, &redis.XReadGroupArgs{
		Group: c.opt.Group, Consumer: c.opt.Name, Streams: []string{c.opt.Stream, ">"},
		Count: int64(c.opt.Batch), Block: block,
	}).Result()
	if errors.Is(err, redis.Nil) || err == nil && len(got) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	batch := make([]delivery, len(got[0].Messages))
	for i, x := range got[0].Messages {
		batch[i] = delivery{x, 1}
	}
	return batch, nil
}

// ownPending returns a page of what was delivered to this name and not
// acknowledged, and moves c.own behind it, to "" at the end.
//
// The history form of XREADGROUP would count a delivery each time that it is
// read, so that a link which breaks in the middle five times sends healthy
// messages to the dead letters. Here a delivery is counted by our own command,
// right before the handler gets the message.
func (c *Consumer) ownPending(ctx context.Context, held []Message) ([]delivery, error) {
	pending, err := c.opt.Redis.XPendingExt(ctx, &redis.XPendingExtArgs{
		Stream: c.opt.Stream, Group: c.opt.Group, Consumer: c.opt.Name,
		Start: c.own, End: "+", Count: int64(c.opt.Batch),
	}).Result()
	if err != nil {
		return nil, err
	}
	next := ""
	if len(pending) == c.opt.Batch {
		next = "(" + pending[len(pending)-1].ID
	}
	pending = slices.DeleteFunc(pending, func(p redis.XPendingExt) bool {
		return slices.ContainsFunc(held, func(m Message) bool { return m.ID == p.ID })
	})
	batch, err := c.bodies(ctx, pending)
	if err != nil {
		return nil, err
	}
	if err := c.count(ctx, batch); err != nil {
		return nil, err
	}
	c.m.redelivered.Add(float64(len(batch)))
	c.own = next
	return batch, nil
}

// bodies reads the entries from the stream. What is not there any more has no
// values.
func (c *Consumer) bodies(ctx context.Context, pending []redis.XPendingExt) ([]delivery, error) {
	if len(pending) == 0 {
		return nil, nil
	}
	cmds := make([]*redis.XMessageSliceCmd, len(pending))
	_, err := c.opt.Redis.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i, p := range pending {
			cmds[i] = pipe.XRange(ctx, c.opt.Stream, p.ID, p.ID)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	batch := make([]delivery, len(pending))
	for i, p := range pending {
		batch[i] = delivery{redis.XMessage{ID: p.ID}, p.RetryCount + 1}
		if got := cmds[i].Val(); len(got) > 0 {
			batch[i].XMessage = got[0]
		}
	}
	return batch, nil
}

// count tells Redis the deliveries, which also renews the hold on the entries.
func (c *Consumer) count(ctx context.Context, batch []delivery) error {
	if len(batch) == 0 {
		return nil
	}
	_, err := c.opt.Redis.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, d := range batch {
			pipe.Do(ctx, "XCLAIM", c.opt.Stream, c.opt.Group, c.opt.Name, 0, d.ID, "RETRYCOUNT", d.count, "JUSTID")
		}
		return nil
	})
	return err
}

// claim takes over, at most once in half of ClaimIdle, what consumers hold that
// gave no sign for ClaimIdle, so that it becomes own pending.
func (c *Consumer) claim(ctx context.Context) error {
	if time.Since(c.claimed) < c.opt.ClaimIdle/2 {
		return nil
	}
	for cursor := "0-0"; ; {
		// JUSTID: the delivery is counted when the handler gets the message.
		reply, err := c.opt.Redis.Do(ctx, "XAUTOCLAIM", c.opt.Stream, c.opt.Group, c.opt.Name,
			c.opt.ClaimIdle.Milliseconds(), cursor, "COUNT", c.opt.Batch, "JUSTID").Slice()
		if err != nil {
			return err
		}
		next, claimed, deleted, err := parseClaim(reply)
		if err != nil {
			return err
		}
		if claimed > 0 {
			c.log.Info("consumer: taking over what was left unacknowledged", "messages", claimed)
			c.m.claimed.Add(float64(claimed))
			c.own = "-"
		}
		if deleted > 0 {
			c.log.Error("consumer: messages were deleted by someone before they were handled", "messages", deleted)
			c.m.vanished.Add(float64(deleted))
		}
		// A page may be empty while the cursor goes on: it was spent on entries
		// that are not idle or are deleted.
		if cursor = next; cursor == "0-0" {
			c.claimed = time.Now()
			return nil
		}
	}
}

// parseClaim reads the answer of XAUTOCLAIM JUSTID: where to go on, what was
// claimed and, since Redis 7, what was pending and is deleted. go-redis has no
// call that returns all three.
func parseClaim(reply []any) (next string, claimed, deleted int, err error) {
	if len(reply) < 2 {
		return "", 0, 0, fmt.Errorf("XAUTOCLAIM answered with %d parts", len(reply))
	}
	next, ok := reply[0].(string)
	ids, ok2 := reply[1].([]any)
	if !ok || !ok2 {
		return "", 0, 0, fmt.Errorf("XAUTOCLAIM answered with %T and %T", reply[0], reply[1])
	}
	if len(reply) > 2 {
		gone, _ := reply[2].([]any)
		deleted = len(gone)
	}
	return next, len(ids), deleted, nil
}
