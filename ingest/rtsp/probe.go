package rtsp

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
)

const defaultProbe = 5 * time.Second

// ProbeResult is what a camera really sends, or why it does not. What was not
// measured is zero and left out of the JSON form.
type ProbeResult struct {
	Camera    string      `json:"camera,omitempty"`
	URL       string      `json:"url"`                 // without user and password
	Transport string      `json:"transport,omitempty"` // tcp, udp or tls; "" when no session stood
	Tracks    []Track     `json:"tracks,omitempty"`    // all media of the description
	Video     *VideoFound `json:"video,omitempty"`     // nil when no picture came
	Fault     *Found      `json:"fault,omitempty"`     // nil when all is well
}

// Found is a fault in a form that can be written out.
type Found struct {
	Reason ingest.Reason `json:"reason"`
	Error  string        `json:"error"`
	Hint   string        `json:"hint,omitempty"`
}

// VideoFound is what was measured of the video.
type VideoFound struct {
	Codec         string  `json:"codec"`             // H264 or H265
	Profile       string  `json:"profile,omitempty"` // such as "High", "Main"
	Level         string  `json:"level,omitempty"`   // such as "4.0"
	Width         int     `json:"width,omitempty"`   // pixels
	Height        int     `json:"height,omitempty"`
	FPS           float64 `json:"fps"`                     // measured, by the media clock
	DeclaredFPS   float64 `json:"declared_fps,omitempty"`  // as SPS or SDP say
	GOP           int     `json:"gop,omitempty"`           // pictures from key frame to key frame, the longest seen; 0 when fewer than two came
	GOPSeconds    float64 `json:"gop_seconds,omitempty"`   // the same by the media clock
	BitsPerSecond float64 `json:"bits_per_second"`         // of NAL units
	BFrames       bool    `json:"b_frames"`                // pictures are sent in another order than shown: bad for latency
	ParametersSDP bool    `json:"parameters_in_sdp"`       // parameter sets in the description
	ParametersIn  bool    `json:"parameters_in_band"`      // parameter sets in the stream
	FirstUnit     float64 `json:"first_unit_seconds"`      // from the start of the probe to the first access unit
	FirstKey      float64 `json:"first_key_frame_seconds"` // … and to the first that decoding can start from; 0 when none came
	Units         int     `json:"units"`                   // access units received
	KeyFrames     int     `json:"key_frames"`              // of them
	LostPackets   uint64  `json:"lost_packets"`            // by gaps in the RTP sequence numbers
	ClockJumps    int     `json:"clock_jumps"`             // of the media clock
	ClockDrift    float64 `json:"clock_drift_ppm"`         // media clock against ours, parts per million; rough: a probe is short
	Seconds       float64 `json:"measured_seconds"`        // from the first unit to the last
}

// Probe connects to a camera as the gateway would, reads its stream for d (0
// means 5 s) and says what came. It blocks for d, or longer where the camera is
// slow to answer, by its configured timeout. A camera that fails is a result
// with a Fault, not an error; the error is for a configuration that cannot be
// used and for ctx.
func Probe(ctx context.Context, cam configs.Camera, d time.Duration) (*ProbeResult, error) {
	src, err := newSource(cam, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		return nil, err
	}
	if d <= 0 {
		d = defaultProbe
	}
	shown := (*base.URL)(src.url).CloneWithoutCredentials()
	p := &prober{result: &ProbeResult{Camera: cam.ID, URL: shown.String()}, begun: time.Now()}
	src.onTracks, src.onEnd = p.tracks, p.ended
	run, stop := context.WithCancel(ctx)
	defer stop()
	wait := time.AfterFunc(2*src.timeout+d, stop) // for a session in which nothing comes
	defer wait.Stop()
	p.enough = func() { wait.Reset(d) }
	err = src.Run(run, p)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	p.finish(err)
	return p.result, nil
}

// prober is the sink of a probe.
type prober struct {
	result *ProbeResult
	begun  time.Time
	enough func() // starts the clock of the measurement

	chosen   *Track
	inBand   bool
	video    *VideoFound
	asm      ingest.Assembler
	clock    ingest.Clock
	first    time.Time
	last     time.Time
	firstPTS time.Duration
	lastPTS  time.Duration
	maxPTS   time.Duration
	bytes    int
	lost     uint64
	sinceKey int
	keyPTS   time.Duration
}

func (p *prober) tracks(all []Track, chosen *Track) { p.result.Tracks, p.chosen = all, chosen }

func (p *prober) ended(inBand bool) { p.inBand = p.inBand || inBand }

// Connected implements ingest.Sink.
func (p *prober) Connected(transport string) { p.result.Transport = transport }

// Lost implements ingest.Sink.
func (p *prober) Lost(n uint64) { p.lost += n }

// Write implements ingest.Sink.
func (p *prober) Write(u ingest.AccessUnit) {
	pts, jumped := p.clock.Next(u.PTS, u.Received)
	if p.video == nil {
		p.video = &VideoFound{Codec: u.Codec.String(), FirstUnit: u.Received.Sub(p.begun).Seconds()}
		p.asm.Codec = u.Codec
		p.first, p.firstPTS, p.maxPTS = u.Received, pts, pts
		p.enough()
	}
	v := p.video
	v.Units++
	if jumped {
		v.ClockJumps++
	}
	v.BFrames = v.BFrames || pts < p.lastPTS
	p.last, p.lastPTS, p.maxPTS = u.Received, pts, max(p.maxPTS, pts)
	p.bytes += u.Size()
	p.sinceKey++
	p.asm.Remember(u.NALUs...)
	if !u.Key {
		return
	}
	if v.KeyFrames > 0 {
		v.GOP = max(v.GOP, p.sinceKey)
		v.GOPSeconds = max(v.GOPSeconds, (pts - p.keyPTS).Seconds())
	} else {
		v.FirstKey = u.Received.Sub(p.begun).Seconds()
	}
	v.KeyFrames++
	p.sinceKey, p.keyPTS = 0, pts
}

// finish works out what the measurement says.
func (p *prober) finish(err error) {
	if f, ok := errors.AsType[*ingest.Fault](err); ok {
		text := ""
		if f.Err != nil {
			text = f.Err.Error()
		}
		p.result.Fault = &Found{Reason: f.Reason, Error: text, Hint: f.Hint}
	}
	v := p.video
	if v == nil {
		if p.result.Fault == nil {
			p.result.Fault = &Found{Reason: ingest.ReasonNoFrames, Error: "no access unit came", Hint: hintNothing}
		}
		return
	}
	p.result.Video = v
	v.LostPackets = p.lost
	v.ParametersIn = p.inBand
	v.Seconds = p.last.Sub(p.first).Seconds()
	if media := (p.maxPTS - p.firstPTS).Seconds(); media > 0 {
		v.FPS = float64(v.Units-1) / media
		v.BitsPerSecond = float64(p.bytes) * 8 / media * float64(v.Units-1) / float64(v.Units)
		if v.Seconds >= 1 {
			v.ClockDrift = (media/v.Seconds - 1) * 1e6
		}
	}
	if p.chosen != nil {
		v.ParametersSDP = len(p.chosen.parameterSets()) > 0
		v.DeclaredFPS = p.chosen.frameRate
	}
	p.describe(v)
	if v.KeyFrames == 0 && p.result.Fault == nil {
		p.result.Fault = &Found{Reason: ingest.ReasonNoKeyFrame, Error: "units came, none to start decoding from",
			Hint: "set the camera's key frame interval to 2 s"}
	}
}

// describe reads the sequence parameter set.
func (p *prober) describe(v *VideoFound) {
	_, sps, _ := p.asm.Parameters()
	if p.asm.Codec == ingest.H265 {
		var s h265.SPS
		if s.Unmarshal(sps) == nil {
			v.Width, v.Height = s.Width(), s.Height()
			v.DeclaredFPS = declared(s.FPS(), v.DeclaredFPS)
			v.Profile, v.Level = profile265(int(s.ProfileTierLevel.GeneralProfileIdc)), level265(int(s.ProfileTierLevel.GeneralLevelIdc))
		}
		return
	}
	var s h264.SPS
	if s.Unmarshal(sps) == nil {
		v.Width, v.Height = s.Width(), s.Height()
		v.DeclaredFPS = declared(s.FPS(), v.DeclaredFPS)
		v.Profile, v.Level = profile264(int(s.ProfileIdc)), level264(int(s.LevelIdc))
	}
}
