package rtsp

import (
	"bytes"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"
)

const (
	// frameBuffer holds some dozens of packets: what one read of the socket may
	// bring. It must hold one interleaved frame, which is at most 64 KiB.
	frameBuffer = 68 << 10
	// sampleEvery is how often a packet goes on to gortsplib all the same, which
	// ends a session in which it sees none for its timeout.
	sampleEvery = 250 * time.Millisecond
)

// interleaved takes the RTP packets of one channel out of an RTSP connection over
// TCP (RFC 2326 §10.12) before gortsplib reads it, and leaves the rest: answers,
// requests, RTCP. gortsplib allocates for each packet, locks some times and keeps
// statistics that nobody asks for over TCP; of an idle camera that was most of
// what receiving cost, beside the kernel. It is used by one goroutine, the
// reader of the connection; begin may be called by another before the first
// packet can come.
type interleaved struct {
	on      atomic.Bool
	channel byte
	payload uint8
	packet  func(*rtp.Packet, time.Time)
	garbled func()

	buf     []byte // read from the socket
	from    int    // not looked at yet: buf[from:]
	pass    int    // so many bytes from there on are gortsplib's
	parsed  rtp.Packet
	sampled time.Time
}

// begin starts to take packets of the channel with that payload type. What was
// read before belongs to gortsplib: the next byte must begin a frame or an answer.
func (x *interleaved) begin(channel byte, payload uint8, packet func(*rtp.Packet, time.Time), garbled func()) {
	x.channel, x.payload, x.packet, x.garbled = channel, payload, packet, garbled
	x.buf = make([]byte, 0, frameBuffer)
	x.on.Store(true)
}

// first is read for a b that holds n bytes already.
func (x *interleaved) first(b []byte, n int, read func([]byte) (int, error)) (int, error) {
	x.buf = append(x.buf, b[:n]...)
	x.take(time.Now())
	return x.read(b, read)
}

// read fills b with what is gortsplib's. read is that of the connection.
func (x *interleaved) read(b []byte, read func([]byte) (int, error)) (int, error) {
	for {
		if n := min(x.pass, len(x.buf)-x.from, len(b)); n > 0 {
			copy(b, x.buf[x.from:x.from+n])
			x.from, x.pass = x.from+n, x.pass-n
			return n, nil
		}
		if x.pass == 0 && x.next() {
			continue
		}
		if len(b) == 0 {
			return 0, nil
		}
		x.buf = x.buf[:copy(x.buf[:cap(x.buf)], x.buf[x.from:])]
		x.from = 0
		n, err := read(x.buf[len(x.buf):cap(x.buf)])
		x.buf = x.buf[:len(x.buf)+n]
		if n == 0 && err != nil {
			return 0, err
		}
		x.take(time.Now())
	}
}

// take uses up the packets at the front of what was read.
func (x *interleaved) take(at time.Time) {
	for x.pass == 0 {
		b := x.buf[x.from:]
		if len(b) < 4 || b[0] != '$' || b[1] != x.channel {
			return
		}
		n := 4 + int(b[2])<<8 + int(b[3])
		if n > len(b) {
			return
		}
		if at.Sub(x.sampled) >= sampleEvery {
			// gortsplib sees it too; it throws it away.
			x.sampled, x.pass = at, n
		}
		x.hand(b[4:n], at)
		if x.pass == 0 {
			x.from += n
		}
	}
}

// hand parses one packet and hands it on; it is valid until that returns.
func (x *interleaved) hand(b []byte, at time.Time) {
	if x.parsed.Unmarshal(b) != nil || x.parsed.PayloadType != x.payload {
		x.garbled()
		return
	}
	x.packet(&x.parsed, at)
}

// next looks what stands at the front when it is no packet of ours, and says
// whether it went on. False means that more must be read.
func (x *interleaved) next() bool {
	b := x.buf[x.from:]
	if len(b) < 4 {
		return false
	}
	if b[0] == '$' {
		n := 4 + int(b[2])<<8 + int(b[3])
		if b[1] == x.channel {
			if n <= len(b) {
				x.take(time.Now())
				return true
			}
			return false
		}
		x.pass = n
		return true
	}
	if !textBegins(b) {
		x.from++ // gortsplib skips it too
		return true
	}
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		if len(x.buf)-x.from < cap(x.buf) {
			return false
		}
		x.pass = len(b) // longer than any answer: let gortsplib refuse it
		return true
	}
	x.pass = end + 4 + contentLength(b[:end])
	return true
}

// textBegins says whether an answer or a request begins here (gortsplib looks at
// two letters; so do we).
func textBegins(b []byte) bool {
	switch string(b[:2]) {
	case "RT", "AN", "DE", "GE", "OP", "PA", "PL", "RE", "SE", "TE":
		return true
	}
	return false
}

// contentLength reads the length of the body from a head; without one, or with
// nonsense, it is 0.
func contentLength(head []byte) int {
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || !bytes.EqualFold(bytes.TrimSpace(name), []byte("content-length")) {
			continue
		}
		n, err := strconv.Atoi(string(bytes.TrimSpace(value)))
		if err == nil && n > 0 && n <= maxBody {
			return n
		}
	}
	return 0
}

// maxBody bounds a body in the middle of a stream.
const maxBody = 1 << 20
