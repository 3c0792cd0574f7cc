package gb28181

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/sharpeyes/sharpeyes/gb28181/manscdp"
	"github.com/sharpeyes/sharpeyes/gb28181/media"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// Times of a media session.
const (
	inviteWithin = 15 * time.Second // until the device must have answered INVITE
	byeWithin    = 2 * time.Second  // for its answer to BYE
	busyPause    = time.Second      // before a device that was busy is asked again
)

// callKind is what a media session is for.
type callKind uint8

const (
	live callKind = iota
	playback
	download
)

// String returns the label of metrics.
func (k callKind) String() string { return [...]string{"live", "playback", "download"}[k%3] }

// session returns the value of s= (GB/T 28181 annex G).
func (k callKind) session() string {
	return [...]string{manscdp.SessionPlay, manscdp.SessionPlayback, manscdp.SessionDownload}[k%3]
}

// wish is the stream that is asked of a device.
type wish struct {
	dev       *device
	channel   string
	kind      callKind
	substream int       // live: 0 main, 1 sub, 2 third
	from, to  time.Time // history
	speed     int       // download, as many times real time; at least 1

	transport media.Transport
	fell      bool          // nobody connected by TCP before
	wait      time.Duration // for the first packet
	silence   time.Duration // afterwards
	camera    ingest.CameraID
	sink      ingest.Sink
	bytes     func([]byte)
}

// callState is how far a call has come.
type callState uint8

const (
	stateInviting callState = iota // INVITE is sent
	stateWaiting                   // the device accepted, nothing came
	stateFlowing                   // media comes
	statePaused                    // a playback that rests
	stateCount
)

// String returns the label of metrics.
func (s callState) String() string {
	return [...]string{"inviting", "waiting", "flowing", "paused"}[s%stateCount]
}

// call is one media session with a device, from INVITE to BYE.
type call struct {
	wish
	p      *Platform
	serial int
	ssrc   string
	stream *media.Stream
	began  time.Time // of the INVITE

	flowing  chan struct{} // media comes
	finished chan struct{} // the device said that the record is over
	once     sync.Once     // finished is closed
	closed   sync.Once

	mu     sync.Mutex
	dialog *dialog
	answer manscdp.SDP
	paused bool
	cseq   int // of MANSRTSP
}

// openCall asks a device for a stream and returns when it has accepted; media comes
// then, or before. The call must be closed. The error is a *ingest.Fault or
// ctx.Err(); then nothing is left, here or at the device.
func (p *Platform) openCall(ctx context.Context, w wish) (*call, error) {
	p.calls.hangUpLeft(ctx, w.dev)
	c, err := p.dial(ctx, w)
	var busy *statusError
	if errors.As(err, &busy) && busy.Code == 486 && ctx.Err() == nil {
		// The device may hold a call of ours that it has not ended yet.
		p.log.Info("device is busy, asking once more", "device", w.dev.id, "channel", w.channel)
		if pause(ctx, busyPause) {
			c, err = p.dial(ctx, w)
		}
	}
	if err != nil {
		return nil, p.refusal(ctx, w, err)
	}
	return c, nil
}

// dial opens the port, sends INVITE and reads the answer.
func (p *Platform) dial(ctx context.Context, w wish) (*call, error) {
	serial, r, err := p.calls.take()
	if err != nil {
		return nil, err
	}
	c := &call{wish: w, p: p, serial: serial, ssrc: manscdp.NewSSRC(w.kind != live, p.id, serial), began: time.Now(), flowing: make(chan struct{}), finished: make(chan struct{})}
	c.wish.sink = &timed{Sink: w.sink, c: c}
	p.calls.add(c)
	route, err := w.dev.way()
	if err != nil {
		c.close(err)
		return nil, err
	}
	number, _ := strconv.ParseUint(c.ssrc, 10, 32) // ten digits of which the first is 0 or 1
	stream, err := r.Open(media.Expect{
		Camera: w.camera, SSRC: uint32(number), Transport: w.transport, Remote: netip.AddrPortFrom(route.addr.Addr(), 0),
		Sink: c.wish.sink, Bytes: w.bytes, Wait: w.wait, Silence: w.silence,
	})
	if err != nil {
		c.close(err)
		return nil, err
	}
	c.mu.Lock()
	c.stream = stream
	c.mu.Unlock()
	limit, cancel := context.WithTimeout(ctx, inviteWithin)
	defer cancel()
	at := p.calls.announce(w.dev)
	d, err := p.invite(limit, w.dev, invitation{
		target: w.channel, offer: c.offer(at), onRequest: c.request,
		subject: fmt.Sprintf("%s:%s,%s:0", w.channel, c.ssrc, p.id),
	})
	if err != nil {
		c.close(err)
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			err = errTimeout
		}
		return nil, err
	}
	p.calls.ledger.begun(d)
	c.mu.Lock()
	c.dialog = d
	c.mu.Unlock()
	if err := c.answered(route); err != nil {
		c.close(err)
		return nil, err
	}
	return c, nil
}

// answered reads the device's answer. Nothing in it is needed but, if we are to
// connect, where to.
func (c *call) answered(at route) error {
	// What cannot be read is as good as absent: media tells the rest.
	answer, err := manscdp.ParseSDP(c.dialog.Answer().Body())
	c.mu.Lock()
	c.answer = answer
	c.mu.Unlock()
	ssrc, _ := answer.SSRCValue()
	var remote netip.AddrPort
	m := answer.Video()
	if err == nil && m != nil && m.Port > 0 && m.Port <= 65535 {
		remote = reach(answer.Remote(m), at.addr.Addr())
	}
	c.stream.Answered(ssrc, remote)
	switch {
	case c.transport == media.TCPActive && !remote.IsValid():
		return errNowhere
	case c.transport == media.TCPActive, c.transport == media.TCPPassive && m != nil && m.TCP && m.Setup == manscdp.SetupPassive && remote.Port() > 9:
		// A device that says that it listens, although we do, may mean it.
		c.stream.Dial(remote)
	}
	return nil
}

var errNowhere = errors.New("the device's answer does not say where it listens")

// reach returns where media of a device is to be fetched or comes from: what it
// says, unless that is an address of its own network and we know it by another.
func reach(said netip.AddrPort, seen netip.Addr) netip.AddrPort {
	a := said.Addr().Unmap()
	if !a.IsValid() || a.IsUnspecified() || (a.IsPrivate() && !seen.IsPrivate()) || (a.IsLoopback() && !seen.IsLoopback()) {
		a = seen
	}
	return netip.AddrPortFrom(a, said.Port())
}

// request hears what the device says inside the call: some end a record so.
func (c *call) request(_, _ string, body []byte) {
	if m, err := manscdp.ParseRTSP(body); err == nil && m.Method == manscdp.RTSPTeardown {
		c.over()
	}
}

// over says that the record is at its end.
func (c *call) over() { c.once.Do(func() { close(c.finished) }) }

func (c *call) callID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dialog == nil {
		return ""
	}
	return c.dialog.CallID()
}

// wait returns when the call has ended: with the stream's error, errPeerBye when
// the device hung up, nil at the end of a record, or ctx.Err().
func (c *call) wait(ctx context.Context) error {
	select {
	case <-c.stream.Done():
		return c.stream.Err()
	case <-c.dialog.Done():
		return c.hungUp()
	case <-c.finished:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hungUp says why a call whose dialog is over has ended. A device says BYE also
// because its record is at its end, or because we closed a stream that could not
// be read: then that is why, whichever of both is noticed first.
func (c *call) hungUp() error {
	select {
	case <-c.finished:
		return nil
	default:
	}
	select {
	case <-c.stream.Done():
		if err := c.stream.Err(); err != nil && !errors.Is(err, media.ErrHungUp) {
			return err
		}
	default:
	}
	if err := c.dialog.Err(); err != nil {
		return err
	}
	return errStopping // our own hang-up, by Platform.Run
}

// close sends BYE if the device has accepted and closes the stream. why is how
// it ended, for the figures. It may be called again.
func (c *call) close(why error) {
	c.closed.Do(func() {
		c.mu.Lock()
		d, s := c.dialog, c.stream
		c.mu.Unlock()
		if d != nil {
			limit, cancel := context.WithTimeout(context.Background(), byeWithin)
			// A device that does not answer BYE any more ends by itself; a new
			// call to it is another one.
			_ = d.bye(limit)
			cancel()
			c.p.calls.ledger.ended(d.CallID())
		}
		if s != nil {
			s.Close()
		}
		c.p.calls.remove(c, endLabel(why))
	})
}

// state says how far the call has come.
func (c *call) state() callState {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.dialog == nil:
		return stateInviting
	case c.paused:
		return statePaused
	case c.stream.Stats().FirstPacket.IsZero():
		return stateWaiting
	}
	return stateFlowing
}

// timed is a sink that notes when the first packet and the first access unit of
// a call came.
type timed struct {
	ingest.Sink
	c      *call
	begun  sync.Once
	opened sync.Once
}

// Connected implements ingest.Sink.
func (t *timed) Connected(transport string) {
	t.begun.Do(func() { close(t.c.flowing) })
	if t.c.fell && transport == "udp" {
		t.c.p.calls.remember(t.c.dev, true)
	}
	t.Sink.Connected(transport)
}

// Write implements ingest.Sink.
func (t *timed) Write(u ingest.AccessUnit) {
	t.opened.Do(func() { t.c.p.calls.first.observe(t.c.kind, u.Received.Sub(t.c.began)) })
	t.Sink.Write(u)
}

// pause waits; it returns false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
