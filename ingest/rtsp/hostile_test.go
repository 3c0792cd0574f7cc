package rtsp

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// request is one request as the hostile peer reads it.
type request struct {
	method string
	url    string
	header map[string]string
	text   string
}

// peer is an RTSP server written byte by byte, so that it can do what no
// library lets one do.
type peer struct {
	t        *testing.T
	listener net.Listener
	// answer writes what it likes to a request and says whether to go on.
	answer func(c net.Conn, r request) bool

	mu       sync.Mutex
	requests []request
	done     sync.WaitGroup
	conns    []net.Conn
}

// hostile starts a peer at a port of its own.
func hostile(t *testing.T, answer func(c net.Conn, r request) bool) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &peer{t: t, listener: l, answer: answer}
	p.done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.conns = append(p.conns, c)
			p.mu.Unlock()
			p.done.Go(func() {
				defer c.Close() //nolint:errcheck // a test's end
				p.talk(c)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		for _, c := range p.conns {
			_ = c.Close()
		}
		p.mu.Unlock()
		p.done.Wait()
	})
	return p
}

func (p *peer) talk(c net.Conn) {
	in := bufio.NewReader(c)
	for {
		r := request{header: map[string]string{}}
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			r.text += line
			line = strings.TrimSpace(line)
			if line == "" {
				break
			}
			if r.method == "" {
				f := strings.Fields(line)
				if len(f) < 2 {
					return
				}
				r.method, r.url = f[0], f[1]
				continue
			}
			k, v, _ := strings.Cut(line, ":")
			r.header[k] = strings.TrimSpace(v)
		}
		p.mu.Lock()
		p.requests = append(p.requests, r)
		p.mu.Unlock()
		if !p.answer(c, r) {
			return
		}
	}
}

func (p *peer) url() string { return "rtsp://" + p.listener.Addr().String() + "/live" }

// seen returns the requests that came.
func (p *peer) seen() []request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]request(nil), p.requests...)
}

// methods returns them by their methods.
func (p *peer) methods() (m []string) {
	for _, r := range p.seen() {
		m = append(m, r.method)
	}
	return m
}

// reply writes an RTSP response.
func reply(c net.Conn, r request, status string, body string, headers ...string) {
	text := "RTSP/1.0 " + status + "\r\nCSeq: " + r.header["CSeq"] + "\r\n"
	for _, h := range headers {
		text += h + "\r\n"
	}
	if body != "" {
		text += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	_, _ = c.Write([]byte(text + "\r\n" + body))
}

// sdpWith is a description of H.264 with the walk's parameter sets.
func sdpWith(t *testing.T, extra string) string {
	t.Helper()
	first := reference(t, walk264)[0]
	coded := func(n []byte) string { return base64.StdEncoding.EncodeToString(n) }
	return "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n" + extra + "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n" +
		"a=fmtp:96 packetization-mode=1;sprop-parameter-sets=" + coded(first.NALUs[0]) + "," + coded(first.NALUs[1]) + "\r\na=control:trackID=0\r\n"
}

// camera makes the answers of a camera that works, over TCP, up to what play
// does after the answer to PLAY.
func working(body string, play func(c net.Conn)) func(net.Conn, request) bool {
	return func(c net.Conn, r request) bool {
		switch r.method {
		case "OPTIONS":
			reply(c, r, "200 OK", "", "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER")
		case "DESCRIBE":
			reply(c, r, "200 OK", body, "Content-Type: application/sdp", "Content-Base: "+r.url+"/")
		case "SETUP":
			reply(c, r, "200 OK", "", "Session: 1;timeout=60", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
		case "PLAY":
			reply(c, r, "200 OK", "", "Session: 1")
			play(c)
		case "TEARDOWN":
			return false
		default:
			reply(c, r, "200 OK", "")
		}
		return true
	}
}

// rtpFrame is one interleaved RTP packet (RFC 2326 §10.12).
func rtpFrame(channel byte, seq uint16, ts uint32, marker bool, payload []byte) []byte {
	b := []byte{'$', channel, 0, 0, 0x80, 96, 0, 0}
	if marker {
		b[5] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], uint16(12+len(payload)))
	binary.BigEndian.PutUint16(b[6:], seq)
	b = binary.BigEndian.AppendUint32(b, ts)
	b = binary.BigEndian.AppendUint32(b, 0x1234)
	return append(b, payload...)
}

// sendUnits writes the first n units of the walk, slices only, so that the
// parameter sets stand in the description alone; ts gives the time stamps.
func sendUnits(t *testing.T, c net.Conn, from, n int, ts func(i int) uint32) {
	seq := uint16(from * 100)
	for i, u := range reference(t, walk264)[from : from+n] {
		for k, nalu := range u.NALUs {
			if nalu[0]&0x1f == 7 || nalu[0]&0x1f == 8 {
				continue
			}
			// Any NAL unit may go into one packet over TCP.
			_, _ = c.Write(rtpFrame(0, seq, ts(from+i), k == len(u.NALUs)-1, nalu))
			seq++
		}
	}
}

func steady(i int) uint32 { return uint32(i) * 9000 }

func TestHostilePeers(t *testing.T) {
	body := sdpWith(t, "")
	ok := func(string) func(net.Conn, request) bool { return working(body, func(net.Conn) {}) }
	// but answers one method in its own way and works otherwise.
	but := func(method string, f func(c net.Conn, r request) bool) func(net.Conn, request) bool {
		rest := ok("")
		return func(c net.Conn, r request) bool {
			if r.method == method {
				return f(c, r)
			}
			return rest(c, r)
		}
	}
	status := func(s string, headers ...string) func(net.Conn, request) bool {
		return func(c net.Conn, r request) bool {
			reply(c, r, s, "", headers...)
			return true
		}
	}
	raw := func(text string) func(net.Conn, request) bool {
		return func(c net.Conn, _ request) bool {
			_, _ = c.Write([]byte(text))
			return true
		}
	}
	sdp := func(text string) func(net.Conn, request) bool {
		return func(c net.Conn, r request) bool {
			reply(c, r, "200 OK", text, "Content-Type: application/sdp")
			return true
		}
	}
	hang := func(net.Conn, request) bool { return true }
	drop := func(net.Conn, request) bool { return false }
	garbageRTP := working(body, func(c net.Conn) {
		for i := range 50 {
			_, _ = c.Write(append([]byte{'$', 0, 0, 40}, []byte(strings.Repeat(string(rune('a'+i%26)), 40))...))
			_, _ = c.Write(rtpFrame(0, uint16(i), 0, true, []byte{0x19, 0xff, 0xff}))
			_, _ = c.Write(rtpFrame(1, uint16(i), 0, true, []byte{0x19, 0xff, 0xff}))
			_, _ = c.Write([]byte{'$', 0, 0, 0})
			_, _ = c.Write([]byte{'$', 9, 0, 3, 1, 2, 3})
		}
	})
	for _, c := range []struct {
		name   string
		answer func(net.Conn, request) bool
		want   ingest.Reason
	}{
		{"hangs up at once", drop, ingest.ReasonEnded},
		{"never answers", hang, ingest.ReasonTimeout},
		{"speaks http", raw("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), ingest.ReasonBadStream},
		{"speaks http and hangs up", func(c net.Conn, _ request) bool {
			_, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"))
			return false
		}, ingest.ReasonBadStream},
		{"speaks noise", raw(strings.Repeat("\xff\xfe\x00x", 5000)), ingest.ReasonBadStream},
		{"header without end", raw("RTSP/1.0 200 OK\r\n" + strings.Repeat("X: y\r\n", 100000)), ingest.ReasonBadStream},
		{"options unknown, describe works", but("OPTIONS", status("501 Not Implemented")), ingest.ReasonNoFrames},
		{"options hangs", but("OPTIONS", hang), ingest.ReasonTimeout},
		{"401 for ever", but("DESCRIBE", status("401 Unauthorized", `WWW-Authenticate: Digest realm="x", nonce="y"`)), ingest.ReasonAuthFailed},
		{"401 with an unknown scheme", but("DESCRIBE", status("401 Unauthorized", "WWW-Authenticate: Negotiate")), ingest.ReasonAuthFailed},
		{"403", but("DESCRIBE", status("403 Forbidden")), ingest.ReasonAuthFailed},
		{"404", but("DESCRIBE", status("404 Not Found")), ingest.ReasonNotFound},
		{"410", but("DESCRIBE", status("410 Gone")), ingest.ReasonNotFound},
		{"453", but("SETUP", status("453 Not Enough Bandwidth")), ingest.ReasonRefused},
		{"503", but("PLAY", status("503 Service Unavailable")), ingest.ReasonRefused},
		{"500", but("PLAY", status("500 Internal Server Error")), ingest.ReasonBadStream},
		{"504", but("DESCRIBE", status("504 Gateway Timeout")), ingest.ReasonTimeout},
		{"461", but("SETUP", status("461 Unsupported Transport")), ingest.ReasonRefused},
		{"setup answers udp", but("SETUP", status("200 OK", "Session: 1", "Transport: RTP/AVP;unicast;client_port=1-2;server_port=3-4")), ingest.ReasonRefused},
		{"setup without transport", but("SETUP", status("200 OK", "Session: 1")), ingest.ReasonBadStream},
		{"redirect to itself for ever", but("DESCRIBE", func(c net.Conn, r request) bool {
			reply(c, r, "302 Found", "", "Location: "+r.url)
			return true
		}), ingest.ReasonBadStream},
		{"redirect to another host", but("DESCRIBE", status("302 Found", "Location: rtsp://127.0.0.2:1/x")), ingest.ReasonBadStream},
		{"description is html", but("DESCRIBE", sdp("<html>")), ingest.ReasonBadStream},
		{"description is empty", but("DESCRIBE", status("200 OK", "Content-Type: application/sdp")), ingest.ReasonBadStream},
		{"description without end", but("DESCRIBE", sdp(strings.Repeat("a=x\r\n", 20000))), ingest.ReasonBadStream},
		{"description too long", but("DESCRIBE", raw("RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: 999999999\r\n\r\n")), ingest.ReasonBadStream},
		{"audio only", but("DESCRIBE", sdp(sdpAudio)), ingest.ReasonNoVideo},
		{"motion jpeg", but("DESCRIBE", sdp(sdpMJPEG)), ingest.ReasonUnsupportedCodec},
		{"plays nothing", ok(""), ingest.ReasonNoFrames},
		{"plays garbage", garbageRTP, ingest.ReasonBadStream},
		{"ends after play", working(body, func(c net.Conn) { _ = c.Close() }), ingest.ReasonEnded},
		{"noise in the middle", working(body, func(c net.Conn) {
			sendUnits(t, c, 0, 2, steady)
			_, _ = c.Write([]byte(strings.Repeat("\xff", 5000))) // the client looks for the next frame, and none comes
		}), ingest.ReasonNoFrames},
		{"stops in the middle of a picture", working(body, func(c net.Conn) {
			sendUnits(t, c, 0, 3, steady)
			_, _ = c.Write(rtpFrame(0, 900, 3*9000, false, []byte{0x7c, 0x81, 0x80, 1, 2}))
		}), ingest.ReasonNoFrames},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := hostile(t, c.answer)
			cam := camera(p.url())
			cam.Settings.Timeout = configs.Duration(500 * time.Millisecond)
			cam.Username, cam.Password = "admin", cam.Password.With("topsecret")
			_, err := pull(t, cam, 0)
			require.Equal(t, c.want, ingest.ReasonOf(err), "%v", err)
			f, is := errors.AsType[*ingest.Fault](err)
			require.True(t, is)
			require.NotEmpty(t, f.Hint)
			require.NotContains(t, err.Error(), "topsecret")
			for _, r := range p.seen() {
				require.NotContains(t, r.text, "topsecret", "nobody asked for a basic login")
			}
		})
	}
}

func TestRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	_, err = pull(t, camera("rtsp://"+address+"/x"), 1)
	require.Equal(t, ingest.ReasonRefused, ingest.ReasonOf(err), "%v", err)
}

func TestAutoTriesUDPWhenTCPStaysSilent(t *testing.T) {
	t.Parallel()
	body := sdpWith(t, "")
	var udp sync.WaitGroup
	defer udp.Wait()
	tcp := working(body, func(net.Conn) {})
	p := hostile(t, func(c net.Conn, r request) bool {
		if r.method != "SETUP" || strings.Contains(r.header["Transport"], "TCP") {
			return tcp(c, r)
		}
		var port int
		_, err := fmt.Sscanf(r.header["Transport"][strings.Index(r.header["Transport"], "client_port="):], "client_port=%d", &port)
		if err != nil {
			t.Error(err)
			return false
		}
		from, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Error(err)
			return false
		}
		reply(c, r, "200 OK", "", "Session: 2", fmt.Sprintf("Transport: RTP/AVP;unicast;client_port=%d-%d;server_port=%d-%d", port, port+1, from.LocalAddr().(*net.UDPAddr).Port, from.LocalAddr().(*net.UDPAddr).Port+1))
		udp.Go(func() {
			defer from.Close() //nolint:errcheck // a test's end
			// What opens the firewall tells that the client listens.
			buf := make([]byte, 100)
			if _, _, err := from.ReadFrom(buf); err != nil {
				return
			}
			frame := rtpFrame(0, 1, 0, true, reference(t, walk264)[0].NALUs[2][:200])
			_, _ = from.WriteTo(frame[4:], &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		})
		return true
	})
	cam := camera(p.url())
	cam.Settings.Transport = "auto"
	got, err := pull(t, cam, 1)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, []string{"tcp", "udp"}, got.transports)
	require.True(t, got.units[0].Key)
}

func TestParameterSetsOfTheDescription(t *testing.T) {
	p := hostile(t, working(sdpWith(t, "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 mpeg4-generic/16000\r\na=fmtp:97 config=zz\r\na=control:a\r\n"), func(c net.Conn) {
		sendUnits(t, c, 0, 20, steady)
	}))
	got, err := pull(t, camera(p.url()), 20)
	require.ErrorIs(t, err, context.Canceled)
	requireSame(t, walk264, got.units, 100*time.Millisecond)
	require.Equal(t, []string{"OPTIONS", "DESCRIBE", "SETUP", "PLAY"}, p.methods()[:4], "the audio track is left alone")
	require.Equal(t, p.url()+"/trackID=0", p.seen()[2].url)
}

func TestParameterSetsThatChange(t *testing.T) {
	newer := []byte{0x67, 0x42, 0, 0x1e, 9, 9}
	p := hostile(t, working("v=0\r\ns=x\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:v\r\n", func(c net.Conn) {
		idr := []byte{0x65, 0x80, 1, 2}
		for i, n := range [][]byte{idr, {0x67, 0x42, 0, 0x1e, 1}, {0x68, 1}, idr, newer, idr} {
			_, _ = c.Write(rtpFrame(0, uint16(i), uint32(i)*3600, true, n))
		}
	}))
	got, err := pull(t, camera(p.url()), 3)
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, got.units[0].Key, "no parameter sets yet: nobody can start here")
	require.True(t, got.units[1].Key)
	require.Len(t, got.units[1].NALUs, 3)
	require.True(t, got.units[2].Key)
	require.Equal(t, newer, got.units[2].NALUs[0])
}

func TestLossIsMarked(t *testing.T) {
	p := hostile(t, working(sdpWith(t, ""), func(c net.Conn) {
		sendUnits(t, c, 0, 5, steady)
		sendUnits(t, c, 8, 5, steady) // sequence numbers jump from about 5 to 800
	}))
	got, err := pull(t, camera(p.url()), 10)
	require.ErrorIs(t, err, context.Canceled)
	require.InDelta(t, 795, got.lost, 5)
	for i, u := range got.units {
		require.Equal(t, i == 5, u.Lost, "unit %d", i)
	}
}

func TestClockJumpsAndWraps(t *testing.T) {
	p := hostile(t, working(sdpWith(t, ""), func(c net.Conn) {
		sendUnits(t, c, 0, 20, func(i int) uint32 {
			if i >= 15 {
				return uint32(i)*9000 + 0x10000000 // jumps by 50 minutes
			}
			return uint32(i)*9000 - 50000 // wraps at the sixth picture
		})
	}))
	got, err := pull(t, camera(p.url()), 20)
	require.ErrorIs(t, err, context.Canceled)
	var clock ingest.Clock
	last := time.Duration(-1)
	for i, u := range got.units {
		if i < 15 {
			require.Equal(t, time.Duration(i)*100*time.Millisecond, u.PTS)
		}
		pts, jumped := clock.Next(u.PTS, u.Received)
		require.Equal(t, i == 15, jumped, "unit %d", i)
		require.Greater(t, pts, last)
		last = pts
	}
}

func TestKeepalive(t *testing.T) {
	t.Parallel()
	body := sdpWith(t, "")
	alive := make(chan string, 10)
	ok := working(body, func(c net.Conn) { sendUnits(t, c, 0, 1, steady) })
	p := hostile(t, func(c net.Conn, r request) bool {
		switch r.method {
		case "SETUP":
			reply(c, r, "200 OK", "", "Session: 1;timeout=1", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
			return true
		case "GET_PARAMETER":
			alive <- r.header["Session"]
		}
		return ok(c, r)
	})
	src, err := New(camera(p.url()), nil, nil)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- src.Run(ctx, &taken{}) }()
	select {
	case s := <-alive:
		require.Equal(t, "1", s)
	case <-time.After(5 * time.Second):
		t.Error("no keepalive within the session's timeout")
	}
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.Eventually(t, func() bool { m := p.methods(); return m[len(m)-1] == "TEARDOWN" }, 5*time.Second, 5*time.Millisecond, "the session is closed properly")
}

func TestRunReturnsSoonWhateverThePeerDoes(t *testing.T) {
	deaf, err := net.Listen("tcp", "127.0.0.1:0") // accepts in the kernel, never reads
	require.NoError(t, err)
	defer deaf.Close() //nolint:errcheck // a test's end
	hang := hostile(t, func(net.Conn, request) bool { return true })
	for name, url := range map[string]string{
		"waiting for an answer":     hang.url(),
		"in the handshake":          strings.Replace(hang.url(), "rtsp:", "rtsps:", 1),
		"nobody reads":              "rtsp://" + deaf.Addr().String() + "/x",
		"handshake nobody reads":    "rtsps://" + deaf.Addr().String() + "/x",
		"address that drops or not": "rtsp://127.255.255.254:9/x",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cam := camera(url)
			cam.Settings.Timeout = configs.Duration(time.Minute)
			src, err := New(cam, nil, nil)
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			begin := time.Now()
			err = src.Run(ctx, &taken{})
			require.Error(t, err)
			require.Less(t, time.Since(begin), 3*time.Second)
		})
	}
}
