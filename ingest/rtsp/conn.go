package rtsp

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// maxDials bounds the connections of one session: a redirect makes another.
const maxDials = 4

// udpBuffer holds a key frame of 1080p that comes in one burst. The kernel
// gives less where net.core.rmem_max says so.
const udpBuffer = 2 << 20

func listenUDP(network, address string) (net.PacketConn, error) {
	c, err := net.ListenPacket(network, address)
	if u, ok := c.(*net.UDPConn); ok && err == nil {
		_ = u.SetReadBuffer(udpBuffer) // a wish
	}
	return c, err
}

// dial connects to the camera and to nobody else: a redirect must not carry the
// camera's credentials to another host, nor make us knock at other doors.
func (x *session) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if host != x.src.url.Hostname() || x.dials.Add(1) > maxDials {
		return nil, &ingest.Fault{Reason: ingest.ReasonBadStream, Err: errors.New("redirected to another host, or in a circle"),
			Hint: "write the address that the camera redirects to into the configuration"}
	}
	c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	h := &headConn{Conn: c}
	x.conn.Store(h)
	return h, nil
}

// headConn remembers the first bytes that came, and takes the packets of a
// stream before gortsplib sees them.
type headConn struct {
	net.Conn
	frames interleaved
	mu     sync.Mutex
	head   []byte
}

// Read implements net.Conn.
func (c *headConn) Read(b []byte) (int, error) {
	if c.frames.on.Load() {
		return c.frames.read(b, c.Conn.Read)
	}
	n, err := c.Conn.Read(b)
	if n > 0 && c.frames.on.Load() {
		// This read waited while the stream was asked for, and brought the answer
		// and what came after it.
		return c.frames.first(b, n, c.Conn.Read)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if missing := len("RTSP") - len(c.head); missing > 0 {
		c.head = append(c.head, b[:min(n, missing)]...)
	}
	return n, err
}

// foreign returns the fault of a peer that answered in another language, which
// the client skips silently and then runs out of time: most often the address
// names the port of the camera's web page.
func (x *session) foreign() *ingest.Fault {
	c := x.conn.Load()
	if c == nil || x.src.url.Scheme != "rtsp" {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch string(c.head) {
	case "", "RTSP":
		return nil
	case "HTTP":
		return &ingest.Fault{Reason: ingest.ReasonBadStream, Err: errors.New("answers in HTTP"),
			Hint: "this is the camera's web port: RTSP is usually at port 554"}
	}
	return &ingest.Fault{Reason: ingest.ReasonBadStream, Err: errors.New("answers, but not in RTSP"), Hint: hintBad}
}
