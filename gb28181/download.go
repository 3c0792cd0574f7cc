package gb28181

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/sharpeyes/sharpeyes/gb28181/media"
	"github.com/sharpeyes/sharpeyes/ingest"
)

const (
	progressEvery = 500 * time.Millisecond
	// nearEnd is how much may be missing at the end of a record that is whole:
	// records begin and end at key frames.
	nearEnd = 3 * time.Second
)

// DownloadOptions says how a record is fetched.
type DownloadOptions struct {
	Speed    int            // as many times real time; default 4, which most devices can
	Progress func(Download) // hears how far it is, twice a second, from the goroutine of Download; may be nil
}

// Download is how far a record has been fetched, and at the end the result.
type Download struct {
	Format string        `json:"format"`         // "ps", "ts", or "h264", "h265" with start codes; "" before it is known
	Bytes  int64         `json:"bytes"`          // written
	Size   int64         `json:"size,omitempty"` // as the device announced; 0: it did not
	Played time.Duration `json:"played_ns"`      // of the record, by its own clock
	Total  time.Duration `json:"total_ns"`       // asked for
	Lost   uint64        `json:"lost"`           // packets that are missing
	// Complete says that the device told the end, or that what came is as long as
	// what was asked for.
	Complete bool `json:"complete"`
}

// Download fetches a record (GB/T 28181 §9.9) and writes it to w as the device
// sends it: a program stream as a rule, which ffmpeg and VLC play. It returns at
// the end of the record, when the device stops, when w fails, or when ctx is
// done; what was written until then is good. A slow w slows a device that sends
// by TCP. The error is a *ingest.Fault, of w, or ctx.Err().
func (p *Platform) Download(ctx context.Context, span Span, w io.Writer, opt DownloadOptions) (Download, error) {
	if opt.Speed <= 0 {
		opt.Speed = 4
	}
	out := &file{w: w, failed: make(chan struct{})}
	seen := &progress{Sink: out}
	c, err := p.openHistory(ctx, span, wish{kind: download, speed: opt.Speed, sink: seen, bytes: out.bytes})
	if err != nil {
		return Download{}, err
	}
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	told := func() Download { return c.downloaded(out, seen) }
	for {
		err, over := c.next(ctx, tick.C, out)
		if !over {
			if opt.Progress != nil {
				opt.Progress(told())
			}
			continue
		}
		ended := c.finish(ctx, err)
		d := told()
		d.Complete = err == nil || (d.Played >= d.Total-nearEnd && d.Bytes > 0)
		if d.Complete || ended && d.Bytes > 0 {
			err = nil
		}
		c.close(err)
		switch {
		case out.err() != nil:
			return d, fmt.Errorf("write the record: %w", out.err())
		case err != nil:
			return d, p.ended(ctx, c, err)
		}
		return d, nil
	}
}

// next waits for the next thing in a download: a tick, or its end.
func (c *call) next(ctx context.Context, tick <-chan time.Time, out *file) (err error, over bool) {
	select {
	case <-tick:
		return nil, false
	case <-out.failed:
		return out.err(), true
	case <-c.stream.Done():
		return c.stream.Err(), true
	case <-c.dialog.Done():
		return c.dialog.Err(), true
	case <-c.finished:
		return nil, true
	case <-ctx.Done():
		return ctx.Err(), true
	}
}

// downloaded says how far it is.
func (c *call) downloaded(out *file, seen *progress) Download {
	st := c.stream.Stats()
	d := Download{Bytes: out.written(), Played: seen.played(), Total: c.to.Sub(c.from), Lost: st.Lost}
	if st.Payload != media.PayloadUnknown {
		d.Format = st.Payload.String()
		if st.Payload == media.PayloadAnnexB {
			d.Format = map[ingest.Codec]string{ingest.H264: "h264", ingest.H265: "h265"}[st.Codec]
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.answer.Video(); m != nil {
		d.Size = m.FileSize
	}
	return d
}

// file writes a record: the bytes of the container that the device sends, or
// Annex-B bytes when it sends none. It is a sink.
type file struct {
	w      io.Writer
	failed chan struct{} // closed when w failed

	mu        sync.Mutex
	contained bool
	n         int64
	bad       error
}

// bytes takes the payloads of a container.
func (f *file) bytes(b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.contained = true
	f.write(b)
}

// Connected implements ingest.Sink.
func (f *file) Connected(string) {}

// Lost implements ingest.Sink.
func (f *file) Lost(uint64) {}

// Write implements ingest.Sink.
func (f *file) Write(u ingest.AccessUnit) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.contained {
		return
	}
	for _, n := range u.NALUs {
		f.write([]byte{0, 0, 0, 1})
		f.write(n)
	}
}

func (f *file) write(b []byte) {
	if f.bad != nil {
		return
	}
	n, err := f.w.Write(b)
	f.n += int64(n)
	if err != nil {
		f.bad = err
		close(f.failed)
	}
}

func (f *file) written() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

func (f *file) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bad
}
