package ps

import (
	"bytes"
	"testing"
)

// bends are streams as devices send them, with what must come out. The faults
// and skips named must have been counted, and no others.
var bends = []struct {
	name   string
	stream []byte
	want   []got
	faults map[Fault]uint64
	skips  map[Reason]uint64
}{
	{
		name: "by the standard",
		stream: join(pack(), system(), mapOf(TypeH264, 0), pes(0xE0, 3600, join(sps264, pps264, idr264)),
			pack(), pes(0xE0, 7200, p264), pack(), pes(0xE0, 10800, p264)),
		want: []got{{kind: TypeH264, pts: 3600, data: join(sps264, pps264, idr264)}, {kind: TypeH264, pts: 7200, data: p264}, {kind: TypeH264, pts: 10800, data: p264}},
	},
	{
		name:   "no map at all, H.265 known by its bytes",
		stream: join(pack(), pes(0xE0, 0, join(vps265, sps265, idr265)), pack(), pes(0xE0, 3600, p265)),
		want:   []got{{kind: TypeH265, data: join(vps265, sps265, idr265)}, {kind: TypeH265, pts: 3600, data: p265}},
	},
	{
		name:   "stream type 0 in the map",
		stream: join(pack(), mapOf(0, 0), pes(0xE0, 0, join(sps264, pps264, idr264))),
		want:   []got{{kind: TypeH264, data: join(sps264, pps264, idr264)}},
	},
	{
		name:   "map says H.264, bytes are H.265",
		stream: join(pack(), mapOf(TypeH264, 0), pes(0xE0, 0, join(vps265, sps265, idr265)), pack(), pes(0xE0, 1, p265)),
		want:   []got{{kind: TypeH265, data: join(vps265, sps265, idr265)}, {kind: TypeH265, pts: 1, data: p265}},
		faults: map[Fault]uint64{FaultType: 1},
	},
	{
		name: "codec changes in mid-stream",
		stream: join(pack(), mapOf(TypeH264, 0), pes(0xE0, 0, join(sps264, idr264)), pack(), pes(0xE0, 1, p264),
			pack(), mapOf(TypeH265, 0), pes(0xE0, 2, join(vps265, sps265, idr265)), pack(), pes(0xE0, 3, p265)),
		want: []got{{kind: TypeH264, data: join(sps264, idr264)}, {kind: TypeH264, pts: 1, data: p264},
			{kind: TypeH265, pts: 2, data: join(vps265, sps265, idr265)}, {kind: TypeH265, pts: 3, data: p265}},
	},
	{
		name:   "map too long by its own length",
		stream: join(pack(), mapOf(TypeH265, 5), pes(0xE0, 0, p264[:20]), pack(), pes(0xE0, 1, idr265)),
		want:   []got{{kind: TypeH264, data: p264[:20]}, {kind: TypeH265, pts: 1, data: idr265}},
		faults: map[Fault]uint64{FaultMap: 1, FaultType: 1},
	},
	{
		name:   "map too short by its own length",
		stream: join(pack(), mapOf(TypeH265, -9), pes(0xE0, 0, unit([]byte{0x03, 9}, 50))),
		want:   []got{{kind: TypeH265, data: unit([]byte{0x03, 9}, 50)}},
		faults: map[Fault]uint64{FaultMap: 1},
	},
	{
		name:   "map with a wrong CRC",
		stream: join(pack(), flip(mapOf(TypeH265, 0), 23), pes(0xE0, 0, unit([]byte{0x03, 9}, 50))),
		want:   []got{{kind: TypeH265, data: unit([]byte{0x03, 9}, 50)}},
		faults: map[Fault]uint64{FaultMapCRC: 1},
	},
	{
		name:   "pack start code directly before the PES packet (Hikvision H.265)",
		stream: join([]byte{0, 0, 1, 0xBA}, pes(0xE0, 0, idr265), []byte{0, 0, 1, 0xBA}, pes(0xE0, 1, p265)),
		want:   []got{{kind: TypeH265, data: idr265}, {kind: TypeH265, pts: 1, data: p265}},
		faults: map[Fault]uint64{FaultPack: 2},
	},
	{
		name: "private, padding and audio between",
		stream: join(pack(), pes(0xBD, -1, unit([]byte{0, 0, 1, 0xBA}, 40)), pes(0xE0, 0, idr264), rawPES(0xBF, nil, join(pack(), p264), len(pack())+len(p264)),
			pes(0xC0, 0, []byte{0, 0, 1, 0xE0, 0, 0}), rawPES(0xBE, nil, []byte{255, 255}, 2), pack(), pes(0xE0, 1, p264)),
		want:  []got{{kind: TypeH264, data: idr264}, {kind: TypeH264, pts: 1, data: p264}},
		skips: map[Reason]uint64{SkipPrivate: 2, SkipAudio: 1, SkipPadding: 1},
	},
	{
		name:   "no time stamps, packs part the frames",
		stream: join(pack(), pes(0xE0, -1, join(sps264, idr264)), pack(), pes(0xE0, -1, p264), pack(), pes(0xE0, -1, p264)),
		want:   []got{{kind: TypeH264, pts: -1, data: join(sps264, idr264)}, {kind: TypeH264, pts: -1, data: p264}, {kind: TypeH264, pts: -1, data: p264}},
	},
	{
		name:   "neither time stamps nor packs",
		stream: join(pes(0xE0, -1, sps264), pes(0xE0, -1, pps264), pes(0xE0, -1, idr264), pes(0xE0, -1, p264), pes(0xE0, -1, rest264), pes(0xE0, -1, p264)),
		want:   []got{{kind: TypeH264, pts: -1, data: join(sps264, pps264, idr264)}, {kind: TypeH264, pts: -1, data: join(p264, rest264)}, {kind: TypeH264, pts: -1, data: p264}},
	},
	{
		name:   "the same time stamp for ever",
		stream: join(pack(), pes(0xE0, 5, idr264), pack(), pes(0xE0, 5, p264), pack(), pes(0xE0, 5, p264)),
		want:   []got{{kind: TypeH264, pts: 5, data: idr264}, {kind: TypeH264, pts: 5, data: p264}, {kind: TypeH264, pts: 5, data: p264}},
	},
	{
		name: "each NAL unit in its own PES packet and pack, the stamp on the last",
		stream: join(pack(), pes(0xE0, -1, sps264), pack(), pes(0xE0, -1, pps264), pack(), pes(0xE0, 9, idr264),
			pack(), pes(0xE0, 10, p264)),
		want: []got{{kind: TypeH264, pts: 9, data: join(sps264, pps264, idr264)}, {kind: TypeH264, pts: 10, data: p264}},
	},
	{
		name:   "one frame in two packs",
		stream: join(pack(), pes(0xE0, 0, idr264[:1500]), pack(), pes(0xE0, -1, idr264[1500:]), pack(), pes(0xE0, 1, p264)),
		want:   []got{{kind: TypeH264, data: idr264}, {kind: TypeH264, pts: 1, data: p264}},
	},
	{
		name:   "length 0",
		stream: join(pack(), rawPES(0xE0, join([]byte{0x80, 0x80, 5}, stamp(2, 7)), idr265, 0), pack(), rawPES(0xE0, join([]byte{0x80, 0x80, 5}, stamp(2, 8)), p265, 0)),
		want:   []got{{kind: TypeH265, pts: 7, data: idr265}, {kind: TypeH265, pts: 8, data: p265}},
	},
	{
		name: "length wrapped at 64 KiB",
		stream: join(pack(), rawPES(0xE0, join([]byte{0x80, 0x80, 5}, stamp(2, 7)), unit([]byte{0x65, 0x88}, 150_000), (8+6+150_000)&0xFFFF),
			pack(), pes(0xE0, 8, p264)),
		want:   []got{{kind: TypeH264, pts: 7, data: unit([]byte{0x65, 0x88}, 150_000)}, {kind: TypeH264, pts: 8, data: p264}},
		faults: map[Fault]uint64{FaultLongPES: 1},
	},
	{
		name: "length too large",
		stream: join(pack(), rawPES(0xE0, join([]byte{0x80, 0x80, 5}, stamp(2, 7)), idr264, 8+len(idr264)+30),
			pack(), pes(0xE0, 8, p264)),
		want:   []got{{kind: TypeH264, pts: 7, data: idr264}, {kind: TypeH264, pts: 8, data: p264}},
		faults: map[Fault]uint64{FaultShortPES: 1},
	},
	{
		name:   "header length in the wrong byte",
		stream: join(pack(), rawPES(0xE0, join([]byte{0x80, 5, 0x80}, stamp(2, 7)), join(sps264, idr264), 8+len(sps264)+len(idr264))),
		want:   []got{{kind: TypeH264, pts: 7, data: join(sps264, idr264)}},
		faults: map[Fault]uint64{FaultPESHeader: 1},
	},
	{
		name:   "header length 0 despite a time stamp",
		stream: join(pack(), rawPES(0xE0, join([]byte{0x80, 0x80, 0}, stamp(2, 7)), join(sps264, idr264), 8+len(sps264)+len(idr264))),
		want:   []got{{kind: TypeH264, pts: 7, data: join(sps264, idr264)}},
		faults: map[Fault]uint64{FaultPESHeader: 1},
	},
	{
		name:   "stuffing in the header, decoding time stamp",
		stream: join(pack(), rawPES(0xE0, join([]byte{0x84, 0xC0, 14}, stamp(3, 9000), stamp(1, 5400), []byte{255, 255, 255, 255}), idr264, 17+len(idr264))),
		want:   []got{{kind: TypeH264, pts: 9000, data: idr264}},
	},
	{
		name:   "MPEG-1 system stream",
		stream: join([]byte{0, 0, 1, 0xBA, 0x21, 0, 1, 0, 1, 0x80, 0x27, 0x11}, rawPES(0xE0, join([]byte{255, 255, 0x60, 0x10}, stamp(3, 9000), stamp(1, 5400)), idr264, 14+len(idr264)), rawPES(0xE0, []byte{0x0F}, rest264, 1+len(rest264))),
		want:   []got{{kind: TypeH264, pts: 9000, data: join(idr264, rest264)}},
	},
	{
		name:   "SVAC",
		stream: join(pack(), mapOf(TypeSVAC, 0), pes(0xE0, 0, unit([]byte{0x1C, 0x10}, 90)), pack(), pes(0xE0, 1, unit([]byte{0x04}, 90))),
		skips:  map[Reason]uint64{SkipSVAC: 2},
	},
	{
		name:   "MPEG-4",
		stream: join(pack(), mapOf(TypeMPEG4, 0), pes(0xE0, 0, []byte{0, 0, 1, 0xB0, 1, 0, 0, 1, 0, 1, 2, 3}), pack(), pes(0xE0, 1, []byte{0, 0, 1, 0xB6, 1})),
		skips:  map[Reason]uint64{SkipOtherVideo: 2},
	},
	{
		name:   "joined in mid-frame, garbage between",
		stream: join(idr264[100:], pack(), pes(0xE0, 1, p264), bytes.Repeat([]byte{0, 1, 7}, 30)[1:], pack(), pes(0xE0, 2, p264)),
		want:   []got{{kind: TypeH264, pts: 1, data: join(p264, bytes.Repeat([]byte{0, 1, 7}, 30)[1:])}, {kind: TypeH264, pts: 2, data: p264}},
		faults: map[Fault]uint64{FaultLongPES: 1},
	},
	{
		name:   "end code, and another stream behind it",
		stream: join(pack(), pes(0xE0, 1, idr264), []byte{0, 0, 1, 0xB9}, pack(), pes(0xE0, 1<<33-1, idr264)),
		want:   []got{{kind: TypeH264, pts: 1, data: idr264}, {kind: TypeH264, pts: 1<<33 - 1, data: idr264}},
	},
}

func flip(b []byte, i int) []byte { b[i] ^= 0x55; return b }

func TestDemuxerBends(t *testing.T) {
	for _, c := range bends {
		for split := range 4 {
			t.Run(c.name+[]string{" whole", " by bytes", " by sevens", " by packets"}[split], func(t *testing.T) {
				d, out := collect()
				write(d, c.stream, []int{len(c.stream), 1, 7, 1400}[split])
				d.Flush()
				equal(t, *out, c.want)
				s := d.Stats()
				for f := range faultCount {
					if s.Faults[f] != c.faults[f] {
						t.Errorf("fault %s counted %d times, want %d", f, s.Faults[f], c.faults[f])
					}
				}
				for r := range reasonCount {
					if s.Skipped[r] != c.skips[r] {
						t.Errorf("skip %s counted %d times, want %d", r, s.Skipped[r], c.skips[r])
					}
				}
				if s.Bytes != uint64(len(c.stream)) || s.Frames != uint64(len(c.want)) {
					t.Errorf("counted %d bytes and %d frames", s.Bytes, s.Frames)
				}
			})
		}
	}
}

func write(d *Demuxer, b []byte, portion int) {
	for len(b) > 0 {
		n := min(portion, len(b))
		d.Write(b[:n])
		b = b[n:]
	}
}

func TestDemuxerDTS(t *testing.T) {
	var dts []int64
	d := NewDemuxer(func(p Packet) { dts = append(dts, p.DTS) })
	d.Write(join(pack(), rawPES(0xE0, join([]byte{0x84, 0xC0, 10}, stamp(3, 9000), stamp(1, 5400)), idr264, 13+len(idr264)), pes(0xE0, 12600, p264)))
	d.Flush()
	if len(dts) != 2 || dts[0] != 5400 || dts[1] != -1 {
		t.Errorf("DTS %v, want [5400 -1]", dts)
	}
}

func TestDemuxerLost(t *testing.T) {
	big := unit([]byte{0x65, 0x88}, 100_000)
	first := pes(0xE0, 1, big[:65_000])
	rest := pes(0xE0, -1, big[65_000:])
	lead, tail := join(pack(), pes(0xE0, 0, p264)), join(pack(), pes(0xE0, 2, p264))
	whole, after := got{kind: TypeH264, data: p264}, got{kind: TypeH264, pts: 2, data: p264, lost: true}
	flagged := whole
	flagged.lost = true
	for name, c := range map[string]struct {
		before, behind []byte
		want           []got
	}{
		"inside a PES packet":             {join(lead, pack(), first[:9000]), join(first[10_400:], rest, tail), []got{whole, after}},
		"between the packets of a frame":  {join(lead, pack(), first), join(rest, tail), []got{whole, after}},
		"inside the second":               {join(lead, pack(), first, rest[:40]), join(rest[90:], tail), []got{whole, after}},
		"inside a header":                 {join(lead, pack(), first[:8]), join(rest, tail), []got{flagged, after}},
		"inside a PES packet of length 0": {join(lead, pack(), rawPES(0xE0, join([]byte{0x80, 0x80, 5}, stamp(2, 1)), idr264, 0)), join(idr264[5:], tail), []got{whole, after}},
		"at the end of a frame":           {lead, join(first[1400:], rest, tail), []got{flagged, after}},
		"inside audio":                    {join(lead, pes(0xC0, 0, make([]byte, 320))[:100]), join(make([]byte, 9), tail), []got{flagged, after}},
		"the same time stamp for ever":    {join(lead, pack(), pes(0xE0, 0, p264)[:50]), join(pack(), pes(0xE0, 0, p264), tail), []got{whole, flagged, {kind: TypeH264, pts: 2, data: p264}}},
		"other packets of the same frame": {join(lead, pack(), first[:900]), join(pes(0xE0, 1, rest264), tail), []got{whole, after}},
	} {
		t.Run(name, func(t *testing.T) {
			d, out := collect()
			write(d, c.before, 1000)
			d.Lost(3)
			write(d, c.behind, 1000)
			d.Flush()
			equal(t, *out, c.want)
			if d.Stats().Gaps != 1 {
				t.Errorf("%d gaps counted", d.Stats().Gaps)
			}
		})
	}
}

func TestDemuxerEndFrame(t *testing.T) {
	d, out := collect()
	parts := []struct {
		bytes []byte
		want  int // frames out after the bytes and EndFrame
	}{
		{join(pack(), pes(0xE0, 0, idr264)), 1},
		{join(pack(), pes(0xE0, 1, p264))[:100], 1},
		{join(pack(), pes(0xE0, 1, p264))[100:], 2},
		{join(pack(), pes(0xE0, 2, join(p264, []byte{0, 0}))), 3}, // zeros at the end might begin a start code
		{join(pack(), pes(0xE0, 3, unit([]byte{0x41, 0x9A}, 65_000))), 3},
		{pes(0xE0, -1, rest264[6:]), 4},
		{join(pack(), pes(0xE0, 4, p264), pes(0xC0, 4, make([]byte, 9))), 5},
		{join(pack(), rawPES(0xE0, join([]byte{0x80, 0x80, 5}, stamp(2, 5)), p264, 0)), 5},
		{pack()[:4], 5},
		{join(pack()[4:], pes(0xE0, 6, p264)), 7},
	}
	for i, p := range parts {
		d.Write(p.bytes)
		d.EndFrame()
		if len(*out) != p.want {
			t.Fatalf("after part %d: %d frames, want %d", i, len(*out), p.want)
		}
	}
}

func TestDemuxerOversize(t *testing.T) {
	d, out := collect()
	d.Write(join(pack(), pes(0xE0, 0, idr264), pack(), rawPES(0xE0, join([]byte{0x80, 0x80, 5}, stamp(2, 1)), idr264, 0)))
	for range 100 {
		d.Write(bytes.Repeat([]byte{7}, MaxFrame/40))
	}
	d.Write(join(pes(0xE0, -1, rest264[9:]), pack(), pes(0xE0, 2, p264)))
	d.Flush()
	equal(t, *out, []got{{kind: TypeH264, data: idr264}, {kind: TypeH264, pts: 2, data: p264, lost: true}})
	if n := d.Stats().Faults[FaultOversize]; n != 1 {
		t.Errorf("counted %d oversize frames", n)
	}
	if cap(d.frame) > 2*MaxFrame {
		t.Errorf("holds %d bytes", cap(d.frame))
	}
}

func TestDemuxerFlush(t *testing.T) {
	d, out := collect()
	d.Write(join(pack(), pes(0xE0, 0, idr264), pack(), pes(0xE0, 1, p264)[:50]))
	d.Flush()
	d.Write(join(pack(), pes(0xE0, 0, join(p264, []byte{0}))))
	d.Flush()
	equal(t, *out, []got{{kind: TypeH264, data: idr264}, {kind: TypeH264, data: join(p264, []byte{0}), lost: true}})
}

func TestNames(t *testing.T) {
	var s Stats
	seen := map[string]bool{}
	s.Faulted(func(name string, _ uint64) { seen[name] = true })
	s.SkippedBy(func(name string, _ uint64) { seen[name] = true })
	if len(seen) != int(faultCount)+int(reasonCount) || seen[""] {
		t.Errorf("names are missing or shared: %v", seen)
	}
}
