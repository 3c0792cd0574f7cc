package model

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/detect/model/modeltest"
)

func TestInspectTakes(t *testing.T) {
	m, err := New(Options{Data: modeltest.NanoDet()})
	require.NoError(t, err)
	require.Equal(t, modeltest.Size, m.Size())
	require.Equal(t, uint64(13), m.Opset())
	require.Equal(t, Operator{"MaxPool", 1}, m.Operators()[0])
	require.True(t, m.HasTensor(onnxFloat32))
	require.False(t, m.HasTensor(onnxFloat16))
}

// with returns the tiny model with parts appended to its graph.
func with(parts ...[]byte) []byte {
	return modeltest.File(13, append(modeltest.Graph(modeltest.CocoClasses), parts...)...)
}

func TestInspectRefuses(t *testing.T) {
	graph := modeltest.Graph(modeltest.CocoClasses)
	for _, c := range []struct {
		name  string
		model []byte
		says  string
	}{
		{"nothing", nil, "the file is empty"},
		{"a compressed model", []byte{0x1f, 0x8b, 8, 0}, "unpack it with gunzip"},
		{"a text", []byte("<html>not found</html>"), "not an ONNX file"},
		{"no graph", modeltest.Varint(1, 7), "0 graphs"},
		{"two graphs", append(modeltest.NanoDet(), modeltest.NanoDet()...), "2 graphs"},
		{"no operators", modeltest.File(13, modeltest.Value(11, "input", 1, 3, 64, 64)), "no operators"},
		{"no input", modeltest.File(13, graph[1:]...), "0 inputs"},
		{"two inputs", with(modeltest.Value(11, "more", 1, 3, 64, 64)), "2 inputs"},
		{"a grey picture", modeltest.File(13, append(slices.Clone(graph[1:]), modeltest.Value(11, "input", 1, 1, 64, 64))...), "[1 1 64 64]"},
		{"not square", modeltest.File(13, append(slices.Clone(graph[1:]), modeltest.Value(11, "input", 1, 3, 64, 96))...), "[1 3 64 96]"},
		{"free size", modeltest.File(13, append(slices.Clone(graph[1:]), modeltest.Value(11, "input", 1, 3, 0, 0))...), "[1 3 0 0]"},
		{"too large", modeltest.File(13, append(slices.Clone(graph[1:]), modeltest.Value(11, "input", 1, 3, 4096, 4096))...), "4096"},
		{"tensor too short", with(modeltest.Floats("x", []int64{3, 3}, 1, 2, 3)), "holds 3 values and its shape [3 3] says 9"},
		{"tensor with a negative side", with(modeltest.Floats("x", []int64{-1, 3}, 1, 2, 3)), "[-1 3]"},
		{"tensor of astronomic size", with(modeltest.Floats("x", []int64{1 << 20, 1 << 20}, 1)), "has the shape"},
		{"tensor of too many sides", with(modeltest.Floats("x", []int64{1, 1, 1, 1, 1, 1, 1, 1, 1}, 1)), "9 dimensions"},
		{"text tensor", with(modeltest.Message(5, modeltest.Varint(1, 1), modeltest.Varint(2, 8), modeltest.Text(8, "x"))), "data type 8"},
		{"tensor in a file", with(modeltest.Message(5, modeltest.Text(8, "x"), modeltest.Message(13, modeltest.Text(1, "location"), modeltest.Text(2, "/etc/passwd")))), "lies in another file"},
		{"sparse tensor", with(modeltest.Message(15, modeltest.Text(8, "x"))), "sparse"},
		{"stride of 0", with(modeltest.Node("MaxPool", "x", []string{"input"}, modeltest.Ints("strides", 0, 1))), `"strides" is 0`},
		{"negative pad", with(modeltest.Node("MaxPool", "x", []string{"input"}, modeltest.Ints("pads", -1))), `"pads" is -1`},
		{"no group", with(modeltest.Node("Conv", "x", []string{"input"}, modeltest.OneInt("group", 0))), `"group" is 0`},
		{"axis", with(modeltest.Node("Concat", "x", []string{"input"}, modeltest.OneInt("axis", 77))), `"axis" is 77`},
		{"endless attribute", with(modeltest.Node("X", "x", nil, modeltest.Ints("any", make([]int64, 99)...))), "has 99 values"},
		{"bad attribute tensor", with(modeltest.Node("Constant", "x", nil, modeltest.Message(5, modeltest.Text(1, "value"), modeltest.Message(5, modeltest.Varint(1, 5), modeltest.Varint(2, onnxFloat32), modeltest.Message(9, []byte{1}))))), "holds 0 values"},
		{"loop", with(modeltest.Node("Loop", "x", nil, modeltest.Message(5, modeltest.Text(1, "body"), modeltest.Message(6)))), "graphs inside"},
		{"node without operator", with(modeltest.Message(1, modeltest.Text(2, "x"))), "without operator"},
		{"cut off", modeltest.NanoDet()[:1000], "damaged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(Options{Data: c.model})
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, "detector model: ")
			require.ErrorContains(t, err, "leave detector.model empty for the built-in model")
		})
	}
}

// Packed and single numbers are the same to protobuf.
func TestTensorTypedLists(t *testing.T) {
	tn, err := checkTensor(slices.Concat(modeltest.Text(8, "n"), modeltest.Message(1, []byte{2, 3}), modeltest.Varint(2, onnxInt64), modeltest.Message(7, []byte{1, 2, 3, 4, 5, 6})))
	require.NoError(t, err)
	require.Equal(t, "n", tn.name)
	_, err = checkTensor(slices.Concat(modeltest.Varint(1, 2), modeltest.Varint(2, onnxInt32), modeltest.Varints(5, 1, 2)))
	require.NoError(t, err)
	_, err = checkTensor(slices.Concat(modeltest.Varint(1, 2), modeltest.Varint(2, onnxFloat32), modeltest.Message(4, make([]byte, 8))))
	require.NoError(t, err)
	_, err = checkTensor(slices.Concat(modeltest.Varint(1, 3), modeltest.Varint(2, onnxFloat32), modeltest.Message(4, make([]byte, 8))))
	require.ErrorContains(t, err, "holds 2 values")
	_, err = checkTensor(modeltest.Message(1, []byte{0x80}))
	require.Error(t, err)
}

// FuzzInspect reads any bytes as a model file.
func FuzzInspect(f *testing.F) {
	f.Add(modeltest.NanoDet())
	f.Add(with(modeltest.Node("Split", "x", []string{"input", "sizes"})))
	r := rand.New(rand.NewPCG(1, 2))
	for range 8 {
		m := modeltest.NanoDet()
		m[r.IntN(len(m))] ^= 1 << r.IntN(8)
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, model []byte) {
		m, err := New(Options{Data: model})
		if err == nil {
			require.True(t, m.Size() >= minInput && m.Size() <= maxInput && m.Size()%32 == 0)
		}
	})
}
