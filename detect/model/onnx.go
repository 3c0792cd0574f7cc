package model

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// OpenCV 4.6's importer trusts a model file: a tensor that is shorter than its
// shape is read past its end, a stride of 0 divides by zero. None of that is an
// exception that could be caught, so what can be seen in the bytes is checked here
// first, whichever engine is to read them. The format
// is protobuf (onnx.proto of ONNX 1.12); fields are named in the comments.

const (
	maxTensor = 64 << 20 // values of one tensor
	maxKernel = 64       // kernel sizes, strides, dilations, pads
	maxGroups = 1 << 16
	maxRank   = 8
	maxDepth  = 4 // attribute tensors and types lie at most this deep
	minInput  = 64
	maxInput  = 1280
)

// graph is what is needed of a model file before an engine may read it.
type graph struct {
	opset    uint64
	constant map[string]bool // names of initializers
	types    map[uint64]bool // data types of initializers and attributes
	inputs   []onnxInput
	outputs  []string
	nodes    []Operator
}

type onnxInput struct {
	name  string
	dims  []int64
	float bool
}

// Operator is one node of a model's graph.
type Operator struct {
	Name   string // op_type
	Inputs int    // named ones; an empty name is an absent optional input
}

// inspect checks a model file and returns its graph.
func inspect(model []byte) (graph, error) {
	m := graph{constant: map[string]bool{}, types: map[uint64]bool{}}
	if len(model) == 0 {
		return m, Error("the file is empty")
	}
	if slices.Equal(model[:min(2, len(model))], []byte{0x1f, 0x8b}) {
		return m, Error("the file is compressed: unpack it with gunzip")
	}
	if err := m.readModel(model); err != nil {
		return m, Error("not an ONNX file, or a damaged one: %w", err)
	}
	if len(m.nodes) == 0 {
		return m, Error("it has no operators")
	}
	return m, nil
}

// pictures returns the inputs that are not constants.
func (m *graph) pictures() []onnxInput {
	var real []onnxInput
	for _, in := range m.inputs {
		if !m.constant[in.name] {
			real = append(real, in)
		}
	}
	return real
}

// inputSize finds the one input that is not a constant, 1 x 3 x size x size, and
// returns its size: the file's, or want where the file leaves it free.
func (m *graph) inputSize(want int) (int, error) {
	real := m.pictures()
	if len(real) != 1 {
		return 0, fmt.Errorf("it has %d inputs and not one picture", len(real))
	}
	d := slices.Clone(real[0].dims)
	if len(d) == 4 && want > 0 {
		for _, at := range []int{2, 3} {
			if d[at] == 0 {
				d[at] = int64(want)
			}
		}
	}
	ok := len(d) == 4 && d[0] <= 1 && d[1] == 3 && d[2] == d[3] && d[2] >= minInput && d[2] <= maxInput
	if !ok || !real[0].float {
		return 0, fmt.Errorf("its input has the shape %v and not float32 [1 3 N N] with N in %d..%d; a free size (0) needs detector.input_size", d, minInput, maxInput)
	}
	if want > 0 && d[2] != int64(want) {
		return 0, fmt.Errorf("its input is %d pixels wide and detector.input_size is %d: leave that out", d[2], want)
	}
	return int(d[2]), nil
}

// field is one protobuf field: bytes of a length-delimited one, else its value.
type field struct {
	num   protowire.Number
	typ   protowire.Type
	bytes []byte
	value uint64
}

// eachField calls f for every field of a message.
func eachField(b []byte, f func(field) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		x := field{num: num, typ: typ}
		switch typ {
		case protowire.VarintType:
			x.value, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			x.bytes, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := f(x); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// readModel reads ModelProto.
func (m *graph) readModel(b []byte) error {
	graphs := 0
	err := eachField(b, func(f field) error {
		switch {
		case f.num == 7 && f.typ == protowire.BytesType: // graph
			graphs++
			return m.readGraph(f.bytes)
		case f.num == 8 && f.typ == protowire.BytesType: // opset_import
			return m.readOpset(f.bytes)
		}
		return nil
	})
	if err == nil && graphs != 1 {
		return fmt.Errorf("%d graphs", graphs)
	}
	return err
}

// readOpset reads OperatorSetIdProto of the default domain.
func (m *graph) readOpset(b []byte) error {
	domain, version := "", uint64(0)
	err := eachField(b, func(f field) error {
		switch f.num {
		case 1:
			domain = string(f.bytes)
		case 2:
			version = f.value
		}
		return nil
	})
	if domain == "" || domain == "ai.onnx" {
		m.opset = max(m.opset, version)
	}
	return err
}

// readGraph reads GraphProto.
func (m *graph) readGraph(b []byte) error {
	return eachField(b, func(f field) error {
		if f.typ != protowire.BytesType {
			return nil
		}
		switch f.num {
		case 1: // node
			return m.readNode(f.bytes)
		case 5: // initializer
			t, err := checkTensor(f.bytes)
			m.constant[t.name], m.types[t.typ] = true, true
			return err
		case 11: // input
			return m.readInput(f.bytes)
		case 12: // output
			var out onnxInput
			err := out.read(f.bytes)
			m.outputs = append(m.outputs, out.name)
			return err
		case 15: // sparse_initializer
			return fmt.Errorf("sparse tensors are not supported")
		}
		return nil
	})
}

// readNode reads NodeProto.
func (m *graph) readNode(b []byte) error {
	var n Operator
	outputs := 0
	err := eachField(b, func(f field) error {
		switch {
		case f.num == 1 && len(f.bytes) > 0: // input
			n.Inputs++
		case f.num == 2: // output
			outputs++
		case f.num == 4: // op_type
			n.Name = string(f.bytes)
		case f.num == 5 && f.typ == protowire.BytesType: // attribute
			return m.checkAttribute(f.bytes)
		}
		return nil
	})
	if err == nil && (n.Name == "" || outputs == 0) {
		return fmt.Errorf("a node without operator or output")
	}
	m.nodes = append(m.nodes, n)
	return err
}

func (m *graph) readInput(b []byte) error {
	var in onnxInput
	err := in.read(b)
	m.inputs = append(m.inputs, in)
	return err
}

// read reads ValueInfoProto.
func (in *onnxInput) read(b []byte) error {
	return eachField(b, func(f field) error {
		switch {
		case f.num == 1:
			in.name = string(f.bytes)
		case f.num == 2 && f.typ == protowire.BytesType:
			return in.readType(f.bytes, 0)
		}
		return nil
	})
}

// readType walks TypeProto.tensor_type(1) → shape(2) → dim(1) → dim_value(1);
// depth says at which of them b is.
func (in *onnxInput) readType(b []byte, depth int) error {
	if depth >= maxDepth {
		return nil
	}
	if depth == 3 {
		in.dims = append(in.dims, 0) // a dimension without value is a free one
	}
	return eachField(b, func(f field) error {
		switch {
		case depth == 1 && f.num == 1 && f.typ == protowire.VarintType: // elem_type
			in.float = f.value == 1
		case depth == 3 && f.num == 1 && f.typ == protowire.VarintType: // dim_value
			in.dims[len(in.dims)-1] = int64(f.value)
		case f.typ != protowire.BytesType:
		case depth == 0 && f.num == 1, depth == 1 && f.num == 2, depth == 2 && f.num == 1:
			return in.readType(f.bytes, depth+1)
		}
		return nil
	})
}
