package detect

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
)

var (
	square = Polygon{{0.2, 0.2}, {0.6, 0.2}, {0.6, 0.6}, {0.2, 0.6}}
	// A C that is open to the right.
	hook = Polygon{{0.1, 0.1}, {0.9, 0.1}, {0.9, 0.3}, {0.3, 0.3}, {0.3, 0.7}, {0.9, 0.7}, {0.9, 0.9}, {0.1, 0.9}}
)

// star returns a five-pointed star drawn in one stroke.
func star() Polygon {
	var p Polygon
	for i := range 5 {
		a := float64(i)*4*math.Pi/5 - math.Pi/2
		p = append(p, Point{0.5 + 0.4*math.Cos(a), 0.5 + 0.4*math.Sin(a)})
	}
	return p
}

func TestPolygonContains(t *testing.T) {
	bottom := NewPolygon([]configs.Point{{0, 0.5}, {1, 0.5}, {1, 1}, {0, 1}})
	for _, c := range []struct {
		name string
		p    Polygon
		at   Point
		want bool
	}{
		{"inside", square, Point{0.4, 0.4}, true},
		{"left of it", square, Point{0.1, 0.4}, false},
		{"level with an edge but beside", square, Point{0.1, 0.2}, false},
		{"on an edge", square, Point{0.2, 0.4}, true},
		{"on a corner", square, Point{0.6, 0.6}, true},
		{"feet cut off by the picture's edge", bottom, Point{0.5, 1}, true},
		{"arm of a hook", hook, Point{0.8, 0.2}, true},
		{"mouth of a hook", hook, Point{0.8, 0.5}, false},
		{"middle of a star drawn in one stroke", star(), Point{0.5, 0.5}, true},
		{"between a star's points", star(), Point{0.5, 0.95}, false},
		{"two corners", Polygon{{0, 0}, {1, 1}}, Point{0.5, 0.5}, false},
		{"nothing", nil, Point{0, 0}, false},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, c.p.Contains(c.at)) })
	}
}

func TestPolygonOverlaps(t *testing.T) {
	for _, c := range []struct {
		name string
		p    Polygon
		b    Box
		want bool
	}{
		{"box around it", square, Box{0, 0, 1, 1}, true},
		{"box inside", square, Box{0.3, 0.3, 0.1, 0.1}, true},
		{"no corner in either, a cross", square, Box{0, 0.3, 1, 0.1}, true},
		{"beside", square, Box{0.7, 0.2, 0.1, 0.4}, false},
		{"in a hook's mouth", hook, Box{0.4, 0.4, 0.3, 0.2}, false},
		{"from a hook's mouth into its back", hook, Box{0.2, 0.4, 0.3, 0.2}, true},
		{"empty box", square, Box{0.3, 0.3, 0, 0}, false},
		{"no polygon", Polygon{{0, 0}, {1, 1}}, Box{0, 0, 1, 1}, false},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, c.p.Overlaps(c.b)) })
	}
}

func TestRasteriseMarksEachCellThatIsTouched(t *testing.T) {
	grid := make([]bool, 100)
	square.Rasterise(grid, 10, 10, -1e-9) // not the cells that it only touches
	for i, got := range grid {
		x, y := i%10, i/10
		require.Equal(t, x >= 2 && x < 6 && y >= 2 && y < 6, got, "cell %d,%d", x, y)
	}
	square.Rasterise(grid, 10, 10, 0.05)
	for i, got := range grid {
		x, y := i%10, i/10
		require.Equal(t, x >= 1 && x <= 6 && y >= 1 && y <= 6, got, "cell %d,%d with a margin", x, y)
	}
	require.NotPanics(t, func() { square.Rasterise(nil, 10, 10, 0); square.Rasterise(grid, 0, 0, 0) })
}

// A mask must cover whatever lies in it, whatever its shape.
func TestRasteriseLeavesNothingOfThePolygonOut(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const w, h = 37, 23
	for range 200 {
		p := make(Polygon, 3+r.IntN(7))
		for i := range p {
			p[i] = Point{1.2*r.Float64() - 0.1, 1.2*r.Float64() - 0.1}
		}
		grid := make([]bool, w*h)
		p.Rasterise(grid, w, h, 0)
		for range 300 {
			at := Point{r.Float64(), r.Float64()}
			if p.Contains(at) {
				require.True(t, grid[int(at.Y*h)*w+int(at.X*w)], "%v of %v", at, p)
			}
		}
	}
}
