package server

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// clock is a clock that the test moves.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func TestThrottleClosesForLonger(t *testing.T) {
	c := &clock{t: time.Unix(1_700_000_000, 0)}
	th := newThrottle(3, 10, c.now)
	for range 3 {
		require.Zero(t, th.Begin("wang"))
	}
	for _, want := range []time.Duration{15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute, 15 * time.Minute} {
		require.Equal(t, want, th.Begin("wang"))
		require.Equal(t, want, th.Begin("wang"), "an attempt at a closed door costs nothing")
		require.Zero(t, th.Begin("li"), "others are not concerned")
		th.Forget("li")
		c.t = c.t.Add(want)
		require.Zero(t, th.Begin("wang"))
	}
	c.t = c.t.Add(forgetAfter + longestBlock)
	for range 3 {
		require.Zero(t, th.Begin("wang"), "forgotten")
	}
	require.NotZero(t, th.Begin("wang"))
}

func TestThrottleUndoAndForget(t *testing.T) {
	c := &clock{t: time.Unix(1_700_000_000, 0)}
	th := newThrottle(2, 10, c.now)
	for range 10 { // ten that did not fail
		require.Zero(t, th.Begin("a"))
		th.Undo("a")
	}
	require.Zero(t, th.Len())
	require.Zero(t, th.Begin("a"))
	require.Zero(t, th.Begin("a"))
	require.NotZero(t, th.Begin("a"))
	th.Undo("a")
	require.Zero(t, th.Begin("a"), "one taken back, one failure left")
	require.NotZero(t, th.Begin("a"))
	th.Forget("a")
	require.Zero(t, th.Begin("a"))
	th.Undo("nobody")
	th.Forget("nobody")
}

func TestThrottleIsBounded(t *testing.T) {
	c := &clock{t: time.Unix(1_700_000_000, 0)}
	th := newThrottle(1, 100, c.now)
	for i := range 1000 {
		require.Zero(t, th.Begin(fmt.Sprint("name", i)))
	}
	require.Equal(t, 100, th.Len())
	require.Len(t, th.byKey, 100)
	require.NotZero(t, th.Begin("name999"), "the latest are remembered")
	require.Zero(t, th.Begin("name0"), "the oldest are not")
}

func TestThrottleWithManyAtOnce(t *testing.T) {
	th := newThrottle(5, 10, time.Now)
	passed := make(chan bool)
	for range 100 {
		go func() { passed <- th.Begin("wang") == 0 }()
	}
	n := 0
	for range 100 {
		if <-passed {
			n++
		}
	}
	require.Equal(t, 5, n, "attempts in flight count as failures until they succeed")
}

func TestClientKey(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7":            "192.0.2.7",
		"::ffff:192.0.2.7":     "192.0.2.7",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::1": "2001:db8:1:2::/64",
		"fe80::1%eth0":         "fe80::/64",
		"":                     "unknown",
		"@":                    "unknown",
	} {
		require.Equal(t, want, clientKey(in), in)
	}
}
