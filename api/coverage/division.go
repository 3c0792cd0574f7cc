package coverage

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"sort"
	"strings"
)

// Kind says what a division of the village level is.
type Kind string

// The kinds.
const (
	KindVillage   Kind = "village"   // 行政村 (村委会): the standard of points applies
	KindCommunity Kind = "community" // 居委会, 社区: reported apart
	KindOther     Kind = "other"     // 林场, 农场, 管理区…: to be classed by the user
)

// KindOf tells the kind of a village-level division from its name. Code ranges
// are a habit that not every county keeps, so they are not used.
func KindOf(name string) Kind {
	for _, end := range []string{"村委会", "村民委员会", "村民委会"} {
		if strings.HasSuffix(name, end) {
			return KindVillage
		}
	}
	for _, part := range []string{"社区", "居委", "居民委员会"} {
		if strings.Contains(name, part) {
			return KindCommunity
		}
	}
	return KindOther
}

// Division is one administrative division. The length of its code is its level:
// 2 province, 4 city, 6 county (GB/T 2260), 9 town (GB/T 10114), 12 village or
// community.
type Division struct {
	Code string
	Name string
	Kind Kind // "" above the village level
}

// lengths are the lengths of codes, by level.
func lengths() []int { return []int{2, 4, 6, 9, 12} }

// parentLength returns the length of the code one level up, 0 for a province.
func parentLength(n int) int {
	up := 0
	for _, l := range lengths() {
		if l >= n {
			break
		}
		up = l
	}
	return up
}

// Divisions is a table of divisions. It never changes after loading and is safe
// for concurrent use.
type Divisions struct {
	rows   []Division     // by code; a parent sorts before its children
	index  map[string]int // code to place in rows
	source string
}

//go:embed data/jiangxi.csv.gz
var jiangxi []byte

// Builtin returns the table that ships with the program: Jiangxi province, from
// the statistical codes of 2023 (data/NOTICE says more).
func Builtin() (*Divisions, error) {
	z, err := gzip.NewReader(bytes.NewReader(jiangxi))
	if err != nil {
		return nil, fmt.Errorf("built-in divisions: %w", err)
	}
	d, err := LoadDivisions(z)
	if err != nil {
		return nil, fmt.Errorf("built-in divisions: %w", err)
	}
	d.source = "统计用区划代码 2023 (NBS, 2023-06-30), 江西省"
	return d, nil
}

// Source says where the table comes from, in words.
func (d *Divisions) Source() string { return d.source }

// Lookup returns a division and all above it, the province first, and whether
// the code is in the table. Any level may be asked for.
func (d *Divisions) Lookup(code string) ([]Division, bool) {
	i, ok := d.index[code]
	if !ok {
		return nil, false
	}
	path := []Division{d.rows[i]}
	for n := parentLength(len(code)); n > 0; n = parentLength(n) {
		if up, ok := d.index[code[:n]]; ok {
			path = append([]Division{d.rows[up]}, path...)
		}
	}
	return path, true
}

// Name returns the names from the city down, apart by spaces, or "" when the
// code is not in the table. A province has its own name.
func (d *Divisions) Name(code string) string {
	path, ok := d.Lookup(code)
	if !ok {
		return ""
	}
	if len(path) > 1 {
		path = path[1:]
	}
	names := make([]string, len(path))
	for i, p := range path {
		names[i] = p.Name
	}
	return strings.Join(names, " ")
}

// nameOf returns the division's own name, or "".
func (d *Divisions) nameOf(code string) string {
	if i, ok := d.index[code]; ok {
		return d.rows[i].Name
	}
	return ""
}

// Known says whether code is a village or community of the table.
func (d *Divisions) Known(code string) bool {
	_, ok := d.index[code]
	return ok && len(code) == 12
}

// Villages returns the village-level divisions whose code begins with prefix,
// by code.
func (d *Divisions) Villages(prefix string) []Division {
	from := sort.Search(len(d.rows), func(i int) bool { return d.rows[i].Code >= prefix })
	var out []Division
	for _, r := range d.rows[from:] {
		if !strings.HasPrefix(r.Code, prefix) {
			break
		}
		if len(r.Code) == 12 {
			out = append(out, r)
		}
	}
	return out
}

// Check is Known and Suggest in one, in the form that the loader of the
// configuration takes (configs.Options.Division).
func (d *Divisions) Check(code string) (known bool, suggestion string) {
	if d.Known(code) {
		return true, ""
	}
	return false, d.Suggest(code)
}
