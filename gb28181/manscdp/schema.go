package manscdp

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// edition says in which text of the standard an element stands.
type edition uint8

const (
	both edition = iota
	only2016
	only2022
)

func (e edition) in(v Version) bool {
	return e == both || (e == only2016) == (v == Version2016)
}

// field binds one element to a field of T. Reading takes it wherever it stands
// and in any version; writing follows group, edition and the order of the table.
type field[T any] struct {
	name    string
	group   string // the element around it, "" for none
	edition edition
	at      func(*T) any // *string, *int, *int64, **float64, *time.Time, *[]string or part
}

// part is a field with elements of its own.
type part interface {
	read(e *element, r *Repairs)
	write(w *writer, name string)
}

// schema is the elements of one payload.
type schema[T any] struct {
	fields []field[T]
	index  map[string]int // by name in lower case; the first of a name stands
	groups map[string]bool
}

func newSchema[T any](fields ...field[T]) *schema[T] {
	s := &schema[T]{fields: fields, index: make(map[string]int, 2*len(fields)), groups: map[string]bool{}}
	for i, f := range fields {
		// Both spellings are looked up without making a string of either.
		for _, n := range []string{f.name, strings.ToLower(f.name)} {
			if _, taken := s.index[n]; !taken {
				s.index[n] = i
			}
		}
		if f.group != "" {
			s.groups[strings.ToLower(f.group)] = true
		}
	}
	return s
}

// read fills v from the children of e. What is not in the table is passed over:
// vendors add elements of their own.
func (s *schema[T]) read(v *T, e *element, r *Repairs) {
	for i := range e.kids {
		kid := &e.kids[i]
		n, known := s.index[kid.name]
		if !known {
			if n, known = s.index[strings.ToLower(kid.name)]; known {
				*r |= RepairCase
			}
		}
		if known {
			assign(s.fields[n].at(v), kid, r)
			continue
		}
		if len(kid.kids) > 0 && s.groups[strings.ToLower(kid.name)] {
			s.read(v, kid, r)
		}
	}
}

// assign puts the value of e into a field. Text is copied: the body it came in
// may be megabytes, and the value may live for months.
func assign(dst any, e *element, r *Repairs) {
	switch d := dst.(type) {
	case *string:
		*d = strings.Clone(e.text)
	case *[]string:
		if e.text != "" {
			*d = append(*d, strings.Clone(e.text))
		}
	case *int:
		if n, ok := integer(e.text, r); ok && n >= math.MinInt32 && n <= math.MaxInt32 {
			*d = int(n)
		}
	case *int64:
		if n, ok := integer(e.text, r); ok {
			*d = n
		}
	case **float64:
		if f, ok := real(e.text, r); ok {
			*d = &f
		}
	case *time.Time:
		t, ok := ParseTime(e.text)
		if !ok && e.text != "" {
			*r |= RepairValue
		}
		*d = t
	case part:
		d.read(e, r)
	}
}

// compact takes the blanks out of a number: devices pad them, and some write
// "116. 3".
func compact(s string) string {
	if !strings.ContainsAny(s, " \t\r\n") {
		return s
	}
	return strings.Join(strings.Fields(s), "")
}

func integer(s string, r *Repairs) (int64, bool) {
	if s = compact(s); s == "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err == nil {
		return n, true
	}
	// "25.0" is met where an integer belongs.
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.Abs(f) > 1<<52 {
		*r |= RepairValue
		return 0, false
	}
	return int64(f), true
}

func real(s string, r *Repairs) (float64, bool) {
	if s = compact(s); s == "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		*r |= RepairValue
		return 0, false
	}
	return f, true
}

// timeForms are what devices write for the standard's 2006-01-02T15:04:05; each
// takes fractions of a second and numbers of one digit.
var timeForms = [...]string{"2006-1-2T15:4:5", "2006-1-2T15:4:5Z07:00", "2006/1/2T15:4:5", "20060102T150405", "20060102T150405Z07:00"}

// ParseTime reads a time of a body. One without a zone is Beijing's; one with a
// zone is taken as written, and given in Beijing's.
func ParseTime(s string) (time.Time, bool) {
	s = strings.Replace(strings.TrimSpace(s), " ", "T", 1)
	if s == "" || len(s) > 40 {
		return time.Time{}, false
	}
	for _, form := range timeForms {
		if t, err := time.ParseInLocation(form, s, Beijing); err == nil {
			return t.In(Beijing), true
		}
	}
	return time.Time{}, false
}

// FormatTime writes t as the standard asks: Beijing's time, no zone, whole seconds.
func FormatTime(t time.Time) string { return t.In(Beijing).Format("2006-01-02T15:04:05") }

// writer makes the text of a body.
type writer struct {
	b       strings.Builder
	version Version
}

// escape is what text may not hold in itself.
var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

func (w *writer) value(name, text string) {
	w.open(name)
	escape.WriteString(&w.b, strings.Map(dropControl, text))
	w.close(name)
}

func (w *writer) open(name string)  { w.b.WriteString("<" + name + ">") }
func (w *writer) close(name string) { w.b.WriteString("</" + name + ">\r\n") }

// write writes what v has set, in the order of the table.
func (s *schema[T]) write(v *T, w *writer) {
	group := ""
	for _, f := range s.fields {
		if !f.edition.in(w.version) || blank(f.at(v)) {
			continue
		}
		if f.group != group {
			if group != "" {
				w.close(group)
			}
			if group = f.group; group != "" {
				w.b.WriteString("<" + group + ">\r\n")
			}
		}
		w.put(f.name, f.at(v))
	}
	if group != "" {
		w.close(group)
	}
}

// blank says that a field is not set, so that its element is left out.
func blank(src any) bool {
	switch s := src.(type) {
	case *string:
		return *s == ""
	case *[]string:
		return len(*s) == 0
	case *int:
		return *s == 0
	case *int64:
		return *s == 0
	case **float64:
		return *s == nil
	case *time.Time:
		return s.IsZero()
	}
	return false // a part decides for itself
}

func (w *writer) put(name string, src any) {
	switch s := src.(type) {
	case *string:
		w.value(name, *s)
	case *[]string:
		for _, v := range *s {
			w.value(name, v)
		}
	case *int:
		w.value(name, strconv.Itoa(*s))
	case *int64:
		w.value(name, strconv.FormatInt(*s, 10))
	case **float64:
		w.value(name, strconv.FormatFloat(**s, 'f', -1, 64))
	case *time.Time:
		w.value(name, FormatTime(*s))
	case part:
		s.write(w, name)
	}
}

// list is a part of many elements: <DeviceList Num="2"><Item>…</Item>…</DeviceList>.
type list[T any] struct {
	schema *schema[T]
	items  *[]T
}

func (l list[T]) read(e *element, r *Repairs) {
	n := 0
	for i := range e.kids {
		if strings.EqualFold(e.kids[i].name, "Item") {
			n++
		}
	}
	if n > 0 && *l.items == nil {
		*l.items = make([]T, 0, n)
	}
	for i := range e.kids {
		if strings.EqualFold(e.kids[i].name, "Item") {
			var v T
			l.schema.read(&v, &e.kids[i], r)
			*l.items = append(*l.items, v)
		}
	}
}

func (l list[T]) write(w *writer, name string) {
	if *l.items == nil {
		return
	}
	w.b.WriteString("<" + name + ` Num="` + strconv.Itoa(len(*l.items)) + "\">\r\n")
	for i := range *l.items {
		w.b.WriteString("<Item>\r\n")
		l.schema.write(&(*l.items)[i], w)
		w.close("Item")
	}
	w.close(name)
}

// nested is a part of one element: <HomePosition>…</HomePosition>.
type nested[T any] struct {
	schema *schema[T]
	value  **T
}

func (n nested[T]) read(e *element, r *Repairs) {
	if *n.value == nil {
		*n.value = new(T)
	}
	n.schema.read(*n.value, e, r)
}

func (n nested[T]) write(w *writer, name string) {
	if *n.value == nil {
		return
	}
	w.b.WriteString("<" + name + ">\r\n")
	n.schema.write(*n.value, w)
	w.close(name)
}
