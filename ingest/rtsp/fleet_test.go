package rtsp

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// fleetOf starts a fleet over RTSP whose analysers collect what they get.
func fleetOf(t *testing.T) (*ingest.Fleet, func(id string) []ingest.AccessUnit) {
	t.Helper()
	var mu sync.Mutex
	got := make(map[string][]ingest.AccessUnit)
	f := ingest.NewFleet(ingest.FleetOptions{
		Open: func(c configs.Camera) (ingest.Source, error) { return New(c, nil, nil) },
		Consume: func(ctx context.Context, c configs.Camera, q *ingest.Queue) {
			for {
				u, err := q.Pop(ctx)
				if err != nil {
					return
				}
				mu.Lock()
				got[c.ID] = append(got[c.ID], u)
				mu.Unlock()
			}
		},
	})
	t.Cleanup(f.Close)
	return f, func(id string) []ingest.AccessUnit {
		mu.Lock()
		defer mu.Unlock()
		return append([]ingest.AccessUnit(nil), got[id]...)
	}
}

func TestReloadCostsTheOthersNoAccessUnit(t *testing.T) {
	s := serve(t, ServerOptions{UDP: true})
	f, got := fleetOf(t)
	var cams []configs.Camera
	for i := range 6 {
		c := camera(s.URL([]string{"h264", "h265"}[i%2]))
		c.ID = fmt.Sprintf("c%d", i)
		c.Uplink = c.ID // each its own budget: this is not about starting slowly
		c.Settings.Transport = []string{"tcp", "udp"}[i/2%2]
		cams = append(cams, c)
	}
	f.Apply(cams)
	all := func(n int) func() bool {
		return func() bool {
			for _, c := range cams {
				if len(got(c.ID)) < n {
					return false
				}
			}
			return true
		}
	}
	require.Eventually(t, all(30), 10*time.Second, 5*time.Millisecond)

	// Ten reloads: c1 changes, c2 goes and comes, the others stay.
	for i := range 10 {
		next := append([]configs.Camera(nil), cams...)
		next[1].Name = fmt.Sprint("renamed ", i)
		if i%2 == 0 {
			next = append(next[:2:2], next[3:]...)
		}
		started, stopped, changed := f.Apply(next)
		require.Equal(t, []ingest.CameraID{"c1"}, changed)
		if i%2 == 0 {
			require.Equal(t, []ingest.CameraID{"c2"}, stopped)
		} else {
			require.Equal(t, []ingest.CameraID{"c2"}, started)
		}
	}
	before := len(got("c0"))
	require.Eventually(t, func() bool { return len(got("c0")) >= before+60 }, 10*time.Second, 5*time.Millisecond)
	for _, id := range []string{"c0", "c3", "c4", "c5"} {
		path := walk264
		if id == "c3" || id == "c5" {
			path = walk265
		}
		requireSame(t, path, got(id), 10*time.Millisecond)
	}
	require.Eventually(t, func() bool {
		last := time.Duration(0)
		for _, u := range got("c1") {
			if u.PTS < last {
				return true
			}
			last = u.PTS
		}
		return false
	}, 10*time.Second, 5*time.Millisecond, "the changed camera did start again: the test can see what it claims to see")
}

func TestFleetSurvivesBadNeighbours(t *testing.T) {
	s := serve(t, ServerOptions{})
	f, got := fleetOf(t)
	bad := map[string]struct {
		answer func(net.Conn, request) bool
		want   ingest.Reason
	}{
		"hang":    {func(net.Conn, request) bool { return true }, ingest.ReasonTimeout},
		"drop":    {func(net.Conn, request) bool { return false }, ingest.ReasonEnded},
		"audio":   {working(sdpAudio, func(net.Conn) {}), ingest.ReasonNoVideo},
		"silent":  {working(sdpWith(t, ""), func(net.Conn) {}), ingest.ReasonNoFrames},
		"garbage": {working(sdpWith(t, ""), func(c net.Conn) { _, _ = c.Write(rtpFrame(0, 1, 0, true, []byte{0x19, 1, 2})) }), ingest.ReasonBadStream},
		"stops":   {working(sdpWith(t, ""), func(c net.Conn) { sendUnits(t, c, 0, 7, steady) }), ingest.ReasonNoFrames},
	}
	cams := []configs.Camera{camera(s.URL("h264"))}
	for id, b := range bad {
		c := camera(hostile(t, b.answer).url())
		c.ID, c.Uplink, c.Settings.Timeout = id, id, configs.Duration(600*time.Millisecond)
		cams = append(cams, c)
	}
	f.Apply(cams)
	for id, b := range bad {
		require.Eventually(t, func() bool {
			for _, st := range f.States() {
				if st.Camera == ingest.CameraID(id) {
					return st.Frames.Value == ingest.No && st.Frames.Reason == b.want && st.Online() == ingest.No
				}
			}
			return false
		}, 10*time.Second, 5*time.Millisecond, "%s: %v", id, b.want)
	}
	require.Eventually(t, func() bool { return len(got("c1")) > 50 }, 10*time.Second, 5*time.Millisecond)
	requireSame(t, walk264, got("c1"), 10*time.Millisecond)
}

func TestFleetClosesInTimeUnderLoad(t *testing.T) {
	s := serve(t, ServerOptions{})
	f, got := fleetOf(t)
	var cams []configs.Camera
	for i := range 60 {
		c := camera(s.URL("h264"))
		c.ID, c.Uplink = fmt.Sprintf("c%02d", i), fmt.Sprint(i)
		cams = append(cams, c)
	}
	f.Apply(cams)
	require.Eventually(t, func() bool {
		for _, c := range cams {
			if len(got(c.ID)) == 0 {
				return false
			}
		}
		return true
	}, 20*time.Second, 10*time.Millisecond)
	begin := time.Now()
	f.Close()
	require.Less(t, time.Since(begin), 5*time.Second)
}
