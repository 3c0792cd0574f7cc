package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// PicturesSuffix is appended to the key of a stream for the one of its pictures.
const PicturesSuffix = ":pictures"

// reader reads one stream for a Consumer. It is used by one goroutine.
type reader struct {
	opt ConsumerOptions
	log *slog.Logger
	m   *consumerMetrics
	key string // of the stream

	most    int       // messages in a batch of pictures; opt.Batch is how many it is now
	own     string    // own pending entries from this ID on are still to be read; "" when there are none
	unacked []Message // handled, but Redis failed before it was told
	claimed time.Time // when dead consumers were last looked for
	trimmed time.Time // when the stream was last trimmed
	acks    int       // acknowledged since then
}

// run reads and handles until ctx is done, whatever Redis does.
func (r *reader) run(ctx context.Context) error {
	wait := backoff{min: r.opt.MinWait, max: r.opt.MaxWait}
	trouble := troubleLog{log: r.log, msg: "consumer: Redis fails"}
	for {
		err := r.session(ctx, func() {
			trouble.over("consumer: Redis answers again")
			wait.reset()
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.m.errors.Inc()
		trouble.failed(err)
		if err := wait.wait(ctx); err != nil {
			return err
		}
	}
}

// session works until Redis fails or ctx is done. It calls well after each step
// that went well.
func (r *reader) session(ctx context.Context, well func()) error {
	err := r.opt.Redis.XGroupCreateMkStream(ctx, r.key, r.opt.Group, "0").Err()
	if err != nil && !strings.HasPrefix(err.Error(), "BUSYGROUP") {
		return err
	}
	left := r.unacked
	r.unacked = nil
	if err := r.ack(ctx, left...); err != nil {
		return err
	}
	r.own = "-"
	for ctx.Err() == nil {
		block := r.opt.Block
		if r.acks > 0 { // producers may wait for the stream to be trimmed
			block = min(block, trimEvery)
		}
		batch, err := r.next(ctx, block, nil)
		if err != nil {
			return err
		}
		well()
		if err := r.deliver(ctx, batch); err != nil {
			return err
		}
		if err := r.trim(ctx, len(batch) < r.opt.Batch); err != nil {
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
func (r *reader) next(ctx context.Context, block time.Duration, held []Message) ([]delivery, error) {
	if err := r.claim(ctx); err != nil {
		return nil, err
	}
	for r.own != "" {
		if batch, err := r.ownPending(ctx, held); err != nil || len(batch) > 0 {
			return batch, err
		}
	}
	got, err := r.opt.Redis.XReadGroup(ctx, &redis.XReadGroupArgs{
		Group: r.opt.Group, Consumer: r.opt.Name, Streams: []string{r.key, ">"},
		Count: int64(r.opt.Batch), Block: block,
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
// acknowledged, and moves r.own behind it, to "" at the end.
//
// The history form of XREADGROUP would count a delivery each time that it is
// read, so that a link which breaks in the middle five times sends healthy
// messages to the dead letters. Here a delivery is counted by our own command,
// right before the handler gets the message.
func (r *reader) ownPending(ctx context.Context, held []Message) ([]delivery, error) {
	pending, err := r.opt.Redis.XPendingExt(ctx, &redis.XPendingExtArgs{
		Stream: r.key, Group: r.opt.Group, Consumer: r.opt.Name,
		Start: r.own, End: "+", Count: int64(r.opt.Batch),
	}).Result()
	if err != nil {
		return nil, err
	}
	next := ""
	if len(pending) == r.opt.Batch {
		next = "(" + pending[len(pending)-1].ID
	}
	pending = slices.DeleteFunc(pending, func(p redis.XPendingExt) bool {
		return slices.ContainsFunc(held, func(m Message) bool { return m.ID == p.ID })
	})
	batch, err := r.bodies(ctx, pending)
	if err != nil {
		return nil, err
	}
	if err := r.count(ctx, batch); err != nil {
		return nil, err
	}
	r.m.redelivered.Add(float64(len(batch)))
	r.own = next
	return batch, nil
}

// bodies reads the entries from the stream. What is not there any more has no
// values.
func (r *reader) bodies(ctx context.Context, pending []redis.XPendingExt) ([]delivery, error) {
	if len(pending) == 0 {
		return nil, nil
	}
	cmds := make([]*redis.XMessageSliceCmd, len(pending))
	_, err := r.opt.Redis.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i, p := range pending {
			cmds[i] = pipe.XRange(ctx, r.key, p.ID, p.ID)
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
func (r *reader) count(ctx context.Context, batch []delivery) error {
	if len(batch) == 0 {
		return nil
	}
	_, err := r.opt.Redis.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, d := range batch {
			pipe.Do(ctx, "XCLAIM", r.key, r.opt.Group, r.opt.Name, 0, d.ID, "RETRYCOUNT", d.count, "JUSTID")
		}
		return nil
	})
	return err
}

// claim takes over, at most once in half of ClaimIdle, what consumers hold that
// gave no sign for ClaimIdle, so that it becomes own pending.
func (r *reader) claim(ctx context.Context) error {
	if time.Since(r.claimed) < r.opt.ClaimIdle/2 {
		return nil
	}
	for cursor := "0-0"; ; {
		// JUSTID: the delivery is counted when the handler gets the message.
		reply, err := r.opt.Redis.Do(ctx, "XAUTOCLAIM", r.key, r.opt.Group, r.opt.Name,
			r.opt.ClaimIdle.Milliseconds(), cursor, "COUNT", r.opt.Batch, "JUSTID").Slice()
		if err != nil {
			return err
		}
		next, claimed, deleted, err := parseClaim(reply)
		if err != nil {
			return err
		}
		if claimed > 0 {
			r.log.Info("consumer: taking over what was left unacknowledged", "messages", claimed)
			r.m.claimed.Add(float64(claimed))
			r.own = "-"
		}
		if deleted > 0 {
			r.log.Error("consumer: messages were deleted by someone before they were handled", "messages", deleted)
			r.m.vanished.Add(float64(deleted))
		}
		// A page may be empty while the cursor goes on: it was spent on entries
		// that are not idle or are deleted.
		if cursor = next; cursor == "0-0" {
			r.claimed = time.Now()
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
