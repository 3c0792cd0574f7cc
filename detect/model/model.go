// Package model holds what an object detector is apart from the engine that
// computes it: the check of an ONNX file before any C reads it (onnx.go), the
// scaling of a picture to the model's input (fill.go), the heads that turn the
// output into boxes (nanodet.go, ssd.go, yolox.go), the labels mapped to the
// compiled-in classes (labels.go), the built-in models and the numeric check of
// an engine against another one's stored output (selfcheck.go). It is pure Go and
// knows neither OpenCV nor ONNX Runtime: detect/opencv and detect/onnx are the
// engines.
package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sharpeyes/sharpeyes/detect"
)

// Output is one output of a model.
type Output struct {
	Shape []int     // without names; [1 3549 124]
	Data  []float32 // as many as the product of Shape, last dimension fastest
}

// Engine computes a model. One goroutine uses it at a time.
type Engine interface {
	// Run computes the outputs, in any order, for one picture: 3 x Size x Size
	// values, channel by channel. The outputs are the engine's memory and valid
	// until the next Run or Close. It blocks for one inference.
	Run(input []float32) ([]Output, error)
	// Close frees the engine. Closing twice is harmless.
	Close()
}

// Options say what a user's own model file is.
type Options struct {
	Data      []byte   // an ONNX file; New keeps it
	Head      string   // nanodet, ssd or yolox; default nanodet
	Labels    []string // one for each class of the output, see ParseLabels; default those of COCO (ssd: Open Images as the light model)
	InputSize int      // side of the square input in pixels; default as in the file, needed when the file leaves it free
}

// Model is a checked model file with everything around it. It does not change,
// so many engines may share it.
type Model struct {
	name   string
	data   []byte
	graph  graph
	size   int
	head   head
	probes []probe
}

// head is the part of a model's family: what its input looks like and how its
// output is read.
type head interface {
	look() appearance
	fits(size int) bool
	// order checks the shapes of the outputs and returns them in the head's order.
	order(outs []Output, size int) ([]Output, error)
	// sane says what of the ordered outputs cannot come from this head.
	sane(outs []Output) error
	// decode reads the ordered outputs for one picture, before suppression.
	decode(outs []Output, p placement, minScore float64) []detect.Detection
}

// New checks a model file and returns the model. No engine has seen it yet: the
// file may still ask for what an engine cannot do. Errors say what to do.
func New(opt Options) (*Model, error) {
	h, err := newHead(opt.Head, opt.Labels)
	if err != nil {
		return nil, err
	}
	g, err := inspect(opt.Data)
	if err != nil {
		return nil, err
	}
	size, err := g.inputSize(opt.InputSize)
	if err == nil && !h.fits(size) {
		err = fmt.Errorf("its input is %d pixels wide, which the head does not have", size)
	}
	if err != nil {
		return nil, Error("%w", err)
	}
	return &Model{data: opt.Data, graph: g, size: size, head: h}, nil
}

func newHead(name string, names []string) (head, error) {
	classes := cocoLabels()
	if name == "ssd" {
		classes = openImagesLabels()
	}
	if len(names) > 0 {
		var err error
		if classes, err = ParseLabels(names); err != nil {
			return nil, err
		}
	}
	switch name {
	case "", "nanodet":
		return nanodet{classes}, nil
	case "ssd":
		return newSSD(classes), nil
	case "yolox":
		return yolox{classes}, nil
	}
	return nil, fmt.Errorf("detector.head: %q is not known; write nanodet, ssd or yolox", name)
}

// Name returns "builtin" or "light" for a built-in model and "" for another.
func (m *Model) Name() string { return m.name }

// Data returns the ONNX file, which the caller must not change.
func (m *Model) Data() []byte { return m.data }

// Size returns the side of the square input in pixels.
func (m *Model) Size() int { return m.size }

// InputName returns the name of the input.
func (m *Model) InputName() string { return m.graph.pictures()[0].name }

// OutputNames returns the names of the outputs in the order of the file.
func (m *Model) OutputNames() []string { return slices.Clone(m.graph.outputs) }

// Opset returns the version of the ONNX operators that the file uses.
func (m *Model) Opset() uint64 { return m.graph.opset }

// Operators returns the operators of the file in order.
func (m *Model) Operators() []Operator { return slices.Clone(m.graph.nodes) }

// HasTensor says whether a weight has this data type (TensorProto.DataType).
func (m *Model) HasTensor(dataType uint64) bool { return m.graph.types[dataType] }

// CheckShapes says whether outputs of these shapes can be the head's, before
// anything is computed in this process.
func (m *Model) CheckShapes(shapes [][]int) error {
	outs := make([]Output, len(shapes))
	for i, s := range shapes {
		outs[i].Shape = s
	}
	_, err := m.head.order(outs, m.size)
	return err
}

// outputs checks what an engine computed and orders it.
func (m *Model) outputs(outs []Output) ([]Output, error) {
	ordered, err := m.head.order(outs, m.size)
	if err != nil {
		return nil, err
	}
	for _, o := range ordered {
		n := 1
		for _, d := range o.Shape {
			n *= d
		}
		if n != len(o.Data) {
			return nil, Error("it computes %d values for the shape %v", len(o.Data), o.Shape)
		}
	}
	return ordered, nil
}

// Error returns an error about a model, with what the operator can do.
func Error(format string, args ...any) error {
	return fmt.Errorf("detector model: %w; leave detector.model empty for the built-in model, or give an ONNX file with the head of NanoDet, SSD or YOLOX and name it in detector.head", fmt.Errorf(format, args...))
}

// shapeError says which outputs a head wants.
func shapeError(outs []Output, want string) error {
	var got []string
	for _, o := range outs {
		got = append(got, fmt.Sprint(o.Shape))
	}
	return Error("its output has the shape %s and not %s", strings.Join(got, " and "), want)
}
