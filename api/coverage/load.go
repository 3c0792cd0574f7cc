package coverage

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The bounds of a table of divisions. The whole country has 665,000 rows.
const (
	maxRows     = 2_000_000
	maxName     = 64 // characters
	maxProblems = 20
)

// LoadDivisions reads a table as CSV in UTF-8 (a byte order mark is allowed)
// with the header code,name,kind and one division a line, in any order: all
// levels from the province down to the villages. kind is village, community or
// other for a 12-digit code, where it may be left empty and is then told from
// the name; above that level it is empty. Every division's parent must be there
// and no code twice. The error names up to 20 problems, each with its line.
func LoadDivisions(r io.Reader) (*Divisions, error) {
	in := bufio.NewReader(r)
	if bom, err := in.Peek(3); err == nil && string(bom) == "\uFEFF" {
		in.Discard(3) //nolint:errcheck // the three bytes were just seen
	}
	c := csv.NewReader(in)
	c.FieldsPerRecord = 3
	c.ReuseRecord = true
	head, err := c.Read()
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("line 1: empty; want the header code,name,kind")
	case err != nil:
		return nil, fmt.Errorf("%w; want the header code,name,kind", err)
	case strings.Join(head, ",") != "code,name,kind":
		return nil, fmt.Errorf("line 1: header %q; want code,name,kind", strings.Join(head, ","))
	}
	l := loader{table: &Divisions{index: map[string]int{}, source: "center.divisions_file"}}
	for {
		rec, err := c.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errors.Join(append(l.problems, err)...) // after a broken line nothing can be trusted
		}
		line, _ := c.FieldPos(0)
		if len(l.table.rows) >= maxRows {
			return nil, fmt.Errorf("line %d: more than %d divisions", line, maxRows)
		}
		if l.add(line, rec[0], rec[1], rec[2]); len(l.problems) >= maxProblems {
			return nil, errors.Join(append(l.problems, errors.New("and perhaps more"))...)
		}
	}
	return l.finish()
}

type loader struct {
	table    *Divisions
	lines    []int // of rows, by place
	problems []error
}

func (l *loader) problem(line int, format string, args ...any) {
	l.problems = append(l.problems, fmt.Errorf("line %d: "+format, append([]any{line}, args...)...))
}

func (l *loader) add(line int, code, name, kind string) {
	if !isCode(code) {
		l.problem(line, "code %.20q: want 2, 4, 6, 9 or 12 digits", code)
		return
	}
	if n := utf8.RuneCountInString(name); n == 0 || n > maxName || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) || strings.TrimSpace(name) != name {
		l.problem(line, "name %.80q: want 1 to %d characters of UTF-8 without blanks around them", name, maxName)
		return
	}
	d := Division{Code: strings.Clone(code), Name: strings.Clone(name)}
	switch {
	case len(code) < 12:
		if kind != "" {
			l.problem(line, "kind %.20q: only a 12-digit code has a kind", kind)
			return
		}
	case kind == "":
		d.Kind = KindOf(name)
	case Kind(kind) == KindVillage, Kind(kind) == KindCommunity, Kind(kind) == KindOther:
		d.Kind = Kind(strings.Clone(kind))
	default:
		l.problem(line, "kind %.20q: want village, community, other or nothing", kind)
		return
	}
	if first, ok := l.table.index[code]; ok {
		l.problem(line, "code %s stands in line %d already", code, l.lines[first])
		return
	}
	l.table.index[d.Code] = len(l.table.rows)
	l.table.rows = append(l.table.rows, d)
	l.lines = append(l.lines, line)
}

// finish checks what needs the whole table, and sorts it.
func (l *loader) finish() (*Divisions, error) {
	for i, d := range l.table.rows {
		up := parentLength(len(d.Code))
		if _, ok := l.table.index[d.Code[:up]]; up > 0 && !ok {
			l.problem(l.lines[i], "code %s: its parent %s is not in the table", d.Code, d.Code[:up])
		}
		if len(l.problems) >= maxProblems {
			break
		}
	}
	if len(l.table.rows) == 0 && len(l.problems) == 0 {
		l.problems = append(l.problems, errors.New("line 2: no division"))
	}
	if len(l.problems) > 0 {
		return nil, errors.Join(l.problems...)
	}
	rows := l.table.rows
	sort.Slice(rows, func(i, j int) bool { return rows[i].Code < rows[j].Code })
	for i, d := range rows {
		l.table.index[d.Code] = i
	}
	return l.table, nil
}

func isCode(s string) bool {
	if strings.Trim(s, "0123456789") != "" {
		return false
	}
	for _, n := range lengths() {
		if len(s) == n {
			return true
		}
	}
	return false
}
