package gb28181

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// newParser returns a parser that forgives what answers do not depend on: a CSeq
// of 2^31 and more, and headers such as Contact or Route that cannot be read.
func newParser() *sip.Parser {
	headers := maps.Clone(sip.DefaultHeadersParser())
	headers["cseq"] = parseCSeq
	via := headers["via"]
	headers["via"] = func(name []byte, text string) (sip.Header, error) { return parseVia(via, name, text) }
	headers["v"] = headers["via"]
	for _, name := range []string{"contact", "m", "route", "record-route", "refer-to", "referred-by", "max-forwards", "content-type", "c"} {
		strict := headers[name]
		headers[name] = func(name []byte, text string) (sip.Header, error) {
			h, err := strict(name, text)
			if err != nil && !isComma(err) {
				return sip.NewHeader(string(name), text), nil
			}
			return h, err
		}
	}
	return sip.NewParser(sip.WithHeadersParsers(headers), func(p *sip.Parser) { p.MaxMessageLength = maxLargeBody + maxHead })
}

// isComma recognises how the parser says that a header has another value after a
// comma; the type has no exported name.
func isComma(err error) bool { return err.Error() == "comma detected" }

// parseCSeq reads a CSeq up to 2^32-1: RFC 3261 §8.1.1.5 allows half of that, and
// there are devices that begin anywhere.
func parseCSeq(_ []byte, text string) (sip.Header, error) {
	fields := strings.Fields(text)
	if len(fields) != 2 {
		return nil, fmt.Errorf("CSeq %.40q has not two parts", text)
	}
	n, err := strconv.ParseUint(fields[0], 10, 32)
	if err != nil {
		return nil, fmt.Errorf("CSeq %.40q has no number", text)
	}
	return &sip.CSeqHeader{SeqNo: uint32(n), MethodName: sip.RequestMethod(fields[1])}, nil
}

// parseVia reads a Via, and again without blanks around its parameters when the
// parser lost the sent-by over them.
func parseVia(strict sip.HeaderParser, name []byte, text string) (sip.Header, error) {
	h, err := strict(name, text)
	via, ok := h.(*sip.ViaHeader)
	if !ok || (err == nil && via.Host != "") || (err != nil && isComma(err)) {
		return h, err
	}
	protocol, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	squeezed := strings.Join(strings.Fields(rest), "")
	if h2, err2 := strict(name, protocol+" "+squeezed); err2 == nil {
		return h2, nil
	}
	return h, err
}

// glance is what a message says of itself at first sight, before the cost of
// parsing it is spent: found by scanning, valid as long as the message.
type glance struct {
	response bool
	method   []byte // of a request
	user     []byte // user part of From: who says he sends it
	branch   []byte // of the top Via
}

// look takes a glance.
func look(msg []byte) glance {
	var g glance
	if bytes.HasPrefix(msg, []byte("SIP/2.0 ")) {
		g.response = true
	} else {
		g.method, _, _ = bytes.Cut(msg[:min(len(msg), 32)], []byte(" "))
	}
	for line := range headerLines(msg) {
		l := msg[line.from:line.to]
		if len(l) == 0 {
			break
		}
		switch l[0] | 0x20 {
		case 'f':
			if name, value := headerField(l); nameIs(name, "from", "f") {
				g.user = uriUser(value)
			}
		case 'v':
			if name, value := headerField(l); g.branch == nil && nameIs(name, "via", "v") {
				g.branch = parameter(value, "branch")
			}
		}
		if g.user != nil && g.branch != nil {
			break
		}
	}
	return g
}

// uriUser returns the user part of the first SIP URI in a header value.
func uriUser(value []byte) []byte {
	i := bytes.Index(value, []byte("sip:"))
	if i < 0 {
		if i = bytes.Index(value, []byte("sips:")); i < 0 {
			return nil
		}
		i++
	}
	user := value[i+4:]
	end := bytes.IndexAny(user, "@>;: \t")
	if end < 0 {
		return user
	}
	return user[:end]
}

// parameter returns the value of ;name= in a header value.
func parameter(value []byte, name string) []byte {
	for part := range bytes.SplitSeq(value, []byte(";")) {
		k, v, _ := bytes.Cut(bytes.TrimSpace(part), []byte("="))
		if bytes.EqualFold(bytes.TrimSpace(k), []byte(name)) {
			v, _, _ = bytes.Cut(v, []byte(","))
			return bytes.TrimSpace(v)
		}
	}
	return nil
}

// refusal writes a 400 from the raw lines of a request that cannot be parsed
// (RFC 3261 §8.2.6.2 asks for the same Via, From, To, Call-ID and CSeq); nil when
// one of them is missing, or when it is an ACK.
func refusal(msg []byte, why string) []byte {
	if bytes.HasPrefix(msg, []byte("ACK ")) {
		return nil
	}
	var copied, found []byte
	for line := range headerLines(msg) {
		name, value := headerField(msg[line.from:line.to])
		for _, want := range [...]struct{ long, compact string }{{"via", "v"}, {"from", "f"}, {"to", "t"}, {"call-id", "i"}, {"cseq", "cseq"}} {
			if nameIs(name, want.long, want.compact) {
				found = append(found, want.long[0], want.long[1])
				copied = append(append(append(append(copied, name...), ": "...), value...), "\r\n"...)
			}
		}
	}
	for _, need := range []string{"vi", "fr", "to", "ca", "cs"} {
		if !bytes.Contains(found, []byte(need)) {
			return nil
		}
	}
	out := append([]byte("SIP/2.0 400 "+why+"\r\n"), copied...)
	if bytes.HasPrefix(msg, []byte("REGISTER ")) {
		out = append(out, "X-GB-ver: "+gbVersion+"\r\n"...)
	}
	return append(out, "Content-Length: 0\r\n\r\n"...)
}

var errNoCore = errors.New("a header is missing: Via, From, To, Call-ID or CSeq")

// parseMessage reads a message and checks what an answer needs.
func parseMessage(parser *sip.Parser, msg []byte) (sip.Message, error) {
	m, err := parser.ParseSIP(msg)
	if err != nil {
		return nil, err
	}
	if m.Via() == nil || m.From() == nil || m.To() == nil || m.CallID() == nil || m.CSeq() == nil {
		return nil, errNoCore
	}
	if lengths := m.GetHeaders("Content-Length"); len(lengths) > 1 && lengths[0].Value() != lengths[len(lengths)-1].Value() {
		return nil, errors.New("two lengths") // RFC 4475 §3.3.9
	}
	if req, ok := m.(*sip.Request); ok {
		switch {
		case !strings.EqualFold(string(req.CSeq().MethodName), string(req.Method)):
			return nil, errors.New("CSeq names another method") // RFC 3261 §8.1.1.5
		case req.SipVersion != "SIP/2.0":
			return nil, errors.New("not SIP/2.0")
		}
	}
	return m, nil
}

// header returns the value of the first header with this name, "" for none.
func header(m sip.Message, name string) string {
	if hs := m.GetHeaders(name); len(hs) > 0 {
		return hs[0].Value()
	}
	return ""
}

// answerTo builds a response that will go to where the request came from,
// whatever its Via says (RFC 3581 for everybody, not only those who ask).
func answerTo(req *sip.Request, from route, code int, reason string, headers ...sip.Header) []byte {
	req.SetSource(from.addr.String())
	res := sip.NewResponseFromRequest(req, code, reason, nil)
	if via := res.Via(); via != nil {
		if host, err := netip.ParseAddr(via.Host); err != nil || host != from.addr.Addr() {
			via.Params.Add("received", from.addr.Addr().String())
		}
	}
	for _, h := range headers {
		res.AppendHeader(h)
	}
	return marshal(res)
}

// marshal writes a message as it goes on the wire.
func marshal(m sip.Message) []byte {
	var b bytes.Buffer
	b.Grow(512 + len(m.Body()))
	m.StringWrite(&b)
	return b.Bytes()
}
