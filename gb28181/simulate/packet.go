package simulate

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/sharpeyes/sharpeyes/gb28181/ps"
)

// payloadSize is the most payload in one RTP packet: what fits an Ethernet
// frame with IP, UDP and RTP headers, and a little less.
const payloadSize = 1400

// writer makes RTP packets of access units (RFC 3550), for one session.
type writer struct {
	s      *session
	ssrc   uint32
	seq    uint16
	first  uint32 // RTP time of media time zero
	mux    *ps.Muxer
	ts     *tsMuxer
	buf    []byte
	packet []byte
}

func newWriter(s *session) *writer {
	w := &writer{s: s, ssrc: s.ssrc, seq: uint16(rand.Uint32()), first: rand.Uint32(), mux: ps.NewMuxer(s.channel.clip.streamType)}
	if s.d.has(WrongSSRC) {
		w.ssrc++
	}
	if s.d.has(TransportPS) {
		w.ts = &tsMuxer{streamType: s.channel.clip.streamType}
	}
	return w
}

// write sends one unit at its media time: PS, or what the faults make of it.
func (w *writer) write(m *media, u *unit, at time.Duration) error {
	pts := int64(at / time.Microsecond * 9 / 100) // 90 kHz
	d := w.s.d
	if d.has(RawH264) {
		return w.writeRaw(m, u, pts)
	}
	if w.ts != nil {
		w.buf = w.ts.frame(w.buf[:0], u.annexB, pts, u.key)
		return w.split(m, w.buf, payloadSize/tsPacket*tsPacket, 33, pts)
	}
	w.buf = w.mux.Frame(w.buf[:0], u.annexB, pts, u.key)
	if d.has(NoPSM) {
		w.buf = withoutMap(w.buf)
	}
	return w.split(m, w.buf, payloadSize, 96, pts)
}

// split sends b in packets of at most size bytes; the last has the marker.
func (w *writer) split(m *media, b []byte, size int, payloadType byte, pts int64) error {
	for len(b) > 0 {
		n := min(size, len(b))
		if err := w.send(m, b[:n], payloadType, pts, n == len(b)); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func (w *writer) send(m *media, payload []byte, payloadType byte, pts int64, marker bool) error {
	w.packet = w.header(w.packet[:0], payloadType, pts, marker)
	w.packet = append(w.packet, payload...)
	w.s.d.sim.stats.bytes.Add(uint64(len(payload)))
	return m.packet(w.packet)
}

func (w *writer) header(b []byte, payloadType byte, pts int64, marker bool) []byte {
	if marker {
		payloadType |= 0x80
	}
	b = append(b, 0x80, payloadType)
	b = binary.BigEndian.AppendUint16(b, w.seq)
	b = binary.BigEndian.AppendUint32(b, w.first+uint32(pts))
	w.seq++
	return binary.BigEndian.AppendUint32(b, w.ssrc)
}

// halfPacket is a packet that promises a frame and holds its beginning only.
func (w *writer) halfPacket() []byte {
	b := w.header(nil, 96, 0, false)
	u := &w.s.channel.clip.units[0]
	frame := w.mux.Frame(nil, u.annexB, 0, true)
	return append(b, frame[:min(len(frame)/2, payloadSize)]...)
}

// withoutMap cuts the program stream map out of a pack: it stands before the
// first picture data, so the first one found is one.
func withoutMap(b []byte) []byte {
	i := bytes.Index(b, []byte{0, 0, 1, 0xBC})
	pes := bytes.Index(b, []byte{0, 0, 1, ps.StreamVideo})
	if i < 0 || i+6 > len(b) || (pes >= 0 && pes < i) {
		return b
	}
	length := 6 + int(binary.BigEndian.Uint16(b[i+4:]))
	return append(b[:i], b[min(i+length, len(b)):]...)
}

// writeRaw sends the NAL units without a multiplex: single ones, and fragments
// of those that do not fit (RFC 6184 §5.8 FU-A, RFC 7798 §4.4.3).
func (w *writer) writeRaw(m *media, u *unit, pts int64) error {
	for i, n := range u.nalus {
		last, payloadType := i == len(u.nalus)-1, byte(98)
		if w.s.channel.clip.streamType == ps.TypeH265 {
			payloadType = 100
		}
		if len(n) <= payloadSize {
			if err := w.send(m, n, payloadType, pts, last); err != nil {
				return err
			}
			continue
		}
		head, kind := []byte{n[0]&0xE0 | 28, 0}, n[0]&0x1F
		body := n[1:]
		if w.s.channel.clip.streamType == ps.TypeH265 {
			head, kind = []byte{n[0]&0x81 | 49<<1, n[1], 0}, n[0]>>1&0x3F
			body = n[2:]
		}
		for start := true; len(body) > 0; start = false {
			size := min(payloadSize-len(head), len(body))
			flags := kind
			if start {
				flags |= 0x80
			}
			if size == len(body) {
				flags |= 0x40
			}
			head[len(head)-1] = flags
			if err := w.send(m, append(bytes.Clone(head), body[:size]...), payloadType, pts, last && size == len(body)); err != nil {
				return err
			}
			body = body[size:]
		}
	}
	return nil
}
