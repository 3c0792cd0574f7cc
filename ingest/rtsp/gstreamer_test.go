package rtsp

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// gstPackages are the Debian packages of the foreign peer.
const gstPackages = "gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad"

// python is the interpreter that Debian's python3-gi belongs to; another one
// may come first in PATH.
const python = "/usr/bin/python3"

// gstThere says why the foreign peer cannot run, if so.
var gstThere = sync.OnceValue(func() error {
	out, err := exec.Command(python, "-c", `
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
assert all(map(Gst.ElementFactory.find, ["h264parse", "h265parse", "rtph264pay", "rtph265pay", "alawenc", "audiotestsrc"]))
`).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
})

// gstreamer starts GStreamer's RTSP server and returns rtsp://host:port. In CI
// its absence is a failure, elsewhere a loud skip.
func gstreamer(t *testing.T, args ...string) string {
	t.Helper()
	if err := gstThere(); err != nil {
		msg := fmt.Sprintf("GStreamer's RTSP server is missing: install the Debian packages %s (%v)", gstPackages, err)
		if os.Getenv("SHARPEYES_CI") != "" || os.Getenv("CI") != "" {
			t.Fatal(msg)
		}
		t.Skip("NOT TESTED against a foreign peer. " + msg)
	}
	for _, name := range []string{"h264", "h265"} {
		path, err := filepath.Abs("../testdata/walk." + name)
		require.NoError(t, err)
		args = append(args, name+"="+path)
	}
	cmd := exec.CommandContext(t.Context(), python, append([]string{"testdata/gst_server.py"}, args...)...)
	cmd.Env = append(os.Environ(), "GST_DEBUG=none")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close() // ends it
		_ = cmd.Wait() // or the test's context does, with an error
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return "rtsp://127.0.0.1:" + strings.TrimSpace(line)
}

func TestGStreamer(t *testing.T) {
	login := func(c *configs.Camera) { c.Username, c.Password = "管理员", c.Password.With("p@ss:w/rd% #") }
	over := func(name string) func(*configs.Camera) {
		return func(c *configs.Camera) { c.Settings.Transport = name }
	}
	for _, c := range []struct {
		name  string
		args  []string
		set   []func(*configs.Camera)
		want  string
		fails ingest.Reason
	}{
		{"tcp", nil, nil, "tcp", ""},
		{"udp", nil, []func(*configs.Camera){over("udp")}, "udp", ""},
		{"auto, udp only", []string{"--protocol", "udp"}, []func(*configs.Camera){over("auto")}, "udp", ""},
		{"auto, tcp only", []string{"--protocol", "tcp"}, []func(*configs.Camera){over("auto")}, "tcp", ""},
		{"udp demanded, tcp only", []string{"--protocol", "tcp"}, []func(*configs.Camera){over("udp")}, "", ingest.ReasonRefused},
		{"digest", []string{"--user", "管理员", "--password", "p@ss:w/rd% #", "--auth", "digest"}, []func(*configs.Camera){login}, "tcp", ""},
		{"basic", []string{"--user", "管理员", "--password", "p@ss:w/rd% #", "--auth", "basic"}, []func(*configs.Camera){login}, "tcp", ""},
		{"wrong password", []string{"--user", "admin", "--password", "x"}, []func(*configs.Camera){login}, "", ingest.ReasonAuthFailed},
		{"no password", []string{"--user", "admin", "--password", "x"}, nil, "", ingest.ReasonAuthFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			address := gstreamer(t, c.args...)
			for _, codec := range []string{"h264", "h265"} {
				cam := camera(address + "/" + codec)
				for _, set := range c.set {
					set(&cam)
				}
				got, err := pull(t, cam, 15)
				if c.fails != "" {
					require.Equal(t, c.fails, ingest.ReasonOf(err), "%v", err)
					continue
				}
				require.ErrorIs(t, err, context.Canceled, codec)
				require.Equal(t, []string{c.want}, got.transports)
				require.Zero(t, got.lost)
				requireSame(t, "../testdata/walk."+codec, got.units, 100*time.Millisecond)
			}
			_, err := pull(t, camera(address+"/nothing"), 1)
			if len(c.args) == 0 {
				require.Equal(t, ingest.ReasonNotFound, ingest.ReasonOf(err), "%v", err)
			}
		})
	}
}

func TestGStreamerProbeAndEnd(t *testing.T) {
	t.Parallel()
	address := gstreamer(t)
	r, err := Probe(t.Context(), camera(address+"/h265"), 1500*time.Millisecond)
	require.NoError(t, err)
	require.Nil(t, r.Fault)
	require.Len(t, r.Tracks, 2)
	require.Equal(t, "PCMA", r.Tracks[0].Codec)
	require.Equal(t, []any{"H265", 320, 240, 10}, []any{r.Video.Codec, r.Video.Width, r.Video.Height, r.Video.GOP})
	require.InDelta(t, 10, r.Video.FPS, 0.5)
	require.True(t, r.Video.ParametersSDP)

	// The file ends after 4 s, and the session with it or by our timeout.
	cam := camera(address + "/h264")
	cam.Settings.Timeout = configs.Duration(2 * time.Second)
	got, err := pull(t, cam, 0)
	require.Len(t, got.units, 40)
	require.Contains(t, []ingest.Reason{ingest.ReasonEnded, ingest.ReasonNoFrames}, ingest.ReasonOf(err))
}
