package rtsp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// Bounds on a description, against cameras that are broken or hostile.
const (
	maxSDPLines  = 2000
	maxTracks    = 32
	maxParamSets = 16
	maxFormats   = 16
)

// Track is one media of a stream's description (SDP, RFC 4566), for people to
// read: only one video track is ever set up.
type Track struct {
	Kind      string `json:"kind"`                 // video, audio, application, …
	Codec     string `json:"codec"`                // as the camera writes it, such as "H264", "PCMA", "vnd.onvif.metadata"
	Payload   uint8  `json:"payload"`              // RTP payload type
	ClockRate int    `json:"clock_rate,omitempty"` // Hz, 0 when not said
	Back      bool   `json:"back,omitempty"`       // towards the camera: its loudspeaker

	control   string
	secure    bool   // SRTP
	keyMgmt   string // MIKEY, RFC 4567
	params    map[string]string
	frameRate float64
}

// described is what is used of a session description.
type described struct {
	control string
	keyMgmt string
	tracks  []Track
}

// parseSDP reads a session description as leniently as it can: line by line,
// skipping what it does not know. gortsplib reads SDP strictly, so that one
// odd audio track or origin line would cost the video; it is given the output
// of minimal instead.
func parseSDP(body []byte) (*described, error) {
	d := &described{}
	var media []Track // formats of the m= line that is being read
	flush := func() {
		for _, t := range media {
			if len(d.tracks) < maxTracks {
				d.tracks = append(d.tracks, t)
			}
		}
		media = nil
	}
	lines := 0
	for line := range bytes.SplitSeq(body, []byte("\n")) {
		if lines++; lines > maxSDPLines {
			return nil, fmt.Errorf("description of more than %d lines", maxSDPLines)
		}
		key, value, ok := strings.Cut(strings.TrimSpace(string(line)), "=")
		switch {
		case !ok:
		case key == "m":
			flush()
			media = parseMedia(value)
		case key == "a" && media == nil:
			d.sessionAttribute(value)
		case key == "a":
			for i := range media {
				media[i].attribute(value)
			}
		}
	}
	flush()
	if len(d.tracks) == 0 {
		return nil, errors.New("description without media")
	}
	return d, nil
}

func (d *described) sessionAttribute(a string) {
	name, value, _ := strings.Cut(a, ":")
	switch name {
	case "control":
		d.control = value
	case "key-mgmt":
		d.keyMgmt = value
	}
}

// parseMedia reads an m= line (RFC 4566 §5.14): one Track per format.
func parseMedia(line string) []Track {
	f := strings.Fields(line)
	if len(f) < 4 {
		return nil
	}
	var ts []Track
	for _, pt := range f[3:min(len(f), 3+maxFormats)] {
		n, err := strconv.ParseUint(pt, 10, 7)
		if err != nil {
			continue
		}
		ts = append(ts, Track{
			Kind:    f[0],
			Codec:   staticCodec(uint8(n)),
			Payload: uint8(n),
			secure:  strings.Contains(f[2], "SAVP"),
			params:  map[string]string{},
		})
	}
	return ts
}

// staticCodec names the payload types that need no rtpmap (RFC 3551 §6) and
// that cameras really use.
func staticCodec(pt uint8) string {
	switch pt {
	case 0:
		return "PCMU"
	case 8:
		return "PCMA"
	case 14:
		return "MPA"
	case 26:
		return "JPEG"
	case 32:
		return "MPV"
	case 33:
		return "MP2T"
	}
	return ""
}

// attribute reads an a= line of the media that t belongs to.
func (t *Track) attribute(a string) {
	name, value, _ := strings.Cut(a, ":")
	switch name {
	case "control":
		t.control = value
	case "sendonly":
		t.Back = true
	case "key-mgmt":
		t.keyMgmt = value
	case "framerate":
		if v, err := strconv.ParseFloat(value, 64); err == nil && v > 0 && v < 1000 {
			t.frameRate = v
		}
	case "rtpmap":
		if rest, ok := t.mine(value); ok {
			codec, rate, _ := strings.Cut(rest, "/")
			rate, _, _ = strings.Cut(rate, "/")
			t.Codec = codec
			t.ClockRate, _ = strconv.Atoi(strings.TrimSpace(rate)) // 0 when it is no number
		}
	case "fmtp":
		if rest, ok := t.mine(value); ok {
			for p := range strings.SplitSeq(rest, ";") {
				k, v, _ := strings.Cut(strings.TrimSpace(p), "=")
				t.params[strings.ToLower(k)] = v
			}
		}
	}
}

// mine strips the payload type in front of value and says whether it is t's.
func (t *Track) mine(value string) (string, bool) {
	pt, rest, ok := strings.Cut(strings.TrimSpace(value), " ")
	n, err := strconv.ParseUint(pt, 10, 7)
	return strings.TrimSpace(rest), ok && err == nil && uint8(n) == t.Payload
}

// codec returns the track's codec as the gateway knows it, 0 for others.
func (t *Track) codec() ingest.Codec {
	switch strings.ToUpper(t.Codec) {
	case "H264":
		return ingest.H264
	case "H265", "HEVC":
		return ingest.H265
	}
	return 0
}

// parameterSets returns those that the description carries (sprop-… of RFC 6184
// §8.1 and RFC 7798 §7.1). Sets that are no base64 are left out: they may still
// come in the stream.
func (t *Track) parameterSets() [][]byte {
	var sets [][]byte
	for _, key := range []string{"sprop-parameter-sets", "sprop-vps", "sprop-sps", "sprop-pps"} {
		for s := range strings.SplitSeq(t.params[key], ",") {
			s = strings.TrimRight(strings.TrimSpace(s), "=")
			b, err := base64.RawStdEncoding.DecodeString(s)
			if err != nil || len(b) == 0 || len(sets) >= maxParamSets {
				continue
			}
			// Some cameras put an Annex-B start code in front.
			sets = append(sets, bytes.TrimPrefix(bytes.TrimPrefix(b, []byte{0}), []byte{0, 0, 1}))
		}
	}
	return sets
}

// choose returns the track to set up: the first video track that the camera
// sends in a codec we read.
func (d *described) choose() (*Track, error) {
	var video []string
	for i := range d.tracks {
		t := &d.tracks[i]
		if t.Kind != "video" || t.Back {
			continue
		}
		if t.codec() != 0 {
			return t, t.check()
		}
		name := t.Codec
		if name == "" {
			name = fmt.Sprintf("payload type %d", t.Payload)
		}
		video = append(video, fmt.Sprintf("%.40q", name))
	}
	if video == nil {
		return nil, &ingest.Fault{Reason: ingest.ReasonNoVideo, Err: errors.New("no video track in the description"),
			Hint: "choose a path or a profile of the camera that sends video"}
	}
	return nil, &ingest.Fault{Reason: ingest.ReasonUnsupportedCodec, Err: fmt.Errorf("video codec %s", strings.Join(video, ", ")),
		Hint: "set the camera to H.264 or H.265"}
}

// check refuses ways of packing that nobody reads: interleaved mode of H.264
// (RFC 6184 §5.2) and decoding order numbers of H.265 (RFC 7798 §4.1).
func (t *Track) check() error {
	if t.params["packetization-mode"] == "2" || (t.params["sprop-max-don-diff"] != "" && t.params["sprop-max-don-diff"] != "0") {
		return &ingest.Fault{Reason: ingest.ReasonUnsupportedCodec, Err: errors.New("interleaved RTP packing of " + t.codec().String()),
			Hint: "set the camera to non-interleaved packetization"}
	}
	return nil
}

// minimal writes a description with this one track, in the form that every
// parser reads.
func (d *described) minimal(t *Track) []byte {
	var b bytes.Buffer
	line := func(format string, a ...any) { fmt.Fprintf(&b, format+"\r\n", a...) }
	line("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0")
	if d.control != "" {
		line("a=control:%s", d.control)
	}
	if d.keyMgmt != "" {
		line("a=key-mgmt:%s", d.keyMgmt)
	}
	profile := "RTP/AVP"
	if t.secure {
		profile = "RTP/SAVP"
	}
	line("m=video 0 %s %d", profile, t.Payload)
	line("a=rtpmap:%d %s/90000", t.Payload, t.codec())
	if t.control != "" {
		line("a=control:%s", t.control)
	}
	if t.keyMgmt != "" {
		line("a=key-mgmt:%s", t.keyMgmt)
	}
	return b.Bytes()
}
