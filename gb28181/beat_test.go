package gb28181

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// beatText is a keepalive in the form of most devices.
func beatText(via, extra, body string) string {
	return fmt.Sprintf("MESSAGE sip:%s@%s SIP/2.0\r\nVia: %s\r\nFrom: <sip:%s@%s>;tag=t1\r\nTo: <sip:%s@%s>\r\nCall-ID: k1\r\nCSeq: 20 MESSAGE\r\n%sContent-Length: %d\r\n\r\n%s",
		serverID, domain, via, cameraID, domain, serverID, domain, extra, len(body), body)
}

const beatVia = "SIP/2.0/UDP 10.1.2.3:5060;rport;branch=z9hG4bKa1"

// beatSeeds are keepalives, and what is none.
func beatSeeds() []string {
	body := fmt.Sprintf(keepaliveBody, 1, cameraID)
	good := beatText(beatVia, "", body)
	return []string{
		good,
		beatText("SIP/2.0/TCP 127.0.0.1:5060;branch=z9hG4bKa1", "Max-Forwards: 70\r\nUser-Agent: IP Camera\r\nContent-Type: Application/MANSCDP+xml\r\n", body),
		beatText("SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKa1;rport=", "Contact: <sip:x@10.1.2.3>\r\nX-GB-ver: 3.0\r\n", body),
		beatText(beatVia, "Route: <sip:x@10.1.2.3>\r\n", body),
		beatText(beatVia+", "+beatVia, "", body),
		beatText(beatVia, "Via: "+beatVia+"\r\n", body),
		beatText(beatVia, " folded\r\n", body),
		beatText(beatVia, "", strings.Replace(body, "<Status>", "<Info><DeviceID>1</DeviceID></Info><Status>", 1)),
		beatText(beatVia, "", strings.ReplaceAll(body, "Keepalive", "Alarm")),
		strings.Replace(good, "20 MESSAGE", "20 NOTIFY", 1),
		strings.Replace(good, "Call-ID", "X-ID", 1),
		strings.Replace(good, ">\r\nCall", ">;tag=7\r\nCall", 1),
		strings.Replace(good, "z9hG4bK", "", 1),
	}
}

// TestReadBeat says which messages are answered without the parser.
func TestReadBeat(t *testing.T) {
	var taken []int
	for i, text := range beatSeeds() {
		if _, _, ok := readBeat([]byte(text)); ok {
			taken = append(taken, i)
		}
	}
	assert.Equal(t, []int{0, 1, 2}, taken)
}

// FuzzBeat: whatever is taken for a plain keepalive is one to the parser as well,
// and gets the very answer that the parser's way gives, but for the tag.
func FuzzBeat(f *testing.F) {
	for _, s := range beatSeeds() {
		f.Add([]byte(s))
	}
	from := route{network: "udp", addr: netip.MustParseAddrPort("127.0.0.1:5061")}
	parser := newParser()
	f.Fuzz(func(t *testing.T, data []byte) {
		msg, _ := repair(data)
		h, body, ok := readBeat(msg)
		if !ok {
			return
		}
		m, err := parseMessage(parser, msg)
		require.NoError(t, err)
		req, isRequest := m.(*sip.Request)
		require.True(t, isRequest)
		require.Equal(t, sip.MESSAGE, req.Method)
		require.Equal(t, string(req.Body()), string(body))
		want, err := parser.ParseSIP(answerTo(req, from, 200, "OK"))
		require.NoError(t, err)
		got, err := parser.ParseSIP(h.answer(from))
		require.NoError(t, err)
		require.Equal(t, want.From().Value(), got.From().Value())
		require.Equal(t, want.CallID().Value(), got.CallID().Value())
		require.Equal(t, want.CSeq().Value(), got.CSeq().Value())
		require.Equal(t, want.To().Address.String(), got.To().Address.String())
		require.True(t, got.To().Params.Has("tag"))
		require.Len(t, got.GetHeaders("Via"), 1)
		require.Equal(t, want.Via().SentBy(), got.Via().SentBy())
		for _, name := range []string{"branch", "received", "rport"} {
			a, _ := want.Via().Params.Get(name)
			b, _ := got.Via().Params.Get(name)
			require.Equal(t, a, b, name)
		}
	})
}

// TestBeatOnlyOfTheDevice: the short way is for a registered device at its own
// address; everybody else is judged in full.
func TestBeatOnlyOfTheDevice(t *testing.T) {
	p := start(t, Options{})
	from := route{network: "udp", addr: netip.MustParseAddrPort("127.0.0.1:5061")}
	text := []byte(beatText(beatVia, "", fmt.Sprintf(keepaliveBody, 1, cameraID)))
	beat := func(from route, now time.Time) bool { return p.beat(from, look(text), text, now) }
	now := time.Now()
	require.False(t, beat(from, now), "nobody registered")
	entry, _ := p.book.find([]byte(cameraID))
	d := p.admitted(cameraID, entry, now)
	d.mu.Lock()
	d.route = from
	d.link.registered(now.Add(time.Hour), now)
	d.mu.Unlock()
	require.True(t, beat(from, now))
	require.True(t, beat(from, now.Add(20*time.Second)))
	require.InDelta(t, 2, counterOf(t, p.met.keepalives), 0)
	require.InDelta(t, 60, d.snapshot().Keepalive, 0, "the interval is learned: one gap counts as what the standard says at least")
	require.Equal(t, now.Add(20*time.Second), d.snapshot().LastSeen)

	elsewhere := route{network: "udp", addr: netip.MustParseAddrPort("127.0.0.1:5062")}
	require.False(t, beat(elsewhere, now), "another port: the route moves, which the full way does")
	require.False(t, beat(from, now.Add(2*time.Hour)), "expired")
	d.mu.Lock()
	d.link.fell(ReasonKeepalive, now)
	d.mu.Unlock()
	require.Equal(t, ingest.No, d.isRegistered().Value)
	require.False(t, beat(from, now), "it comes back: the full way tells who has to know")
}
