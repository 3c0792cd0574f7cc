package stream

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// DeadSuffix is appended to the key of a stream for its dead letters. A dead
// letter has the fields of the entry and, beside them, reason, error, id (of the
// entry), deliveries and at (RFC 3339).
const DeadSuffix = ":dead"

// The reasons of a dead letter.
const (
	reasonUnreadable = "unreadable" // not an envelope
	reasonDeliveries = "deliveries" // delivered too often
	reasonRejected   = "rejected"   // the handler said that it can never be handled
)

// buryMessage makes a dead letter of a message whose fields are in the stream.
func (c *Consumer) buryMessage(ctx context.Context, m Message, reason string, cause error) error {
	got, err := c.opt.Redis.XRange(ctx, c.opt.Stream, m.ID, m.ID).Result()
	if err != nil {
		return err
	}
	var fields map[string]any
	if len(got) > 0 {
		fields = got[0].Values
	}
	return c.bury(ctx, m, fields, reason, cause)
}

// bury adds the dead letter and then acknowledges the entry, in two steps: a
// crash between them makes a second dead letter, the other order would lose it.
func (c *Consumer) bury(ctx context.Context, m Message, fields map[string]any, reason string, cause error) error {
	values := []any{"reason", reason, "error", cause.Error(), "id", m.ID, "deliveries", m.Deliveries, "at", time.Now().Format(time.RFC3339Nano)}
	for _, name := range []string{fieldEnvelope, fieldDeflated, fieldJPEG, fieldVersion, fieldNode} {
		if v, ok := fields[name]; ok {
			values = append(values, name, v)
		}
	}
	dead := c.opt.Stream + DeadSuffix
	var before, after *redis.IntCmd
	_, err := c.opt.Redis.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		before = pipe.XLen(ctx, dead)
		pipe.XAdd(ctx, &redis.XAddArgs{Stream: dead, MaxLen: c.opt.MaxDead, Values: values})
		after = pipe.XLen(ctx, dead)
		return nil
	})
	if err != nil {
		return fmt.Errorf("dead letter %s: %w", m.ID, err)
	}
	c.m.dead[reason].Inc()
	c.m.deadDropped.Add(float64(before.Val() + 1 - after.Val()))
	c.log.Error("consumer: a message went to the dead letters", "id", m.ID, "reason", reason, "deliveries", m.Deliveries, "err", cause)
	return c.ack(ctx, m)
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

// trim removes acknowledged entries at most once a second, and only after there
// were some.
func (c *Consumer) trim(ctx context.Context) error {
	if c.acks == 0 || time.Since(c.trimmed) < time.Second {
		return nil
	}
	c.trimmed, c.acks = time.Now(), 0
	n, err := trimScript.Run(ctx, c.opt.Redis, []string{c.opt.Stream}).Int64()
	if err != nil {
		return fmt.Errorf("trim: %w", err)
	}
	c.m.trimmed.Add(float64(n))
	return nil
}
