// Package manscdp reads and writes the bodies that GB/T 28181 carries inside
// SIP: MANSCDP XML (annex A), the SDP with its own y= and f= lines (annex G) and
// MANSRTSP (annex B).
//
// Devices in the field lie about their character set, leave tags open and cut
// names in the middle of a character, so reading is tolerant and says what it
// had to repair; writing is strict and follows the version of the standard that
// the peer speaks. Everything here is a pure function on bytes: no socket, no
// clock, no goroutine, no state. Memory is bounded by MaxBody whatever arrives.
package manscdp

import (
	"strings"
	"time"
)

// Version is the edition of GB/T 28181 that a peer speaks. It is announced by
// the header X-GB-ver (annex I of the 2022 text).
type Version uint8

// The editions that differ in what this package writes. The zero value is
// Version2016, which every later peer reads too.
const (
	Version2016 Version = iota // X-GB-ver 2.0, and what older peers are taken for
	Version2022                // X-GB-ver 3.0
)

// String returns the year, as people name the edition.
func (v Version) String() string {
	if v == Version2022 {
		return "2022"
	}
	return "2016"
}

// ParseVersion reads the value of an X-GB-ver header. Everything from 3.0 on is
// Version2022; an absent, older or unreadable value is Version2016, because the
// higher side must not send what the lower cannot read.
func ParseVersion(header string) Version {
	major, _, _ := strings.Cut(strings.TrimSpace(header), ".")
	if len(major) == 1 && major[0] >= '3' && major[0] <= '9' {
		return Version2022
	}
	return Version2016
}

// Beijing is the zone of every time in a body: the standard writes local times
// without a zone. It is fixed, so that it needs no zone file on the machine.
var Beijing = time.FixedZone("CST", 8*60*60)
