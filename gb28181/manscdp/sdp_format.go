package manscdp

import (
	"strconv"
	"strings"
)

// Format is the f= line of annex G: what is asked for, or sent. Codes are those
// of the annex; 0 means not given.
type Format struct {
	Video      int    // VideoMPEG4 …
	Resolution string // 1 QCIF, 2 CIF, 3 4CIF, 4 D1, 5 720p, 6 1080p, or "WxH"
	FrameRate  int    // 1–99 per second
	RateType   int    // 1 constant, 2 variable
	VideoRate  int    // kbit/s
	Audio      int    // AudioG711 …
	AudioRate  int    // code of annex G: 1 5.3, 2 6.3, 3 8, 4 16, 5 24, 6 32, 7 48, 8 64, 9 192 kbit/s
	SampleRate int    // code of annex G: 1 8, 2 14, 3 16, 4 32 kHz
}

// Codes of annex G for the video and audio part of an f= line.
const (
	VideoMPEG4 = 1
	VideoH264  = 2
	VideoSVAC  = 3
	Video3GP   = 4
	VideoH265  = 5
	AudioG711  = 1
	AudioG723  = 2
	AudioG729  = 3
	AudioG722  = 4
	AudioSVAC  = 5
	AudioAAC   = 6
)

// String writes the value of the f= line: "v/…a/…" with empty parts where a
// code is not given.
func (f *Format) String() string {
	n := func(i int) string {
		if i == 0 {
			return ""
		}
		return strconv.Itoa(i)
	}
	return "v/" + strings.Join([]string{n(f.Video), f.Resolution, n(f.FrameRate), n(f.RateType), n(f.VideoRate)}, "/") +
		"a/" + strings.Join([]string{n(f.Audio), n(f.AudioRate), n(f.SampleRate)}, "/")
}

// parseFormat reads "v/2/6/25/1/2048a/1/8/1". Missing parts are 0; a value that
// holds neither part is nil.
func parseFormat(s string) *Format {
	video, audio, hasAudio := strings.Cut(s, "a/")
	video, hasVideo := strings.CutPrefix(video, "v/")
	if !hasVideo && !hasAudio {
		return nil
	}
	var f Format
	if hasVideo {
		part := parts(video)
		f.Resolution = part(1)
		f.Video, f.FrameRate = int(number(part(0))), int(number(part(2)))
		f.RateType, f.VideoRate = int(number(part(3))), int(number(part(4)))
	}
	part := parts(audio)
	f.Audio, f.AudioRate, f.SampleRate = int(number(part(0))), int(number(part(1))), int(number(part(2)))
	return &f
}

// parts returns the slash-separated parts of s by index, empty beyond the last.
func parts(s string) func(i int) string {
	p := strings.Split(s, "/")
	return func(i int) string {
		if i >= len(p) {
			return ""
		}
		return strings.TrimSpace(p[i])
	}
}
