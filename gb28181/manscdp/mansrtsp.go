package manscdp

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// MaxRTSP is the longest MANSRTSP text that ParseRTSP reads, in bytes.
const MaxRTSP = 16 << 10

// ErrNotRTSP means that a body is no MANSRTSP message.
var ErrNotRTSP = errors.New("body is no MANSRTSP message")

// Methods of MANSRTSP (annex B).
const (
	RTSPPlay     = "PLAY"
	RTSPPause    = "PAUSE"
	RTSPTeardown = "TEARDOWN"
)

// RTSP is one message of MANSRTSP, a request when Method is set and else an
// answer. It steers a playback that runs.
type RTSP struct {
	Method string // one of the RTSP constants; "" for an answer
	Status int    // of an answer, 200 is well
	CSeq   int

	// Scale is the speed, 1 as recorded, 0 not said; below 0 is backwards (2022).
	Scale float64
	// From and To are the stretch to play, from the start of the record; nil is
	// not said. From equal to Now goes on where it stands.
	From, To *time.Duration

	RTPInfo string // of an answer to a seek (2022)
}

// Now as From means "npt=now-": go on from here.
const Now = time.Duration(math.MinInt64)

// NowFrom and At make the From of an RTSP message.
func NowFrom() *time.Duration { d := Now; return &d }

// At makes the From or To of an RTSP message from an offset.
func At(d time.Duration) *time.Duration { return &d }

// Marshal writes a request. The start line says RTSP/1.0, as the 2016 text does
// and as devices of every version take it.
func (m *RTSP) Marshal() []byte {
	var b strings.Builder
	b.WriteString(m.Method + " RTSP/1.0\r\n")
	b.WriteString("CSeq: " + strconv.Itoa(m.CSeq) + "\r\n")
	if m.Method == RTSPPause {
		b.WriteString("PauseTime: now\r\n")
	}
	if m.Scale != 0 {
		s := strconv.FormatFloat(m.Scale, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0" // some devices read a number with a point only
		}
		b.WriteString("Scale: " + s + "\r\n")
	}
	if m.From != nil {
		b.WriteString("Range: npt=" + npt(m.From) + "-")
		if m.To != nil {
			b.WriteString(npt(m.To))
		}
		b.WriteString("\r\n")
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}

func npt(d *time.Duration) string {
	if *d == Now {
		return "now"
	}
	return strconv.FormatFloat(max(d.Seconds(), 0), 'f', -1, 64)
}

// ParseRTSP reads a request or an answer. Lines may end in CR, LF or both; header
// names are compared without case; unknown ones are passed over. The error is
// ErrNotRTSP.
func ParseRTSP(body []byte) (RTSP, error) {
	var m RTSP
	if len(body) > MaxRTSP {
		return m, ErrNotRTSP
	}
	lines := strings.FieldsFunc(string(body), func(r rune) bool { return r == '\r' || r == '\n' || r == 0 })
	if len(lines) == 0 || !m.start(strings.Fields(lines[0])) {
		return m, ErrNotRTSP
	}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		m.header(strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value))
	}
	return m, nil
}

// start reads "PLAY MANSRTSP/1.0" or "RTSP/1.0 200 OK".
func (m *RTSP) start(f []string) bool {
	if len(f) < 2 {
		return false
	}
	if strings.HasSuffix(strings.ToUpper(f[0]), "RTSP/1.0") {
		n, err := strconv.Atoi(f[1])
		m.Status = n
		return err == nil && n >= 100 && n <= 999
	}
	if !strings.HasSuffix(strings.ToUpper(f[len(f)-1]), "RTSP/1.0") {
		return false
	}
	m.Method = strings.ToUpper(f[0])
	return m.Method == RTSPPlay || m.Method == RTSPPause || m.Method == RTSPTeardown
}

func (m *RTSP) header(name, value string) {
	switch name {
	case "cseq":
		m.CSeq = int(number(value))
	case "scale":
		if f, err := strconv.ParseFloat(value, 64); err == nil && math.Abs(f) <= 64 {
			m.Scale = f
		}
	case "rtp-info":
		m.RTPInfo = value
	case "range":
		if v, ok := strings.CutPrefix(strings.ToLower(value), "npt="); ok {
			from, to, _ := strings.Cut(v, "-")
			m.From, m.To = offset(from), offset(to)
		}
	}
}

// offset reads one end of a range: "now", seconds, or hh:mm:ss.
func offset(s string) *time.Duration {
	s = strings.TrimSpace(s)
	if s == "now" {
		return NowFrom()
	}
	seconds := 0.0
	if s == "" {
		return nil
	}
	for part := range strings.SplitSeq(s, ":") {
		f, err := strconv.ParseFloat(part, 64)
		if err != nil || f < 0 || f > 1e8 || math.IsNaN(f) {
			return nil
		}
		if seconds = seconds*60 + f; seconds > 1e9 {
			return nil
		}
	}
	return At(time.Duration(seconds * float64(time.Second)))
}
