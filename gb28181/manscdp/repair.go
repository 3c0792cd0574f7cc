package manscdp

import (
	"slices"
	"strings"
)

// Repairs is the set of what Decode had to mend in a body. It is for counting
// and for finding out what a device does wrong; the message stands all the same.
type Repairs uint32

// What Decode mends.
const (
	RepairCharset   Repairs = 1 << iota // label and bytes disagree
	RepairMixed                         // two character sets in one body
	RepairCharacter                     // a cut or impossible character became U+FFFD
	RepairBOM                           // a byte order mark stood first
	RepairControl                       // NUL or other bytes that XML forbids were dropped
	RepairAmpersand                     // & in text without being an entity
	RepairLess                          // < in text
	RepairEnd                           // an end tag is missing or stands wrong
	RepairTruncated                     // the body breaks off; the last, cut value is dropped
	RepairAttribute                     // values in attributes instead of elements
	RepairNamespace                     // names with a prefix
	RepairDoctype                       // a DTD was skipped unread
	RepairCase                          // an element's name in other case
	RepairValue                         // a number or time that is none was left out
	RepairElement                       // a group stands under another name; found by what it holds
)

var repairNames = [...]string{"charset", "mixed_charset", "character", "bom", "control", "ampersand", "less", "end_tag",
	"truncated", "attribute", "namespace", "doctype", "case", "value", "element"}

// Names lists the repairs in one word each; a bounded set, so that a word may be
// a metric label.
func (r Repairs) Names() []string {
	var names []string
	for i, n := range repairNames {
		if r&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return names
}

// RepairNames lists every word that Names may give.
func RepairNames() []string { return slices.Clone(repairNames[:]) }

// String lists the repairs for a log line.
func (r Repairs) String() string { return strings.Join(r.Names(), ",") }
