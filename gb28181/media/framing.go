package media

import (
	"encoding/binary"
	"errors"
)

// Bounds of one TCP connection's framing.
const (
	frameMax     = 65535
	bufferStart  = 8 << 10            // what a connection costs before it shows whose it is
	bufferUsual  = 64 << 10           // as far as it grows to read a picture at once
	bufferMax    = 2 * (frameMax + 4) // a frame and the header of the next, wherever they begin
	readAtLeast  = 4 << 10
	maxGarbage   = 256 << 10 // bytes in a row that are no frame
	forgetSource = 64 << 10  // after so much garbage another SSRC may follow
)

// errGarbage ends a connection that carries no RTP.
var errGarbage = errors.New("no RTP frame in 256 KiB")

// framing is how RTP packets stand in a TCP connection.
type framing uint8

const (
	framingUnknown framing = iota
	framing4571            // 16 bits of length (RFC 4571 §2), what GB/T 28181 annex D asks for
	framingDollar          // "$", channel, 16 bits of length (RFC 2326 §10.12), what some devices send all the same
)

func (f framing) header() int {
	if f == framingDollar {
		return 4
	}
	return 2
}

// framer cuts a TCP byte stream into RTP and RTCP packets. It finds the framing
// by itself, skips what vendors put in front (EHome sends 256 bytes), and finds
// back after garbage by looking for two frames in a row. Its memory is bounded;
// bytes that never become frames end in errGarbage. It is not safe for
// concurrent use.
type framer struct {
	buf  []byte
	r, w int
	full bool // the last read filled it

	mode    framing
	synced  bool
	started bool   // a frame was found before
	ssrc    uint32 // of the last RTP packet
	known   bool   // ssrc is set
	garbage int    // bytes since the last frame
	looked  int    // bytes from r on that were searched without success

	skipped uint64 // bytes that were in no frame
	resyncs uint64 // times the framing was lost
}

// space returns room for the next read. Frames that next returned are no longer
// valid.
func (f *framer) space() []byte {
	if f.buf == nil {
		f.buf = make([]byte, bufferStart)
	}
	if f.r == f.w {
		f.r, f.w = 0, 0
	}
	if f.full && len(f.buf) < bufferUsual {
		f.grow()
	}
	if len(f.buf)-f.w < readAtLeast && f.r > 0 {
		f.w = copy(f.buf, f.buf[f.r:f.w])
		f.r = 0
	}
	if len(f.buf)-f.w < readAtLeast {
		f.grow()
	}
	return f.buf[f.w:]
}

func (f *framer) grow() {
	bigger := make([]byte, min(2*len(f.buf), bufferMax+readAtLeast))
	f.w = copy(bigger, f.buf[f.r:f.w])
	f.r, f.buf = 0, bigger
}

// wrote says that n bytes were put into space.
func (f *framer) wrote(n int) {
	f.w += n
	f.full = f.w == len(f.buf)
}

// next returns the next packet, valid until space is called; ok is false when
// more bytes are needed.
func (f *framer) next() (frame []byte, ok bool, err error) {
	for {
		if !f.synced {
			if f.search(); !f.synced {
				if f.garbage > maxGarbage {
					return nil, false, errGarbage
				}
				return nil, false, nil
			}
		}
		n, state := f.at(f.r, f.mode)
		switch state {
		case short:
			return nil, false, nil
		case no:
			if f.mode == framing4571 && f.w-f.r >= 2 && f.buf[f.r] == 0 && f.buf[f.r+1] == 0 {
				f.r += 2 // an empty frame, which some send to keep a NAT open
				continue
			}
			f.synced, f.looked = false, 0
			f.resyncs++
			continue
		}
		frame = f.buf[f.r+f.mode.header() : f.r+n]
		f.r += n
		f.garbage = 0
		if !isRTCP(frame) {
			f.ssrc, f.known = binary.BigEndian.Uint32(frame[8:]), true
		}
		return frame, true, nil
	}
}

// verdict is what can be said of a place in the buffer.
type verdict uint8

const (
	no    verdict = iota // no frame begins here
	short                // maybe: more bytes are needed
	yes                  // a frame stands here
)

// at looks whether a frame of the given framing stands at p, and how long it is
// with its header.
func (f *framer) at(p int, mode framing) (int, verdict) {
	b := f.buf[p:f.w]
	h := mode.header()
	if mode == framingDollar && len(b) > 0 && b[0] != '$' {
		return 0, no
	}
	if len(b) < h {
		return 0, short
	}
	n := int(binary.BigEndian.Uint16(b[h-2:]))
	if n < 8 {
		return 0, no
	}
	if len(b) > h && b[h]>>6 != 2 {
		return 0, no
	}
	if len(b) < h+2 {
		return 0, short
	}
	if rtcp := b[h+1] >= 192 && b[h+1] <= 223; !rtcp && n < rtpHeader {
		return 0, no
	}
	if len(b) < h+n {
		return h + n, short
	}
	return h + n, yes
}

// search looks for a frame from f.r on. The very first bytes of a connection
// are believed if they look like RTP; elsewhere a second frame must follow the
// first one, from the same sender.
func (f *framer) search() {
	if f.garbage > forgetSource {
		f.known = false
	}
	if !f.started && f.fresh() {
		return
	}
	// A place cannot be judged before what follows is there, so that places are
	// looked at again; seldom enough for the work to stay in proportion, however
	// small the portions are.
	if have := f.w - f.r; have-f.looked < have/16 || have == f.looked {
		return
	}
	for p := f.r; p < f.w; p++ {
		// "$" first: as a length it would stand for more than 9 KB.
		for _, mode := range [...]framing{framingDollar, framing4571} {
			if f.confirmed(p, mode) {
				f.skip(p - f.r)
				f.mode, f.synced, f.looked = mode, true, 0
				return
			}
		}
	}
	// Nothing begins where all that could follow has been seen.
	if over := f.w - f.r - (frameMax + 4 + 4 + rtpHeader); over > 0 {
		f.skip(over)
	}
	f.looked = f.w - f.r
}

// fresh takes up the framing at the beginning of a connection.
func (f *framer) fresh() bool {
	for _, mode := range [...]framing{framingDollar, framing4571} {
		h := mode.header()
		if f.w < h+2 {
			return true // look again with more bytes
		}
		if _, v := f.at(0, mode); v != no && f.r == 0 && f.buf[h]&0xef == 0x80 {
			f.mode, f.synced, f.started = mode, true, true
			return true
		}
	}
	f.started = true
	return false
}

func (f *framer) skip(n int) {
	f.r += n
	f.skipped += uint64(n)
	f.garbage += n
}

// confirmed says whether a whole RTP packet stands at p and the header of
// another one of the same sender behind it.
func (f *framer) confirmed(p int, mode framing) bool {
	n, v := f.at(p, mode)
	h := mode.header()
	if v != yes || isRTCP(f.buf[p+h:p+n]) {
		return false
	}
	ssrc := binary.BigEndian.Uint32(f.buf[p+h+8:])
	if f.known && ssrc != f.ssrc {
		return false
	}
	p += n
	for mode == framing4571 && f.w-p >= 2 && f.buf[p] == 0 && f.buf[p+1] == 0 {
		p += 2 // empty frames
	}
	if f.w-p < h+rtpHeader {
		return false
	}
	if _, v = f.at(p, mode); v == no {
		return false
	}
	at := 8
	if isRTCP(f.buf[p+h : f.w]) {
		at = 4
	}
	return binary.BigEndian.Uint32(f.buf[p+h+at:]) == ssrc
}
