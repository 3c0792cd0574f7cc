package media

import (
	"time"

	"github.com/sharpeyes/sharpeyes/gb28181/ps"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// Bounds of the recognition of payloads.
const (
	fruitlessFor     = 4 * time.Second // without an access unit the payload is recognised anew
	fruitlessPackets = 64              // and at least so many packets
)

// depacketiser turns the RTP packets of one stream, in order, into access
// units, whatever their payload is. It is not safe for concurrent use.
type depacketiser struct {
	pics pictures
	raw  func([]byte) // each payload of a program or transport stream, or Annex-B; may be nil

	kind Payload
	ps   *ps.Demuxer
	es   elementary
	ts   transportStream

	begun  bool
	lastTS uint32
	marked bool // the last packet had the marker
	at     time.Time
	now    uint32 // RTP timestamp of the packet under way
	byMark bool   // the marker ends the picture under way

	since     time.Time // the payload was recognised, or a unit came
	fruitless int       // packets since then
	units     uint64    // at since

	bad     uint64 // payloads that are not what they should be
	unknown uint64 // packets before the payload was recognised
	past    ps.Stats
}

// newDepacketiser makes one that hands its units to emit.
func newDepacketiser(cam ingest.CameraID, emit func(ingest.AccessUnit)) *depacketiser {
	d := &depacketiser{}
	d.pics.asm.Camera, d.pics.emit = cam, emit
	d.es.pics = &d.pics
	d.ts = transportStream{begin: d.tsBegin, more: func(b []byte) { d.pics.write(b) }, lost: d.pics.lose}
	return d
}

// packet takes the next packet; lost packets are missing in front of it.
func (d *depacketiser) packet(p packet, lost int, at time.Time) {
	frame := !d.begun || d.marked || p.ts != d.lastTS
	turn := d.begun && p.ts != d.lastTS
	d.begun, d.lastTS, d.marked, d.at = true, p.ts, p.marker, at
	if lost > 0 {
		d.lose(lost)
	}
	if len(p.payload) == 0 {
		return
	}
	if d.kind == PayloadUnknown || d.fruitlessly(at) {
		d.choose(recognise(p.payload, frame), at)
		if d.kind == PayloadUnknown {
			d.unknown++
			return
		}
	}
	d.now = p.ts
	switch d.kind {
	case PayloadPS:
		d.keep(p.payload)
		d.ps.Write(p.payload)
		if p.marker && !d.pics.noMarkers {
			d.byMark = true
			d.ps.EndFrame()
			d.byMark = false
		}
	case PayloadTS:
		d.keep(p.payload)
		d.ts.write(p.payload)
		if p.marker {
			d.pics.mark(at)
		}
	default:
		d.naked(p, turn, at)
	}
}

// naked takes a payload that is H.264 or H.265 without a container.
func (d *depacketiser) naked(p packet, turn bool, at time.Time) {
	if turn {
		d.es.cut()
		d.pics.end(at) // its marker was lost, or never sent
	}
	if d.kind == PayloadAnnexB {
		d.keep(p.payload)
		d.pics.begin(p.payload, unknownTime, p.ts, at)
		d.pics.write(p.payload)
	} else {
		d.pics.begin(nil, unknownTime, p.ts, at)
		if !d.es.payload(p.payload) {
			d.bad++
			d.pics.damaged = true
		}
	}
	if p.marker && !d.pics.noMarkers {
		d.es.cut()
		d.pics.mark(at)
	}
}

// finish ends the picture under way: nothing more comes.
func (d *depacketiser) finish() {
	if d.kind == PayloadPS {
		d.ps.Flush()
		return
	}
	d.es.cut()
	d.pics.end(d.at)
}

func (d *depacketiser) keep(payload []byte) {
	if d.raw != nil {
		d.raw(payload)
	}
}

// fruitlessly says whether what was recognised leads to nothing: the device
// changed its mind, or the bytes misled.
func (d *depacketiser) fruitlessly(at time.Time) bool {
	if d.pics.units != d.units {
		d.units, d.since, d.fruitless = d.pics.units, at, 0
		return false
	}
	d.fruitless++
	return d.fruitless > fruitlessPackets && at.Sub(d.since) > fruitlessFor
}

// choose takes up a payload.
func (d *depacketiser) choose(k Payload, at time.Time) {
	if k == PayloadUnknown {
		return
	}
	d.since, d.fruitless, d.units = at, 0, d.pics.units
	if k == d.kind {
		return
	}
	d.kind = k
	d.pics.open, d.pics.buf, d.pics.hint = false, nil, 0
	d.pics.noMarkers = false
	if d.ps != nil {
		d.past = add(d.past, d.ps.Stats())
		d.ps = nil
	}
	d.es.inFU = false
	switch k {
	case PayloadPS:
		d.ps = ps.NewDemuxer(d.frame)
	case PayloadH264:
		d.es.codec, d.pics.hint = ingest.H264, ingest.H264
	case PayloadH265:
		d.es.codec, d.pics.hint = ingest.H265, ingest.H265
	}
}

// frame takes a picture out of the program stream.
func (d *depacketiser) frame(f ps.Packet) {
	p := &d.pics
	p.hint = codecOf(f.StreamType)
	p.gap = p.gap || f.Lost
	p.open, p.pts, p.ts = true, f.PTS, d.now
	p.write(f.Data)
	if d.byMark {
		p.mark(d.at)
		return
	}
	p.end(d.at)
}

// tsBegin takes the beginning of a PES packet of the transport stream.
func (d *depacketiser) tsBegin(pts int64, streamType byte, data []byte) {
	d.pics.hint = codecOf(streamType)
	d.pics.begin(data, pts, d.now, d.at)
	d.pics.write(data)
}

// lose says that n packets are missing.
func (d *depacketiser) lose(n int) {
	if d.ps != nil {
		d.ps.Lost(n)
	}
	d.es.cut()
	d.pics.lose()
}

// stats returns what the program stream demuxers counted.
func (d *depacketiser) stats() ps.Stats {
	if d.ps == nil {
		return d.past
	}
	return add(d.past, d.ps.Stats())
}

func add(a, b ps.Stats) ps.Stats {
	a.Bytes += b.Bytes
	a.Discarded += b.Discarded
	a.Packs += b.Packs
	a.Maps += b.Maps
	a.PES += b.PES
	a.Frames += b.Frames
	a.Gaps += b.Gaps
	for i, n := range b.Faults {
		a.Faults[i] += n
	}
	for i, n := range b.Skipped {
		a.Skipped[i] += n
	}
	return a
}
