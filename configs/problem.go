package configs

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// Problem is one thing that is wrong in a configuration file. It never holds a
// secret: what is quoted from the file is short and masked.
type Problem struct {
	File   string // as given to Load
	Line   int    // from 1; 0 when the file as a whole is meant
	Column int    // from 1, in characters; 0 when the file as a whole is meant
	Path   string // where in the structure: edge.cameras[3].zones[0].points
	What   string // what is wrong
	Remedy string // what to write instead
}

// String returns the problem in one line that editors and terminals can follow:
// "FILE:LINE:COLUMN: PATH: WHAT; REMEDY".
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.What)
	if p.Remedy != "" {
		b.WriteString("; " + p.Remedy)
	}
	return b.String()
}

// Problems is everything that is wrong in a file, in the order of its lines.
// It is the error of Load.
type Problems []Problem

// Error returns one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// maxProblems bounds what a hopeless file costs; the last place says that there
// are more.
const maxProblems = 1000

// maxQuoted is the number of characters of the file that a problem repeats.
const maxQuoted = 60

// quote returns text from the file for a problem: in quotation marks, short,
// without control characters and without credentials.
func quote(text string) string {
	runes := []rune(Mask(text))
	if len(runes) > maxQuoted {
		runes = append(runes[:maxQuoted], '…')
	}
	for i, r := range runes {
		if unicode.IsControl(r) || !unicode.IsPrint(r) {
			runes[i] = '�'
		}
	}
	return `"` + string(runes) + `"`
}

var (
	// The user part of an address ends at the last @ before the path, as net/url
	// has it; a password with a slash in it is cut at the last @ of all.
	userinfoPattern = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*:/{0,2})[^\s]*@`)
	// Some recorders take the login in the path or the query of an address.
	passwordPattern = regexp.MustCompile(`(?i)((?:password|passwd|passwort|pwd|pass|token|secret)=)[^&/?#\s]+`)
)

// Mask returns text, an address or a message with addresses, without the user
// and password of any address and without the values of password-like
// parameters.
func Mask(text string) string {
	text = userinfoPattern.ReplaceAllString(text, "${1}")
	return passwordPattern.ReplaceAllString(text, "${1}"+masked)
}
