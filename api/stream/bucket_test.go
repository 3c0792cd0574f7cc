package stream

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/api/store"
)

// TestAlertsFlowWhileTheBucketIsAway: an object store that does not answer holds
// up no alert, loses no picture, and sends none to the dead letters.
func TestAlertsFlowWhileTheBucketIsAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close()) // nobody listens there for now
	dir := t.TempDir()
	s, err := store.Open(t.Context(), store.Options{
		Path: filepath.Join(dir, "center.db"), Log: quiet(),
		Bucket: store.Bucket{Name: "pictures", Endpoint: addr, AccessKey: "key", SecretKey: "secret"},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	_, c := redisServer(t)
	o := openBox(t, t.TempDir(), OutboxOptions{})
	reg := prometheus.NewRegistry()
	producer(t, c, o)
	consumer(t, c, "a", &desk{}, func(opt *ConsumerOptions) {
		opt.Registerer = reg
		opt.Handle = func(ctx context.Context, batch []Message) error {
			var envelopes []*api.Envelope
			for _, m := range batch {
				envelopes = append(envelopes, m.Envelope)
			}
			_, err := s.Save(ctx, envelopes)
			return err
		}
	})
	all := func(state store.PictureState, n int) func() bool {
		return func() bool {
			rows, _, err := s.Alerts(t.Context(), store.AlertFilter{}, "", 500)
			for _, r := range rows {
				if r.Picture != state {
					return false
				}
			}
			return err == nil && len(rows) == n
		}
	}
	for i := range 20 {
		mustPut(t, o, benchEnvelope("cam-1", i, 5000))
	}
	require.Eventually(t, all(store.PictureComing, 20), patience, 10*time.Millisecond)
	require.Eventually(t, func() bool { return metric(t, reg, "sharpeyes_consumer_handle_errors_total") >= 5 }, patience, 10*time.Millisecond)
	for i := range 20 { // alerts go on while pictures fail
		mustPut(t, o, benchEnvelope("cam-2", i, 5000))
	}
	require.Eventually(t, all(store.PictureComing, 40), patience, 10*time.Millisecond)
	require.Empty(t, deadLetters(t, c))

	kept := s3mem.New()
	require.NoError(t, kept.CreateBucket("pictures"))
	serve(t, addr, gofakes3.New(kept).Server())
	require.Eventually(t, all(store.PictureKept, 40), patience, 10*time.Millisecond)
	require.Empty(t, deadLetters(t, c))
	require.Eventually(t, func() bool { return o.Depth() == 0 }, patience, 10*time.Millisecond, "the edge is told")
	row, err := s.Alert(t.Context(), benchEnvelope("cam-2", 19, 5000).Alert.ID)
	require.NoError(t, err)
	b, err := s.ReadPicture(t.Context(), *row.Alert.Picture)
	require.NoError(t, err)
	require.Len(t, b, 5000, fmt.Sprint(row.Alert.ID))
}

func serve(t *testing.T, addr string, h http.Handler) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(h)
	require.NoError(t, server.Listener.Close())
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
}
