package ingest

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// NAL units by name; the first bytes are real headers, what follows is not
// looked at.
var (
	sps4, sps4b  = []byte{0x67, 1, 2, 3}, []byte{0x67, 9, 9, 9}
	pps4         = []byte{0x68, 1, 2}
	idr4         = []byte{0x65, 0x80, 5}
	idr4second   = []byte{0x65, 0x40, 5} // not the first slice
	p4           = []byte{0x41, 0x80, 7}
	aud4         = []byte{0x09, 0x10}
	sei4, fill4  = []byte{0x06, 1, 2}, []byte{0x0c, 0xff, 0xff}
	vps5         = []byte{0x40, 1, 1}
	sps5         = []byte{0x42, 1, 2}
	pps5         = []byte{0x44, 1, 3}
	idr5, cra5   = []byte{0x26, 1, 0x80}, []byte{0x2a, 1, 0x80}
	p5           = []byte{0x02, 1, 0x80}
	aud5         = []byte{0x46, 1, 0x50}
	p5second     = []byte{0x02, 1, 0x10}
	stapA, fu265 = []byte{0x18, 1, 2, 3}, []byte{0x62, 1, 0x80}
)

func nalus(n ...[]byte) [][]byte { return n }

func TestAssembler(t *testing.T) {
	for _, c := range []struct {
		name     string
		codec    Codec
		remember [][]byte
		before   [][][]byte // units that went before
		in       [][]byte
		want     [][]byte // nil: no unit
		key      bool
	}{
		{"key with its own sets", H264, nil, nil, nalus(sps4, pps4, idr4), nalus(sps4, pps4, idr4), true},
		{"sets from sdp", H264, nalus(sps4, pps4), nil, nalus(idr4), nalus(sps4, pps4, idr4), true},
		{"sets from sdp, delimiter stays first", H264, nalus(sps4, pps4), nil, nalus(aud4, idr4), nalus(aud4, sps4, pps4, idr4), true},
		{"no sets anywhere: not to start from", H264, nil, nil, nalus(idr4), nalus(idr4), false},
		{"only the sps is known", H264, nalus(sps4), nil, nalus(idr4), nalus(idr4), false},
		{"sets came alone before", H264, nil, [][][]byte{{sps4}, {pps4}}, nalus(idr4), nalus(sps4, pps4, idr4), true},
		{"newer sets replace older", H264, nalus(sps4, pps4), [][][]byte{{sps4b, p4}}, nalus(idr4), nalus(sps4b, pps4, idr4), true},
		{"own sps, pps from before", H264, nalus(sps4, pps4), nil, nalus(sps4b, idr4), nalus(pps4, sps4b, idr4), true},
		{"not a key: nothing added", H264, nalus(sps4, pps4), nil, nalus(p4), nalus(p4), false},
		{"filler and rtp types go", H264, nil, nil, nalus(sei4, fill4, stapA, p4, nil, []byte{0x41}), nalus(sei4, p4), false},
		{"sets alone are no unit", H264, nil, nil, nalus(sps4, pps4), nil, false},
		{"nothing", H264, nil, nil, nil, nil, false},
		{"forbidden bit", H264, nil, nil, nalus([]byte{0xe5, 0x80, 0}), nil, false},
		{"h265 idr", H265, nalus(vps5, sps5, pps5), nil, nalus(aud5, idr5), nalus(aud5, vps5, sps5, pps5, idr5), true},
		{"h265 cra", H265, nalus(vps5, sps5, pps5), nil, nalus(cra5), nalus(vps5, sps5, pps5, cra5), true},
		{"h265 without vps", H265, nalus(sps5, pps5), nil, nalus(idr5), nalus(idr5), false},
		{"h265 p, rtp types go", H265, nil, nil, nalus(fu265, p5), nalus(p5), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := Assembler{Camera: "c1", Codec: c.codec}
			a.Remember(c.remember...)
			for _, b := range c.before {
				a.Unit(b)
			}
			u, ok := a.Unit(append([][]byte(nil), c.in...))
			require.Equal(t, c.want != nil, ok)
			require.Equal(t, c.want, u.NALUs)
			require.Equal(t, c.key, u.Key)
			if ok {
				require.Equal(t, CameraID("c1"), u.Camera)
				require.Equal(t, c.codec, u.Codec)
			}
		})
	}
}

func TestAssemblerKeepsOwnCopies(t *testing.T) {
	a := Assembler{Codec: H264}
	s := bytes.Clone(sps4)
	u, ok := a.Unit(nalus(s, bytes.Clone(pps4), bytes.Clone(idr4)))
	require.True(t, ok)
	u.NALUs[0][1] = 0xee // the receiver may do that
	u, _ = a.Unit(nalus(bytes.Clone(idr4)))
	require.Equal(t, sps4, u.NALUs[0])
	u.NALUs[0][1] = 0xee
	u, _ = a.Unit(nalus(bytes.Clone(idr4)))
	require.Equal(t, sps4, u.NALUs[0])
}

func TestAssemblerInBand(t *testing.T) {
	a := Assembler{Codec: H264}
	a.Remember(sps4, pps4)
	a.Unit(nalus(idr4))
	require.False(t, a.InBand())
	a.Unit(nalus(sps4, pps4, idr4))
	require.True(t, a.InBand())
}

func TestAssemblerBounds(t *testing.T) {
	a := Assembler{Codec: H264}
	many := make([][]byte, MaxUnitNALUs+1)
	for i := range many {
		many[i] = p4
	}
	_, ok := a.Unit(many)
	require.False(t, ok, "too many NAL units")
	_, ok = a.Unit(many[:MaxUnitNALUs])
	require.True(t, ok)
	big := make([]byte, MaxUnitBytes)
	copy(big, p4)
	_, ok = a.Unit(nalus(big, p4))
	require.False(t, ok, "too many bytes")

	// A key frame that fills the unit has no room for sets from elsewhere.
	a.Remember(sps4, pps4)
	full := make([][]byte, MaxUnitNALUs)
	for i := range full {
		full[i] = idr4
	}
	u, ok := a.Unit(full)
	require.True(t, ok)
	require.False(t, u.Key)

	// Sets are bounded too.
	sets := make([][]byte, 60)
	for i := range sets {
		sets[i] = []byte{0x67, byte(i)}
	}
	a.Remember(sets...)
	require.Len(t, a.sets[1], maxSets)
}

func TestIsSlice(t *testing.T) {
	for _, c := range []struct {
		codec        Codec
		n            []byte
		slice, first bool
	}{
		{H264, idr4, true, true}, {H264, idr4second, true, false}, {H264, p4, true, true}, {H264, sei4, false, false},
		{H264, []byte{0x43, 0x80}, true, false}, // data partition B
		{H264, nil, false, false}, {H264, []byte{0x65}, false, false},
		{H265, idr5, true, true}, {H265, p5second, true, false}, {H265, vps5, false, false}, {H265, []byte{0x26, 1}, false, false},
	} {
		slice, first := IsSlice(c.codec, c.n)
		require.Equal(t, c.slice, slice, "%v %x", c.codec, c.n)
		require.Equal(t, c.first, first, "%v %x", c.codec, c.n)
	}
}

func FuzzAssembler(f *testing.F) {
	join := func(n ...[]byte) []byte { return bytes.Join(n, []byte{0, 0, 1}) }
	f.Add(true, join(sps4, pps4), join(aud4, idr4))
	f.Add(true, []byte{}, join(sei4, fill4, stapA, p4))
	f.Add(true, join(sps4, pps4), join(refresh11, p4))
	f.Add(true, join(sps4, pps4), join(openGOP4, intra4))
	f.Add(false, join(vps5, sps5, pps5), join(aud5, cra5))
	f.Add(false, join(vps5), join(idr5, p5second, fu265))
	f.Fuzz(func(t *testing.T, h264 bool, sets, unit []byte) {
		a := Assembler{Codec: H265}
		if h264 {
			a.Codec = H264
		}
		a.Remember(bytes.Split(sets, []byte{0, 0, 1})...)
		for range 2 {
			u, ok := a.Unit(bytes.Split(bytes.Clone(unit), []byte{0, 0, 1}))
			if !ok {
				continue
			}
			if len(u.NALUs) == 0 || len(u.NALUs) > MaxUnitNALUs {
				t.Fatalf("%d NAL units", len(u.NALUs))
			}
			var have [3]bool
			have[0] = h264
			picture := false
			for _, n := range u.NALUs {
				if !valid(a.Codec, n) {
					t.Fatalf("NAL unit %x", n)
				}
				if k := setKind(a.Codec, n); k >= 0 {
					have[k] = true
				}
				slice, _ := IsSlice(a.Codec, n)
				picture = picture || slice
			}
			if !picture {
				t.Fatal("unit without picture")
			}
			if u.Key && u.Recovery != 0 {
				t.Fatal("key unit that is right later")
			}
			if u.Entry() && have != [3]bool{true, true, true} {
				t.Fatalf("key unit without parameter sets: %x", u.NALUs)
			}
		}
	})
}
