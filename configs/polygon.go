package configs

import "fmt"

// leastArea is the smallest share of the picture that a polygon may cover: about
// 2 x 2 pixels of a 640x360 picture. Below, it is a line or a slip of the hand.
const leastArea = 1e-5

// checkPolygon says why points, each within the picture, enclose nothing that
// can be stood in, or returns "".
func checkPolygon(points []Point) string {
	n := len(points)
	if n < 3 {
		return fmt.Sprintf("has %d points and needs at least 3", n)
	}
	if points[0] == points[n-1] {
		return "repeats its first point at the end; the last point joins the first by itself"
	}
	seen := make(map[Point]int, n)
	for i, p := range points {
		if j, ok := seen[p]; ok {
			return fmt.Sprintf("has the same point at places %d and %d", j+1, i+1)
		}
		seen[p] = i
	}
	if a := area(points); a < leastArea && a > -leastArea {
		return "encloses no area"
	}
	for i := range n {
		for j := i + 1; j < n; j++ {
			a, b, c, d := points[i], points[(i+1)%n], points[j], points[(j+1)%n]
			if j == i+1 || i == 0 && j == n-1 { // neighbours share a corner
				continue
			}
			if cross(a, b, c, d) {
				return fmt.Sprintf("crosses itself: side %d meets side %d", i+1, j+1)
			}
		}
	}
	return ""
}

// area is the signed area (shoelace formula).
func area(points []Point) float64 {
	sum := 0.0
	for i, p := range points {
		q := points[(i+1)%len(points)]
		sum += p[0]*q[1] - q[0]*p[1]
	}
	return sum / 2
}

// cross reports whether the segments ab and cd have a point in common.
func cross(a, b, c, d Point) bool {
	d1, d2 := side(a, b, c), side(a, b, d)
	d3, d4 := side(c, d, a), side(c, d, b)
	if d1*d2 < 0 && d3*d4 < 0 {
		return true
	}
	return d1 == 0 && between(a, b, c) || d2 == 0 && between(a, b, d) ||
		d3 == 0 && between(c, d, a) || d4 == 0 && between(c, d, b)
}

// side tells on which side of ab the point p lies; 0 is on its line.
func side(a, b, p Point) float64 {
	return (b[0]-a[0])*(p[1]-a[1]) - (b[1]-a[1])*(p[0]-a[0])
}

// between reports whether p, on the line of ab, lies between a and b.
func between(a, b, p Point) bool {
	return min(a[0], b[0]) <= p[0] && p[0] <= max(a[0], b[0]) &&
		min(a[1], b[1]) <= p[1] && p[1] <= max(a[1], b[1])
}
