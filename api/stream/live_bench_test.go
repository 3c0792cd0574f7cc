package stream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/api/store"
	"github.com/sharpeyes/sharpeyes/api/store/pgtest"
)

// liveEvery is how often an alert of now happens while the backlog is carried.
const liveEvery = 20 * time.Millisecond

// BenchmarkDrainWithLive carries b.N alerts with pictures of 40 kB from a full
// outbox to committed rows and picture files of a center, while alerts of now
// are put. It reports the rate of the backlog, pictures included, and how late
// the alerts of now were committed. Run it with a fixed count:
// -benchtime 20000x.
func BenchmarkDrainWithLive(b *testing.B) {
	// What one run leaves is deleted behind all of them: for minutes after it a
	// file system is slow to make new files.
	root := b.TempDir()
	for _, engine := range []string{"sqlite", "postgres"} {
		for _, size := range []int{0, 40_000} {
			b.Run(fmt.Sprintf("%s/picture=%d", engine, size), func(b *testing.B) {
				_, c := redisServer(b)
				o := openBox(b, folderIn(b, root), OutboxOptions{MaxBytes: 8 << 30})
				putBacklog(b, o, size)
				t := newTally(b, benchStore(b, folderIn(b, root), engine), b.N, size > 0)
				live := background(b, func(ctx context.Context) error { return t.putLive(ctx, o, size) })
				b.ResetTimer()
				// As shipped: the tests look for losses a hundred times as often.
				stopProducer := background(b, NewProducer(ProducerOptions{Outbox: o, Redis: c, Stream: testStream, Log: quiet()}).Run)
				stopConsumer := background(b, NewConsumer(ConsumerOptions{
					Redis: c, Stream: testStream, Group: testGroup, Name: "a", Handle: t.handle, Log: quiet(),
				}).Run)
				select {
				case <-t.done:
				case <-time.After(10 * time.Minute):
					b.Fatal("the backlog does not end")
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "alerts/s")
				b.StopTimer()
				live()
				t.report(b)
				stopProducer()
				stopConsumer()
			})
		}
	}
}

// putBacklog fills the outbox with b.N alerts.
func putBacklog(b *testing.B, o *Outbox, size int) {
	b.Helper()
	var wg sync.WaitGroup
	for worker := range 64 {
		wg.Go(func() {
			for i := worker; i < b.N; i += 64 {
				if _, err := o.Put(benchEnvelope(fmt.Sprint("cam-", worker), i, size)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// benchEnvelope is an alert whose picture a store takes: every one another, and
// a JPEG by its first bytes.
func benchEnvelope(camera string, n, size int) api.Envelope {
	e := alertEnvelope(camera, n, 0)
	if size == 0 {
		return e
	}
	jpeg := make([]byte, size)
	copy(jpeg, "\xff\xd8\xff"+camera+fmt.Sprint("/", n))
	for i := 64; i < len(jpeg); i++ {
		jpeg[i] = byte(i*i>>3) ^ byte(n)
	}
	sum := sha256.Sum256(jpeg)
	e.Alert.Picture = &api.AlertPicture{
		SHA256: hex.EncodeToString(sum[:]), At: e.Alert.Start, Width: 640, Height: 360, Bytes: size, Blurred: true, JPEG: jpeg,
	}
	return e
}

func folderIn(b *testing.B, root string) string {
	b.Helper()
	dir, err := os.MkdirTemp(root, "")
	require.NoError(b, err)
	return dir
}

func benchStore(b *testing.B, dir, engine string) *store.Store {
	b.Helper()
	opt := store.Options{Path: filepath.Join(dir, "center.db"), PictureDir: filepath.Join(dir, "pictures"), Log: quiet()}
	if engine == "postgres" {
		pg, err := pgtest.Start(folderIn(b, dir))
		require.NoError(b, err)
		b.Cleanup(func() { require.NoError(b, pg.Stop()) })
		opt.DSN, err = pg.NewDatabase(b.Context())
		require.NoError(b, err)
	}
	s, err := store.Open(b.Context(), opt)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	return s
}

// tally hands what comes to the store and counts what is committed.
type tally struct {
	store *store.Store
	parts int64 // of the backlog, still to come
	done  chan struct{}

	mu   sync.Mutex
	seen map[string]bool // alert ID, and its picture
	put  map[string]time.Time
	late []time.Duration
}

func newTally(b *testing.B, s *store.Store, n int, pictures bool) *tally {
	b.Helper()
	t := &tally{store: s, parts: int64(n), done: make(chan struct{}), seen: map[string]bool{}, put: map[string]time.Time{}}
	if pictures {
		t.parts *= 2
	}
	return t
}

const livePrefix = "live-"

func (t *tally) handle(ctx context.Context, batch []Message) error {
	envelopes := make([]*api.Envelope, len(batch))
	for i, m := range batch {
		envelopes[i] = m.Envelope
	}
	if _, err := t.store.Save(ctx, envelopes); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range envelopes {
		key, camera := "", ""
		switch {
		case e.Alert != nil:
			key, camera = e.Alert.ID, string(e.Alert.Camera)
		case e.Picture != nil:
			key, camera = e.Picture.Alert+"/picture", string(e.Picture.Camera)
		}
		if t.seen[key] {
			continue
		}
		t.seen[key] = true
		if at, ok := t.put[key]; ok {
			t.late = append(t.late, time.Since(at))
		}
		if strings.HasPrefix(camera, livePrefix) {
			continue
		}
		if atomic.AddInt64(&t.parts, -1) == 0 {
			close(t.done)
		}
	}
	return nil
}

// putLive puts alerts of now until ctx is done.
func (t *tally) putLive(ctx context.Context, o *Outbox, size int) error {
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		e := benchEnvelope(fmt.Sprint(livePrefix, n%16), n, size)
		t.mu.Lock()
		t.put[e.Alert.ID] = time.Now()
		t.mu.Unlock()
		if _, err := o.Put(e); err != nil {
			return err
		}
	}
}

func (t *tally) report(b *testing.B) {
	b.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.late) == 0 {
		return
	}
	slices.Sort(t.late)
	b.ReportMetric(t.late[len(t.late)/2].Seconds()*1000, "live-p50-ms")
	b.ReportMetric(t.late[len(t.late)*95/100].Seconds()*1000, "live-p95-ms")
	b.ReportMetric(t.late[len(t.late)-1].Seconds()*1000, "live-max-ms")
}
