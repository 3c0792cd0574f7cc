package gb28181

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"testing"
	"time"

	"github.com/emmansun/gmsm/sm3"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
)

func TestRegister(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			p := start(t, Options{})
			d := dial(t, p, network, "127.0.0.1", cameraID, secret)
			first := d.ask(d.request("REGISTER", "c1", 1, "Expires: 3600\r\n", ""))
			require.Equal(t, 401, status(first))
			require.Equal(t, "3.0", head(first, "X-GB-ver"))

			res := d.register("c2", 3600)
			require.Equal(t, 200, status(res), res)
			require.Equal(t, "3.0", head(res, "X-GB-ver"))
			require.Equal(t, "3600", head(res, "Expires"))
			require.Contains(t, head(res, "Contact"), "expires=3600")
			at, err := time.ParseInLocation("2006-01-02T15:04:05.000", head(res, "Date"), time.FixedZone("", 8*3600))
			require.NoError(t, err)
			require.WithinDuration(t, time.Now(), at, 5*time.Second)
			require.Contains(t, head(res, "Via"), "received=127.0.0.1", "the answer says where the request came from")

			got := stateOf(p, cameraID)
			require.Equal(t, ingest.Yes, got.Registered.Value)
			require.Equal(t, network, got.Transport)
			require.Equal(t, d.conn.LocalAddr().String(), got.Address, "the source, not the Contact")
			require.Equal(t, "IP Camera", got.UserAgent)

			require.Equal(t, 200, status(d.register("c3", 0)))
			got = stateOf(p, cameraID)
			require.Equal(t, ingest.No, got.Registered.Value)
			require.Equal(t, ReasonUnregistered, got.Registered.Reason)
		})
	}
}

func TestUnregisterForms(t *testing.T) {
	for name, contact := range map[string]string{
		"star":              "Contact: *\r\nExpires: 0\r\n",
		"contact parameter": "Contact: <sip:" + cameraID + "@10.1.2.3:5060>;expires=0\r\nExpires: 3600\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, Options{})
			d := dial(t, p, "udp", "127.0.0.1", cameraID, secret)
			require.Equal(t, 200, status(d.register("c1", 3600)))
			require.Equal(t, ingest.Yes, stateOf(p, cameraID).Registered.Value)
			write := func(cseq int, extra string) string {
				return fmt.Sprintf("REGISTER sip:%s@%s SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.2.3;branch=z9hG4bKu%d\r\nFrom: <sip:%s@%s>;tag=1\r\nTo: <sip:%s@%s>\r\nCall-ID: c2\r\nCSeq: %d REGISTER\r\n%s%s\r\n",
					serverID, domain, cseq, cameraID, domain, cameraID, domain, cseq, contact, extra)
			}
			res := d.ask(write(1, ""))
			require.Equal(t, 401, status(res), "taking a device off needs its password, too")
			require.Equal(t, ingest.Yes, stateOf(p, cameraID).Registered.Value)
			require.Equal(t, 200, status(d.ask(write(2, d.authorization(res)))))
			require.Equal(t, ReasonUnregistered, stateOf(p, cameraID).Registered.Reason)
		})
	}
}

// digestOf answers a challenge with any hash, with and without qop.
func digestOf(fresh func() hash.Hash, d *peer, algorithm, nonce, qop, nc string) string {
	h := func(s string) string {
		sum := fresh()
		sum.Write([]byte(s))
		return hex.EncodeToString(sum.Sum(nil))
	}
	uri := "sip:" + serverID + "@" + domain
	ha1, ha2 := h(d.id+":"+domain+":"+d.pass), h("REGISTER:"+uri)
	line := fmt.Sprintf("Authorization: Digest username=%q,realm=%q,nonce=%q,uri=%q,algorithm=%s", d.id, domain, nonce, uri, algorithm)
	if qop == "" {
		return line + fmt.Sprintf(",response=%q\r\n", h(ha1+":"+nonce+":"+ha2))
	}
	return line + fmt.Sprintf(",qop=%s,nc=%s,cnonce=\"0a4f\",response=%q\r\n", qop, nc, h(ha1+":"+nonce+":"+nc+":0a4f:"+qop+":"+ha2))
}

func TestDigestAlgorithms(t *testing.T) {
	for _, a := range []struct {
		name  string
		fresh func() hash.Hash
		qop   string
	}{
		{"SHA-256", sha256.New, ""}, {"SHA-256", sha256.New, "auth"}, {"SM3", sm3.New, ""}, {"SM3", sm3.New, "auth"},
	} {
		t.Run(a.name+a.qop, func(t *testing.T) {
			p := start(t, Options{})
			d := dial(t, p, "udp", "127.0.0.1", cameraID, secret)
			// A device that has a better hash says so by what it sends first.
			res := d.ask(d.request("REGISTER", "c1", 1, "Authorization: Capability algorithm=\"A:SM2;H:"+a.name+"\"\r\n", ""))
			require.Equal(t, 401, status(res))
			require.Contains(t, head(res, "WWW-Authenticate"), "algorithm="+a.name)
			nonce := nonceIn.FindStringSubmatch(res)[1]
			res = d.ask(d.request("REGISTER", "c1", 2, digestOf(a.fresh, d, a.name, nonce, a.qop, "00000001"), ""))
			require.Equal(t, 200, status(res), res)
		})
	}
}

func TestWrongPassword(t *testing.T) {
	c := &clock{}
	p := start(t, Options{Now: c.now})
	d := dial(t, p, "udp", "127.0.0.1", cameraID, "guess")
	for i := range triesAllowed {
		res := d.register(fmt.Sprintf("c%d", i), 3600)
		require.Equal(t, 403, status(res), "not asked again: that would go on for ever")
		require.Equal(t, "3.0", head(res, "X-GB-ver"), "on failures too")
	}
	require.NotEqual(t, ingest.Yes, stateOf(p, cameraID).Registered.Value)
	d.pass = secret
	res := d.register("right", 3600)
	require.Equal(t, 403, status(res), "barred, right password or not")
	require.NotEmpty(t, head(res, "Retry-After"))
	elsewhere := dial(t, p, "udp", "127.0.0.2", cameraID, secret)
	require.Equal(t, 200, status(elsewhere.register("e", 3600)), "the device itself, at its own address, is not barred")
	c.advance(firstPenalty + time.Second)
	require.Equal(t, 200, status(d.register("later", 3600)))
}

func TestNonces(t *testing.T) {
	c := &clock{}
	p := start(t, Options{Now: c.now})
	d := dial(t, p, "udp", "127.0.0.1", cameraID, secret)
	res := d.ask(d.request("REGISTER", "c1", 1, "", ""))
	old := d.authorization(res)
	c.advance(nonceLife + time.Second)
	res = d.ask(d.request("REGISTER", "c1", 2, old, ""))
	require.Equal(t, 401, status(res))
	require.Contains(t, res, "stale=true", "so that the device does not ask its person")

	fresh := d.authorization(res)
	require.Equal(t, 200, status(d.ask(d.request("REGISTER", "c1", 3, fresh, ""))))
	thief := dial(t, p, "udp", "127.0.0.2", cameraID, "")
	stolen := thief.ask(thief.request("REGISTER", "c1", 3, fresh, ""))
	require.Equal(t, 401, status(stolen), "what was overheard serves nobody")
	require.Equal(t, d.conn.LocalAddr().String(), stateOf(p, cameraID).Address)

	// A nonce holds for one device only.
	other := dial(t, p, "udp", "127.0.0.1", "34020000001320000002", secret)
	require.Equal(t, 401, status(other.ask(other.request("REGISTER", "c1", 1, other.authorization(stolen), ""))))

	// With qop, a nonce serves again as long as its count grows.
	nonce := nonceIn.FindStringSubmatch(d.ask(d.request("REGISTER", "c4", 1, "", "")))[1]
	for i, want := range []struct {
		nc   string
		code int
	}{{"00000001", 200}, {"00000002", 200}, {"00000002", 401}, {"00000003", 200}} {
		auth := digestOf(md5.New, d, "MD5", nonce, "auth", want.nc)
		require.Equal(t, want.code, status(d.ask(d.request("REGISTER", "c4", 2+i, auth, ""))), "count %s", want.nc)
	}
}

func TestUnknownDevicesWait(t *testing.T) {
	p := start(t, Options{})
	d := dial(t, p, "udp", "127.0.0.1", "44010000001320000009", secret)
	res := d.ask(d.request("REGISTER", "c1", 1, "X-GB-ver: 2.0\r\n", ""))
	require.Equal(t, 403, status(res))
	require.Equal(t, "3.0", head(res, "X-GB-ver"))
	got := stateOf(p, d.id)
	require.False(t, got.Configured)
	require.Equal(t, ReasonWaiting, got.Registered.Reason)
	require.Equal(t, "IP Camera", got.UserAgent)
	require.Equal(t, "2.0", got.Version)
	require.Equal(t, d.conn.LocalAddr().String(), got.Address)
	require.EqualValues(t, 1, got.Attempts)
	require.Equal(t, 403, status(d.ask(d.keepalive())))

	for i := range 2 * maxWaiting {
		p.waiting.seen(fmt.Sprintf("44010000001320%06d", i), route{}, "", "", time.Now())
	}
	require.Equal(t, maxWaiting, p.waiting.len())
}

func TestOpenDevice(t *testing.T) {
	p := start(t, Options{})
	d := dial(t, p, "udp", "127.0.0.1", "34020000001329900001", "")
	require.Equal(t, 200, status(d.ask(d.request("REGISTER", "c1", 1, "", ""))))
	require.Equal(t, ingest.Yes, stateOf(p, d.id).Registered.Value)
}

func TestPasswordsByPrefix(t *testing.T) {
	p := start(t, Options{})
	recorder := dial(t, p, "udp", "127.0.0.1", "34020000001110000007", "recorder")
	require.Equal(t, 200, status(recorder.register("c1", 60)))
	wrong := dial(t, p, "udp", "127.0.0.1", "34020000001110000008", secret)
	require.Equal(t, 403, status(wrong.register("c1", 60)))
}

func TestTwoDevicesBehindOneAddress(t *testing.T) {
	p := start(t, Options{})
	const second = "34020000001320000002"
	one := dial(t, p, "udp", "127.0.0.1", cameraID, secret)
	two := &peer{t: t, conn: one.conn, in: one.in, id: second, pass: secret}
	require.Equal(t, 200, status(one.register("c1", 3600)))
	require.Equal(t, 200, status(two.register("c1", 3600)), "one socket, one Call-ID, two devices")
	require.Equal(t, 200, status(one.register("c2", 0)))
	require.Equal(t, ingest.No, stateOf(p, cameraID).Registered.Value)
	require.Equal(t, ingest.Yes, stateOf(p, second).Registered.Value)
	require.Equal(t, 403, status(one.ask(one.keepalive())))
	require.Equal(t, 200, status(two.ask(two.keepalive())))
}

func TestRegisterAgainAfterLostAnswer(t *testing.T) {
	p := start(t, Options{})
	d := dial(t, p, "udp", "127.0.0.1", cameraID, secret)
	challenge := d.ask(d.request("REGISTER", "c1", 1, "", ""))
	again := d.request("REGISTER", "c1", 2, d.authorization(challenge), "")
	first := d.ask(again)
	require.Equal(t, 200, status(first))
	require.Equal(t, first, d.ask(again), "the same answer to the same request")
}

func TestThrottleIsBounded(t *testing.T) {
	th := newThrottle()
	now := time.Now()
	for i := range 3 * maxCallers {
		th.ask(caller{device: fmt.Sprint(i)}, now)
	}
	require.LessOrEqual(t, len(th.callers), maxCallers)
	c := caller{device: "x"}
	for range triesAllowed - 1 {
		require.Zero(t, th.wrong(c, now))
	}
	require.Equal(t, firstPenalty, th.wrong(c, now).Sub(now))
	for range triesAllowed {
		th.wrong(c, now)
	}
	require.Equal(t, 2*firstPenalty, th.barred(c, now).Sub(now), "each time longer")
	th.right(c)
	require.Zero(t, th.barred(c, now))
}

func TestRedirect(t *testing.T) {
	const other = "sip:34020000002000000002@127.0.0.1:5070"
	entry := configs.GB28181Device{ID: cameraID, Password: configs.SecretValue(secret)}
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			p := start(t, Options{})
			d := dial(t, p, network, "127.0.0.1", cameraID, secret).mustRegister()
			sent := entry
			sent.Redirect = other
			require.NoError(t, p.SetDevices([]configs.GB28181Device{sent}))
			require.Equal(t, ingest.Yes, stateOf(p, cameraID).Registered.Value, "until it asks")

			require.Equal(t, 401, status(d.ask(d.request("REGISTER", "r0", 1, "Expires: 3600\r\n", ""))), "only devices with the password hear where the other platform is")
			res := d.register("r1", 3600)
			require.Equal(t, 302, status(res), res)
			require.Equal(t, "<"+other+">", head(res, "Contact"))
			require.Equal(t, "3600", head(res, "Expires"))
			require.Equal(t, "3.0", head(res, "X-GB-ver"))
			require.Equal(t, ingest.No, stateOf(p, cameraID).Registered.Value)
			require.Equal(t, 403, status(d.ask(d.keepalive())), "it is not at home here")
			require.Equal(t, 302, status(d.register("r2", 3600)), "it came back: the other platform is out of reach")
			require.Equal(t, 200, status(d.register("r3", 0)), "taking itself off needs no other platform")

			require.NoError(t, p.SetDevices([]configs.GB28181Device{entry}))
			require.Equal(t, 200, status(d.register("r4", 3600)))
			require.Equal(t, ingest.Yes, stateOf(p, cameraID).Registered.Value)
		})
	}
}
