package simulate

import (
	"fmt"
	"strings"
)

// Faults are deviations from the standard that real devices show, as a set.
type Faults uint32

// The faults, each found in devices of the field or in attacks on platforms.
const (
	WrongSSRC    Faults = 1 << iota // media with another SSRC than asked for
	NoSSRC                          // no y= in the answer
	NoPSM                           // a program stream without a map
	TransportPS                     // MPEG-TS where PS was agreed
	RawH264                         // H.264 (or H.265) in RTP without any multiplex
	HalfOpen                        // a TCP connection for media that stops in the middle of a frame
	Silence                         // INVITE is answered, nothing is ever sent
	GBKLie                          // XML in GBK that is labelled UTF-8
	DuplicateIDs                    // the second channel has the ID of the first
	BareXML                         // an & in a name, not escaped
	NoSDP                           // 200 to INVITE without a body
	Mute                            // no request is answered
)

var faultNames = []string{
	"wrong-ssrc", "no-ssrc", "no-psm", "ts", "raw", "half-open", "silence", "gbk-lie", "duplicate-ids", "bare-xml", "no-sdp", "mute",
}

// ParseFaults reads names joined by commas: wrong-ssrc, no-ssrc, no-psm, ts,
// raw, half-open, silence, gbk-lie, duplicate-ids, bare-xml, no-sdp, mute.
func ParseFaults(text string) (Faults, error) {
	var f Faults
next:
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		for i, known := range faultNames {
			if name == known {
				f |= 1 << i
				continue next
			}
		}
		return 0, fmt.Errorf("fault %q is unknown: use %s", name, strings.Join(faultNames, ", "))
	}
	return f, nil
}

// String returns the names joined by commas.
func (f Faults) String() string {
	var names []string
	for i, name := range faultNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

func (f Faults) has(other Faults) bool { return f&other != 0 }
