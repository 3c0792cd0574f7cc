package model

import (
	"fmt"
	"strings"

	"github.com/sharpeyes/sharpeyes/detect"
)

// labels maps the index of a model's class to a compiled-in class, "" for all
// others: what is not in the list is dropped where the output is read.
type labels []detect.Class

// ParseLabels maps the names of a model's classes, in the order of its output,
// to the compiled-in classes: "car", "Motorbike", "cattle"; or "van=truck" for a
// name that is not known. A name that is not known and maps to nothing stands for
// a class that is dropped. It is an error when nothing is left, and when a name is
// mapped to what is no class.
func ParseLabels(names []string) ([]detect.Class, error) {
	out := make(labels, len(names))
	left := false
	for i, name := range names {
		from, to, mapped := strings.Cut(name, "=")
		if !mapped {
			to = from
		}
		class := classOf(to)
		if mapped && class == "" && strings.TrimSpace(to) != "" {
			return nil, fmt.Errorf("detector.labels: %q is mapped to %q, which is no class; write one of %v", strings.TrimSpace(from), strings.TrimSpace(to), detect.Classes())
		}
		out[i] = class
		left = left || class != ""
	}
	if !left {
		return nil, fmt.Errorf("detector.labels: none of the %d labels is a class of this program; write NAME=CLASS with one of %v", len(names), detect.Classes())
	}
	return out, nil
}

// classOf returns the class of a label, "" for one that is not known. The other
// names are those of COCO's, VOC's and Open Images' lists. A vehicle of no stated
// kind counts as a car: rules ask for the group.
func classOf(name string) detect.Class {
	name = strings.ToLower(strings.NewReplacer(" ", "", "_", "", "-", "").Replace(strings.TrimSpace(name)))
	for _, c := range detect.Classes() {
		if name == string(c) {
			return c
		}
	}
	switch name {
	case "pedestrian", "people":
		return detect.Person
	case "bike":
		return detect.Bicycle
	case "vehicle":
		return detect.Car
	case "motorbike":
		return detect.Motorcycle
	case "cattle":
		return detect.Cow
	}
	return ""
}

// cocoLabels are COCO's 80 classes as far as they are compiled in.
func cocoLabels() labels {
	l := make(labels, 80)
	for index, class := range map[int]detect.Class{
		0: detect.Person, 1: detect.Bicycle, 2: detect.Car, 3: detect.Motorcycle, 5: detect.Bus, 6: detect.Train, 7: detect.Truck,
		8: detect.Boat, 15: detect.Cat, 16: detect.Dog, 17: detect.Horse, 18: detect.Sheep, 19: detect.Cow,
	} {
		l[index] = class
	}
	return l
}

// openImagesLabels are the 24 classes of the light model (background first) as
// far as they are compiled in.
func openImagesLabels() labels {
	l := make(labels, 24)
	for index, class := range map[int]detect.Class{
		1: detect.Bicycle, 4: detect.Person, 6: detect.Cow, 8: detect.Cat, 18: detect.Car, 20: detect.Dog, 23: detect.Car,
	} {
		l[index] = class
	}
	return l
}

// best returns the class with the highest score, or "" when that is not a
// compiled-in one. A weaker allowed class never takes the place of a stronger
// foreign one: what looks most like a kite is not half a person.
func (l labels) best(scores []float32) (detect.Class, float64) {
	best := 0
	for i, s := range scores {
		if s > scores[best] {
			best = i
		}
	}
	return l[best], min(float64(scores[best]), 1)
}
