package model

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/detect"
)

// What the promise of the project rests on: no class but the compiled-in ones
// leaves a head.
func TestCocoLabels(t *testing.T) {
	coco := map[int]detect.Class{
		0: "person", 1: "bicycle", 2: "car", 3: "motorcycle", 5: "bus", 6: "train", 7: "truck", 8: "boat",
		15: "cat", 16: "dog", 17: "horse", 18: "sheep", 19: "cow",
	}
	var got []detect.Class
	require.Len(t, cocoLabels(), 80)
	for i, c := range cocoLabels() {
		require.Equal(t, coco[i], c, "COCO index %d", i)
		if c != "" {
			got = append(got, c)
		}
	}
	require.ElementsMatch(t, detect.Classes(), got)
}

// The light model's list is the label map that came with it.
func TestOpenImagesLabels(t *testing.T) {
	names := []string{"???", "Bicycle", "Boot", "Laptop", "Person", "Chair", "Cattle", "Desk", "Cat", "Computer mouse", "Computer monitor", "Box",
		"Mug", "Coffee cup", "Stationary bicycle", "Table", "Bottle", "High heels", "Vehicle", "Footwear", "Dog", "Book", "Camera", "Car"}
	parsed, err := ParseLabels(names)
	require.NoError(t, err)
	require.Equal(t, []detect.Class(openImagesLabels()), parsed)
}

func TestParseLabels(t *testing.T) {
	for _, c := range []struct {
		name  string
		in    []string
		want  []detect.Class
		wrong string
	}{
		{"names", []string{"Person", " car ", "MOTOR-BIKE", "pedestrian"}, []detect.Class{"person", "car", "motorcycle", "person"}, ""},
		{"mapped", []string{"van=truck", "tractor = Truck", "face", "car="}, []detect.Class{"truck", "truck", "", ""}, ""},
		{"mapped to no class", []string{"person", "face=identity"}, nil, `"identity", which is no class`},
		{"nothing left", []string{"face", "plate", ""}, nil, "none of the 3 labels"},
		{"none", []string{}, nil, "none of the 0 labels"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseLabels(c.in)
			if c.wrong != "" {
				require.ErrorContains(t, err, c.wrong)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}
