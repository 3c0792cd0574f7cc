package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

const (
	testStream = "test:{alerts}"
	testGroup  = "center"
	patience   = 30 * time.Second
)

// redisServer starts a private server for the test and returns a client of it.
func redisServer(t testing.TB) (*Server, redis.UniversalClient) {
	t.Helper()
	s, err := StartServer(t.Context(), t.TempDir(), quiet())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	c := NewClient(ClientOptions{Addresses: []string{s.Addr()}})
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return s, c
}

// desk is a handler that keeps what it is given and fails when told to.
type desk struct {
	mu   sync.Mutex
	got  []Message
	fail func([]Message) error // nil: never
}

func (d *desk) handle(_ context.Context, batch []Message) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		if err := d.fail(batch); err != nil {
			return err
		}
	}
	d.got = append(d.got, batch...)
	return nil
}

func (d *desk) messages() []Message {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Message(nil), d.got...)
}

// ids returns the different alert IDs, in the order of their first arrival.
func (d *desk) ids() []string {
	var ids []string
	seen := map[string]bool{}
	for _, m := range d.messages() {
		if a := m.Envelope.Alert; a != nil && !seen[a.ID] {
			seen[a.ID] = true
			ids = append(ids, a.ID)
		}
	}
	return ids
}

func (d *desk) awaits(t testing.TB, n int) []string {
	t.Helper()
	require.Eventually(t, func() bool { return len(d.ids()) >= n }, patience, 2*time.Millisecond, "arrived: %d of %d", len(d.ids()), n)
	require.Len(t, d.ids(), n)
	return d.ids()
}

func producer(t testing.TB, c redis.UniversalClient, o *Outbox, change ...func(*ProducerOptions)) (stop func()) {
	t.Helper()
	opt := ProducerOptions{
		Outbox: o, Redis: c, Stream: testStream, Log: quiet(), MinWait: 5 * time.Millisecond, MaxWait: 50 * time.Millisecond,
		Block: 20 * time.Millisecond, CheckEvery: 50 * time.Millisecond,
	}
	for _, f := range change {
		f(&opt)
	}
	return background(t, NewProducer(opt).Run)
}

func consumer(t testing.TB, c redis.UniversalClient, name string, d *desk, change ...func(*ConsumerOptions)) (stop func()) {
	t.Helper()
	opt := ConsumerOptions{
		Redis: c, Stream: testStream, Group: testGroup, Name: name, Handle: d.handle, Log: quiet(),
		Block: 20 * time.Millisecond, MinWait: 5 * time.Millisecond, MaxWait: 20 * time.Millisecond,
	}
	for _, f := range change {
		f(&opt)
	}
	return background(t, NewConsumer(opt).Run)
}

// add puts an entry into the stream as an edge does.
func add(t testing.TB, c redis.UniversalClient, camera string, n int) string {
	t.Helper()
	e := alertEnvelope(camera, n, 0)
	return addRaw(t, c, fieldEnvelope, fmt.Sprintf(
		`{"v":1,"node":"edge-1","seq":%d,"time":"2026-01-02T03:04:05Z","alert":{"id":%q,"camera":%q,"future_field":1}}`, n+1, e.Alert.ID, camera))
}

func addRaw(t testing.TB, c redis.UniversalClient, values ...any) string {
	t.Helper()
	id, err := c.XAdd(t.Context(), &redis.XAddArgs{Stream: testStream, Values: values}).Result()
	require.NoError(t, err)
	return id
}

func deadLetters(t testing.TB, c redis.UniversalClient) []redis.XMessage {
	t.Helper()
	got, err := c.XRange(t.Context(), testStream+DeadSuffix, "-", "+").Result()
	require.NoError(t, err)
	return got
}

func pending(t testing.TB, c redis.UniversalClient) int64 {
	t.Helper()
	p, err := c.XPending(t.Context(), testStream, testGroup).Result()
	require.NoError(t, err)
	return p.Count
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

func TestWholePath(t *testing.T) {
	_, c := redisServer(t)
	o := openBox(t, t.TempDir(), OutboxOptions{})
	d := &desk{}
	reg := prometheus.NewRegistry()
	producer(t, c, o, func(p *ProducerOptions) { p.Registerer = reg })
	consumer(t, c, "a", d, func(o *ConsumerOptions) { o.Registerer = reg })
	var want []string
	for i := range 300 {
		e := alertEnvelope("cam-1", i, 100*(i%2))
		mustPut(t, o, e)
		want = append(want, e.Alert.ID)
	}
	mustPut(t, o, stateEnvelope("cam-1", 1))
	require.True(t, slices.Equal(want, d.awaits(t, 300)), "in order")
	require.Eventually(t, func() bool { return len(d.messages()) == 451 }, patience, time.Millisecond)
	pictures := 0
	for _, m := range d.messages() {
		require.Equal(t, int64(1), m.Deliveries)
		if p := m.Envelope.Picture; p != nil {
			pictures++
			require.Equal(t, want[m.Envelope.Seq-1], p.Alert)
			require.Equal(t, picture(100, byte(m.Envelope.Seq-1)).JPEG, p.Picture.JPEG)
		}
	}
	require.Equal(t, 150, pictures)
	require.Eventually(t, func() bool {
		return o.Depth() == 0 && c.XLen(t.Context(), testStream).Val() == 0 && pending(t, c) == 0
	}, patience, 5*time.Millisecond, "what is committed does not stay in Redis")
	require.InDelta(t, 451, metric(t, reg, "sharpeyes_producer_entries_total"), 0)
	require.InDelta(t, 451, metric(t, reg, "sharpeyes_producer_confirmed_total"), 0)
	require.Zero(t, metric(t, reg, "sharpeyes_producer_resent_total"))
	require.Eventually(t, func() bool { return metric(t, reg, "sharpeyes_producer_unconfirmed") == 0 }, patience, time.Millisecond)
	require.InDelta(t, 451, metric(t, reg, "sharpeyes_consumer_messages_total"), 0)
	require.InDelta(t, 451, metric(t, reg, "sharpeyes_consumer_acked_total"), 0)
	require.InDelta(t, 451, metric(t, reg, "sharpeyes_consumer_trimmed_total"), 0)
	require.Less(t, metric(t, reg, "sharpeyes_consumer_lag_seconds"), 60.0)
}

func TestRedisKilledInTheMiddle(t *testing.T) {
	s, c := redisServer(t)
	o := openBox(t, t.TempDir(), OutboxOptions{})
	d := &desk{}
	producer(t, c, o, func(p *ProducerOptions) { p.Batch = 16 })
	consumer(t, c, "a", d, func(o *ConsumerOptions) { o.Batch = 16 })
	const n = 600
	var want []string
	for i := range n {
		e := alertEnvelope("cam-1", i, 50)
		mustPut(t, o, e)
		want = append(want, e.Alert.ID)
		if i%200 == 150 {
			before := s.Restarts()
			require.NoError(t, syscall.Kill(int(s.pid.Load()), syscall.SIGKILL))
			require.Eventually(t, func() bool { return s.Restarts() > before }, patience, time.Millisecond)
		}
	}
	if got := d.awaits(t, n); !sameSet(want, got) {
		t.Fatal("not every alert arrived")
	}
	require.Eventually(t, func() bool { return o.Depth() == 0 && pending(t, c) == 0 }, patience, 5*time.Millisecond)
	require.Empty(t, deadLetters(t, c))
}

func TestEmptiedRedisGetsItsGroupAgain(t *testing.T) {
	_, c := redisServer(t)
	d := &desk{}
	consumer(t, c, "a", d)
	add(t, c, "cam-1", 1)
	d.awaits(t, 1)
	require.NoError(t, c.FlushAll(t.Context()).Err())
	add(t, c, "cam-1", 2)
	d.awaits(t, 2)
}

func TestConsumerBeginsWithItsPending(t *testing.T) {
	_, c := redisServer(t)
	d := &desk{}
	entered := make(chan struct{}, 1)
	stop := background(t, NewConsumer(ConsumerOptions{
		Redis: c, Stream: testStream, Group: testGroup, Name: "a", Block: 20 * time.Millisecond, Log: quiet(),
		Handle: func(ctx context.Context, _ []Message) error { entered <- struct{}{}; <-ctx.Done(); return ctx.Err() },
	}).Run)
	for i := range 3 {
		add(t, c, "cam-1", i)
	}
	<-entered
	stop()
	require.Positive(t, pending(t, c))
	consumer(t, c, "a", d, func(o *ConsumerOptions) { o.Batch = 2 })
	d.awaits(t, 3)
	for _, m := range d.messages() {
		require.Equal(t, int64(1), m.Deliveries, "a stop is no crash")
	}
}

func TestAnotherConsumerTakesOver(t *testing.T) {
	_, c := redisServer(t)
	const n = 7
	for i := range n {
		add(t, c, "cam-1", i)
	}
	require.NoError(t, c.XGroupCreate(t.Context(), testStream, testGroup, "0").Err())
	got, err := c.XReadGroup(t.Context(), &redis.XReadGroupArgs{Group: testGroup, Consumer: "dead", Streams: []string{testStream, ">"}}).Result()
	require.NoError(t, err)
	require.Len(t, got[0].Messages, n)
	reg := prometheus.NewRegistry()
	d := &desk{}
	consumer(t, c, "b", d, func(o *ConsumerOptions) { o.ClaimIdle, o.Batch, o.Registerer = 50*time.Millisecond, 3, reg })
	d.awaits(t, n)
	require.Equal(t, int64(2), d.messages()[0].Deliveries)
	// On a slow machine what b took and has not come to yet grows old again, and
	// b takes it once more.
	require.GreaterOrEqual(t, metric(t, reg, "sharpeyes_consumer_claimed_total"), float64(n))
	require.Eventually(t, func() bool { return pending(t, c) == 0 }, patience, time.Millisecond)
}

func TestUnreadableGoesToTheDeadLetters(t *testing.T) {
	_, c := redisServer(t)
	d := &desk{}
	consumer(t, c, "a", d)
	for _, bad := range [][]any{{fieldEnvelope, "{"}, {"x", "y"}, {fieldEnvelope, `{"v":9,"node":"n","seq":1,"news":{}}`, fieldNode, "n"}} {
		addRaw(t, c, bad...)
	}
	add(t, c, "cam-1", 1)
	d.awaits(t, 1)
	dead := deadLetters(t, c)
	require.Len(t, dead, 3)
	require.Equal(t, reasonUnreadable, dead[2].Values["reason"])
	require.Equal(t, `{"v":9,"node":"n","seq":1,"news":{}}`, dead[2].Values[fieldEnvelope], "kept as it came")
	require.Contains(t, dead[2].Values["error"], "0 bodies")
	require.Eventually(t, func() bool { return pending(t, c) == 0 }, patience, time.Millisecond)
}

func TestPoisonGoesToTheDeadLettersAndStopsNobody(t *testing.T) {
	_, c := redisServer(t)
	poison := alertEnvelope("cam-1", 0, 0).Alert.ID
	d := &desk{fail: func(batch []Message) error {
		for _, m := range batch {
			if m.Envelope.Alert.ID == poison {
				return errors.New("constraint failed")
			}
		}
		return nil
	}}
	reg := prometheus.NewRegistry()
	consumer(t, c, "a", d, func(o *ConsumerOptions) { o.Registerer = reg })
	add(t, c, "cam-1", 0)
	follower := add(t, c, "cam-1", 1)
	sent := 2
	require.Eventually(t, func() bool {
		if len(d.ids()) < sent-2 { // each success of another camera is evidence
			return false
		}
		if len(deadLetters(t, c)) > 0 {
			return true
		}
		add(t, c, "cam-2", sent)
		sent++
		return false
	}, patience, time.Millisecond)
	d.awaits(t, sent-1)
	dead := deadLetters(t, c)
	require.Len(t, dead, 1)
	require.Equal(t, reasonDeliveries, dead[0].Values["reason"])
	require.Equal(t, "6", dead[0].Values["deliveries"])
	require.Contains(t, dead[0].Values["error"], "constraint failed")
	msgs := d.messages()
	require.Condition(t, func() bool {
		for i, m := range msgs {
			if m.ID == follower {
				return i >= 5
			}
		}
		return false
	}, "what follows on the same camera waits for it")
	require.InDelta(t, 1, metric(t, reg, "sharpeyes_consumer_dead_letters_total", "reason", reasonDeliveries), 0)
	require.Eventually(t, func() bool { return pending(t, c) == 0 }, patience, time.Millisecond)
}

func TestRejectedGoesToTheDeadLettersAtOnce(t *testing.T) {
	_, c := redisServer(t)
	bad := add(t, c, "cam-1", 0)
	add(t, c, "cam-1", 1)
	d := &desk{fail: func(batch []Message) error {
		for _, m := range batch {
			if m.ID == bad {
				return fmt.Errorf("store: %w", &RejectError{ID: bad, Err: errors.New("no such camera")})
			}
		}
		return nil
	}}
	consumer(t, c, "a", d)
	d.awaits(t, 1)
	require.Equal(t, reasonRejected, deadLetters(t, c)[0].Values["reason"])
	require.Equal(t, "no such camera", deadLetters(t, c)[0].Values["error"])
}

func TestOutageOfTheDatabaseLosesNothing(t *testing.T) {
	_, c := redisServer(t)
	calls := 0
	d := &desk{}
	d.fail = func([]Message) error {
		if calls++; calls < 200 {
			return errors.New("database is down")
		}
		return nil
	}
	for i := range 20 {
		add(t, c, fmt.Sprint("cam-", i%10), i)
	}
	// Restarts of the center during the outage count for nothing either.
	for range 8 {
		before := func() int { d.mu.Lock(); defer d.mu.Unlock(); return calls }()
		stop := consumer(t, c, "a", d)
		require.Eventually(t, func() bool { d.mu.Lock(); defer d.mu.Unlock(); return calls > before+6 }, patience, time.Millisecond)
		stop()
	}
	consumer(t, c, "a", d)
	d.awaits(t, 20)
	require.Empty(t, deadLetters(t, c))
	last := map[string]uint64{}
	for _, m := range d.messages() {
		camera := string(m.Envelope.Alert.Camera)
		require.Greater(t, m.Envelope.Seq, last[camera], "order per camera")
		last[camera] = m.Envelope.Seq
	}
}

func TestCrashingMessageGoesToTheDeadLetters(t *testing.T) {
	_, c := redisServer(t)
	id := add(t, c, "cam-1", 0)
	require.NoError(t, c.XGroupCreate(t.Context(), testStream, testGroup, "0").Err())
	require.NoError(t, c.XReadGroup(t.Context(), &redis.XReadGroupArgs{Group: testGroup, Consumer: "a", Streams: []string{testStream, ">"}}).Err())
	// Five processes died with it in hand.
	require.NoError(t, c.Do(t.Context(), "XCLAIM", testStream, testGroup, "a", 0, id, "RETRYCOUNT", 5, "JUSTID").Err())
	d := &desk{}
	consumer(t, c, "a", d)
	require.Eventually(t, func() bool { return len(deadLetters(t, c)) == 1 && pending(t, c) == 0 }, patience, time.Millisecond)
	require.Empty(t, d.messages())
	require.Equal(t, id, deadLetters(t, c)[0].Values["id"])
}

func TestDeadLettersAreBounded(t *testing.T) {
	_, c := redisServer(t)
	reg := prometheus.NewRegistry()
	for range 5 {
		addRaw(t, c, "x", "y")
	}
	consumer(t, c, "a", &desk{}, func(o *ConsumerOptions) { o.MaxDead, o.Registerer = 2, reg })
	require.Eventually(t, func() bool { return metric(t, reg, "sharpeyes_consumer_dead_letters_total") == 5 }, patience, time.Millisecond)
	require.Eventually(t, func() bool { return metric(t, reg, "sharpeyes_consumer_dead_letters_dropped_total") == 3 }, patience, time.Millisecond)
	require.Len(t, deadLetters(t, c), 2)
}

func TestWrongPictureIsDroppedAndItsAlertKept(t *testing.T) {
	_, c := redisServer(t)
	reg := prometheus.NewRegistry()
	d := &desk{}
	addRaw(t, c, fieldEnvelope, `{"v":1,"node":"n","seq":1,"alert":{"id":"one","picture":{"sha256":"00"}}}`, fieldJPEG, "bytes")
	addRaw(t, c, fieldEnvelope, `{"v":1,"node":"n","seq":2,"alert":{"id":"two"}}`, fieldJPEG, "bytes")
	consumer(t, c, "a", d, func(o *ConsumerOptions) { o.Registerer = reg })
	d.awaits(t, 2)
	require.Nil(t, d.messages()[0].Envelope.Alert.Picture)
	require.InDelta(t, 2, metric(t, reg, "sharpeyes_consumer_pictures_mismatched_total"), 0)
}

func TestDeletedWhilePendingIsPassed(t *testing.T) {
	_, c := redisServer(t)
	id := add(t, c, "cam-1", 0)
	add(t, c, "cam-1", 1)
	require.NoError(t, c.XGroupCreate(t.Context(), testStream, testGroup, "0").Err())
	require.NoError(t, c.XReadGroup(t.Context(), &redis.XReadGroupArgs{Group: testGroup, Consumer: "a", Streams: []string{testStream, ">"}}).Err())
	require.NoError(t, c.XDel(t.Context(), testStream, id).Err())
	reg := prometheus.NewRegistry()
	d := &desk{}
	consumer(t, c, "a", d, func(o *ConsumerOptions) { o.Registerer = reg })
	d.awaits(t, 1)
	require.InDelta(t, 1, metric(t, reg, "sharpeyes_consumer_vanished_total"), 0)
	require.Eventually(t, func() bool { return pending(t, c) == 0 }, patience, time.Millisecond)
}

func TestFullStreamHoldsTheProducerBack(t *testing.T) {
	_, c := redisServer(t)
	reg := prometheus.NewRegistry()
	o := openBox(t, t.TempDir(), OutboxOptions{})
	producer(t, c, o, func(p *ProducerOptions) { p.MaxLen, p.Batch, p.Registerer = 10, 4, reg })
	for i := range 50 {
		mustPut(t, o, alertEnvelope("cam-1", i, 0))
	}
	require.Eventually(t, func() bool { return metric(t, reg, "sharpeyes_producer_held_total") > 2 }, patience, time.Millisecond)
	length := int(c.XLen(t.Context(), testStream).Val())
	require.GreaterOrEqual(t, length, 10)
	require.Less(t, length, 10+4)
	require.Equal(t, 50, o.Depth(), "what Redis took is not yet at a center")
	d := &desk{}
	consumer(t, c, "a", d)
	d.awaits(t, 50)
}

func TestRedisThatFillsUpTakesAllOfABatchOrNothing(t *testing.T) {
	_, c := redisServer(t)
	reg := prometheus.NewRegistry()
	o := openBox(t, t.TempDir(), OutboxOptions{})
	var want []string
	for i := range 50 {
		e := alertEnvelope("cam-1", i, 10_000)
		mustPut(t, o, e)
		want = append(want, e.Alert.ID)
	}
	used, err := strconv.Atoi(c.InfoMap(t.Context(), "memory").Item("Memory", "used_memory"))
	require.NoError(t, err)
	require.NoError(t, c.ConfigSet(t.Context(), "maxmemory", strconv.Itoa(used+20_000)).Err())
	producer(t, c, o, func(p *ProducerOptions) { p.Registerer = reg })
	require.Eventually(t, func() bool { return metric(t, reg, "sharpeyes_producer_redis_errors_total") > 2 }, patience, time.Millisecond)
	require.Equal(t, 50, o.Depth())
	require.NoError(t, c.ConfigSet(t.Context(), "maxmemory", "0").Err())
	d := &desk{}
	consumer(t, c, "a", d)
	require.Equal(t, want, d.awaits(t, 50))
	require.Len(t, d.messages(), 50, "nothing twice")
}

func TestTrimCutsOnlyWhatEveryGroupHas(t *testing.T) {
	_, c := redisServer(t)
	ctx := t.Context()
	trim := func() int64 {
		n, err := trimScript.Run(ctx, c, []string{testStream}).Int64()
		require.NoError(t, err)
		return n
	}
	read := func(group string, n int64) (ids []string) {
		got, err := c.XReadGroup(ctx, &redis.XReadGroupArgs{Group: group, Consumer: "a", Streams: []string{testStream, ">"}, Count: n}).Result()
		require.NoError(t, err)
		for _, m := range got[0].Messages {
			ids = append(ids, m.ID)
		}
		return ids
	}
	require.Zero(t, trim(), "no stream")
	for i := range 10 {
		add(t, c, "cam-1", i)
	}
	require.Zero(t, trim(), "no group")
	require.NoError(t, c.XGroupCreate(ctx, testStream, "one", "0").Err())
	require.NoError(t, c.XGroupCreate(ctx, testStream, "two", "0").Err())
	ids := read("one", 6)
	require.NoError(t, c.XAck(ctx, testStream, "one", ids...).Err())
	require.Zero(t, trim(), "two has read nothing")
	two := read("two", 5)
	require.Zero(t, trim(), "two has acknowledged nothing")
	require.NoError(t, c.XAck(ctx, testStream, "two", two[0], two[1], two[3]).Err())
	require.Equal(t, int64(2), trim())
	require.NoError(t, c.XAck(ctx, testStream, "two", two[2], two[4]).Err())
	require.Equal(t, int64(3), trim())
	left, err := c.XRange(ctx, testStream, "-", "+").Result()
	require.NoError(t, err)
	require.Len(t, left, 5)
}
