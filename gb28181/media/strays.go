package media

import (
	"net/netip"
	"time"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// maxStrays bounds what is kept of packets that belong to no stream.
const maxStrays = 1024

// source is what packets of one sender have in common. The port is 0 for TCP,
// where a device that comes back has another one.
type source struct {
	ssrc uint32
	from netip.AddrPort
}

func sourceOf(ssrc uint32, from netip.AddrPort, udp bool) source {
	number := from.Port()
	if !udp {
		number = 0
	}
	return source{ssrc: ssrc, from: netip.AddrPortFrom(from.Addr().Unmap(), number)}
}

// stray is a sender whose packets belong to no stream.
type stray struct {
	camera      ingest.CameraID // that it sent before its stream was closed; "" if it had none
	disputed    bool            // it may have been any of several
	first, last time.Time
}

// strays remembers senders that belong to no stream until they have been silent
// for staleAfter: one that sends on after its stream was closed, or sent before
// another stream was asked for, is not the other one's.
type strays struct {
	all   map[source]stray
	swept time.Time
}

// get returns what is known of a sender that has not been silent since.
func (m *strays) get(k source, at time.Time) (stray, bool) {
	t, ok := m.all[k]
	return t, ok && at.Sub(t.last) <= staleAfter
}

// put remembers a sender, if there is room.
func (m *strays) put(k source, t stray, at time.Time) {
	if _, ok := m.all[k]; ok || !m.full(at) {
		m.all[k] = t
	}
}

// full says that there is no room for another sender.
func (m *strays) full(at time.Time) bool {
	if len(m.all) < maxStrays {
		return false
	}
	if at.Sub(m.swept) > staleAfter {
		m.swept = at
		for k := range m.all {
			if _, ok := m.get(k, at); !ok {
				delete(m.all, k)
			}
		}
	}
	return len(m.all) >= maxStrays
}

// may says whether a sender may be that of s, the only stream that waits for
// one; named says that its answer gave this very port.
func (m *strays) may(k source, s *Stream, named bool, at time.Time) bool {
	t, ok := m.get(k, at)
	switch {
	case !ok:
		return !m.full(at)
	case t.camera != "":
		return t.camera == s.want.Camera
	case t.disputed:
		return named
	}
	return t.first.After(s.opened)
}

// came notes a packet of a sender, and whether it may be any of several's.
func (m *strays) came(k source, disputed bool, at time.Time) {
	t, ok := m.get(k, at)
	if !ok {
		t = stray{first: at}
	}
	t.last = at
	t.disputed = t.disputed || disputed
	m.put(k, t, at)
}

// again notes a packet of a sender that is known.
func (m *strays) again(k source, at time.Time) {
	if _, ok := m.get(k, at); ok {
		m.came(k, false, at)
	}
}
