package detect

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSuppress(t *testing.T) {
	box := Box{X: 0.1, Y: 0.1, W: 0.2, H: 0.2}
	near := Box{X: 0.11, Y: 0.1, W: 0.2, H: 0.2}
	beside := Box{X: 0.2, Y: 0.1, W: 0.2, H: 0.2}
	for _, c := range []struct {
		name string
		in   []Detection
		want []int
	}{
		{"none", nil, nil},
		{"one vehicle named twice", []Detection{{Class: Car, Score: 0.5, Box: box}, {Class: Truck, Score: 0.6, Box: near}}, []int{1}},
		{"a rider and the bicycle", []Detection{{Class: Bicycle, Score: 0.5, Box: box}, {Class: Person, Score: 0.6, Box: near}}, []int{1, 0}},
		{"two people side by side", []Detection{{Class: Person, Score: 0.5, Box: box}, {Class: Person, Score: 0.6, Box: beside}}, []int{1, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var want []Detection
			for _, i := range c.want {
				want = append(want, c.in[i])
			}
			require.Equal(t, want, Suppress(slices.Clone(c.in), 0.6))
		})
	}
}
