package store

import (
	"context"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/api/store/pgtest"
)

func onlyPostgres(t *testing.T) {
	t.Helper()
	if postgres == nil {
		t.Skip("about several replicas on PostgreSQL")
	}
}

// replica opens the database of opt once more.
func replica(t *testing.T, opt Options) *Store {
	opt.Registerer = prometheus.NewRegistry()
	return openStore(t, opt)
}

func TestReplicasHearOfEachOther(t *testing.T) {
	onlyPostgres(t)
	opt := testOptions(t, newClock())
	one, two := replica(t, opt), replica(t, opt)
	changed := two.Changed()
	want := save(t, one, alertEnvelope(1, "a", api.Opened, 0))
	select {
	case <-changed:
	case <-time.After(10 * time.Second):
		t.Fatal("the other replica heard nothing")
	}
	got, err := two.ChangesSince(t.Context(), 0, 0)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestReplicasStartTogether(t *testing.T) {
	onlyPostgres(t)
	opt := testOptions(t, newClock())
	opt.Registerer = nil
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s, err := Open(t.Context(), opt)
			if err == nil {
				err = s.Close()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// TestChangeNumbersShowInOrder: what a browser has seen up to a number stays
// complete, however many replicas write.
func TestChangeNumbersShowInOrder(t *testing.T) {
	onlyPostgres(t)
	opt := testOptions(t, newClock())
	const writers, each = 4, 25
	var wg sync.WaitGroup
	for w := range writers {
		s := replica(t, opt)
		wg.Go(func() {
			for i := range each {
				id := strings.Repeat("x", w+1) + string(rune('a'+i))
				e := alertEnvelope(uint64(i+1), id, api.Opened, 0)
				e.Node = "edge-" + string(rune('a'+w))
				if _, err := s.Save(t.Context(), []*api.Envelope{e}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	watcher := replica(t, opt)
	seen := int64(0)
	for seen < writers*each && !t.Failed() {
		heard := watcher.Changed()
		got, err := watcher.ChangesSince(t.Context(), seen, 0)
		require.NoError(t, err)
		for _, c := range got {
			require.Equal(t, seen+1, c.Seq, "a smaller number appeared later")
			seen = c.Seq
		}
		if len(got) == 0 {
			select {
			case <-heard:
			case <-time.After(10 * time.Second):
				t.Fatalf("nothing heard after %d", seen)
			}
		}
	}
	wg.Wait()
}

// TestFrozenReplicaIsLeftBehind: one that stops inside a transaction, as under
// SIGSTOP, must not hold the others for ever.
func TestFrozenReplicaIsLeftBehind(t *testing.T) {
	onlyPostgres(t)
	opt := testOptions(t, newClock())
	frozen := opt
	u, err := url.Parse(opt.DSN)
	require.NoError(t, err)
	q := u.Query()
	q.Set("idle_in_transaction_session_timeout", "300ms")
	u.RawQuery = q.Encode()
	frozen.DSN = u.String()
	one, two := replica(t, frozen), replica(t, opt)
	inside, saved := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- one.Update(context.Background(), func(tx *Tx) error {
			close(inside)
			<-saved
			return tx.Changed(context.Background(), KindEvent, "late")
		})
	}()
	<-inside
	save(t, two, alertEnvelope(1, "a", api.Opened, 0))
	close(saved)
	require.Error(t, <-ended, "its transaction was given up")
	require.NoError(t, one.Ping(t.Context()), "and it works again")
	n, err := one.LastChange(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(1), n)
}

func TestPostgresIsAppendOnly(t *testing.T) {
	onlyPostgres(t)
	s, _ := newStore(t)
	for _, q := range []string{`DELETE FROM access_register`, `UPDATE event_log SET note = 'x'`, `TRUNCATE access_register CASCADE`, `TRUNCATE event_log`} {
		_, err := s.engine.writer.Exec(q)
		require.ErrorContains(t, err, "append-only", q)
	}
}

func TestStoreOutlivesTheServer(t *testing.T) {
	onlyPostgres(t)
	srv, err := pgtest.Start(t.TempDir(), "fsync=off")
	require.NoError(t, err)
	opt := testOptions(t, newClock())
	opt.DSN, err = srv.NewDatabase(t.Context())
	require.NoError(t, err)
	s := openStore(t, opt)
	save(t, s, alertEnvelope(1, "a", api.Opened, 0))

	require.NoError(t, srv.Kill())
	_, err = s.Save(t.Context(), []*api.Envelope{alertEnvelope(2, "b", api.Opened, 0)})
	require.Error(t, err)
	heard := s.Changed()
	require.NoError(t, srv.Start())
	defer func() { require.NoError(t, srv.Stop()) }()
	require.Eventually(t, func() bool {
		_, err := s.Save(t.Context(), []*api.Envelope{alertEnvelope(2, "b", api.Opened, 0)})
		return err == nil
	}, 20*time.Second, 20*time.Millisecond)
	<-heard
	_, err = s.Alert(t.Context(), "a")
	require.NoError(t, err)
	// The listener comes back by itself: a second store is heard again.
	other := replica(t, opt)
	require.Eventually(t, func() bool {
		heard := s.Changed()
		save(t, other, cameraEnvelope("edge-1", 3, time.Duration(time.Now().UnixNano()%1e9)*time.Microsecond))
		select {
		case <-heard:
			return true
		case <-time.After(200 * time.Millisecond):
			return false
		}
	}, 20*time.Second, time.Millisecond)
}

func TestPasswordStaysOutOfErrors(t *testing.T) {
	onlyPostgres(t)
	for _, dsn := range []string{
		"postgres://u:hunter2@127.0.0.1:1/db?sslmode=disable&connect_timeout=2",
		"postgres://u:hunter2@127.0.0.1:notaport/db",
		"host=127.0.0.1 port=1 user=u password=hunter2 nonsense",
	} {
		_, err := Open(t.Context(), Options{DSN: dsn, PictureDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
		require.Error(t, err)
		require.NotContains(t, err.Error(), "hunter2")
	}
}
