package coverage

import (
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/api/store"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// cam is one camera in use that is online.
func cam(id, division string, more ...func(*store.CameraRow)) store.CameraRow {
	c := store.CameraRow{Camera: api.Camera{ID: api.CameraID(id), Division: division, InUse: true}, NodeSeen: noon}
	c.State.Frames.Value, c.State.Picture.Value = api.Yes, api.Yes
	for _, m := range more {
		m(&c)
	}
	return c
}

func at(lat, lon float64) func(*store.CameraRow) {
	return func(c *store.CameraRow) { c.Camera.Lat, c.Camera.Lon = &lat, &lon }
}

func on(point string) func(*store.CameraRow) {
	return func(c *store.CameraRow) { c.Camera.Point = point }
}

func offline(c *store.CameraRow)   { c.State.Frames.Value = api.No }
func undecided(c *store.CameraRow) { c.State.Frames.Value = api.Unknown }
func silent(c *store.CameraRow)    { c.NodeSeen = noon.Add(-3*time.Minute - time.Microsecond) }
func notInUse(c *store.CameraRow)  { c.Camera.InUse = false }

func figure(t *testing.T, r *Report, id string) Figure {
	t.Helper()
	for _, f := range r.Figures {
		if f.ID == id {
			return f
		}
	}
	t.Fatalf("no figure %s", id)
	return Figure{}
}

// village returns the n-th 村委会 of a county.
func village(t *testing.T, d *Divisions, county string, n int) string {
	for _, v := range d.Villages(county) {
		if v.Kind == KindVillage {
			if n == 0 {
				return v.Code
			}
			n--
		}
	}
	t.Fatal("no such village")
	return ""
}

// TestYichunWithoutCameras is the golden test: the plan of 2021 asks 5 points of
// each of Yichun's 2,201 村委会.
func TestYichunWithoutCameras(t *testing.T) {
	c := New(nil, builtin(t), Options{})
	r := c.count(nil, "3609", noon)
	require.Equal(t, 2201, r.Scope.Villages)
	require.Equal(t, 540, r.Scope.Communities)
	require.Equal(t, 53, r.Scope.Others)
	require.Equal(t, 11005, r.Shortfall)
	require.Equal(t, 2794, r.Total)
	require.Len(t, r.Scope.Counties, 10)
	require.False(t, r.Limited)
	cov1, cov2, onl1 := figure(t, r, "COV-1"), figure(t, r, "COV-2"), figure(t, r, "ONL-1")
	require.Equal(t, []int{0, 11005}, []int{cov1.Numerator, cov1.Denominator})
	require.Equal(t, []int{0, 2201}, []int{cov2.Numerator, cov2.Denominator})
	require.Zero(t, *cov2.Value)
	require.InDelta(t, 1, *cov2.Target, 0)
	require.Nil(t, onl1.Value, "no camera: N/A, never 100 %")
	require.Nil(t, onl1.Target, "no text sets one")
	for _, v := range r.Villages {
		require.Equal(t, v.Kind == KindVillage, v.OK != nil)
		if v.Kind != KindVillage {
			require.Zero(t, v.Shortfall)
		}
	}
}

func TestDefaultScopeIsTheCountiesWithCameras(t *testing.T) {
	d := builtin(t)
	c := New(nil, d, Options{})
	fengxin, changjiang := village(t, d, "360921", 3), village(t, d, "360202", 0)
	r := c.count([]store.CameraRow{
		cam("a", fengxin), cam("b", changjiang), cam("c", changjiang, notInUse), cam("d", "110101001001"),
	}, "", noon)
	require.Equal(t, []string{"360202", "360921"}, r.Scope.Counties)
	require.Equal(t, 201+88, r.Total)
	require.Equal(t, []string{changjiang, fengxin}, []string{r.Villages[0].Code, r.Villages[1].Code}, "those with cameras first")
	require.Equal(t, "昌江区", r.Villages[0].County)
	require.NotEmpty(t, r.Villages[0].Town)
	require.Equal(t, 1, r.Unplaced)
	require.Equal(t, 3, figure(t, r, "ONL-1").Denominator, "a camera in use counts as online or not wherever it stands")
	require.Equal(t, 1, r.Villages[0].Cameras, "one not in use counts nowhere")

	empty := c.count(nil, "", noon)
	require.Empty(t, empty.Villages)
	require.NotNil(t, empty.Villages, "an empty list, not null")
	for _, f := range empty.Figures {
		require.Nil(t, f.Value, f.ID)
		require.Zero(t, f.Denominator)
	}
}

func TestPrefixes(t *testing.T) {
	d := builtin(t)
	c := New(nil, d, Options{MaxRows: 100})
	code := village(t, d, "360921", 0)
	cams := []store.CameraRow{cam("a", code), cam("b", village(t, d, "360202", 0))}
	for _, tc := range []struct {
		prefix string
		total  int
		shown  int
		cams   int
	}{
		{"36", 22080, 100, 2}, {"3609", 2794, 100, 1}, {"360921", 201, 100, 1}, {code[:9], len(d.Villages(code[:9])), len(d.Villages(code[:9])), 1}, {code, 1, 1, 1}, {"3601", 2263, 100, 0},
	} {
		t.Run(tc.prefix, func(t *testing.T) {
			r := c.count(cams, tc.prefix, noon)
			require.Equal(t, tc.total, r.Total)
			require.Len(t, r.Villages, tc.shown)
			require.Equal(t, tc.total > tc.shown, r.Limited)
			require.Equal(t, tc.cams, figure(t, r, "ONL-1").Denominator)
			require.Equal(t, tc.cams > 0, r.Villages[0].Cameras > 0)
			require.Equal(t, d.Name(tc.prefix), r.Scope.Name)
		})
	}
}

func TestOneVillage(t *testing.T) {
	d := builtin(t)
	code := village(t, d, "360921", 0)
	c := New(nil, d, Options{})
	cams := []store.CameraRow{
		cam("1", code, on("杆1")), cam("2", code, on("杆1"), offline), cam("3", code, on("杆1"), silent),
		cam("4", code, on("杆2"), undecided), cam("5", code), cam("6", code, silent, offline),
	}
	row := func(cams []store.CameraRow) Village { return c.count(cams, code, noon).Villages[0] }
	v := row(cams)
	require.Equal(t, []int{6, 4, 2, 1, 3}, []int{v.Cameras, v.Points, v.Online, v.Offline, v.Unknown})
	require.Equal(t, 1, v.Shortfall)
	require.False(t, *v.OK)
	onl := figure(t, c.count(cams, code, noon), "ONL-1")
	require.Equal(t, []int{2, 6, 3}, []int{onl.Numerator, onl.Denominator, onl.Unknown}, "unknown is in the denominator only")
	require.Equal(t, noon, onl.AsOf)

	v = row(append(cams, cam("7", code)))
	require.True(t, *v.OK)
	require.Zero(t, v.Shortfall)
	v = row(append(cams, cam("7", code), cam("8", code), cam("9", code)))
	require.Equal(t, 7, v.Points)
	require.Zero(t, v.Shortfall, "more than the standard is no merit elsewhere")
	full := figure(t, c.count(append(cams, cam("7", code), cam("8", code)), code, noon), "COV-1")
	require.Equal(t, 5, full.Numerator)
	require.InDelta(t, 1, *full.Value, 0)

	strict := New(nil, d, Options{MinPoints: 8, OfflineAfter: time.Hour})
	v = strict.count(cams, code, noon).Villages[0]
	require.Equal(t, 4, v.Shortfall)
	require.Equal(t, []int{3, 2, 1}, []int{v.Online, v.Offline, v.Unknown}, "the silence is not that long")
}

func TestPoints(t *testing.T) {
	// 15 m are 0.000135 degrees of latitude, and 0.000154 of longitude at 28.7° N.
	const lat, lon = 28.7, 115.3
	nan, far := math.NaN(), 91.0
	for _, tc := range []struct {
		name string
		cams []store.CameraRow
		want int
	}{
		{"none", nil, 0},
		{"one pole with five heads", []store.CameraRow{cam("1", "", on("p")), cam("2", "", on("p")), cam("3", "", on("p")), cam("4", "", on("p")), cam("5", "", on("p"))}, 1},
		{"no point, no place: each its own", []store.CameraRow{cam("1", ""), cam("2", "")}, 2},
		{"14 m apart to the north", []store.CameraRow{cam("1", "", at(lat, lon)), cam("2", "", at(lat+14/metresPerDegree, lon))}, 1},
		{"16 m apart to the north", []store.CameraRow{cam("1", "", at(lat, lon)), cam("2", "", at(lat+16/metresPerDegree, lon))}, 2},
		{"14 m apart to the east", []store.CameraRow{cam("1", "", at(lat, lon)), cam("2", "", at(lat, lon+0.000143))}, 1},
		{"16 m apart to the east", []store.CameraRow{cam("1", "", at(lat, lon)), cam("2", "", at(lat, lon+0.000164))}, 2},
		{"a chain of 10 m steps", []store.CameraRow{cam("1", "", at(lat, lon)), cam("2", "", at(lat+20/metresPerDegree, lon)), cam("3", "", at(lat+10/metresPerDegree, lon))}, 1},
		{"near, but with points of their own", []store.CameraRow{cam("1", "", at(lat, lon), on("p")), cam("2", "", at(lat, lon), on("q"))}, 2},
		{"near, one with a point", []store.CameraRow{cam("1", "", at(lat, lon), on("p")), cam("2", "", at(lat, lon))}, 2},
		{"devices without a fix", []store.CameraRow{cam("1", "", at(0, 0)), cam("2", "", at(0, 0))}, 2},
		{"no number, off the globe", []store.CameraRow{cam("1", "", at(nan, lon)), cam("2", "", at(nan, lon)), cam("3", "", at(far, lon)), cam("4", "", at(lat, 181))}, 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var records []api.Camera
			for _, c := range tc.cams {
				records = append(records, c.Camera)
			}
			require.Equal(t, tc.want, countPoints(records))
		})
	}
}

// TestProperties holds for any cameras in any state: parts add up, nothing
// exceeds what it is a part of, and the order of the cameras does not matter.
func TestProperties(t *testing.T) {
	d := builtin(t)
	c := New(nil, d, Options{})
	r := rand.New(rand.NewPCG(5, 6))
	codes := []string{"", "12345", "999999999999"}
	for _, v := range d.Villages("360921100") {
		codes = append(codes, v.Code)
	}
	flags := []func(*store.CameraRow){offline, undecided, silent, notInUse}
	for range 100 {
		cams := make([]store.CameraRow, r.IntN(60))
		for i := range cams {
			cams[i] = cam(fmt.Sprint(i), codes[r.IntN(len(codes))])
			if r.IntN(2) == 0 {
				flags[r.IntN(len(flags))](&cams[i])
			}
			switch r.IntN(3) {
			case 0:
				on(fmt.Sprint(r.IntN(4)))(&cams[i])
			case 1:
				at(28.7+float64(r.IntN(30))/1e4, 115.3)(&cams[i])
			}
		}
		prefix := []string{"", "360921", "360921100", "360921100201"}[r.IntN(4)]
		got := c.count(cams, prefix, noon)
		cameras, met, short := 0, 0, 0
		for _, v := range got.Villages {
			require.Equal(t, v.Cameras, v.Online+v.Offline+v.Unknown)
			require.LessOrEqual(t, v.Points, v.Cameras)
			require.Equal(t, v.Cameras > 0, v.Points > 0)
			if v.OK != nil {
				require.Equal(t, *v.OK, v.Points >= 5)
				require.Equal(t, max(0, 5-v.Points), v.Shortfall)
				if *v.OK {
					met++
				}
			}
			cameras += v.Cameras
			short += v.Shortfall
		}
		cov1, cov2, onl := figure(t, got, "COV-1"), figure(t, got, "COV-2"), figure(t, got, "ONL-1")
		require.Equal(t, short, got.Shortfall)
		require.Equal(t, short, cov1.Denominator-cov1.Numerator)
		require.Equal(t, met, cov2.Numerator)
		require.Equal(t, got.Scope.Villages, cov2.Denominator)
		require.Equal(t, cameras+got.Unplaced, onl.Denominator)
		for _, f := range got.Figures {
			require.Equal(t, f.Denominator == 0, f.Value == nil)
			require.LessOrEqual(t, f.Numerator, f.Denominator)
			require.LessOrEqual(t, f.Unknown, f.Denominator-f.Numerator)
			require.GreaterOrEqual(t, f.Numerator, 0)
		}
		r.Shuffle(len(cams), func(i, j int) { cams[i], cams[j] = cams[j], cams[i] })
		require.Equal(t, got, c.count(cams, prefix, noon))
	}
}

func TestReportFromTheStore(t *testing.T) {
	d := builtin(t)
	dir := t.TempDir()
	st, err := store.Open(t.Context(), store.Options{
		Path: filepath.Join(dir, "center.db"), PictureDir: filepath.Join(dir, "p"), Now: func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	code := village(t, d, "360921", 1)
	report := func(id string, seq uint64, removed bool) *api.Envelope {
		c := cam(id, code)
		return &api.Envelope{V: 1, Node: "edge-1", Seq: seq, Time: noon, Camera: &api.CameraReport{Camera: c.Camera, State: c.State, Removed: removed}}
	}
	_, err = st.Save(t.Context(), []*api.Envelope{report("a", 1, false), report("b", 2, false), report("b", 3, true)})
	require.NoError(t, err)
	c := New(st, d, Options{})
	r, err := c.Report(t.Context(), "", noon)
	require.NoError(t, err)
	require.Equal(t, code, r.Villages[0].Code)
	require.Equal(t, []int{1, 1, 4}, []int{r.Villages[0].Cameras, r.Villages[0].Online, r.Villages[0].Shortfall}, "a removed camera is gone")
	later, err := c.Report(t.Context(), code, noon.Add(4*time.Minute))
	require.NoError(t, err)
	require.Equal(t, 1, later.Villages[0].Unknown, "the edge is silent")
	for _, bad := range []string{"99", "3", "360921100001999", "x"} {
		_, err = c.Report(t.Context(), bad, noon)
		require.ErrorIs(t, err, ErrUnknownDivision, bad)
	}
	require.NoError(t, st.Close())
	_, err = c.Report(t.Context(), "", noon)
	require.ErrorContains(t, err, "coverage")
}
