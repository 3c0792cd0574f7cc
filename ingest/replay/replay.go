// Package replay makes a source of a video file in Annex-B form (.h264, .h265),
// for the demo, for tests and for benchmarks. It reads the file while it plays
// it and decodes nothing.
package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"github.com/sharpeyes/sharpeyes/ingest"
)

const (
	defaultFPS = 25
	maxFPS     = 240
	// tooLate is how far behind its time a real-time replay may fall (a stopped
	// process, a sleeping machine) before it gives up catching up.
	tooLate = 2 * time.Second
)

// Options says how a file is replayed.
type Options struct {
	Camera   ingest.CameraID // written into each access unit
	FPS      float64         // pictures per second, up to 240; default: what the file's SPS says, else 25
	Loop     bool            // start again at the end, the clock goes on; default: end with reason "ended"
	Realtime bool            // hand units over at their time; default: as fast as they are taken
	From     time.Duration   // start at the first key frame at or after this time; default 0
}

// source replays one file.
type source struct {
	path  string
	codec ingest.Codec
	opt   Options
}

var _ ingest.Source = (*source)(nil)

// New makes a source of an Annex-B file. The codec is read from the file
// itself. A file of any size is read as it is played: memory is bounded by one
// picture. PTS counts pictures in the order of the file, which is the order of
// decoding. The error says what is wrong with the file.
func New(path string, opt Options) (ingest.Source, error) {
	if opt.FPS < 0 || opt.FPS > maxFPS {
		return nil, fmt.Errorf("replay %s: fps %g: use 0 (the file's own) to %d", path, opt.FPS, maxFPS)
	}
	s := &source{path: path, opt: opt}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	defer f.Close() //nolint:errcheck // read only
	head := make([]byte, 64<<10)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("replay %s: the file is empty or cannot be read: %w", path, err)
	}
	if s.codec, err = sniff(head[:n]); err != nil {
		return nil, fmt.Errorf("replay %s: %w", path, err)
	}
	return s, nil
}

// Open makes the source of a camera with a file:// address, in real time and
// looped. The query may say otherwise: fps=10, loop=false, realtime=false,
// from=30s. file:///a/b is an absolute path, file:a/b and file://./a/b are
// relative to the working directory.
func Open(id ingest.CameraID, address string) (ingest.Source, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "file" {
		return nil, fmt.Errorf("camera %s: %q is no file:// address: write file:///folder/clip.h264", id, address)
	}
	opt := Options{Camera: id, Loop: true, Realtime: true}
	for key, values := range u.Query() {
		if err := opt.set(key, values[0]); err != nil {
			return nil, fmt.Errorf("camera %s: address: %w", id, err)
		}
	}
	path := u.Path
	if u.Opaque != "" {
		path = u.Opaque
	} else if u.Host != "" && u.Host != "localhost" {
		path = u.Host + u.Path
	}
	return New(filepath.FromSlash(path), opt)
}

// set takes one query parameter of a file:// address.
func (o *Options) set(key, value string) (err error) {
	switch key {
	case "fps":
		o.FPS, err = strconv.ParseFloat(value, 64)
	case "loop":
		o.Loop, err = strconv.ParseBool(value)
	case "realtime":
		o.Realtime, err = strconv.ParseBool(value)
	case "from":
		o.From, err = time.ParseDuration(value)
	default:
		return fmt.Errorf("%s is unknown: use fps, loop, realtime, from", key)
	}
	if err != nil {
		return fmt.Errorf("%s=%s: %w", key, value, err)
	}
	return nil
}

// Run implements ingest.Source. Without Realtime it calls the sink as fast as
// the sink returns.
func (s *source) Run(ctx context.Context, sink ingest.Sink) error {
	sink.Connected("file")
	p := player{source: s, sink: sink, fps: s.opt.FPS}
	for first := true; first || s.opt.Loop; first = false {
		before := p.count
		if err := p.pass(ctx, first); err != nil {
			return err
		}
		if p.count == before {
			return &ingest.Fault{Reason: ingest.ReasonBadStream, Err: fmt.Errorf("%s holds no picture to start from", filepath.Base(s.path)),
				Hint: "the file needs a key frame with its parameter sets, and from= must lie before its last one"}
		}
	}
	return &ingest.Fault{Reason: ingest.ReasonEnded, Err: errors.New("end of file"), Hint: "add loop=true to the address to replay it for ever"}
}

// player is one Run.
type player struct {
	*source
	sink  ingest.Sink
	fps   float64
	count int64     // units handed over, all passes
	begun time.Time // when the first unit was due
	shift time.Duration
}

// pass plays the file once; skip says whether Options.From is minded.
func (p *player) pass(ctx context.Context, skip bool) error {
	f, err := os.Open(p.path)
	if err != nil {
		return &ingest.Fault{Reason: ingest.ReasonNotFound, Err: err, Hint: "check the path of the file"}
	}
	defer f.Close() //nolint:errcheck // read only
	split := newSplitter(f, p.codec)
	asm := ingest.Assembler{Camera: p.opt.Camera, Codec: p.codec}
	started := false
	for n := int64(0); ; {
		nalus, err := split.picture()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return &ingest.Fault{Reason: ingest.ReasonBadStream, Err: fmt.Errorf("%s: %w", filepath.Base(p.path), err), Hint: "the file is damaged"}
		}
		u, ok := asm.Unit(nalus)
		if !ok {
			continue
		}
		if p.fps == 0 {
			p.fps = declaredFPS(&asm)
		}
		at := p.time(n)
		n++
		started = started || (u.Entry() && (!skip || at >= p.opt.From))
		if !started {
			continue
		}
		if err := p.give(ctx, u); err != nil {
			return err
		}
	}
}

// time returns when picture n is due, from the first on.
func (p *player) time(n int64) time.Duration {
	return time.Duration(float64(n) / p.fps * float64(time.Second))
}

// give hands over one unit at its time.
func (p *player) give(ctx context.Context, u ingest.AccessUnit) error {
	u.PTS = p.time(p.count)
	p.count++
	if p.begun.IsZero() {
		p.begun = time.Now()
	}
	if p.opt.Realtime {
		wait := time.Until(p.begun.Add(u.PTS + p.shift))
		if wait < -tooLate {
			p.shift -= wait
		}
		if wait > 0 {
			t := time.NewTimer(wait)
			defer t.Stop()
			select {
			case <-ctx.Done():
			case <-t.C:
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	u.Received = time.Now()
	p.sink.Write(u)
	return nil
}

// declaredFPS reads the frame rate of the file's SPS, where it says one.
func declaredFPS(a *ingest.Assembler) float64 {
	_, sps, _ := a.Parameters()
	fps := 0.0
	if a.Codec == ingest.H265 {
		var s h265.SPS
		if s.Unmarshal(sps) == nil {
			fps = s.FPS()
		}
	} else {
		var s h264.SPS
		if s.Unmarshal(sps) == nil {
			fps = s.FPS()
		}
	}
	if !(fps >= 0.1 && fps <= maxFPS) {
		return defaultFPS
	}
	return fps
}

// IsFile says whether a camera's address is one for Open.
func IsFile(address string) bool { return strings.HasPrefix(address, "file:") }
