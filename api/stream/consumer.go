package stream

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

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
	Stream string                // key of the stream; pictures are in Stream + ":pictures", dead letters go to Stream + ":dead"
	Group  string                // consumer group that all centers share
	Name   string                // name of this consumer: stable over restarts, used by one process at a time

	// Handle commits a batch, in order, and returns nil once it is durable. It
	// must bear seeing a message twice. An error means that nothing is known to
	// be committed: the messages come again. It is called by several goroutines at
	// once: by two for the pictures that follow their alerts, by one for the rest,
	// in order.
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

// Consumer reads the streams of texts and of pictures as one member of a
// consumer group.
type Consumer struct {
	opt ConsumerOptions
	log *slog.Logger
	m   *consumerMetrics
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
//
// Pictures travel in a stream of their own, which is read beside the one of the
// texts: a store of pictures that does not answer holds up no alert.
func (c *Consumer) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	r := reader{opt: c.opt, log: c.log, m: c.m, key: c.opt.Stream}
	g.Go(func() error { return r.run(ctx) })
	for _, suffix := range []string{"", secondReader} {
		r := reader{opt: c.opt, log: c.log, m: c.m, key: c.opt.Stream + PicturesSuffix, most: c.opt.Batch}
		r.opt.Name += suffix
		g.Go(func() error { return r.run(ctx) })
	}
	g.Go(func() error { return c.measure(ctx) })
	return g.Wait()
}

// secondReader is appended to the name of a consumer for its second reader of
// pictures: while one waits for the disk the other fetches. Their order does not
// matter.
const secondReader = "/2"

// measureEvery is how often the lengths of the streams are asked for.
const measureEvery = 10 * time.Second

// measure keeps the gauges of what waits in Redis until ctx is done.
func (c *Consumer) measure(ctx context.Context) error {
	tick := time.NewTicker(measureEvery)
	defer tick.Stop()
	for {
		var texts, pictures, dead *redis.IntCmd
		_, err := c.opt.Redis.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			texts = pipe.XLen(ctx, c.opt.Stream)
			pictures = pipe.XLen(ctx, c.opt.Stream+PicturesSuffix)
			dead = pipe.XLen(ctx, c.opt.Stream+DeadSuffix)
			return nil
		})
		if err == nil { // the readers tell when Redis fails
			c.m.entries["texts"].Set(float64(texts.Val()))
			c.m.entries["pictures"].Set(float64(pictures.Val()))
			c.m.deadLetters.Set(float64(dead.Val()))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
