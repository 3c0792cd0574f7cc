package gb28181

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// beating is a link that registered for a day and beats every interval.
func beating(interval time.Duration, beats int) (*link, time.Time) {
	now := time.Now()
	l := &link{}
	l.registered(now.Add(24*time.Hour), now)
	for range beats {
		now = now.Add(interval)
		l.beat(now)
	}
	return l, now
}

func TestIntervalIsLearned(t *testing.T) {
	for _, c := range []struct {
		interval, want time.Duration
		beats          int
	}{
		{20 * time.Second, keepaliveDefault, 2}, // too early to believe in less than the standard
		{20 * time.Second, 20 * time.Second, 5},
		{60 * time.Second, 60 * time.Second, 5},
		{5 * time.Minute, 5 * time.Minute, 3},
		{time.Second, keepaliveMin, 5},
		{time.Hour, keepaliveMax, 5},
	} {
		t.Run(fmt.Sprint(c.interval, c.beats), func(t *testing.T) {
			l, _ := beating(c.interval, c.beats)
			require.Equal(t, c.want, l.interval())
		})
	}
	t.Run("one lost", func(t *testing.T) {
		l, now := beating(60*time.Second, 5)
		l.beat(now.Add(120 * time.Second))
		require.Equal(t, 60*time.Second, l.interval())
	})
	t.Run("sent again", func(t *testing.T) {
		l, now := beating(60*time.Second, 5)
		l.beat(now.Add(500 * time.Millisecond))
		l.beat(now.Add(900 * time.Millisecond))
		require.Equal(t, 60*time.Second, l.interval())
	})
}

func TestOfflineAfterThreeMisses(t *testing.T) {
	l, now := beating(20*time.Second, 5)
	_, gone := l.fault(now.Add(3 * 20 * time.Second))
	require.False(t, gone, "the third may be late")
	why, gone := l.fault(now.Add(3*20*time.Second + l.grace() + time.Millisecond))
	require.True(t, gone)
	require.Equal(t, ReasonKeepalive, why)
}

func TestRegistrationExpires(t *testing.T) {
	now := time.Now()
	l := &link{}
	l.registered(now.Add(time.Minute), now)
	l.beat(now.Add(50 * time.Second))
	_, gone := l.fault(now.Add(80 * time.Second))
	require.False(t, gone, "devices refresh late")
	why, gone := l.fault(now.Add(91 * time.Second))
	require.True(t, gone)
	require.Equal(t, ReasonExpired, why)
	l.fell(why, now)
	l.beat(now.Add(100 * time.Second))
	require.Equal(t, ingest.No, l.value, "it must register again")
}

func TestFlapping(t *testing.T) {
	l, now := beating(10*time.Second, 5)
	for range flapsAllowed + 1 {
		require.Equal(t, ingest.Yes, l.value)
		now = now.Add(time.Minute)
		l.fell(ReasonKeepalive, now)
		now = now.Add(time.Second)
		l.beat(now)
	}
	require.Equal(t, ingest.No, l.value)
	require.Equal(t, ReasonFlapping, l.reason)
	require.True(t, l.reachable(), "it may be talked to all the same")
	for range 5 {
		now = now.Add(10 * time.Second)
		l.beat(now)
	}
	require.Equal(t, ReasonFlapping, l.reason)
	now = now.Add(15 * time.Second)
	l.beat(now)
	require.Equal(t, ingest.Yes, l.value, "it stayed")
}

// states records what OnState hears.
type states struct {
	mu   sync.Mutex
	list []string
}

func (s *states) on(id string, v ingest.Value, why ingest.Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, fmt.Sprint(id[len(id)-2:], " ", v, " ", why))
}

func (s *states) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.list...)
}

func TestStateIsTold(t *testing.T) {
	c, s := &clock{}, &states{}
	p := start(t, Options{Now: c.now, OnState: s.on})
	d := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	eventually := func(n int, last string) {
		t.Helper()
		require.Eventually(t, func() bool { l := s.all(); return len(l) == n && l[n-1] == last }, patience, time.Millisecond, "%v", s.all())
	}
	eventually(1, "01 yes ")
	c.advance(keepaliveMisses*keepaliveDefault + 30*time.Second)
	eventually(2, "01 no keepalive_missed")
	require.Equal(t, ReasonKeepalive, stateOf(p, cameraID).Registered.Reason)
	_, err := p.device(cameraID).way()
	require.ErrorIs(t, err, errOffline)
	require.Equal(t, 200, status(d.ask(d.keepalive())), "its registration still holds")
	eventually(3, "01 yes ")
}

func TestReregister(t *testing.T) {
	c := &clock{}
	p := start(t, Options{Now: c.now, Reregister: true})
	d := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	c.advance(keepaliveMisses*keepaliveDefault + 30*time.Second)
	p.watchDevices(c.now())
	require.Equal(t, 403, status(d.ask(d.keepalive())), "so that it registers again")
	d.mustRegister()
	require.Equal(t, 200, status(d.ask(d.keepalive())))
}

func TestConnectionLost(t *testing.T) {
	c, s := &clock{}, &states{}
	p := start(t, Options{Now: c.now, OnState: s.on})
	d := dial(t, p, "tcp", "127.0.0.1", cameraID, secret).mustRegister()
	require.NoError(t, d.conn.Close())
	noticed := func() bool {
		d := p.device(cameraID)
		d.mu.Lock()
		defer d.mu.Unlock()
		return !d.link.broken.IsZero()
	}
	require.Eventually(t, noticed, patience, time.Millisecond)
	_, err := p.device(cameraID).way()
	require.ErrorIs(t, err, errLost)
	require.Equal(t, ingest.Yes, stateOf(p, cameraID).Registered.Value, "it may connect again")
	c.advance(reconnectGrace + time.Second)
	require.Eventually(t, func() bool { return stateOf(p, cameraID).Registered.Reason == ReasonConnection }, patience, time.Millisecond)
	back := dial(t, p, "tcp", "127.0.0.1", cameraID, secret)
	require.Equal(t, 200, status(back.ask(back.keepalive())))
	_, err = p.device(cameraID).way()
	require.NoError(t, err)
}

func TestUplinkIsOneIncident(t *testing.T) {
	c, s := &clock{}, &states{}
	p := start(t, Options{Config: crowdConfig(), Now: c.now, OnState: s.on})
	village := dial(t, p, "udp", "127.0.0.3", "", secret)
	require.Zero(t, crowd(t, village, 1, 20))
	other := dial(t, p, "udp", "127.0.0.4", crowdID(30), secret).mustRegister()
	require.Eventually(t, func() bool { return len(s.all()) == 21 }, patience, time.Millisecond)

	// Six devices go first; the uplink is not to blame while others are heard.
	c.advance(keepaliveMisses*keepaliveDefault + 10*time.Second)
	for i := 7; i <= 20; i++ {
		one := &peer{t: t, conn: village.conn, in: village.in, id: crowdID(i)}
		require.Equal(t, 200, status(one.ask(one.keepalive())))
	}
	require.Equal(t, 200, status(other.ask(other.keepalive())))
	c.advance(10 * time.Second)
	require.Eventually(t, func() bool { return stateOf(p, crowdID(6)).Registered.Reason == ReasonKeepalive }, patience, time.Millisecond)
	require.Empty(t, p.Uplinks())

	c.advance(keepaliveMisses*keepaliveDefault + 10*time.Second)
	require.Equal(t, 200, status(other.ask(other.keepalive())))
	require.Eventually(t, func() bool { return len(p.Uplinks()) == 1 }, patience, time.Millisecond)
	require.Equal(t, 14, p.Uplinks()[0].Devices)
	require.Equal(t, "127.0.0.3", p.Uplinks()[0].Address.String())
	require.Eventually(t, func() bool { return stateOf(p, crowdID(20)).Registered.Reason == ReasonUplink }, patience, time.Millisecond)
	require.Equal(t, ReasonKeepalive, stateOf(p, crowdID(1)).Registered.Reason, "gone before, on its own")
	require.Equal(t, ingest.Yes, stateOf(p, crowdID(30)).Registered.Value)

	back := &peer{t: t, conn: village.conn, in: village.in, id: crowdID(8)}
	require.Equal(t, 200, status(back.ask(back.keepalive())))
	require.Empty(t, p.Uplinks())
	require.Equal(t, ingest.Yes, stateOf(p, crowdID(8)).Registered.Value)
	require.Empty(t, p.device(crowdID(8)).link.outages, "not the device's own fault")
}

func TestRestart(t *testing.T) {
	dir := t.TempDir()
	conf := defaultConfig()
	p, err := New(Options{Config: conf, Dir: dir})
	require.NoError(t, err)
	stop := run(t, p)
	d := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	gone := dial(t, p, "udp", "127.0.0.1", "34020000001320000002", secret).mustRegister()
	require.Equal(t, 200, status(gone.register("off", 0)))
	addr, err := p.Addr(t.Context())
	require.NoError(t, err)
	stop()

	conf.Listen = addr.String()
	p = start(t, Options{Config: conf, Dir: dir})
	got := stateOf(p, cameraID)
	require.Equal(t, ingest.Unknown, got.Registered.Value, "neither, until it is heard")
	require.Equal(t, ReasonRestored, got.Registered.Reason)
	require.Equal(t, d.conn.LocalAddr().String(), got.Address)
	require.Nil(t, p.device(gone.id))

	answer := make(chan error, 1)
	go func() {
		_, err := p.send(t.Context(), p.device(cameraID), "MESSAGE", typeMANSCDP, []byte("<Query>ForTest</Query>"))
		answer <- err
	}()
	d.answer(d.getRequest("MESSAGE", "ForTest"), 200, "", "")
	require.NoError(t, <-answer, "it is reached before it has said anything")
	require.Equal(t, 200, status(d.ask(d.keepalive())), "and needs not register again")
	require.Equal(t, ingest.Yes, stateOf(p, cameraID).Registered.Value)
}

func TestRestartWithBadFile(t *testing.T) {
	dir := t.TempDir()
	s := newSaver(dir)
	now := time.Now()
	at := netip.MustParseAddrPort("127.0.0.1:9")
	require.NoError(t, s.replace(savedFile{Format: 1, Devices: []savedDevice{
		{ID: "44010000001320000001", Network: "udp", Address: at, Expires: now.Add(time.Hour)},
		{ID: cameraID, Network: "udp", Address: at, Expires: now.Add(-time.Hour)},
		{ID: "34020000001320000002", Network: "udp", Address: at, Expires: now.Add(1000 * time.Hour)},
		{ID: "34020000001320000003", Network: "udp", Expires: now.Add(time.Hour)},
		{ID: "34020000001320000004", Network: "udp", Address: at, Expires: now.Add(time.Hour)},
	}}))
	p := start(t, Options{Dir: dir})
	require.Len(t, p.allDevices(), 1, "not those that are unknown, expired, impossible or nowhere")
	require.Equal(t, "34020000001320000004", p.allDevices()[0].id)
}

func TestDeadlineIsWhenFaultBegins(t *testing.T) {
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	every := func(gap time.Duration) func(l *link) {
		return func(l *link) {
			for i := range time.Duration(4) {
				l.beat(now.Add((i - 3) * gap))
			}
		}
	}
	for _, c := range []struct {
		name string
		do   func(l *link)
		why  ingest.Reason
		in   time.Duration
	}{
		{"only registered", func(*link) {}, ReasonKeepalive, 197 * time.Second},
		{"keepalives each 10 s", every(10 * time.Second), ReasonKeepalive, 34500 * time.Millisecond},
		{"keepalives all the time", every(time.Second), ReasonKeepalive, 18250 * time.Millisecond},
		{"the registration ends first", func(l *link) { l.registered(now.Add(time.Minute), now) }, ReasonExpired, 90 * time.Second},
		{"the connection broke", func(l *link) { l.disconnected(now) }, ReasonConnection, reconnectGrace},
		{"it came back", func(l *link) { l.disconnected(now); l.hear(now) }, ReasonKeepalive, 197 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &link{}
			l.registered(now.Add(time.Hour), now)
			c.do(l)
			at := l.deadline()
			require.Equal(t, c.in, at.Sub(now))
			require.Greater(t, c.in, lookEvery, "or the watch is late")
			_, early := l.fault(at)
			require.False(t, early)
			why, fault := l.fault(at.Add(1))
			require.True(t, fault)
			require.Equal(t, c.why, why)
		})
	}
}

func TestLookouts(t *testing.T) {
	now := time.Now()
	var l lookouts
	require.True(t, l.due(0, now))
	require.True(t, l.due(1, now))
	l.hasten(1, now.Add(2*time.Second))
	l.hasten(0, now.Add(time.Hour))
	for _, c := range []struct {
		after         time.Duration
		first, second bool
	}{{time.Second, false, false}, {2 * time.Second, false, true}, {lookEvery, true, false}, {2*time.Second + lookEvery, false, true}} {
		require.Equal(t, c.first, l.due(0, now.Add(c.after)), c.after)
		require.Equal(t, c.second, l.due(1, now.Add(c.after)), c.after)
	}
}
