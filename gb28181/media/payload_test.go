package media

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/gb28181/ps"
	"github.com/sharpeyes/sharpeyes/ingest"
)

func TestRecognise(t *testing.T) {
	ts := bytes.Repeat(append([]byte{0x47}, make([]byte, 187)...), 7)
	sps264 := []byte{0x67, 0x4d, 0x00, 0x1f, 1, 2, 3}
	vps265 := []byte{0x40, 1, 0x0c, 1, 0xff}
	pack := []byte{0, 0, 1, 0xba, 0x44, 0, 4, 0, 4, 1, 0, 0, 3, 0xf8}
	for _, c := range []struct {
		name  string
		in    []byte
		frame bool
		want  Payload
	}{
		{"pack header", pack, true, PayloadPS},
		{"pack header in the middle of a packet", append([]byte("rest of the frame before"), pack...), false, PayloadPS},
		{"pack header of mpeg-1", []byte{0, 0, 1, 0xba, 0x21, 0, 1, 0, 1}, false, PayloadPS},
		{"pack start code followed by a pes packet", []byte{0, 0, 1, 0xba, 0, 0, 1, 0xe0}, true, PayloadPS},
		{"pes packet without pack", []byte{0, 0, 1, 0xe0, 0, 20, 0x80}, true, PayloadPS},
		{"program map", []byte{0, 0, 1, 0xbc, 0, 20, 0x80}, false, PayloadPS},
		{"transport stream", ts, false, PayloadTS},
		{"one packet of it cut", ts[:100], true, PayloadUnknown},
		{"a wrong sync byte in it", append(bytes.Clone(ts[:188]), append([]byte{0x48}, ts[1:188]...)...), true, PayloadUnknown},
		{"h264 sps", sps264, true, PayloadH264},
		{"h264 sps in the middle of a picture", sps264, false, PayloadUnknown},
		{"h264 stap-a", append([]byte{24, 0, 2, 9, 0x10, 0, 7}, sps264...), true, PayloadH264},
		{"h264 stap-a whose sizes do not add up", append([]byte{24, 0, 9}, sps264...), true, PayloadUnknown},
		{"h265 vps", vps265, true, PayloadH265},
		{"h265 aggregation", append([]byte{0x60, 1, 0, 5}, vps265...), true, PayloadH265},
		{"annex b h264", append([]byte{0, 0, 0, 1}, sps264...), true, PayloadAnnexB},
		{"annex b h265", append([]byte{0, 0, 1}, vps265...), true, PayloadAnnexB},
		{"annex b slice: nothing to start from", []byte{0, 0, 0, 1, 0x41, 0x9a, 1}, true, PayloadUnknown},
		{"g.711", bytes.Repeat([]byte{0xd5, 0x55}, 160), true, PayloadUnknown},
		{"short", []byte{0x67}, true, PayloadUnknown},
		{"nothing", nil, true, PayloadUnknown},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, recognise(c.in, c.frame)) })
	}
	require.Equal(t, "annexb", PayloadAnnexB.String())
}

func FuzzRecognise(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0xba, 0x44}, true)
	f.Add([]byte{24, 0, 2, 9, 0x10, 0, 4, 0x67, 0x4d, 0, 1}, true)
	f.Add([]byte{0x60, 1, 0, 4, 0x40, 1, 0x0c, 1}, true)
	f.Add(bytes.Repeat([]byte{0x47}, 188), false)
	f.Fuzz(func(t *testing.T, in []byte, frame bool) {
		k := recognise(in, frame)
		if !frame && (k == PayloadH264 || k == PayloadH265 || k == PayloadAnnexB) {
			t.Fatalf("%v in the middle of a picture", k)
		}
	})
}

// drive runs RTP packets of a clip through a depacketiser.
func drive(t testing.TB, d *depacketiser, w *wire, clip []ingest.AccessUnit) {
	t.Helper()
	at := time.Now()
	for i, u := range clip {
		for _, b := range w.packets(t, u, i) {
			p, ok := parseRTP(b)
			require.True(t, ok)
			d.packet(p, 0, at.Add(time.Duration(i)*40*time.Millisecond))
		}
	}
}

// TestPayloadChanges lets a device change its mind in the middle of a stream.
func TestPayloadChanges(t *testing.T) {
	clip, other := film(t, walk264), film(t, walk265)
	n := 0
	d := newDepacketiser("c", func(ingest.AccessUnit) { n++ })
	drive(t, d, &wire{}, clip)
	require.Equal(t, len(clip), n)
	require.Equal(t, PayloadPS, d.kind)
	w := &wire{payload: PayloadH264}
	at := time.Now()
	for round := range 8 {
		for i, u := range clip {
			for _, b := range w.packets(t, u, i+round*len(clip)) {
				p, _ := parseRTP(b)
				d.packet(p, 0, at.Add(time.Duration(i+round*len(clip))*40*time.Millisecond))
			}
		}
	}
	require.Equal(t, PayloadH264, d.kind)
	require.Greater(t, n, 3*len(clip))
	// And another codec within the same container.
	var codecs []ingest.Codec
	d = newDepacketiser("c", func(u ingest.AccessUnit) { codecs = append(codecs, u.Codec) })
	drive(t, d, &wire{}, clip[:5])
	drive(t, d, &wire{}, other[:5])
	require.Len(t, codecs, 10)
	require.Equal(t, ingest.H264, codecs[4])
	require.Equal(t, ingest.H265, codecs[5])
}

// TestStreamTypeLies believes the bytes.
func TestStreamTypeLies(t *testing.T) {
	clip := film(t, walk265)
	var got []ingest.AccessUnit
	d := newDepacketiser("c", func(u ingest.AccessUnit) { got = append(got, u) })
	drive(t, d, &wire{muxer: ps.NewMuxer(ps.TypeH264)}, clip)
	require.Len(t, got, len(clip))
	require.Equal(t, ingest.H265, got[0].Codec)
	require.True(t, got[0].Key)
}

// TestFragments loses each packet of a fragmented stream once: no damaged key
// frame passes for a good one.
func TestFragments(t *testing.T) {
	for _, c := range []struct {
		path    string
		payload Payload
	}{{walk264, PayloadH264}, {walk265, PayloadH265}, {walk264, PayloadPS}, {walk264, PayloadTS}, {walk264, PayloadAnnexB}} {
		t.Run(c.payload.String(), func(t *testing.T) {
			clip := film(t, c.path)[:12]
			var all []packet
			w := &wire{payload: c.payload}
			for i, u := range clip {
				for _, b := range w.packets(t, u, i) {
					p, _ := parseRTP(b)
					all = append(all, p)
				}
			}
			good := make(map[string]bool)
			for _, u := range clip {
				good[string(annexBytes(u))] = true
			}
			for drop := 1; drop < len(all); drop++ {
				var got []ingest.AccessUnit
				d := newDepacketiser("c", func(u ingest.AccessUnit) { got = append(got, u) })
				lost := 0
				for i, p := range all {
					if i == drop {
						lost = 1
						continue
					}
					d.packet(p, lost, time.Now())
					lost = 0
				}
				marks := 0
				for _, u := range got {
					if u.Lost {
						marks++
					} else {
						require.True(t, good[string(annexBytes(u))], "drop %d: a damaged unit without a mark", drop)
					}
					if u.Key {
						require.True(t, good[string(annexBytes(u))], "drop %d: a damaged key frame", drop)
					}
				}
				if drop < len(all)-3 {
					require.Positive(t, marks, "drop %d", drop)
				}
			}
		})
	}
}

func FuzzDepacketise(f *testing.F) {
	sps := []byte{0x67, 0x4d, 0, 0x1f, 1, 2, 3}
	f.Add(append([]byte{0, 0, 1, 0xba, 0x44, 0, 4, 0, 4, 1, 0, 0, 3, 0xf8, 0, 0, 1, 0xe0, 0, 20, 0x80, 0x80, 5, 0x21, 0, 1, 0, 1, 0, 0, 0, 1}, sps...), byte(9))
	f.Add(append([]byte{0, 0, 0, 1}, sps...), byte(20))
	f.Add([]byte{24, 0, 7, 0x67, 0x4d, 0, 0x1f, 1, 2, 3, 0x7c, 0x85, 1, 2, 3}, byte(10))
	f.Add([]byte{0x60, 1, 0, 5, 0x40, 1, 0x0c, 1, 0xff, 0x62, 1, 0x93, 9}, byte(9))
	f.Add(bytes.Repeat(append([]byte{0x47, 0x40, 0, 0x10, 0, 0, 0xb0, 13}, make([]byte, 180)...), 2), byte(188))
	f.Fuzz(func(t *testing.T, in []byte, size byte) {
		d := newDepacketiser("c", func(u ingest.AccessUnit) {
			if len(u.NALUs) == 0 || len(u.NALUs) > ingest.MaxUnitNALUs || u.Size() > ingest.MaxUnitBytes {
				t.Fatal("unit beyond its bounds")
			}
		})
		at := time.Now()
		for i, part := range chunks(in, int(size)+1) {
			lost := 0
			if len(part) > 2 && part[2]&0x3f == 0x3f {
				lost = 1
			}
			d.packet(packet{seq: uint16(i), ts: uint32(i/3) * 3600, marker: i%3 == 2, payload: part}, lost, at.Add(time.Duration(i)*time.Second))
		}
	})
}

func TestClock(t *testing.T) {
	type step struct {
		pts  int64
		ts   uint32
		at   time.Duration
		want time.Duration
	}
	const ms = time.Millisecond
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"pes time stamps", []step{{100, 5, 0, 0}, {3700, 5, 90 * ms, 40 * ms}, {7300, 5, 91 * ms, 80 * ms}}},
		{"b-frames", []step{{0, 0, 0, 0}, {10800, 0, 40 * ms, 120 * ms}, {3600, 0, 80 * ms, 40 * ms}}},
		{"33 bits wrap", []step{{1<<33 - 3600, 0, 0, 0}, {0, 0, 40 * ms, 40 * ms}, {3600, 0, 80 * ms, 80 * ms}}},
		{"rtp alone", []step{{-1, 100, 0, 0}, {-1, 3700, 55 * ms, 40 * ms}, {-1, 7300, 56 * ms, 80 * ms}}},
		{"32 bits wrap", []step{{-1, 1<<32 - 3600, 0, 0}, {-1, 0, 55 * ms, 40 * ms}}},
		{"neither moves", []step{{9, 9, 0, 0}, {9, 9, 41 * ms, 41 * ms}, {9, 9, 79 * ms, 79 * ms}}},
		{"pes stands, rtp moves", []step{{9, 0, 0, 0}, {9, 3600, 41 * ms, 40 * ms}, {9, 7200, 79 * ms, 80 * ms}}},
		{"some without pes", []step{{0, 0, 0, 0}, {-1, 3600, 40 * ms, 40 * ms}, {7200, 7200, 80 * ms, 80 * ms}}},
		{"pes begins later", []step{{-1, 0, 0, 0}, {-1, 3600, 40 * ms, 40 * ms}, {90000, 7200, 80 * ms, 80 * ms}, {93600, 7200, 120 * ms, 120 * ms}}},
		{"nothing at all", []step{{-1, 0, 0, 0}, {-1, 0, 33 * ms, 33 * ms}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var k mediaClock
			begin := time.Now()
			for i, s := range c.steps {
				require.Equal(t, s.want, k.at(s.pts, s.ts, begin.Add(s.at)), "step %d", i)
			}
		})
	}
	t.Run("rtp in milliseconds", func(t *testing.T) {
		var k mediaClock
		begin := time.Now()
		var last, got time.Duration
		for i := range 200 {
			last = got
			got = k.at(-1, uint32(i*40), begin.Add(time.Duration(i)*40*ms))
			require.GreaterOrEqual(t, got, last)
		}
		require.Equal(t, 40*ms, got-last)
	})
	t.Run("playback at eight times the speed", func(t *testing.T) {
		var k mediaClock
		begin := time.Now()
		var got time.Duration
		for i := range 400 {
			got = k.at(-1, uint32(i*3600), begin.Add(time.Duration(i)*5*ms))
		}
		require.Equal(t, 399*40*ms, got)
	})
}

func TestEachNALU(t *testing.T) {
	for _, c := range []struct {
		in   []byte
		want [][]byte
	}{
		{nil, nil},
		{[]byte{1, 2, 3}, nil},
		{[]byte{0, 0, 1}, nil},
		{[]byte{9, 0, 0, 1, 5}, [][]byte{{5}}},
		{[]byte{0, 0, 0, 1, 5, 0, 0, 0, 1, 6, 0}, [][]byte{{5}, {6, 0}}},
		{[]byte{0, 0, 1, 0, 0, 1, 7}, [][]byte{{7}}},
	} {
		var got [][]byte
		eachNALU(c.in, func(n []byte) bool { got = append(got, n); return true })
		require.Equal(t, c.want, got, "%x", c.in)
	}
}
