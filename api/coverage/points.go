package coverage

import (
	"math"
	"sort"

	"github.com/sharpeyes/sharpeyes/api"
)

// samePoint is how near two cameras without a point stand to be one point, in
// metres: the plans count poles, not camera heads.
const samePoint = 15.0

// metresPerDegree is the length of a degree of latitude.
const metresPerDegree = 111_195.0

// countPoints counts the distinct points (点位) of the cameras of one village: by
// the point's name where there is one; cameras without it that stand within 15 m
// of each other, also by way of a third, are one; any other is its own.
func countPoints(cams []api.Camera) int {
	named := map[string]bool{}
	var placed []place
	own := 0
	for _, c := range cams {
		switch p, ok := placeOf(c); {
		case c.Point != "":
			named[c.Point] = true
		case ok:
			placed = append(placed, p)
		default:
			own++
		}
	}
	return len(named) + clusters(placed) + own
}

// place is where a camera stands, in metres on a plane that is true near it.
type place struct{ lat, lon float64 }

func placeOf(c api.Camera) (place, bool) {
	if c.Lat == nil || c.Lon == nil {
		return place{}, false
	}
	p := place{*c.Lat, *c.Lon}
	// Written so that NaN is refused too; 0, 0 is what devices without a fix say.
	ok := math.Abs(p.lat) <= 90 && math.Abs(p.lon) <= 180 && (p.lat != 0 || p.lon != 0)
	return p, ok
}

func (a place) metres(b place) float64 {
	dy := (a.lat - b.lat) * metresPerDegree
	dx := (a.lon - b.lon) * metresPerDegree * math.Cos((a.lat+b.lat)/2*math.Pi/180)
	return math.Hypot(dx, dy)
}

// clusters counts the groups of places that hang together by steps of at most
// samePoint.
func clusters(places []place) int {
	sort.Slice(places, func(i, j int) bool {
		return places[i].lat < places[j].lat || places[i].lat == places[j].lat && places[i].lon < places[j].lon
	})
	root := make([]int, len(places))
	for i := range root {
		root[i] = i
	}
	find := func(i int) int {
		for root[i] != i {
			root[i] = root[root[i]]
			i = root[i]
		}
		return i
	}
	n := len(places)
	for i, p := range places {
		for j := i + 1; j < len(places) && (places[j].lat-p.lat)*metresPerDegree <= samePoint; j++ {
			if p.metres(places[j]) > samePoint {
				continue
			}
			if a, b := find(i), find(j); a != b {
				root[a] = b
				n--
			}
		}
	}
	return n
}
