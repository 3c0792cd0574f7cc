package gb28181

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/gb28181/media"
	"github.com/sharpeyes/sharpeyes/gb28181/simulate"
	"github.com/sharpeyes/sharpeyes/ingest"
)

const (
	walk264 = "../ingest/testdata/walk.h264"
	walk265 = "../ingest/testdata/walk.h265"
	boxID   = "34020000001180000001" // of the first simulated device
)

// box is simulated devices behind a platform.
type box struct {
	*Platform
	sim      *simulate.Simulator
	registry *prometheus.Registry

	mu     sync.Mutex
	events []simulate.Event
}

// boxed starts a platform and devices, and waits until all are registered.
func boxed(t testing.TB, cfg configs.GB28181, opt simulate.Options) *box {
	t.Helper()
	if cfg.ID == "" {
		cfg = configs.GB28181{Listen: "127.0.0.1:0", ID: serverID, Unknown: configs.GB28181Wait}
	}
	cfg.Devices = append(cfg.Devices, configs.GB28181Device{Prefix: boxID[:13], Password: configs.SecretValue(secret)})
	registry := prometheus.NewPedanticRegistry()
	p, err := New(Options{Config: cfg, Registerer: registry})
	require.NoError(t, err)
	if opt.Clips == nil {
		opt.Clips = []string{walk264}
	}
	b := boxedWith(t, p, opt)
	b.registry = registry
	return b
}

func (b *box) saw(kind simulate.EventKind, text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, e := range b.events {
		if e.Kind == kind && strings.Contains(e.Text, text) {
			n++
		}
	}
	return n
}

// camera is the configuration of a channel of the first device.
func (b *box) camera(channel int) configs.Camera {
	return configs.Camera{
		ID: fmt.Sprintf("c%d", channel), URL: "gb28181://" + boxID + "/" + b.sim.Channels(boxID)[channel], LegalBasis: "A9",
		Settings: configs.Stream{Timeout: configs.Duration(5 * time.Second)},
	}
}

func (b *box) span(d time.Duration) Span {
	from := time.Now().Add(-time.Hour).Truncate(time.Second)
	return Span{Device: boxID, Channel: b.sim.Channels(boxID)[0], From: from, To: from.Add(d)}
}

// nothingLeft waits until neither side has anything of a session.
func (b *box) nothingLeft(t testing.TB) {
	t.Helper()
	until(t, func() bool {
		c := b.calls
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, d := range b.dialogs.all() {
			if d.event == "" {
				return false // a call; the others are subscriptions
			}
		}
		return b.sim.Stats().Sessions == 0 && len(c.open) == 0 && len(c.serials) == 0 && c.receiver.Stats().Streams == 0
	}, "something is left: %d sessions at the device", b.sim.Stats().Sessions)
}

func until(t testing.TB, f func() bool, msg string, args ...any) {
	t.Helper()
	require.Eventually(t, f, patience, 5*time.Millisecond, append([]any{msg}, args...)...)
}

// TestCallMetrics reads the figures of a stream while it flows and after.
func TestCallMetrics(t *testing.T) {
	b := boxed(t, over("tcp"), simulate.Options{Faults: simulate.WrongSSRC})
	src, err := b.Source(b.camera(0))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := &pulled{}
	ended := make(chan error, 1)
	go func() { ended <- src.Run(ctx, s) }()
	until(t, func() bool { return s.count() > 5 }, "units")
	require.Equal(t, 1.0, b.figure(t, "media_sessions", "flowing"))
	require.Equal(t, 1.0, b.figure(t, "media_wrong_ssrc_total", ""))
	require.Greater(t, b.figure(t, "media_bytes_total", ""), 1000.0)
	require.Equal(t, 1.0, b.figure(t, "first_unit_seconds", "live"))
	require.Zero(t, b.figure(t, "ps_errors_total", "short_pes"))
	cancel()
	<-ended
	require.Zero(t, b.figure(t, "media_sessions", "flowing"))
	require.Equal(t, 1.0, b.figure(t, "media_sessions_ended_total", "stopped"))
	units := b.figure(t, "media_access_units_total", "")
	require.Equal(t, float64(s.count()), units)
}

// figure returns the value of a metric with this label value, or the count of a
// histogram.
func (b *box) figure(t testing.TB, name, label string) float64 {
	t.Helper()
	families, err := b.registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != metricPrefix+name {
			continue
		}
		for _, m := range f.GetMetric() {
			found := label == ""
			for _, l := range m.GetLabel() {
				found = found || l.GetValue() == label
			}
			if found {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	t.Fatalf("no metric %s with %q", name, label)
	return 0
}

// pulled is a sink that keeps what it gets and ends its context when it is
// enough.
type pulled struct {
	mu         sync.Mutex
	transports []string
	units      []ingest.AccessUnit
	enough     int
	stop       func()
}

func (s *pulled) Connected(transport string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.transports = append(s.transports, transport)
}

func (s *pulled) Lost(uint64) {}

func (s *pulled) Write(u ingest.AccessUnit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.units = append(s.units, u)
	if len(s.units) == s.enough && s.stop != nil {
		s.stop()
	}
}

func (s *pulled) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.units)
}

// pull runs a camera's source until n units came or it ended.
func (b *box) pull(t testing.TB, cam configs.Camera, n int) (*pulled, error) {
	t.Helper()
	src, err := b.Source(cam)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	s := &pulled{enough: n, stop: cancel}
	err = src.Run(ctx, s)
	require.NotErrorIs(t, err, context.DeadlineExceeded, "got %d units", s.count())
	return s, err
}

func over(transport string) configs.GB28181 {
	return configs.GB28181{Listen: "127.0.0.1:0", ID: serverID, Unknown: configs.GB28181Wait, Transport: transport}
}

// TestLive pulls a channel in every way and with every fault of a device that
// media can be had with.
func TestLive(t *testing.T) {
	for _, c := range []struct {
		name      string
		transport string
		sip       string
		clip      string
		faults    simulate.Faults
		came      string
		codec     ingest.Codec
	}{
		{"tcp", "tcp", "udp", walk264, 0, "tcp", ingest.H264},
		{"udp", "udp", "udp", walk264, 0, "udp", ingest.H264},
		{"tcp active", "tcp-active", "udp", walk264, 0, "tcp", ingest.H264},
		{"default, sip by tcp", "", "tcp", walk265, 0, "tcp", ingest.H265},
		{"h265 by udp", "udp", "tcp", walk265, 0, "udp", ingest.H265},
		{"another ssrc", "tcp", "udp", walk264, simulate.WrongSSRC, "tcp", ingest.H264},
		{"another ssrc by udp", "udp", "udp", walk264, simulate.WrongSSRC, "udp", ingest.H264},
		{"no y=", "udp", "udp", walk264, simulate.NoSSRC, "udp", ingest.H264},
		{"no sdp", "tcp", "udp", walk264, simulate.NoSDP, "tcp", ingest.H264},
		{"no sdp by udp", "udp", "udp", walk264, simulate.NoSDP, "udp", ingest.H264},
		{"no program map", "tcp", "udp", walk265, simulate.NoPSM, "tcp", ingest.H265},
		{"transport stream", "tcp", "udp", walk264, simulate.TransportPS, "tcp", ingest.H264},
		{"bare h264", "udp", "udp", walk264, simulate.RawH264, "udp", ingest.H264},
		{"bare h265", "tcp", "udp", walk265, simulate.RawH264, "tcp", ingest.H265},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := boxed(t, over(c.transport), simulate.Options{Transport: c.sip, Clips: []string{c.clip}, Faults: c.faults})
			s, err := b.pull(t, b.camera(0), 20)
			require.ErrorIs(t, err, context.Canceled)
			require.Equal(t, []string{c.came}, s.transports)
			require.Equal(t, c.codec, s.units[0].Codec)
			require.True(t, s.units[0].Key)
			require.Equal(t, ingest.CameraID("c0"), s.units[0].Camera)
			require.Equal(t, 1, b.saw(simulate.EventInvited, "Play"), "one INVITE")
			b.nothingLeft(t)
			require.Equal(t, 1, b.saw(simulate.EventEnded, "by the platform"), "BYE was sent")
		})
	}
}

// TestPool gives each stream a port of its own.
func TestPool(t *testing.T) {
	cfg := over("udp")
	cfg.Media.Ports = "41000-41099"
	b := boxed(t, cfg, simulate.Options{Channels: 3, Faults: simulate.WrongSSRC, KeyEvery: time.Second})
	var all sync.WaitGroup
	for i := range 3 {
		all.Go(func() {
			s, err := b.pull(t, b.camera(i), 10)
			if !errors.Is(err, context.Canceled) || s.count() < 10 {
				t.Errorf("channel %d: %v", i, err)
			}
		})
	}
	all.Wait()
	b.nothingLeft(t)
}

// TestFaults says why there is no picture.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name   string
		cfg    configs.GB28181
		sim    simulate.Options
		camera func(*configs.Camera)
		reason ingest.Reason
		text   string
	}{
		{name: "no such device", camera: func(c *configs.Camera) { c.URL = "gb28181://34020000001180000099/34020000001320000001" }, reason: ReasonNever, text: "has not registered"},
		{name: "no such channel", camera: func(c *configs.Camera) { c.URL = "gb28181://" + boxID + "/34020000001320000099" }, reason: ingest.ReasonNotFound, text: "channel list"},
		{name: "busy", sim: simulate.Options{Clips: []string{}}, reason: ingest.ReasonRefused, text: "no stream left"},
		{name: "silence over tcp", cfg: over("tcp"), sim: simulate.Options{Faults: simulate.Silence}, reason: ingest.ReasonNoFrames, text: "sends nothing"},
		{name: "silence over udp", cfg: over("udp"), sim: simulate.Options{Faults: simulate.Silence}, reason: ingest.ReasonNoFrames, text: "127.0.0.1 port"},
		{name: "half a frame", cfg: over("tcp"), sim: simulate.Options{Faults: simulate.HalfOpen}, reason: ingest.ReasonBadStream, text: "no picture in them"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := boxed(t, c.cfg, c.sim)
			cam := b.camera(0)
			cam.Settings.Timeout = configs.Duration(time.Second)
			if c.camera != nil {
				c.camera(&cam)
			}
			_, err := b.pull(t, cam, 1)
			var f *ingest.Fault
			require.ErrorAs(t, err, &f)
			require.Equal(t, c.reason, f.Reason, "%v", err)
			require.Contains(t, err.Error(), c.text)
			b.nothingLeft(t)
		})
	}
}

// TestOtherSSRC says what to do about a device that chooses its SSRC itself,
// where another stream is expected from there as well.
func TestOtherSSRC(t *testing.T) {
	b := boxed(t, over("udp"), simulate.Options{Faults: simulate.WrongSSRC | simulate.NoSDP})
	other, err := b.calls.receiver.Open(media.Expect{SSRC: 4711, Transport: media.UDP, Remote: netip.MustParseAddrPort("127.0.0.1:0")})
	require.NoError(t, err)
	cam := b.camera(0)
	cam.Settings.Timeout = configs.Duration(time.Second)
	_, err = b.pull(t, cam, 1)
	require.Equal(t, ingest.ReasonNoFrames, ingest.ReasonOf(err))
	require.ErrorContains(t, err, "media.ports")
	require.Zero(t, other.Stats().Packets)
	other.Close()
	b.nothingLeft(t)
}

// TestDeviceHangsUp ends when the device is gone.
func TestDeviceHangsUp(t *testing.T) {
	b := boxed(t, over("tcp"), simulate.Options{})
	src, err := b.Source(b.camera(0))
	require.NoError(t, err)
	s := &pulled{}
	ended := make(chan error, 1)
	go func() { ended <- src.Run(t.Context(), s) }()
	until(t, func() bool { return s.count() > 0 }, "units")
	// The platform stops: it says BYE itself, and the source ends. Media may come
	// before the device's answer.
	for _, c := range b.calls.all() {
		until(t, func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.dialog != nil {
				c.dialog.end(errPeerBye)
			}
			return c.dialog != nil
		}, "a dialog")
	}
	err = <-ended
	require.Equal(t, ingest.ReasonEnded, ingest.ReasonOf(err))
	require.ErrorContains(t, err, "hung up")
}

// TestPlatformStops leaves no session at the device.
func TestPlatformStops(t *testing.T) {
	cfg := over("tcp")
	cfg.Devices = []configs.GB28181Device{{Prefix: boxID[:13], Password: configs.SecretValue(secret)}}
	p, err := New(Options{Config: cfg})
	require.NoError(t, err)
	stop := run(t, p)
	addr, err := p.Addr(t.Context())
	require.NoError(t, err)
	sim, err := simulate.New(simulate.Options{Server: addr.String(), ServerID: serverID, FirstID: boxID, Password: secret, Clips: []string{walk264}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- sim.Run(ctx) }()
	defer func() { cancel(); <-done }()
	until(t, func() bool { return sim.Stats().Registered == 1 }, "registered")
	b := &box{Platform: p, sim: sim}
	src, err := p.Source(b.camera(0))
	require.NoError(t, err)
	s := &pulled{}
	ended := make(chan error, 1)
	go func() { ended <- src.Run(t.Context(), s) }()
	until(t, func() bool { return s.count() > 0 }, "units")
	stop()
	require.Equal(t, ingest.ReasonStopped, ingest.ReasonOf(<-ended))
	until(t, func() bool { return sim.Stats().Sessions == 0 }, "the device still sends")
}

// TestAgainAndAgain opens and closes a channel many times.
func TestAgainAndAgain(t *testing.T) {
	b := boxed(t, over("tcp"), simulate.Options{})
	for range 20 {
		_, err := b.pull(t, b.camera(0), 1)
		require.ErrorIs(t, err, context.Canceled)
	}
	b.nothingLeft(t)
	require.Equal(t, 20, b.saw(simulate.EventInvited, "Play"))
}

// TestRecords lists in pages that come out of order.
func TestRecords(t *testing.T) {
	b := boxed(t, over("tcp"), simulate.Options{Records: 48 * time.Hour, RecordIn: 10 * time.Minute, PageSize: 7, Shuffle: true})
	to := time.Now().Add(-time.Hour)
	span := Span{Device: boxID, Channel: b.sim.Channels(boxID)[0], From: to.Add(-10 * time.Hour), To: to}
	r, err := b.Records(t.Context(), span)
	require.NoError(t, err)
	require.True(t, r.Complete)
	require.InDelta(t, 61, len(r.Records), 1)
	require.Equal(t, r.Sum, len(r.Records))
	for i, x := range r.Records {
		require.Equal(t, span.Channel, x.DeviceID)
		require.Equal(t, 10*time.Minute, x.EndTime.Sub(x.StartTime))
		if i > 0 {
			require.True(t, x.StartTime.After(r.Records[i-1].StartTime))
		}
	}
	// None is an answer too.
	span.From, span.To = to.Add(-500*time.Hour), to.Add(-400*time.Hour)
	r, err = b.Records(t.Context(), span)
	require.NoError(t, err)
	require.True(t, r.Complete)
	require.Empty(t, r.Records)
	_, err = b.Records(t.Context(), Span{Device: boxID, From: to, To: to})
	require.ErrorContains(t, err, "not before")
}

// TestPlayback pauses, seeks, changes the speed and comes to an end.
func TestPlayback(t *testing.T) {
	b := boxed(t, over("tcp"), simulate.Options{KeyEvery: time.Second})
	s := &pulled{}
	pb, err := b.Playback(t.Context(), b.span(60*time.Second), s)
	require.NoError(t, err)
	defer pb.Close()
	until(t, func() bool { return s.count() > 5 }, "units")
	require.NoError(t, pb.Pause(t.Context()))
	require.Equal(t, statePaused, pb.c.state())
	var n int
	until(t, func() bool {
		was := n
		n = s.count()
		return was == n && time.Since(pb.Stats().LastPacket) > 200*time.Millisecond
	}, "it rests")
	require.NoError(t, pb.Resume(t.Context()))
	until(t, func() bool { return s.count() > n+5 }, "it goes on")
	require.NoError(t, pb.Seek(t.Context(), 40*time.Second))
	require.NoError(t, pb.Speed(t.Context(), 32))
	require.NoError(t, pb.Wait(t.Context()), "the end of the record")
	require.Equal(t, 1, b.saw(simulate.EventInfo, "PAUSE"))
	require.Equal(t, 1, b.saw(simulate.EventInfo, "seek=40s"))
	require.Equal(t, 1, b.saw(simulate.EventInfo, "scale=32"))
	require.Error(t, pb.Speed(t.Context(), 2), "it is over")
	b.nothingLeft(t)
}

// TestPlaybackBackwards: the groups of pictures come last first, each in its own
// order, down to the beginning of the record.
func TestPlaybackBackwards(t *testing.T) {
	b := boxed(t, over("tcp"), simulate.Options{KeyEvery: time.Second})
	s := &pulled{}
	pb, err := b.Playback(t.Context(), b.span(time.Hour), s)
	require.NoError(t, err)
	defer pb.Close()
	until(t, func() bool { return s.count() > 0 }, "units")
	require.NoError(t, pb.Seek(t.Context(), 20*time.Second))
	require.NoError(t, pb.Speed(t.Context(), -16))
	require.NoError(t, pb.Wait(t.Context()), "the beginning of the record")
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []time.Duration
	for i, u := range s.units {
		if i > 0 && u.Key && u.PTS < s.units[i-1].PTS {
			keys = append(keys, u.PTS)
		}
	}
	require.Greater(t, len(keys), 10)
	for i := 1; i < len(keys); i++ {
		require.Less(t, keys[i], keys[i-1])
	}
	b.nothingLeft(t)
}

// TestDigestOfDevices lets simulated devices, which share no code with the
// registrar, show their password with each algorithm.
func TestDigestOfDevices(t *testing.T) {
	for _, algorithm := range []string{"MD5", "SHA-256", "SM3"} {
		t.Run(algorithm, func(t *testing.T) {
			b := boxed(t, over("udp"), simulate.Options{Digest: algorithm})
			require.Equal(t, 1, b.saw(simulate.EventRegistered, algorithm))
		})
	}
}

// TestDownload writes a file that FFmpeg reads.
func TestDownload(t *testing.T) {
	for _, c := range []struct {
		name, transport, clip, format string
		faults                        simulate.Faults
	}{
		{"program stream", "tcp", walk264, "ps", 0},
		{"program stream of h265 by udp", "udp", walk265, "ps", 0},
		{"transport stream", "tcp", walk264, "ts", simulate.TransportPS},
		{"bare h264", "tcp", walk264, "h264", simulate.RawH264},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := boxed(t, over(c.transport), simulate.Options{Clips: []string{c.clip}, Faults: c.faults})
			name := filepath.Join(t.TempDir(), "record")
			f, err := os.Create(name)
			require.NoError(t, err)
			heard := 0
			d, err := b.Download(t.Context(), b.span(8*time.Second), f, DownloadOptions{Speed: 8, Progress: func(Download) { heard++ }})
			require.NoError(t, err)
			require.NoError(t, f.Close())
			require.True(t, d.Complete)
			require.Equal(t, c.format, d.Format)
			require.InDelta(t, 8, d.Played.Seconds(), 0.5)
			require.Equal(t, 8*time.Second, d.Total)
			require.Positive(t, heard)
			require.Positive(t, d.Size)
			st, err := os.Stat(name)
			require.NoError(t, err)
			require.Equal(t, st.Size(), d.Bytes)
			b.nothingLeft(t)
			if _, err := exec.LookPath("ffprobe"); err != nil {
				t.Skip("ffprobe is not installed")
			}
			out, err := exec.Command("ffprobe", "-v", "error", "-count_packets", "-select_streams", "v", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", name).Output()
			require.NoError(t, err)
			var n int
			_, err = fmt.Sscanf(strings.TrimSpace(string(out)), "%d", &n)
			require.NoError(t, err, "%s", out)
			require.InDelta(t, 80, n, 1, "pictures in the file")
		})
	}
}

type broken struct{ bytes.Buffer }

func (b *broken) Write(p []byte) (int, error) {
	if b.Len() > 10000 {
		return 0, errors.New("disk full")
	}
	return b.Buffer.Write(p)
}

// TestDownloadEnds when the file cannot be written, or nobody wants it.
func TestDownloadEnds(t *testing.T) {
	b := boxed(t, over("tcp"), simulate.Options{})
	d, err := b.Download(t.Context(), b.span(time.Hour), &broken{}, DownloadOptions{})
	require.ErrorContains(t, err, "disk full")
	require.False(t, d.Complete)
	ctx, cancel := context.WithCancel(t.Context())
	_, err = b.Download(ctx, b.span(time.Hour), &bytes.Buffer{}, DownloadOptions{Progress: func(Download) { cancel() }})
	require.ErrorIs(t, err, context.Canceled)
	b.nothingLeft(t)
}
