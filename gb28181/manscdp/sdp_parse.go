package manscdp

import (
	"net/netip"
	"strconv"
	"strings"
)

// ParseSDP reads a session description and never refuses one for its form:
// lines in any order, ended by CR, LF or both, unknown or broken ones skipped,
// attributes twice (the last one stands), y= and f= before or after the media.
// It returns ErrSDPTooLong without reading and ErrNoMedia together with what was
// read. The result does not refer to body.
func ParseSDP(body []byte) (SDP, error) {
	if len(body) > MaxSDP {
		return SDP{}, ErrSDPTooLong
	}
	var s SDP
	lines := strings.FieldsFunc(string(body), func(r rune) bool { return r == '\r' || r == '\n' || r == 0 })
	for _, line := range lines {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && len(key) == 1 {
			s.line(key[0]|0x20, strings.TrimSpace(value))
		}
	}
	if len(s.Media) == 0 {
		return s, ErrNoMedia
	}
	return s, nil
}

// line takes one line; key is in lower case.
func (s *SDP) line(key byte, value string) {
	switch key {
	case 'o':
		s.origin(strings.Fields(value))
	case 's':
		s.Session = value
	case 'u':
		s.URI = value
	case 'c':
		s.connection(strings.Fields(value))
	case 't':
		s.times(strings.Fields(value))
	case 'm':
		s.media(strings.Fields(value))
	case 'a':
		if n := len(s.Media); n > 0 {
			s.Media[n-1].attribute(value)
		}
	case 'y':
		s.SSRC = value
	case 'f':
		s.Format = parseFormat(value)
	}
}

func (s *SDP) origin(f []string) {
	if len(f) > 0 {
		s.Owner = f[0]
		s.Origin = address(f[len(f)-1])
	}
}

func (s *SDP) connection(f []string) {
	if len(f) == 0 {
		return
	}
	a := address(f[len(f)-1])
	if n := len(s.Media); n > 0 {
		s.Media[n-1].Addr = a
		return
	}
	s.Addr = a
}

// address reads an address with or without the "/ttl" of RFC 8866 §5.7.
func address(s string) netip.Addr {
	s, _, _ = strings.Cut(s, "/")
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.WithZone("").Unmap()
}

func (s *SDP) times(f []string) {
	if len(f) > 0 {
		s.Start = number(f[0])
	}
	if len(f) > 1 {
		s.Stop = number(f[1])
	}
}

// media opens a block. A port outside 0–65535 reads as 0: nothing can be sent
// there, and the caller sees that.
func (s *SDP) media(f []string) {
	if len(f) < 2 {
		return
	}
	m := Media{Kind: strings.ToLower(f[0]), NewConnection: true}
	port, _, _ := strings.Cut(f[1], "/")
	if p, err := strconv.ParseUint(port, 10, 16); err == nil {
		m.Port = int(p)
	}
	if len(f) > 2 {
		// TCP/RTP/AVP is the standard's spelling, RTP/AVP/TCP is met as well.
		m.TCP = strings.Contains(strings.ToUpper(f[2]), "TCP")
	}
	for _, w := range f[min(3, len(f)):] {
		if n, err := strconv.ParseUint(w, 10, 7); err == nil {
			m.Payloads = append(m.Payloads, RTPMap{Type: uint8(n)})
		}
	}
	s.Media = append(s.Media, m)
}

func (m *Media) attribute(value string) {
	name, v, _ := strings.Cut(value, ":")
	name, v = strings.TrimSpace(name), strings.TrimSpace(v)
	switch key := strings.ToLower(name); key {
	case "recvonly", "sendonly", "sendrecv", "inactive":
		m.Direction = key
	case "setup":
		switch r := Setup(strings.ToLower(v)); r {
		case SetupActive, SetupPassive, SetupActPass:
			m.Setup = r
		}
	case "connection":
		m.NewConnection = !strings.EqualFold(v, "existing")
	case "rtpmap":
		m.rtpmap(v)
	case "downloadspeed":
		m.DownloadSpeed = int(number(v))
	case "filesize":
		m.FileSize = number(v)
	default:
		m.Attributes = append(m.Attributes, Attribute{Name: name, Value: v})
	}
}

// rtpmap takes "96 PS/90000". A type that the m= line does not list is added:
// devices answer with an rtpmap for a payload they forgot to list.
func (m *Media) rtpmap(v string) {
	f := strings.Fields(v)
	if len(f) < 2 {
		return
	}
	n, err := strconv.ParseUint(f[0], 10, 7)
	if err != nil {
		return
	}
	encoding, clock, _ := strings.Cut(f[1], "/")
	clock, _, _ = strings.Cut(clock, "/")
	r := RTPMap{Type: uint8(n), Encoding: encoding, Clock: int(number(clock))}
	for i := range m.Payloads {
		if m.Payloads[i].Type == r.Type {
			m.Payloads[i] = r
			return
		}
	}
	m.Payloads = append(m.Payloads, r)
}

// number reads a decimal number that fits 48 bits and is not negative; anything
// else is 0. The bound keeps times and sizes clear of overflow in sums.
func number(s string) int64 {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 48)
	if err != nil {
		return 0
	}
	return int64(n)
}
