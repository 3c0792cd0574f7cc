package model

import (
	"cmp"
	"slices"

	"github.com/sharpeyes/sharpeyes/detect"
)

const (
	nmsIoU      = 0.6 // overlap above which the weaker of two boxes of one group goes
	lowestScore = 0.05
	maxBoxes    = 300 // strongest boxes that enter suppression, which is quadratic
)

// Suppress keeps the strongest of the boxes that overlap within a group (small
// models call one vehicle car and truck at once) and returns them strongest
// first. It takes found over.
func Suppress(found []detect.Detection) []detect.Detection {
	slices.SortStableFunc(found, func(a, b detect.Detection) int { return cmp.Compare(b.Score, a.Score) })
	found = found[:min(len(found), maxBoxes)]
	kept := found[:0:0]
	for _, f := range found {
		covered := slices.ContainsFunc(kept, func(k detect.Detection) bool {
			return k.Class.Group() == f.Class.Group() && k.Box.IoU(f.Box) > nmsIoU
		})
		if !covered {
			kept = append(kept, f)
		}
	}
	return kept
}
