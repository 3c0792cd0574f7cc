package gb28181

import (
	"bytes"
	"errors"
)

// Errors of a framer; each ends the connection, because where the next message
// begins is not known.
var (
	errHeadTooLong = errors.New("headers are longer than 16 KiB")
	errBodyTooLong = errors.New("body is longer than allowed")
)

// maxResync is how much may be skipped in search of a start line.
const maxResync = 64 << 10

// framer cuts a byte stream into messages (RFC 3261 §18.3), and forgives what
// repair forgives: the stream is found again at the next start line when a
// Content-Length was wrong.
type framer struct {
	buf     []byte
	start   int // of what is not consumed
	looked  int // bytes of the pending head in which there is no empty line
	scanned int // bytes of the pending body that were searched for a start line
	maxBody int

	pongs   int    // CRLFCRLF pings seen, to be answered (RFC 5626 §3.5.1)
	skipped uint64 // bytes skipped in search of a start line
}

// write appends what was read.
func (f *framer) write(b []byte) {
	if f.start > 0 {
		n := copy(f.buf, f.buf[f.start:])
		f.buf, f.start = f.buf[:n], 0
	}
	f.buf = append(f.buf, b...)
}

// pending returns how many bytes wait for the rest of their message.
func (f *framer) pending() int { return len(f.buf) - f.start }

// release gives large memory back when nothing is pending.
func (f *framer) release() {
	if f.pending() == 0 {
		f.start = 0
		if cap(f.buf) > 4096 {
			f.buf = nil
		} else {
			f.buf = f.buf[:0]
		}
	}
}

// next returns the next whole message, nil when more must be read. The message
// is valid until the next write. With flush, a message whose headers are whole
// and whose body looks whole is given although Content-Length promises more: the
// device has gone quiet, so the promise was wrong.
func (f *framer) next(flush bool) ([]byte, repairs, error) {
	f.skipBreaks()
	if err := f.resync(); err != nil {
		return nil, repairs{}, err
	}
	b := f.buf[f.start:]
	end := f.headEnd(b[:min(len(b), maxHead+1)])
	if end < 0 {
		if len(b) > maxHead {
			return nil, repairs{}, errHeadTooLong
		}
		return nil, repairs{}, nil
	}
	length, _ := contentLength(b[:end])
	size, err := f.messageEnd(b, end, length, flush)
	if err != nil || size < 0 {
		return nil, repairs{}, err
	}
	f.start += size
	f.scanned, f.looked = 0, 0
	msg, done := repair(b[:size])
	return msg, done, nil
}

// headEnd returns the offset after the empty line, -1 when it has not come. It
// looks at each line once, however small the pieces are that it comes in.
func (f *framer) headEnd(b []byte) int {
	for f.looked < len(b) {
		n := bytes.IndexAny(b[f.looked:], "\r\n")
		eol := f.looked + n
		if n < 0 || (b[eol] == '\r' && eol+1 == len(b)) {
			return -1 // the LF of this CR may be on its way
		}
		next := eol + 1
		if b[eol] == '\r' && b[next] == '\n' {
			next++
		}
		if n == 0 {
			return next
		}
		f.looked = next
	}
	return -1
}

// messageEnd returns the size of the message at the beginning of b, whose head
// ends at end; -1 when it is not whole yet.
func (f *framer) messageEnd(b []byte, end, length int, flush bool) (int, error) {
	body := b[end:]
	typed := hasHeader(b[:end], "content-type", "c")
	switch {
	case length > f.maxBody:
		return 0, errBodyTooLong
	case length == 0 || (length < 0 && !typed):
		return end, nil // what follows, if it is no message, is skipped by resync
	}
	// Look for the next message in what was not looked at yet; a start line may
	// have been cut by the last read.
	from := min(max(0, f.scanned-512), len(body))
	next := findStart(body[from:])
	f.scanned = len(body)
	if next >= 0 {
		next += from
	}
	switch {
	case next >= 0 && (length < 0 || next < length):
		return end + next, nil // promised too much, or nothing
	case length >= 0 && length <= len(body):
		if rest := body[length:]; len(rest) == 0 || mayStart(rest) {
			return end + length, nil
		}
		if next < 0 {
			next = len(body)
		}
		return end + next, nil // promised too little: the rest is its end
	case flush && bytes.HasSuffix(bytes.TrimRight(body, "\r\n \t\x00"), []byte(">")):
		return len(b), nil
	case len(body) > f.maxBody:
		return 0, errBodyTooLong
	}
	return -1, nil
}

// mayStart says whether b, of which more may come, can be what stands between or
// begins messages.
func mayStart(b []byte) bool {
	if bytes.IndexByte([]byte("\r\n\x00"), b[0]) >= 0 {
		return true
	}
	word, _, _ := bytes.Cut(b[:min(len(b), 17)], []byte(" "))
	for i, c := range word {
		if (c < 'A' || c > 'Z') && (i < 3 || !bytes.HasPrefix([]byte("SIP/2.0"), word)) {
			return false
		}
	}
	return true
}

// skipBreaks skips empty lines between messages and counts pings.
func (f *framer) skipBreaks() {
	b := f.buf[f.start:]
	n := len(b) - len(bytes.TrimLeft(b, "\r\n\x00"))
	f.pongs += bytes.Count(b[:n], []byte("\r\n\r\n"))
	f.start += n
}

// resync skips what is not the beginning of a message. A beginning that is not
// whole yet is left alone.
func (f *framer) resync() error {
	b := f.buf[f.start:]
	if len(b) == 0 || startsMessage(b) {
		return nil
	}
	f.looked = 0
	if n := findStart(b); n > 0 {
		f.start += n
		f.skipped += uint64(n)
		return nil
	}
	if eol := bytes.IndexByte(b, '\n'); eol < 0 && len(b) < 512 {
		return nil // a start line that is still coming
	} else if eol >= 0 && bytes.HasSuffix(bytes.TrimRight(b[:eol], "\r "), []byte("SIP/2.0")) {
		return nil // an odd start line: for the parser to refuse
	}
	// Keep the last line, which may be the first part of a start line.
	keep := b[bytes.LastIndexByte(b, '\n')+1:]
	if len(keep) > 512 {
		keep = nil
	}
	f.start += len(b) - len(keep)
	f.skipped += uint64(len(b) - len(keep))
	if f.skipped > maxResync {
		return errors.New("no SIP in 64 KiB")
	}
	return nil
}

// findStart returns the offset of the first start line that begins a line of b,
// or that follows the end of an XML document, -1 for none.
func findStart(b []byte) int {
	for from := 0; ; {
		n := bytes.Index(b[from:], []byte("SIP/2.0"))
		if n < 0 {
			return -1
		}
		at := from + n
		line := at
		for line > 0 && at-line < 400 && b[line-1] != '\n' && b[line-1] != '>' {
			line--
		}
		// '>' may also stand inside a start line's angle brackets; then the line
		// does not begin with a method and is no start line.
		if startsMessage(b[line:]) {
			return line
		}
		from = at + 7
	}
}
