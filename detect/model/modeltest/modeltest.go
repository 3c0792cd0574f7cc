// Package modeltest writes small ONNX files for tests of the engines: models with
// the operators of a real one, small enough to be imported thousands of times, and
// the pieces to break them. Only tests import it.
package modeltest

import (
	"encoding/binary"
	"math"
	"math/rand/v2"

	"google.golang.org/protobuf/encoding/protowire"
)

// Size is the side of the models' input in pixels.
const Size = 64

// Numbers of NanoDet's head: the classes of COCO, the distances of one side of a
// box, and the cells of the three grids at Size.
const (
	CocoClasses = 80
	distances   = 11
	cells       = 84
	float32Type = 1
	int64Type   = 7
)

// Message is a length-delimited protobuf field made of its parts.
func Message(num protowire.Number, parts ...[]byte) []byte {
	var body []byte
	for _, p := range parts {
		body = append(body, p...)
	}
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), body)
}

// Text is a protobuf field of text.
func Text(num protowire.Number, s string) []byte { return Message(num, []byte(s)) }

// Varint is a protobuf field of one integer.
func Varint(num protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), uint64(v))
}

// Varints is a repeated integer, not packed.
func Varints(num protowire.Number, vs ...int64) []byte {
	var b []byte
	for _, v := range vs {
		b = append(b, Varint(num, v)...)
	}
	return b
}

// Floats is an initializer of float32, as raw data.
func Floats(name string, dims []int64, values ...float32) []byte {
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return Message(5, Varints(1, dims...), Varint(2, float32Type), Text(8, name), Message(9, raw))
}

// Longs is an initializer of int64, one dimension.
func Longs(name string, values ...int64) []byte {
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	return Message(5, Varint(1, int64(len(values))), Varint(2, int64Type), Text(8, name), Message(9, raw))
}

// Ints is an attribute with a list of integers.
func Ints(name string, vs ...int64) []byte {
	return Message(5, Text(1, name), Varints(8, vs...), Varint(20, 7))
}

// OneInt is an attribute with one integer.
func OneInt(name string, v int64) []byte {
	return Message(5, Text(1, name), Varint(3, v), Varint(20, 2))
}

// Node is an operator with one output.
func Node(op, out string, in []string, attributes ...[]byte) []byte {
	var parts [][]byte
	for _, i := range in {
		parts = append(parts, Text(1, i))
	}
	parts = append(parts, Text(2, out), Text(3, out), Text(4, op))
	return Message(1, append(parts, attributes...)...)
}

// Value is an input (field 11) or output (12) of the graph.
func Value(num protowire.Number, name string, dims ...int64) []byte {
	var shape [][]byte
	for _, d := range dims {
		shape = append(shape, Message(1, Varint(1, d)))
	}
	return Message(num, Text(1, name), Message(2, Message(1, Varint(1, 1), Message(2, shape...))))
}

// File is an ONNX file with the parts of a graph.
func File(opset int64, graph ...[]byte) []byte {
	b := append(Varint(1, 7), Text(2, "test")...)
	b = append(b, Message(7, graph...)...)
	return append(b, Message(8, Text(1, ""), Varint(2, opset))...)
}

// Graph pools the picture to the three grids and ends in NanoDet's head with
// the given number of classes.
func Graph(classes int64) [][]byte {
	row := classes + 4*distances
	weights := make([]float32, row*3)
	for i := range weights {
		weights[i] = float32(i%7)/10 - 0.3
	}
	pool := func(out, in string, k int64) []byte {
		return Node("MaxPool", out, []string{in}, Ints("kernel_shape", k, k), Ints("strides", k, k), Ints("pads", 0, 0, 0, 0))
	}
	return [][]byte{
		Value(11, "input", 1, 3, Size, Size),
		Value(12, "output", 1, int64(cells), row),
		Floats("w", []int64{row, 3, 1, 1}, weights...),
		Floats("b", []int64{row}, make([]float32, row)...),
		Floats("scales", []int64{4}, 1, 1, 2, 2),
		Longs("flat", 1, row, -1), Longs("zero", 0), Longs("classes", classes), Longs("row", row), Longs("axis", 2),
		pool("pooled", "input", 8),
		Node("Conv", "conv", []string{"pooled", "w", "b"}, Ints("kernel_shape", 1, 1), Ints("strides", 1, 1),
			Ints("dilations", 1, 1), Ints("pads", 0, 0, 0, 0), OneInt("group", 1)),
		Node("LeakyRelu", "h8", []string{"conv"}),
		pool("h16a", "h8", 2),
		pool("h32", "h16a", 2),
		Node("Resize", "up", []string{"h32", "", "scales"}, Message(5, Text(1, "mode"), Text(4, "linear"), Varint(20, 3)),
			Message(5, Text(1, "coordinate_transformation_mode"), Text(4, "asymmetric"), Varint(20, 3))),
		Node("Add", "h16", []string{"h16a", "up"}),
		Node("Reshape", "r8", []string{"h8", "flat"}),
		Node("Reshape", "r16", []string{"h16", "flat"}),
		Node("Reshape", "r32", []string{"h32", "flat"}),
		Node("Concat", "all", []string{"r8", "r16", "r32"}, OneInt("axis", 2)),
		Node("Transpose", "rows", []string{"all"}, Ints("perm", 0, 2, 1)),
		Node("Slice", "cls", []string{"rows", "zero", "classes", "axis"}),
		Node("Slice", "reg", []string{"rows", "classes", "row", "axis"}),
		Node("Sigmoid", "scores", []string{"cls"}),
		Node("Concat", "output", []string{"scores", "reg"}, OneInt("axis", 2)),
	}
}

// NanoDet is a small model with the head of NanoDet for 80 classes.
func NanoDet() []byte { return File(13, Graph(CocoClasses)...) }

// Damaged is NanoDet with one to three bits tipped, others for each seed.
func Damaged(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 7))
	m := NanoDet()
	for range 1 + r.IntN(3) {
		m[r.IntN(len(m))] ^= 1 << r.IntN(8)
	}
	return m
}
