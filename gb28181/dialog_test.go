package gb28181

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// result is what invite or subscribe returned.
type result struct {
	d   *dialog
	err error
}

// ring starts an INVITE to the camera.
func ring(ctx context.Context, p *Platform, inv invitation) <-chan result {
	got := make(chan result, 1)
	if inv.target == "" {
		inv.target = cameraID
	}
	go func() {
		d, err := p.invite(ctx, p.device(cameraID), inv)
		got <- result{d, err}
	}()
	return got
}

func TestCall(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			p := start(t, Options{})
			dev := dial(t, p, network, "127.0.0.1", cameraID, secret).mustRegister()
			infos := make(chan string, 1)
			got := ring(t.Context(), p, invitation{target: "34020000001310000001", subject: "34020000001310000001:0,34020000002000000001:0", offer: []byte("v=0\r\n"),
				onRequest: func(method, contentType string, body []byte) { infos <- method + contentType + string(body) }})
			inv := dev.getRequest("INVITE", "")
			require.EqualValues(t, 1, p.wire.urgent.Load(), "answers do not wait for keepalives")
			require.True(t, strings.HasPrefix(inv, "INVITE sip:34020000001310000001@127.0.0.1:"))
			require.Equal(t, "34020000001310000001:0,34020000002000000001:0", head(inv, "Subject"))
			require.Equal(t, "application/sdp", head(inv, "Content-Type"))
			require.Contains(t, head(inv, "From"), "<sip:"+serverID+"@"+domain+">;tag=")
			addr, err := p.Addr(t.Context())
			require.NoError(t, err)
			require.Contains(t, head(inv, "Via"), addr.String())
			require.Contains(t, head(inv, "Contact"), addr.String())
			dev.answer(inv, 100, "", "")
			dev.answer(inv, 200, "Contact: <sip:"+cameraID+"@10.1.2.3:5060>\r\nRecord-Route: <sip:10.8.8.8;lr>\r\nContent-Type: application/sdp\r\n", "v=0\r\ny=0100000001\r\n")
			ack := dev.getRequest("ACK", "")
			require.True(t, strings.HasPrefix(ack, "ACK sip:"+cameraID+"@10.1.2.3:5060 SIP/2.0"), "the Contact, though it is sent to the source")
			require.Contains(t, head(ack, "To"), "tag=dev")
			require.Contains(t, head(ack, "Route"), "10.8.8.8")
			require.Equal(t, strings.Fields(head(inv, "CSeq"))[0], strings.Fields(head(ack, "CSeq"))[0])
			r := <-got
			require.NoError(t, r.err)
			require.Zero(t, p.wire.urgent.Load())
			require.Contains(t, string(r.d.Answer().Body()), "y=0100000001")

			if network == "udp" { // the ACK was lost: the device repeats its 200
				dev.answer(inv, 200, "Contact: <sip:"+cameraID+"@10.1.2.3:5060>\r\n", "")
				dev.getRequest("ACK", "")
			}
			info := make(chan error, 1)
			go func() { _, err := r.d.info(t.Context(), []byte("PAUSE RTSP/1.0\r\n")); info <- err }()
			req := dev.getRequest("INFO", "PAUSE")
			require.Equal(t, head(inv, "Call-ID"), head(req, "Call-ID"))
			dev.answer(req, 200, "", "")
			require.NoError(t, <-info)

			dev.send(strings.Replace(dev.request("INFO", r.d.CallID(), 7, "Content-Type: x\r\n", "hi"), "From: <sip:"+cameraID, "From: <sip:34020000001310000001", 1))
			require.Equal(t, 200, status(dev.get()), "the From inside a call is not always the device")
			require.Equal(t, "INFOxhi", <-infos)

			bye := make(chan error, 1)
			go func() { bye <- r.d.bye(t.Context()) }()
			req = dev.getRequest("BYE", "")
			require.Contains(t, head(req, "To"), "tag=dev")
			dev.answer(req, 200, "", "")
			require.NoError(t, <-bye)
			<-r.d.Done()
			require.NoError(t, r.d.Err())
			require.NoError(t, r.d.bye(t.Context()), "only the first one sends")
			require.Zero(t, p.dialogs.len())
		})
	}
}

func TestCallWithoutTagAndBody(t *testing.T) {
	p := start(t, Options{})
	dev := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	got := ring(t.Context(), p, invitation{})
	inv := dev.getRequest("INVITE", "")
	dev.send("SIP/2.0 200 OK\r\nVia: " + head(inv, "Via") + "\r\nFrom: " + head(inv, "From") + "\r\nTo: " + head(inv, "To") + "\r\nCall-ID: " + head(inv, "Call-ID") + "\r\nCSeq: " + head(inv, "CSeq") + "\r\n\r\n")
	ack := dev.getRequest("ACK", "")
	require.NotContains(t, head(ack, "To"), "tag")
	r := <-got
	require.NoError(t, r.err)
	require.Empty(t, r.d.Answer().Body())
	r.d.end(nil)
}

func TestCallRefused(t *testing.T) {
	p := start(t, Options{})
	dev := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	got := ring(t.Context(), p, invitation{})
	inv := dev.getRequest("INVITE", "")
	dev.answer(inv, 486, "", "")
	ack := dev.getRequest("ACK", "")
	require.Equal(t, head(inv, "Via"), head(ack, "Via"), "part of the same transaction")
	r := <-got
	var se *statusError
	require.ErrorAs(t, r.err, &se)
	require.Equal(t, 486, se.Code)
	require.Zero(t, p.dialogs.len())
	dev.answer(inv, 486, "", "")
	dev.getRequest("ACK", "")
}

func TestCallGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		before []int // answers before we give up
		after  int   // the one that comes too late
		expect string
	}{
		"rings, then answers": {[]int{180}, 200, "BYE"},
		"rings, then 487":     {[]int{180}, 487, "ACK"},
		"silent, then 200":    {nil, 200, "BYE"},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, Options{})
			dev := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
			ctx, cancel := context.WithCancel(t.Context())
			got := ring(ctx, p, invitation{})
			inv := dev.getRequest("INVITE", "")
			for _, code := range c.before {
				dev.answer(inv, code, "", "")
			}
			if len(c.before) > 0 {
				// The provisional answer must have been taken before we give up.
				require.Eventually(t, func() bool { return len(p.waiterOf(inv).answers) == 0 }, patience, time.Millisecond)
			}
			time.AfterFunc(50*time.Millisecond, cancel)
			require.ErrorIs(t, (<-got).err, context.Canceled)
			if len(c.before) > 0 {
				dev.answer(dev.getRequest("CANCEL", ""), 200, "", "")
			}
			dev.answer(inv, c.after, "", "")
			dev.getRequest("ACK", "")
			if c.expect == "BYE" {
				dev.answer(dev.getRequest("BYE", ""), 200, "", "")
			}
		})
	}
}

// waiterOf finds the client transaction of a request that a peer received.
func (p *Platform) waiterOf(req string) *waiter {
	p.pending.mu.Lock()
	defer p.pending.mu.Unlock()
	return p.pending.waiters[string(parameter([]byte(head(req, "Via")), "branch"))]
}

func TestByeOfTheDevice(t *testing.T) {
	p := start(t, Options{})
	dev := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	got := ring(t.Context(), p, invitation{})
	dev.answer(dev.getRequest("INVITE", ""), 200, "", "")
	r := <-got
	require.NoError(t, r.err)
	stranger := dial(t, p, "udp", "127.0.0.5", "34020000001320000002", secret).mustRegister()
	require.Equal(t, 481, status(stranger.ask(stranger.request("BYE", r.d.CallID(), 2, "", ""))), "another device cannot end it")
	bye := dev.request("BYE", r.d.CallID(), 2, "", "")
	require.Equal(t, 200, status(dev.ask(bye)))
	<-r.d.Done()
	require.ErrorIs(t, r.d.Err(), errPeerBye)
	require.Equal(t, 200, status(dev.ask(bye)), "the same BYE again gets the same answer")
}

func TestRequestsAreRepeated(t *testing.T) {
	p := start(t, Options{})
	dev := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	got := make(chan error, 1)
	go func() {
		_, err := p.send(t.Context(), p.device(cameraID), "MESSAGE", typeMANSCDP, []byte("<Control>ForTest</Control>"))
		got <- err
	}()
	first := dev.getRequest("MESSAGE", "ForTest")
	require.Equal(t, first, dev.getRequest("MESSAGE", "ForTest"), "the first got lost: the same again")
	dev.answer(first, 200, "", "")
	require.NoError(t, <-got)
}

func TestSubscription(t *testing.T) {
	p, h := startWith(t, Options{})
	dev := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	notified := make(chan incoming, 8)
	got := make(chan result, 1)
	go func() {
		d, err := p.subscribe(t.Context(), p.device(cameraID), subscription{target: cameraID, event: "Test;id=1", expires: 600, body: []byte("<Query>ForTest</Query>"),
			onNotify: func(m incoming) { notified <- m }})
		got <- result{d, err}
	}()
	sub := dev.getRequest("SUBSCRIBE", "ForTest")
	require.Equal(t, "Test;id=1", head(sub, "Event"))
	require.Equal(t, "600", head(sub, "Expires"))
	id := head(sub, "Call-ID")
	notify := func(n int, state string) string {
		return dev.request("NOTIFY", id, n, "Event: Test;id=1\r\nSubscription-State: "+state+"\r\nContent-Type: Application/MANSCDP+xml\r\n", fmt.Sprintf(testBody, n))
	}
	require.Equal(t, 200, status(dev.ask(notify(1, "active"))), "it may overtake the answer")
	dev.answer(sub, 200, "Expires: 600\r\n", "")
	r := <-got
	require.NoError(t, r.err)
	require.Equal(t, 1, (<-notified).sn)
	require.Len(t, h.all(), 1)

	renewed := make(chan error, 1)
	go func() { _, err := r.d.refresh(t.Context(), 600, nil); renewed <- err }()
	again := dev.getRequest("SUBSCRIBE", "tag=dev")
	require.Equal(t, id, head(again, "Call-ID"), "in the dialog")
	dev.answer(again, 200, "", "")
	require.NoError(t, <-renewed)

	require.Equal(t, 200, status(dev.ask(notify(2, "terminated;reason=timeout"))))
	<-r.d.Done()
	require.ErrorIs(t, r.d.Err(), errTerminated)
	require.Zero(t, p.dialogs.len())
}

func TestExchange(t *testing.T) {
	p := start(t, Options{})
	dev := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	part := func(sn, n int) string {
		return fmt.Sprintf("<Response><CmdType>ForTest</CmdType><SN>%d</SN><DeviceID>%s</DeviceID><Part>%d</Part></Response>", sn, cameraID, n)
	}
	ask := func(sn int, idle time.Duration, want int) <-chan []string {
		got := make(chan []string, 1)
		go func() {
			var parts []string
			err := p.exchange(t.Context(), p.device(cameraID), question{"ForTest", sn, fmt.Appendf(nil, "<Query>ForTest %d</Query>", sn), idle}, func(m incoming) bool {
				parts = append(parts, string(m.body))
				return len(parts) == want
			})
			if err != nil {
				parts = append(parts, err.Error())
			}
			got <- parts
		}()
		return got
	}
	one := ask(1, patience, 3)
	reqOne := dev.getRequest("MESSAGE", "ForTest 1")
	two := ask(2, 200*time.Millisecond, 3)
	reqTwo := dev.getRequest("MESSAGE", "ForTest 2")
	require.Equal(t, 200, status(dev.ask(dev.message(part(1, 1)))), "an answer may overtake the 200")
	dev.answer(reqOne, 200, "", "")
	dev.answer(reqTwo, 200, "", "")
	for _, body := range []string{part(2, 1), part(1, 2), part(9, 9), part(1, 3)} {
		require.Equal(t, 200, status(dev.ask(dev.message(body))))
	}
	require.Equal(t, []string{part(1, 1), part(1, 2), part(1, 3)}, <-one)
	require.Equal(t, []string{part(2, 1), errTimeout.Error()}, <-two, "incomplete, and said")
	p.exchanges.mu.Lock()
	defer p.exchanges.mu.Unlock()
	for k := range p.exchanges.open {
		require.NotEqual(t, "fortest", k.cmdType)
	}
}

func TestStopHangsUp(t *testing.T) {
	opt := Options{Config: defaultConfig()}
	p, err := New(opt)
	require.NoError(t, err)
	stop := run(t, p)
	dev := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	got := ring(t.Context(), p, invitation{})
	dev.answer(dev.getRequest("INVITE", ""), 200, "", "")
	require.NoError(t, (<-got).err)
	done := make(chan struct{})
	began := time.Now()
	go func() { stop(); close(done) }()
	dev.answer(dev.getRequest("BYE", ""), 200, "", "")
	<-done
	require.Less(t, time.Since(began), 4*time.Second)
	_, err = p.invite(t.Context(), p.device(cameraID), invitation{target: cameraID})
	require.True(t, errors.Is(err, errStopping))
}
