package opencv

import (
	"fmt"
	"math"
)

// probe is one value of the head's output for the check input.
type probe struct {
	index int
	want  float32
}

// checkTolerance is how far a value may be from another engine's. OpenCV 4.6 and
// ONNX Runtime agree to 4e-5 on pictures; a wrongly imported operator is off by
// whole units.
const checkTolerance = 2e-3

// checkInput fills the input of the numeric check: blocks of 26 x 26 pixels with
// pseudo-random values in -2..2, so that every layer sees edges and plains. The
// generator is the linear congruential one of Numerical Recipes, spelt out so
// that any other engine's script can make the same input.
func checkInput(out []float32, size int) {
	const block = 26
	side := (size + block - 1) / block
	for c := range 3 {
		for y := range size {
			for x := range size {
				seed := uint32((c*side+y/block)*side + x/block)
				seed = seed*1664525 + 1013904223
				seed = seed*1664525 + 1013904223
				out[(c*size+y)*size+x] = float32(seed>>16)/16384 - 2
			}
		}
	}
}

// checkNumbers compares the head's output for the check input with what ONNX
// Runtime computed from the same model. OpenCV's importer is silently wrong on
// some operators; boxes would still look plausible.
func checkNumbers(out []float32, want []probe) error {
	for _, p := range want {
		got := out[p.index]
		if !(math.Abs(float64(got-p.want)) <= checkTolerance) {
			return fmt.Errorf("detector: OpenCV computes %g where %g is right (value %d of the check): this OpenCV does not run the built-in model as it should; install Debian's libopencv-dnn406", got, p.want, p.index)
		}
	}
	return nil
}

// checkFinite refuses a model whose output cannot be scores and distances.
func checkFinite(out []float32) error {
	for i, v := range out {
		f := float64(v)
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return modelError("it computes %g: its weights are damaged", f)
		}
		if i%rowLength < cocoClasses && (v < -0.001 || v > 1.001) {
			return modelError("its scores are not in 0..1 but %g: export it with the sigmoid on the %d class scores", f, cocoClasses)
		}
	}
	return nil
}
