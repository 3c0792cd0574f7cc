package gb28181

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/gb28181/ps"
	"github.com/sharpeyes/sharpeyes/ingest"
	"github.com/sharpeyes/sharpeyes/ingest/replay"
)

const lensID = "34020000001310000001"

func liveCamera(query string) configs.Camera {
	return configs.Camera{ID: "c1", URL: "gb28181://" + cameraID + "/" + lensID + query, LegalBasis: "A9", Settings: configs.Stream{Timeout: configs.Duration(2 * time.Second)}}
}

// running runs a source.
func running(t *testing.T, p *Platform, cam configs.Camera) (*pulled, <-chan error) {
	t.Helper()
	src, err := p.Source(cam)
	require.NoError(t, err)
	s := &pulled{}
	ended := make(chan error, 1)
	go func() { ended <- src.Run(t.Context(), s) }()
	return s, ended
}

var offerLines = regexp.MustCompile(`(?m)^(c=IN IP4 (\S+)|m=video (\d+) .*|y=(\d+))\r?$`)

// offered reads the offer of an INVITE by hand.
func offered(t *testing.T, inv string) (to string, ssrc uint32) {
	t.Helper()
	var ip, port string
	for _, m := range offerLines.FindAllStringSubmatch(inv, -1) {
		ip, port = ip+m[2], port+m[3]
		if m[4] != "" {
			n, err := strconv.ParseUint(m[4], 10, 32)
			require.NoError(t, err)
			ssrc = uint32(n)
		}
	}
	return net.JoinHostPort(ip, port), ssrc
}

// sendFilm sends a clip as a program stream in RTP over UDP.
func sendFilm(t *testing.T, to string, ssrc uint32, units int) {
	t.Helper()
	c, err := net.Dial("udp", to)
	require.NoError(t, err)
	defer c.Close() //nolint:errcheck // it is a test
	src, err := replay.New(walk264, replay.Options{})
	require.NoError(t, err)
	film := &pulled{}
	require.Error(t, src.Run(t.Context(), film)) // its end
	mux := ps.NewMuxer(ps.TypeH264)
	seq := uint16(0)
	for i, u := range film.units[:units] {
		var annex []byte
		for _, n := range u.NALUs {
			annex = append(append(annex, 0, 0, 0, 1), n...)
		}
		b := mux.Frame(nil, annex, int64(i)*9000, u.Key)
		for len(b) > 0 {
			n := min(1300, len(b))
			p := binary.BigEndian.AppendUint16([]byte{0x80, 96}, seq)
			if n == len(b) {
				p[1] |= 0x80
			}
			p = binary.BigEndian.AppendUint32(p, uint32(i)*9000)
			p = binary.BigEndian.AppendUint32(p, ssrc)
			_, err := c.Write(append(p, b[:n]...))
			require.NoError(t, err)
			b, seq = b[n:], seq+1
		}
	}
}

// TestOffer reads the lines of offers.
func TestOffer(t *testing.T) {
	for _, c := range []struct {
		name, query string
		device      configs.GB28181Device
		want        []string
		not         []string
	}{
		{"tcp passive", "", configs.GB28181Device{}, []string{"s=Play\r\n", "t=0 0\r\n", " TCP/RTP/AVP 96 98 100\r\n", "a=recvonly\r\n", "a=rtpmap:96 PS/90000\r\n", "a=setup:passive\r\n", "a=connection:new\r\n", "y=0"}, []string{"a=stream"}},
		{"udp", "", configs.GB28181Device{Transport: "udp"}, []string{" RTP/AVP 96"}, []string{"TCP", "a=setup"}},
		{"tcp active", "", configs.GB28181Device{Transport: "tcp-active"}, []string{"a=setup:active\r\n"}, nil},
		{"sub-stream as its maker wants it", "?stream=1", configs.GB28181Device{}, []string{"a=streamprofile:1\r\n"}, nil},
		{"sub-stream of a vendor", "?stream=1", configs.GB28181Device{Quirks: []string{quirkStreamMode}}, []string{"a=streamMode:sub\r\n"}, []string{"streamnumber"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := defaultConfig()
			c.device.ID, c.device.Password = cameraID, configs.SecretValue(secret)
			cfg.Devices = []configs.GB28181Device{c.device}
			cfg.Media.Announce = "192.0.2.7"
			p := start(t, Options{Config: cfg})
			dev := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
			_, ended := running(t, p, liveCamera(c.query))
			inv := dev.getRequest("INVITE", "")
			body := inv[strings.Index(inv, "\r\n\r\n"):]
			require.True(t, strings.HasPrefix(inv, "INVITE sip:"+lensID+"@"))
			require.Contains(t, body, "c=IN IP4 192.0.2.7\r\n")
			require.Contains(t, body, "o="+serverID+" ")
			for _, line := range c.want {
				require.Contains(t, body, line)
			}
			for _, line := range c.not {
				require.NotContains(t, body, line)
			}
			require.Regexp(t, "^"+lensID+`:\d{10},`+serverID+":0$", head(inv, "Subject"))
			dev.answer(inv, 488, "", "")
			err := <-ended
			require.Equal(t, ingest.ReasonRefused, ingest.ReasonOf(err))
			require.ErrorContains(t, err, "488")
		})
	}
}

// TestFallsBackToUDP asks for UDP when a device accepts TCP and does not
// connect, and remembers.
func TestFallsBackToUDP(t *testing.T) {
	p := start(t, Options{Registerer: prometheus.NewPedanticRegistry()})
	dev := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	s, ended := running(t, p, liveCamera(""))
	inv := dev.getRequest("INVITE", "TCP/RTP/AVP")
	dev.answer(inv, 200, "", "")
	bye := dev.getRequest("BYE", "") // nobody connected
	require.Equal(t, head(inv, "Call-ID"), head(bye, "Call-ID"))
	dev.answer(bye, 200, "", "")
	inv = dev.getRequest("INVITE", " RTP/AVP")
	require.NotContains(t, inv, "TCP/RTP/AVP")
	to, ssrc := offered(t, inv)
	dev.answer(inv, 200, "Content-Type: application/sdp\r\n", "v=0\r\nm=video 0 TCP/RTP/AVP 96\r\ny="+strconv.Itoa(int(ssrc))+"\r\n") // says TCP, sends UDP
	sendFilm(t, to, ssrc, 5)
	until(t, func() bool { return s.count() >= 4 }, "units by udp")
	// The device hangs up: the source ends, and the next call asks for UDP.
	dev.send(dev.request("BYE", head(inv, "Call-ID"), 9, "", ""))
	err := <-ended
	require.Equal(t, ingest.ReasonEnded, ingest.ReasonOf(err))
	_, ended = running(t, p, liveCamera(""))
	inv = dev.getRequest("INVITE", "")
	require.NotContains(t, inv, "TCP/RTP/AVP")
	dev.answer(inv, 404, "", "")
	require.Equal(t, ingest.ReasonNotFound, ingest.ReasonOf(<-ended))
	require.Empty(t, p.calls.all())
}

// TestBusy is asked once more.
func TestBusy(t *testing.T) {
	p := start(t, Options{})
	dev := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	_, ended := running(t, p, liveCamera(""))
	first := dev.getRequest("INVITE", "")
	dev.answer(first, 486, "", "")
	second := dev.getRequest("INVITE", "")
	require.NotEqual(t, head(first, "Call-ID"), head(second, "Call-ID"))
	dev.answer(second, 486, "", "")
	err := <-ended
	require.Equal(t, ingest.ReasonRefused, ingest.ReasonOf(err))
	require.ErrorContains(t, err, hintBusy)
}

// TestCrash hangs up what a process before left.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	p := start(t, Options{Dir: dir})
	dev := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	running(t, p, liveCamera(""))
	inv := dev.getRequest("INVITE", "")
	dev.answer(inv, 200, "Contact: <sip:"+lensID+"@10.9.8.7:5060>\r\n", "")
	dev.getRequest("ACK", "")
	until(t, func() bool {
		b, err := os.ReadFile(filepath.Join(dir, ledgerName))
		return err == nil && strings.Contains(string(b), head(inv, "Call-ID"))
	}, "noted")
	// What the file holds now is what a crash leaves.
	left, err := os.ReadFile(filepath.Join(dir, ledgerName))
	require.NoError(t, err)
	dir = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, ledgerName), append(left, `{"call_id":"cut o`...), 0o600))
	p = start(t, Options{Dir: dir})
	dev = dial(t, p, "udp", "127.0.0.1", cameraID, secret)
	dev.mustRegister()
	bye := dev.getRequest("BYE", "")
	require.Equal(t, head(inv, "Call-ID"), head(bye, "Call-ID"))
	require.Equal(t, head(inv, "From"), head(bye, "From"))
	require.Contains(t, head(bye, "To"), "tag=dev")
	require.True(t, strings.HasPrefix(bye, "BYE sip:"+lensID+"@10.9.8.7:5060"))
	dev.answer(bye, 200, "", "")
	until(t, func() bool {
		b, err := os.ReadFile(filepath.Join(dir, ledgerName))
		return err == nil && strings.Contains(string(b), `"ended":"`+head(inv, "Call-ID"))
	}, "noted")
	require.Empty(t, p.calls.ledger.take(cameraID))
}

// TestLedgerIsShort writes the file anew before it grows.
func TestLedgerIsShort(t *testing.T) {
	l := newLedger(t.TempDir())
	require.NoError(t, l.load())
	defer l.close()
	for i := range 5 * ledgerLines {
		l.mu.Lock()
		l.open[fmt.Sprint(i)] = noted{CallID: fmt.Sprint(i)}
		l.append(noted{CallID: fmt.Sprint(i)})
		l.mu.Unlock()
		l.ended(fmt.Sprint(i))
		require.LessOrEqual(t, l.lines, ledgerLines+8)
	}
}

const endOfRecord = `<?xml version="1.0"?>` + "\r\n<Notify>\r\n<CmdType>MediaStatus</CmdType>\r\n<SN>%d</SN>\r\n<DeviceID>%s</DeviceID>\r\n<NotifyType>121</NotifyType>\r\n</Notify>\r\n"

// TestEndOutsideTheCall takes the end of a record that is told without its
// Call-ID, as many devices do.
func TestEndOutsideTheCall(t *testing.T) {
	cfg := defaultConfig()
	cfg.Transport = "udp"
	p := start(t, Options{Config: cfg})
	dev := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	from := time.Unix(1_700_000_000, 0)
	type opened struct {
		pb  *Playback
		err error
	}
	got := make(chan opened, 1)
	go func() {
		pb, err := p.Playback(t.Context(), Span{Device: cameraID, Channel: lensID, From: from, To: from.Add(time.Minute)}, &pulled{})
		got <- opened{pb, err}
	}()
	inv := dev.getRequest("INVITE", "")
	require.Contains(t, inv, "s=Playback\r\nu="+lensID+":0\r\n")
	require.Contains(t, inv, "t=1700000000 1700000060\r\n")
	require.Contains(t, inv, "y=1")
	dev.answer(inv, 200, "", "")
	o := <-got
	require.NoError(t, o.err)
	defer o.pb.Close()
	ended := make(chan error, 1)
	go func() { ended <- o.pb.Wait(t.Context()) }()
	dev.send(dev.message(fmt.Sprintf(endOfRecord, 1, "34020000001310000009"))) // another channel
	dev.send(dev.message(fmt.Sprintf(endOfRecord, 2, lensID)))
	bye := dev.getRequest("BYE", "")
	require.Equal(t, head(inv, "Call-ID"), head(bye, "Call-ID"))
	dev.answer(bye, 200, "", "")
	require.NoError(t, <-ended)
}

// TestListenAnyway connects to a device that says that it listens although we
// do.
func TestListenAnyway(t *testing.T) {
	p := start(t, Options{})
	dev := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close() //nolint:errcheck // it is a test
	_, ended := running(t, p, liveCamera(""))
	inv := dev.getRequest("INVITE", "")
	dev.answer(inv, 200, "Content-Type: application/sdp\r\n", fmt.Sprintf("v=0\r\nc=IN IP4 10.1.2.3\r\nm=video %d TCP/RTP/AVP 96\r\na=setup:passive\r\n", l.Addr().(*net.TCPAddr).Port))
	c, err := l.Accept()
	require.NoError(t, err)
	require.NoError(t, c.Close())
	dev.send(dev.request("BYE", head(inv, "Call-ID"), 9, "", ""))
	require.Equal(t, ingest.ReasonEnded, ingest.ReasonOf(<-ended))
}

// TestFramesStop asks anew, by a new call, when a device goes silent.
func TestFramesStop(t *testing.T) {
	cfg := defaultConfig()
	cfg.Transport = "udp"
	p := start(t, Options{Config: cfg})
	dev := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	var mu sync.Mutex
	var frames []ingest.Value
	fleet := ingest.NewFleet(ingest.FleetOptions{Open: p.Source, OnState: func(_ ingest.Camera, s ingest.State) {
		mu.Lock()
		defer mu.Unlock()
		frames = append(frames, s.Frames.Value)
	}})
	defer fleet.Close()
	cam := liveCamera("")
	cam.Settings.Timeout = configs.Duration(time.Second)
	fleet.Apply([]configs.Camera{cam})
	calls := make(map[string]bool)
	for range 2 {
		inv := dev.getRequest("INVITE", "")
		calls[head(inv, "Call-ID")] = true
		to, ssrc := offered(t, inv)
		dev.answer(inv, 200, "", "")
		sendFilm(t, to, ssrc, 5)
		bye := dev.getRequest("BYE", "")
		require.Equal(t, head(inv, "Call-ID"), head(bye, "Call-ID"))
		dev.answer(bye, 200, "", "")
	}
	require.Len(t, calls, 2)
	mu.Lock()
	defer mu.Unlock()
	require.Contains(t, frames, ingest.Yes)
	require.Contains(t, frames, ingest.No)
}

// TestNoAnswer cancels an INVITE that nobody answers.
func TestNoAnswer(t *testing.T) {
	p := start(t, Options{})
	dev := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	src, err := p.Source(liveCamera(""))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- src.Run(ctx, &pulled{}) }()
	inv := dev.getRequest("INVITE", "")
	dev.answer(inv, 180, "", "")
	until(t, func() bool { return p.waiterOf(inv) != nil && len(p.calls.all()) == 1 }, "it rings")
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.Empty(t, p.calls.all())
	dev.answer(inv, 180, "", "") // whenever the first one was heard
	got := dev.getRequest("CANCEL", "")
	require.Equal(t, head(inv, "Call-ID"), head(got, "Call-ID"))
}

// TestEarlyMedia takes what comes before the answer.
func TestEarlyMedia(t *testing.T) {
	cfg := defaultConfig()
	cfg.Transport = "udp"
	p := start(t, Options{Config: cfg})
	dev := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	s, ended := running(t, p, liveCamera(""))
	inv := dev.getRequest("INVITE", "")
	to, ssrc := offered(t, inv)
	dev.answer(inv, 183, "", "")
	sendFilm(t, to, ssrc, 5)
	until(t, func() bool { return s.count() >= 4 }, "units before the answer")
	dev.answer(inv, 200, "", "")
	dev.getRequest("ACK", "")
	dev.send(dev.request("BYE", head(inv, "Call-ID"), 9, "", ""))
	require.Equal(t, ingest.ReasonEnded, ingest.ReasonOf(<-ended))
}

// TestDownloadFallsBackToUDP takes a record by UDP from a device that accepts
// TCP and does not connect.
func TestDownloadFallsBackToUDP(t *testing.T) {
	t.Parallel()
	p := start(t, Options{})
	dev := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	from := time.Unix(1_700_000_000, 0)
	type result struct {
		Download
		err error
	}
	got := make(chan result, 1)
	var file bytes.Buffer
	go func() {
		d, err := p.Download(t.Context(), Span{Device: cameraID, Channel: lensID, From: from, To: from.Add(time.Minute)}, &file, DownloadOptions{})
		got <- result{d, err}
	}()
	inv := dev.getRequest("INVITE", "TCP/RTP/AVP")
	require.Contains(t, inv, "s=Download\r\n")
	require.Contains(t, inv, "a=downloadspeed:4\r\n")
	dev.answer(inv, 200, "", "")
	dev.answer(dev.getRequest("BYE", ""), 200, "", "")
	inv = dev.getRequest("INVITE", " RTP/AVP")
	to, ssrc := offered(t, inv)
	dev.answer(inv, 200, "Content-Type: application/sdp\r\n", "v=0\r\nm=video 5000 RTP/AVP 96\r\na=filesize:4711\r\n")
	dev.getRequest("ACK", "")
	sendFilm(t, to, ssrc, 10)
	dev.send(dev.message(fmt.Sprintf(endOfRecord, 1, lensID)))
	dev.answer(dev.getRequest("BYE", ""), 200, "", "")
	r := <-got
	require.NoError(t, r.err)
	require.True(t, r.Complete)
	require.Equal(t, "ps", r.Format)
	require.Equal(t, int64(4711), r.Size)
	require.Equal(t, int64(file.Len()), r.Bytes)
	require.True(t, bytes.HasPrefix(file.Bytes(), []byte{0, 0, 1, 0xba}))
	_, mayFall := p.calls.transport(p.device(cameraID))
	require.False(t, mayFall, "it is remembered")
}
