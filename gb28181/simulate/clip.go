package simulate

import (
	"context"
	"fmt"
	"time"

	"github.com/sharpeyes/sharpeyes/gb28181/ps"
	"github.com/sharpeyes/sharpeyes/ingest"
	"github.com/sharpeyes/sharpeyes/ingest/replay"
)

// maxClip bounds the bytes of one clip: it is held in memory once, for all
// channels of all devices.
const maxClip = 256 << 20

// clip is a video file as its access units.
type clip struct {
	streamType byte // as in a program stream map
	interval   time.Duration
	units      []unit
}

// unit is one access unit. Nobody changes it.
type unit struct {
	nalus  [][]byte
	annexB []byte
	key    bool
}

// readClip reads an Annex-B file whole.
func readClip(path string) (*clip, error) {
	src, err := replay.New(path, replay.Options{})
	if err != nil {
		return nil, err
	}
	c := &clip{}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	sink := &collector{clip: c, stop: cancel}
	if err := src.Run(ctx, sink); err != nil && ingest.ReasonOf(err) != ingest.ReasonEnded {
		if why := context.Cause(ctx); why != nil {
			err = why
		}
		return nil, fmt.Errorf("clip %s: %w", path, err)
	}
	if len(c.units) < 2 || !c.units[0].key {
		return nil, fmt.Errorf("clip %s: has fewer than two pictures or begins without a key frame", path)
	}
	c.interval = sink.last / time.Duration(len(c.units)-1)
	return c, nil
}

// collector is the sink that fills a clip.
type collector struct {
	clip *clip
	size int
	last time.Duration
	stop context.CancelCauseFunc
}

func (c *collector) Connected(string) {}
func (c *collector) Lost(uint64)      {}
func (c *collector) Write(a ingest.AccessUnit) {
	u := unit{nalus: a.NALUs, key: a.Key}
	for _, n := range a.NALUs {
		u.annexB = append(append(u.annexB, 0, 0, 0, 1), n...)
	}
	if c.size += len(u.annexB); c.size > maxClip {
		c.stop(fmt.Errorf("is larger than %d MiB", maxClip>>20))
		return
	}
	c.clip.streamType = ps.TypeH264
	if a.Codec == ingest.H265 {
		c.clip.streamType = ps.TypeH265
	}
	c.clip.units = append(c.clip.units, u)
	c.last = a.PTS
}

// sinceKey returns how many units before i, going round, the key frame before it
// is: 1 to their number.
func (c *clip) sinceKey(i int) int {
	all := len(c.units)
	for n := 1; n < all; n++ {
		if c.units[(i-n+all)%all].key {
			return n
		}
	}
	return all
}

// nextKey returns the index of the first key frame at or after i, going round.
func (c *clip) nextKey(i int) int {
	for n := range c.units {
		if j := (i + n) % len(c.units); c.units[j].key {
			return j
		}
	}
	return 0
}
