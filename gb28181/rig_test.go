package gb28181

import (
	"bufio"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sharpeyes/sharpeyes/configs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	serverID = "34020000002000000001"
	cameraID = "34020000001320000001"
	domain   = "3402000000"
	secret   = "12345678"
)

// patience bounds every wait of a test.
const patience = 10 * time.Second

// clock is a clock that tests move.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// defaultConfig lets in one camera by ID and others by prefix.
func defaultConfig() configs.GB28181 {
	return configs.GB28181{
		Listen: "127.0.0.1:0", ID: serverID, Unknown: configs.GB28181Wait,
		Devices: []configs.GB28181Device{
			{ID: cameraID, Name: "gate", Password: configs.SecretValue(secret)},
			{Prefix: "3402000000111", Password: configs.SecretValue("recorder")},
			{Prefix: "3402000000132", Password: configs.SecretValue(secret)},
			{Prefix: "340200000013299", Open: true},
		},
	}
}

// start runs a platform for the length of a test.
func start(t testing.TB, opt Options) *Platform {
	t.Helper()
	if opt.Config.ID == "" {
		opt.Config = defaultConfig()
	}
	p, err := New(opt)
	require.NoError(t, err)
	run(t, p)
	return p
}

// run runs p until the test ends, or until the returned function is called.
func run(t testing.TB, p *Platform) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	wait, done := context.WithTimeout(ctx, patience)
	defer done()
	go func() {
		err := p.Run(ctx)
		if err != nil {
			done() // it cannot listen: do not wait for it
		}
		ended <- err
	}()
	_, err := p.Addr(wait)
	require.NoError(t, err)
	var stopped atomic.Bool
	stop = func() {
		if stopped.Swap(true) {
			return
		}
		cancel()
		select {
		case err := <-ended:
			require.NoError(t, err)
		case <-time.After(patience):
			t.Error("the platform does not stop")
		}
	}
	t.Cleanup(stop)
	return stop
}

// peer is the far end of a test: SIP text on a socket, written by hand.
type peer struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader // of a stream
	id   string
	pass string
	n    int
}

// dial connects to the platform; host is the address to come from.
func dial(t testing.TB, p *Platform, network, host, id, pass string) *peer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	to, err := p.Addr(ctx)
	require.NoError(t, err)
	d := net.Dialer{}
	if network == "udp" {
		d.LocalAddr = &net.UDPAddr{IP: net.ParseIP(host)}
	} else {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(host)}
	}
	c, err := d.DialContext(ctx, network, to.String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return &peer{t: t, conn: c, in: bufio.NewReaderSize(c, 1<<20), id: id, pass: pass}
}

func (d *peer) stream() bool { return d.conn.LocalAddr().Network() == "tcp" }

func (d *peer) send(text string) {
	d.t.Helper()
	_, err := d.conn.Write([]byte(text))
	require.NoError(d.t, err)
}

// receive returns the next message, "" when none comes within wait.
func (d *peer) receive(wait time.Duration) string {
	d.t.Helper()
	_ = d.conn.SetReadDeadline(time.Now().Add(wait))
	if !d.stream() {
		buf := make([]byte, 65536)
		n, err := d.conn.Read(buf)
		if err != nil {
			return ""
		}
		return string(buf[:n])
	}
	var b strings.Builder
	length := 0
	for {
		line, err := d.in.ReadString('\n')
		if err != nil {
			return ""
		}
		b.WriteString(line)
		if k, v, _ := strings.Cut(line, ":"); strings.EqualFold(k, "Content-Length") {
			length, _ = strconv.Atoi(strings.TrimSpace(v))
		}
		if line == "\r\n" {
			break
		}
	}
	for range length {
		c, err := d.in.ReadByte()
		if err != nil {
			return ""
		}
		b.WriteByte(c)
	}
	return b.String()
}

// get returns the next response, which must come. The platform asks devices of its
// own accord; that is passed over.
func (d *peer) get() string {
	d.t.Helper()
	for {
		m := d.receive(patience)
		require.NotEmpty(d.t, m, "no answer came")
		if strings.HasPrefix(m, "SIP/2.0 ") {
			return m
		}
	}
}

// getRequest returns the next request with this method and this text in it.
func (d *peer) getRequest(method, text string) string {
	d.t.Helper()
	for {
		m := d.receive(patience)
		require.NotEmpty(d.t, m, "no %s came", method)
		if strings.HasPrefix(m, method+" ") && strings.Contains(m, text) {
			return m
		}
	}
}

// answer answers a request of the platform; extra is whole header lines.
func (d *peer) answer(req string, code int, extra, body string) {
	d.t.Helper()
	d.send(fmt.Sprintf("SIP/2.0 %d X\r\nVia: %s\r\nFrom: %s\r\nTo: %s;tag=dev\r\nCall-ID: %s\r\nCSeq: %s\r\n%sContent-Length: %d\r\n\r\n%s",
		code, head(req, "Via"), head(req, "From"), strings.TrimSuffix(head(req, "To"), ";tag=dev"), head(req, "Call-ID"), head(req, "CSeq"), extra, len(body), body))
}

// status returns the code of a response.
func status(res string) int {
	n, _ := strconv.Atoi(strings.SplitN(res+"  ", " ", 3)[1])
	return n
}

// head returns the value of a header.
func head(msg, name string) string {
	for line := range strings.SplitSeq(msg, "\r\n") {
		if k, v, _ := strings.Cut(line, ":"); strings.EqualFold(k, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// request writes a request of the peer; extra is whole header lines.
func (d *peer) request(method, callID string, cseq int, extra, body string) string {
	d.n++
	transport := "UDP"
	if d.stream() {
		transport = "TCP"
	}
	return fmt.Sprintf("%s sip:%s@%s SIP/2.0\r\nVia: SIP/2.0/%s 10.1.2.3:5060;rport;branch=z9hG4bK%s%s%d\r\n"+
		"From: <sip:%s@%s>;tag=t1\r\nTo: <sip:%s@%s>\r\nCall-ID: %s\r\nCSeq: %d %s\r\n"+
		"Contact: <sip:%s@10.1.2.3:5060>\r\nMax-Forwards: 70\r\nUser-Agent: IP Camera\r\n%sContent-Length: %d\r\n\r\n%s",
		method, serverID, domain, transport, callID, d.id, d.n, d.id, domain, toOf(method, d.id), domain, callID, cseq, method, d.id, extra, len(body), body)
}

func toOf(method, id string) string {
	if method == "REGISTER" {
		return id
	}
	return serverID
}

func md5hex(s string) string { h := md5.Sum([]byte(s)); return hex.EncodeToString(h[:]) }

var nonceIn = regexp.MustCompile(`nonce="([^"]+)"`)

// authorization answers a challenge without qop.
func (d *peer) authorization(challenge string) string {
	nonce := nonceIn.FindStringSubmatch(challenge)[1]
	uri := "sip:" + serverID + "@" + domain
	response := md5hex(md5hex(d.id+":"+domain+":"+d.pass) + ":" + nonce + ":" + md5hex("REGISTER:"+uri))
	return fmt.Sprintf("Authorization: Digest username=%q, realm=%q, nonce=%q, uri=%q, response=%q, algorithm=MD5\r\n", d.id, domain, nonce, uri, response)
}

// register registers and returns the final answer.
func (d *peer) register(callID string, expires int) string {
	d.t.Helper()
	extra := fmt.Sprintf("Expires: %d\r\n", expires)
	d.send(d.request("REGISTER", callID, 1, extra, ""))
	res := d.get()
	if status(res) != 401 {
		return res
	}
	d.send(d.request("REGISTER", callID, 2, d.authorization(head(res, "WWW-Authenticate"))+extra, ""))
	return d.get()
}

const keepaliveBody = `<?xml version="1.0" encoding="GB2312"?>` + "\r\n<Notify>\r\n<CmdType>Keepalive</CmdType>\r\n<SN>%d</SN>\r\n<DeviceID>%s</DeviceID>\r\n<Status>OK</Status>\r\n</Notify>\r\n"

// keepalive writes one.
func (d *peer) keepalive() string {
	body := fmt.Sprintf(keepaliveBody, d.n, d.id)
	return d.request("MESSAGE", fmt.Sprintf("k%d", d.n), 20, "Content-Type: Application/MANSCDP+xml\r\n", body)
}

// message writes a MESSAGE with a body.
func (d *peer) message(body string) string {
	return d.request("MESSAGE", fmt.Sprintf("m%d", d.n), 20, "Content-Type: Application/MANSCDP+xml\r\n", body)
}

// ask sends a request and returns the answer.
func (d *peer) ask(text string) string {
	d.t.Helper()
	d.send(text)
	return d.get()
}

// insist sends a request as a device does, again and again until an answer comes.
func (d *peer) insist(text string) string {
	d.t.Helper()
	for range 10 {
		d.send(text)
		if m := d.receive(time.Second); strings.HasPrefix(m, "SIP/2.0 ") {
			return m
		}
	}
	d.t.Fatal("no answer came")
	return ""
}

// stateOf returns how the platform sees a device.
func stateOf(p *Platform, id string) Device {
	for _, d := range p.Devices() {
		if d.ID == id {
			return d
		}
	}
	return Device{}
}
