package stream

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// DeadSuffix is appended to the key of a stream for its dead letters. A dead
// letter has the fields of the entry and, beside them, reason, error, id (of the
// entry), deliveries, at (RFC 3339) and from (the suffix of its stream).
const DeadSuffix = ":dead"

const (
	letterFrom       = "from"
	letterReason     = "reason"
	letterError      = "error"
	letterID         = "id"
	letterDeliveries = "deliveries"
	letterAt         = "at"
)

// letterFields are the fields of an entry that its dead letter keeps. The receipt
// is not among them: its edge was told that the center has it.
var letterFields = [...]string{fieldEnvelope, fieldDeflated, fieldJPEG, fieldVersion, fieldNode}

// The reasons of a dead letter.
const (
	reasonUnreadable = "unreadable" // not an envelope
	reasonDeliveries = "deliveries" // delivered too often
	reasonRejected   = "rejected"   // the handler said that it can never be handled
)

// buryMessage makes a dead letter of a message whose fields are in the stream.
func (r *reader) buryMessage(ctx context.Context, m Message, reason string, cause error) error {
	got, err := r.opt.Redis.XRange(ctx, r.key, m.ID, m.ID).Result()
	if err != nil {
		return err
	}
	var fields map[string]any
	if len(got) > 0 {
		fields = got[0].Values
	}
	return r.bury(ctx, m, fields, reason, cause)
}

// bury adds the dead letter and then acknowledges the entry, in two steps: a
// crash between them makes a second dead letter, the other order would lose it.
func (r *reader) bury(ctx context.Context, m Message, fields map[string]any, reason string, cause error) error {
	values := []any{letterFrom, strings.TrimPrefix(r.key, r.opt.Stream), letterReason, reason, letterError, cause.Error(), letterID, m.ID, letterDeliveries, m.Deliveries, letterAt, time.Now().Format(time.RFC3339Nano)}
	for _, name := range letterFields {
		if v, ok := fields[name]; ok {
			values = append(values, name, v)
		}
	}
	dead := r.opt.Stream + DeadSuffix
	var before, after *redis.IntCmd
	_, err := r.opt.Redis.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		before = pipe.XLen(ctx, dead)
		pipe.XAdd(ctx, &redis.XAddArgs{Stream: dead, MaxLen: r.opt.MaxDead, Values: values})
		after = pipe.XLen(ctx, dead)
		return nil
	})
	if err != nil {
		return fmt.Errorf("dead letter %s: %w", m.ID, err)
	}
	r.m.dead[reason].Inc()
	r.m.deadDropped.Add(float64(before.Val() + 1 - after.Val()))
	r.log.Error("consumer: a message went to the dead letters", "id", m.ID, "reason", reason, "deliveries", m.Deliveries, "err", cause)
	return r.ack(ctx, m)
}

// trimScript removes what every group of the stream has acknowledged, in one
// step on the server, so that no entry can come between looking and cutting. It
// returns how many entries went. Without a group it removes nothing.
var trimScript = redis.NewScript(`
local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
if groups.err or #groups == 0 then return 0 end
local ms, seq
for _, g in ipairs(groups) do
  local f = {}
  for i = 1, #g, 2 do f[g[i]] = g[i+1] end
  local p = redis.call('XPENDING', KEYS[1], f['name'])
  local id, plus = f['last-delivered-id'], 1
  if p[1] > 0 then id, plus = p[2], 0 end
  local m, s = string.match(id, '(%d+)-(%d+)')
  m, s = tonumber(m), tonumber(s)
  if s > 9007199254740000 then plus = 0 end
  s = s + plus
  if not ms or m < ms or (m == ms and s < seq) then ms, seq = m, s end
end
return redis.call('XTRIM', KEYS[1], 'MINID', '=', string.format('%.0f-%.0f', ms, seq))
`)

// trimEvery is how often a stream that never rests is trimmed. Producers hold
// back by its length, so it must follow what is acknowledged closely.
const trimEvery = 50 * time.Millisecond

// trim removes acknowledged entries, when there were some since the last time:
// now and then while there is more to read, at once when the stream rests.
func (r *reader) trim(ctx context.Context, rests bool) error {
	if r.acks == 0 || !rests && time.Since(r.trimmed) < trimEvery {
		return nil
	}
	r.trimmed, r.acks = time.Now(), 0
	n, err := trimScript.Run(ctx, r.opt.Redis, []string{r.key}).Int64()
	if err != nil {
		return fmt.Errorf("trim: %w", err)
	}
	r.m.trimmed.Add(float64(n))
	return nil
}
