package opencv

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestInspectTakes(t *testing.T) {
	size, err := inspect(tinyModel())
	require.NoError(t, err)
	require.Equal(t, tinySize, size)
}

// with returns the tiny model with parts appended to its graph.
func with(parts ...[]byte) []byte { return model(13, append(tinyGraph(cocoClasses), parts...)...) }

func TestInspectRefuses(t *testing.T) {
	graph := tinyGraph(cocoClasses)
	for _, c := range []struct {
		name  string
		model []byte
		says  string
	}{
		{"nothing", nil, "the file is empty"},
		{"a compressed model", []byte{0x1f, 0x8b, 8, 0}, "unpack it with gunzip"},
		{"a text", []byte("<html>not found</html>"), "not an ONNX file"},
		{"no graph", varint(1, 7), "0 graphs"},
		{"two graphs", append(tinyModel(), tinyModel()...), "2 graphs"},
		{"no operators", model(13, value(11, "input", 1, 3, 64, 64)), "no operators"},
		{"no input", model(13, graph[1:]...), "0 inputs"},
		{"two inputs", with(value(11, "more", 1, 3, 64, 64)), "2 inputs"},
		{"a grey picture", model(13, append(slices.Clone(graph[1:]), value(11, "input", 1, 1, 64, 64))...), "[1 1 64 64]"},
		{"not square", model(13, append(slices.Clone(graph[1:]), value(11, "input", 1, 3, 64, 96))...), "[1 3 64 96]"},
		{"free size", model(13, append(slices.Clone(graph[1:]), value(11, "input", 1, 3, 0, 0))...), "[1 3 0 0]"},
		{"too large", model(13, append(slices.Clone(graph[1:]), value(11, "input", 1, 3, 4096, 4096))...), "4096"},
		{"tensor too short", with(floats("x", []int64{3, 3}, 1, 2, 3)), "holds 3 values and its shape [3 3] says 9"},
		{"tensor with a negative side", with(floats("x", []int64{-1, 3}, 1, 2, 3)), "[-1 3]"},
		{"tensor of astronomic size", with(floats("x", []int64{1 << 20, 1 << 20}, 1)), "has the shape"},
		{"tensor of too many sides", with(floats("x", []int64{1, 1, 1, 1, 1, 1, 1, 1, 1}, 1)), "9 dimensions"},
		{"float16", with(message(5, varint(1, 1), varint(2, onnxFloat16), text(8, "x"), message(9, []byte{0, 0}))), "export the model as float32"},
		{"text tensor", with(message(5, varint(1, 1), varint(2, 8), text(8, "x"))), "data type 8"},
		{"tensor in a file", with(message(5, text(8, "x"), message(13, text(1, "location"), text(2, "/etc/passwd")))), "lies in another file"},
		{"sparse tensor", with(message(15, text(8, "x"))), "sparse"},
		{"stride of 0", with(node("MaxPool", "x", []string{"input"}, ints("strides", 0, 1))), `"strides" is 0`},
		{"negative pad", with(node("MaxPool", "x", []string{"input"}, ints("pads", -1))), `"pads" is -1`},
		{"no group", with(node("Conv", "x", []string{"input"}, oneInt("group", 0))), `"group" is 0`},
		{"axis", with(node("Concat", "x", []string{"input"}, oneInt("axis", 77))), `"axis" is 77`},
		{"endless attribute", with(node("X", "x", nil, ints("any", make([]int64, 99)...))), "has 99 values"},
		{"bad attribute tensor", with(node("Constant", "x", nil, message(5, text(1, "value"), message(5, varint(1, 5), varint(2, onnxFloat32), message(9, []byte{1}))))), "holds 0 values"},
		{"loop", with(node("Loop", "x", nil, message(5, text(1, "body"), message(6)))), "graphs inside"},
		{"node without operator", with(message(1, text(2, "x"))), "without operator"},
		{"split of opset 13", with(node("Split", "x", []string{"input", "sizes"})), "export the model with Slice"},
		{"clip with bounds", with(node("Clip", "x", []string{"input", "a", "b"})), "export the model with opset 10"},
		{"cut off", tinyModel()[:1000], "damaged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := inspect(c.model)
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, "detector model: ")
			require.ErrorContains(t, err, "leave detector.model empty for the built-in model")
		})
	}
}

// Packed and single numbers are the same to protobuf.
func TestTensorTypedLists(t *testing.T) {
	name, err := checkTensor(slices.Concat(text(8, "n"), message(1, []byte{2, 3}), varint(2, onnxInt64), message(7, []byte{1, 2, 3, 4, 5, 6})))
	require.NoError(t, err)
	require.Equal(t, "n", name)
	_, err = checkTensor(slices.Concat(varint(1, 2), varint(2, onnxInt32), varints(5, 1, 2)))
	require.NoError(t, err)
	_, err = checkTensor(slices.Concat(varint(1, 2), varint(2, onnxFloat32), message(4, make([]byte, 8))))
	require.NoError(t, err)
	_, err = checkTensor(slices.Concat(varint(1, 3), varint(2, onnxFloat32), message(4, make([]byte, 8))))
	require.ErrorContains(t, err, "holds 2 values")
	_, err = checkTensor(message(1, []byte{0x80}))
	require.Error(t, err)
}

// FuzzInspect reads any bytes as a model file.
func FuzzInspect(f *testing.F) {
	f.Add(tinyModel())
	f.Add(with(node("Split", "x", []string{"input", "sizes"})))
	r := rand.New(rand.NewPCG(1, 2))
	for range 8 {
		m := tinyModel()
		m[r.IntN(len(m))] ^= 1 << r.IntN(8)
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, model []byte) {
		size, err := inspect(model)
		if err == nil {
			require.True(t, size >= minInput && size <= maxInput && size%32 == 0)
		}
	})
}
