package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/sharpeyes/sharpeyes/api"
)

// The fields of an entry in the stream. Readers ignore fields they do not know.
const (
	fieldEnvelope = "e"    // JSON of the envelope
	fieldDeflated = "z"    // the same, deflated (RFC 1951) with the dictionary of compress.go; one of the two
	fieldJPEG     = "jpeg" // the picture's bytes; absent when there is none
	fieldVersion  = "v"    // version of the envelope
	fieldNode     = "node" // the edge's name
	fieldReceipt  = "r"    // what the center sends back once it is committed
)

// ProducerOptions says what is carried where. The zero value of an optional
// field means its default.
type ProducerOptions struct {
	Outbox     *Outbox
	Redis      redis.UniversalClient // stays the caller's
	Stream     string                // key of the stream; with a {hash tag} so that its dead letters share its slot of a Cluster
	Batch      int                   // most entries in one transaction; default 256
	BatchBytes int                   // about the most bytes in one transaction, so also what an alert may have to wait for; default 512 KiB
	MaxLen     int64                 // the producer holds back while the stream has more entries; default 100,000
	Block      time.Duration         // longest wait for receipts, and so for Run to see that ctx is done; default 1 s
	CheckEvery time.Duration         // how often it is asked whether Redis still has what no center has committed; default 5 s
	Compress   bool                  // deflate the text of entries, for links that are paid by the byte
	DailyBytes int64                 // once so many bytes were sent on a day pictures and states wait for the next; default 0, no limit
	Location   *time.Location        // whose day; default UTC
	MinWait    time.Duration         // first wait after an error; default 100 ms
	MaxWait    time.Duration         // longest wait after an error; default 15 s
	Log        *slog.Logger          // default slog.Default()
	Registerer prometheus.Registerer // default none
}

// Producer moves entries from an outbox into a Redis stream, and gives them up
// once a center has committed them.
type Producer struct {
	opt    ProducerOptions
	log    *slog.Logger
	flight *flight
	budget *budget
	m      *producerMetrics

	// Owned by the goroutine that sends.
	liveFrom uint64            // entries behind it are live, the others wait since an outage
	live     [laneCount]uint64 // what of the live ones was sent, by lane
	backlog  [laneCount]uint64 // what of the others was sent
}

// NewProducer returns a producer that does nothing before Run. It panics when
// its metrics are registered twice.
func NewProducer(o ProducerOptions) *Producer {
	o.Batch = cmp.Or(o.Batch, 256)
	o.BatchBytes = cmp.Or(o.BatchBytes, 512<<10)
	o.MaxLen = cmp.Or(o.MaxLen, 100_000)
	o.Block = cmp.Or(o.Block, time.Second)
	o.CheckEvery = cmp.Or(o.CheckEvery, 5*time.Second)
	o.MinWait = cmp.Or(o.MinWait, 100*time.Millisecond)
	o.MaxWait = cmp.Or(o.MaxWait, 15*time.Second)
	o.Log = cmp.Or(o.Log, slog.Default())
	p := &Producer{opt: o, log: o.Log, flight: newFlight()}
	p.budget = newBudget(o.DailyBytes, o.Outbox.dir, o.Location, o.Log)
	p.m = newProducerMetrics(o.Registerer, p.flight)
	return p
}

// Run carries entries until ctx is done or the outbox is closed, and returns
// ctx.Err() or ErrClosed.
//
// What was put since Redis last took entries goes first, so that an alert of now
// does not wait behind those of an outage; within that the text of alerts goes
// before pictures and pictures before states. An entry is acknowledged to the
// outbox once a center has said that it is committed. What Redis forgot before
// that (it lost its last second, or was emptied) is sent again. Errors of Redis
// and of the disk are retried for ever with growing, jittered waits. Run trims
// nothing: what the centers have not acknowledged is never cut, and the consumer
// removes the rest.
func (p *Producer) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.confirm(ctx) })
	g.Go(func() error { return p.sendAll(ctx) })
	return g.Wait()
}

func (p *Producer) sendAll(ctx context.Context) error {
	wait := backoff{min: p.opt.MinWait, max: p.opt.MaxWait}
	trouble := troubleLog{log: p.log, msg: "producer: Redis does not take entries; they wait in the outbox"}
	if err := p.cast(); err != nil {
		return err
	}
	for {
		length, err := p.step(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrClosed):
			return ErrClosed
		case err != nil:
			p.m.errors.Inc()
			trouble.failed(err)
			if err := wait.wait(ctx); err != nil {
				return err
			}
			if err := p.cast(); err != nil { // what came meanwhile is backlog
				return err
			}
			continue
		}
		if trouble.n > 0 {
			p.flight.suspect() // a Redis that was away may have lost something
		}
		trouble.over("producer: Redis takes entries again")
		wait.reset()
		if length >= p.opt.MaxLen {
			if err := p.hold(ctx, length); err != nil {
				return err
			}
		}
	}
}

// cast makes backlog of everything that is in the outbox now.
func (p *Producer) cast() error {
	last, _, err := p.opt.Outbox.look()
	if err != nil {
		return err
	}
	p.liveFrom = last
	for l := range p.live {
		p.live[l] = last
	}
	return nil
}

// step sends one batch, or waits until there is something to send, and returns
// the length of the stream.
func (p *Producer) step(ctx context.Context) (int64, error) {
	last, more, err := p.opt.Outbox.look()
	if err != nil {
		return 0, err
	}
	entries, sent, err := p.choose(last)
	if err != nil {
		return 0, err
	}
	if len(entries) == 0 {
		select {
		case <-ctx.Done():
		case <-more:
		case <-p.flight.work():
		case <-p.budget.renewed():
		}
		return 0, ctx.Err()
	}
	length, err := p.send(ctx, entries)
	if err != nil {
		if sent == nil {
			p.flight.putBack(partsOf(entries))
		}
		return 0, err
	}
	if sent != nil {
		sent()
	}
	return length, nil
}

// choose returns the most urgent entries and what to do once they are sent.
// Without the latter they are put back when they could not be.
func (p *Producer) choose(last uint64) ([]entry, func(), error) {
	entries, err := p.find(p.flight.takeLost)
	if err != nil || len(entries) > 0 {
		return entries, nil, err
	}
	entries, sent, err := p.fromLane(laneAlerts, last)
	if err != nil || len(entries) > 0 || !p.budget.allows() {
		return entries, sent, err
	}
	entries, err = p.find(p.flight.takeReady)
	if err != nil || len(entries) > 0 {
		return entries, nil, err
	}
	return p.fromLane(laneReports, last)
}

// fromLane returns the next live entries of a lane, or those of the backlog.
func (p *Producer) fromLane(l lane, last uint64) ([]entry, func(), error) {
	for _, side := range []struct {
		at   *uint64
		upto uint64
	}{{&p.live[l], last}, {&p.backlog[l], p.liveFrom}} {
		for *side.at < side.upto {
			entries, reached, err := p.opt.Outbox.page(l, *side.at, side.upto, p.opt.Batch, p.opt.BatchBytes)
			if err != nil {
				return nil, nil, err
			}
			if entries = p.flight.without(entries); len(entries) > 0 {
				return entries, func() { *side.at = reached }, nil
			}
			*side.at = reached
		}
	}
	return nil, nil, nil
}

// find takes parts and returns those that still wait, as far as a batch holds
// them; the rest is put back.
func (p *Producer) find(take func(n int) []part) ([]entry, error) {
	for {
		parts := take(p.opt.Batch)
		if len(parts) == 0 {
			return nil, nil
		}
		var entries []entry
		size := 0
		for i, at := range parts {
			e, ok, err := p.opt.Outbox.find(at)
			if err != nil {
				p.flight.putBack(parts)
				return nil, err
			}
			if !ok {
				continue
			}
			entries = append(entries, e)
			if size += e.size(); size > p.opt.BatchBytes {
				p.flight.putBack(parts[i+1:])
				break
			}
		}
		if len(entries) > 0 {
			return entries, nil
		}
	}
}

func partsOf(entries []entry) []part {
	parts := make([]part, len(entries))
	for i := range entries {
		parts[i] = entries[i].part
	}
	return parts
}

func total(entries []entry) int {
	n := 0
	for i := range entries {
		n += entries[i].size()
	}
	return n
}

// send adds the entries in one transaction. All or none are accepted, so that a
// Redis that refuses some of them (out of memory) cannot change their order. A
// connection that dies before the answer makes doubles, never gaps.
func (p *Producer) send(ctx context.Context, entries []entry) (int64, error) {
	var length *redis.IntCmd
	ids := make([]*redis.StringCmd, len(entries))
	_, err := p.opt.Redis.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		for i, e := range entries {
			ids[i] = pipe.XAdd(ctx, &redis.XAddArgs{Stream: p.opt.Stream, Values: p.fields(e)})
		}
		length = pipe.XLen(ctx, p.opt.Stream)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("stream %s: add %d entries: %w", p.opt.Stream, len(entries), err)
	}
	for i, id := range ids {
		if id.Err() != nil {
			return 0, fmt.Errorf("stream %s: add: %w", p.opt.Stream, id.Err())
		}
		p.flight.sent(entries[i].part, id.Val())
	}
	p.budget.spend(total(entries))
	p.m.produced.Add(float64(len(entries)))
	return length.Val(), nil
}

// fields are what stands in the stream of an entry.
func (p *Producer) fields(e entry) []any {
	text, name := e.json, fieldEnvelope
	if p.opt.Compress {
		text, name = deflate(e.json), fieldDeflated
	}
	values := []any{name, text, fieldVersion, api.Version, fieldNode, p.opt.Outbox.opt.Node, fieldReceipt, p.opt.Outbox.receipt(e.part)}
	if len(e.jpeg) > 0 {
		values = append(values, fieldJPEG, e.jpeg)
	}
	return values
}

// hold waits until the centers have taken some of a full stream: what waits
// here waits on disk instead of in the memory of Redis.
func (p *Producer) hold(ctx context.Context, length int64) error {
	p.log.Warn("producer: the stream is full of entries that no center has taken; new ones wait in the outbox",
		"stream", p.opt.Stream, "entries", length, "max", p.opt.MaxLen)
	wait := backoff{min: p.opt.MinWait, max: min(p.opt.MaxWait, 2*time.Second)}
	for length >= p.opt.MaxLen {
		p.m.held.Inc()
		if err := wait.wait(ctx); err != nil {
			return err
		}
		n, err := p.opt.Redis.XLen(ctx, p.opt.Stream).Result()
		if err != nil {
			p.m.errors.Inc()
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
