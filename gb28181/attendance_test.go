package gb28181

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/gb28181/simulate"
)

// attended runs f with an attendance that writes down what it does, on a clock
// that costs no time.
func attended(t *testing.T, do func(v *visit, c chore) time.Duration, f func(a *attendance)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a := newAttendance(time.Now, func(_ context.Context, v *visit, c chore) time.Duration { return do(v, c) })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { a.run(ctx); close(done) }()
		f(a)
		cancel()
		<-done
	})
}

func TestAttendanceDoesEveryChoreInOrder(t *testing.T) {
	var mu sync.Mutex
	var log []chore
	attended(t, func(_ *visit, c chore) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		log = append(log, c)
		return 0
	}, func(a *attendance) {
		a.arrived(&device{id: "1"})
		time.Sleep(time.Second)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		assert.Equal(t, []chore{choreInfo, choreCatalogue, choreGuard, choreChannels, choreAlarms}, log)
	})
}

func TestAttendanceRepeats(t *testing.T) {
	var mu sync.Mutex
	var at []time.Duration
	attended(t, func(*visit, chore) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		at = append(at, time.Duration(len(at)))
		return map[bool]time.Duration{true: 30 * time.Minute, false: 0}[len(at) < 4]
	}, func(a *attendance) {
		a.want(&device{id: "1"}, choreCatalogue, time.Now())
		time.Sleep(89 * time.Minute)
		synctest.Wait()
		mu.Lock()
		assert.Len(t, at, 3)
		mu.Unlock()
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		assert.Len(t, at, 4, "0 is not before it registers anew")
	})
}

// TestAttendanceKeepsOneWorkerToADevice wants much of one device while it is being
// attended to: chores of a device never overlap, and none is lost.
func TestAttendanceKeepsOneWorkerToADevice(t *testing.T) {
	var mu sync.Mutex
	busy, most, count := 0, 0, 0
	attended(t, func(*visit, chore) time.Duration {
		mu.Lock()
		busy++
		most = max(most, busy)
		count++
		mu.Unlock()
		time.Sleep(time.Second)
		mu.Lock()
		busy--
		mu.Unlock()
		return 0
	}, func(a *attendance) {
		d := &device{id: "1"}
		for range 5 {
			a.want(d, choreCatalogue, time.Now())
			time.Sleep(500 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		assert.Equal(t, 1, most)
		assert.GreaterOrEqual(t, count, 3)
	})
}

func TestAttendanceOfMany(t *testing.T) {
	var mu sync.Mutex
	busy, most := 0, 0
	done := map[string]int{}
	attended(t, func(v *visit, _ chore) time.Duration {
		mu.Lock()
		busy++
		most = max(most, busy)
		done[v.dev.id]++
		mu.Unlock()
		time.Sleep(50 * time.Millisecond)
		mu.Lock()
		busy--
		mu.Unlock()
		return 0
	}, func(a *attendance) {
		for n := range 500 {
			a.arrived(&device{id: fmt.Sprint(n)})
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		assert.Len(t, done, 500)
		for id, n := range done {
			assert.Equal(t, int(choreCount), n, id)
		}
		assert.LessOrEqual(t, most, attendanceWorkers)
		assert.Greater(t, most, attendanceWorkers/2)
	})
}

func TestBackoff(t *testing.T) {
	for n, want := range map[int]time.Duration{0: 30 * time.Second, 1: 30 * time.Second, 2: time.Minute, 6: 16 * time.Minute, 7: backoffMost, 1000: backoffMost} {
		assert.Equal(t, want, backoff(n), n)
	}
}

type value string

func (v value) Value() string { return string(v) }

func TestGranted(t *testing.T) {
	for in, want := range map[string]time.Duration{"600": 10 * time.Minute, " 600 ": 10 * time.Minute, "1": subscribeLeast, "999999": subscribeFor, "": subscribeFor, "x": subscribeFor, "0": subscribeFor} {
		assert.Equal(t, want, granted(value(in)), in)
	}
	assert.Equal(t, subscribeFor, granted(nil))
}

// TestSubscriptions opens both subscriptions and ends them with the platform.
func TestSubscriptions(t *testing.T) {
	p, err := New(Options{Config: boxConfig()})
	require.NoError(t, err)
	b := boxedWith(t, p, simulate.Options{})
	until(t, func() bool {
		return b.saw(simulate.EventSubscribed, "Catalog 3600") == 1 && b.saw(simulate.EventSubscribed, "Alarm 3600") == 1
	}, "subscribed")
	assert.NotContains(t, b.QuirksOf(boxID), quirkNoSubscribe)
}

// TestSubscribePresence finds the event that a device takes.
func TestSubscribePresence(t *testing.T) {
	p, err := New(Options{Config: defaultConfig()})
	require.NoError(t, err)
	p.onRegistered = nil
	run(t, p)
	d := dial(t, p, "udp", "127.0.0.1", cameraID, secret)
	require.Equal(t, 200, status(d.register("r", 3600)))
	p.attendance.want(p.device(cameraID), choreChannels, time.Now())
	first := d.getRequest("SUBSCRIBE", "Catalog")
	assert.True(t, strings.HasPrefix(head(first, "Event"), "Catalog;id="))
	assert.Equal(t, "3600", head(first, "Expires"))
	d.answer(first, 489, "", "")
	second := d.getRequest("SUBSCRIBE", "Catalog")
	assert.Equal(t, "presence", head(second, "Event"))
	d.answer(second, 200, "Expires: 90\r\nContact: <sip:"+cameraID+"@127.0.0.1>\r\n", "")
	until(t, func() bool { return slices.Contains(p.QuirksOf(cameraID), quirkPresence) && p.dialogs.len() == 1 }, "subscribed")

	// A refresh goes inside the dialog.
	p.attendance.want(p.device(cameraID), choreChannels, time.Now())
	again := d.getRequest("SUBSCRIBE", "Catalog")
	assert.Equal(t, head(second, "Call-ID"), head(again, "Call-ID"))
	assert.Contains(t, head(again, "To"), "tag=")
	d.answer(again, 481, "", "")
	anew := d.getRequest("SUBSCRIBE", "Catalog")
	assert.NotEqual(t, head(second, "Call-ID"), head(anew, "Call-ID"), "the device has forgotten: a new one")
	d.answer(anew, 200, "", "")
	until(t, func() bool { return p.dialogs.len() == 1 }, "one subscription")

	// The device ends it.
	d.send(d.inDialog("NOTIFY", anew, "Subscription-State: terminated\r\nEvent: presence\r\n"))
	require.Equal(t, 200, status(d.get()))
	until(t, func() bool { return p.dialogs.len() == 0 }, "ended")
}

// TestNoSubscribe leaves a device alone that knows no SUBSCRIBE.
func TestNoSubscribe(t *testing.T) {
	p, err := New(Options{Config: defaultConfig()})
	require.NoError(t, err)
	p.onRegistered = nil
	run(t, p)
	d := dial(t, p, "udp", "127.0.0.1", cameraID, secret)
	require.Equal(t, 200, status(d.register("r", 3600)))
	dev := p.device(cameraID)
	for range subscribeTries {
		p.attendance.want(dev, choreAlarms, time.Now())
		d.answer(d.getRequest("SUBSCRIBE", "Alarm"), 405, "", "")
	}
	until(t, func() bool { return slices.Contains(p.QuirksOf(cameraID), quirkNoSubscribe) }, "quirk")
	due := func() time.Time {
		p.attendance.mu.Lock()
		defer p.attendance.mu.Unlock()
		return p.attendance.byID[cameraID].due[choreAlarms]
	}
	until(t, func() bool { return time.Until(due()) > quirkFor-time.Minute }, "not tried again before a day")
}

// inDialog writes a request of the peer inside the dialog that a request of the
// platform opened.
func (d *peer) inDialog(method, opened, extra string) string {
	d.n++
	return fmt.Sprintf("%s sip:%s@%s SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.2.3:5060;rport;branch=z9hG4bKin%d\r\nFrom: %s;tag=dev\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\nMax-Forwards: 70\r\n%sContent-Length: 0\r\n\r\n",
		method, serverID, domain, d.n, strings.TrimSuffix(head(opened, "To"), ";tag=dev"), head(opened, "From"), head(opened, "Call-ID"), d.n, method, extra)
}
