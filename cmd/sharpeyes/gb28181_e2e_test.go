package main

import (
	"bytes"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	demoRecorder = "36092110001180000001"
	demoChannel  = "36092110001320000001"
)

// command runs the built binary against a running gateway.
func (g *gateway) command(args ...string) (stdout, stderr string, err error) {
	cmd := exec.CommandContext(g.t.Context(), built(g.t), append(args, "--data-dir", filepath.Join(filepath.Dir(g.config), "data"))...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// TestE2EGB28181: the recorder of the demonstration registers, one of its
// channels is a camera like any other and raises an alert; the others are shown
// as not configured; what a person does is in the access register.
func TestE2EGB28181(t *testing.T) {
	e2e(t)
	g := startGateway(t, demoConfig(t))
	g.follow()
	var cameras struct {
		Items []struct {
			Camera struct{ ID string }
			State  struct{ Registered, Frames, Picture struct{ Value string } }
		}
	}
	require.Eventually(t, func() bool {
		g.call("GET", "/api/v1/cameras", nil, http.StatusOK, &cameras)
		for _, c := range cameras.Items {
			if c.Camera.ID == "demo-dam" {
				return c.State.Registered.Value == "yes" && c.State.Frames.Value == "yes" && c.State.Picture.Value == "yes"
			}
		}
		return false
	}, 40*time.Second, 200*time.Millisecond, "registered, with frames and a picture")
	require.Eventually(t, func() bool {
		return len(g.alerts(func(r row) bool { return r.Alert.Camera == "demo-dam" && r.Alert.Rule == "bank-person" })) > 0
	}, 90*time.Second, 200*time.Millisecond, "an alert of the GB/T 28181 camera")

	out, stderr, err := g.command("gb28181", "devices")
	require.NoError(t, err, stderr)
	require.Contains(t, out, demoRecorder+"  yes")
	out, stderr, err = g.command("gb28181", "catalog", demoRecorder, "--refresh")
	require.NoError(t, err, stderr)
	require.Contains(t, out, "gb28181://"+demoRecorder+"/36092110001320000002", "proposed")
	require.NotContains(t, out, "gb28181://"+demoRecorder+"/"+demoChannel, "configured already")
	var nodes struct {
		Items []struct {
			GB28181 struct {
				Registered   int `json:"registered"`
				ChangesTotal int `json:"changes_total"`
			} `json:"gb28181"`
		}
	}
	require.Eventually(t, func() bool {
		g.call("GET", "/api/v1/nodes", nil, http.StatusOK, &nodes)
		return len(nodes.Items) == 1 && nodes.Items[0].GB28181.Registered == 1 && nodes.Items[0].GB28181.ChangesTotal >= 2
	}, 45*time.Second, 500*time.Millisecond, "the page shows the channels that are not configured")

	checkControl(t, g)
	checkDownload(t, g)
	checkMetrics(t, g, "metrics-gb28181.golden", "sharpeyes_gb28181_", "demo-lawn", "demo-road", "demo-yard", "demo-dam")
}

// checkControl: a control needs a unit, and is in the register before and after.
func checkControl(t *testing.T, g *gateway) {
	_, stderr, err := g.command("gb28181", "control", demoRecorder, demoChannel, "ptz", "left")
	require.Error(t, err)
	require.Contains(t, stderr, "unit")
	_, stderr, err = g.command("gb28181", "control", demoRecorder, demoChannel, "ptz", "left", "--unit", "赤岸镇综治中心")
	require.NoError(t, err, stderr)
	var register struct {
		Items []struct {
			Action     string   `json:"action"`
			Unit       string   `json:"unit"`
			ReasonText string   `json:"reason_text"`
			Cameras    []string `json:"cameras"`
		}
	}
	require.Eventually(t, func() bool {
		g.call("GET", "/api/v1/access-register", nil, http.StatusOK, &register)
		return len(register.Items) >= 2 && strings.HasSuffix(register.Items[0].ReasonText, "ptz left: ok")
	}, 20*time.Second, 200*time.Millisecond)
	require.Equal(t, "control", register.Items[0].Action)
	require.Equal(t, "赤岸镇综治中心", register.Items[0].Unit)
	require.Equal(t, []string{"demo-dam"}, register.Items[0].Cameras)
	require.True(t, strings.HasSuffix(register.Items[1].ReasonText, "ptz left"), "before it was sent: %s", register.Items[1].ReasonText)
}

// checkDownload: a record comes from the device, is a program stream that others
// read, and is in the register before the first byte.
func checkDownload(t *testing.T, g *gateway) {
	from := time.Now().Add(-time.Hour).In(deviceZone)
	times := []string{"--from", from.Format(time.DateTime), "--to", from.Add(4 * time.Second).Format(time.DateTime)}
	out, stderr, err := g.command(append([]string{"gb28181", "records", demoRecorder, demoChannel}, "--from", from.Format(time.DateTime), "--to", from.Add(30*time.Minute).Format(time.DateTime))...)
	require.NoError(t, err, stderr)
	require.Contains(t, out, "段 / records")
	_, stderr, err = g.command(append([]string{"gb28181", "download", demoRecorder, "36092110001320000002", "--unit", "u", "--reason", "drill"}, times...)...)
	require.Error(t, err)
	require.Contains(t, stderr, "legal_basis", "a channel that is no camera has no legal basis")

	file := filepath.Join(t.TempDir(), "record")
	out, stderr, err = g.command(append([]string{"gb28181", "download", demoRecorder, demoChannel, "--unit", "赤岸镇综治中心", "--reason", "drill", "--out", file}, times...)...)
	require.NoError(t, err, stderr)
	require.Equal(t, file+".ps\n", out)
	probe, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-count_packets", "-show_entries", "stream=codec_name,nb_read_packets", "-of", "csv=p=0", file+".ps").CombinedOutput()
	require.NoError(t, err, string(probe))
	require.Contains(t, string(probe), "h264")
	var register struct {
		Items []struct {
			Action     string `json:"action"`
			ReasonText string `json:"reason_text"`
		}
	}
	require.Eventually(t, func() bool {
		g.call("GET", "/api/v1/access-register", nil, http.StatusOK, &register)
		return len(register.Items) >= 4 && register.Items[0].Action == "download" && strings.HasSuffix(register.Items[0].ReasonText, ": ok")
	}, 20*time.Second, 200*time.Millisecond)
}
