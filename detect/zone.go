package detect

import (
	"cmp"
	"math"
	"slices"

	"github.com/sharpeyes/sharpeyes/configs"
)

// Polygon is an area of the picture: at least three corners, in 0..1 of its
// width and height, closed from the last corner to the first. Where it crosses
// itself every part that it winds around is inside, so that a mask that was
// drawn clumsily hides more and never less.
type Polygon []Point

// NewPolygon copies the corners of a configured zone or mask.
func NewPolygon(corners []configs.Point) Polygon {
	p := make(Polygon, len(corners))
	for i, c := range corners {
		p[i] = Point{X: c[0], Y: c[1]}
	}
	return p
}

// NewPolygons copies configured privacy masks.
func NewPolygons(masks [][]configs.Point) []Polygon {
	out := make([]Polygon, len(masks))
	for i, m := range masks {
		out[i] = NewPolygon(m)
	}
	return out
}

// onEdge is how far from an edge, in shares of the picture, a point still
// counts as on it. It only swallows rounding.
const onEdge = 1e-9

// Contains says whether pt is inside or on the edge. Fewer than three corners
// contain nothing.
func (p Polygon) Contains(pt Point) bool {
	if len(p) < 3 {
		return false
	}
	winding := 0
	for i, a := range p {
		b := p[(i+1)%len(p)]
		side := (b.X-a.X)*(pt.Y-a.Y) - (pt.X-a.X)*(b.Y-a.Y)
		if math.Abs(side) <= onEdge && within(pt.X, a.X, b.X) && within(pt.Y, a.Y, b.Y) {
			return true
		}
		switch {
		case a.Y <= pt.Y && b.Y > pt.Y && side > 0:
			winding++
		case a.Y > pt.Y && b.Y <= pt.Y && side < 0:
			winding--
		}
	}
	return winding != 0
}

func within(v, a, b float64) bool {
	return v >= min(a, b)-onEdge && v <= max(a, b)+onEdge
}

// Overlaps says whether the polygon and the box share any place.
func (p Polygon) Overlaps(b Box) bool {
	if len(p) < 3 || b.W <= 0 || b.H <= 0 {
		return false
	}
	for _, s := range p.Spans(b.Y, b.Y+b.H, nil) {
		if s.From <= b.X+b.W && s.To >= b.X {
			return true
		}
	}
	return false
}

// Span is a stretch from left to right, in shares of the picture's width.
type Span struct{ From, To float64 }

// Spans appends to dst what the polygon covers between the heights top and
// bottom, looked at from the side: each x for which some point of the polygon
// lies between the two. The spans are sorted, do not touch each other, and may
// reach beyond 0..1 where the corners do.
func (p Polygon) Spans(top, bottom float64, dst []Span) []Span {
	if len(p) < 3 {
		return dst
	}
	start := len(dst)
	dst = p.edgeSpans(top, bottom, dst)
	// Straight up from a point between the two heights one meets either an edge
	// that the above has counted, or the line at top, inside the polygon.
	dst = p.insideAt(top, dst)
	return dst[:start+len(mergeSpans(dst[start:]))]
}

// edgeSpans appends the width of each edge's part between top and bottom.
func (p Polygon) edgeSpans(top, bottom float64, dst []Span) []Span {
	for i, a := range p {
		b := p[(i+1)%len(p)]
		if a.Y > b.Y {
			a, b = b, a
		}
		if b.Y < top || a.Y > bottom {
			continue
		}
		x0, x1 := a.X, b.X
		if d := b.Y - a.Y; d > 0 {
			if a.Y < top {
				x0 = a.X + (b.X-a.X)*(top-a.Y)/d
			}
			if b.Y > bottom {
				x1 = a.X + (b.X-a.X)*(bottom-a.Y)/d
			}
		}
		dst = append(dst, Span{min(x0, x1), max(x0, x1)})
	}
	return dst
}

// insideAt appends where the horizontal line at y runs inside the polygon.
func (p Polygon) insideAt(y float64, dst []Span) []Span {
	type crossing struct {
		x float64
		w int
	}
	var room [16]crossing
	at := room[:0]
	for i, a := range p {
		b := p[(i+1)%len(p)]
		if (a.Y <= y) == (b.Y <= y) {
			continue
		}
		w := 1
		if a.Y > y {
			w = -1
		}
		at = append(at, crossing{a.X + (b.X-a.X)*(y-a.Y)/(b.Y-a.Y), w})
	}
	slices.SortFunc(at, func(a, b crossing) int { return cmp.Compare(a.x, b.x) })
	winding := 0
	for i, c := range at {
		if winding != 0 {
			dst = append(dst, Span{at[i-1].x, c.x})
		}
		winding += c.w
	}
	return dst
}

// mergeSpans sorts in place and joins what touches.
func mergeSpans(s []Span) []Span {
	slices.SortFunc(s, func(a, b Span) int { return cmp.Compare(a.From, b.From) })
	out := s[:0]
	for _, v := range s {
		if n := len(out); n > 0 && v.From <= out[n-1].To {
			out[n-1].To = max(out[n-1].To, v.To)
			continue
		}
		out = append(out, v)
	}
	return out
}

// Rasterise marks in grid, w by h cells row by row, each cell that the polygon
// touches when it is grown by margin (shares of the picture, to all sides). It
// leaves the other cells as they are, so masks can be laid over one another.
func (p Polygon) Rasterise(grid []bool, w, h int, margin float64) {
	if len(grid) < w*h || w <= 0 || h <= 0 {
		return
	}
	var room [16]Span
	for y := range h {
		top, bottom := float64(y)/float64(h)-margin, float64(y+1)/float64(h)+margin
		for _, s := range p.Spans(top, bottom, room[:0]) {
			x0 := max(0, int(math.Floor((s.From-margin)*float64(w))))
			x1 := min(w-1, int(math.Floor((s.To+margin)*float64(w))))
			for x := x0; x <= x1; x++ {
				grid[y*w+x] = true
			}
		}
	}
}
