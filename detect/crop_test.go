package detect

import (
	"image"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
)

func TestCrops(t *testing.T) {
	hd := image.Pt(1920, 1080)
	for _, c := range []struct {
		name    string
		size    image.Point
		regions []Box
		n       int
		want    []image.Rectangle
	}{
		{"none asked for", hd, []Box{{0.5, 0.5, 0.01, 0.02}}, 0, nil},
		{"small, in the middle", hd, []Box{{0.5, 0.5, 0.01, 0.02}}, 2, []image.Rectangle{image.Rect(760, 342, 1176, 758)}},
		{"at the corner", hd, []Box{{0.99, 0.98, 0.01, 0.02}}, 2, []image.Rectangle{image.Rect(1504, 664, 1920, 1080)}},
		{"beyond the corner", hd, []Box{{-0.01, -0.5, 0.01, 0.02}}, 2, []image.Rectangle{image.Rect(0, 0, 416, 416)}},
		{"with a margin", hd, []Box{{0.25, 0.25, 0.15, 0.1}}, 2, []image.Rectangle{image.Rect(336, 36, 912, 612)}},
		{"as large as the picture", hd, []Box{{0.1, 0.1, 0.5, 0.5}}, 2, nil},
		{"a picture that is small anyway", image.Pt(640, 360), []Box{{0.5, 0.5, 0.01, 0.02}}, 2, nil},
		{"two close to each other", hd, []Box{{0.5, 0.5, 0.01, 0.02}, {0.52, 0.5, 0.01, 0.02}}, 2, []image.Rectangle{image.Rect(780, 342, 1196, 758)}},
		{"in one part, though not around the first", hd, []Box{{0.5, 0.5, 0.01, 0.02}, {0.6, 0.5, 0.004, 0.02}}, 1, []image.Rectangle{image.Rect(850, 342, 1266, 758)}},
		{"too far for one part", hd, []Box{{0.5, 0.5, 0.01, 0.02}, {0.6, 0.5, 0.01, 0.02}}, 2, []image.Rectangle{image.Rect(760, 342, 1176, 758), image.Rect(952, 342, 1368, 758)}},
		{"one in the large part of another", hd, []Box{{0.25, 0.25, 0.15, 0.1}, {0.38, 0.26, 0.01, 0.02}}, 2, []image.Rectangle{image.Rect(336, 36, 912, 612)}},
		{"more than asked for", hd, []Box{{0, 0, 0.01, 0.02}, {0.9, 0.9, 0.01, 0.02}}, 1, []image.Rectangle{image.Rect(0, 0, 416, 416)}},
		{"low and wide", image.Pt(3000, 200), []Box{{0.5, 0.5, 0.01, 0.02}}, 1, []image.Rectangle{image.Rect(1306, 0, 1722, 200)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := crops(c.size, c.regions, c.n)
			require.Equal(t, c.want, got)
			for _, r := range got {
				require.True(t, r.In(image.Rectangle{Max: c.size}))
				require.True(t, r.Min.X%2 == 0 && r.Min.Y%2 == 0, "chroma has half the resolution")
			}
		})
	}
}

func TestUncrop(t *testing.T) {
	size := image.Pt(1000, 1000)
	in := func(b Box) []Detection { return []Detection{{Class: Person, Score: 0.5, Box: b}} }
	got := uncrop(in(Box{0.5, 0.25, 0.25, 0.5}), image.Rect(200, 400, 600, 800), size)
	require.Len(t, got, 1)
	for i, d := range []float64{got[0].Box.X - 0.4, got[0].Box.Y - 0.5, got[0].Box.W - 0.1, got[0].Box.H - 0.2} {
		require.InDelta(t, 0, d, 1e-9, "%d of %v", i, got)
	}
	for _, cut := range []Box{{0, 0.2, 0.1, 0.1}, {0.2, 0, 0.1, 0.1}, {0.9, 0.2, 0.1, 0.1}, {0.2, 0.9, 0.1, 0.1}} {
		require.Empty(t, uncrop(in(cut), image.Rect(200, 400, 600, 800), size), "%v goes on beyond the part", cut)
		require.Len(t, uncrop(in(cut), image.Rectangle{Max: size}, size), 1, "the picture's own edge cuts nothing")
	}
}

// A closer look finds what the whole picture does not show, joins what both show,
// and keeps what only the whole picture shows.
func TestSharedLooksCloser(t *testing.T) {
	var parts []image.Rectangle
	d := detectorFunc(func(img *image.YCbCr, _ float64) ([]Detection, error) {
		parts = append(parts, img.Rect)
		if img.Rect.Dx() == 1920 {
			return []Detection{{Class: Person, Score: 0.5, Box: Box{0.8, 0.1, 0.05, 0.1}}, {Class: Car, Score: 0.4, Box: Box{0.5, 0.5, 0.1, 0.1}}}, nil
		}
		return []Detection{{Class: Truck, Score: 0.6, Box: Box{200. / 416, 198. / 416, 192. / 416, 108. / 416}}, {Class: Dog, Score: 0.3, Box: Box{0.1, 0.1, 0.1, 0.1}}}, nil
	})
	s := NewShared(d, configs.Detector{MaxPerSecond: 100, Crops: 2}, nil)
	img := image.NewYCbCr(image.Rect(0, 0, 1920, 1080), image.YCbCrSubsampleRatio420)
	found, _, err := s.detect(t.Context(), sample{"c", img, 0.1, []Box{{0.5, 0.5, 0.01, 0.02}}, time.Second})
	require.NoError(t, err)
	require.Equal(t, []image.Rectangle{image.Rect(0, 0, 1920, 1080), image.Rect(760, 342, 1176, 758)}, parts)
	var classes []Class
	for _, f := range found {
		classes = append(classes, f.Class)
	}
	require.Equal(t, []Class{Truck, Person, Dog}, classes, "the car is the truck")

	parts = nil
	_, err = s.Detect(t.Context(), "c", img, 0.1)
	require.NoError(t, err)
	require.Len(t, parts, 1, "without regions the whole picture alone")
}

// A closer look takes nothing from others: it needs budget that is left, and
// nobody in the line.
func TestSharedLooksCloserOnlyWithTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		var mu sync.Mutex
		d := detectorFunc(func(*image.YCbCr, float64) ([]Detection, error) {
			mu.Lock()
			looks++
			mu.Unlock()
			time.Sleep(100 * time.Millisecond) // of the synctest bubble
			return nil, nil
		})
		img := image.NewYCbCr(image.Rect(0, 0, 1920, 1080), image.YCbCrSubsampleRatio420)
		regions := []Box{{0.2, 0.2, 0.01, 0.02}, {0.8, 0.8, 0.01, 0.02}}
		s := NewShared(d, configs.Detector{MaxPerSecond: 2, MaxWait: seconds(10), Crops: 2}, nil)
		_, _, err := s.detect(t.Context(), sample{"c", img, 0.1, regions, time.Minute})
		require.NoError(t, err)
		require.Equal(t, 1, looks, "the budget has one look at once")

		looks = 0
		s = NewShared(d, configs.Detector{MaxPerSecond: 1000, MaxWait: seconds(10), Crops: 2}, nil)
		var wg sync.WaitGroup
		for _, cam := range []ingest.CameraID{"a", "b"} {
			wg.Go(func() {
				if _, _, err := s.detect(t.Context(), sample{cam, img, 0.1, regions, time.Minute}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.Equal(t, 1+3, looks, "the first does not look closer while the second waits")
	})
}
