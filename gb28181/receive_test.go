package gb28181

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// register lets a device in, or fails the test.
func (d *peer) mustRegister() *peer {
	d.t.Helper()
	require.Equal(d.t, 200, status(d.register(fmt.Sprintf("r%d", d.n), 3600)))
	return d
}

// heard collects the bodies of one kind that reach a handler.
type heard struct {
	mu   sync.Mutex
	list []incoming
}

func (h *heard) take(_ context.Context, m incoming) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = append(h.list, m)
}

func (h *heard) all() []incoming {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]incoming(nil), h.list...)
}

// startWith runs a platform with a handler for Notify/Test.
func startWith(t *testing.T, opt Options) (*Platform, *heard) {
	t.Helper()
	if opt.Config.ID == "" {
		opt.Config = defaultConfig()
	}
	p, err := New(opt)
	require.NoError(t, err)
	h := &heard{}
	p.handle("Notify", "Test", h.take)
	run(t, p)
	return p, h
}

const testBody = "<?xml version=\"1.0\"?>\r\n<Notify>\r\n<CmdType>Test</CmdType>\r\n<SN>%d</SN>\r\n<DeviceID>" + cameraID + "</DeviceID>\r\n</Notify>\r\n"

// TestDirtyDatagrams sends what devices in the field send; each must be answered
// to where it came from, and its body must arrive whole.
func TestDirtyDatagrams(t *testing.T) {
	body := fmt.Sprintf(testBody, 7)
	for name, dirty := range map[string]func(string) string{
		"clean":                func(m string) string { return m },
		"leading CRLF":         func(m string) string { return "\r\n\r\n" + m },
		"LF only":              func(m string) string { return strings.ReplaceAll(m, "\r\n", "\n") },
		"length too large":     func(m string) string { return strings.Replace(m, "Content-Length: 1", "Content-Length: 9", 1) },
		"length too small":     func(m string) string { return strings.Replace(m, "Content-Length: 1", "Content-Length: ", 1) },
		"no length":            func(m string) string { return strings.Replace(m, "Content-Length:", "X-Length:", 1) },
		"CSeq of 2^31":         func(m string) string { return strings.Replace(m, "CSeq: 20 ", "CSeq: 2147483648 ", 1) },
		"CSeq of 2^32-1":       func(m string) string { return strings.Replace(m, "CSeq: 20 ", "CSeq: 4294967295 ", 1) },
		"no rport":             func(m string) string { return strings.Replace(m, ";rport", "", 1) },
		"no branch":            func(m string) string { return strings.Replace(m, ";branch=z9hG4bK", ";x=", 1) },
		"branch without magic": func(m string) string { return strings.Replace(m, "branch=z9hG4bK", "branch=", 1) },
		"blanks in Via": func(m string) string {
			return strings.Replace(m, "10.1.2.3:5060;rport;", "10.1.2.3:5060 ; rport ; ", 1)
		},
		"no tag":           func(m string) string { return strings.Replace(m, ";tag=t1", "", 1) },
		"URI without host": func(m string) string { return strings.Replace(m, serverID+"@"+domain+" SIP", serverID+" SIP", 1) },
		"URI only an address": func(m string) string {
			return strings.Replace(m, "sip:"+serverID+"@"+domain+" SIP", "sip:127.0.0.1:5060 SIP", 1)
		},
		"Contact of nowhere": func(m string) string { return strings.Replace(m, "<sip:"+cameraID+"@10.1.2.3:5060>", "<>;;", 1) },
		"Record-Route": func(m string) string {
			return strings.Replace(m, "Max-F", "Record-Route: <sip:10.9.9.9;lr>\r\nMax-F", 1)
		},
		"lower-case headers": func(m string) string {
			return strings.Replace(strings.Replace(m, "From:", "from:", 1), "Call-ID:", "call-id:", 1)
		},
		"compact headers": func(m string) string {
			return strings.NewReplacer("From:", "f:", "To:", "t:", "Via:", "v:", "Call-ID:", "i:", "Content-Type:", "c:").Replace(m)
		},
		"GBK in a header": func(m string) string { return strings.Replace(m, "IP Camera", "\xc9\xe3\xcf\xf1\xbb\xfa", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			p, h := startWith(t, Options{})
			d := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
			res := d.ask(dirty(d.message(body)))
			require.Equal(t, 200, status(res), res)
			require.Contains(t, head(res, "Via")+head(res, "v"), "received=127.0.0.1")
			if strings.HasPrefix(name, "CSeq") {
				require.NotContains(t, res, "CSeq: 20 ", "the answer carries the device's own number")
			}
			require.Eventually(t, func() bool { return len(h.all()) == 1 }, patience, time.Millisecond)
			m := h.all()[0]
			require.Equal(t, strings.TrimRight(strings.ReplaceAll(body, "\r\n", "\n"), "\n"), strings.TrimRight(strings.ReplaceAll(string(m.body), "\r\n", "\n"), "\n"))
			require.Equal(t, incoming{dev: m.dev, method: "MESSAGE", root: "Notify", cmdType: "Test", sn: 7, id: cameraID, callID: m.callID, body: m.body, from: m.from}, m)
		})
	}
}

func TestBigDatagram(t *testing.T) {
	p, h := startWith(t, Options{})
	d := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	body := fmt.Sprintf(testBody, 1) + strings.Repeat("x", 60000)
	require.Equal(t, 200, status(d.ask(d.message(body))))
	require.Eventually(t, func() bool { return len(h.all()) == 1 && len(h.all()[0].body) == len(body) }, patience, time.Millisecond)
}

func TestStreamOfMessages(t *testing.T) {
	p, h := startWith(t, Options{})
	d := dial(t, p, "tcp", "127.0.0.1", cameraID, secret).mustRegister()
	d.send(d.message(fmt.Sprintf(testBody, 1)) + "\r\n\r\n" + d.message(fmt.Sprintf(testBody, 2)) + d.message(fmt.Sprintf(testBody, 3)))
	pongs := 0
	for n := 0; n < 3; {
		line, err := d.in.ReadString('\n')
		require.NoError(t, err)
		switch {
		case strings.HasPrefix(line, "SIP/2.0 200"):
			n++
		case strings.HasPrefix(line, "SIP/2.0"):
			t.Fatal(line)
		case line == "\r\n":
			pongs++ // of the ping, and after the head of each answer
		}
	}
	require.Eventually(t, func() bool { return len(h.all()) == 3 }, patience, time.Millisecond)
	for i, m := range h.all() {
		require.Equal(t, i+1, m.sn, "in order")
	}
}

func TestBodyThatNeverEnds(t *testing.T) {
	p, h := startWith(t, Options{})
	d := dial(t, p, "tcp", "127.0.0.1", cameraID, secret).mustRegister()
	d.send(strings.Replace(d.message(fmt.Sprintf(testBody, 1)), "Content-Length: 1", "Content-Length: 9", 1))
	require.Equal(t, 200, status(d.get()), "the device went quiet: what is there is whole")
	require.Eventually(t, func() bool { return len(h.all()) == 1 }, patience, time.Millisecond)
}

func TestMethods(t *testing.T) {
	p := start(t, Options{})
	d := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	for name, c := range map[string]struct {
		method string
		code   int
	}{
		"OPTIONS": {"OPTIONS", 200}, "unknown": {"NEWMETHOD", 405}, "INVITE": {"INVITE", 405},
		"BYE of no call": {"BYE", 481}, "INFO of no call": {"INFO", 481}, "CANCEL of nothing": {"CANCEL", 481},
	} {
		t.Run(name, func(t *testing.T) {
			res := d.ask(d.request(c.method, "m"+c.method, 1, "", ""))
			require.Equal(t, c.code, status(res))
			if c.code == 200 || c.code == 405 {
				require.Contains(t, head(res, "Allow"), "MESSAGE")
			}
		})
	}
}

func TestNobodySpeaksForADevice(t *testing.T) {
	p, h := startWith(t, Options{})
	thief := dial(t, p, "udp", "127.0.0.9", cameraID, "")
	require.Equal(t, 403, status(thief.ask(thief.message(fmt.Sprintf(testBody, 1)))), "before it registered")
	d := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	require.Equal(t, 403, status(thief.ask(thief.message(fmt.Sprintf(testBody, 1)))))
	require.Equal(t, 403, status(thief.ask(thief.keepalive())))
	colleague := dial(t, p, "tcp", "127.0.0.9", "34020000001320000002", secret).mustRegister()
	colleague.id = cameraID
	require.Equal(t, 403, status(colleague.ask(colleague.keepalive())), "another device of ours is no better")
	require.Equal(t, d.conn.LocalAddr().String(), stateOf(p, cameraID).Address)
	require.Empty(t, h.all())
}

func TestDeviceMoves(t *testing.T) {
	c := &clock{}
	p := start(t, Options{Now: c.now})
	d := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	port := dial(t, p, "udp", "127.0.0.1", cameraID, secret)
	require.Equal(t, 200, status(port.ask(port.keepalive())))
	require.Equal(t, port.conn.LocalAddr().String(), stateOf(p, cameraID).Address, "another port of one NAT: at once")

	far := dial(t, p, "udp", "127.0.0.7", cameraID, secret)
	require.Equal(t, 403, status(far.ask(far.keepalive())), "another host, while the device is heard at its own")
	c.advance(keepaliveDefault + 20*time.Second)
	require.Equal(t, 200, status(far.ask(far.keepalive())), "when it is not heard there any more")
	require.Equal(t, far.conn.LocalAddr().String(), stateOf(p, cameraID).Address)
	far2 := dial(t, p, "tcp", "127.0.0.8", cameraID, secret).mustRegister()
	require.Equal(t, far2.conn.LocalAddr().String(), stateOf(p, cameraID).Address, "with its password, from anywhere")
	_ = d
}

// TestConnectionsOfOneHost holds that a request reaches the device it is for,
// when several come by TCP from one address.
func TestConnectionsOfOneHost(t *testing.T) {
	p := start(t, Options{})
	const second = "34020000001320000002"
	one := dial(t, p, "tcp", "127.0.0.1", cameraID, secret).mustRegister()
	two := dial(t, p, "tcp", "127.0.0.1", second, secret).mustRegister()
	for _, d := range []*peer{one, two, one} {
		got := make(chan error, 1)
		go func() {
			_, err := p.send(t.Context(), p.device(d.id), "MESSAGE", typeMANSCDP, []byte("<Query><CmdType>ForTest"+d.id+"</CmdType></Query>"))
			got <- err
		}()
		req := d.getRequest("MESSAGE", "ForTest"+d.id)
		require.Contains(t, req, "MESSAGE sip:"+d.id+"@")
		d.answer(req, 200, "", "")
		require.NoError(t, <-got)
	}
	require.NoError(t, two.conn.Close())
	require.Eventually(t, func() bool { _, err := p.device(second).way(); return err != nil }, patience, time.Millisecond)
	_, err := p.send(t.Context(), p.device(second), "MESSAGE", typeMANSCDP, nil)
	require.ErrorIs(t, err, errOffline, "not to somebody else's connection")
}

func TestOrderOfOneDeviceAndQueueBounds(t *testing.T) {
	opt := Options{Config: defaultConfig()}
	p, err := New(opt)
	require.NoError(t, err)
	h := &heard{}
	hold := make(chan struct{})
	p.handle("Notify", "Test", func(ctx context.Context, m incoming) {
		select {
		case <-hold:
		case <-ctx.Done():
		}
		h.take(ctx, m)
	})
	run(t, p)
	d := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	codes := map[int]int{}
	for i := range inboxPerDevice + 50 {
		codes[status(d.ask(d.message(fmt.Sprintf(testBody, i))))]++
	}
	require.LessOrEqual(t, codes[200], inboxPerDevice+1)
	require.GreaterOrEqual(t, codes[503], 49, "what does not fit is said")
	other := dial(t, p, "udp", "127.0.0.1", "34020000001320000002", secret).mustRegister()
	require.Equal(t, 200, status(other.ask(other.keepalive())), "others are not disturbed")
	close(hold)
	require.Eventually(t, func() bool { return len(h.all()) == codes[200] }, patience, time.Millisecond)
	last := -1
	for _, m := range h.all() {
		require.Greater(t, m.sn, last)
		last = m.sn
	}
	require.Eventually(t, func() bool { return p.inbox.bytes.Load() == 0 }, patience, time.Millisecond)
}

func TestScanBody(t *testing.T) {
	for name, c := range map[string]struct {
		body, root, cmd string
		sn              int
		id              string
	}{
		"plain":      {fmt.Sprintf(testBody, 3), "Notify", "Test", 3, cameraID},
		"attributes": {`<Notify CmdType="Keepalive" SN="4" DeviceID="` + cameraID + `"/>`, "Notify", "Keepalive", 4, cameraID},
		"lower case": {"<response><CmdType> Catalog </CmdType><SN> 5 </SN></response>", "Response", "Catalog", 5, ""},
		"no XML":     {"hello", "", "", -1, ""},
		"other root": {"<html><CmdType>Keepalive</CmdType></html>", "", "Keepalive", -1, ""},
		"open":       {"<Query><CmdType", "Query", "", -1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			root, cmd, sn, id := scanBody([]byte(c.body))
			require.Equal(t, []any{c.root, c.cmd, c.sn, c.id}, []any{root, cmd, sn, id})
		})
	}
}

func TestKeepaliveCounts(t *testing.T) {
	c := &clock{}
	p := start(t, Options{Now: c.now})
	d := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	for range 6 {
		require.Equal(t, 200, status(d.ask(d.keepalive())))
		c.advance(20 * time.Second)
	}
	require.InDelta(t, 20, stateOf(p, cameraID).Keepalive, 1)
	require.Equal(t, ingest.Yes, stateOf(p, cameraID).Registered.Value)
}

func TestListenSaysWhyNot(t *testing.T) {
	busy, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer busy.Close()
	conf := defaultConfig()
	conf.Listen = busy.LocalAddr().String()
	p, err := New(Options{Config: conf})
	require.NoError(t, err)
	require.ErrorContains(t, p.Run(t.Context()), "listen")
}
