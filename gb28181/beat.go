package gb28181

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// maxBeat is the longest body that is looked at as a plain keepalive; a real one
// has some 150 bytes.
const maxBeat = 1024

// beat takes a plain keepalive, the message that a platform of ten thousand
// devices does little else than answer, without parsing it as a whole. It does so
// only where nothing is left to decide: a device that counts as registered, at the
// very address it is known by, outside any dialog, with headers whose meaning for
// the answer is certain. Everything else, and whatever looks odd, returns false
// and has changed nothing: the parser decides then.
func (p *Platform) beat(from route, g glance, msg []byte, now time.Time) bool {
	h, body, ok := readBeat(msg)
	if !ok || p.dialogs.find(string(h.callID)) != nil {
		return false
	}
	p.mu.RLock()
	d := p.devices[string(g.user)]
	p.mu.RUnlock()
	if d == nil || !d.isHome(from, now) || !p.mayTalk(d, nil, from, body, now) {
		return false
	}
	p.met.keepalives.Inc()
	p.reply(from, h.answer(from))
	return true
}

// readBeat reads a message that is a plain keepalive, and says whether it is one.
func readBeat(msg []byte) (h beatHead, body []byte, ok bool) {
	end, strict := headEnd(msg)
	if !strict || end > maxHead || !bytes.HasPrefix(msg, []byte("MESSAGE sip:")) || !isBeat(msg[end:]) {
		return h, nil, false
	}
	first, _, _ := bytes.Cut(msg, []byte("\r\n"))
	if bytes.Count(first, []byte(" ")) != 2 || !bytes.HasSuffix(first, []byte(" SIP/2.0")) || !h.read(msg[:end]) {
		return h, nil, false
	}
	return h, msg[end:], true
}

// isHome says whether d is registered and reached by just this route.
func (d *device) isHome(from route, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.link.bound && d.link.value == ingest.Yes && !now.After(d.link.expires) &&
		d.route.addr == from.addr && d.route.network == from.network && d.route.conn == from.conn
}

// isBeat says whether a body is a keepalive that says nothing else: no channels
// with faults.
func isBeat(body []byte) bool {
	return len(body) <= maxBeat && bytes.Contains(body, []byte("<CmdType>Keepalive</CmdType>")) &&
		!bytes.Contains(body, []byte("<Info>")) && rootOf(body) == "Notify"
}

// beatHead is the headers of a request that its answer repeats (RFC 3261
// §8.2.6.2), each as it came.
type beatHead struct{ via, from, to, callID, cseq, length []byte }

// read finds them; false when one is missing or there twice, and when any header
// is not among those that are known to change nothing in the answer.
func (h *beatHead) read(head []byte) bool {
	for line := range headerLines(head) {
		l := head[line.from:line.to]
		if l[0] == ' ' || l[0] == '\t' {
			return false // folded
		}
		name, value := headerField(l)
		if len(value) == 0 {
			return false
		}
		var into *[]byte
		switch {
		case nameIs(name, "via", "v"):
			into = &h.via
		case nameIs(name, "from", "f"):
			into = &h.from
		case nameIs(name, "to", "t"):
			into = &h.to
		case nameIs(name, "call-id", "i"):
			into = &h.callID
		case nameIs(name, "cseq", "cseq"):
			into = &h.cseq
		case nameIs(name, "content-length", "l"):
			into = &h.length
		case nameIs(name, "content-type", "c"), nameIs(name, "contact", "m"),
			nameIs(name, "max-forwards", "user-agent"), nameIs(name, "x-gb-ver", "x-gb-ver"):
			continue
		default:
			return false
		}
		if *into != nil {
			return false
		}
		*into = value
	}
	return h.via != nil && h.from != nil && h.to != nil && h.callID != nil && h.cseq != nil && h.plain()
}

// plain says whether the values have the form that nearly all devices write.
func (h *beatHead) plain() bool {
	number, method, _ := bytes.Cut(h.cseq, []byte(" "))
	if len(number) == 0 || len(number) > 9 || len(bytes.Trim(number, "0123456789")) > 0 || string(method) != "MESSAGE" {
		return false
	}
	sent, params, _ := bytes.Cut(h.via, []byte(";"))
	transport, host, _ := bytes.Cut(sent, []byte(" "))
	return bytes.HasPrefix(transport, []byte("SIP/2.0/")) && isWord(transport[len("SIP/2.0/"):], "") && isWord(host, ".:") && isWord(params, ";=.") &&
		bytes.Contains(h.via, []byte(";branch=z9hG4bK")) && !bytes.Contains(h.via, []byte("received=")) && isWord(h.callID, ".@:") &&
		isAddress(h.from) && bytes.Contains(h.from, []byte(">;tag=")) && isAddress(h.to) && !bytes.Contains(h.to, []byte("tag="))
}

// isAddress says whether a value is <sip:user@host>, with parameters after it or
// without, and of plain characters only.
func isAddress(value []byte) bool {
	uri, ok := bytes.CutPrefix(value, []byte("<sip:"))
	if !ok {
		return false
	}
	uri, params, ok := bytes.Cut(uri, []byte(">"))
	user, host, at := bytes.Cut(uri, []byte("@"))
	return ok && at && isWord(user, "") && isWord(host, ".:") && (len(params) == 0 || params[0] == ';' && isWord(params, ";="))
}

// isWord says whether b is letters, digits, - and _, or one of others, and not
// empty.
func isWord(b []byte, others string) bool {
	for _, c := range b {
		if !('0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || c == '-' || c == '_' || strings.IndexByte(others, c) >= 0) {
			return false
		}
	}
	return len(b) > 0
}

// answer writes the 200, with where the request came from in its Via (RFC 3581
// §4), as answerTo does.
func (h *beatHead) answer(from route) []byte {
	out := make([]byte, 0, 128+len(h.via)+len(h.from)+len(h.to)+len(h.callID)+len(h.cseq))
	out = append(out, "SIP/2.0 200 OK\r\nVia: "...)
	asked, rest := false, h.via
	for first := true; len(rest) > 0; first = false {
		part := rest
		if i := bytes.IndexByte(rest, ';'); i >= 0 {
			part, rest = rest[:i], rest[i+1:]
		} else {
			rest = nil
		}
		if !first {
			out = append(out, ';')
		}
		out = append(out, part...)
		if string(part) == "rport" || string(part) == "rport=" {
			asked = true
			out = strconv.AppendUint(append(bytes.TrimRight(out, "="), '='), uint64(from.addr.Port()), 10)
		}
	}
	if asked || !h.sentBy(from.addr.Addr()) {
		out = from.addr.Addr().AppendTo(append(out, ";received="...))
	}
	out = append(append(out, "\r\nFrom: "...), h.from...)
	out = append(append(out, "\r\nTo: "...), h.to...)
	// The tag names no dialog, so that nobody needs to be kept from guessing it.
	out = strconv.AppendUint(append(out, ";tag="...), rand.Uint64(), 16)
	out = append(append(out, "\r\nCall-ID: "...), h.callID...)
	out = append(append(out, "\r\nCSeq: "...), h.cseq...)
	return append(out, "\r\nContent-Length: 0\r\n\r\n"...)
}

// sentBy says whether the Via names the host that the request came from.
func (h *beatHead) sentBy(host netip.Addr) bool {
	sent, _, _ := bytes.Cut(h.via, []byte(";"))
	_, at, _ := bytes.Cut(sent, []byte(" "))
	said, _, _ := bytes.Cut(at, []byte(":"))
	a, err := netip.ParseAddr(string(said))
	return err == nil && a == host
}
