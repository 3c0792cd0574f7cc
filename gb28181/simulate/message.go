package simulate

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// message is one SIP message (RFC 3261 §7) as lines of text. Headers are kept in
// order, compact names as long ones; the case of a name means nothing.
type message struct {
	method, uri string // of a request
	status      int    // of a response
	phrase      string
	headers     []header
	body        []byte
}

type header struct{ name, value string }

var errNoMessage = errors.New("not a SIP message")

// compact are the short names of headers that platforms use (RFC 3261 §20).
var compact = map[string]string{
	"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "c": "content-type", "l": "content-length", "s": "subject", "o": "event",
}

// parseMessage reads one message that fills b. It keeps no part of b.
func parseMessage(b []byte) (*message, error) {
	head, body, _ := bytes.Cut(bytes.TrimLeft(b, "\r\n"), []byte("\r\n\r\n"))
	lines := strings.Split(string(head), "\r\n")
	first := strings.SplitN(lines[0], " ", 3)
	if len(first) < 2 {
		return nil, errNoMessage
	}
	m := &message{body: bytes.Clone(body)}
	switch {
	case first[0] == "SIP/2.0":
		n, err := strconv.Atoi(first[1])
		if err != nil || n < 100 || n > 699 {
			return nil, errNoMessage
		}
		m.status = n
		if len(first) == 3 {
			m.phrase = first[2]
		}
	case len(first) == 3 && first[2] == "SIP/2.0":
		m.method, m.uri = first[0], first[1]
	default:
		return nil, errNoMessage
	}
	for _, line := range lines[1:] {
		if n := len(m.headers); n > 0 && (strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")) {
			m.headers[n-1].value += " " + strings.TrimSpace(line)
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		name = strings.ToLower(strings.TrimSpace(name))
		if long, short := compact[name]; short {
			name = long
		}
		m.headers = append(m.headers, header{name, strings.TrimSpace(value)})
	}
	return m, nil
}

// get returns the first header of that name, or "".
func (m *message) get(name string) string {
	for _, h := range m.headers {
		if strings.EqualFold(h.name, name) {
			return h.value
		}
	}
	return ""
}

// all returns every header of that name.
func (m *message) all(name string) []string {
	var list []string
	for _, h := range m.headers {
		if strings.EqualFold(h.name, name) {
			list = append(list, h.value)
		}
	}
	return list
}

// cseq returns the number and the method of the CSeq header.
func (m *message) cseq() (int, string) {
	number, method, _ := strings.Cut(m.get("cseq"), " ")
	n, err := strconv.Atoi(number)
	if err != nil {
		return 0, ""
	}
	return n, strings.TrimSpace(method)
}

// key tells a request from others and finds its repetitions: the branch of the
// topmost Via and the CSeq (RFC 3261 §17.2.3).
func (m *message) key() string { return param(m.get("via"), "branch") + " " + m.get("cseq") }

// bytes writes the message; Content-Length is that of the body.
func (m *message) bytes() []byte {
	var b bytes.Buffer
	if m.status > 0 {
		fmt.Fprintf(&b, "SIP/2.0 %d %s\r\n", m.status, m.phrase)
	} else {
		fmt.Fprintf(&b, "%s %s SIP/2.0\r\n", m.method, m.uri)
	}
	for _, h := range m.headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h.name, h.value)
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n", len(m.body))
	b.Write(m.body)
	return b.Bytes()
}

// phrases of the answers that a device gives.
var phrases = map[int]string{
	100: "Trying", 200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
	481: "Call/Transaction Does Not Exist", 486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here", 489: "Bad Event", 500: "Server Internal Error",
}

// answer makes a response to m: Via, From, To, Call-ID and CSeq go back as they
// came, To with a tag if it has none (RFC 3261 §8.2.6).
func (m *message) answer(status int, tag string, more ...header) *message {
	r := &message{status: status, phrase: phrases[status]}
	for _, v := range m.all("via") {
		r.headers = append(r.headers, header{"Via", v})
	}
	to := m.get("to")
	if tag != "" && param(to, "tag") == "" {
		to += ";tag=" + tag
	}
	r.headers = append(r.headers, header{"From", m.get("from")}, header{"To", to},
		header{"Call-ID", m.get("call-id")}, header{"CSeq", m.get("cseq")}, header{"User-Agent", userAgent})
	r.headers = append(r.headers, more...)
	return r
}

// param returns a parameter of a header value, outside its <address>.
func param(value, name string) string {
	if i := strings.LastIndexByte(value, '>'); i >= 0 {
		value = value[i+1:]
	}
	for part := range strings.SplitSeq(value, ";") {
		k, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		if strings.EqualFold(k, name) {
			return strings.Trim(v, `"`)
		}
	}
	return ""
}

// address returns the URI of a From, To or Contact.
func address(value string) string {
	if _, rest, ok := strings.Cut(value, "<"); ok {
		uri, _, _ := strings.Cut(rest, ">")
		return uri
	}
	uri, _, _ := strings.Cut(value, ";")
	return strings.TrimSpace(uri)
}

// user returns the user part of a SIP URI, "" without one.
func user(uri string) string {
	uri = strings.TrimPrefix(uri, "sip:")
	name, _, ok := strings.Cut(uri, "@")
	if !ok {
		return ""
	}
	return name
}

// maxMessage bounds a message on TCP; a platform sends small ones.
const maxMessage = 1 << 20

// takeMessage cuts the first whole message off a TCP stream: rest is what
// follows it, and msg nil while it is not whole. The CRLFs between messages are
// skipped (RFC 5626 §3.5.1 keeps connections alive by them).
func takeMessage(b []byte) (msg, rest []byte, err error) {
	b = bytes.TrimLeft(b, "\r\n")
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		if len(b) > maxMessage {
			return nil, nil, errNoMessage
		}
		return nil, b, nil
	}
	length := 0
	for line := range strings.SplitSeq(string(b[:end]), "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		if n := strings.ToLower(strings.TrimSpace(name)); n == "content-length" || n == "l" {
			if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil || length < 0 || length > maxMessage {
				return nil, nil, errNoMessage
			}
		}
	}
	whole := end + 4 + length
	if len(b) < whole {
		return nil, b, nil
	}
	return b[:whole], b[whole:], nil
}
