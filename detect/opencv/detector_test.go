//go:build cgo

package opencv

import (
	"fmt"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/detect/model"
	"github.com/sharpeyes/sharpeyes/detect/model/modeltest"
)

// builtIn loads the built-in model once for all tests.
var builtIn = sync.OnceValues(func() (*model.Detector, error) { return named("builtin") })

// light loads the light model once.
var light = sync.OnceValues(func() (*model.Detector, error) { return named("light") })

func named(name string) (*model.Detector, error) {
	m, err := model.BuiltIn(name)
	if err != nil {
		return nil, err
	}
	return model.NewDetector(m, 1, opener(1))
}

func picture(t testing.TB, name string) *image.YCbCr {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	require.NoError(t, err)
	defer f.Close()
	img, err := jpeg.Decode(f)
	require.NoError(t, err)
	return img.(*image.YCbCr)
}

// people are the places of all people in four pictures, in pixels of 768 x 576,
// written down by eye from the pictures with the boxes drawn in: left, top,
// right, bottom. A person half behind the sign or another person is not in.
var people = map[string][][4]float64{
	"vtest_20.jpg":  {{362, 194, 396, 274}, {440, 233, 481, 316}, {686, 271, 723, 377}, {727, 274, 762, 374}},
	"vtest_200.jpg": {{82, 153, 109, 216}, {219, 190, 251, 266}, {488, 144, 518, 222}, {615, 265, 651, 370}, {703, 252, 745, 354}, {677, 97, 699, 154}, {702, 104, 722, 154}},
	"vtest_400.jpg": {{272, 198, 304, 286}, {588, 139, 617, 204}, {688, 299, 743, 411}},
	"vtest_600.jpg": {{188, 145, 209, 211}, {283, 430, 339, 576}, {452, 302, 506, 421}, {567, 200, 596, 290}, {641, 305, 672, 411}, {671, 207, 704, 296}},
}

func TestDetectPeople(t *testing.T) {
	d, err := builtIn()
	require.NoError(t, err)
	for name, places := range people {
		t.Run(name, func(t *testing.T) {
			found, err := d.Detect(picture(t, name), 0.5)
			require.NoError(t, err)
			persons := 0
			for _, f := range found {
				require.True(t, f.Box.X >= 0 && f.Box.Y >= 0 && f.Box.X+f.Box.W <= 1.0001 && f.Box.Y+f.Box.H <= 1.0001)
				if f.Class == detect.Person {
					persons++
				}
			}
			for _, p := range places {
				want := detect.Box{X: p[0] / 768, Y: p[1] / 576, W: (p[2] - p[0]) / 768, H: (p[3] - p[1]) / 576}
				best := 0.0
				for _, f := range found {
					if f.Class == detect.Person {
						best = max(best, f.Box.IoU(want))
					}
				}
				require.Greater(t, best, 0.7, "person at %v", p)
			}
			require.Equal(t, len(places), persons, "nobody who is not there: %v", found)
		})
	}
}

// The white van and the blue car stand at the upper right in every picture.
func TestDetectVehicles(t *testing.T) {
	d, err := builtIn()
	require.NoError(t, err)
	for name := range people {
		found, err := d.Detect(picture(t, name), 0.4)
		require.NoError(t, err)
		vehicles := 0
		for _, f := range found {
			if f.Class.Group() == detect.GroupVehicle && f.Box.X > 0.8 && f.Box.Y < 0.1 {
				vehicles++
			}
		}
		require.Equal(t, 2, vehicles, "%s: %v", name, found)
	}
}

// Rows with padding, and a part of a larger picture, show the same as the plain
// picture.
func TestDetectPart(t *testing.T) {
	d, err := builtIn()
	require.NoError(t, err)
	img := picture(t, "vtest_400.jpg")
	whole, err := d.Detect(img, 0.5)
	require.NoError(t, err)
	large := image.NewYCbCr(image.Rect(0, 0, 800, 600), img.SubsampleRatio)
	for y := range 576 {
		for x := range 768 {
			large.Y[large.YOffset(x+16, y+8)] = img.Y[img.YOffset(x, y)]
			large.Cb[large.COffset(x+16, y+8)] = img.Cb[img.COffset(x, y)]
			large.Cr[large.COffset(x+16, y+8)] = img.Cr[img.COffset(x, y)]
		}
	}
	part, err := d.Detect(large.SubImage(image.Rect(16, 8, 784, 584)).(*image.YCbCr), 0.5)
	require.NoError(t, err)
	require.Equal(t, whole, part)
}

func TestDetectNothing(t *testing.T) {
	d, err := builtIn()
	require.NoError(t, err)
	for _, c := range []struct {
		w, h  int
		ratio image.YCbCrSubsampleRatio
		grey  byte
	}{
		{16, 16, image.YCbCrSubsampleRatio420, 0},
		{1920, 1080, image.YCbCrSubsampleRatio420, 0},
		{1920, 1080, image.YCbCrSubsampleRatio444, 128},
		{1920, 1080, image.YCbCrSubsampleRatio422, 255},
		{17, 1000, image.YCbCrSubsampleRatio411, 128},
		{1000, 17, image.YCbCrSubsampleRatio440, 255},
	} {
		img := image.NewYCbCr(image.Rect(0, 0, c.w, c.h), c.ratio)
		for i := range img.Y {
			img.Y[i] = c.grey
		}
		for i := range img.Cb {
			img.Cb[i], img.Cr[i] = 128, 128
		}
		found, err := d.Detect(img, 0.4)
		require.NoError(t, err)
		require.Empty(t, found, "%+v", c)
	}
}

func TestDetectRefuses(t *testing.T) {
	d, err := builtIn()
	require.NoError(t, err)
	_, err = d.Detect(nil, 0.5)
	require.ErrorContains(t, err, "no picture")
	_, err = d.Detect(image.NewYCbCr(image.Rect(0, 0, 8, 8), image.YCbCrSubsampleRatio420), 0.5)
	require.ErrorContains(t, err, "8x8")
}

// All cameras share one detector; each gets its own answer.
func TestDetectConcurrently(t *testing.T) {
	d, err := builtIn()
	require.NoError(t, err)
	want := map[string]string{}
	for name := range people {
		found, err := d.Detect(picture(t, name), 0.5)
		require.NoError(t, err)
		want[name] = fmt.Sprint(found)
	}
	var wg sync.WaitGroup
	for name := range people {
		img := picture(t, name)
		wg.Go(func() {
			for range 2 {
				found, err := d.Detect(img, 0.5)
				if err != nil || fmt.Sprint(found) != want[name] {
					t.Errorf("%s: %v, %v", name, found, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestClose(t *testing.T) {
	d, err := load(modeltest.NanoDet(), 0)
	require.NoError(t, err)
	img := picture(t, "vtest_20.jpg")
	_, err = d.Detect(img, 0.5)
	require.NoError(t, err)
	d.Close()
	d.Close()
	_, err = d.Detect(img, 0.5)
	require.ErrorContains(t, err, "closed")
}

func TestVersion(t *testing.T) {
	require.Regexp(t, `^gocv \d+\.\d+\.\d+, OpenCV \d+\.\d+`, Version())
}

// A hundred inferences, and 25 detectors opened and closed, keep nothing. One
// kept input of 416 x 416 alone would be 2 MiB each.
func TestMemory(t *testing.T) {
	d, err := builtIn()
	require.NoError(t, err)
	img := picture(t, "vtest_600.jpg")
	tiny := modeltest.NanoDet()
	work := func(n int) {
		for i := range n {
			_, err := d.Detect(img, 0.5)
			require.NoError(t, err)
			if i%4 != 0 {
				continue
			}
			e, err := load(tiny, 1)
			require.NoError(t, err)
			e.Close()
		}
	}
	work(10)
	before := residentMiB(t)
	work(100)
	require.Less(t, residentMiB(t)-before, 30.0, "MiB grown over 100 inferences")
}

func residentMiB(t *testing.T) float64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("no /proc on this system")
	}
	var total, resident int
	_, err = fmt.Sscan(string(b), &total, &resident)
	require.NoError(t, err)
	return float64(resident) * float64(os.Getpagesize()) / (1 << 20)
}

// BenchmarkDetect is one inference of the built-in model on a picture of 768 x
// 576, with scaling and suppression, on one thread.
func BenchmarkDetect(b *testing.B) {
	d, err := builtIn()
	require.NoError(b, err)
	img := picture(b, "vtest_600.jpg")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Detect(img, 0.4); err != nil {
			b.Fatal(err)
		}
	}
}

// The light model finds the same people, less surely, and the two vehicles.
func TestDetectLight(t *testing.T) {
	d, err := light()
	require.NoError(t, err)
	met := 0
	for name, places := range people {
		found, err := d.Detect(picture(t, name), 0.3)
		require.NoError(t, err)
		vehicles := 0
		for _, f := range found {
			if f.Class.Group() == detect.GroupVehicle && f.Box.X > 0.8 && f.Score > 0.4 {
				vehicles++
			}
		}
		require.Equal(t, 2, vehicles, "%s: %v", name, found)
		for _, p := range places {
			want := detect.Box{X: p[0] / 768, Y: p[1] / 576, W: (p[2] - p[0]) / 768, H: (p[3] - p[1]) / 576}
			for _, f := range found {
				if f.Class == detect.Person && f.Score > 0.4 && f.Box.IoU(want) > 0.6 {
					met++
					break
				}
			}
		}
	}
	require.GreaterOrEqual(t, met, 19, "of the 20 people")
}

// A user's model with the head of YOLOX goes through the same gates.
func TestOwnYOLOX(t *testing.T) {
	m, err := model.New(model.Options{Data: modeltest.YOLOX(2), Head: "yolox", Labels: []string{"van=truck", "person"}})
	require.NoError(t, err)
	d, err := model.NewDetector(m, 2, opener(1))
	require.NoError(t, err)
	defer d.Close()
	_, err = d.Detect(picture(t, "vtest_20.jpg"), 0.5)
	require.NoError(t, err)
	m, err = model.New(model.Options{Data: modeltest.YOLOX(3), Head: "yolox"})
	require.NoError(t, err)
	_, err = model.NewDetector(m, 1, opener(1))
	require.ErrorContains(t, err, "not YOLOX's head for 80 classes")
}
