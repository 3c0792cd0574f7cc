package manscdp

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// Charset is how the text of a body is coded.
type Charset uint8

// The character sets that exist in this field. GB18030 reads GB2312 and GBK too:
// both are part of it, and devices use the three names for one another.
const (
	GB18030 Charset = iota // what the 2016 text asks for under the name GB2312
	UTF8
)

// String returns the name for the XML prolog. It is GB2312 for GB18030: that is
// the word of the standard, and devices are known that refuse any other.
func (c Charset) String() string {
	if c == UTF8 {
		return "UTF-8"
	}
	return "GB2312"
}

// utf8BOM is the byte order mark that some devices put before the prolog.
var utf8BOM = []byte{0xEF, 0xBB, 0xBF}

// toUTF8 returns body as UTF-8 text and how it was coded. What the header or the
// prolog says (declared, may be empty) is asked only where the bytes themselves
// leave it open: labels in the field are often wrong. Bytes that are no
// character in either set become U+FFFD and set RepairCharacter.
func toUTF8(body []byte, declared string) (string, Charset, Repairs) {
	var r Repairs
	if b, ok := bytes.CutPrefix(body, utf8BOM); ok {
		body, r = b, RepairBOM
	}
	said := declaredCharset(body, declared)
	charset := detect(body, said)
	if said != nil && *said != charset && !ascii(body) {
		r |= RepairCharset
	}
	if ascii(body) {
		if said != nil {
			charset = *said
		}
		return string(body), charset, r
	}
	if charset == UTF8 {
		text, more := decodeUTF8(body)
		return text, charset, r | more
	}
	text, more := decodeGB(body)
	return text, charset, r | more
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// declaredCharset reads the label: the prolog's, which the writer of the body
// made, before the header's, which the SIP stack made. It is nil when neither
// names a set known here.
func declaredCharset(body []byte, header string) *Charset {
	for _, label := range []string{prologEncoding(body), header} {
		label = strings.ToUpper(label)
		switch {
		case strings.HasPrefix(label, "GB"):
			c := GB18030
			return &c
		case strings.HasPrefix(label, "UTF"):
			c := UTF8
			return &c
		}
	}
	return nil
}

// prologEncoding returns the encoding="…" of an XML prolog in the first bytes.
func prologEncoding(body []byte) string {
	head := body[:min(len(body), 128)]
	end := bytes.Index(head, []byte("?>"))
	if end < 0 || !bytes.Contains(head[:end], []byte("<?xml")) {
		return ""
	}
	_, v, ok := strings.Cut(string(head[:end]), "encoding")
	if !ok {
		return ""
	}
	return strings.Trim(v, " =\"'\t\r\n")
}

// detect tells UTF-8 from GB18030 by the bytes. Chinese text in GB18030 is
// hardly ever valid UTF-8, and where it is, it reads as letters below U+0800,
// which names of places in China do not consist of. said breaks that tie.
func detect(b []byte, said *Charset) Charset {
	wide, narrow, bad := census(b)
	switch {
	case wide > bad:
		return UTF8 // a name cut inside a character does not make the rest GB18030
	case bad == 0 && wide == 0 && narrow > 0:
		if said != nil {
			return *said
		}
		if _, r := decodeGB(b); r == 0 {
			return GB18030
		}
		return UTF8
	case bad == 0:
		return UTF8
	}
	return GB18030
}

// census counts the characters of three and four bytes, those of two, and the
// bytes that are no UTF-8.
func census(b []byte) (wide, narrow, bad int) {
	for len(b) > 0 {
		if b[0] < utf8.RuneSelf {
			b = b[1:]
			continue
		}
		r, n := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && n == 1:
			bad++
		case n == 2:
			narrow++
		default:
			wide++
		}
		b = b[n:]
	}
	return wide, narrow, bad
}

// decodeUTF8 takes a body whose text is mostly UTF-8. A recorder passes on the
// names that its cameras gave it, each in the camera's own set, so every stretch
// between tags is judged for itself; < and > are no part of any GB18030 character.
func decodeUTF8(body []byte) (string, Repairs) {
	if utf8.Valid(body) {
		return string(body), 0
	}
	var out strings.Builder
	out.Grow(len(body) + len(body)/8)
	var r Repairs
	for len(body) > 0 {
		n := bytes.IndexAny(body[1:], "<>") + 1
		if n == 0 {
			n = len(body)
		}
		part := body[:n]
		body = body[n:]
		switch {
		case utf8.Valid(part):
			out.Write(part)
		case detect(part, nil) == UTF8:
			out.Write(bytes.ToValidUTF8(part, []byte("\uFFFD")))
			r |= RepairCharacter
		default:
			text, more := decodeGB(part)
			out.WriteString(text)
			r |= more | RepairMixed
		}
	}
	return out.String(), r
}

// decodeGB reads GB18030. The decoder never fails: it writes U+FFFD instead.
func decodeGB(b []byte) (string, Repairs) {
	out, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b)
	if err != nil {
		return string(bytes.ToValidUTF8(b, []byte("\uFFFD"))), RepairCharacter
	}
	if bytes.Contains(out, []byte("\uFFFD")) {
		return string(out), RepairCharacter
	}
	return string(out), 0
}

// encode writes text in the set c. Every character of Unicode has a form in
// GB18030; invalid UTF-8 is replaced first.
func encode(text string, c Charset) []byte {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if c == UTF8 {
		return []byte(text)
	}
	out, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(text))
	if err != nil {
		return []byte(text)
	}
	return out
}
