package opencv

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// OpenCV 4.6's importer trusts a model file: a tensor that is shorter than its
// shape is read past its end, a stride of 0 divides by zero, and some operators
// are imported wrongly without a word. None of that is an exception that could
// be caught, so what can be seen in the bytes is checked here first. The format
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

// onnxModel is what is needed of a model file before OpenCV may read it.
type onnxModel struct {
	opset    uint64
	constant map[string]bool // names of initializers
	inputs   []onnxInput
	nodes    []onnxNode
}

type onnxInput struct {
	name  string
	dims  []int64
	float bool
}

type onnxNode struct {
	op     string
	inputs int // named ones; an empty name is an absent optional input
}

// inspect checks a model file and returns the side of its square input in
// pixels.
func inspect(model []byte) (size int, err error) {
	if len(model) == 0 {
		return 0, modelError("the file is empty")
	}
	if slices.Equal(model[:min(2, len(model))], []byte{0x1f, 0x8b}) {
		return 0, modelError("the file is compressed: unpack it with gunzip")
	}
	m := onnxModel{constant: map[string]bool{}}
	if err := m.readModel(model); err != nil {
		return 0, modelError("not an ONNX file, or a damaged one: %w", err)
	}
	if err := m.checkOperators(); err != nil {
		return 0, modelError("%w", err)
	}
	size, err = m.inputSize()
	if err != nil {
		return 0, modelError("%w", err)
	}
	return size, nil
}

// inputSize finds the one input that is not a constant: 1 x 3 x size x size.
func (m *onnxModel) inputSize() (int, error) {
	var real []onnxInput
	for _, in := range m.inputs {
		if !m.constant[in.name] {
			real = append(real, in)
		}
	}
	if len(real) != 1 {
		return 0, fmt.Errorf("it has %d inputs and not one picture", len(real))
	}
	d := real[0].dims
	ok := len(d) == 4 && d[0] == 1 && d[1] == 3 && d[2] == d[3] && d[2] >= minInput && d[2] <= maxInput && d[2]%32 == 0
	if !ok || !real[0].float {
		return 0, fmt.Errorf("its input has the shape %v and not float32 [1 3 N N] with N a multiple of 32 in %d..%d", d, minInput, maxInput)
	}
	return int(d[2]), nil
}

// checkOperators refuses operators that OpenCV 4.6 imports wrongly or not at
// all, measured against ONNX Runtime.
func (m *onnxModel) checkOperators() error {
	if len(m.nodes) == 0 {
		return fmt.Errorf("it has no operators")
	}
	for _, n := range m.nodes {
		switch {
		case n.op == "Split" && (n.inputs > 1 || m.opset >= 13):
			return fmt.Errorf("operator Split of opset 13 comes out with wrong sizes in OpenCV 4.6: export the model with Slice")
		case n.op == "Clip" && n.inputs > 1:
			return fmt.Errorf("operator Clip with bounds as inputs is not read by OpenCV 4.6: export the model with opset 10")
		}
	}
	return nil
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
func (m *onnxModel) readModel(b []byte) error {
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
func (m *onnxModel) readOpset(b []byte) error {
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
func (m *onnxModel) readGraph(b []byte) error {
	return eachField(b, func(f field) error {
		if f.typ != protowire.BytesType {
			return nil
		}
		switch f.num {
		case 1: // node
			return m.readNode(f.bytes)
		case 5: // initializer
			name, err := checkTensor(f.bytes)
			m.constant[name] = true
			return err
		case 11: // input
			return m.readInput(f.bytes)
		case 15: // sparse_initializer
			return fmt.Errorf("sparse tensors are not supported")
		}
		return nil
	})
}

// readNode reads NodeProto.
func (m *onnxModel) readNode(b []byte) error {
	var n onnxNode
	outputs := 0
	err := eachField(b, func(f field) error {
		switch {
		case f.num == 1 && len(f.bytes) > 0: // input
			n.inputs++
		case f.num == 2: // output
			outputs++
		case f.num == 4: // op_type
			n.op = string(f.bytes)
		case f.num == 5 && f.typ == protowire.BytesType: // attribute
			return checkAttribute(f.bytes)
		}
		return nil
	})
	if err == nil && (n.op == "" || outputs == 0) {
		return fmt.Errorf("a node without operator or output")
	}
	m.nodes = append(m.nodes, n)
	return err
}

// readInput reads ValueInfoProto.
func (m *onnxModel) readInput(b []byte) error {
	var in onnxInput
	err := eachField(b, func(f field) error {
		switch {
		case f.num == 1:
			in.name = string(f.bytes)
		case f.num == 2 && f.typ == protowire.BytesType:
			return in.readType(f.bytes, 0)
		}
		return nil
	})
	m.inputs = append(m.inputs, in)
	return err
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
