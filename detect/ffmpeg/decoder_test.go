//go:build cgo

package ffmpeg

import (
	"image"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/ingest"
)

func open(t testing.TB, codec ingest.Codec) detect.Decoder {
	t.Helper()
	d, err := NewDecoder(codec)
	require.NoError(t, err)
	t.Cleanup(d.Close)
	return d
}

// lumaMean is the mean brightness of the full picture.
func lumaMean(img *image.YCbCr) float64 {
	sum := 0
	for y := img.Rect.Min.Y; y < img.Rect.Max.Y; y++ {
		for x := img.Rect.Min.X; x < img.Rect.Max.X; x++ {
			sum += int(img.Y[img.YOffset(x, y)])
		}
	}
	return float64(sum) / float64(img.Rect.Dx()*img.Rect.Dy())
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		file         string
		w, h, lw, lh int
		pictures     int // that come out without a flush
	}{
		{"walk.h264", 384, 288, 384, 288, 50},
		{"walk.h265", 384, 288, 384, 288, 50},
		{"full_range.h264", 162, 122, 162, 122, 4},
		{"444_odd.h264", 161, 121, 161, 121, 4},
		{"422_odd.h264", 162, 121, 162, 121, 4},
		{"gray_odd.h264", 161, 121, 161, 121, 4},
		{"gray_odd.h265", 161, 121, 161, 121, 4},
		{"10bit.h264", 160, 120, 160, 120, 4},
		{"10bit.h265", 160, 120, 160, 120, 4},
		{"tall.h264", 64, 2160, 64, 2160, 1},
		{"8k.h264", 7680, 4320, 320, 180, 1},
	} {
		t.Run(c.file, func(t *testing.T) {
			units := readUnits(t, c.file)
			d := open(t, units[0].Codec)
			pictures := 0
			for i, au := range units {
				f, err := d.Decode(au)
				require.NoError(t, err, "unit %d", i)
				if f == nil {
					continue
				}
				pictures++
				require.Equal(t, image.Rect(0, 0, c.w, c.h), f.Image.Rect)
				require.Equal(t, image.YCbCrSubsampleRatio420, f.Image.SubsampleRatio)
				require.Equal(t, c.lw, f.Luma.Width)
				require.Equal(t, c.lh, f.Luma.Height)
				require.Len(t, f.Luma.Pix, c.lw*c.lh)
				f.Image.At(c.w-1, c.h-1) // the last pixel lies inside the slices
				sum := 0
				for _, v := range f.Luma.Pix {
					sum += int(v)
				}
				require.InDelta(t, lumaMean(f.Image), float64(sum)/float64(len(f.Luma.Pix)), 1.5, "the small picture shows the large one")
			}
			require.Equal(t, c.pictures, pictures)
		})
	}
}

// The grass of the clip is dark green: converted formats show the same colours
// as the plain one, and 10 bit the same brightness.
func TestDecodeColours(t *testing.T) {
	at := func(file string, x, y float64) [3]float64 {
		units := readUnits(t, file)
		d := open(t, units[0].Codec)
		f, err := d.Decode(units[0])
		require.NoError(t, err)
		r := f.Image.Rect
		c := f.Image.YCbCrAt(int(x*float64(r.Dx())), int(y*float64(r.Dy())))
		return [3]float64{float64(c.Y), float64(c.Cb), float64(c.Cr)}
	}
	want := at("walk.h264", 0.2, 0.7)
	for _, file := range []string{"walk.h265", "444_odd.h264", "422_odd.h264", "10bit.h264", "10bit.h265"} {
		got := at(file, 0.2, 0.7)
		for i := range want {
			require.InDelta(t, want[i], got[i], 16, "%s: plane %d of %v and %v", file, i, want, got)
		}
	}
	grey := at("gray_odd.h264", 0.2, 0.7)
	require.InDelta(t, 128, grey[1], 1)
	require.InDelta(t, 128, grey[2], 1)
}

// B pictures come out of order; what is handed out is what the decoder completes,
// and none of it is an error.
func TestDecodeReordered(t *testing.T) {
	for _, file := range []string{"bframes.h264", "opengop.h265"} {
		t.Run(file, func(t *testing.T) {
			units := readUnits(t, file)
			d := open(t, units[0].Codec)
			pictures := 0
			for i, au := range units {
				f, err := d.Decode(au)
				require.NoError(t, err, "unit %d", i)
				if f != nil {
					pictures++
				}
			}
			require.Greater(t, pictures, 25)
		})
	}
}

func TestDecodeStartsInMidstream(t *testing.T) {
	for _, file := range []string{"walk.h264", "walk.h265", "opengop.h265"} {
		t.Run(file, func(t *testing.T) {
			units := readUnits(t, file)
			d := open(t, units[0].Codec)
			second := slices.IndexFunc(units[1:], func(au ingest.AccessUnit) bool { return au.Key }) + 1
			for _, au := range units[3:second] {
				f, err := d.Decode(au)
				require.True(t, f == nil)
				require.Equal(t, ingest.ReasonNoKeyFrame, ingest.ReasonOf(err))
			}
			pictures := 0
			for i, au := range units[second:] {
				f, err := d.Decode(au)
				require.NoError(t, err, "unit %d", second+i)
				if f != nil {
					pictures++
				}
			}
			require.Greater(t, pictures, 8)
		})
	}
}

// A picture that was lost on the way, whether the receiver noticed or not, makes
// an error of everything up to the next key frame, and nothing after it.
func TestDecodeMissingReference(t *testing.T) {
	for _, file := range []string{"walk.h264", "walk.h265"} {
		for _, noticed := range []bool{false, true} {
			t.Run(file, func(t *testing.T) {
				units := readUnits(t, file)
				units = slices.Delete(units, 10, 12)
				units[10].Lost = noticed
				next := slices.IndexFunc(units[10:], func(au ingest.AccessUnit) bool { return au.Key }) + 10
				d := open(t, units[0].Codec)
				for i, au := range units {
					f, err := d.Decode(au)
					if i >= 10 && i < next {
						require.Equal(t, ingest.ReasonUndecodable, ingest.ReasonOf(err), "unit %d: %v", i, err)
						require.True(t, f == nil)
						continue
					}
					require.NoError(t, err, "unit %d", i)
					require.True(t, f != nil, "unit %d", i)
				}
			})
		}
	}
}

func TestDecodeGarbage(t *testing.T) {
	for _, file := range []string{"walk.h264", "walk.h265"} {
		t.Run(file, func(t *testing.T) {
			units := readUnits(t, file)
			d := open(t, units[0].Codec)
			garbage := ingest.AccessUnit{Codec: units[0].Codec, Key: true, NALUs: [][]byte{{0x65, 0x88, 1, 2, 3}, {0x26, 1, 2, 3, 4}}}
			f, err := d.Decode(garbage)
			require.True(t, f == nil)
			require.Equal(t, ingest.ReasonUndecodable, ingest.ReasonOf(err), "%v", err)
			f, err = d.Decode(units[1])
			require.True(t, f == nil)
			require.Equal(t, ingest.ReasonUndecodable, ingest.ReasonOf(err), "the answer stays until a key unit")
			f, err = d.Decode(units[0])
			require.NoError(t, err)
			require.True(t, f != nil)
		})
	}
}

// A key frame cut off in the middle is mended by libav with grey or old pixels.
// (FFmpeg's H.265 decoder does not notice: there only a lost packet tells.)
func TestDecodeTruncated(t *testing.T) {
	au := readUnits(t, "walk.h264")[0]
	last := len(au.NALUs) - 1
	au.NALUs[last] = au.NALUs[last][:len(au.NALUs[last])/2]
	f, err := open(t, au.Codec).Decode(au)
	require.True(t, f == nil)
	require.Equal(t, ingest.ReasonUndecodable, ingest.ReasonOf(err), "%v", err)
}

// A bit that tipped in a slice makes wrong pixels; most of them are seen.
func TestDecodeDamaged(t *testing.T) {
	units := readUnits(t, "walk.h264")[:25]
	caught := 0
	const tries = 40
	for i := range tries {
		d := open(t, ingest.H264)
		for j, au := range units {
			if j == 4 {
				au.NALUs = slices.Clone(au.NALUs)
				last := len(au.NALUs) - 1
				au.NALUs[last] = slices.Clone(au.NALUs[last])
				au.NALUs[last][20+7*i%(len(au.NALUs[last])-20)] ^= 1 << (i % 8)
			}
			if _, err := d.Decode(au); err != nil {
				require.Equal(t, ingest.ReasonUndecodable, ingest.ReasonOf(err))
				caught++
				break
			}
		}
		d.Close()
	}
	require.Greater(t, caught, tries*3/4)
}

func TestDecodeUnsupportedSize(t *testing.T) {
	for _, file := range []string{"1x1.h264", "too_wide.h264", "too_many.h264", "too_many.h265"} {
		t.Run(file, func(t *testing.T) {
			au := readUnits(t, file)[0]
			f, err := open(t, au.Codec).Decode(au)
			require.True(t, f == nil)
			require.Equal(t, ingest.ReasonUnsupportedSize, ingest.ReasonOf(err), "%v", err)
		})
	}
}

// The same size is refused by libavcodec itself when our reading of the
// parameter sets does not see it.
func TestDecodeUnsupportedSizeBackstop(t *testing.T) {
	for _, file := range []string{"1x1.h264", "too_many.h264", "too_many.h265"} {
		t.Run(file, func(t *testing.T) {
			au := readUnits(t, file)[0]
			d := open(t, au.Codec).(*decoder)
			n, err := d.fill(au.NALUs)
			require.NoError(t, err)
			require.Equal(t, ingest.ReasonUnsupportedSize, ingest.ReasonOf(d.run(n, true, false)))
		})
	}
}

func TestDecodeSizeChange(t *testing.T) {
	d := open(t, ingest.H264)
	for range 3 {
		for _, c := range []struct {
			file string
			w    int
		}{{"walk.h264", 384}, {"full_range.h264", 162}, {"10bit.h264", 160}, {"444_odd.h264", 161}, {"1x1.h264", 0}} {
			for _, au := range readUnits(t, c.file) {
				f, err := d.Decode(au)
				if c.w == 0 {
					require.Error(t, err)
					continue
				}
				require.NoError(t, err)
				require.Equal(t, c.w, f.Image.Rect.Dx())
			}
		}
	}
}

func TestDecodeWrongCodec(t *testing.T) {
	_, err := NewDecoder(ingest.Codec(9))
	require.Equal(t, ingest.ReasonUnsupportedCodec, ingest.ReasonOf(err))
	d := open(t, ingest.H264)
	_, err = d.Decode(readUnits(t, "walk.h265")[0])
	require.Equal(t, ingest.ReasonUnsupportedCodec, ingest.ReasonOf(err))
	f, err := d.Decode(readUnits(t, "walk.h264")[0])
	require.NoError(t, err)
	require.True(t, f != nil)
}

func TestDecodeEmptyAndHuge(t *testing.T) {
	d := open(t, ingest.H264)
	f, err := d.Decode(ingest.AccessUnit{Codec: ingest.H264, Key: true})
	require.NoError(t, err)
	require.True(t, f == nil)
	_, err = d.Decode(ingest.AccessUnit{Codec: ingest.H264, Key: true, NALUs: [][]byte{make([]byte, maxUnit)}})
	require.Equal(t, ingest.ReasonUndecodable, ingest.ReasonOf(err))
}

// Frames end with the next Decode and with Close: who kept one gets an empty
// picture and not freed memory.
func TestFrameEnds(t *testing.T) {
	units := readUnits(t, "walk.h264")
	d, err := NewDecoder(ingest.H264)
	require.NoError(t, err)
	f, err := d.Decode(units[0])
	require.NoError(t, err)
	d.Close()
	require.Empty(t, f.Image.Y)
	require.Empty(t, f.Luma.Pix)
	d.Close()
	_, err = d.Decode(units[0])
	require.ErrorIs(t, err, errClosed)
}

func TestVersion(t *testing.T) {
	require.Regexp(t, `^libavcodec \d+\.\d+\.\d+ \(FFmpeg .+\)$`, Version())
}

// A stream may leave out frame numbers lawfully (H.264 §7.4.2.1.1), as temporal
// layers do: then a jump is no loss.
func TestDecodeLawfulGap(t *testing.T) {
	units := slices.Delete(readUnits(t, "walk.h264"), 10, 12)[:20]
	d := open(t, ingest.H264).(*decoder)
	for i, au := range units {
		_, err := d.Decode(au)
		require.NoError(t, err, "unit %d", i)
		d.params.gapsAllowed = true
	}
}

// A red picture is red in every format: Cb and Cr are not mixed up.
func TestDecodeRed(t *testing.T) {
	for _, file := range []string{"red.h264", "red_444.h264", "red_10bit.h265"} {
		au := readUnits(t, file)[0]
		f, err := open(t, au.Codec).Decode(au)
		require.NoError(t, err)
		c := f.Image.YCbCrAt(30, 30)
		require.InDelta(t, 90, int(c.Cb), 4, file) // BT.601: 81, 90, 240
		require.InDelta(t, 240, int(c.Cr), 4, file)
	}
}

// After a loss an open GOP must come out as if decoding had begun there: its
// leading pictures refer to what was before it, and that is broken.
func TestDecodeOpenGOPAfterLoss(t *testing.T) {
	units := readUnits(t, "opengop.h265")
	second := slices.IndexFunc(units[1:], func(au ingest.AccessUnit) bool { return au.Key }) + 1
	pictures := func(d detect.Decoder) (sums []float64) {
		for i, au := range units[second:] {
			f, err := d.Decode(au)
			require.NoError(t, err, "unit %d", second+i)
			if f != nil {
				sums = append(sums, lumaMean(f.Image))
			}
		}
		return sums
	}
	want := pictures(open(t, ingest.H265))
	require.NotEmpty(t, want)

	d := open(t, ingest.H265)
	for _, au := range units[:6] {
		_, err := d.Decode(au)
		require.NoError(t, err)
	}
	lost := units[8]
	lost.Lost = true
	_, err := d.Decode(lost)
	require.Equal(t, ingest.ReasonUndecodable, ingest.ReasonOf(err))
	require.Equal(t, want, pictures(d))
}

// What nobody looks at for motion has no small picture, and is else the same.
func TestLeavesOutTheLuma(t *testing.T) {
	units := readUnits(t, "walk.h264")
	whole, spare := open(t, ingest.H264), open(t, ingest.H264)
	for i, au := range units {
		look := i%3 == 0
		spare.(detect.Sparing).Decimate(look)
		f, err := whole.Decode(au)
		require.NoError(t, err)
		s, err := spare.Decode(au)
		require.NoError(t, err)
		require.Equal(t, f.Image.Y, s.Image.Y)
		if look {
			require.Equal(t, f.Luma, s.Luma)
		} else {
			require.Equal(t, detect.Luma{}, s.Luma)
		}
	}
}

// Without deblocking the pictures drift, a little, until the next key unit.
func TestDeblock(t *testing.T) {
	for _, file := range []string{"walk.h264", "walk.h265"} {
		t.Run(file, func(t *testing.T) {
			units := readUnits(t, file)
			whole, hasty := open(t, units[0].Codec), open(t, units[0].Codec)
			differ, drift := 0, 0.0
			for i, au := range units {
				hasty.(detect.Sparing).Deblock(au.Key)
				f, err := whole.Decode(au)
				require.NoError(t, err)
				h, err := hasty.Decode(au)
				require.NoError(t, err)
				if f == nil || h == nil {
					continue
				}
				off := 0.0
				for k := range f.Luma.Pix {
					off += math.Abs(float64(f.Luma.Pix[k]) - float64(h.Luma.Pix[k]))
				}
				off /= float64(len(f.Luma.Pix))
				if au.Key {
					require.Zero(t, off, "unit %d", i)
				} else if off > 0 {
					differ, drift = differ+1, max(drift, off)
				}
			}
			require.Positive(t, differ, "the filter was left out")
			require.Less(t, drift, 3.0, "grey levels in the mean: less than motion is looked for with")
		})
	}
	closed, err := NewDecoder(ingest.H264)
	require.NoError(t, err)
	closed.Close()
	closed.(detect.Sparing).Deblock(false)
}
