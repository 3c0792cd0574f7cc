//go:build cgo

package opencv

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/detect/model"
	"github.com/sharpeyes/sharpeyes/detect/model/modeltest"
)

// load opens a user's file with NanoDet's head for COCO.
func load(file []byte, threads int) (*model.Detector, error) {
	m, err := model.New(model.Options{Data: file})
	if err != nil {
		return nil, err
	}
	return model.NewDetector(m, 1, opener(threads))
}

func opener(threads int) func(*model.Model) (model.Engine, error) {
	return func(m *model.Model) (model.Engine, error) { return Open(m, threads) }
}

// What OpenCV 4.6 does not read is refused before it sees it.
func TestModelForAnotherEngine(t *testing.T) {
	with := func(parts ...[]byte) []byte {
		return modeltest.File(13, append(modeltest.Graph(modeltest.CocoClasses), parts...)...)
	}
	for _, c := range []struct {
		name string
		file []byte
		says string
	}{
		{"float16", with(modeltest.Message(5, modeltest.Varint(1, 1), modeltest.Varint(2, float16), modeltest.Text(8, "x"), modeltest.Message(9, []byte{0, 0}))), "export the model as float32"},
		{"bool", with(modeltest.Message(5, modeltest.Varint(1, 1), modeltest.Varint(2, 9), modeltest.Text(8, "x"), modeltest.Message(9, []byte{0}))), "data type 9"},
		{"split of opset 13", with(modeltest.Node("Split", "x", []string{"input", "sizes"})), "export the model with Slice"},
		{"clip with bounds", with(modeltest.Node("Clip", "x", []string{"input", "a", "b"})), "export the model with opset 10"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := load(c.file, 1)
			requireRefusal(t, d, err)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// requireRefusal checks that an error about a model is one an operator can act on.
func requireRefusal(t *testing.T, d *model.Detector, err error) {
	t.Helper()
	require.True(t, d == nil)
	require.ErrorContains(t, err, "detector model: ")
	require.ErrorContains(t, err, "leave detector.model empty")
}

func TestModelOfAnotherShape(t *testing.T) {
	d, err := load(modeltest.File(13, modeltest.Graph(20)...), 1)
	requireRefusal(t, d, err)
	require.ErrorContains(t, err, "[1 84 64] and not [1 84 124]")
}

func TestModelOfAnotherKind(t *testing.T) {
	graph := modeltest.Graph(modeltest.CocoClasses)
	for _, c := range []struct {
		name string
		swap func(part []byte) []byte // nil keeps it
		says string
	}{
		{"an operator that OpenCV does not know", func(p []byte) []byte {
			if strings.Contains(string(p), "LeakyRelu") {
				return modeltest.Node("NoSuchOperator", "h8", []string{"conv"})
			}
			return p
		}, "NoSuchOperator"},
		{"a class head without sigmoid", func(p []byte) []byte {
			if strings.Contains(string(p), "Sigmoid") {
				return modeltest.Node("LeakyRelu", "scores", []string{"cls"})
			}
			return p
		}, "sigmoid"},
		{"a node without its input", func(p []byte) []byte {
			if strings.Contains(string(p), "LeakyRelu") {
				return modeltest.Node("LeakyRelu", "h8", []string{"nobody"})
			}
			return p
		}, "OpenCV cannot run it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var parts [][]byte
			for _, p := range graph {
				parts = append(parts, c.swap(p))
			}
			d, err := load(modeltest.File(13, parts...), 1)
			requireRefusal(t, d, err)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// What OpenCV itself does not survive: an axis that it makes room for before it
// looks whether there is such a one. In the process that tries the model memory
// ends early; here it would be all of the machine's.
func TestModelThatTakesAllMemory(t *testing.T) {
	var parts [][]byte
	for _, p := range modeltest.Graph(modeltest.CocoClasses) {
		if bytes.Equal(p, modeltest.Longs("axis", 2)) {
			p = modeltest.Longs("axis", 2|1<<30)
		}
		parts = append(parts, p)
	}
	d, err := load(modeltest.File(13, parts...), 1)
	requireRefusal(t, d, err)
	require.ErrorContains(t, err, "bad_alloc")
}

func TestModelTruncated(t *testing.T) {
	for _, m := range map[string][]byte{"tiny": modeltest.NanoDet(), "built-in": builtInBytes(t)} {
		for i := range 40 {
			d, err := load(m[:len(m)*i/40], 1)
			requireRefusal(t, d, err)
		}
		d, err := load(m[:len(m)-1], 1)
		requireRefusal(t, d, err)
	}
}

func builtInBytes(t *testing.T) []byte {
	m, err := model.BuiltIn("")
	require.NoError(t, err)
	return m.Data()
}

// A model with tipped bits either loads (a weight is a weight) or is refused;
// the process lives. 6,000 more of these were run once with other seeds.
func TestModelDamaged(t *testing.T) {
	loaded, refused := 0, 0
	for seed := range uint64(120) {
		d, err := load(modeltest.Damaged(seed), 1)
		if err != nil {
			requireRefusal(t, d, err)
			refused++
			continue
		}
		d.Close()
		loaded++
	}
	require.Greater(t, refused, 30)
	require.Greater(t, loaded, 20)
}

// The same with the real file, where bits between the weights are tipped: names,
// shapes and attributes lie at its front and its end.
func TestBuiltInModelDamaged(t *testing.T) {
	whole := builtInBytes(t)
	refused := 0
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 9))
		m := slices.Clone(whole)
		m[r.IntN(20000)] ^= 1 << r.IntN(8)
		d, err := load(m, 1)
		if err != nil {
			requireRefusal(t, d, err)
			refused++
			continue
		}
		d.Close()
	}
	require.Positive(t, refused)
}
