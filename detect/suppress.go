package detect

import (
	"cmp"
	"slices"
)

// maxSuppressed is how many boxes enter suppression, which is quadratic.
const maxSuppressed = 300

// Suppress keeps the strongest of the boxes that overlap by more than iou (over
// union, 0..1) within a group, since small models call one vehicle car and truck
// at once, and returns them strongest first, at most 300. It takes found over.
func Suppress(found []Detection, iou float64) []Detection {
	slices.SortStableFunc(found, func(a, b Detection) int { return cmp.Compare(b.Score, a.Score) })
	found = found[:min(len(found), maxSuppressed)]
	kept := found[:0:0]
	for _, f := range found {
		covered := slices.ContainsFunc(kept, func(k Detection) bool {
			return k.Class.Group() == f.Class.Group() && k.Box.IoU(f.Box) > iou
		})
		if !covered {
			kept = append(kept, f)
		}
	}
	return kept
}
