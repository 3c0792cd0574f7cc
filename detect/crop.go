package detect

import (
	"image"
	"math"
	"slices"
)

// How a picture is cut into parts for a closer look.
const (
	cropSide   = 416  // pixels; a smaller part would only be enlarged for the model
	cropMargin = 0.5  // of a region's size, added on each of its sides: what moves is part of an object
	cropGain   = 0.6  // a part that is larger than this share of the picture's longer side shows little more
	cropEdge   = 0.01 // of a part: a box nearer to a cut edge than this is an object cut in two
	cropIoU    = 0.45 // boxes of two looks at one object agree less than those of one look
)

// crops returns at most n square parts of a picture of the given size that
// contain the regions, in their order; regions that one part can show are together
// in it. It returns fewer where a part would show hardly more than the whole
// picture. Parts are looked at one after the other: a batch of them takes a CPU as
// long, and other cameras would wait for all of it.
func crops(size image.Point, regions []Box, n int) []image.Rectangle {
	var out []image.Rectangle
	for i, r := range regions {
		if len(out) >= n {
			break
		}
		if region := margined(size, r); slices.ContainsFunc(out, func(o image.Rectangle) bool { return region.In(o) }) {
			continue
		}
		if part, ok := cropAround(size, together(size, r, regions[i+1:])); ok {
			out = append(out, part)
		}
	}
	return out
}

// together is the region with those of the others that a part shows as well
// without being larger than the model's picture, or than the region alone wants.
func together(size image.Point, r Box, others []Box) Box {
	most := max(cropSide, wanted(size, r))
	for _, o := range others {
		if both := r.Union(o); wanted(size, both) <= most {
			r = both
		}
	}
	return r
}

// margined is the region with its margin, in pixels of the picture.
func margined(size image.Point, r Box) image.Rectangle {
	w, h := float64(size.X), float64(size.Y)
	r = r.Pad(cropMargin*r.W, cropMargin*r.H)
	return image.Rect(int(r.X*w), int(r.Y*h), int((r.X+r.W)*w), int((r.Y+r.H)*h)).Intersect(image.Rectangle{Max: size})
}

// wanted is the side of the part for a region, in pixels.
func wanted(size image.Point, r Box) float64 {
	return max(r.W*float64(size.X), r.H*float64(size.Y)) * (1 + 2*cropMargin)
}

// cropAround returns the square around a region, moved into the picture, with
// even corners because chroma has half the resolution.
func cropAround(size image.Point, r Box) (image.Rectangle, bool) {
	want := wanted(size, r)
	if !(want <= cropGain*float64(max(size.X, size.Y))) { // also NaN
		return image.Rectangle{}, false
	}
	side := max(int(math.Ceil(want)), cropSide)
	if float64(side) > cropGain*float64(max(size.X, size.Y)) {
		return image.Rectangle{}, false
	}
	dx, dy := min(side, size.X), min(side, size.Y)
	x := min(max(int((r.X+r.W/2)*float64(size.X))-dx/2, 0), size.X-dx) &^ 1
	y := min(max(int((r.Y+r.H/2)*float64(size.Y))-dy/2, 0), size.Y-dy) &^ 1
	return image.Rect(x, y, x+dx, y+dy), true
}

// uncrop brings what was found in a part back to the picture. Boxes that touch an
// edge of the part which is not the picture's are dropped: the object goes on
// beyond it, and the whole picture was looked at too.
func uncrop(found []Detection, part image.Rectangle, size image.Point) []Detection {
	kept := found[:0]
	for _, d := range found {
		b := d.Box
		cut := b.X < cropEdge && part.Min.X > 0 || b.Y < cropEdge && part.Min.Y > 0 ||
			b.X+b.W > 1-cropEdge && part.Max.X < size.X || b.Y+b.H > 1-cropEdge && part.Max.Y < size.Y
		if cut {
			continue
		}
		sx, sy := float64(part.Dx())/float64(size.X), float64(part.Dy())/float64(size.Y)
		d.Box = Box{
			X: float64(part.Min.X)/float64(size.X) + b.X*sx, Y: float64(part.Min.Y)/float64(size.Y) + b.Y*sy,
			W: b.W * sx, H: b.H * sy,
		}
		kept = append(kept, d)
	}
	return kept
}

// closer looks at parts of the picture around the regions, as many as are
// configured and as the budget has left at this moment, and joins what is found to
// what the whole picture showed. The caller has the turn.
func (s *Shared) closer(p sample, found []Detection) ([]Detection, error) {
	if s.crops == 0 || len(p.regions) == 0 {
		return found, nil
	}
	size := p.picture.Rect.Size()
	looked := false
	for _, part := range crops(size, p.regions, s.crops) {
		if s.waiting() || !s.budget.Allow() {
			break // nobody gets no turn because another looks twice
		}
		more, err := s.once(p.picture.SubImage(part.Add(p.picture.Rect.Min)).(*image.YCbCr), p.minScore)
		if err != nil {
			return nil, err
		}
		s.cropped.Inc()
		looked = true
		found = append(found, uncrop(more, part, size)...)
	}
	if !looked {
		return found, nil
	}
	return Suppress(found, cropIoU), nil
}

// waiting says whether a camera waits for its turn.
func (s *Shared) waiting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.line) > 0
}

// regions are where a closer look may be worth it: where tracks are and where
// something moved lately, the newest first.
func (a *Analyser) regions() []Box {
	var out []Box
	for _, t := range a.tracks {
		out = append(out, t.Box)
	}
	for i := len(a.moved) - 1; i >= 0; i-- {
		out = append(out, a.moved[i].box)
	}
	return out
}
