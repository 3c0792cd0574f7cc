package rtsp

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
	"github.com/sharpeyes/sharpeyes/ingest/replay"
)

// reference returns the units of a clip, straight from the file.
func reference(t *testing.T, path string) []ingest.AccessUnit {
	t.Helper()
	src, err := replay.New(path, replay.Options{})
	require.NoError(t, err)
	s := &taken{}
	require.Equal(t, ingest.ReasonEnded, ingest.ReasonOf(src.Run(t.Context(), s)))
	return s.units
}

// requireSame requires that the units are those of the looped clip, bit for
// bit and without a gap, from the first key frame on. pictureTime is the
// distance of two pictures.
func requireSame(t *testing.T, path string, got []ingest.AccessUnit, pictureTime time.Duration) {
	t.Helper()
	want := reference(t, path)
	for len(got) > 0 && !got[0].Key {
		got = got[1:]
	}
	require.Greater(t, len(got), 10)
	at := -1
	for i := range want {
		if fmt.Sprint(want[i].NALUs) == fmt.Sprint(got[0].NALUs) {
			at = i
		}
	}
	require.GreaterOrEqual(t, at, 0, "the first unit is one of the clip")
	for i, u := range got {
		w := want[(at+i)%len(want)]
		require.Equal(t, w.NALUs, u.NALUs, "unit %d", i)
		require.Equal(t, w.Key, u.Key, "unit %d", i)
		require.Equal(t, w.Codec, u.Codec)
		require.False(t, u.Lost && i > 0, "unit %d", i)
		require.InDelta(t, float64(i)*float64(pictureTime), float64(u.PTS-got[0].PTS), float64(time.Millisecond), "unit %d", i)
	}
}

func TestPlay(t *testing.T) {
	cert, file, fingerprint := certificate(t)
	plain := serve(t, ServerOptions{UDP: true})
	noTCP := serve(t, ServerOptions{UDP: true, NoTCP: true})
	secure := serve(t, ServerOptions{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
	basic := serve(t, ServerOptions{UDP: true, Username: "admin", Password: "12345", Auth: "basic"})
	digest := serve(t, ServerOptions{UDP: true, Username: "admin", Password: "12345", Auth: "digest"})
	with := func(f func(*configs.Camera)) func(*configs.Camera) { return f }
	transport := func(name string) func(*configs.Camera) {
		return func(c *configs.Camera) { c.Settings.Transport = name }
	}
	login := with(func(c *configs.Camera) { c.Username, c.Password = "admin", c.Password.With("12345") })
	for _, c := range []struct {
		name   string
		server *Server
		set    []func(*configs.Camera)
		over   string
	}{
		{"tcp", plain, nil, "tcp"},
		{"udp", plain, []func(*configs.Camera){transport("udp")}, "udp"},
		{"auto prefers tcp", plain, []func(*configs.Camera){transport("auto")}, "tcp"},
		{"default is auto", plain, []func(*configs.Camera){transport("")}, "tcp"},
		{"auto falls back to udp", noTCP, []func(*configs.Camera){transport("auto")}, "udp"},
		{"basic", basic, []func(*configs.Camera){login}, "tcp"},
		{"digest", digest, []func(*configs.Camera){login}, "tcp"},
		{"digest over udp", digest, []func(*configs.Camera){login, transport("udp")}, "udp"},
		{"tls with ca file", secure, []func(*configs.Camera){func(c *configs.Camera) { c.TLS.CAFile = file }}, "tls"},
		{"tls with fingerprint", secure, []func(*configs.Camera){func(c *configs.Camera) { c.TLS.Fingerprint = strings.ToUpper(fingerprint) }}, "tls"},
		{"tls with both", secure, []func(*configs.Camera){func(c *configs.Camera) { c.TLS.CAFile, c.TLS.Fingerprint = file, fingerprint }}, "tls"},
		{"tls, auto", secure, []func(*configs.Camera){transport("auto"), func(c *configs.Camera) { c.TLS.CAFile = file }}, "tls"},
	} {
		for _, codec := range []string{"h264", "h265"} {
			t.Run(c.name+" "+codec, func(t *testing.T) {
				t.Parallel()
				cam := camera(c.server.URL(codec))
				for _, set := range c.set {
					set(&cam)
				}
				got, err := pull(t, cam, 60)
				require.ErrorIs(t, err, context.Canceled)
				require.Equal(t, []string{c.over}, got.transports)
				require.Zero(t, got.lost)
				requireSame(t, "../testdata/walk."+codec, got.units, 10*time.Millisecond)
				require.Equal(t, ingest.CameraID("c1"), got.units[0].Camera)
			})
		}
	}
}

func TestCredentialsWithOddCharacters(t *testing.T) {
	for _, c := range []struct{ user, password string }{
		{"admin", "p@ss:w/rd%20#?&="},
		{"a d m i n", "with space"},
		{"管理员", "密码：１２３"},
		{"admin", `quote'and\back`},
		{"admin", "%41%zz"},
	} {
		for _, auth := range []string{"basic", "digest"} {
			t.Run(auth+" "+c.password, func(t *testing.T) {
				s := serve(t, ServerOptions{Username: c.user, Password: c.password, Auth: auth})
				cam := camera(s.URL("h264"))
				cam.Username, cam.Password = c.user, cam.Password.With(c.password)
				_, err := pull(t, cam, 1)
				require.ErrorIs(t, err, context.Canceled)
			})
		}
	}
}

func TestWrongPassword(t *testing.T) {
	for _, auth := range []string{"basic", "digest"} {
		s := serve(t, ServerOptions{Username: "admin", Password: "right", Auth: auth})
		for name, login := range map[string][2]string{"wrong": {"admin", "wr0ng-secret"}, "none": {}} {
			t.Run(auth+" "+name, func(t *testing.T) {
				cam := camera(s.URL("h264"))
				cam.Username = login[0]
				if login[1] != "" {
					cam.Password = cam.Password.With(login[1])
				}
				got, err := pull(t, cam, 1)
				require.Equal(t, ingest.ReasonAuthFailed, ingest.ReasonOf(err), "%v", err)
				require.Empty(t, got.transports)
				require.NotContains(t, err.Error(), "wr0ng-secret")
			})
		}
	}
}

func TestSubstream(t *testing.T) {
	s := serve(t, ServerOptions{})
	for _, c := range []struct {
		stream, sub string
		want        ingest.Codec
	}{
		{"", "", ingest.H264}, {"", s.URL("h265"), ingest.H265}, {"main", s.URL("h265"), ingest.H264}, {"sub", s.URL("h265"), ingest.H265},
	} {
		t.Run(c.stream+" "+fmt.Sprint(c.sub != ""), func(t *testing.T) {
			cam := camera(s.URL("h264"))
			cam.SubstreamURL, cam.Settings.Stream = c.sub, c.stream
			got, err := pull(t, cam, 1)
			require.ErrorIs(t, err, context.Canceled)
			require.Equal(t, c.want, got.units[0].Codec)
		})
	}
}

func TestFaultsOfARealServer(t *testing.T) {
	cert, file, _ := certificate(t)
	_, otherFile, otherPrint := certificate(t)
	plain := serve(t, ServerOptions{})
	noTCP := serve(t, ServerOptions{UDP: true, NoTCP: true})
	noUDP := plain
	secure := serve(t, ServerOptions{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
	silent := NewServer(ServerOptions{})
	require.NoError(t, silent.Publish("never", func() (ingest.Source, error) { return nil, os.ErrNotExist }))
	require.NoError(t, silent.Start())
	t.Cleanup(silent.Close)
	for _, c := range []struct {
		name string
		url  string
		set  func(*configs.Camera)
		want ingest.Reason
	}{
		{"no such path", plain.URL("nothing"), nil, ingest.ReasonNotFound},
		{"tcp refused, tcp demanded", noTCP.URL("h264"), nil, ingest.ReasonRefused},
		{"udp refused, udp demanded", noUDP.URL("h264"), func(c *configs.Camera) { c.Settings.Transport = "udp" }, ingest.ReasonRefused},
		{"unknown authority", secure.URL("h264"), nil, ingest.ReasonTLS},
		{"other authority", secure.URL("h264"), func(c *configs.Camera) { c.TLS.CAFile = otherFile }, ingest.ReasonTLS},
		{"other fingerprint", secure.URL("h264"), func(c *configs.Camera) { c.TLS.Fingerprint = otherPrint }, ingest.ReasonTLS},
		{"right authority, other fingerprint", secure.URL("h264"), func(c *configs.Camera) { c.TLS.CAFile, c.TLS.Fingerprint = file, otherPrint }, ingest.ReasonTLS},
		{"tls to a plain port", strings.Replace(plain.URL("h264"), "rtsp:", "rtsps:", 1), func(c *configs.Camera) { c.TLS.CAFile = file }, ingest.ReasonTLS},
		{"no such host", "rtsp://camera.invalid/x", nil, ingest.ReasonUnreachable},
		{"nothing to serve yet", silent.URL("never"), func(c *configs.Camera) { c.Settings.Timeout = configs.Duration(8 * time.Second) }, ingest.ReasonRefused},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cam := camera(c.url)
			if c.set != nil {
				c.set(&cam)
			}
			_, err := pull(t, cam, 1)
			require.Equal(t, c.want, ingest.ReasonOf(err), "%v", err)
			var f *ingest.Fault
			require.ErrorAs(t, err, &f)
			require.NotEmpty(t, f.Hint)
		})
	}
}

func TestNewRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	require.NoError(t, os.WriteFile(empty, []byte("no pem"), 0o600))
	for name, c := range map[string]struct {
		set  func(*configs.Camera)
		want string
	}{
		"scheme":      {func(c *configs.Camera) { c.URL = "http://x/y" }, "rtsp://"},
		"no host":     {func(c *configs.Camera) { c.URL = "rtsp:///y" }, "host"},
		"fragment":    {func(c *configs.Camera) { c.URL = "rtsp://x/y#1" }, "%23"},
		"unparsable":  {func(c *configs.Camera) { c.URL = "rtsp://u:topsecret@x:port/%zz" }, "rtsp://HOST"},
		"no sub":      {func(c *configs.Camera) { c.Settings.Stream = "sub" }, "substream_url"},
		"transport":   {func(c *configs.Camera) { c.Settings.Transport = "pigeon" }, "pigeon"},
		"ca missing":  {func(c *configs.Camera) { c.TLS.CAFile = empty + "x" }, "tls.ca_file"},
		"ca empty":    {func(c *configs.Camera) { c.TLS.CAFile = empty }, "PEM"},
		"fingerprint": {func(c *configs.Camera) { c.TLS.Fingerprint = "abcd" }, "64 hexadecimal"},
	} {
		t.Run(name, func(t *testing.T) {
			cam := camera("rtsp://x/y")
			c.set(&cam)
			_, err := New(cam, nil, nil)
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "topsecret")
		})
	}
}

func TestNoSecretInTheLog(t *testing.T) {
	s := serve(t, ServerOptions{Username: "admin", Password: "right"})
	var log bytes.Buffer
	cam := camera(s.URL("h264"))
	cam.Username, cam.Password = "admin", cam.Password.With("hidden-word")
	f := ingest.NewFleet(ingest.FleetOptions{
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Open: func(c configs.Camera) (ingest.Source, error) {
			return New(c, slog.New(slog.NewTextHandler(&log, nil)), nil)
		},
	})
	f.Apply([]configs.Camera{cam})
	require.Eventually(t, func() bool { return f.States()[0].Transport.Reason == ingest.ReasonAuthFailed }, 10*time.Second, 10*time.Millisecond)
	f.Close()
	require.Contains(t, log.String(), "auth_failed")
	require.NotContains(t, log.String(), "hidden-word")
}

func TestServerReopensAnEndedSource(t *testing.T) {
	t.Parallel()
	s := NewServer(ServerOptions{})
	t.Cleanup(s.Close)
	require.NoError(t, s.Publish("once", func() (ingest.Source, error) {
		return replay.New(walk264, replay.Options{FPS: 100, Realtime: true})
	}))
	require.Error(t, s.Publish("once", nil), "taken")
	require.NoError(t, s.Start())
	require.Error(t, s.Start(), "twice")
	got, err := pull(t, camera(s.URL("once")), 70)
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, got.units, 70, "the second run goes to the same readers")
	s.Close()
	require.Error(t, s.Publish("late", nil), "closed")
	_, err = pull(t, camera(s.URL("once")), 1)
	require.Equal(t, ingest.ReasonRefused, ingest.ReasonOf(err), "%v", err)
}

// Who comes later to a camera that refreshes gradually finds a place to start.
func TestSourceJoinsGradualRefreshLate(t *testing.T) {
	t.Parallel()
	s := NewServer(ServerOptions{})
	t.Cleanup(s.Close)
	require.NoError(t, s.Publish("refresh", clip("../../detect/testdata/refresh.h264", 50)))
	require.NoError(t, s.Start())
	_, err := pull(t, camera(s.URL("refresh")), 10) // it plays
	require.ErrorIs(t, err, context.Canceled)
	got, err := pull(t, camera(s.URL("refresh")), 60)
	require.ErrorIs(t, err, context.Canceled)
	i := slices.IndexFunc(got.units, func(u ingest.AccessUnit) bool { return u.Recovery > 0 })
	require.GreaterOrEqual(t, i, 0)
	kinds := map[byte]bool{}
	for _, n := range got.units[i].NALUs {
		kinds[n[0]&0x1f] = true
	}
	require.True(t, kinds[7] && kinds[8], "with its parameter sets: %v", kinds)
}

func TestServerClosesReaders(t *testing.T) {
	t.Parallel()
	s := serve(t, ServerOptions{})
	go func() {
		<-time.After(300 * time.Millisecond)
		s.Close()
	}()
	_, err := pull(t, camera(s.URL("h264")), 0)
	require.Equal(t, ingest.ReasonEnded, ingest.ReasonOf(err), "%v", err)
}

func TestServerFollowsACodecChange(t *testing.T) {
	t.Parallel()
	s := NewServer(ServerOptions{})
	t.Cleanup(s.Close)
	paths := []string{walk264, walk265}
	n := 0
	require.NoError(t, s.Publish("both", func() (ingest.Source, error) {
		n++
		return replay.New(paths[(n-1)%2], replay.Options{FPS: 100, Realtime: true})
	}))
	require.NoError(t, s.Start())
	seen := map[ingest.Codec]bool{}
	require.Eventually(t, func() bool {
		got, _ := pull(t, camera(s.URL("both")), 1)
		for _, u := range got.units {
			seen[u.Codec] = true
		}
		return len(seen) == 2
	}, 15*time.Second, 10*time.Millisecond)
}
