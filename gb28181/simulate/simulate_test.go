package simulate

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/icholy/digest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/sharpeyes/sharpeyes/gb28181/ps"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	walk264 = "../../ingest/testdata/walk.h264"
	walk265 = "../../ingest/testdata/walk.h265"

	serverID = "36112700002000000001"
	deviceID = "36112700001180000001"
	camera1  = "36112700001320000001"
)

// platform is the least of one: it challenges, takes messages and asks. Its
// sender side is written here, not with the simulator's.
type platform struct {
	t    *testing.T
	conn *net.UDPConn

	mu        sync.Mutex
	peer      *net.UDPAddr
	algorithm string
	expires   []string
	announced string     // in the first REGISTER
	messages  []*message // MESSAGE and NOTIFY, with bodies
	answers   map[string]*message
	n         int
}

func newPlatform(t *testing.T, algorithm string) *platform {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	p := &platform{t: t, conn: c, algorithm: algorithm, answers: map[string]*message{}}
	done := make(chan struct{})
	go func() { defer close(done); p.serve() }()
	t.Cleanup(func() { _ = c.Close(); <-done })
	return p
}

func (p *platform) serve() {
	buf := make([]byte, 65536)
	for {
		n, from, err := p.conn.ReadFromUDP(buf)
		if err != nil {
			return
		}
		m, err := parseMessage(buf[:n])
		if err != nil {
			continue
		}
		p.mu.Lock()
		p.peer = from
		switch {
		case m.status > 0:
			p.answers[m.get("cseq")] = m
		case m.method == "REGISTER":
			_, _ = p.conn.WriteToUDP(p.register(m).bytes(), from)
		default:
			p.messages = append(p.messages, m)
			_, _ = p.conn.WriteToUDP(m.answer(200, "t").bytes(), from)
		}
		p.mu.Unlock()
	}
}

// register checks the password with another's digest.
func (p *platform) register(m *message) *message {
	auth := m.get("authorization")
	if auth == "" || strings.HasPrefix(auth, "Capability") {
		p.announced = auth
		return m.answer(401, "t", header{"WWW-Authenticate", fmt.Sprintf(`Digest realm="3611270000", nonce="n,1", qop="auth", algorithm=%s`, p.algorithm)})
	}
	c, err := digest.ParseCredentials(auth)
	if err != nil {
		return m.answer(400, "t")
	}
	want, err := digest.Digest(&digest.Challenge{Realm: "3611270000", Nonce: "n,1", Algorithm: p.algorithm, QOP: []string{"auth"}},
		digest.Options{Method: "REGISTER", URI: c.URI, Username: c.Username, Password: "geheim", Cnonce: c.Cnonce, Count: c.Nc})
	if err != nil || want.Response != c.Response {
		return m.answer(403, "t")
	}
	p.expires = append(p.expires, m.get("expires"))
	return m.answer(200, "t")
}

// ask sends a request and waits for its final answer.
func (p *platform) ask(method, target, contentType, body string, extra ...string) *message {
	p.mu.Lock()
	p.n++
	cseq := fmt.Sprintf("%d %s", p.n, method)
	peer := p.peer
	p.mu.Unlock()
	call := "call-1"
	if method == "SUBSCRIBE" {
		call = "sub-1"
	}
	lines := append([]string{
		method + " sip:" + target + "@3611270000 SIP/2.0", "Via: SIP/2.0/UDP " + p.conn.LocalAddr().String() + ";branch=z9hG4bK" + fmt.Sprint(p.n),
		"From: <sip:" + serverID + "@3611270000>;tag=p", "To: <sip:" + target + "@3611270000>", "Call-ID: " + call, "CSeq: " + cseq,
		"Contact: <sip:" + serverID + "@" + p.conn.LocalAddr().String() + ">", "Content-Type: " + contentType,
	}, extra...)
	text := strings.Join(lines, "\r\n") + fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	_, err := p.conn.WriteToUDP([]byte(text), peer)
	require.NoError(p.t, err)
	if method == "ACK" {
		return nil
	}
	var m *message
	require.Eventually(p.t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		m = p.answers[cseq]
		return m != nil && m.status >= 200
	}, 5*time.Second, 5*time.Millisecond, method)
	return m
}

// bodies returns what came with that CmdType.
func (p *platform) bodies(cmd string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []string
	for _, m := range p.messages {
		if element(m.body, "CmdType") == cmd {
			list = append(list, string(m.body))
		}
	}
	return list
}

func (p *platform) eventually(what string, f func() bool) {
	p.t.Helper()
	require.Eventually(p.t, f, 10*time.Second, 5*time.Millisecond, what)
}

// world runs devices against a platform until the test ends, and collects what
// they say happened.
type world struct {
	*platform
	sim *Simulator

	mu     sync.Mutex
	events []Event
}

func newWorld(t *testing.T, opt Options) *world {
	w := &world{platform: newPlatform(t, opt.Digest)}
	opt.Server, opt.ServerID, opt.Password = w.conn.LocalAddr().String(), serverID, "geheim"
	opt.OnEvent = func(e Event) {
		w.mu.Lock()
		w.events = append(w.events, e)
		w.mu.Unlock()
	}
	sim, err := New(opt)
	require.NoError(t, err)
	w.sim = sim
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- sim.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	w.eventually("registered", func() bool { return sim.Stats().Registered == int64(max(opt.Devices, 1)) })
	return w
}

func (w *world) heard(kind EventKind, text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.Kind == kind && strings.Contains(e.Text, text) {
			return true
		}
	}
	return false
}

func question(cmd, id, more string) string {
	return fmt.Sprintf("<?xml version=\"1.0\"?>\r\n<Query>\r\n<CmdType>%s</CmdType>\r\n<SN>7</SN>\r\n<DeviceID>%s</DeviceID>\r\n%s</Query>\r\n", cmd, id, more)
}

func TestRegisters(t *testing.T) {
	for _, algorithm := range []string{"MD5", "SHA-256"} {
		t.Run(algorithm, func(t *testing.T) {
			w := newWorld(t, Options{Digest: algorithm, Keepalive: 20 * time.Millisecond})
			w.eventually("keepalives", func() bool { return w.sim.Stats().Keepalives >= 3 })
			require.Contains(t, w.bodies("Keepalive")[0], "<DeviceID>"+deviceID+"</DeviceID>")
			w.platform.mu.Lock()
			defer w.platform.mu.Unlock()
			require.Equal(t, algorithm != "MD5", strings.Contains(w.announced, algorithm), "what every device has is not announced")
			require.True(t, w.heard(EventRegistered, algorithm))
		})
	}
}

func TestUnregistersAtTheEnd(t *testing.T) {
	var w *world
	t.Run("life", func(t *testing.T) { w = newWorld(t, Options{Digest: "MD5"}) })
	w.platform.mu.Lock()
	defer w.platform.mu.Unlock()
	require.Equal(t, []string{"86400", "0"}, w.expires)
}

func TestManyDevicesOnOneSocket(t *testing.T) {
	w := newWorld(t, Options{Digest: "MD5", Devices: 200, Spread: 200 * time.Millisecond})
	require.Equal(t, uint64(200), w.sim.Stats().Registrations)
	require.Len(t, w.sim.Devices(), 200)
	require.Equal(t, "36112700001320000200", w.sim.Channels("36112700001180000200")[0])
}

func TestCatalogue(t *testing.T) {
	for name, c := range map[string]struct {
		opt   Options
		parts int
		utf8  bool
	}{
		"paged":         {Options{Channels: 25}, 3, true},
		"one by one":    {Options{Channels: 5, PageSize: 1, Shuffle: true}, 5, true},
		"GB2312":        {Options{Channels: 2, Version: "2.0"}, 1, false},
		"a lie":         {Options{Channels: 2, Faults: GBKLie}, 1, false},
		"duplicate IDs": {Options{Channels: 2, Faults: DuplicateIDs}, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			c.opt.Digest = "MD5"
			w := newWorld(t, c.opt)
			require.Equal(t, 200, w.ask("MESSAGE", deviceID, xmlType, question("Catalog", deviceID, "")).status)
			w.eventually("all parts", func() bool { return len(w.bodies("Catalog")) == c.parts })
			all := strings.Join(w.bodies("Catalog"), "")
			require.Equal(t, c.parts, strings.Count(all, fmt.Sprintf("<SumNum>%d</SumNum>", c.opt.Channels)))
			require.Equal(t, c.opt.Channels, strings.Count(all, "<Item>"))
			require.Equal(t, c.utf8, strings.Contains(all, "通道1"))
			label := `encoding="UTF-8"`
			if c.opt.Version == "2.0" {
				label = `encoding="GB2312"`
			}
			require.Contains(t, all, label)
			if !c.utf8 {
				plain, err := simplifiedchinese.GB18030.NewDecoder().String(all)
				require.NoError(t, err)
				require.Contains(t, plain, "通道1")
			}
			first := strings.Count(all, "<DeviceID>"+camera1+"</DeviceID>")
			require.Equal(t, c.opt.Faults.has(DuplicateIDs), first == 2)
		})
	}
}

func TestRecordsAndControl(t *testing.T) {
	w := newWorld(t, Options{Digest: "MD5", NeedsGuard: true})
	now := time.Now().In(beijing)
	w.ask("MESSAGE", camera1, xmlType, question("RecordInfo", camera1,
		"<StartTime>"+now.Add(-2*time.Hour).Format(timeForm)+"</StartTime><EndTime>"+now.Format(timeForm)+"</EndTime>"))
	w.eventually("records", func() bool { return strings.Count(strings.Join(w.bodies("RecordInfo"), ""), "<Item>") >= 11 })

	require.Error(t, w.sim.Alarm(t.Context(), deviceID, camera1, Alarm{}), "not on guard yet")
	control := func(rest string) string {
		return strings.ReplaceAll(question("DeviceControl", camera1, rest), "Query>", "Control>")
	}
	w.ask("MESSAGE", deviceID, xmlType, control("<GuardCmd>SetGuard</GuardCmd>"))
	w.eventually("the answer", func() bool { return len(w.bodies("DeviceControl")) == 1 })
	require.NoError(t, w.sim.Alarm(t.Context(), deviceID, camera1, Alarm{Method: 5, Type: 6}))
	require.Contains(t, w.bodies("Alarm")[0], "<AlarmType>6</AlarmType>")
	w.ask("MESSAGE", camera1, xmlType, control("<PTZCmd>A50F010800000055</PTZCmd>"))
	w.eventually("PTZ", func() bool { return w.heard(EventControl, "PTZCmd=A50F010800000055") })

	require.Equal(t, 489, w.ask("SUBSCRIBE", deviceID, xmlType, question("MobilePosition", deviceID, ""), "Expires: 60", "Event: presence").status)
	require.Equal(t, 200, w.ask("SUBSCRIBE", deviceID, xmlType, question("Catalog", deviceID, ""), "Expires: 60", "Event: Catalog;id=1").status)
	require.NoError(t, w.sim.SetStatus(t.Context(), deviceID, camera1, "VLOST"))
	require.Contains(t, w.bodies("Catalog")[0], "<Event>VLOST</Event>")
}

// receive takes media for one INVITE, by UDP, TCP passive or TCP active from
// the platform's view, and returns RTP packets one after the other.
func (w *world) receive(name, transport string, faults Faults, times string) <-chan []byte {
	require.NoError(w.t, w.sim.SetFaults(deviceID, faults))
	packets := make(chan []byte, 4096)
	proto, setup, port := "TCP/RTP/AVP", "a=setup:passive\r\n", 0
	var udp *net.UDPConn
	var listener net.Listener
	var err error
	switch transport {
	case "udp":
		udp, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		require.NoError(w.t, err)
		proto, setup, port = "RTP/AVP", "", udp.LocalAddr().(*net.UDPAddr).Port
	case "tcp":
		listener, err = net.Listen("tcp", "127.0.0.1:0")
		require.NoError(w.t, err)
		port = listener.Addr().(*net.TCPAddr).Port
	default:
		setup, port = "a=setup:active\r\n", 9
	}
	r := w.ask("INVITE", camera1, "APPLICATION/SDP", fmt.Sprintf("v=0\r\ns=%s\r\nc=IN IP4 127.0.0.1\r\nt=%s\r\nm=video %d %s 96\r\na=recvonly\r\n%sy=0127000001\r\n", name, times, port, proto, setup))
	require.Equal(w.t, 200, r.status)
	require.Equal(w.t, !faults.has(NoSSRC), strings.Contains(string(r.body), "y=0127000001"))
	w.ask("ACK", camera1, "", "")
	var conn net.Conn
	switch transport {
	case "tcp":
		conn, err = listener.Accept()
	case "tcp-active":
		o, bad := parseOffer(r.body)
		require.NoError(w.t, bad)
		require.Contains(w.t, string(r.body), "a=setup:passive")
		conn, err = net.Dial("tcp", o.remote.String())
	default:
		conn = udp
	}
	require.NoError(w.t, err)
	done := make(chan struct{})
	w.t.Cleanup(func() {
		_ = conn.Close()
		if listener != nil {
			_ = listener.Close()
		}
		<-done
	})
	go func() {
		defer close(done)
		defer close(packets)
		var held []byte
		buf := make([]byte, 65536)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			if udp != nil {
				packets <- append([]byte(nil), buf[:n]...)
				continue
			}
			held = append(held, buf[:n]...)
			for len(held) >= 2 && len(held) >= 2+int(binary.BigEndian.Uint16(held)) {
				size := int(binary.BigEndian.Uint16(held))
				packets <- append([]byte(nil), held[2:2+size]...)
				held = held[2+size:]
			}
		}
	}()
	return packets
}

func TestLiveMedia(t *testing.T) {
	for _, c := range []struct {
		name, transport, clip string
		faults                Faults
		check                 func(t *testing.T, payload []byte, ssrc uint32)
	}{
		{"UDP", "udp", walk264, 0, nil},
		{"TCP, the platform listens", "tcp", walk264, 0, nil},
		{"TCP, the device listens", "tcp-active", walk265, 0, nil},
		{"wrong SSRC", "tcp", walk264, WrongSSRC, func(t *testing.T, _ []byte, ssrc uint32) { require.EqualValues(t, 127000002, ssrc) }},
		{"no SSRC in the answer", "tcp", walk264, NoSSRC, nil},
		{"no PSM", "tcp", walk264, NoPSM, func(t *testing.T, b []byte, _ uint32) { require.NotContains(t, string(b), "\x00\x00\x01\xbc") }},
		{"TS", "tcp", walk264, TransportPS, func(t *testing.T, b []byte, _ uint32) {
			for i := 0; i < len(b); i += 188 {
				require.EqualValues(t, 0x47, b[i])
			}
		}},
		{"raw", "tcp", walk264, RawH264, func(t *testing.T, b []byte, _ uint32) { require.NotContains(t, string(b), "\x00\x00\x01\xba") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, Options{Digest: "MD5", Clips: []string{c.clip}})
			packets := w.receive("Play", c.transport, c.faults, "0 0")
			var payload []byte
			var ssrc uint32
			frames := 0
			for frames < 5 {
				p := <-packets
				require.Greater(t, len(p), 12)
				ssrc = binary.BigEndian.Uint32(p[8:])
				payload = append(payload, p[12:]...)
				if p[1]&0x80 != 0 {
					frames++
				}
			}
			if c.check != nil {
				c.check(t, payload, ssrc)
			} else {
				require.EqualValues(t, 127000001, ssrc)
			}
			if c.faults&(TransportPS|RawH264) == 0 {
				units := 0
				d := ps.NewDemuxer(func(ps.Packet) { units++ })
				d.Write(payload)
				d.Flush()
				require.GreaterOrEqual(t, units, 4)
			}
			require.Equal(t, 200, w.ask("BYE", camera1, "", "").status)
			w.eventually("the end", func() bool { return w.sim.Stats().Sessions == 0 && w.heard(EventEnded, "by the platform") })
		})
	}
}

func TestSilenceAndHalfOpen(t *testing.T) {
	w := newWorld(t, Options{Digest: "MD5", Clips: []string{walk264}})
	packets := w.receive("Play", "tcp", HalfOpen, "0 0")
	p := <-packets
	require.Zero(t, p[1]&0x80, "the frame has no end")
	require.Equal(t, 200, w.ask("BYE", camera1, "", "").status)
	_, more := <-packets
	require.False(t, more, "nothing follows")
}

func TestPlaybackEndsWithMediaStatus(t *testing.T) {
	w := newWorld(t, Options{Digest: "MD5", Clips: []string{walk264}})
	at := time.Now().Add(-time.Hour).Unix()
	packets := w.receive("Playback", "tcp", 0, fmt.Sprintf("%d %d", at, at+3600))
	<-packets
	r := w.ask("INFO", camera1, "Application/MANSRTSP", "PAUSE RTSP/1.0\r\nCSeq: 1\r\nPauseTime: now\r\n")
	require.Contains(t, string(r.body), "RTSP/1.0 200 OK")
	w.eventually("pause", func() bool { return w.heard(EventInfo, "PAUSE") })
	r = w.ask("INFO", camera1, "Application/MANSRTSP", "PLAY RTSP/1.0\r\nCSeq: 2\r\nScale: 8\r\nRange: npt=3598-\r\n")
	require.Equal(t, 200, r.status)
	w.eventually("the end of the record", func() bool { return len(w.bodies("MediaStatus")) == 1 })
	require.Contains(t, w.bodies("MediaStatus")[0], "<NotifyType>121</NotifyType>")
	require.Equal(t, 200, w.ask("BYE", camera1, "", "").status)
}

func TestUnknownChannelAndNoVideo(t *testing.T) {
	w := newWorld(t, Options{Digest: "MD5"})
	sdp := "v=0\r\ns=Play\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 9 RTP/AVP 96\r\ny=0127000001\r\n"
	require.Equal(t, 404, w.ask("INVITE", "36112700001320000099", "APPLICATION/SDP", sdp).status)
	require.Equal(t, 486, w.ask("INVITE", camera1, "APPLICATION/SDP", sdp).status)
	require.Equal(t, 481, w.ask("BYE", camera1, "", "").status)
	require.Equal(t, 405, w.ask("PRACK", camera1, "", "").status)
}

// place of a picture in a record, by its index in the clip and its time.
type shown struct {
	index int
	at    time.Duration
}

func TestPlaybackBackwards(t *testing.T) {
	c := &clip{interval: 100 * time.Millisecond}
	for i := range 9 {
		c.units = append(c.units, unit{key: i == 0 || i == 4})
	}
	at := func(tenths ...int) (list []shown) {
		for i := 0; i < len(tenths); i += 2 {
			list = append(list, shown{tenths[i], time.Duration(tenths[i+1]) * c.interval})
		}
		return list
	}
	for name, x := range map[string]struct {
		forward int // units before it turns
		every   time.Duration
		order   order
		want    []shown
	}{
		"from within a group":       {6, 0, order{scale: -2, seek: -1}, at(4, 4, 5, 5, 0, 0, 1, 1, 2, 2, 3, 3)},
		"from a key frame":          {4, 0, order{scale: -1, seek: -1}, at(0, 0, 1, 1, 2, 2, 3, 3)},
		"round the clip":            {10, 0, order{scale: -1, seek: -1}, at(0, 9, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 0, 0, 1, 1, 2, 2, 3, 3)},
		"only the begin of a group": {6, 200 * time.Millisecond, order{scale: -1, seek: -1}, at(0, 4, 1, 5, 4, 2, 5, 3, 0, 0, 1, 1)},
		"after a seek":              {1, 0, order{scale: -1, seek: 400 * time.Millisecond}, at(0, 0, 1, 1, 2, 2, 3, 3)},
		"to the beginning":          {1, 0, order{scale: -1, seek: 0}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := playhead{clip: c, every: x.every, scale: 1}
			for range x.forward {
				p.take()
				p.step()
			}
			p.obey(x.order)
			var got []shown
			for !p.ended(time.Hour) && len(got) < 50 {
				p.take()
				got = append(got, shown{p.index, p.at})
				require.Equal(t, time.Duration(float64(c.interval)/-x.order.scale), p.step())
			}
			require.Equal(t, x.want, got)
		})
	}
}

func TestRefusesAnotherMachine(t *testing.T) {
	_, err := New(Options{Server: "192.0.2.1:5060", ServerID: serverID})
	require.ErrorContains(t, err, "--allow-remote")
}

func TestParseFaults(t *testing.T) {
	f, err := ParseFaults("no-psm, ts,")
	require.NoError(t, err)
	require.Equal(t, "no-psm,ts", f.String())
	_, err = ParseFaults("psm")
	require.ErrorContains(t, err, "wrong-ssrc")
}

func FuzzMessage(f *testing.F) {
	f.Add([]byte("SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n\r\n"))
	f.Add([]byte("\r\n\r\nINVITE sip:1@2 SIP/2.0\r\nf: a\r\n b\r\nl: 3\r\n\r\nv=0"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := parseMessage(b); err == nil {
			_ = m.answer(200, "t").bytes()
			_ = m.key()
			_, _ = pick(m.all("www-authenticate"), "MD5")
			_, _ = parseOffer(m.body)
		}
		for rest := b; ; {
			msg, next, err := takeMessage(rest)
			if err != nil || msg == nil {
				return
			}
			require.Less(t, len(next), len(rest))
			rest = next
		}
	})
}
