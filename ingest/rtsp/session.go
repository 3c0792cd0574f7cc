package rtsp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/headers"
	"github.com/pion/rtp"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// closeWithin is how long a session that is to end may take to say so to
// the camera before its connection is cut.
const closeWithin = time.Second

// errSilent ends a TCP session in which no packet came, so that UDP is tried.
var errSilent = errors.New("no packet came over tcp")

// session is one RTSP session over one transport.
type session struct {
	src       *source
	client    *gortsplib.Client
	transport gortsplib.Transport

	method  base.Method // of the request under way; the client's goroutine only
	track   *Track      // chosen; ditto until Describe returned
	channel int         // of RTP over TCP; ditto until Setup returned
	fault   error       // found in the description; ditto

	conn    atomic.Pointer[headConn]
	dials   atomic.Int32
	cut     atomic.Bool // the connection was cut because setting up took too long
	shaken  atomic.Bool // the TLS handshake went well
	garbled atomic.Uint64

	mu        sync.Mutex // the sink hears one call at a time
	sink      ingest.Sink
	connected bool
	packets   uint64
	units     uint64
	depacket  *depacketiser
}

// newSession prepares a session; the error is of the TLS settings.
func newSession(s *source, sink ingest.Sink, t gortsplib.Transport) (*session, error) {
	tlsCfg, err := tlsConfig(s.cam.TLS) // anew: files may have changed
	if err != nil {
		return nil, err
	}
	x := &session{src: s, sink: sink, transport: t, channel: -1}
	verify := tlsCfg.VerifyConnection
	tlsCfg.VerifyConnection = func(st tls.ConnectionState) error {
		if verify != nil {
			if err := verify(st); err != nil {
				return err
			}
		}
		x.shaken.Store(true)
		return nil
	}
	x.client = &gortsplib.Client{
		ReadTimeout:           s.timeout,
		WriteTimeout:          s.timeout,
		InitialUDPReadTimeout: s.timeout,
		ListenPacket:          listenUDP,
		TLSConfig:             tlsCfg,
		Transport:             &x.transport,
		AnyPortEnable:         true, // the address of the sender is still checked; many cameras leave out the port
		UserAgent:             "sharpeyes",
		DialContext:           x.dial,
		OnRequest:             func(r *base.Request) { x.method = r.Method },
		OnResponse:            x.response,
		OnTransportSwitch:     func(error) {},  // does not happen with a fixed transport; the default prints
		OnPacketsLost:         func(uint64) {}, // the depacketiser counts, over both transports the same way
		OnDecodeError:         func(error) { x.garbled.Add(1) },
	}
	return x, nil
}

// hangUp cuts the connection under the client, which makes every call of it
// return, a TLS handshake included.
func (x *session) hangUp() {
	if c := x.conn.Load(); c != nil {
		_ = c.Close() // it is being given up
	}
}

// response looks at each answer before the client does.
func (x *session) response(r *base.Response) {
	switch {
	case x.method == base.Options && r.StatusCode != base.StatusUnauthorized:
		// OPTIONS is a courtesy; cameras that do not know it answer anything.
		r.StatusCode = base.StatusOK
	case x.method == base.Describe && r.StatusCode == base.StatusOK:
		r.Body, x.fault = x.describe(r.Body)
		if x.fault != nil {
			r.StatusCode = base.StatusNotAcceptable // end here; x.fault says why
			return
		}
		r.Header["Content-Type"] = base.HeaderValue{"application/sdp"} // some leave it out
	case x.method == base.Setup && r.StatusCode == base.StatusOK:
		x.channel = rtpChannel(r)
	}
}

// describe chooses the track and returns a description of it alone.
func (x *session) describe(body []byte) ([]byte, error) {
	d, err := parseSDP(body)
	if err != nil {
		return nil, &ingest.Fault{Reason: ingest.ReasonBadStream, Err: err, Hint: hintBad}
	}
	t, err := d.choose()
	if x.src.onTracks != nil {
		x.src.onTracks(d.tracks, t)
	}
	if err != nil {
		return nil, err
	}
	x.track = t
	return d.minimal(t), nil
}

// run plays the stream until it ends, fails or ctx is done. With silence above
// zero it ends with errSilent when no packet came for that long.
func (x *session) run(ctx context.Context, silence time.Duration) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	x.client.Scheme, x.client.Host = x.src.url.Scheme, x.src.url.Host
	if err := x.client.Start2(); err != nil {
		return faultOf("start", err)
	}
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		x.close()
	})
	defer func() {
		if stop() {
			x.close()
			return
		}
		<-closed
	}()
	// Three answers, each within the timeout, and a handshake.
	setup := time.AfterFunc(2*x.src.timeout, func() {
		x.cut.Store(true)
		x.hangUp()
	})
	err := x.setup()
	setup.Stop()
	if f := x.foreign(); f != nil && err != nil && ctx.Err() == nil {
		return f
	}
	if err == nil {
		if silence > 0 {
			t := time.AfterFunc(silence, func() {
				if x.silent() {
					end(errSilent)
				}
			})
			defer t.Stop()
		}
		err = faultOf("play", x.client.Wait())
	}
	switch {
	case errors.Is(context.Cause(ctx), errSilent):
		return &ingest.Fault{Reason: ingest.ReasonNoFrames, Err: errSilent, Hint: hintNothing}
	case x.src.url.Scheme == "rtsps" && x.conn.Load() != nil && !x.shaken.Load() && ctx.Err() == nil:
		// Whatever came of it, it came of the handshake.
		return &ingest.Fault{Reason: ingest.ReasonTLS, Err: fmt.Errorf("handshake: %w", err), Hint: hintTLS}
	case x.cut.Load():
		return &ingest.Fault{Reason: ingest.ReasonTimeout, Err: errors.New("setting up took too long"), Hint: hintTimeout}
	}
	return err
}

// close ends the session: TEARDOWN if there is time, then the connection.
func (x *session) close() {
	t := time.AfterFunc(closeWithin, x.hangUp)
	defer t.Stop()
	x.client.Close()
}

// setup goes through OPTIONS, DESCRIBE, SETUP and PLAY.
func (x *session) setup() error {
	desc, _, err := x.client.Describe(x.src.url)
	if x.fault != nil {
		return x.fault
	}
	if err != nil {
		return faultOf("describe", err)
	}
	if x.track == nil || len(desc.Medias) != 1 || len(desc.Medias[0].Formats) != 1 {
		return &ingest.Fault{Reason: ingest.ReasonBadStream, Err: errors.New("describe: answer without description"), Hint: hintBad}
	}
	media := desc.Medias[0]
	if _, err := x.client.Setup(desc.BaseURL, media, 0, 0); err != nil {
		return faultOf("setup", err)
	}
	x.receive(media)
	if _, err := x.client.Play(nil); err != nil {
		return faultOf("play", err)
	}
	x.mu.Lock()
	x.connect()
	x.mu.Unlock()
	return nil
}

// receive makes the way of the packets to the sink.
func (x *session) receive(media *description.Media) {
	x.depacket = &depacketiser{
		asm:   ingest.Assembler{Camera: ingest.CameraID(x.src.cam.ID), Codec: x.track.codec()},
		clock: rtpClock{rate: 90000},
		emit: func(u ingest.AccessUnit) {
			x.units++
			x.sink.Write(u)
		},
		lost:    func(n uint64) { x.sink.Lost(n) },
		buffers: x.src.buffers,
	}
	if r := x.track.ClockRate; r >= 1000 {
		x.depacket.clock.rate = int64(r)
	}
	x.depacket.asm.Remember(x.track.parameterSets()...)
	packet := func(p *rtp.Packet, at time.Time) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.connect() // packets may overtake the answer to PLAY
		x.packets++
		x.depacket.packet(p, at)
	}
	if c := x.conn.Load(); c != nil && x.channel >= 0 && x.src.url.Scheme == "rtsp" && x.transport == gortsplib.TransportTCP {
		c.frames.begin(byte(x.channel), media.Formats[0].PayloadType(), packet, func() { x.garbled.Add(1) })
		return
	}
	x.client.OnPacketRTP(media, media.Formats[0], func(p *rtp.Packet) { packet(p, time.Now()) })
}

// rtpChannel reads from the answer to SETUP on which channel the packets will
// come, -1 when it does not say: then gortsplib takes them all.
func rtpChannel(r *base.Response) int {
	var t headers.Transport
	if t.Unmarshal(r.Header["Transport"]) != nil || t.InterleavedIDs == nil {
		return -1
	}
	if id := t.InterleavedIDs[0]; id >= 0 && id <= 255 {
		return id
	}
	return -1
}

// connect tells the sink, once; x.mu is held.
func (x *session) connect() {
	if x.connected {
		return
	}
	x.connected = true
	switch {
	case x.src.url.Scheme == "rtsps":
		x.sink.Connected("tls")
	case x.transport == gortsplib.TransportUDP:
		x.sink.Connected("udp")
	default:
		x.sink.Connected("tcp")
	}
}

func (x *session) silent() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.packets == 0
}

// garbage returns the fault of a session in which packets came, but not one
// access unit.
func (x *session) garbage() *ingest.Fault {
	x.mu.Lock()
	defer x.mu.Unlock()
	bad := x.garbled.Load()
	if x.depacket == nil || x.units > 0 || x.packets+bad == 0 {
		return nil
	}
	return &ingest.Fault{
		Reason: ingest.ReasonBadStream,
		Err:    fmt.Errorf("%d packets, none of them a part of a picture", x.packets+bad),
		Hint:   "the camera's RTP cannot be read: update its firmware, or set another codec",
	}
}
