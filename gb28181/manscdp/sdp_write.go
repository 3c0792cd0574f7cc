package manscdp

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Marshal writes the description with CRLF lines, in the order of annex G: y=
// and f= close it. Line breaks inside a value are taken out, so that no value
// can add a line of its own.
func (s *SDP) Marshal() []byte {
	var b strings.Builder
	line := func(key string, parts ...string) {
		b.WriteString(key)
		b.WriteByte('=')
		b.WriteString(oneLine(strings.Join(parts, " ")))
		b.WriteString("\r\n")
	}
	line("v", "0")
	line("o", or(s.Owner, "-"), "0", "0", "IN", family(s.Origin), host(s.Origin))
	line("s", or(s.Session, SessionPlay))
	if s.URI != "" {
		line("u", s.URI)
	}
	if s.Addr.IsValid() {
		line("c", "IN", family(s.Addr), host(s.Addr))
	}
	line("t", strconv.FormatInt(s.Start, 10), strconv.FormatInt(s.Stop, 10))
	for i := range s.Media {
		s.Media[i].marshal(line)
	}
	if s.SSRC != "" {
		line("y", s.SSRC)
	}
	if s.Format != nil {
		line("f", s.Format.String())
	}
	return []byte(b.String())
}

func (m *Media) marshal(line func(key string, parts ...string)) {
	proto := "RTP/AVP"
	if m.TCP {
		proto = "TCP/RTP/AVP"
	}
	head := []string{m.Kind, strconv.Itoa(m.Port), proto}
	for _, p := range m.Payloads {
		head = append(head, strconv.Itoa(int(p.Type)))
	}
	line("m", head...)
	if m.Addr.IsValid() {
		line("c", "IN", family(m.Addr), host(m.Addr))
	}
	if m.Direction != "" {
		line("a", m.Direction)
	}
	for _, p := range m.Payloads {
		if p.Encoding != "" {
			line("a", fmt.Sprintf("rtpmap:%d %s/%d", p.Type, p.Encoding, p.Clock))
		}
	}
	if m.TCP && m.Setup != SetupNone {
		line("a", "setup:"+string(m.Setup))
		if m.NewConnection {
			line("a", "connection:new")
		} else {
			line("a", "connection:existing")
		}
	}
	if m.DownloadSpeed > 0 {
		line("a", "downloadspeed:"+strconv.Itoa(m.DownloadSpeed))
	}
	if m.FileSize > 0 {
		line("a", "filesize:"+strconv.FormatInt(m.FileSize, 10))
	}
	for _, a := range m.Attributes {
		if a.Value == "" {
			line("a", a.Name)
			continue
		}
		line("a", a.Name+":"+a.Value)
	}
}

// oneLine replaces what would end a line.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\r' || r == '\n' || r == 0 {
			return ' '
		}
		return r
	}, s)
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func family(a netip.Addr) string {
	if a.Is6() {
		return "IP6"
	}
	return "IP4"
}

// host writes an address; an absent one is the "any" address, which RFC 3264
// §8.4 reads as "send nothing".
func host(a netip.Addr) string {
	if !a.IsValid() {
		return "0.0.0.0"
	}
	return a.String()
}
