package stream

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
)

// TestRedisThatForgotIsToldAgain: what Redis accepted and lost before a center
// had it is not lost.
func TestRedisThatForgotIsToldAgain(t *testing.T) {
	_, c := redisServer(t)
	reg := prometheus.NewRegistry()
	o := openBox(t, t.TempDir(), OutboxOptions{})
	producer(t, c, o, func(p *ProducerOptions) { p.Registerer = reg })
	var want []string
	put := func(from, n int) {
		for i := range n {
			e := alertEnvelope("cam-1", from+i, 50)
			mustPut(t, o, e)
			want = append(want, e.Alert.ID)
		}
	}
	put(0, 20)
	require.Eventually(t, func() bool { return c.XLen(t.Context(), testStream).Val() == 20 }, patience, time.Millisecond)
	require.NoError(t, c.FlushAll(t.Context()).Err())
	put(20, 5) // Redis looks healthy to whoever only sends
	d := &desk{}
	consumer(t, c, "a", d)
	require.True(t, sameSet(want, d.awaits(t, 25)))
	require.Eventually(t, func() bool { return o.Depth() == 0 }, patience, time.Millisecond)
	require.GreaterOrEqual(t, metric(t, reg, "sharpeyes_producer_resent_total"), 20.0)
	require.Eventually(t, func() bool { return metric(t, reg, "sharpeyes_producer_unconfirmed") == 0 }, patience, time.Millisecond)
}

// TestLostTail: the last second is gone, what came before is there.
func TestLostTail(t *testing.T) {
	_, c := redisServer(t)
	o := openBox(t, t.TempDir(), OutboxOptions{})
	producer(t, c, o)
	for i := range 30 {
		mustPut(t, o, alertEnvelope("cam-1", i, 0))
	}
	require.Eventually(t, func() bool { return c.XLen(t.Context(), testStream).Val() == 30 }, patience, time.Millisecond)
	all, err := c.XRange(t.Context(), testStream, "-", "+").Result()
	require.NoError(t, err)
	for _, m := range all[17:] {
		require.NoError(t, c.XDel(t.Context(), testStream, m.ID).Err())
	}
	d := &desk{}
	consumer(t, c, "a", d)
	d.awaits(t, 30)
	require.Eventually(t, func() bool { return o.Depth() == 0 }, patience, time.Millisecond)
}

func TestNothingIsGivenUpBeforeTheCommit(t *testing.T) {
	_, c := redisServer(t)
	o := openBox(t, t.TempDir(), OutboxOptions{})
	stop := producer(t, c, o)
	mustPut(t, o, alertEnvelope("cam-1", 1, 100))
	require.Eventually(t, func() bool { return c.XLen(t.Context(), testStream).Val() == 1 }, patience, time.Millisecond)
	require.Equal(t, 1, o.Depth())
	stop()
	// The next life of the edge finds the receipt that came meanwhile.
	d := &desk{}
	consumer(t, c, "a", d)
	require.Eventually(t, func() bool { return len(d.messages()) == 1 && pending(t, c) == 0 }, patience, time.Millisecond)
	require.Equal(t, 1, o.Depth())
	producer(t, c, o)
	require.Eventually(t, func() bool { return o.Depth() == 0 }, patience, time.Millisecond)
	require.Eventually(t, func() bool {
		return c.XLen(t.Context(), testStream+doneSuffix+"edge-1").Val() == 0
	}, patience, time.Millisecond, "receipts that were read do not stay")
}

func TestReceiptsOfAnEarlierOutboxMeanNothing(t *testing.T) {
	old := openBox(t, t.TempDir(), OutboxOptions{})
	o := openBox(t, t.TempDir(), OutboxOptions{})
	token := func(o *Outbox, p part) string {
		_, s, _ := strings.Cut(o.receipt(p), "/")
		return s
	}
	tokens := strings.Join([]string{token(old, part{1, false}), token(o, part{2, true}), token(o, part{3, false}), "x", o.identity + ":0x1"}, " ")
	require.Equal(t, []part{{2, true}, {3, false}}, o.parts(tokens))
	require.Len(t, o.identity, 16)
}

func TestDeadLettersAreTheCentersBusiness(t *testing.T) {
	_, c := redisServer(t)
	o := openBox(t, t.TempDir(), OutboxOptions{})
	d := &desk{fail: func(batch []Message) error { return &RejectError{ID: batch[0].ID, Err: ErrFull} }}
	producer(t, c, o)
	consumer(t, c, "a", d)
	mustPut(t, o, alertEnvelope("cam-1", 1, 0))
	require.Eventually(t, func() bool { return len(deadLetters(t, c)) == 1 && o.Depth() == 0 }, patience, time.Millisecond)
}

// TestLiveAlertsOvertakeABacklog: after an outage an alert of now does not wait
// for those of yesterday, and no text waits for pictures.
func TestLiveAlertsOvertakeABacklog(t *testing.T) {
	_, c := redisServer(t)
	o := openBox(t, t.TempDir(), OutboxOptions{})
	const old = 400
	for i := range old {
		mustPut(t, o, alertEnvelope("cam-1", i, 2000))
	}
	p := NewProducer(ProducerOptions{Outbox: o, Redis: c, Stream: testStream, Batch: 10, Log: quiet()})
	require.NoError(t, p.cast())
	last, _, err := o.look()
	require.NoError(t, err)
	step := func() []entry {
		got, sent, err := p.choose(last)
		require.NoError(t, err)
		require.NotEmpty(t, got)
		if sent != nil {
			sent()
		}
		return got
	}
	require.Equal(t, uint64(1), step()[0].seq, "nothing is live: the oldest")
	mustPut(t, o, alertEnvelope("cam-2", 1, 2000))
	last, _, err = o.look()
	require.NoError(t, err)
	require.Equal(t, []uint64{old + 1}, seqs(step()))
	for range old/10 - 1 {
		for _, e := range step() {
			require.False(t, e.picture)
		}
	}
	p.flight.landed([]part{{1, false}, {old + 1, false}})
	require.NoError(t, o.ack(part{1, false}, part{old + 1, false}))
	p.flight.prepare(o.pictures([]part{{old + 1, false}, {1, false}, {2, false}}))
	first := step()
	require.Equal(t, []uint64{old + 1, 1}, seqs(first), "pictures follow in the order of their alerts' commit")
	require.True(t, first[0].picture && first[1].picture)
	mustPut(t, o, alertEnvelope("cam-2", 2, 0))
	p.flight.putBack(partsOf(first))
	last, _, err = o.look()
	require.NoError(t, err)
	require.Equal(t, []uint64{old + 2}, seqs(step()), "no picture holds up a text")
	require.Equal(t, []uint64{old + 1, 1}, seqs(step()))
}

func TestCompressedEnvelopesArrive(t *testing.T) {
	_, c := redisServer(t)
	o := openBox(t, t.TempDir(), OutboxOptions{})
	d := &desk{}
	producer(t, c, o, func(p *ProducerOptions) { p.Compress = true })
	e := alertEnvelope("cam-1", 1, 100)
	mustPut(t, o, e)
	mustPut(t, o, stateEnvelope("cam-1", 1))
	require.Eventually(t, func() bool { return c.XLen(t.Context(), testStream).Val() == 2 }, patience, time.Millisecond)
	for _, m := range must(c.XRange(t.Context(), testStream, "-", "+").Result()) {
		require.NotContains(t, m.Values, fieldEnvelope)
	}
	consumer(t, c, "a", d)
	require.Eventually(t, func() bool { return len(d.messages()) == 3 && o.Depth() == 0 }, patience, time.Millisecond)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestInflateRefuses(t *testing.T) {
	for name, b := range map[string][]byte{
		"empty": nil, "garbage": []byte("no deflate stream"), "cut off": deflate([]byte(strings.Repeat("x", 500)))[:4],
		"bomb": deflate(make([]byte, maxInflated+1)),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := inflate(b)
			require.Error(t, err)
		})
	}
	text := []byte(strings.Repeat(`{"v":1}`, 100))
	got, err := inflate(deflate(text))
	require.NoError(t, err)
	require.Equal(t, text, got)
}

func FuzzInflate(f *testing.F) {
	f.Add(deflate([]byte(`{"v":1,"node":"edge-1"}`)))
	f.Add([]byte{0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := inflate(b)
		if err == nil && len(got) > maxInflated {
			t.Fatalf("%d bytes", len(got))
		}
	})
}

func TestBudgetOfADay(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) { // its clock begins at midnight UTC
		zone := time.FixedZone("CST", 8*3600)
		b := newBudget(1000, dir, zone, quiet())
		require.True(t, b.allows())
		require.Nil(t, b.renewed())
		b.spend(999)
		require.True(t, b.allows())
		b = newBudget(1000, dir, zone, quiet()) // the day goes on after a restart
		b.spend(50)
		require.False(t, b.allows())
		<-b.renewed()
		require.Equal(t, 0, time.Now().In(zone).Hour())
		require.True(t, b.allows())
		require.True(t, newBudget(0, dir, nil, quiet()).allows())
	})
}

func TestBudgetHoldsPicturesAndNoAlert(t *testing.T) {
	_, c := redisServer(t)
	o := openBox(t, t.TempDir(), OutboxOptions{})
	d := &desk{}
	consumer(t, c, "a", d)
	for i := range 20 {
		mustPut(t, o, alertEnvelope("cam-1", i, 3000))
	}
	mustPut(t, o, stateEnvelope("cam-1", 1))
	producer(t, c, o, func(p *ProducerOptions) { p.DailyBytes, p.Batch = 20_000, 2 })
	d.awaits(t, 20)
	require.Eventually(t, func() bool { return o.Depth() < 20 && o.Depth() > 10 }, patience, time.Millisecond)
	mustPut(t, o, alertEnvelope("cam-1", 30, 3000))
	d.awaits(t, 21)
	for _, m := range d.messages() {
		require.Nil(t, m.Envelope.Camera, "states wait too")
	}
}

func TestNewerEnvelopeKindsWaitAmongTheDeadLetters(t *testing.T) {
	_, c := redisServer(t)
	d := &desk{}
	consumer(t, c, "a", d)
	addRaw(t, c, fieldEnvelope, `{"v":9,"node":"edge-9","seq":1,"hologram":{}}`)
	require.Eventually(t, func() bool { return len(deadLetters(t, c)) == 1 }, patience, time.Millisecond)
	_, err := api.ParseEnvelope([]byte(`{"v":9,"node":"edge-9","seq":1,"alert":{"id":"a","hologram":1}}`))
	require.NoError(t, err)
}
