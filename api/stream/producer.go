package stream

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/redis/go-redis/v9"
)

// The fields of an entry in the stream. Readers ignore fields they do not know.
const (
	fieldEnvelope = "e"    // JSON of the envelope
	fieldJPEG     = "jpeg" // the picture's bytes; absent when there is none
	fieldVersion  = "v"    // version of the envelope
	fieldNode     = "node" // the edge's name
)

// ProducerOptions says what is carried where. The zero value of an optional
// field means its default.
type ProducerOptions struct {
	Outbox     *Outbox
	Redis      redis.UniversalClient // stays the caller's
	Stream     string                // key of the stream; with a {hash tag} so that its dead letters share its slot of a Cluster
	Batch      int                   // most entries in one transaction; default 256
	BatchBytes int                   // about the most bytes in one transaction; default 4 MiB
	MaxLen     int64                 // the producer holds back while the stream has more entries; default 100,000
	MinWait    time.Duration         // first wait after an error; default 100 ms
	MaxWait    time.Duration         // longest wait after an error; default 15 s
	Log        *slog.Logger          // default slog.Default()
	Registerer prometheus.Registerer // default none
}

// Producer moves entries from an outbox into a Redis stream, in order.
type Producer struct {
	opt      ProducerOptions
	log      *slog.Logger
	produced prometheus.Counter
	errors   prometheus.Counter
	held     prometheus.Counter
}

// NewProducer returns a producer that does nothing before Run. It panics when
// its metrics are registered twice.
func NewProducer(o ProducerOptions) *Producer {
	o.Batch = cmp.Or(o.Batch, 256)
	o.BatchBytes = cmp.Or(o.BatchBytes, 4<<20)
	o.MaxLen = cmp.Or(o.MaxLen, 100_000)
	o.MinWait = cmp.Or(o.MinWait, 100*time.Millisecond)
	o.MaxWait = cmp.Or(o.MaxWait, 15*time.Second)
	o.Log = cmp.Or(o.Log, slog.Default())
	f := promauto.With(o.Registerer)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	return &Producer{
		opt: o, log: o.Log,
		produced: counter("sharpeyes_producer_entries_total", "Entries that Redis accepted from this edge."),
		errors:   counter("sharpeyes_producer_redis_errors_total", "Failed transactions with Redis; each is tried again."),
		held:     counter("sharpeyes_producer_held_total", "Times the producer waited because the stream was full of unread entries."),
	}
}

// Run carries entries until ctx is done or the outbox is closed, and returns
// ctx.Err() or ErrClosed. An entry is acknowledged to the outbox once Redis has
// accepted it. Errors of Redis and of the disk are retried for ever with
// growing, jittered waits. Run trims nothing: what the centers have not
// acknowledged is never cut, and the consumer removes the rest.
func (p *Producer) Run(ctx context.Context) error {
	wait := backoff{min: p.opt.MinWait, max: p.opt.MaxWait}
	trouble := troubleLog{log: p.log, msg: "producer: Redis does not take entries; they wait in the outbox"}
	var sent uint64
	for {
		length, err := p.step(ctx, &sent)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrClosed):
			return ErrClosed
		case err != nil:
			p.errors.Inc()
			trouble.failed(err)
		case length < p.opt.MaxLen:
			trouble.over("producer: Redis takes entries again")
			wait.reset()
			continue
		default:
			trouble.over("producer: Redis takes entries again")
			if err := p.hold(ctx, length); err != nil {
				return err
			}
			continue
		}
		if err := wait.wait(ctx); err != nil {
			return err
		}
	}
}

// step sends one batch behind sent and returns the length of the stream.
func (p *Producer) step(ctx context.Context, sent *uint64) (int64, error) {
	entries, err := p.opt.Outbox.read(ctx, *sent, p.opt.Batch, p.opt.BatchBytes)
	if err != nil {
		return 0, err
	}
	length, err := p.send(ctx, entries)
	if err != nil {
		return 0, err
	}
	p.produced.Add(float64(len(entries)))
	seqs := make([]uint64, len(entries))
	for i, e := range entries {
		seqs[i] = e.seq
	}
	*sent = seqs[len(seqs)-1]
	return length, p.opt.Outbox.ack(seqs...)
}

// send adds the entries in one transaction. All or none are accepted, so that a
// Redis that refuses some of them (out of memory) cannot change their order. A
// connection that dies before the answer makes doubles, never gaps.
func (p *Producer) send(ctx context.Context, entries []entry) (int64, error) {
	var length *redis.IntCmd
	cmds, err := p.opt.Redis.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, e := range entries {
			var head struct {
				V    int    `json:"v"`
				Node string `json:"node"`
			}
			if err := json.Unmarshal(e.json, &head); err != nil {
				return fmt.Errorf("entry %d: %w", e.seq, err)
			}
			values := []any{fieldEnvelope, e.json, fieldVersion, head.V, fieldNode, head.Node}
			if len(e.jpeg) > 0 {
				values = append(values, fieldJPEG, e.jpeg)
			}
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: p.opt.Stream, Values: values})
		}
		length = pipe.XLen(ctx, p.opt.Stream)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("stream %s: add %d entries: %w", p.opt.Stream, len(entries), err)
	}
	for _, c := range cmds {
		if c.Err() != nil {
			return 0, fmt.Errorf("stream %s: add: %w", p.opt.Stream, c.Err())
		}
	}
	return length.Val(), nil
}

// hold waits until the centers have taken some of a full stream: what waits
// here waits on disk instead of in the memory of Redis.
func (p *Producer) hold(ctx context.Context, length int64) error {
	p.log.Warn("producer: the stream is full of entries that no center has taken; new ones wait in the outbox",
		"stream", p.opt.Stream, "entries", length, "max", p.opt.MaxLen)
	wait := backoff{min: p.opt.MinWait, max: min(p.opt.MaxWait, 2*time.Second)}
	for length >= p.opt.MaxLen {
		p.held.Inc()
		if err := wait.wait(ctx); err != nil {
			return err
		}
		n, err := p.opt.Redis.XLen(ctx, p.opt.Stream).Result()
		if err != nil {
			p.errors.Inc()
			return nil //nolint:nilerr // the next transaction meets the same error and handles it
		}
		length = n
	}
	return nil
}

// troubleLog logs the first of a row of errors, then one a minute, then the end.
type troubleLog struct {
	log  *slog.Logger
	msg  string
	n    int
	last time.Time
}

func (t *troubleLog) failed(err error) {
	t.n++
	if t.n == 1 || time.Since(t.last) >= time.Minute {
		t.last = time.Now()
		t.log.Warn(t.msg, "err", err, "failures", t.n)
	}
}

func (t *troubleLog) over(msg string) {
	if t.n > 0 {
		t.log.Info(msg, "failures", t.n)
	}
	t.n = 0
}
