package server

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api/store"
)

// ledger is a list of changes in memory, for what the real store cannot be
// brought to do: fail for a while, or change without a word.
type ledger struct {
	mu      sync.Mutex
	all     []store.Change
	err     error
	changed chan struct{}
}

func (l *ledger) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// announce says that something has changed.
func (l *ledger) announce() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *ledger) ChangesSince(_ context.Context, seq int64, limit int) ([]store.Change, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []store.Change
	for _, c := range l.all {
		if c.Seq > seq && len(out) < limit {
			out = append(out, c)
		}
	}
	return out, l.err
}

func (l *ledger) add(ids ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		l.all = append(l.all, store.Change{Kind: store.KindAlert, ID: id, Seq: int64(len(l.all) + 1)})
	}
}

func (l *ledger) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

// hubOf starts a hub whose rows are their IDs; "gone" is gone and "bad" cannot
// be rendered.
func hubOf(t *testing.T, l *ledger) *hub {
	t.Helper()
	m, err := newMetrics(prometheus.NewRegistry())
	require.NoError(t, err)
	h := newHub(l, func(_ context.Context, c store.Change) (rendered, error) {
		switch c.ID {
		case "gone":
			return rendered{}, store.ErrNotFound
		case "bad":
			return rendered{}, errors.New("cannot be read")
		}
		return rendered{data: []byte(c.ID)}, nil
	}, m, slog.New(slog.DiscardHandler))
	h.start(0, time.Now())
	return h
}

func received(c *client) []string {
	var out []string
	for {
		select {
		case m := <-c.queue:
			out = append(out, string(m.data))
		default:
			return out
		}
	}
}

func TestHubPollsForWhatNobodyAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{changed: make(chan struct{})}
		h := hubOf(t, l)
		defer h.close()
		c, err := h.join("s", "u")
		require.NoError(t, err)
		synctest.Wait()
		l.add("a", "b")
		require.Empty(t, received(c))
		time.Sleep(pollEvery)
		synctest.Wait()
		require.Equal(t, []string{"a", "b"}, received(c))
	})
}

func TestHubOutlivesAFailingStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{changed: make(chan struct{})}
		h := hubOf(t, l)
		defer h.close()
		c, err := h.join("s", "u")
		require.NoError(t, err)
		l.add("a")
		l.fail(errors.New("disk full"))
		time.Sleep(pollEvery + 3*retryAfter)
		synctest.Wait()
		require.GreaterOrEqual(t, testutil.ToFloat64(h.metrics.hubFails), 3.0)
		l.fail(nil)
		time.Sleep(retryAfter)
		synctest.Wait()
		require.Equal(t, []string{"a"}, received(c))
	})
}

func TestHubLeavesOutWhatCannotBeRendered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{changed: make(chan struct{})}
		l.add("a", "gone", "bad", "b")
		h := hubOf(t, l)
		defer h.close()
		c, err := h.join("s", "u")
		require.NoError(t, err)
		time.Sleep(poisonAttempts * retryAfter)
		synctest.Wait()
		got := received(c)
		require.Contains(t, got, "b")
		require.NotContains(t, got, "bad")
		require.NotContains(t, got, "gone")
	})
}

func TestHubReadsLargeBatchesWithoutWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{changed: make(chan struct{})}
		h := hubOf(t, l)
		defer h.close()
		c, err := h.join("s", "u")
		require.NoError(t, err)
		synctest.Wait()
		for range clientQueue { // exactly what a queue holds, two batches
			l.add("a")
		}
		l.announce()
		synctest.Wait()
		require.Len(t, received(c), clientQueue)
	})
}

func TestHubClosed(t *testing.T) {
	h := hubOf(t, &ledger{changed: make(chan struct{})})
	c, err := h.join("s", "u")
	require.NoError(t, err)
	h.close()
	<-c.gone
	h.leave(c) // its handler comes later
	h.close()
	_, err = h.join("s", "u")
	require.ErrorIs(t, err, errTooManyStreams)
	require.Empty(t, h.sessions)
}
