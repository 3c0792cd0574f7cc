package gb28181

import (
	"bytes"
	"strconv"
)

// repairs counts what had to be mended in one message; each field is a reason of
// the metric of repaired messages.
type repairs struct {
	leading bool // bytes before the start line
	lines   bool // lines that end with LF or CR alone, or no empty line
	length  bool // Content-Length is not the length of the body
}

func (r repairs) any() bool { return r.leading || r.lines || r.length }

// maxHead is the longest start line and headers together: ten times what any
// device sends.
const maxHead = 16 << 10

// repair mends the datagrams that devices in the field send and that a strict
// reader would drop: CRLF before the start line, lines that end with LF alone, no
// empty line at the end, and a Content-Length that is not the length of the body
// (counted in characters instead of bytes, mostly). It returns msg itself where
// nothing is wrong, never changes it, and never panics; what it returns is not
// necessarily SIP.
func repair(msg []byte) ([]byte, repairs) {
	var done repairs
	trimmed := bytes.TrimLeft(msg, "\r\n\x00 \t")
	done.leading = len(trimmed) != len(msg)
	msg = bytes.TrimRight(trimmed, "\x00")
	if len(msg) == 0 {
		return nil, done
	}
	head, body, strict := splitHead(msg)
	if len(head) > maxHead {
		return msg, done // refused by its length later
	}
	if !strict {
		done.lines = true
		head = crlf(head)
	}
	length, at := contentLength(head)
	want := bodyLength(length, body, head)
	if at.from < 0 || want == length {
		if strict && want >= len(body) {
			return msg, done
		}
		return join(head, body[:min(want, len(body))]), done
	}
	done.length = true
	fixed := make([]byte, 0, len(head)+len(body)+8)
	fixed = append(fixed, head[:at.from]...)
	fixed = strconv.AppendInt(fixed, int64(want), 10)
	fixed = append(fixed, head[at.to:]...)
	return append(fixed, body[:want]...), done
}

// bodyLength decides how long a body really is: what there is, except that bytes
// after the announced end are another message, or padding, when nothing says that
// there is a body of which they could be the rest (RFC 3261 §18.3).
func bodyLength(announced int, body, head []byte) int {
	switch {
	case announced < 0:
		return len(body)
	case announced >= len(body):
		return len(body)
	}
	rest := body[announced:]
	if len(bytes.Trim(rest, "\r\n \t\x00")) == 0 || !hasHeader(head, "content-type", "c") || startsMessage(rest) {
		return announced
	}
	return len(body)
}

func join(head, body []byte) []byte {
	return append(append(make([]byte, 0, len(head)+len(body)), head...), body...)
}

// splitHead cuts a message after its empty line; strict says that all lines end
// with CRLF and that the empty line is there.
func splitHead(msg []byte) (head, body []byte, strict bool) {
	end, strict := headEnd(msg)
	if end < 0 {
		return msg, nil, false
	}
	return msg[:end], msg[end:], strict
}

// headEnd returns the offset after the empty line, -1 when there is none.
func headEnd(msg []byte) (end int, strict bool) {
	strict = true
	for i := 0; i < len(msg); {
		n := bytes.IndexAny(msg[i:], "\r\n")
		if n < 0 {
			return -1, false
		}
		eol := i + n
		next := eol + 1
		if msg[eol] == '\r' && next < len(msg) && msg[next] == '\n' {
			next++
		} else {
			strict = false
		}
		if n == 0 {
			return next, strict
		}
		i = next
	}
	return -1, false
}

// crlf writes the head with CRLF at the end of each line, and an empty line.
func crlf(head []byte) []byte {
	out := make([]byte, 0, len(head)+64)
	for len(head) > 0 {
		n := bytes.IndexAny(head, "\r\n")
		if n < 0 {
			out = append(append(out, head...), "\r\n"...)
			break
		}
		if n == 0 {
			break
		}
		out = append(append(out, head[:n]...), "\r\n"...)
		if head[n] == '\r' && n+1 < len(head) && head[n+1] == '\n' {
			n++
		}
		head = head[n+1:]
	}
	return append(out, "\r\n"...)
}

// span is a part of a head, by offsets; from is -1 for none.
type span struct{ from, to int }

// contentLength finds the value of Content-Length: -1 when there is none, when it
// is no number, or when there are several that differ, which is for the parser to
// refuse.
func contentLength(head []byte) (int, span) {
	length, at := -1, span{from: -1}
	for line := range headerLines(head) {
		name, value := headerField(head[line.from:line.to])
		if !nameIs(name, "content-length", "l") {
			continue
		}
		n, err := strconv.Atoi(string(value))
		if err != nil || n < 0 || (length >= 0 && n != length) {
			return -1, span{from: -1}
		}
		offset := line.from + bytes.IndexByte(head[line.from:line.to], ':') + 1
		offset += bytes.Index(head[offset:line.to], value)
		length, at = n, span{offset, offset + len(value)}
	}
	return length, at
}

// headerLines walks the header lines after the start line, each without its end
// of line. Folded lines come as lines of their own.
func headerLines(head []byte) func(yield func(span) bool) {
	return func(yield func(span) bool) {
		first := true
		for i := 0; i < len(head); {
			n := bytes.IndexByte(head[i:], '\n')
			end, next := len(head), len(head)
			if n >= 0 {
				end, next = i+n, i+n+1
			}
			if end > i && head[end-1] == '\r' {
				end--
			}
			if !first && (end == i || !yield(span{i, end})) {
				return
			}
			first = false
			i = next
		}
	}
}

// headerField splits a header line; both parts are trimmed.
func headerField(line []byte) (name, value []byte) {
	name, value, _ = bytes.Cut(line, []byte(":"))
	return bytes.TrimSpace(name), bytes.TrimSpace(value)
}

// nameIs compares a header name with its long and compact forms, in lower case.
func nameIs(name []byte, long, compact string) bool {
	return (len(name) == len(long) && bytes.EqualFold(name, []byte(long))) ||
		(len(name) == len(compact) && bytes.EqualFold(name, []byte(compact)))
}

func hasHeader(head []byte, long, compact string) bool {
	for line := range headerLines(head) {
		if name, _ := headerField(head[line.from:line.to]); nameIs(name, long, compact) {
			return true
		}
	}
	return false
}

// startsMessage says whether b begins with the start line of a SIP message.
func startsMessage(b []byte) bool {
	line, _, found := bytes.Cut(b[:min(len(b), 512)], []byte("\n"))
	if !found {
		return false
	}
	line = bytes.TrimRight(line, "\r ")
	if bytes.HasPrefix(line, []byte("SIP/2.0 ")) {
		return true
	}
	method, _, ok := bytes.Cut(line, []byte(" "))
	if !ok || len(method) == 0 || len(method) > 16 || !bytes.HasSuffix(line, []byte(" SIP/2.0")) {
		return false
	}
	for _, c := range method {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return true
}
