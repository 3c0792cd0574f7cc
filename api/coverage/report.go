// Package coverage counts: which village has how many points against the
// standard, and which camera really works. Every figure comes with its formula,
// its parts and its time; what was not measured is never counted as good. It
// reads cameras through api/store and changes nothing.
package coverage

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/api/store"
)

// ErrUnknownDivision says that a prefix is not a division of the table.
var ErrUnknownDivision = errors.New("no such division")

// Options tunes a Coverage. Zero values mean the default.
type Options struct {
	MinPoints    int           // points an administrative village must have; default 5 (Yichun plan, 2021)
	OfflineAfter time.Duration // a camera whose node is silent for longer is unknown; default 3m
	MaxRows      int           // most villages in one report; default 5000
}

// Coverage makes reports from the cameras of a store and a table of divisions.
// It is safe for concurrent use.
type Coverage struct {
	st  *store.Store
	d   *Divisions
	opt Options
}

// New returns the coverage of the cameras in st over the divisions of d.
func New(st *store.Store, d *Divisions, opt Options) *Coverage {
	if opt.MinPoints == 0 {
		opt.MinPoints = 5
	}
	if opt.OfflineAfter == 0 {
		opt.OfflineAfter = 3 * time.Minute
	}
	if opt.MaxRows == 0 {
		opt.MaxRows = 5000
	}
	return &Coverage{st: st, d: d, opt: opt}
}

// Report is the coverage of some divisions at one moment.
type Report struct {
	AsOf      time.Time `json:"as_of"`
	Scope     Scope     `json:"scope"`
	Standard  Standard  `json:"standard"`
	Figures   []Figure  `json:"figures"`
	Villages  []Village `json:"villages"`         // those with cameras first, then by code
	Total     int       `json:"villages_total"`   // all rows of the scope
	Limited   bool      `json:"villages_limited"` // Villages holds fewer than Total
	Shortfall int       `json:"shortfall"`        // points that all 村委会 of the scope lack together
	Unplaced  int       `json:"unplaced"`         // cameras in use whose division is not in the table; they count in ONL-1 only
	Divisions string    `json:"divisions"`        // where the table comes from, in words
}

// Scope says what the report is about.
type Scope struct {
	Division    string   `json:"division"`    // the prefix that was asked for, or ""
	Name        string   `json:"name"`        // its path of names, or ""
	Counties    []string `json:"counties"`    // codes of the counties counted
	Villages    int      `json:"villages"`    // 村委会: the V of COV-2
	Communities int      `json:"communities"` // 居委会 and 社区: listed, not counted in COV-1 and COV-2
	Others      int      `json:"others"`      // 林场, 管理区 and the like: listed, not counted
}

// Standard is what the figures are held against.
type Standard struct {
	MinPoints int `json:"min_points"` // points per administrative village
}

// Figure is one statistic with what it was made from.
type Figure struct {
	ID          string    `json:"id"` // COV-1, COV-2, ONL-1
	Name        string    `json:"name"`
	NameEN      string    `json:"name_en"`
	Formula     string    `json:"formula"`
	Numerator   int       `json:"numerator"`
	Denominator int       `json:"denominator"`
	Value       *float64  `json:"value"`   // 0..1; nil when the denominator is empty: "N/A", never 100 %
	Target      *float64  `json:"target"`  // 0..1; nil when no authoritative target exists
	Unknown     int       `json:"unknown"` // in the denominator, not in the numerator, because nobody knows
	AsOf        time.Time `json:"as_of"`
}

// Village is one row of the report.
type Village struct {
	Code      string `json:"code"`
	Name      string `json:"name"`
	Kind      Kind   `json:"kind"`
	Town      string `json:"town"`
	County    string `json:"county"`
	Points    int    `json:"points"`  // distinct points of the cameras in use
	Cameras   int    `json:"cameras"` // in use
	Online    int    `json:"online"`
	Offline   int    `json:"offline"`
	Unknown   int    `json:"unknown"`
	Shortfall int    `json:"shortfall"` // max(0, standard − points); 0 where the standard does not apply
	OK        *bool  `json:"ok"`        // nil where the standard does not apply (not a 村委会)
}

// Report counts the divisions below prefix at now. An empty prefix means the
// counties in which cameras stand. A prefix that the table does not have is
// ErrUnknownDivision.
func (c *Coverage) Report(ctx context.Context, prefix string, now time.Time) (*Report, error) {
	if _, ok := c.d.Lookup(prefix); prefix != "" && !ok {
		return nil, fmt.Errorf("division %.20q: %w", prefix, ErrUnknownDivision)
	}
	cams, err := c.st.Cameras(ctx)
	if err != nil {
		return nil, fmt.Errorf("coverage: %w", err)
	}
	return c.count(cams, prefix, now.UTC()), nil
}

// count is Report without the database.
func (c *Coverage) count(cams []store.CameraRow, prefix string, now time.Time) *Report {
	r := &Report{AsOf: now, Standard: Standard{c.opt.MinPoints}, Divisions: c.d.Source(), Villages: []Village{}}
	r.Scope = Scope{Division: prefix, Name: c.d.Name(prefix), Counties: []string{}}
	inVillage := map[string][]store.CameraRow{}
	var used []store.CameraRow
	for _, cam := range cams {
		code := cam.Camera.Division
		if !cam.Camera.InUse || len(code) < len(prefix) || code[:len(prefix)] != prefix {
			continue
		}
		used = append(used, cam)
		if !c.d.Known(code) {
			r.Unplaced++
			continue
		}
		inVillage[code] = append(inVillage[code], cam)
	}
	for _, div := range c.scope(prefix, inVillage) {
		r.addVillage(c.village(div, inVillage[div.Code], now))
	}
	r.Figures = c.figures(r, used, now)
	r.order(c.opt.MaxRows)
	return r
}

// scope returns the villages that the report is about.
func (c *Coverage) scope(prefix string, inVillage map[string][]store.CameraRow) []Division {
	if prefix != "" {
		return c.d.Villages(prefix)
	}
	counties := map[string]bool{}
	for code := range inVillage {
		counties[code[:6]] = true
	}
	var out []Division
	for county := range counties {
		out = append(out, c.d.Villages(county)...)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Code < out[j].Code })
	return out
}

// village makes the row of one village.
func (c *Coverage) village(div Division, cams []store.CameraRow, now time.Time) Village {
	v := Village{Code: div.Code, Name: div.Name, Kind: div.Kind, Cameras: len(cams)}
	v.County, v.Town = c.d.nameOf(div.Code[:6]), c.d.nameOf(div.Code[:9])
	records := make([]api.Camera, len(cams))
	for i, cam := range cams {
		records[i] = cam.Camera
	}
	v.Points = countPoints(records)
	v.Online, v.Offline, v.Unknown = c.online(cams, now)
	if div.Kind == KindVillage {
		v.Shortfall = max(0, c.opt.MinPoints-v.Points)
		ok := v.Shortfall == 0
		v.OK = &ok
	}
	return v
}

func (c *Coverage) online(cams []store.CameraRow, now time.Time) (online, offline, unknown int) {
	for _, cam := range cams {
		switch cam.Online(now, c.opt.OfflineAfter) {
		case api.Yes:
			online++
		case api.No:
			offline++
		default:
			unknown++
		}
	}
	return online, offline, unknown
}

func (r *Report) addVillage(v Village) {
	r.Villages = append(r.Villages, v)
	r.Total++
	r.Shortfall += v.Shortfall
	switch v.Kind {
	case KindVillage:
		r.Scope.Villages++
	case KindCommunity:
		r.Scope.Communities++
	default:
		r.Scope.Others++
	}
	if n := len(r.Scope.Counties); n == 0 || r.Scope.Counties[n-1] != v.Code[:6] {
		r.Scope.Counties = append(r.Scope.Counties, v.Code[:6])
	}
}

// order puts the villages with cameras first and cuts the list.
func (r *Report) order(most int) {
	sort.SliceStable(r.Villages, func(i, j int) bool { return r.Villages[i].Cameras > 0 && r.Villages[j].Cameras == 0 })
	if len(r.Villages) > most {
		r.Villages, r.Limited = r.Villages[:most], true
	}
}

// figures makes COV-1, COV-2 and ONL-1 (domain reference §2.3).
func (c *Coverage) figures(r *Report, used []store.CameraRow, now time.Time) []Figure {
	least := c.opt.MinPoints
	met := 0
	for _, v := range r.Villages {
		if v.OK != nil && *v.OK {
			met++
		}
	}
	online, offline, unknown := c.online(used, now)
	all := least * r.Scope.Villages
	out := []Figure{
		{
			ID: "COV-1", Name: "行政村点位完成率", NameEN: "points of administrative villages",
			Formula:   fmt.Sprintf("Σ min(n(v), %d) / (%d × #V); n(v): 村 v 在用摄像机的不同点位数; V: 村委会; 缺口 Σ max(0, %d − n(v))", least, least, least),
			Numerator: all - r.Shortfall, Denominator: all, Target: ratio(1, 1),
		},
		{
			ID: "COV-2", Name: "行政村达标率", NameEN: "administrative villages that meet the standard",
			Formula:   fmt.Sprintf("#{v ∈ V: n(v) ≥ %d} / #V", least),
			Numerator: met, Denominator: r.Scope.Villages, Target: ratio(1, 1),
		},
		{
			// No national or provincial text sets a target for ONL-1; contracts
			// say 95, 98 or 99 %.
			ID: "ONL-1", Name: "在线率(即时)", NameEN: "cameras online now",
			Formula:   "在线 / (在线 + 离线 + 未知)",
			Numerator: online, Denominator: online + offline + unknown, Unknown: unknown,
		},
	}
	for i := range out {
		out[i].Value, out[i].AsOf = ratio(out[i].Numerator, out[i].Denominator), now
	}
	return out
}

// ratio returns a/b, or nil when b is 0.
func ratio(a, b int) *float64 {
	if b == 0 {
		return nil
	}
	v := float64(a) / float64(b)
	return &v
}
