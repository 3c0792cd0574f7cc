package gb28181

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

// certificate makes a self-signed one for 127.0.0.1.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestTLS(t *testing.T) {
	p := start(t, Options{TLS: &tls.Config{Certificates: []tls.Certificate{certificate(t)}}, ListenTLS: "127.0.0.1:0"})
	c, err := tls.Dial("tcp", p.wire.listeners[1].Addr().String(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // self-signed, of this test
	require.NoError(t, err)
	plain := dial(t, p, "tcp", "127.0.0.1", cameraID, secret)
	plain.conn = c
	plain.in.Reset(c)
	t.Cleanup(func() { _ = c.Close() })
	require.Equal(t, 200, status(plain.register("c", 3600)))
	require.Equal(t, "tls", stateOf(p, cameraID).Transport)
	got := make(chan error, 1)
	go func() {
		_, err := p.send(t.Context(), p.device(cameraID), "MESSAGE", typeMANSCDP, []byte("<Query>ForTest</Query>"))
		got <- err
	}()
	req := plain.getRequest("MESSAGE", "ForTest")
	require.Contains(t, head(req, "Via"), "SIP/2.0/TLS "+p.wire.listeners[1].Addr().String()+";", "its own port")
	plain.answer(req, 200, "", "")
	require.NoError(t, <-got)
	require.Contains(t, p.contact(p.device(cameraID).route).Value(), p.wire.listeners[1].Addr().String()+";transport=tls")

	_, err = tls.Dial("tcp", p.wire.listeners[1].Addr().String(), &tls.Config{})
	require.Error(t, err, "a device that does not know who signed")
	require.Eventually(t, func() bool { return testutil.ToFloat64(p.met.dropped.WithLabelValues("tls")) == 1 }, patience, time.Millisecond)
}

func TestOwnAddress(t *testing.T) {
	host := netip.MustParseAddr("127.0.0.1")
	require.Equal(t, "127.0.0.1:5060", newOwn("0.0.0.0:5060").facing(host, 5060).String(), "the address that faces the device")
	require.Equal(t, "10.0.0.9:5060", newOwn("10.0.0.9:5060").facing(host, 5060).String())
	o := newOwn("0.0.0.0:5060")
	for i := range 2 * maxOwn {
		o.facing(netip.AddrFrom4([4]byte{127, 0, byte(i >> 8), byte(i)}), 5060)
	}
	require.LessOrEqual(t, len(o.known), maxOwn)
}

func asRequest(t *testing.T, m sip.Message) *sip.Request {
	t.Helper()
	r, ok := m.(*sip.Request)
	require.True(t, ok)
	return r
}

func TestAnswersAreBounded(t *testing.T) {
	a := newAnswers()
	p := newParser()
	now := time.Now()
	from := route{network: "udp", addr: netip.MustParseAddrPort("127.0.0.1:5060")}
	for i := range maxAnswers + 10 {
		req, err := parseMessage(p, []byte(fmt.Sprintf("%sX: %d\r\n\r\n", plainHead, i)))
		require.NoError(t, err)
		r := asRequest(t, req)
		r.CSeq().SeqNo = uint32(i)
		a.keep(r, from, []byte("x"), now)
		if i == 0 {
			_, kept := a.find(r, from)
			require.True(t, kept)
			_, kept = a.find(r, route{network: "udp", addr: netip.MustParseAddrPort("127.0.0.1:5061")})
			require.False(t, kept, "of another sender")
		}
	}
	require.Equal(t, maxAnswers, a.len())
	a.sweep(now.Add(answerLife + time.Second))
	require.Zero(t, a.len())
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	p := start(t, Options{Registerer: reg})
	d := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	require.Equal(t, 200, status(d.ask(d.keepalive())))
	d.ask(d.request("WEIRD-"+cameraID, "x", 1, "", ""))
	stranger := dial(t, p, "udp", "127.0.0.1", "44010000001320000009", "")
	stranger.ask(stranger.request("REGISTER", "c", 1, "", ""))
	liar := dial(t, p, "udp", "127.0.0.2", cameraID, "guess")
	liar.register("c", 60)
	d.send("\r\n\r\n") // to keep a NAT open
	require.Equal(t, 200, status(d.ask(d.keepalive())))
	problems, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	require.Empty(t, problems)
	families, err := reg.Gather()
	require.NoError(t, err)
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	for name, want := range map[string]float64{
		"registrations_total challenged": 2, "registrations_total wrong_password": 1, "registrations_total accepted": 1, "registrations_total unknown": 1,
		"messages_total MESSAGE keepalive": 2, "messages_total other method": 1,
		"devices yes": 1, "devices waiting": 1, "keepalive_age_seconds": 1, "connections": 0, "uplinks_down": 0,
	} {
		require.Contains(t, got, metricPrefix+name)
		require.Equal(t, want, got[metricPrefix+name], name)
	}
	require.NotContains(t, got, metricPrefix+"messages_total other malformed")
}

func TestReplacedConnectionsEnd(t *testing.T) {
	p := start(t, Options{})
	one := dial(t, p, "tcp", "127.0.0.1", cameraID, secret).mustRegister()
	old := p.device(cameraID).route.conn
	other := &peer{t: t, conn: one.conn, in: one.in, id: "34020000001320000002", pass: secret}
	other.mustRegister()
	require.EqualValues(t, 2, old.users.Load(), "two devices behind one connection")
	dial(t, p, "tcp", "127.0.0.1", cameraID, secret).mustRegister()
	require.EqualValues(t, 1, old.users.Load())
	require.WithinDuration(t, time.Now().Add(streamIdle), deadline(&framer{}, old, time.Now()), time.Minute)
	dial(t, p, "tcp", "127.0.0.1", "34020000001320000002", secret).mustRegister()
	require.WithinDuration(t, time.Now().Add(streamLeft), deadline(&framer{}, old, time.Now()), time.Minute)
}

func TestManyGreetings(t *testing.T) {
	closed := make(chan *stream, maxGreeting)
	w := &wire{met: newMetrics(), streams: make(map[*stream]struct{}), closed: func(s *stream) { closed <- s }}
	streams := make([]*stream, maxGreeting+2)
	for i := range streams {
		here, there := net.Pipe()
		t.Cleanup(func() { _ = there.Close() })
		streams[i] = &stream{Conn: here}
		if i == 0 {
			streams[i].trusted.Store(true)
		}
		require.True(t, w.add(streams[i]))
	}
	_, err := streams[1].Read(make([]byte, 1))
	require.ErrorIs(t, err, io.ErrClosedPipe, "the oldest that has not registered")
	require.LessOrEqual(t, len(w.greeting), maxGreeting)
	require.NoError(t, streams[0].SetReadDeadline(time.Now()), "one that has is kept")
}

func TestSparingLog(t *testing.T) {
	var out bytes.Buffer
	c := &clock{}
	s := newSparing(slog.New(slog.NewTextHandler(&out, nil)), c.now)
	for range 100 {
		s.Warn("often", "device", "x")
	}
	s.Info("seldom")
	require.Equal(t, lineBurst+1, bytes.Count(out.Bytes(), []byte("\n")))
	c.advance(2 * time.Second)
	s.Warn("often")
	require.Contains(t, out.String(), "left_out=80")
}
