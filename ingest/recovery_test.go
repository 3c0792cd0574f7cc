package ingest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
)

// Recovery points as x264 writes them, and slices by their types.
var (
	refresh11 = []byte{0x06, 6, 2, 0b0001100_1, 0x04, 0x80} // 11 frames
	openGOP4  = []byte{0x06, 6, 1, 0b1_1_0_00_1_00, 0x80}   // 0 frames
	intra4    = []byte{0x41, 0b1_011_0000, 7}               // first slice, I
	intra4b   = []byte{0x41, 0b1_0001000, 7}                // first slice, all are I
)

func TestRecoveryPoint(t *testing.T) {
	long := append(append([]byte{0x06, 5, 255, 40}, make([]byte, 295)...), refresh11[1:]...)
	for _, c := range []struct {
		name  string
		codec Codec
		nalu  []byte
		after int
		ok    bool
	}{
		{"gradual refresh", H264, refresh11, 11, true},
		{"open GOP", H264, openGOP4, 0, true},
		{"after another message", H264, append([]byte{0x06, 1, 2, 9, 9}, refresh11[1:]...), 11, true},
		{"after a message with an escaped byte", H264, append([]byte{0x06, 1, 3, 0, 0, 3, 1}, refresh11[1:]...), 11, true},
		{"behind what is looked at", H264, long, 0, false},
		{"another message", H264, []byte{0x06, 5, 1, 9, 0x80}, 0, false},
		{"another NAL unit", H264, append([]byte{0x41}, refresh11[1:]...), 0, false},
		{"cut", H264, refresh11[:2], 0, false},
		{"no number", H264, []byte{0x06, 6, 1, 0, 0x80}, 0, false},
		{"hours", H264, []byte{0x06, 6, 4, 0, 1, 0xff, 0xff, 0x80}, 0, false},
		{"empty", H264, nil, 0, false},
		{"h265", H265, []byte{0x4e, 1, 6, 2, 0b0001010_1, 0x40, 0x80}, 5, true},
		{"h265, before this picture", H265, []byte{0x4e, 1, 6, 1, 0b011_1_0_100, 0x80}, 0, true},
		{"h265, not at all", H265, []byte{0x4e, 1, 5, 1, 9, 0x80}, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			after, ok := RecoveryPoint(c.codec, c.nalu)
			require.Equal(t, c.ok, ok)
			if ok {
				require.Equal(t, c.after, after)
			}
		})
	}
}

func TestAssemblerEntries(t *testing.T) {
	for _, c := range []struct {
		name  string
		codec Codec
		sets  [][]byte
		in    [][]byte
		want  [][]byte
		key   bool
		after int
	}{
		{"gradual refresh", H264, nalus(sps4, pps4), nalus(aud4, refresh11, p4), nalus(aud4, sps4, pps4, refresh11, p4), false, 11},
		{"open GOP", H264, nalus(sps4, pps4), nalus(openGOP4, intra4), nalus(sps4, pps4, openGOP4, intra4), true, 0},
		{"open GOP, slices of one type", H264, nalus(sps4, pps4), nalus(openGOP4, intra4b), nalus(sps4, pps4, openGOP4, intra4b), true, 0},
		{"right at once and predicted: not to be looked at alone", H264, nalus(sps4, pps4), nalus(openGOP4, p4), nalus(sps4, pps4, openGOP4, p4), false, 1},
		{"an IDR picture is one", H264, nalus(sps4, pps4), nalus(refresh11, idr4), nalus(sps4, pps4, refresh11, idr4), true, 0},
		{"no sets", H264, nil, nalus(refresh11, p4), nalus(refresh11, p4), false, 0},
		{"no sets, open GOP", H264, nil, nalus(openGOP4, intra4), nalus(openGOP4, intra4), false, 0},
		{"intra alone says nothing", H264, nalus(sps4, pps4), nalus(intra4), nalus(intra4), false, 0},
		{"behind the picture", H264, nalus(sps4, pps4), nalus(p4, refresh11), nalus(p4, refresh11), false, 0},
		{"h265 starts at IRAP alone", H265, nalus(vps5, sps5, pps5), nalus([]byte{0x4e, 1, 6, 1, 0x50, 0x80}, p5), nalus([]byte{0x4e, 1, 6, 1, 0x50, 0x80}, p5), false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := Assembler{Codec: c.codec}
			a.Remember(c.sets...)
			u, ok := a.Unit(c.in)
			require.True(t, ok)
			require.Equal(t, c.want, u.NALUs)
			require.Equal(t, c.key, u.Key)
			require.Equal(t, c.after, u.Recovery)
			require.Equal(t, c.key || c.after > 0, u.Entry())
		})
	}
}

// A stream of gradual refresh alone reaches the analyser, and its picture is not
// said to be bad for want of key frames.
func TestFleetTakesGradualRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan AccessUnit, 100)
		f := NewFleet(FleetOptions{
			Open: opens(func(ctx context.Context, sink Sink) error {
				sink.Connected("test")
				for i := 0; ctx.Err() == nil; i++ {
					u := AccessUnit{Codec: H264, PTS: time.Duration(i) * time.Second, NALUs: nalus(p4)}
					if i%4 == 2 {
						u.Recovery = 3
					}
					sink.Write(u)
					time.Sleep(time.Second)
				}
				return ctx.Err()
			}),
			Consume: popsInto(got),
		})
		f.Apply([]configs.Camera{camera("a")})
		time.Sleep(30*time.Second + time.Millisecond)
		require.Equal(t, 3, (<-got).Recovery, "what was before it no decoder can use")
		require.Zero(t, (<-got).Recovery)
		f.SetPicture("a", Yes, ReasonNone)
		require.Equal(t, "yes yes yes", brief(f.States()[0]))
		f.Close()
	})
}
