package opencv

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// The tests write ONNX files of their own: a model with NanoDet's head and its
// operators, small enough to be imported thousands of times.

const tinySize = 64

func message(num protowire.Number, parts ...[]byte) []byte {
	var body []byte
	for _, p := range parts {
		body = append(body, p...)
	}
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), body)
}

func text(num protowire.Number, s string) []byte { return message(num, []byte(s)) }

func varint(num protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), uint64(v))
}

func varints(num protowire.Number, vs ...int64) []byte {
	var b []byte
	for _, v := range vs {
		b = append(b, varint(num, v)...)
	}
	return b
}

// floats is an initializer of float32, as raw data.
func floats(name string, dims []int64, values ...float32) []byte {
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return message(5, varints(1, dims...), varint(2, onnxFloat32), text(8, name), message(9, raw))
}

// longs is an initializer of int64, one dimension.
func longs(name string, values ...int64) []byte {
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	return message(5, varint(1, int64(len(values))), varint(2, onnxInt64), text(8, name), message(9, raw))
}

func ints(name string, vs ...int64) []byte {
	return message(5, text(1, name), varints(8, vs...), varint(20, 7))
}

func oneInt(name string, v int64) []byte {
	return message(5, text(1, name), varint(3, v), varint(20, 2))
}

func node(op, out string, in []string, attributes ...[]byte) []byte {
	var parts [][]byte
	for _, i := range in {
		parts = append(parts, text(1, i))
	}
	parts = append(parts, text(2, out), text(3, out), text(4, op))
	return message(1, append(parts, attributes...)...)
}

// value is an input (field 11) or output (12) of the graph.
func value(num protowire.Number, name string, dims ...int64) []byte {
	var shape [][]byte
	for _, d := range dims {
		shape = append(shape, message(1, varint(1, d)))
	}
	return message(num, text(1, name), message(2, message(1, varint(1, 1), message(2, shape...))))
}

func model(opset int64, graph ...[]byte) []byte {
	b := append(varint(1, 7), text(2, "test")...)
	b = append(b, message(7, graph...)...)
	return append(b, message(8, text(1, ""), varint(2, opset))...)
}

// tinyGraph pools the picture to the three grids and ends in NanoDet's head with
// the given number of classes.
func tinyGraph(classes int64) [][]byte {
	row := classes + 4*distances
	weights := make([]float32, row*3)
	for i := range weights {
		weights[i] = float32(i%7)/10 - 0.3
	}
	pool := func(out, in string, k int64) []byte {
		return node("MaxPool", out, []string{in}, ints("kernel_shape", k, k), ints("strides", k, k), ints("pads", 0, 0, 0, 0))
	}
	return [][]byte{
		value(11, "input", 1, 3, tinySize, tinySize),
		value(12, "output", 1, int64(headRows(tinySize)), row),
		floats("w", []int64{row, 3, 1, 1}, weights...),
		floats("b", []int64{row}, make([]float32, row)...),
		floats("scales", []int64{4}, 1, 1, 2, 2),
		longs("flat", 1, row, -1), longs("zero", 0), longs("classes", classes), longs("row", row), longs("axis", 2),
		pool("pooled", "input", 8),
		node("Conv", "conv", []string{"pooled", "w", "b"}, ints("kernel_shape", 1, 1), ints("strides", 1, 1),
			ints("dilations", 1, 1), ints("pads", 0, 0, 0, 0), oneInt("group", 1)),
		node("LeakyRelu", "h8", []string{"conv"}),
		pool("h16a", "h8", 2),
		pool("h32", "h16a", 2),
		node("Resize", "up", []string{"h32", "", "scales"}, message(5, text(1, "mode"), text(4, "linear"), varint(20, 3)),
			message(5, text(1, "coordinate_transformation_mode"), text(4, "asymmetric"), varint(20, 3))),
		node("Add", "h16", []string{"h16a", "up"}),
		node("Reshape", "r8", []string{"h8", "flat"}),
		node("Reshape", "r16", []string{"h16", "flat"}),
		node("Reshape", "r32", []string{"h32", "flat"}),
		node("Concat", "all", []string{"r8", "r16", "r32"}, oneInt("axis", 2)),
		node("Transpose", "rows", []string{"all"}, ints("perm", 0, 2, 1)),
		node("Slice", "cls", []string{"rows", "zero", "classes", "axis"}),
		node("Slice", "reg", []string{"rows", "classes", "row", "axis"}),
		node("Sigmoid", "scores", []string{"cls"}),
		node("Concat", "output", []string{"scores", "reg"}, oneInt("axis", 2)),
	}
}

// tinyModel is a model that NewDetector takes.
func tinyModel() []byte { return model(13, tinyGraph(cocoClasses)...) }
