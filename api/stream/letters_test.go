package stream

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// buried makes dead letters as a consumer does: n alerts that the handler rejects.
func buried(t *testing.T, c redis.UniversalClient, d *desk, n int) (stop func()) {
	t.Helper()
	reject := func(batch []Message) error { return &RejectError{ID: batch[0].ID, Err: errors.New("no")} }
	d.fail = reject
	for i := range n {
		add(t, c, "cam-1", i)
	}
	stop = consumer(t, c, "a", d)
	require.Eventually(t, func() bool { return len(deadLetters(t, c)) == n }, patience, 5*time.Millisecond)
	return stop
}

func TestDeadLettersAreListedRequeuedAndDeleted(t *testing.T) {
	_, c := redisServer(t)
	d := &desk{}
	buried(t, c, d, 5)
	letters := NewDeadLetters(c, testStream)
	ctx := t.Context()

	page, next, all, err := letters.List(ctx, "", 3)
	require.NoError(t, err)
	require.Len(t, page, 3)
	require.Equal(t, int64(5), all)
	rest, end, _, err := letters.List(ctx, next, 3)
	require.NoError(t, err)
	require.Len(t, rest, 2)
	require.Empty(t, end)
	first := page[0]
	require.Equal(t, "rejected", first.Reason)
	require.Equal(t, "no", first.Error)
	require.Equal(t, "alert", first.Kind)
	require.Equal(t, "cam-1", first.Camera)
	require.NotEmpty(t, first.Alert)
	require.False(t, first.At.IsZero())
	got, err := letters.Get(ctx, first.ID)
	require.NoError(t, err)
	require.Equal(t, first, got)

	require.NoError(t, letters.Delete(ctx, first.ID))
	require.ErrorIs(t, letters.Delete(ctx, first.ID), ErrNoLetter)
	_, err = letters.Get(ctx, first.ID)
	require.ErrorIs(t, err, ErrNoLetter)

	d.mu.Lock()
	d.fail = nil
	d.mu.Unlock()
	require.NoError(t, letters.Requeue(ctx, page[1].ID))
	d.awaits(t, 1)
	require.ErrorIs(t, letters.Requeue(ctx, page[1].ID), ErrNoLetter, "no double")
	page, _, _, err = letters.List(ctx, "", 0)
	require.NoError(t, err)
	require.Len(t, page, 3)
	for _, l := range page {
		require.NoError(t, letters.Requeue(ctx, l.ID))
	}
	d.awaits(t, 4)
	require.Empty(t, deadLetters(t, c))
	for _, bad := range []string{"", "x", "1", "+", "-"} {
		require.ErrorIs(t, letters.Requeue(ctx, bad), ErrNoLetter, bad)
	}
}

// TestRequeueKeepsTheWholeEntry: text, compressed text, picture, version and node
// go back to the stream that they came from, and nothing else does.
func TestRequeueKeepsTheWholeEntry(t *testing.T) {
	_, c := redisServer(t)
	ctx := t.Context()
	letters := NewDeadLetters(c, testStream)
	for from, key := range map[string]string{"": testStream, PicturesSuffix: testStream + PicturesSuffix} {
		id, err := c.XAdd(ctx, &redis.XAddArgs{Stream: testStream + DeadSuffix, Values: []any{
			letterFrom, from, letterReason, "x", letterError, "y", letterID, "1-1", letterDeliveries, 6,
			"e", "{}", "z", "zz", "jpeg", "\xff\xd8bytes", "v", "7", "node", "edge-9",
		}}).Result()
		require.NoError(t, err)
		l, err := letters.Get(ctx, id)
		require.NoError(t, err)
		require.Equal(t, "edge-9", l.Node)
		require.Equal(t, int64(2+2+7), l.Bytes)
		require.NoError(t, letters.Requeue(ctx, id))
		got, err := c.XRange(ctx, key, "-", "+").Result()
		require.NoError(t, err)
		require.Len(t, got, 1, key)
		require.Equal(t, map[string]any{"e": "{}", "z": "zz", "jpeg": "\xff\xd8bytes", "v": "7", "node": "edge-9"}, got[0].Values)
	}
}

// TestRequeueIntoAFullRedisLosesNothing: the letter stays when the stream takes
// nothing.
func TestRequeueIntoAFullRedisLosesNothing(t *testing.T) {
	_, c := redisServer(t)
	ctx := t.Context()
	id, err := c.XAdd(ctx, &redis.XAddArgs{Stream: testStream + DeadSuffix, Values: []any{"e", "{}"}}).Result()
	require.NoError(t, err)
	require.NoError(t, c.ConfigSet(ctx, "maxmemory", "1").Err())
	letters := NewDeadLetters(c, testStream)
	require.Error(t, letters.Requeue(ctx, id))
	require.Len(t, deadLetters(t, c), 1)
	require.NoError(t, c.ConfigSet(ctx, "maxmemory", "0").Err())
	require.NoError(t, letters.Requeue(ctx, id))
	require.Empty(t, deadLetters(t, c), fmt.Sprint(id))
}
