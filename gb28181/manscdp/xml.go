package manscdp

import (
	"errors"
	"strconv"
	"strings"
)

// Bounds of a body. MaxBody fits the catalogue of some 10 000 channels in one
// message, the most that the standard allows; a parsed body takes about six
// times its own size for as long as Decode runs.
const (
	MaxBody     = 9 << 20 // bytes; longer ones are refused unread
	maxDepth    = 16      // the deepest of the standard is 5
	maxElements = 600_000
)

// Errors of Decode about the form of a body.
var (
	ErrBodyTooLong = errors.New("body is longer than 9 MiB")
	ErrTooDeep     = errors.New("body nests deeper than 16 elements")
	ErrTooMany     = errors.New("body has more than 600000 elements")
	ErrNotXML      = errors.New("body holds no element")
)

// element is one element of a body. Attributes are children like elements: some
// devices write DeviceID="…" where the standard has <DeviceID>.
type element struct {
	name string // without prefix
	text string // trimmed, entities resolved
	kids []element
}

// child returns the first child of that name, or nil. Names differ in case in
// the field.
func (e *element) child(name string) *element {
	for i := range e.kids {
		if len(e.kids[i].name) == len(name) && strings.EqualFold(e.kids[i].name, name) {
			return &e.kids[i]
		}
	}
	return nil
}

// reader turns text into elements. It knows no DTD, hence no entity but the five
// of XML and numbers: nothing can grow while it is read.
type reader struct {
	text    string
	pos     int
	count   int
	open    []string // names of the elements that enclose pos
	repairs Repairs
}

// readXML returns the first element of text with all below it.
func readXML(text string) (element, Repairs, error) {
	if strings.ContainsAny(text, controls) {
		text = strings.Map(dropControl, text)
		// The NUL that ends a C string is so common that it tells nothing; inside
		// a body it does, but the two are not told apart: both are counted.
		r := reader{text: text, repairs: RepairControl}
		return r.document()
	}
	r := reader{text: text}
	return r.document()
}

// controls are the characters below blank that XML 1.0 §2.2 forbids.
const controls = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f"

func dropControl(r rune) rune {
	if r < ' ' && r != '\t' && r != '\n' && r != '\r' {
		return -1
	}
	return r
}

func (r *reader) document() (element, Repairs, error) {
	for {
		next := strings.IndexByte(r.text[r.pos:], '<')
		if next < 0 {
			return element{}, r.repairs, ErrNotXML
		}
		r.pos += next
		if r.skipMarkup() {
			continue
		}
		if !r.startsTag() {
			r.pos++
			continue
		}
		e, _, err := r.element(1)
		return e, r.repairs, err
	}
}

// skipMarkup passes over a prolog, comment or DTD at pos.
func (r *reader) skipMarkup() bool {
	rest := r.text[r.pos:]
	end := ""
	switch {
	case strings.HasPrefix(rest, "<?"):
		end = "?>"
	case strings.HasPrefix(rest, "<!--"):
		end = "-->"
	case len(rest) > 9 && strings.EqualFold(rest[:9], "<!DOCTYPE"):
		r.repairs |= RepairDoctype
		r.pos += doctypeEnd(rest)
		return true
	default:
		return false
	}
	n := strings.Index(rest, end)
	if n < 0 {
		r.repairs |= RepairTruncated
		n = len(rest) - len(end)
	}
	r.pos += n + len(end)
	return true
}

// doctypeEnd returns the length of a DTD, with its internal subset in brackets.
func doctypeEnd(s string) int {
	inside := false
	for i := range len(s) {
		switch {
		case s[i] == '[':
			inside = true
		case s[i] == ']':
			inside = false
		case s[i] == '>' && !inside:
			return i + 1
		}
	}
	return len(s)
}

// startsTag says whether the < at pos begins an element: a name, and a > before
// the next <. Anything else is a < that somebody typed into a name.
func (r *reader) startsTag() bool {
	rest := r.text[r.pos+1:]
	if rest == "" || !nameStart(rest[0]) {
		return false
	}
	end := strings.IndexAny(rest, "<>")
	return end >= 0 && rest[end] == '>'
}

func nameStart(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '_'
}

// element reads the element whose tag starts at pos. unclosed says that its end
// tag never came.
func (r *reader) element(depth int) (e element, unclosed bool, err error) {
	if depth > maxDepth {
		return e, false, ErrTooDeep
	}
	if r.count++; r.count > maxElements {
		return e, false, ErrTooMany
	}
	end := r.pos + strings.IndexByte(r.text[r.pos:], '>')
	tag := r.text[r.pos+1 : end]
	r.pos = end + 1
	tag, empty := strings.CutSuffix(strings.TrimSpace(tag), "/")
	name, attributes, _ := cutSpace(tag)
	e.name = r.local(name)
	r.attributes(&e, attributes)
	if empty {
		return e, false, nil
	}
	r.open = append(r.open, e.name)
	unclosed, err = r.content(&e, depth)
	r.open = r.open[:len(r.open)-1]
	return e, unclosed, err
}

// content reads up to the end tag of e.
func (r *reader) content(e *element, depth int) (unclosed bool, err error) {
	var text strings.Builder // used only when the text comes in several runs
	whole := ""
	add := func(s string) {
		switch {
		case s == "":
		case whole == "" && text.Len() == 0:
			whole = s
		default:
			text.WriteString(whole)
			whole = ""
			text.WriteString(s)
		}
	}
	finish := func() {
		if text.Len() > 0 {
			whole = text.String()
		}
		e.text = strings.TrimSpace(whole)
	}
	for {
		next := strings.IndexByte(r.text[r.pos:], '<')
		if next < 0 {
			// The body breaks off inside this value: half an ID is worse than none.
			r.pos, r.repairs = len(r.text), r.repairs|RepairTruncated
			return true, nil
		}
		add(r.unescape(r.text[r.pos : r.pos+next]))
		r.pos += next
		switch rest := r.text[r.pos:]; {
		case strings.HasPrefix(rest, "</"):
			if ours, known := r.endTag(e.name); ours {
				finish()
				return false, nil
			} else if known {
				r.repairs |= RepairEnd
				finish()
				return true, nil
			}
		case strings.HasPrefix(rest, "<![CDATA["):
			add(r.cdata())
		case r.skipMarkup():
		case !r.startsTag():
			r.repairs |= RepairLess
			add("<")
			r.pos++
		case (text.Len() > 0 || strings.TrimSpace(whole) != "") && !holds(e.name):
			// A value and then another element: the end tag of the value is missing.
			r.repairs |= RepairEnd
			finish()
			return true, nil
		default:
			kid, open, err := r.element(depth + 1)
			if err != nil {
				return false, err
			}
			r.adopt(e, kid, open)
		}
	}
}

// containers are the elements of annex A that hold others. Any other element
// whose end tag is missing is a value, and what follows belongs to its parent.
var containers = map[string]bool{"query": true, "control": true, "notify": true, "response": true,
	"devicelist": true, "alarmtypeparam": true, "item": true, "info": true, "recordlist": true, "presetlist": true,
	"basicparam": true, "alarmstatus": true, "homeposition": true, "snapshotlist": true}

// holds says whether an element of that name has others below it.
func holds(name string) bool {
	return containers[name] || containers[strings.ToLower(name)]
}

// adopt puts kid below e. With open set its end tag was missing.
func (r *reader) adopt(e *element, kid element, open bool) {
	truncated := open && r.pos >= len(r.text)
	if open && !holds(kid.name) {
		stray := kid.kids
		kid.kids = nil
		if !truncated || kid.text != "" || len(stray) > 0 {
			e.kids = append(e.kids, kid)
		}
		e.kids = append(e.kids, stray...)
		return
	}
	e.kids = append(e.kids, kid)
}

// endTag reads the end tag at pos. ours: it closes name. known: it closes an
// element further out, so that name lacks its own; it is left to be read there.
// Otherwise it closes nothing that is open and is dropped.
func (r *reader) endTag(name string) (ours, known bool) {
	rest := r.text[r.pos+2:]
	end := strings.IndexAny(rest, "<>")
	if end < 0 {
		// The value before it is whole: only its own tag is cut.
		r.pos, r.repairs = len(r.text), r.repairs|RepairTruncated
		return true, false
	}
	closes := r.local(strings.TrimSpace(rest[:end]))
	ours = strings.EqualFold(closes, name)
	if !ours {
		r.repairs |= RepairEnd
		for _, n := range r.open[:len(r.open)-1] {
			if strings.EqualFold(closes, n) {
				return false, true
			}
		}
	}
	r.pos += 2 + end
	if rest[end] == '>' {
		r.pos++
	} else {
		r.repairs |= RepairEnd
	}
	return ours, false
}

func (r *reader) cdata() string {
	rest := r.text[r.pos+len("<![CDATA["):]
	n := strings.Index(rest, "]]>")
	if n < 0 {
		r.repairs |= RepairTruncated
		r.pos = len(r.text)
		return ""
	}
	r.pos += len("<![CDATA[") + n + len("]]>")
	return rest[:n]
}

// local cuts a namespace prefix.
func (r *reader) local(name string) string {
	if _, after, ok := strings.Cut(name, ":"); ok {
		r.repairs |= RepairNamespace
		return after
	}
	return name
}

// cutSpace cuts s at its first white space.
func cutSpace(s string) (before, after string, found bool) {
	if i := strings.IndexAny(s, " \t\r\n"); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

// attributes makes name="value" pairs children of e. Namespaces and the count
// that DeviceList carries by the standard are no repair.
func (r *reader) attributes(e *element, s string) {
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			return
		}
		name, rest = strings.TrimSpace(name), strings.TrimLeft(rest, " \t\r\n")
		if rest == "" {
			return
		}
		value := ""
		if q := rest[0]; q == '"' || q == '\'' {
			if value, s, ok = strings.Cut(rest[1:], string(q)); !ok {
				return
			}
		} else {
			value, s, _ = cutSpace(rest)
		}
		if name == "xmlns" || strings.HasPrefix(name, "xmlns:") || strings.HasPrefix(name, "xsi:") {
			r.repairs |= RepairNamespace
			continue
		}
		if r.count++; r.count > maxElements {
			return
		}
		if !strings.EqualFold(name, "Num") {
			r.repairs |= RepairAttribute
		}
		e.kids = append(e.kids, element{name: r.local(name), text: strings.TrimSpace(r.unescape(value))})
	}
}

// unescape resolves the five entities and character numbers; any other & stands
// for itself.
func (r *reader) unescape(s string) string {
	if !strings.Contains(s, "&") {
		return s
	}
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(s, "&")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		text, n := entity(after)
		if n == 0 {
			r.repairs |= RepairAmpersand
			text = "&"
		}
		b.WriteString(text)
		s = after[n:]
	}
}

var entities = map[string]string{"amp": "&", "lt": "<", "gt": ">", "quot": `"`, "apos": "'"}

// entity reads what follows an &; n is 0 when it is no entity.
func entity(s string) (text string, n int) {
	end := strings.IndexByte(s[:min(len(s), 10)], ';')
	if end < 1 {
		return "", 0
	}
	name := s[:end]
	if t, ok := entities[name]; ok {
		return t, end + 1
	}
	if name[0] != '#' {
		return "", 0
	}
	base, digits := 10, name[1:]
	if d, ok := strings.CutPrefix(digits, "x"); ok {
		base, digits = 16, d
	}
	v, err := strconv.ParseUint(digits, base, 21)
	if err != nil || v > 0x10FFFF || v < ' ' {
		return "", 0
	}
	return string(rune(v)), end + 1
}
