// Package replay makes a source of a video file, for the demo, for tests and
// for benchmarks.
package replay

import (
	"errors"
	"time"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// Options says how a file is replayed.
type Options struct {
	Camera   ingest.CameraID // written into each access unit
	FPS      float64         // pictures per second; default: what the file's SPS says, else 25
	Loop     bool            // start again at the end, the clock goes on; default: end with reason "ended"
	Realtime bool            // hand units over at their time; default: as fast as they are taken
	From     time.Duration   // skip to the first key frame at or after this time; default 0
}

// New makes a source of an Annex-B file.
func New(path string, opt Options) (ingest.Source, error) { return nil, errors.New("not built yet") }

// Open makes the source of a camera with a file:// address: real time, looped.
// The query may say fps=10, loop=false, realtime=false, from=30s.
func Open(id ingest.CameraID, address string) (ingest.Source, error) {
	return nil, errors.New("not built yet")
}
