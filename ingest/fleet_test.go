package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
)

// sourceFunc is a Source made of a function.
type sourceFunc func(ctx context.Context, sink Sink) error

func (f sourceFunc) Run(ctx context.Context, sink Sink) error { return f(ctx, sink) }

// playing connects and sends a key frame of different bytes every second.
func playing(ctx context.Context, sink Sink) error {
	sink.Connected("test")
	return feed(ctx, sink, time.Second, func(i int) []byte { return []byte{0x65, 0x80, byte(i), byte(i >> 8)} })
}

func feed(ctx context.Context, sink Sink, every time.Duration, slice func(int) []byte) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := 0; ; i++ {
		n := slice(i)
		sink.Write(AccessUnit{Codec: H264, PTS: time.Duration(i) * every, Received: time.Now(), Key: n[0] == 0x65, NALUs: [][]byte{n}})
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// camera returns a configured camera with a timeout of 10 s.
func camera(id string) configs.Camera {
	return configs.Camera{ID: id, URL: "rtsp://" + id + "/x", LegalBasis: "A9", Settings: configs.Stream{Timeout: configs.Duration(10 * time.Second), FrozenFor: configs.Duration(30 * time.Second)}}
}

// heard collects states.
type heard struct {
	mu  sync.Mutex
	all []string
}

func (h *heard) state(c Camera, s State) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, string(c.ID)+": "+brief(s))
}

func (h *heard) take() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.all
	h.all = nil
	return all
}

// popsInto consumes a camera's queue into a channel.
func popsInto(got chan<- AccessUnit) func(context.Context, configs.Camera, *Queue) {
	return func(ctx context.Context, _ configs.Camera, q *Queue) {
		for {
			u, err := q.Pop(ctx)
			if err != nil {
				return
			}
			got <- u
		}
	}
}

func opens(f sourceFunc) func(configs.Camera) (Source, error) {
	return func(configs.Camera) (Source, error) { return f, nil }
}

func TestFleetTellsStatesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h heard
		f := NewFleet(FleetOptions{Open: opens(playing), OnState: h.state})
		started, stopped, changed := f.Apply([]configs.Camera{camera("b"), camera("a")})
		require.Equal(t, []CameraID{"b", "a"}, started)
		require.Empty(t, stopped)
		require.Empty(t, changed)
		synctest.Wait()
		f.SetPicture("a", Yes, ReasonNone)
		f.SetPicture("nobody", Yes, ReasonNone)
		require.Equal(t, []CameraID{"a", "b"}, []CameraID{f.Cameras()[0].ID, f.Cameras()[1].ID})
		require.Equal(t, "yes yes yes", brief(f.States()[0]))
		require.Equal(t, "yes yes unknown", brief(f.States()[1]))
		var a []string
		for _, s := range h.take() {
			if strings.HasPrefix(s, "a: ") {
				a = append(a, s[3:])
			}
		}
		require.Equal(t, []string{
			"unknown/starting unknown/starting unknown/starting",
			"yes unknown/starting unknown/starting",
			"yes yes unknown",
			"yes yes yes",
		}, a)
		f.Close()
		require.Equal(t, []string{"a: unknown/stopped unknown/stopped unknown/stopped", "b: unknown/stopped unknown/stopped unknown/stopped"}, h.take())
		s, _, _ := f.Apply([]configs.Camera{camera("c")})
		require.Empty(t, s, "closed")
		f.Close()
	})
}

func TestFleetApplyTouchesOnlyWhatDiffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := make(map[string]int)
		var mu sync.Mutex
		f := NewFleet(FleetOptions{Open: func(c configs.Camera) (Source, error) {
			mu.Lock()
			defer mu.Unlock()
			runs[c.ID]++
			return sourceFunc(playing), nil
		}})
		defer f.Close()
		a, b, c, d := camera("a"), camera("b"), camera("c"), camera("d")
		b.Password = b.Password.With("old")
		f.Apply([]configs.Camera{a, b, c})
		synctest.Wait()
		b.Password = b.Password.With("new")
		started, stopped, changed := f.Apply([]configs.Camera{a, b, d})
		synctest.Wait()
		require.Equal(t, []CameraID{"d"}, started)
		require.Equal(t, []CameraID{"c"}, stopped)
		require.Equal(t, []CameraID{"b"}, changed)
		require.Equal(t, map[string]int{"a": 1, "b": 2, "c": 1, "d": 1}, runs)
		started, stopped, changed = f.Apply([]configs.Camera{a, b, d})
		require.Empty(t, append(append(started, stopped...), changed...), "the same again")
	})
}

func TestFleetNeverConnectsForbiddenCameras(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFleet(FleetOptions{Open: func(c configs.Camera) (Source, error) {
			t.Errorf("camera %s was opened", c.ID)
			return nil, errors.New("no")
		}})
		defer f.Close()
		private, disabled := camera("a"), camera("b")
		private.LegalBasis, disabled.Disabled = "A33", true
		f.Apply([]configs.Camera{private, disabled})
		time.Sleep(time.Hour) // virtual
		require.Equal(t, "unknown/forbidden unknown/forbidden unknown/forbidden", brief(f.States()[0]))
		require.Equal(t, "unknown/stopped unknown/stopped unknown/stopped", brief(f.States()[1]))
		require.False(t, f.Cameras()[1].InUse)
		require.Equal(t, Unknown, f.States()[0].Online())
	})
}

func TestFleetBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var attempts []time.Time
		f := NewFleet(FleetOptions{Open: opens(func(context.Context, Sink) error {
			attempts = append(attempts, time.Now())
			return &Fault{Reason: ReasonRefused, Hint: "look"}
		})})
		f.Apply([]configs.Camera{camera("a")})
		time.Sleep(20 * time.Minute) // virtual
		require.Equal(t, "no/refused no/refused unknown/refused", brief(f.States()[0]))
		require.Equal(t, "look", f.States()[0].Transport.Hint)
		f.Close()
		// Under a ceiling of 60 s full jitter makes 30 s on average.
		require.Greater(t, len(attempts), 20)
		require.Less(t, len(attempts), 90)
		for i := 1; i < len(attempts); i++ {
			ceiling := min(time.Second<<min(i-1, 6), time.Minute) + time.Second
			require.Less(t, attempts[i].Sub(attempts[i-1]), ceiling, "attempt %d", i)
		}
	})
}

func TestFleetUplinkIsSharedByItsCameras(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most, all := 0, 0, 0
		f := NewFleet(FleetOptions{Open: opens(func(ctx context.Context, _ Sink) error {
			mu.Lock()
			now++
			all++
			most = max(most, now)
			mu.Unlock()
			select { // a dead link: nothing answers
			case <-ctx.Done():
			case <-time.After(10 * time.Second):
			}
			mu.Lock()
			now--
			mu.Unlock()
			return &Fault{Reason: ReasonTimeout}
		})})
		var cams []configs.Camera
		for i := range 300 {
			c := camera(fmt.Sprintf("c%03d", i))
			c.Uplink = "valley"
			cams = append(cams, c)
		}
		f.Apply(cams)
		time.Sleep(5 * time.Minute) // virtual
		f.Close()
		require.Equal(t, uplinkInFlight, most)
		require.InDelta(t, 300/10*uplinkInFlight, all, 2*uplinkInFlight)
	})
}

func TestFleetUplinkCarriesMoreCamerasThanItOpensAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFleet(FleetOptions{Open: opens(playing)})
		defer f.Close()
		var cams []configs.Camera
		for i := range 3 * uplinkInFlight {
			c := camera(fmt.Sprintf("c%02d", i))
			c.Uplink = "valley"
			cams = append(cams, c)
		}
		f.Apply(cams)
		time.Sleep(5 * time.Second) // virtual
		for _, s := range f.States() {
			require.Equal(t, Yes, s.Frames.Value, "%s", s.Camera)
		}
		f.Apply(nil)
		require.Empty(t, f.links, "budgets go with their last camera")
	})
}

func TestFleetDoesNotHearASourceAfterItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kept Sink
		f := NewFleet(FleetOptions{Open: opens(func(_ context.Context, sink Sink) error {
			kept = sink
			return &Fault{Reason: ReasonAuthFailed}
		})})
		defer f.Close()
		f.Apply([]configs.Camera{camera("a")})
		synctest.Wait()
		kept.Connected("late")
		kept.Write(AccessUnit{Codec: H264, Key: true, NALUs: [][]byte{{0x65, 0x80}}})
		require.Equal(t, "no/auth_failed no/auth_failed unknown/auth_failed", brief(f.States()[0]))
	})
}

func TestFleetWatchdogEndsSilentSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause atomic.Value
		var ends atomic.Int32
		f := NewFleet(FleetOptions{Open: opens(func(ctx context.Context, sink Sink) error {
			sink.Connected("test")
			sink.Write(AccessUnit{Codec: H264, Key: true, NALUs: [][]byte{{0x65, 0x80}}})
			<-ctx.Done()
			cause.Store(ReasonOf(context.Cause(ctx)))
			ends.Add(1)
			return ctx.Err()
		})})
		defer f.Close()
		f.Apply([]configs.Camera{camera("a")})
		time.Sleep(9 * time.Second)
		require.Zero(t, ends.Load())
		require.Equal(t, "yes yes unknown", brief(f.States()[0]))
		time.Sleep(1001 * time.Millisecond)
		require.EqualValues(t, 1, ends.Load())
		require.Equal(t, ReasonNoFrames, cause.Load())
		time.Sleep(time.Minute)
		require.Greater(t, ends.Load(), int32(1), "and it is tried again")
	})
}

func TestFleetWatchdogSeesABlockedSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		let := make(chan struct{})
		f := NewFleet(FleetOptions{Open: opens(func(ctx context.Context, sink Sink) error {
			sink.Connected("test")
			sink.Write(AccessUnit{Codec: H264, Key: true, NALUs: [][]byte{{0x65, 0x80}}})
			<-let // deaf to ctx
			return ctx.Err()
		})})
		f.Apply([]configs.Camera{camera("a")})
		time.Sleep(10001 * time.Millisecond)
		require.Equal(t, "yes no/no_frames unknown/no_frames", brief(f.States()[0]))
		begin := time.Now()
		f.Close()
		require.LessOrEqual(t, time.Since(begin), 5*time.Second)
		close(let)
	})
}

func TestFleetGivesUpAnAttemptThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFleet(FleetOptions{Open: opens(func(ctx context.Context, _ Sink) error {
			<-ctx.Done()
			return ctx.Err()
		})})
		defer f.Close()
		f.Apply([]configs.Camera{camera("a")})
		time.Sleep(30001 * time.Millisecond)
		require.Equal(t, "no/timeout no/timeout unknown/timeout", brief(f.States()[0]))
	})
}

func TestFleetTakesTheSourcesOwnReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFleet(FleetOptions{Open: opens(func(ctx context.Context, sink Sink) error {
			sink.Connected("test")
			<-ctx.Done()
			return &Fault{Reason: ReasonBadStream} // says more than the watchdog's no_frames
		})})
		defer f.Close()
		f.Apply([]configs.Camera{camera("a")})
		time.Sleep(33 * time.Second)
		s := f.States()[0]
		require.Equal(t, []Reason{ReasonBadStream, ReasonBadStream}, []Reason{s.Frames.Reason, s.Picture.Reason})
	})
}

func TestFleetReportsOpenErrorsAndEnds(t *testing.T) {
	for name, c := range map[string]struct {
		open func(configs.Camera) (Source, error)
		want Reason
	}{
		"open":        {func(configs.Camera) (Source, error) { return nil, &Fault{Reason: ReasonNotFound} }, ReasonNotFound},
		"plain error": {func(configs.Camera) (Source, error) { return nil, errors.New("what") }, ReasonBadStream},
		"nil":         {opens(func(context.Context, Sink) error { return nil }), ReasonEnded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := NewFleet(FleetOptions{Open: c.open})
				defer f.Close()
				f.Apply([]configs.Camera{camera("a")})
				synctest.Wait()
				require.Equal(t, c.want, f.States()[0].Transport.Reason)
			})
		})
	}
}

func TestFleetFindsFrozenAndMissingKeyFrames(t *testing.T) {
	for name, c := range map[string]struct {
		slice func(int) []byte
		want  string
	}{
		"frozen":       {func(int) []byte { return []byte{0x65, 0x80, 7} }, "yes yes no/frozen"},
		"no key frame": {func(i int) []byte { return []byte{0x41, 0x80, byte(i)} }, "yes yes no/no_key_frame"},
		"well":         {func(i int) []byte { return []byte{0x65, 0x80, byte(i)} }, "yes yes unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := NewFleet(FleetOptions{Open: opens(func(ctx context.Context, sink Sink) error {
					sink.Connected("test")
					return feed(ctx, sink, time.Second, c.slice)
				})})
				defer f.Close()
				f.Apply([]configs.Camera{camera("a")})
				time.Sleep(40 * time.Second)
				require.Equal(t, c.want, brief(f.States()[0]))
			})
		})
	}
}

func TestFleetQueueBeginsAtAKeyFrameAndMarksTheGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan AccessUnit, 100)
		session := 0
		f := NewFleet(FleetOptions{
			Open: opens(func(ctx context.Context, sink Sink) error {
				session++
				sink.Connected("test")
				for i, n := range [][]byte{{0x41, 0x80}, {0x65, 0x80, byte(session)}, {0x41, 0x80}} {
					sink.Write(AccessUnit{Codec: H264, PTS: time.Hour + time.Duration(i)*time.Second, Key: n[0] == 0x65, NALUs: [][]byte{n}})
				}
				sink.Lost(3)
				if session < 2 {
					return &Fault{Reason: ReasonEnded}
				}
				<-ctx.Done()
				return ctx.Err()
			}),
			Consume: popsInto(got),
		})
		f.Apply([]configs.Camera{camera("a")})
		time.Sleep(3 * time.Second)
		f.Close()
		close(got)
		var brief []string
		for u := range got {
			require.Equal(t, CameraID("a"), u.Camera)
			require.False(t, u.Received.IsZero())
			brief = append(brief, fmt.Sprintf("key=%v lost=%v pts=%v", u.Key, u.Lost, u.PTS))
		}
		require.Equal(t, []string{
			"key=true lost=false pts=1s", "key=false lost=false pts=2s",
			"key=true lost=true pts=1s", "key=false lost=false pts=2s",
		}, brief)
	})
}

// metrics writes the registry as a scrape would see it, without comments.
func metrics(t *testing.T, reg *prometheus.Registry) []string {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	var b strings.Builder
	for _, m := range families {
		_, err := expfmt.MetricFamilyToText(&b, m)
		require.NoError(t, err)
	}
	var lines []string
	for l := range strings.Lines(b.String()) {
		if !strings.HasPrefix(l, "#") {
			lines = append(lines, strings.TrimSpace(l))
		}
	}
	return lines
}

func TestFleetMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewPedanticRegistry()
		block := make(chan struct{})
		f := NewFleet(FleetOptions{
			Registerer: reg, QueueUnits: 4,
			Open: opens(func(ctx context.Context, sink Sink) error {
				sink.Connected("test")
				sink.Lost(5)
				sink.Write(AccessUnit{Codec: H264, PTS: time.Hour, NALUs: [][]byte{{0x65, 0x80}}})
				return playing(ctx, sink) // jumps back by an hour
			}),
			Consume: func(context.Context, configs.Camera, *Queue) { <-block },
		})
		f.Apply([]configs.Camera{camera("a"), camera("b")})
		time.Sleep(15500 * time.Millisecond)
		lines := metrics(t, reg)
		for _, want := range []string{
			`sharpeyes_camera_access_units_total{camera="a"} 17`,
			`sharpeyes_camera_bytes_total{camera="a"} 66`,
			`sharpeyes_camera_bitrate_bytes_per_second{camera="a"} 4`,
			`sharpeyes_camera_lost_total{camera="a"} 5`,
			`sharpeyes_camera_clock_jumps_total{camera="a"} 1`,
			`sharpeyes_camera_state{camera="a",fact="frames",value="yes"} 1`,
			`sharpeyes_camera_state{camera="a",fact="frames",value="no"} 0`,
			`sharpeyes_camera_state{camera="a",fact="registered",value="unknown"} 1`,
			`sharpeyes_queue_depth{camera="a"} 4`,
			`sharpeyes_queue_dropped_total{camera="a"} 12`,
		} {
			require.Contains(t, lines, want)
		}
		close(block)
		f.Apply([]configs.Camera{camera("b")})
		for _, l := range metrics(t, reg) {
			require.NotContains(t, l, `camera="a"`, "series of a removed camera")
		}
		f.Close()
		require.Empty(t, metrics(t, reg))
		NewFleet(FleetOptions{Registerer: reg}).Close() // the names are free again
	})
}

func TestFleetCountsReconnectsByReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewPedanticRegistry()
		f := NewFleet(FleetOptions{Registerer: reg, Open: opens(func(context.Context, Sink) error { return &Fault{Reason: ReasonAuthFailed} })})
		defer f.Close()
		f.Apply([]configs.Camera{camera("a")})
		synctest.Wait()
		require.Contains(t, metrics(t, reg), `sharpeyes_camera_reconnects_total{camera="a",reason="auth_failed"} 1`)
		time.Sleep(29 * time.Second)
		require.Contains(t, metrics(t, reg), `sharpeyes_camera_reconnects_total{camera="a",reason="auth_failed"} 1`, "no second attempt so soon")
	})
}

func TestStatesCoalesceForASlowListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		let := make(chan struct{})
		var got []State
		s := &states{facts: newFacts("a", time.Second, time.Second, time.Now()), listen: func(x State) {
			<-let
			got = append(got, x)
		}}
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.change(func(*facts, time.Time) bool { return true })
		}()
		synctest.Wait()
		for i := range 1000 {
			s.change(func(f *facts, at time.Time) bool {
				return f.ended([]Reason{ReasonRefused, ReasonTimeout}[i%2], "", at)
			})
		}
		s.change(func(f *facts, at time.Time) bool { return f.ended(ReasonAuthFailed, "", at) })
		close(let)
		<-done
		require.LessOrEqual(t, len(got), maxPendingStates+1)
		require.Equal(t, ReasonAuthFailed, got[len(got)-1].Transport.Reason, "the outcome is never missed")
	})
}

func TestFromConfig(t *testing.T) {
	lon := 115.9
	c := configs.Camera{ID: "a", Name: "桥头", URL: "rtsp://secret/", Username: "u", Division: "360103001001", Grid: "360103001001001", Place: "桥", Lon: &lon, Uplink: "north"}
	require.Equal(t, Camera{ID: "a", Name: "桥头", Division: "360103001001", Grid: "360103001001001", Point: "a", Place: "桥", LegalBasis: "unknown", Lon: &lon, Uplink: "north", InUse: true}, FromConfig(c))
	c.Point, c.LegalBasis, c.Disabled = "p7", "A9", true
	got := FromConfig(c)
	require.Equal(t, []any{"p7", "A9", false}, []any{got.Point, got.LegalBasis, got.InUse})
}

// TestNudge: what waits for the end of its back-off tries at once, and its
// failures count from the beginning.
func TestNudge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		var there atomic.Bool
		f := NewFleet(FleetOptions{Open: opens(func(ctx context.Context, sink Sink) error {
			runs.Add(1)
			if !there.Load() {
				return &Fault{Reason: ReasonAuthFailed} // waits for 30 s and more, each time
			}
			return playing(ctx, sink)
		})})
		defer f.Close()
		f.Apply([]configs.Camera{camera("a")})
		synctest.Wait()
		require.EqualValues(t, 1, runs.Load())
		there.Store(true)
		f.Nudge("nobody")
		synctest.Wait()
		require.EqualValues(t, 1, runs.Load())
		begun := time.Now()
		f.Nudge("a")
		synctest.Wait()
		require.EqualValues(t, 2, runs.Load())
		require.Zero(t, time.Since(begun))
		require.Equal(t, Yes, f.States()[0].Frames.Value)
		f.Nudge("a")
		synctest.Wait()
		require.EqualValues(t, 2, runs.Load(), "a source that runs is left alone")
	})
}
