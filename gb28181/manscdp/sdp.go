package manscdp

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// MaxSDP is the longest session description that ParseSDP reads, in bytes.
const MaxSDP = 64 << 10

// Errors of ParseSDP. With ErrNoMedia the returned SDP still holds what could be
// read: a device that answers 200 without a description sends media all the same.
var (
	ErrSDPTooLong = errors.New("session description is longer than 64 KiB")
	ErrNoMedia    = errors.New("session description has no m= line")
)

// Session names of annex G, the value of s=.
const (
	SessionPlay     = "Play"
	SessionPlayback = "Playback"
	SessionDownload = "Download"
	SessionTalk     = "Talk" // vendors' two-way audio; not in the standard
)

// Setup says who opens the TCP connection of the media (RFC 4145 §4).
type Setup string

// The roles of RFC 4145 that occur here; empty when the description has none.
const (
	SetupNone    Setup = ""
	SetupActive  Setup = "active"  // the sender of this description dials
	SetupPassive Setup = "passive" // the sender of this description listens
	SetupActPass Setup = "actpass"
)

// SDP is a session description as GB/T 28181 uses it (annex G). The zero value
// of a field means that the line is absent.
type SDP struct {
	Owner   string     // o= user name: the 20-digit ID of the sender
	Origin  netip.Addr // o= address
	Session string     // s=: one of the Session constants, as sent
	URI     string     // u=: "<channel>:0" for Playback and Download
	Addr    netip.Addr // c= of the session; Media.Addr overrides it
	Start   int64      // t= first, Unix seconds; 0 for live
	Stop    int64      // t= second, Unix seconds; 0 for live
	Media   []Media
	SSRC    string  // y=: ten decimal digits
	Format  *Format // f=, nil when absent or unreadable
}

// Media is one m= block.
type Media struct {
	Kind          string // video or audio
	Port          int
	TCP           bool // TCP/RTP/AVP, RFC 4571 framing
	Payloads      []RTPMap
	Addr          netip.Addr // c= inside this block
	Setup         Setup
	NewConnection bool        // a=connection:new, or absent; false for existing
	Direction     string      // recvonly, sendonly, sendrecv, inactive or empty
	DownloadSpeed int         // a=downloadspeed, a factor; 0 absent
	FileSize      int64       // a=filesize, bytes; 0 absent
	Attributes    []Attribute // every other a= line, in order
}

// RTPMap is a payload type with its a=rtpmap line.
type RTPMap struct {
	Type     uint8
	Encoding string // PS, H264, MPEG4, PCMA …; empty when there is no a=rtpmap
	Clock    int    // Hz; 0 when there is no a=rtpmap
}

// Attribute is an a= line that has no field of its own.
type Attribute struct{ Name, Value string }

// NewSSRC writes the ten digits of a y= line: history is true for Playback and
// Download, realm is the SIP domain of which digits 4 to 8 are taken (annex G),
// serial is used modulo 10 000. A realm too short gives zeros.
func NewSSRC(history bool, realm string, serial int) string {
	b := []byte("0000000000")
	if history {
		b[0] = '1'
	}
	if len(realm) >= 8 {
		copy(b[1:6], realm[3:8])
	}
	for i, n := 9, ((serial%10000)+10000)%10000; i >= 6; i, n = i-1, n/10 {
		b[i] = byte('0' + n%10)
	}
	return string(b)
}

// SSRCValue returns the y= line as the number in the RTP header. It is false
// when the line is absent or no 32-bit decimal number. Missing leading zeros and
// blanks are forgiven: devices in the field leave them out.
func (s *SDP) SSRCValue() (uint32, bool) {
	n, err := strconv.ParseUint(strings.TrimSpace(s.SSRC), 10, 32)
	return uint32(n), err == nil
}

// Video returns the first m= block that carries pictures, or nil.
func (s *SDP) Video() *Media { return s.first("video") }

// Audio returns the first m= block that carries sound only, or nil.
func (s *SDP) Audio() *Media { return s.first("audio") }

func (s *SDP) first(kind string) *Media {
	for i := range s.Media {
		if s.Media[i].Kind == kind {
			return &s.Media[i]
		}
	}
	return nil
}

// Remote returns where the sender of this description receives, or listens, for
// m: the address of the block or else of the session. The address is invalid
// when the device gave none, or a name.
func (s *SDP) Remote(m *Media) netip.AddrPort {
	a := s.Addr
	if m.Addr.IsValid() {
		a = m.Addr
	}
	return netip.AddrPortFrom(a, uint16(m.Port))
}

// Times returns Start and Stop as instants in Beijing's zone; both are zero for
// live.
func (s *SDP) Times() (start, stop time.Time) {
	if s.Start != 0 {
		start = time.Unix(s.Start, 0).In(Beijing)
	}
	if s.Stop != 0 {
		stop = time.Unix(s.Stop, 0).In(Beijing)
	}
	return start, stop
}

// Attribute returns the value of the first a= line of that name that has no
// field of its own, and whether there is one. Names are compared without case.
func (m *Media) Attribute(name string) (string, bool) {
	for _, a := range m.Attributes {
		if strings.EqualFold(a.Name, name) {
			return a.Value, true
		}
	}
	return "", false
}
