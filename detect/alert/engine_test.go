package alert

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/detect"
)

// noon is a Monday.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// at returns the instant s seconds after noon.
func at(s float64) time.Time { return noon.Add(time.Duration(s * float64(time.Second))) }

func secs(s float64) configs.Duration { return configs.Duration(s * float64(time.Second)) }

func camera(rules ...configs.Rule) configs.Camera {
	return configs.Camera{
		ID: "gate", LegalBasis: "A9", Rules: rules,
		Zones: []configs.Zone{
			{ID: "pond", Name: "水塘", Points: []configs.Point{{0.5, 0}, {1, 0}, {1, 1}, {0.5, 1}}},
			{ID: "lane", Points: []configs.Point{{0, 0.5}, {1, 0.5}, {1, 1}, {0, 1}}},
		},
		Lines: []configs.Line{{ID: "fence", Name: "围栏", A: configs.Point{0.5, 0.1}, B: configs.Point{0.5, 0.9}}},
	}
}

func engine(t *testing.T, rules ...configs.Rule) *Engine {
	t.Helper()
	e, err := NewEngine(camera(rules...), time.UTC)
	require.NoError(t, err)
	return e
}

// standing is a track whose foot is at x, y.
func standing(id uint64, c detect.Class, x, y float64) detect.Track {
	return detect.Track{ID: id, Class: c, Score: 0.8, Box: detect.Box{X: x - 0.05, Y: y - 0.2, W: 0.1, H: 0.2}}
}

// look is an instant in which the detector looked and found tracks.
func look(s float64, tracks ...detect.Track) detect.Observation {
	for i := range tracks {
		tracks[i].Seen = at(s)
	}
	return detect.Observation{Camera: "gate", At: at(s), Detected: true, Motion: detect.Motion{Active: true}, Tracks: tracks}
}

// story returns the phases as one line each: second, phase, zone.
func story(alerts []Alert) (out []string) {
	for _, a := range alerts {
		out = append(out, fmt.Sprintf("%v %s %s", a.Received.Sub(noon).Seconds(), a.Phase, a.Zone))
	}
	return out
}

var entry = configs.Rule{ID: "r1", Name: "危险水域", Kind: "zone_entry", Zones: []string{"pond"}, Level: 2, Category: "0301"}

func TestZoneEntry(t *testing.T) {
	in, out := standing(1, detect.Person, 0.7, 0.6), standing(1, detect.Person, 0.3, 0.6)
	with := func(change func(r *configs.Rule)) configs.Rule { r := entry; change(&r); return r }
	weak, small, cut := in, in, in
	weak.Score = 0.3
	small.Box = detect.Box{X: 0.7, Y: 0.5, W: 0.05, H: 0.1}
	cut.Box = detect.Box{X: 0.7, Y: 0.7, W: 0.1, H: 0.35} // legs below the picture
	lost := look(0, in)
	lost.Tracks[0].Seen = at(-5)

	for _, c := range []struct {
		name string
		rule configs.Rule
		obs  []detect.Observation
		want []string
	}{
		{"two of three open", entry, []detect.Observation{look(0, in), look(1, out), look(2, in)}, []string{"2 opened pond"}},
		{"one of three does not", entry, []detect.Observation{look(0, in), look(1, out), look(2, out), look(3, in)}, nil},
		{"two that lie too far apart do not", entry, []detect.Observation{look(0, in), look(60, in)}, nil},
		{"outside", entry, []detect.Observation{look(0, out), look(1, out), look(2, out)}, nil},
		{"feet below the picture stand on its edge", entry, []detect.Observation{look(0, cut), look(1, cut)}, []string{"1 opened pond"}},
		{"a score too low", entry, []detect.Observation{look(0, weak), look(1, weak), look(2, weak)}, nil},
		{"a score that the rule allows", with(func(r *configs.Rule) { r.MinScore = 0.25 }), []detect.Observation{look(0, weak), look(1, weak)}, []string{"1 opened pond"}},
		{"too small", with(func(r *configs.Rule) { r.MinHeight = 0.15 }), []detect.Observation{look(0, small), look(1, small)}, nil},
		{"another class", entry, []detect.Observation{look(0, standing(1, detect.Car, 0.7, 0.6)), look(1, standing(1, detect.Car, 0.7, 0.6))}, nil},
		{"a group", with(func(r *configs.Rule) { r.Classes = []string{"animal", "truck"} }),
			[]detect.Observation{look(0, standing(1, detect.Cow, 0.7, 0.6)), look(1, standing(1, detect.Truck, 0.7, 0.6))}, []string{"1 opened pond"}},
		{"a track that this instant did not find", entry, []detect.Observation{lost, lost, lost}, nil},
		{"one of one", with(func(r *configs.Rule) { r.Frames, r.Of = 1, 1 }), []detect.Observation{look(0, in)}, []string{"0 opened pond"}},
		{"an instant without a look says nothing", entry,
			[]detect.Observation{look(0, in), {At: at(1), Motion: detect.Motion{Active: true}}, {At: at(1.5), Tracks: []detect.Track{in}}, look(2, in)}, []string{"2 opened pond"}},
		{"skipped instants say nothing", entry,
			[]detect.Observation{look(0, in), {At: at(1), Skipped: detect.SkipLoss}, {At: at(1.5), Skipped: detect.SkipQueue}, look(2, in)}, []string{"2 opened pond"}},
		{"an empty scene says no", entry,
			[]detect.Observation{look(0, in), {At: at(1)}, {At: at(1.5)}, {At: at(2)}, look(3, in)}, nil},
		{"closed after ten seconds", entry,
			[]detect.Observation{look(0, in), look(1, in), {At: at(10)}, {At: at(11)}}, []string{"1 opened pond", "11 closed pond"}},
		{"skipping does not keep it open", entry,
			[]detect.Observation{look(0, in), look(1, in), {At: at(12), Skipped: detect.SkipDetectorBusy}}, []string{"1 opened pond", "12 closed pond"}},
		{"updates wait", entry,
			[]detect.Observation{look(0, in), look(1, in), look(3, in), look(5, in), look(7, in), look(9, in), look(15, in), look(17, in)},
			[]string{"1 opened pond", "7 updated pond", "17 updated pond"}},
		{"more objects do not wait", entry,
			[]detect.Observation{look(0, in), look(1, in), look(2, in, standing(2, detect.Person, 0.9, 0.6)), look(3, in)},
			[]string{"1 opened pond", "2 updated pond"}},
		{"cool-down", with(func(r *configs.Rule) { r.CloseAfter, r.Cooldown = secs(2), secs(10) }),
			[]detect.Observation{look(0, in), look(1, in), {At: at(3)}, look(4, in), look(5, in), look(12, in), look(13, in), look(14, in)},
			[]string{"1 opened pond", "3 closed pond", "14 opened pond"}},
		{"two zones are two alerts", with(func(r *configs.Rule) { r.Zones = []string{"pond", "lane"} }),
			[]detect.Observation{look(0, in), look(1, in)}, []string{"1 opened pond", "1 opened lane"}},
		{"not in the schedule", with(func(r *configs.Rule) { r.Schedule = []string{"daily 13:00-14:00"} }),
			[]detect.Observation{look(0, in), look(1, in), look(3600, in), look(3601, in)}, []string{"3601 opened pond"}},
		{"the schedule ends", with(func(r *configs.Rule) { r.Schedule = []string{"daily 11:00-12:01"} }),
			[]detect.Observation{look(57, in), look(58, in), look(59, in), look(64, in), look(69, in)}, []string{"58 opened pond", "69 closed pond"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := engine(t, c.rule)
			var got []Alert
			for _, o := range c.obs {
				got = append(got, e.Observe(o)...)
			}
			require.Equal(t, c.want, story(got))
		})
	}
}

func TestAlertSaysWhatAPersonNeeds(t *testing.T) {
	e := engine(t, entry)
	in := standing(1, detect.Person, 0.7, 0.6)
	e.Observe(look(0, in))
	sure := in
	sure.Score = 0.9
	got := e.Observe(look(1, in, standing(2, detect.Person, 0.3, 0.6)))[0]
	require.Equal(t, Alert{
		ID: NewID("gate", "r1", "pond", at(0)), Camera: "gate", Rule: "r1", RuleName: "危险水域", Kind: ZoneEntry,
		Zone: "pond", ZoneName: "水塘", Category: "0301", Level: 2, Phase: Opened, Start: at(0), Last: at(1), Received: at(1),
		Classes: map[detect.Class]int{detect.Person: 1}, Score: 0.8,
		Boxes: []detect.Detection{{Class: detect.Person, Score: 0.8, Box: in.Box}}, PictureDue: true,
	}, got)

	next := e.Observe(look(2, sure, in))[0]
	require.Equal(t, got.ID, next.ID)
	require.Equal(t, Updated, next.Phase)
	require.Equal(t, 2, next.Classes[detect.Person])
	require.Equal(t, 0.9, next.Score)
	require.True(t, next.PictureDue, "a surer one brings a picture")
	require.Len(t, next.Boxes, 2, "and its boxes")
	require.Equal(t, 1, got.Classes[detect.Person], "what was handed out stays as it was")

	busy := e.Observe(look(3, in, in, in))[0]
	require.False(t, busy.PictureDue)
	require.Len(t, busy.Boxes, 2, "the boxes are those of the picture")

	end := e.Tick(at(13))[0]
	require.Equal(t, Closed, end.Phase)
	require.Equal(t, at(13), *end.End)
	require.Equal(t, at(3), end.Last)
	require.False(t, end.PictureDue)
	require.Empty(t, e.Tick(at(14)))
	require.Empty(t, e.Stop(at(15)))
}

func TestStopClosesWhatIsOpen(t *testing.T) {
	e := engine(t, entry)
	in := standing(1, detect.Person, 0.7, 0.6)
	e.Observe(look(0, in))
	e.Observe(look(1, in))
	got := e.Stop(at(0.5))
	require.Len(t, got, 1)
	require.Equal(t, at(1), *got[0].End, "never before it was last seen")
	require.Empty(t, e.Stop(at(2)))
	e.Observe(look(2, in))
	again := e.Observe(look(3, in))
	require.NotEqual(t, got[0].ID, again[0].ID)
}

func TestLineCross(t *testing.T) {
	// The fence runs down the picture from 0.1 to 0.9 at 0.5: looking along it,
	// left is the right half of the picture.
	walk := func(xs ...float64) (out []detect.Observation) {
		for i, x := range xs {
			out = append(out, look(float64(i)/2, standing(1, detect.Person, x, 0.6)))
		}
		return out
	}
	rule := func(direction string) configs.Rule {
		return configs.Rule{ID: "r", Kind: "line_cross", Lines: []string{"fence"}, Direction: direction}
	}
	around := []detect.Observation{look(0, standing(1, detect.Person, 0.4, 0.95)), look(1, standing(1, detect.Person, 0.45, 0.97)), look(2, standing(1, detect.Person, 0.6, 0.97))}
	other := walk(0.3, 0.4, 0.6)
	other[2].Tracks[0].ID = 2
	unseen := walk(0.3, 0.4, 0.6)
	unseen[2].Tracks[0].Seen = at(0)
	gone := append(walk(0.3, 0.4), look(2), look(3, standing(1, detect.Person, 0.6, 0.6)))
	weak := walk(0.3, 0.4, 0.6)
	for i := range weak {
		weak[i].Tracks[0].Score = 0.2
	}

	for _, c := range []struct {
		name      string
		direction string
		obs       []detect.Observation
		want      int
	}{
		{"to the left", "left", walk(0.3, 0.4, 0.45, 0.55, 0.6), 1},
		{"to the left, any", "both", walk(0.3, 0.4, 0.45, 0.55, 0.6), 1},
		{"to the left, unwanted", "right", walk(0.3, 0.4, 0.45, 0.55, 0.6), 0},
		{"to the right", "right", walk(0.7, 0.6, 0.4), 1},
		{"to the right, unwanted", "left", walk(0.7, 0.6, 0.4), 0},
		{"default is any", "", walk(0.7, 0.6, 0.4), 1},
		{"along it", "both", walk(0.4, 0.42, 0.45, 0.42), 0},
		{"jitter on it", "both", walk(0.45, 0.495, 0.505, 0.498, 0.506, 0.495), 0},
		{"jitter on it, from the other side", "both", walk(0.55, 0.505, 0.495, 0.502, 0.494, 0.505), 0},
		{"slowly through the jitter", "both", walk(0.45, 0.495, 0.505, 0.5, 0.52), 1},
		{"around its end", "both", around, 0},
		{"another track", "both", other, 0},
		{"a guess of the tracker", "both", unseen, 0},
		{"a track that ended", "both", gone, 0},
		{"a score too low", "both", weak, 0},
		{"seen first beyond it", "both", walk(0.6, 0.7), 0},
		{"seen once before it", "both", walk(0.4, 0.6), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := engine(t, rule(c.direction))
			var got []Alert
			for _, o := range c.obs {
				got = append(got, e.Observe(o)...)
			}
			require.Len(t, got, c.want, "%v", story(got))
			if c.want > 0 {
				require.Equal(t, "fence", got[0].Zone)
				require.Equal(t, "围栏", got[0].ZoneName)
			}
		})
	}
	t.Run("a crossing by one glimpse is none", func(t *testing.T) {
		r := rule("both")
		r.Frames, r.Of = 3, 3
		e := engine(t, r)
		for _, o := range walk(0.4, 0.6) {
			require.Empty(t, e.Observe(o))
		}
	})
}

func TestDwell(t *testing.T) {
	rule := configs.Rule{ID: "r", Kind: "dwell", Zones: []string{"lane"}, Classes: []string{"vehicle"}, After: secs(60)}
	park := func(from, to, step float64, x func(s float64) float64) (out []detect.Observation) {
		for s := from; s <= to; s += step {
			out = append(out, look(s, standing(7, detect.Car, x(s), 0.8)))
		}
		return out
	}
	still := func(float64) float64 { return 0.4 }
	faint := park(0, 64, 2, still)
	for i := range faint {
		if i%3 > 0 {
			faint[i].Tracks[0].Score = 0.2
		}
	}
	for _, c := range []struct {
		name string
		obs  []detect.Observation
		want []string
	}{
		{"long enough", park(0, 62, 2, still), []string{"60 opened lane"}},
		{"not long enough", park(0, 58, 2, still), nil},
		{"creeping", park(0, 200, 2, func(s float64) float64 { return 0.2 + s*0.002 }), nil},
		{"to and fro", park(0, 200, 10, func(s float64) float64 { return 0.3 + 0.1*float64(int(s/10)%2) }), nil},
		{"with the detector's jitter", park(0, 62, 2, func(s float64) float64 { return 0.4 + 0.01*float64(int(s)%3) }), []string{"60 opened lane"}},
		{"seen surely now and then", faint, []string{"60 opened lane"}},
		{"closed when it leaves", append(park(0, 62, 2, still), detect.Observation{At: at(72)}), []string{"60 opened lane", "72 closed lane"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := engine(t, rule)
			var got []Alert
			for _, o := range c.obs {
				got = append(got, e.Observe(o)...)
			}
			require.Equal(t, c.want, story(got))
			if len(got) > 0 {
				require.Equal(t, at(0), got[0].Start, "since it stands there")
			}
		})
	}
	t.Run("leaving the zone begins anew", func(t *testing.T) {
		e := engine(t, rule)
		var got []Alert
		for _, o := range append(park(0, 40, 2, still), look(42, standing(7, detect.Car, 0.4, 0.3))) {
			got = append(got, e.Observe(o)...)
		}
		for _, o := range park(44, 90, 2, still) {
			got = append(got, e.Observe(o)...)
		}
		require.Empty(t, got)
	})
	t.Run("a gap makes a second alert with another identity", func(t *testing.T) {
		e := engine(t, rule)
		var got []Alert
		for _, o := range park(0, 60, 2, still) {
			got = append(got, e.Observe(o)...)
		}
		hidden := look(75, standing(7, detect.Car, 0.4, 0.8))
		hidden.Tracks[0].Seen = at(60) // a lorry stands in front of it
		got = append(got, e.Observe(hidden)...)
		for _, o := range park(80, 84, 2, still) {
			got = append(got, e.Observe(o)...)
		}
		require.Equal(t, []string{"60 opened lane", "75 closed lane", "80 opened lane"}, story(got))
		require.NotEqual(t, got[0].ID, got[2].ID)
		require.Equal(t, at(80), got[2].Start)
	})
}

func TestMotionInSchedule(t *testing.T) {
	moving := func(s float64, b detect.Box, change func(o *detect.Observation)) detect.Observation {
		o := detect.Observation{At: at(s), Motion: detect.Motion{Active: true, Boxes: []detect.Box{b}}}
		if change != nil {
			change(&o)
		}
		return o
	}
	right, left := detect.Box{X: 0.7, Y: 0.4, W: 0.1, H: 0.2}, detect.Box{X: 0.1, Y: 0.4, W: 0.1, H: 0.2}
	rule := configs.Rule{ID: "night", Kind: "motion_in_schedule", Schedule: []string{"Mon 11:00-13:00"}}
	zoned := rule
	zoned.Zones = []string{"pond"}
	tall := rule
	tall.MinHeight = 0.3
	global := func(o *detect.Observation) { o.Motion.Global, o.Motion.Active = true, false }
	for _, c := range []struct {
		name string
		rule configs.Rule
		obs  []detect.Observation
		want []string
	}{
		{"anywhere", rule, []detect.Observation{moving(0, left, nil), moving(1, right, nil)}, []string{"1 opened "}},
		{"in the zone", zoned, []detect.Observation{moving(0, right, nil), moving(1, right, nil)}, []string{"1 opened pond"}},
		{"beside the zone", zoned, []detect.Observation{moving(0, left, nil), moving(1, left, nil)}, nil},
		{"too small", tall, []detect.Observation{moving(0, left, nil), moving(1, left, nil)}, nil},
		{"the light goes on", rule, []detect.Observation{moving(0, left, nil), moving(0.5, left, global), moving(0.7, left, global), moving(1, left, nil)}, []string{"1 opened "}},
		{"only light", rule, []detect.Observation{moving(0, left, global), moving(0.5, left, global)}, nil},
		{"outside the schedule", rule, []detect.Observation{moving(7200, left, nil), moving(7201, left, nil)}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := engine(t, c.rule)
			var got []Alert
			for _, o := range c.obs {
				got = append(got, e.Observe(o)...)
			}
			require.Equal(t, c.want, story(got))
		})
	}
	t.Run("a sharper picture follows as soon as the detector looked", func(t *testing.T) {
		e := engine(t, rule)
		e.Observe(moving(0, left, nil))
		require.True(t, e.Observe(moving(0.1, left, nil))[0].PictureDue)
		require.Empty(t, e.Observe(moving(0.2, left, nil)))
		detected := func(o *detect.Observation) { o.Detected = true }
		got := e.Observe(moving(0.3, left, detected))
		require.Equal(t, []string{"0.3 updated "}, story(got))
		require.True(t, got[0].PictureDue)
		require.Empty(t, e.Observe(moving(0.4, left, detected)), "once")
	})
}

func TestSchedulesAreInTheGivenZone(t *testing.T) {
	rule := entry
	rule.Schedule = []string{"daily 20:00-21:00"} // 12:00 UTC
	e, err := NewEngine(camera(rule), time.FixedZone("CST", 8*3600))
	require.NoError(t, err)
	in := standing(1, detect.Person, 0.7, 0.6)
	e.Observe(look(0, in))
	require.Len(t, e.Observe(look(1, in)), 1)
	e, err = NewEngine(camera(rule), nil)
	require.NoError(t, err)
	e.Observe(look(0, in))
	require.Empty(t, e.Observe(look(1, in)), "nil is UTC")
}

func TestWithoutLegalBasisOnlyFaultsAreWatched(t *testing.T) {
	for basis, want := range map[string]int{"A7.1": 2, "A7.2": 2, "A9": 2, "": 1, "unknown": 1, "A33": 1} {
		cam := camera(entry, configs.Rule{ID: "f", Kind: "camera_fault"})
		cam.LegalBasis = basis
		e, err := NewEngine(cam, nil)
		require.NoError(t, err)
		require.Len(t, e.rules, want, "basis %q", basis)
	}
}

func TestNewEngineRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		rule configs.Rule
		want string
	}{
		{"kind", configs.Rule{Kind: "face"}, `kind "face"`},
		{"no zone", configs.Rule{Kind: "zone_entry"}, "name at least one zone"},
		{"unknown zone", configs.Rule{Kind: "dwell", Zones: []string{"nowhere"}}, `zone "nowhere"`},
		{"unknown zone of motion", configs.Rule{Kind: "motion_in_schedule", Zones: []string{"nowhere"}}, `zone "nowhere"`},
		{"a zone of two corners", configs.Rule{Kind: "zone_entry", Zones: []string{"thin"}}, "three points"},
		{"no line", configs.Rule{Kind: "line_cross"}, "name at least one line"},
		{"unknown line", configs.Rule{Kind: "line_cross", Lines: []string{"x"}}, `line "x"`},
		{"a line without length", configs.Rule{Kind: "line_cross", Lines: []string{"dot"}}, "same point"},
		{"direction", configs.Rule{Kind: "line_cross", Lines: []string{"fence"}, Direction: "up"}, `direction "up"`},
		{"class", configs.Rule{Kind: "zone_entry", Zones: []string{"pond"}, Classes: []string{"face"}}, `class "face"`},
		{"schedule", configs.Rule{Kind: "camera_fault", Schedule: []string{"sometimes"}}, "sometimes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.rule.ID = "r9"
			cam := camera(c.rule)
			cam.Zones = append(cam.Zones, configs.Zone{ID: "thin", Points: make([]configs.Point, 2)})
			cam.Lines = append(cam.Lines, configs.Line{ID: "dot"})
			_, err := NewEngine(cam, nil)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "camera gate: rule r9")
		})
	}
}
