package model

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Data types of TensorProto.
const (
	onnxFloat32 = 1
	onnxInt32   = 6
	onnxInt64   = 7
	onnxFloat16 = 10
	onnxDouble  = 11
)

// widthOf returns the bytes of one value in raw_data, 0 for a type that no
// detector needs, such as text.
func widthOf(dataType uint64) int {
	switch dataType {
	case 2, 3, 9: // uint8, int8, bool
		return 1
	case 4, 5, onnxFloat16: // uint16, int16
		return 2
	case onnxFloat32, onnxInt32:
		return 4
	case onnxInt64, onnxDouble:
		return 8
	}
	return 0
}

// tensor is what TensorProto says of its own size.
type tensor struct {
	name   string
	dims   []int64
	typ    uint64
	raw    int                      // bytes of raw_data, -1 without
	listed map[protowire.Number]int // values in each typed list, by field
}

// checkTensor reads TensorProto and checks that it holds as many values as its
// shape says.
func checkTensor(b []byte) (*tensor, error) {
	t := &tensor{raw: -1, listed: map[protowire.Number]int{}}
	if err := eachField(b, t.read); err != nil {
		return t, err
	}
	return t, t.check()
}

func (t *tensor) read(f field) error {
	switch f.num {
	case 1: // dims, packed or not
		return eachInt(f, func(v int64) { t.dims = append(t.dims, v) })
	case 2: // data_type
		t.typ = f.value
	case 4: // float_data, packed or one fixed32 each
		t.listed[4] += max(len(f.bytes)/4, 1)
	case 5, 7: // int32_data, for all short types; int64_data
		return eachInt(f, func(int64) { t.listed[f.num]++ })
	case 10: // double_data
		t.listed[10] += max(len(f.bytes)/8, 1)
	case 8: // name
		t.name = string(f.bytes)
	case 9: // raw_data
		t.raw = len(f.bytes)
	case 13, 14: // external_data, data_location: a model may not make us open files
		return fmt.Errorf("tensor %q lies in another file", t.name)
	}
	return nil
}

func (t *tensor) check() error {
	width := widthOf(t.typ)
	if width == 0 {
		return fmt.Errorf("tensor %q has data type %d", t.name, t.typ)
	}
	if len(t.dims) > maxRank {
		return fmt.Errorf("tensor %q has %d dimensions", t.name, len(t.dims))
	}
	want := int64(1)
	for _, d := range t.dims {
		if d < 0 || d > maxTensor {
			return fmt.Errorf("tensor %q has the shape %v", t.name, t.dims)
		}
		if want *= d; want > maxTensor {
			return fmt.Errorf("tensor %q has the shape %v", t.name, t.dims)
		}
	}
	list := protowire.Number(5)
	switch t.typ {
	case onnxFloat32:
		list = 4
	case onnxInt64:
		list = 7
	case onnxDouble:
		list = 10
	}
	have := t.listed[list]
	if t.raw >= 0 {
		have = t.raw / width
	}
	if int64(have) != want || (t.raw >= 0 && t.raw%width != 0) {
		return fmt.Errorf("tensor %q holds %d values and its shape %v says %d", t.name, have, t.dims, want)
	}
	return nil
}

// checkAttribute reads AttributeProto and checks the numbers that size loops and
// divisions.
func (m *graph) checkAttribute(b []byte) error {
	var name string
	var ints []int64
	err := eachField(b, func(f field) error {
		switch f.num {
		case 1: // name
			name = string(f.bytes)
		case 2, 7: // f, floats
		case 3, 8: // i, ints
			return eachInt(f, func(v int64) { ints = append(ints, v) })
		case 5, 10: // t, tensors
			t, err := checkTensor(f.bytes)
			m.types[t.typ] = true
			return err
		case 6, 11: // g, graphs: If, Loop, Scan
			return fmt.Errorf("operators with graphs inside are not supported")
		}
		return nil
	})
	if err != nil {
		return err
	}
	low, high := attributeBounds(name)
	for _, v := range ints {
		if v < low || v > high {
			return fmt.Errorf("attribute %q is %d", name, v)
		}
	}
	if len(ints) > 4*maxRank {
		return fmt.Errorf("attribute %q has %d values", name, len(ints))
	}
	return nil
}

// attributeBounds returns the values that an integer attribute may take.
func attributeBounds(name string) (low, high int64) {
	switch name {
	case "kernel_shape", "strides", "dilations":
		return 1, maxKernel
	case "pads", "output_padding":
		return 0, maxKernel
	case "group":
		return 1, maxGroups
	case "axis", "axes", "perm":
		return -maxRank, maxRank
	}
	return math.MinInt64, math.MaxInt64
}

// eachInt calls f for each integer of a field, packed or not.
func eachInt(x field, f func(int64)) error {
	if x.typ == protowire.VarintType {
		f(int64(x.value))
		return nil
	}
	for b := x.bytes; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		f(int64(v))
		b = b[n:]
	}
	return nil
}
