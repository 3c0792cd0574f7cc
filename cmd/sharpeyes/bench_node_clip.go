package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/sharpeyes/sharpeyes/ingest"
	"github.com/sharpeyes/sharpeyes/ingest/replay"
)

// The scene of `bench node`: sensor noise over a still background, and then
// something the size of a person who walks through for eventLength. Groups of
// pictures of both halves are put together to any share of activity.
const (
	nodeGOP     = 2 * time.Second
	quietLength = 12 * time.Second // the first group, in which the encoder's rate control settles, is left out
	eventLength = 10 * time.Second
)

// nodeClip makes the scene with ffmpeg alone.
func (b *benchRun) nodeClip(ctx context.Context, c benchCamera) (string, error) {
	file := filepath.Join(b.dir, "node-"+c.name+"."+c.ending)
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	b.say("making the scene %s", c.title)
	quiet, all := quietLength.Seconds(), (quietLength + eventLength).Seconds()
	scene := fmt.Sprintf("nullsrc=s=480x270:r=25:d=0.04,geq=lum='110+50*sin(X/9)*sin(Y/13)+25*sin(X*Y/900)':cb=124:cr=130,scale=%d:%d:flags=bicubic,loop=-1:1:0,setpts=N/25/TB,trim=duration=%g[scene];", c.width, c.height, all)
	walker := fmt.Sprintf("color=c=0x302820:s=16x44:r=25:d=%g,scale=iw*%d/480:ih*%d/270[walker];", all, c.width, c.height)
	over := fmt.Sprintf("[scene][walker]overlay=x='(t-%g)*W/%g-w':y='H*0.45':enable='gte(t,%g)',noise=alls=4:allf=t,format=yuv420p", quiet, eventLength.Seconds(), quiet)
	args := []string{"-y", "-filter_complex", scene + walker + over, "-t", fmt.Sprint(all)}
	_, err := ffmpegRun(ctx, append(args, c.encode(file)...)...)
	return file, err
}

// gops is a clip in memory, cut at its key units.
type gops struct {
	quiet, event [][]ingest.AccessUnit // event is empty for a clip that is played as it is
}

// collected is a Sink that keeps everything.
type collected []ingest.AccessUnit

// Connected implements ingest.Sink.
func (*collected) Connected(string) {}

// Lost implements ingest.Sink.
func (*collected) Lost(uint64) {}

// Write implements ingest.Sink.
func (c *collected) Write(au ingest.AccessUnit) { *c = append(*c, au) }

// collect reads all units of a clip of benchFPS pictures a second.
func collect(ctx context.Context, file string) ([]ingest.AccessUnit, error) {
	src, err := replay.New(file, replay.Options{Camera: "bench", FPS: benchFPS})
	if err != nil {
		return nil, err
	}
	var all collected
	if err := src.Run(ctx, &all); ingest.ReasonOf(err) != ingest.ReasonEnded {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: no pictures", file)
	}
	return all, nil
}

// readGOPs reads a file; scripted says that it is one of nodeClip.
func readGOPs(ctx context.Context, file string, scripted bool) (*gops, error) {
	all, err := collect(ctx, file)
	if err != nil {
		return nil, err
	}
	var g gops
	for _, au := range all {
		if au.Key {
			g.quiet = append(g.quiet, nil)
		}
		if last := len(g.quiet) - 1; last >= 0 {
			g.quiet[last] = append(g.quiet[last], au)
		}
	}
	if !scripted {
		return &g, nil
	}
	n := int(quietLength / nodeGOP)
	if len(g.quiet) < n+int(eventLength/nodeGOP) {
		return nil, fmt.Errorf("the scene has %d groups of pictures: the encoder did not keep the key frame interval", len(g.quiet))
	}
	g.quiet, g.event = g.quiet[1:n], g.quiet[n:n+int(eventLength/nodeGOP)]
	return &g, nil
}

// actor is the source of one camera: quiet groups, and in between events, as
// often as the activity asks for. All cameras of a server share its pictures.
type actor struct {
	clip     *gops
	phase    float64        // 0..1: where in its life the camera stands
	activity *atomic.Uint64 // math.Float64bits of the share of time, 0..1
	begin    func(at time.Time)
}

// Run implements ingest.Source.
func (a *actor) Run(ctx context.Context, sink ingest.Sink) error {
	sink.Connected("actor")
	// The groups of the cameras begin at different times, as they do in life.
	const interval = time.Second / benchFPS
	begun := time.Now().Add(time.Duration(math.Mod(a.phase*997, 1) * float64(nodeGOP)))
	quiet, event, count := int(a.phase*float64(len(a.clip.quiet))), -1, 0
	for {
		if event < 0 && a.due(begun.Add(time.Duration(count)*interval)) {
			event = 0
		}
		group := a.clip.quiet[quiet%len(a.clip.quiet)]
		if event >= 0 {
			group = a.clip.event[event]
		} else {
			quiet++
		}
		for i, au := range group {
			au.PTS = time.Duration(count) * interval
			if err := sleepUntil(ctx, begun.Add(au.PTS)); err != nil {
				return err
			}
			if event == 0 && i == 0 {
				a.begin(time.Now())
			}
			count++
			au.Received = time.Now()
			sink.Write(au)
		}
		if event >= 0 {
			if event++; event == len(a.clip.event) {
				event = -1
			}
		}
	}
}

// due says whether an event begins in the group that begins at at.
func (a *actor) due(at time.Time) bool {
	share := math.Float64frombits(a.activity.Load())
	if share <= 0 || len(a.clip.event) == 0 {
		return false
	}
	period := eventLength.Seconds() / share
	into := math.Mod(float64(at.UnixMicro()%1e12)/1e6+a.phase*period, period)
	return into < nodeGOP.Seconds()
}

func sleepUntil(ctx context.Context, at time.Time) error {
	wait := time.Until(at)
	if wait <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return errors.Join(ctx.Err())
	case <-t.C:
		return nil
	}
}
