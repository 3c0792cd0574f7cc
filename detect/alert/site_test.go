package alert

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
)

var siteNoon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func second(s float64) time.Time { return siteNoon.Add(time.Duration(s * float64(time.Second))) }

// village is n cameras behind one uplink, with a rule for faults.
func village(n int) []configs.Camera {
	var out []configs.Camera
	for i := range n {
		out = append(out, configs.Camera{ID: fmt.Sprintf("cam-%02d", i), Uplink: "valley", Rules: []configs.Rule{{ID: "f", Kind: "camera_fault", Level: 2}}})
	}
	return out
}

func siteState(i int, v ingest.Value, since float64) ingest.State {
	reason := ingest.ReasonNone
	if v == ingest.No {
		reason = ingest.ReasonTimeout
	}
	return ingest.State{Camera: ingest.CameraID(fmt.Sprintf("cam-%02d", i)), Frames: ingest.Fact{Value: v, Since: second(since), Reason: reason}}
}

// fall lets cameras go down, one every step seconds.
func fall(w *SiteWatch, n int, step float64) (out []Alert) {
	for i := range n {
		s := float64(i) * step
		out = append(out, w.State(siteState(i, ingest.No, s), second(s))...)
	}
	return out
}

func TestSiteIsDown(t *testing.T) {
	for _, tc := range []struct {
		name      string
		all, down int
		step      float64
		want      bool
	}{
		{"all of three", 3, 3, 1, true},
		{"two are too few", 2, 2, 1, false},
		{"four of five", 5, 4, 1, true},
		{"three of five", 5, 3, 1, false},
		{"all of 300 within a second", 300, 300, 0.003, true},
		{"over hours", 5, 5, 3600, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := NewSiteWatch(3)
			require.Empty(t, w.Cameras(village(tc.all), second(0)))
			got := fall(w, tc.down, tc.step)
			got = append(got, w.Tick(second(float64(tc.down)*tc.step))...)
			require.Equal(t, tc.want, w.Holds("cam-00"))
			if !tc.want {
				require.Empty(t, got)
				return
			}
			require.Len(t, got, 1)
			a := got[0]
			require.Equal(t, CameraFault, a.Kind)
			require.Equal(t, Opened, a.Phase)
			require.Equal(t, ingest.CameraID("cam-00"), a.Camera)
			require.Equal(t, 2, a.Level)
			require.Equal(t, second(0), a.Start)
			require.Contains(t, a.RuleName, "线路中断")
			require.Equal(t, "线路 valley", a.ZoneName)
			require.Empty(t, w.Tick(second(100)), "once")
		})
	}
}

func TestSiteComesBack(t *testing.T) {
	w := NewSiteWatch(0)
	w.Cameras(village(5), second(0))
	opened := fall(w, 5, 1)
	require.Len(t, opened, 1)
	// It flaps: four are back and gone again within the settling time.
	for i := range 4 {
		require.Empty(t, w.State(siteState(i, ingest.Yes, 50), second(50)))
	}
	require.Empty(t, w.Tick(second(55)))
	for i := range 4 {
		require.Empty(t, w.State(siteState(i, ingest.No, 56), second(56)))
	}
	require.Empty(t, w.Tick(second(100)))
	// Unknown is no proof: they are tried again.
	for i := range 5 {
		require.Empty(t, w.State(siteState(i, ingest.Unknown, 101), second(101)))
	}
	require.Empty(t, w.Tick(second(200)))
	require.True(t, w.Holds("cam-04"))

	for i := range 4 {
		w.State(siteState(i, ingest.Yes, 210), second(210))
	}
	require.Empty(t, w.Tick(second(219)))
	closed := w.Tick(second(220))
	require.Len(t, closed, 1)
	require.Equal(t, opened[0].ID, closed[0].ID)
	require.Equal(t, Closed, closed[0].Phase)
	require.NotNil(t, closed[0].End)
	require.False(t, w.Holds("cam-04"), "what stays dead has a fault of its own")
	require.Empty(t, w.Tick(second(400)))
}

// TestHalfStaysDead: the link is back and two of five cameras are not.
func TestHalfStaysDead(t *testing.T) {
	w := NewSiteWatch(3)
	w.Cameras(village(5), second(0))
	fall(w, 5, 1)
	for i := range 3 {
		w.State(siteState(i, ingest.Yes, 50), second(50))
	}
	require.Empty(t, w.Tick(second(109)))
	require.Len(t, w.Tick(second(110)), 1)
	require.False(t, w.Holds("cam-04"))
}

func TestSiteAgainIsAnotherIncident(t *testing.T) {
	w := NewSiteWatch(3)
	w.Cameras(village(3), second(0))
	first := fall(w, 3, 0)
	for i := range 3 {
		w.State(siteState(i, ingest.Yes, 30), second(30))
	}
	require.Len(t, w.Tick(second(40)), 1)
	var again []Alert
	for i := range 3 {
		again = append(again, w.State(siteState(i, ingest.No, 0), second(60))...) // a report that tells of the first time
	}
	require.Len(t, again, 1)
	require.NotEqual(t, first[0].ID, again[0].ID)
}

func TestSiteWithoutRulesSaysNothing(t *testing.T) {
	w := NewSiteWatch(3)
	cams := village(4)
	for i := range cams {
		cams[i].Rules = nil
	}
	w.Cameras(cams, second(0))
	require.Empty(t, fall(w, 4, 1))
	require.False(t, w.Holds("cam-00"))
}

func TestSiteIsClosedWithItsCameras(t *testing.T) {
	w := NewSiteWatch(3)
	w.Cameras(village(3), second(0))
	require.Len(t, fall(w, 3, 1), 1)
	require.Empty(t, w.Cameras(village(4)[:3], second(10)), "the same cameras again change nothing")
	require.True(t, w.Holds("cam-01"))
	require.Len(t, w.Cameras(nil, second(20)), 1)
	require.Empty(t, w.Stop(second(21)))
}

// TestHeldFaultOpensAfterTheSite: a camera's own fault waits for its site, and
// comes when the site is up and the camera is not.
func TestHeldFaultOpensAfterTheSite(t *testing.T) {
	e := engine(t, configs.Rule{ID: "f", Kind: "camera_fault", Level: 1})
	down := ingest.State{Camera: "cam-1", Frames: ingest.Fact{Value: ingest.No, Since: second(0), Reason: ingest.ReasonTimeout}}
	e.Hold(true)
	require.Empty(t, e.State(down, second(0)))
	require.Empty(t, e.Tick(second(300)))
	e.Hold(false)
	got := e.Tick(second(301))
	require.Len(t, got, 1)
	require.Equal(t, second(0), got[0].Start)
	e.Hold(true)
	require.Empty(t, e.Tick(second(302)), "what is open stays open")
}
