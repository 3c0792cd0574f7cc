package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// footageConfig is one camera on lawn.h264 with the two zones that the list
// below was written for.
const footageConfig = `
node: e2e
data_dir: data
center: { listen: "127.0.0.1:0" }
edge:
  cameras:
    - id: lawn
      name: 草坡
      url: rtsp://%[1]s/lawn
      division: "360921100200"
      point: P1
      legal_basis: A9
      purpose: 测试
      zones:
        - { id: pond, name: 草坡, points: [[0.0, 0.56], [0.25, 0.56], [0.50, 0.71], [0.90, 0.96], [0.90, 1.0], [0.0, 1.0]] }
        - { id: corner, name: 路口, points: [[0.80, 0.56], [1.0, 0.56], [1.0, 0.85], [0.80, 0.85]] }
      rules:
        - { id: enter, kind: zone_entry, zones: [pond, corner], classes: [person], close_after: 3s, category: "0201" }
    - id: nobody
      name: 不在的摄像机
      url: rtsp://127.0.0.1:1/none
      division: "360921100200"
      legal_basis: A9
      purpose: 测试
      rules:
        - { id: fault, kind: camera_fault, after: 3s, category: "0801" }
`

// visit is a time in lawn.h264, in seconds, during which somebody's feet are in
// a zone. The list was written by looking at one picture a second of the clip
// with the zone drawn into it.
type visit struct {
	zone     string
	from, to float64
	brief    bool // under 2 s: seen or missed, both are right
}

// visits of the first 66 seconds of the clip. Gaps shorter than close_after (3 s)
// are no gaps. The clip jumps at 39.5 s, where its first and second part meet.
var visits = []visit{
	{zone: "corner", from: 1.5, to: 22.3}, // empty from 4 to 5.5 s only
	{zone: "pond", from: 10.3, to: 31.5},
	{zone: "corner", from: 25, to: 27, brief: true},
	{zone: "corner", from: 38.2, to: 45.8},
	{zone: "corner", from: 52.5, to: 54.3, brief: true},
	{zone: "corner", from: 58.3, to: 64.6},
}

// footageTolerance is how far, in seconds, the start of an alert may lie from
// the start of its visit: the list is good to 1 s, the object detector looks
// twice a second and wants two of three looks.
const footageTolerance = 2.5

// TestE2EFootage is the main job: real footage through a real RTSP server, the
// built binary and a real redis-server. People entering the zones become alerts
// at the times of the hand-checked list, each once; confirming one makes one
// event; the village's coverage row is right.
func TestE2EFootage(t *testing.T) {
	e2e(t)
	g := startGateway(t, footageConfig)
	g.follow()

	opened := func(zone string) []row {
		seen := map[string]bool{}
		return g.alerts(func(r row) bool {
			if r.Alert.Camera != "lawn" || r.Alert.Zone != zone || seen[r.Alert.ID] {
				return false
			}
			seen[r.Alert.ID] = true
			return true
		})
	}
	// The clip begins with the first reader, so the first pond alert tells where
	// the clip is; the rest is watched until 66 s of it have gone by.
	require.Eventually(t, func() bool { return len(opened("pond")) > 0 }, 40*time.Second, 100*time.Millisecond, "nobody was seen in the pond zone")
	zero := opened("pond")[0].Alert.Start.Add(-secs(10.8))
	closedAll := func() bool {
		return time.Since(zero) > secs(66) && len(g.alerts(func(r row) bool {
			return r.Alert.Camera == "lawn" && r.Alert.Phase == "closed" && r.Alert.Start.Before(zero.Add(secs(66)))
		})) >= len(before(append(opened("pond"), opened("corner")...), zero.Add(secs(66))))
	}
	require.Eventually(t, closedAll, 90*time.Second, 200*time.Millisecond, "alerts of the first 66 s are still open")

	all := before(append(opened("pond"), opened("corner")...), zero.Add(secs(66)))
	for _, r := range all {
		t.Logf("%-6s at %5.1f s of the clip, on the stream %d ms after its frame", r.Alert.Zone, r.Alert.Start.Sub(zero).Seconds(), r.arrived.Sub(r.Alert.Received).Milliseconds())
	}
	compare(t, all, zero)
	checkOnce(t, g)
	checkTriage(t, g, all)
	checkFault(t, g)
	checkCoverage(t, g)
	checkMetrics(t, g, "metrics.golden", "sharpeyes_", "lawn", "nobody")
}

func secs(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func before(rows []row, end time.Time) []row {
	var out []row
	for _, r := range rows {
		if r.Alert.Start.Before(end) {
			out = append(out, r)
		}
	}
	return out
}

// compare holds the alerts against the list, both ways: each long visit has one
// alert near its start, and each alert has its visit.
func compare(t *testing.T, alerts []row, zero time.Time) {
	t.Helper()
	used := map[string]bool{}
	for _, v := range visits {
		n := 0
		for _, r := range alerts {
			at := r.Alert.Start.Sub(zero).Seconds()
			if r.Alert.Zone == v.zone && at > v.from-footageTolerance && at < v.from+footageTolerance {
				n++
				used[r.Alert.ID] = true
			}
		}
		if n > 1 || (n == 0 && !v.brief) {
			t.Errorf("visit of %s from %.1f s to %.1f s: %d alerts, want 1", v.zone, v.from, v.to, n)
		}
	}
	for _, r := range alerts {
		at := r.Alert.Start.Sub(zero).Seconds()
		if !used[r.Alert.ID] && !inside(r.Alert.Zone, at) {
			t.Errorf("alert in %s at %.1f s: nobody is there", r.Alert.Zone, at)
		}
	}
}

// inside says whether somebody is in the zone at that second of the clip.
func inside(zone string, at float64) bool {
	for _, v := range visits {
		if v.zone == zone && at > v.from-1 && at < v.to+1 {
			return true
		}
	}
	return false
}

// checkOnce: the list of alerts holds each alert once, and a picture with each
// that is pixelated.
func checkOnce(t *testing.T, g *gateway) {
	t.Helper()
	var list struct{ Items []row }
	g.call("GET", "/api/v1/alerts?camera=lawn&limit=200", nil, http.StatusOK, &list)
	seen := map[string]int{}
	for _, r := range list.Items {
		seen[r.Alert.ID]++
		require.NotNil(t, r.Alert.Picture, "alert %s has no picture", r.Alert.ID)
		require.True(t, r.Alert.Picture.Blurred)
		require.NotEmpty(t, r.PictureURL)
	}
	for id, n := range seen {
		require.Equal(t, 1, n, "alert %s is listed %d times", id, n)
	}
	var jpeg []byte
	g.call("GET", list.Items[0].PictureURL, nil, http.StatusOK, &jpeg)
	require.Equal(t, "\xff\xd8\xff", string(jpeg[:3]), "the picture is a JPEG")
	var register struct{ Items []map[string]any }
	g.call("GET", "/api/v1/access-register", nil, http.StatusOK, &register)
	require.NotEmpty(t, register.Items, "looking at the picture left no row in the access register")
}

// checkTriage: confirming twice makes one event, and a dismissed alert none.
func checkTriage(t *testing.T, g *gateway, alerts []row) {
	t.Helper()
	require.GreaterOrEqual(t, len(alerts), 2)
	confirm := "/api/v1/alerts/" + alerts[0].Alert.ID + "/confirm"
	body := map[string]string{"category": "0201", "note": "已电话通知村干部"}
	var first, second struct {
		EventNo string `json:"eventNo"`
	}
	g.call("POST", confirm, body, http.StatusOK, &first)
	g.call("POST", confirm, body, http.StatusOK, &second)
	require.NotEmpty(t, first.EventNo)
	require.Equal(t, first, second)
	g.call("POST", "/api/v1/alerts/"+alerts[1].Alert.ID+"/dismiss", map[string]string{"reason": "known"}, http.StatusOK, nil)

	var events struct {
		Items []struct {
			EventNo      string   `json:"eventNo"`
			AlertIDs     []string `json:"alertIds"`
			DivisionCode string   `json:"divisionCode"`
		}
	}
	g.call("GET", "/api/v1/events", nil, http.StatusOK, &events)
	require.Len(t, events.Items, 1)
	require.Equal(t, []string{alerts[0].Alert.ID}, events.Items[0].AlertIDs)
	require.Equal(t, "360921100200", events.Items[0].DivisionCode)
	require.Eventually(t, func() bool {
		return len(g.alerts(func(r row) bool { return r.Alert.ID == alerts[0].Alert.ID && r.EventNo == first.EventNo })) > 0
	}, 5*time.Second, 50*time.Millisecond, "the confirmed alert did not come over the event stream")
}

// checkFault: the camera that is not there says so, in words, and raised its
// alert, while the other camera was not disturbed.
func checkFault(t *testing.T, g *gateway) {
	t.Helper()
	var cameras struct {
		Items []struct {
			Camera struct{ ID string }
			State  struct {
				Transport struct{ Value, Reason string }
				Frames    struct{ Value, Reason string }
				Picture   struct{ Value, Reason string }
			}
			Online string
		}
	}
	g.call("GET", "/api/v1/cameras", nil, http.StatusOK, &cameras)
	require.Len(t, cameras.Items, 2)
	for _, c := range cameras.Items {
		if c.Camera.ID == "lawn" {
			require.Equal(t, "yes", c.State.Frames.Value)
			require.Equal(t, "yes", c.State.Picture.Value)
			require.Equal(t, "yes", c.Online)
			continue
		}
		require.Equal(t, "no", c.State.Transport.Value)
		require.Equal(t, "refused", c.State.Transport.Reason)
		require.Equal(t, "no", c.Online)
	}
	require.NotEmpty(t, g.alerts(func(r row) bool { return r.Alert.Camera == "nobody" && r.Alert.Rule == "fault" }))
}

// checkCoverage: one point and two cameras, one online; the standard is five.
func checkCoverage(t *testing.T, g *gateway) {
	t.Helper()
	var report struct {
		Figures []struct {
			ID                     string
			Numerator, Denominator int
			Value                  *float64
		}
		Villages []struct {
			Code                                                 string
			Points, Cameras, Online, Offline, Unknown, Shortfall int
			OK                                                   *bool
		}
	}
	g.call("GET", "/api/v1/coverage?division=360921100", nil, http.StatusOK, &report)
	found := false
	for _, v := range report.Villages {
		if v.Code != "360921100200" {
			continue
		}
		found = true
		require.Equal(t, 2, v.Points, "two cameras, one with a pole number and one without: two points")
		require.Equal(t, 2, v.Cameras)
		require.Equal(t, 1, v.Online)
		require.Equal(t, 1, v.Offline)
		require.Equal(t, 3, v.Shortfall)
		require.NotNil(t, v.OK)
		require.False(t, *v.OK)
	}
	require.True(t, found, "the village of the cameras is in the report")
	for _, f := range report.Figures {
		switch f.ID {
		case "COV-2":
			require.Equal(t, 0, f.Numerator)
		case "ONL-1":
			require.Equal(t, 1, f.Numerator)
			require.Equal(t, 2, f.Denominator)
		}
	}
}
