package coverage

import (
	"fmt"
	"strings"
)

// Suggest says what to write instead of a code that is not a village of the
// table: a code that differs by one slip of the hand, else where the code stops
// making sense. It is a sentence for the author of a configuration, "" only
// when the table is empty.
func (d *Divisions) Suggest(code string) string {
	for _, s := range slips(code) {
		if d.Known(s) {
			return fmt.Sprintf("%s (%s)", s, d.Name(s))
		}
	}
	if len(d.rows) == 0 {
		return ""
	}
	if len(code) != 12 || strings.Trim(code, "0123456789") != "" {
		return fmt.Sprintf("12 digits of a village or community, such as %s", d.example(longestKnown(d, code)))
	}
	up := longestKnown(d, code)
	if up == "" {
		return fmt.Sprintf("a code of %s, or give center.divisions_file a table that has province %s", d.rows[0].Name, code[:2])
	}
	return fmt.Sprintf("a code below %s (%s), such as %s", up, d.Name(up), d.example(up))
}

// longestKnown returns the longest beginning of code that is in the table.
func longestKnown(d *Divisions, code string) string {
	known := ""
	for _, n := range lengths() {
		if len(code) >= n {
			if _, ok := d.index[code[:n]]; ok {
				known = code[:n]
			}
		}
	}
	return known
}

// example returns the first village below prefix, with its name.
func (d *Divisions) example(prefix string) string {
	v := d.Villages(prefix)
	if len(v) == 0 {
		return prefix
	}
	return fmt.Sprintf("%s (%s)", v[0].Code, d.Name(v[0].Code))
}

// slips returns the codes that one slip makes of code: two neighbours swapped,
// a digit too many, a digit missing, a wrong digit, in this order of likelihood.
func slips(code string) []string {
	if len(code) < 11 || len(code) > 13 || strings.Trim(code, "0123456789") != "" {
		return nil
	}
	var out []string
	for i := 0; i+1 < len(code); i++ {
		out = append(out, code[:i]+code[i+1:i+2]+code[i:i+1]+code[i+2:])
	}
	for i := range code {
		out = append(out, code[:i]+code[i+1:])
	}
	for i := range len(code) + 1 {
		for c := '0'; c <= '9'; c++ {
			out = append(out, code[:i]+string(c)+code[i:])
		}
	}
	for i := len(code) - 1; i >= 0; i-- { // the end of a code is typed, its beginning is copied
		for c := '0'; c <= '9'; c++ {
			out = append(out, code[:i]+string(c)+code[i+1:])
		}
	}
	return out
}
