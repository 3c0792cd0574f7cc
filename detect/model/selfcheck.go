package model

import (
	"fmt"
	"math"
)

// probe is one value of the head's ordered outputs for the check input.
type probe struct {
	output, index int
	want          float32
}

// checkTolerance is how far a value may be from another engine's. OpenCV 4.6 and
// ONNX Runtime agree to 4e-5 on pictures; a wrongly imported operator is off by
// whole units.
const checkTolerance = 2e-3

// checkInput fills the input of the numeric check: blocks of 26 x 26 pixels with
// pseudo-random values in low..high, so that every layer sees edges and plains.
// The generator is the linear congruential one of Numerical Recipes, spelt out so
// that any other engine's script can make the same input.
func checkInput(out []float32, size int, low, high float32) {
	const block = 26
	side := (size + block - 1) / block
	for c := range 3 {
		for y := range size {
			for x := range size {
				seed := uint32((c*side+y/block)*side + x/block)
				seed = seed*1664525 + 1013904223
				seed = seed*1664525 + 1013904223
				out[(c*size+y)*size+x] = low + float32(seed>>16)/65536*(high-low)
			}
		}
	}
}

// selfCheck lets an engine compute the check input and looks at the values.
func (m *Model) selfCheck(w *worker) error {
	look := m.head.look()
	checkInput(w.input, m.size, look.checkLow, look.checkHigh)
	outs, err := w.engine.Run(w.input)
	if err != nil {
		return fmt.Errorf("detector: numeric check: %w", err)
	}
	if outs, err = m.outputs(outs); err != nil {
		return err
	}
	if err := checkFinite(outs); err != nil {
		return err
	}
	if err := m.head.sane(outs); err != nil {
		return err
	}
	return checkNumbers(outs, m.probes)
}

// checkNumbers compares outputs for the check input with what ONNX Runtime
// computed from the same model. OpenCV's importer is silently wrong on some
// operators; boxes would still look plausible.
func checkNumbers(outs []Output, want []probe) error {
	for _, p := range want {
		got := outs[p.output].Data[p.index]
		if !(math.Abs(float64(got-p.want)) <= checkTolerance) {
			return fmt.Errorf("detector: %g was computed where %g is right (value %d of the numeric check): this runtime does not run the built-in model as it should; install Debian's libopencv-dnn406, or name the other one in detector.runtime", got, p.want, p.index)
		}
	}
	return nil
}

// checkFinite refuses outputs that are no numbers.
func checkFinite(outs []Output) error {
	for _, o := range outs {
		for _, v := range o.Data {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				return Error("it computes %g: its weights are damaged", f)
			}
		}
	}
	return nil
}
