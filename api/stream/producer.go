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
	Stream     string                // key of the stream; with a {hash tag} so that pictures, receipts and dead letters share its slot of a Cluster
	Batch      int                   // most entries in one transaction; default 256
	BatchBytes int                   // about the most bytes in one transaction at first; more where the link carries them in 0.1 s, fewer where they take 0.4 s, for an alert may have to wait for them; default 512 KiB
	MaxLen     int64                 // nothing but pictures is sent while the stream has so many entries; default 100,000
	Backlog    int64                 // what an outage left, and states, are sent while the stream has fewer entries, so that alerts of now are read soon; default 512
	Pictures   int64                 // pictures are sent while their stream has fewer entries; default 1,024
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
	room     int               // bytes for one transaction, by how long the last ones took
	texts    int64             // entries in the stream when it was last heard of
	pictures int64             // entries in the stream of pictures
	again    backoff           // how long a full stream is left alone
	lookAt   time.Time         // when it is looked at again; zero while none is full
	full     troubleLog
}

// NewProducer returns a producer that does nothing before Run. It panics when
// its metrics are registered twice.
func NewProducer(o ProducerOptions) *Producer {
	o.Batch = cmp.Or(o.Batch, 256)
	o.BatchBytes = cmp.Or(o.BatchBytes, 512<<10)
	o.MaxLen = cmp.Or(o.MaxLen, 100_000)
	o.Backlog = min(cmp.Or(o.Backlog, 512), o.MaxLen)
	o.Pictures = cmp.Or(o.Pictures, 1024)
	o.Block = cmp.Or(o.Block, time.Second)
	o.CheckEvery = cmp.Or(o.CheckEvery, 5*time.Second)
	o.MinWait = cmp.Or(o.MinWait, 100*time.Millisecond)
	o.MaxWait = cmp.Or(o.MaxWait, 15*time.Second)
	o.Log = cmp.Or(o.Log, slog.Default())
	p := &Producer{opt: o, log: o.Log, flight: newFlight(), room: o.BatchBytes}
	p.again = backoff{min: min(o.MinWait, 20*time.Millisecond), max: min(o.MaxWait, 2*time.Second)}
	p.full = troubleLog{log: o.Log, msg: "producer: the stream is full of entries that no center has taken; new ones wait in the outbox"}
	p.budget = newBudget(o.DailyBytes, o.Outbox.dir, o.Location, o.Log)
	p.m = newProducerMetrics(o.Registerer, p.flight, o.MaxLen)
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
		err := p.step(ctx)
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

// step sends one batch, or waits until there is something to send.
func (p *Producer) step(ctx context.Context) error {
	if !p.lookAt.IsZero() && !time.Now().Before(p.lookAt) {
		p.lookAt = time.Time{}
		if err := p.measure(ctx); err != nil {
			return err
		}
	}
	last, more, err := p.opt.Outbox.look()
	if err != nil {
		return err
	}
	entries, sent, err := p.choose(last)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return p.rest(ctx, more)
	}
	if err := p.send(ctx, entries); err != nil {
		if sent == nil {
			p.flight.putBack(partsOf(entries))
		}
		return err
	}
	if sent != nil {
		sent()
	}
	return nil
}

// rest waits until there is something to send. A full stream is looked at again
// and again, rarely when the centers stay away, and at its time however often
// alerts of now end the rest before.
func (p *Producer) rest(ctx context.Context, more <-chan struct{}) error {
	var look <-chan time.Time
	if p.waits() {
		if p.lookAt.IsZero() {
			p.lookAt = time.Now().Add(p.again.step())
		}
		t := time.NewTimer(time.Until(p.lookAt))
		defer t.Stop()
		look = t.C
	} else {
		p.again.reset()
		p.lookAt = time.Time{}
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-more:
	case <-p.flight.work():
	case <-p.budget.renewed():
	case <-look:
	}
	return nil
}

// choose returns the most urgent entries and what to do once they are sent.
// Without the latter they are put back when they could not be.
func (p *Producer) choose(last uint64) ([]entry, func(), error) {
	if p.texts < p.opt.MaxLen {
		entries, err := p.find(p.flight.takeLost)
		if err != nil || len(entries) > 0 {
			return entries, nil, err
		}
		entries, sent, err := p.fromLane(laneAlerts, last)
		if err != nil || len(entries) > 0 {
			return entries, sent, err
		}
	}
	if !p.budget.allows() {
		return nil, nil, nil
	}
	if p.pictures < p.opt.Pictures {
		entries, err := p.find(p.flight.takeReady)
		if err != nil || len(entries) > 0 {
			return entries, nil, err
		}
	}
	if p.texts < p.opt.Backlog {
		return p.fromLane(laneReports, last)
	}
	return nil, nil, nil
}

// fromLane returns the next live entries of a lane, or those of the backlog.
func (p *Producer) fromLane(l lane, last uint64) ([]entry, func(), error) {
	for _, side := range []struct {
		at   *uint64
		upto uint64
		most int64
	}{{&p.live[l], last, p.opt.MaxLen}, {&p.backlog[l], p.liveFrom, p.opt.Backlog}} {
		for *side.at < side.upto && p.texts < side.most {
			entries, reached, err := p.opt.Outbox.page(l, *side.at, side.upto, p.opt.Batch, p.room)
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
			if size += e.size(); size > p.room {
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

// send adds the entries, texts or pictures, in one transaction. All or none are
// accepted, so that a Redis that refuses some of them (out of memory) cannot
// change their order. A connection that dies before the answer makes doubles,
// never gaps.
func (p *Producer) send(ctx context.Context, entries []entry) error {
	key := p.opt.Stream
	if entries[0].picture {
		key += PicturesSuffix
	}
	var texts, pictures *redis.IntCmd
	begun := time.Now()
	ids := make([]*redis.StringCmd, len(entries))
	p.flight.sending(entries)
	defer p.flight.unsent()
	_, err := p.opt.Redis.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		for i, e := range entries {
			ids[i] = pipe.XAdd(ctx, &redis.XAddArgs{Stream: key, Values: p.fields(e)})
		}
		texts, pictures = pipe.XLen(ctx, p.opt.Stream), pipe.XLen(ctx, p.opt.Stream+PicturesSuffix)
		return nil
	})
	if err != nil {
		return fmt.Errorf("stream %s: add %d entries: %w", key, len(entries), err)
	}
	for i, id := range ids {
		if id.Err() != nil {
			return fmt.Errorf("stream %s: add: %w", key, id.Err())
		}
		p.flight.sent(entries[i].part, id.Val())
	}
	p.texts, p.pictures = texts.Val(), pictures.Val()
	p.m.stream.Set(float64(p.texts))
	p.adapt(total(entries), time.Since(begun))
	p.budget.spend(total(entries))
	p.m.produced.Add(float64(len(entries)))
	return nil
}

// The room of a transaction follows the link: it doubles when a full one took less
// than fastSend, and halves when one took longer than slowSend.
const (
	fastSend = 100 * time.Millisecond
	slowSend = 400 * time.Millisecond
	leastFit = 16 << 10
	mostFit  = 4 << 20
)

func (p *Producer) adapt(size int, took time.Duration) {
	switch {
	case took > slowSend:
		p.room = max(min(p.room, size)/2, min(leastFit, p.opt.BatchBytes))
	case took < fastSend && size >= p.room/2:
		p.room = min(2*p.room, max(mostFit, p.opt.BatchBytes))
	}
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

// waits reports whether a stream is full, so that something may wait here on
// disk instead of in the memory of Redis.
func (p *Producer) waits() bool {
	return p.texts >= p.opt.Backlog || p.pictures >= p.opt.Pictures
}

// measure asks how full the streams are. The centers make room.
func (p *Producer) measure(ctx context.Context) error {
	var texts, pictures *redis.IntCmd
	_, err := p.opt.Redis.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		texts, pictures = pipe.XLen(ctx, p.opt.Stream), pipe.XLen(ctx, p.opt.Stream+PicturesSuffix)
		return nil
	})
	if err != nil {
		return fmt.Errorf("stream %s: length: %w", p.opt.Stream, err)
	}
	if texts.Val() < p.texts || pictures.Val() < p.pictures {
		p.again.reset() // somebody reads
	}
	p.texts, p.pictures = texts.Val(), pictures.Val()
	p.m.stream.Set(float64(p.texts))
	if p.texts < p.opt.MaxLen {
		p.full.over("producer: the stream has room again")
		return nil
	}
	p.m.held.Inc()
	p.full.failed(fmt.Errorf("stream %s has %d entries", p.opt.Stream, p.texts))
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
