package rtsp

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/pion/rtp"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// payloadType is the one dynamic RTP payload type of every path.
const payloadType = 96

// path is one published stream. It is the sink of its source.
type path struct {
	name   string
	open   func() (ingest.Source, error)
	log    *slog.Logger
	server *gortsplib.Server // set before run

	mu     sync.Mutex
	stream *gortsplib.ServerStream
	ready  chan struct{} // closed when stream is set; replaced when it is gone

	// The goroutine of the source only.
	asm    ingest.Assembler
	media  *description.Media
	encode func([][]byte) ([]*rtp.Packet, error)
	params func() // puts the newest parameter sets into the description
	base   uint32 // RTP timestamp of the running source's zero
	last   uint32 // newest RTP timestamp sent
}

func newPath(name string, open func() (ingest.Source, error), log *slog.Logger) *path {
	return &path{name: name, open: open, log: log.With("path", name), ready: make(chan struct{}), last: rand.Uint32()}
}

// run opens the source again and again until ctx is done.
func (p *path) run(ctx context.Context) {
	defer p.drop()
	for ctx.Err() == nil {
		src, err := p.open()
		if err == nil {
			p.base = p.last + 3600 // a picture after the last one
			err = src.Run(ctx, p)
		}
		if ctx.Err() != nil {
			return
		}
		p.log.Info("published source ended", "error", err)
		t := time.NewTimer(reopenAfter)
		select {
		case <-ctx.Done():
			t.Stop()
		case <-t.C:
		}
	}
}

// wait returns the stream, nil when there is none within d.
func (p *path) wait(ctx context.Context, d time.Duration) *gortsplib.ServerStream {
	p.mu.Lock()
	st, ready := p.stream, p.ready
	p.mu.Unlock()
	if st != nil {
		return st
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ready:
	case <-ctx.Done():
	case <-t.C:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stream
}

// drop ends all readers.
func (p *path) drop() {
	p.mu.Lock()
	st := p.stream
	if st != nil {
		p.stream, p.ready = nil, make(chan struct{})
	}
	p.mu.Unlock()
	if st != nil {
		st.Close()
	}
}

// Connected implements ingest.Sink.
func (p *path) Connected(string) {}

// Lost implements ingest.Sink.
func (p *path) Lost(uint64) {}

// Write implements ingest.Sink: it sends the unit to all readers. A reader that
// does not keep up misses packets: its queue is bounded (writeQueue).
func (p *path) Write(u ingest.AccessUnit) {
	if p.media == nil || u.Codec != p.asm.Codec {
		if !u.Key {
			return // the description needs parameter sets
		}
		p.drop()
		p.describe(u.Codec)
	}
	p.asm.Remember(u.NALUs...)
	p.params()
	if p.stream == nil && !p.begin() {
		return
	}
	packets, err := p.encode(u.NALUs)
	if err != nil {
		p.log.Warn("access unit cannot be packed", "error", err)
		return
	}
	p.last = p.base + uint32(int64(u.PTS)*9/100000) // 90 kHz
	for _, pkt := range packets {
		pkt.Timestamp = p.last
		if err := p.stream.WritePacketRTP(p.media, pkt); err != nil {
			p.log.Debug("packet not sent", "error", err)
			return
		}
	}
}

// describe makes the description of a new codec.
func (p *path) describe(c ingest.Codec) {
	p.asm = ingest.Assembler{Codec: c}
	var f format.Format
	if c == ingest.H265 {
		x := &format.H265{PayloadTyp: payloadType}
		p.params = func() { x.SafeSetParams(p.asm.Parameters()) }
		enc, err := x.CreateEncoder()
		if err != nil { // only for settings that are not made here
			panic(err)
		}
		f, p.encode = x, enc.Encode
	} else {
		x := &format.H264{PayloadTyp: payloadType, PacketizationMode: 1}
		p.params = func() {
			_, sps, pps := p.asm.Parameters()
			x.SafeSetParams(sps, pps)
		}
		enc, err := x.CreateEncoder()
		if err != nil { // as above
			panic(err)
		}
		f, p.encode = x, enc.Encode
	}
	p.media = &description.Media{Type: description.MediaTypeVideo, Formats: []format.Format{f}}
}

// begin opens the path to readers.
func (p *path) begin() bool {
	st := &gortsplib.ServerStream{Server: p.server, Desc: &description.Session{Medias: []*description.Media{p.media}}}
	if err := st.Initialize(); err != nil {
		p.log.Error("path cannot be served", "error", err)
		return false
	}
	p.mu.Lock()
	p.stream = st
	close(p.ready)
	p.mu.Unlock()
	return true
}
