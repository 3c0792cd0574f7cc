package rtsp

import (
	"context"
	"encoding/json"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
)

func TestProbe(t *testing.T) {
	s := serve(t, ServerOptions{UDP: true, Username: "admin", Password: "topsecret"})
	for _, c := range []struct {
		path, transport       string
		codec, profile, level string
	}{
		{"h264", "auto", "H264", "High", "2.2"},
		{"h265", "udp", "H265", "Main", "2.0"},
	} {
		t.Run(c.path, func(t *testing.T) {
			t.Parallel()
			cam := camera(s.URL(c.path))
			cam.Settings.Transport = c.transport
			cam.Username, cam.Password = "admin", cam.Password.With("topsecret")
			r, err := Probe(t.Context(), cam, 1500*time.Millisecond)
			require.NoError(t, err)
			require.Nil(t, r.Fault)
			v := r.Video
			require.NotNil(t, v)
			require.Equal(t, map[string]string{"auto": "tcp", "udp": "udp"}[c.transport], r.Transport)
			require.Len(t, r.Tracks, 1)
			require.Equal(t, []any{c.codec, c.profile, c.level, 320, 240, 10}, []any{v.Codec, v.Profile, v.Level, v.Width, v.Height, v.GOP})
			require.InDelta(t, 100, v.FPS, 5)
			require.InDelta(t, 10, v.DeclaredFPS, 0.01, "what the clip says of itself")
			require.InDelta(t, 0.1, v.GOPSeconds, 0.01)
			require.InDelta(t, 1.5, v.Seconds, 0.3)
			require.InDelta(t, v.Units/10, v.KeyFrames, 1)
			require.Greater(t, v.BitsPerSecond, 100e3)
			require.Less(t, v.BitsPerSecond, 3e6)
			require.True(t, v.ParametersSDP)
			require.True(t, v.ParametersIn)
			require.False(t, v.BFrames)
			require.Zero(t, v.LostPackets)
			require.Zero(t, v.ClockJumps)
			require.Less(t, v.ClockDrift, 50000.0)
			require.Greater(t, v.FirstKey, 0.0)
			require.GreaterOrEqual(t, v.FirstKey, v.FirstUnit)
			text, err := json.Marshal(r)
			require.NoError(t, err)
			require.Contains(t, string(text), `"gop":10`)
			require.NotContains(t, string(text), "topsecret")
		})
	}
}

func TestProbeFaults(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := "rtsp://" + l.Addr().String() + "/x"
	require.NoError(t, l.Close())
	body := sdpWith(t, "")
	silent := hostile(t, working(body, func(net.Conn) {}))
	audio := hostile(t, working(sdpAudio, func(net.Conn) {}))
	keyless := hostile(t, working(body, func(c net.Conn) { sendUnits(t, c, 1, 5, steady) }))
	bframes := hostile(t, working(body, func(c net.Conn) {
		sendUnits(t, c, 0, 8, func(i int) uint32 { return []uint32{0, 3, 1, 2, 6, 4, 5, 7}[i] * 3600 })
	}))
	for _, c := range []struct {
		name, url string
		want      ingest.Reason
		tracks    int
	}{
		{"refused", closed, ingest.ReasonRefused, 0},
		{"silent", silent.url(), ingest.ReasonNoFrames, 1},
		{"audio only", audio.url(), ingest.ReasonNoVideo, 1},
		{"no key frame", keyless.url(), ingest.ReasonNoKeyFrame, 1},
		{"b-frames", bframes.url(), "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cam := camera(c.url)
			cam.Settings.Timeout = configs.Duration(time.Second)
			r, err := Probe(t.Context(), cam, 300*time.Millisecond)
			require.NoError(t, err)
			require.Len(t, r.Tracks, c.tracks)
			if c.want == "" {
				require.Nil(t, r.Fault)
				require.True(t, r.Video.BFrames)
				require.InDelta(t, 25, r.Video.FPS, 0.5)
				require.False(t, r.Video.ParametersIn)
				return
			}
			require.NotNil(t, r.Fault)
			require.Equal(t, c.want, r.Fault.Reason)
			require.NotEmpty(t, r.Fault.Hint)
		})
	}
}

func TestProbeErrors(t *testing.T) {
	_, err := Probe(t.Context(), camera("http://x/y"), 0)
	require.Error(t, err)
	hang := hostile(t, func(net.Conn, request) bool { return true })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = Probe(ctx, camera(hang.url()), 0)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestNames(t *testing.T) {
	require.Equal(t, []string{"Baseline", "Main", "Extended", "High", "High 10", "High 4:2:2", "High 4:4:4", "9"},
		[]string{profile264(66), profile264(77), profile264(88), profile264(100), profile264(110), profile264(122), profile264(244), profile264(9)})
	require.Equal(t, []string{"Main", "Main 10", "Main Still Picture", "Range Extensions", "9"},
		[]string{profile265(1), profile265(2), profile265(3), profile265(4), profile265(9)})
	require.Equal(t, []string{"4.0", "4.1", "5.1"}, []string{level264(40), level265(123), level265(153)})
	require.InDelta(t, 15, declared(0, 15), 0)
	require.InDelta(t, 25, declared(25, 15), 0)
	require.InDelta(t, 15, declared(1e6, 15), 0)
}
