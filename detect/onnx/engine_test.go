//go:build cgo

package onnx

import (
	"fmt"
	"image"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sharpeyes/sharpeyes/detect/model"
	"github.com/sharpeyes/sharpeyes/detect/model/modeltest"
	"github.com/sharpeyes/sharpeyes/detect/opencv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// library opens ONNX Runtime, or skips the test and says how to get it.
func library(t testing.TB) {
	t.Helper()
	path := filepath.Join("..", "..", "bin", "libonnxruntime.so")
	if isFile(path) != nil {
		var err error
		if path, err = Find(""); err != nil {
			t.Skipf("NOT TESTED: %v", err)
		}
	}
	require.NoError(t, Load(path))
	require.Regexp(t, `^1\.\d+\.\d+$`, Version())
}

func opener(m *model.Model) (model.Engine, error) { return Open(m, 1) }

func picture(t testing.TB, name string) *image.YCbCr {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "opencv", "testdata", name))
	require.NoError(t, err)
	defer f.Close()
	img, err := jpeg.Decode(f)
	require.NoError(t, err)
	return img.(*image.YCbCr)
}

// pair is two engines that compute the same; Run compares every value.
type pair struct {
	t         testing.TB
	ours      model.Engine // ONNX Runtime
	other     model.Engine // OpenCV
	tolerance float64
	worst     float64
	compared  int
}

func (p *pair) Run(input []float32) ([]model.Output, error) {
	outs, err := p.ours.Run(input)
	require.NoError(p.t, err)
	others, err := p.other.Run(input)
	require.NoError(p.t, err)
	require.Len(p.t, others, len(outs))
	for _, o := range outs {
		found := false
		for _, q := range others {
			if fmt.Sprint(o.Shape) != fmt.Sprint(q.Shape) {
				continue
			}
			found = true
			for i, v := range o.Data {
				off := math.Abs(float64(v - q.Data[i]))
				if !(off <= p.tolerance) {
					require.Fail(p.t, "the engines differ", "output %v, value %d: %g and %g", o.Shape, i, v, q.Data[i])
				}
				p.worst = max(p.worst, off)
				p.compared++
			}
		}
		require.True(p.t, found, "no output of shape %v", o.Shape)
	}
	return outs, nil
}

func (p *pair) Close() {
	p.ours.Close()
	p.other.Close()
}

// Both engines compute the same from the same picture, at every value of every
// output of every built-in model.
func TestEnginesAgree(t *testing.T) {
	library(t)
	for _, name := range []string{"builtin", "light"} {
		t.Run(name, func(t *testing.T) {
			m, err := model.BuiltIn(name)
			require.NoError(t, err)
			p := &pair{t: t, tolerance: 2e-4}
			d, err := model.NewDetector(m, 1, func(m *model.Model) (model.Engine, error) {
				if p.ours, err = Open(m, 1); err != nil {
					return nil, err
				}
				p.other, err = opencv.Open(m, 1)
				return p, err
			})
			require.NoError(t, err)
			defer d.Close()
			for _, file := range []string{"vtest_20.jpg", "vtest_200.jpg", "vtest_400.jpg", "vtest_600.jpg"} {
				found, err := d.Detect(picture(t, file), 0.4)
				require.NoError(t, err)
				require.Greater(t, len(found), 3, file)
			}
			require.Greater(t, p.compared, 4*1917*28)
			t.Logf("%d values compared, largest difference %.2g", p.compared, p.worst)
		})
	}
}

func load(file []byte, head string) (*model.Detector, error) {
	m, err := model.New(model.Options{Data: file, Head: head})
	if err != nil {
		return nil, err
	}
	return model.NewDetector(m, 1, opener)
}

func TestOwnModels(t *testing.T) {
	library(t)
	for head, file := range map[string][]byte{"nanodet": modeltest.NanoDet(), "yolox": modeltest.YOLOX(80)} {
		d, err := load(file, head)
		require.NoError(t, err, head)
		_, err = d.Detect(picture(t, "vtest_20.jpg"), 0.5)
		require.NoError(t, err)
		d.Close()
		d.Close()
		_, err = d.Detect(picture(t, "vtest_20.jpg"), 0.5)
		require.ErrorContains(t, err, "closed")
	}
}

// An engine that is closed or fed wrongly says so.
func TestEngineRefuses(t *testing.T) {
	library(t)
	m, err := model.New(model.Options{Data: modeltest.NanoDet()})
	require.NoError(t, err)
	e, err := Open(m, 0)
	require.NoError(t, err)
	_, err = e.Run(make([]float32, 5))
	require.ErrorContains(t, err, "an input of 5 values")
	e.Close()
	e.Close()
	_, err = e.Run(make([]float32, 3*64*64))
	require.ErrorContains(t, err, "closed")
}

// Files that ONNX Runtime refuses are errors that say what to do.
func TestModelsRefused(t *testing.T) {
	library(t)
	whole := modeltest.Graph(modeltest.CocoClasses)
	for _, c := range []struct {
		name string
		file []byte
		says string
	}{
		{"an unknown operator", modeltest.File(13, append(whole[:len(whole):len(whole)], modeltest.Node("NoSuchOperator", "x", []string{"conv"}))...), "NoSuchOperator"},
		{"another shape", modeltest.File(13, modeltest.Graph(20)...), "[1 84 64] and not [1 84 124]"},
		{"opset of the future", modeltest.File(99, whole...), "ONNX Runtime cannot run it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := load(c.file, "nanodet")
			require.Nil(t, d)
			require.ErrorContains(t, err, "detector model: ")
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, "leave detector.model empty")
		})
	}
}

// A model with tipped bits either loads (a weight is a weight) or is refused; the
// process lives.
func TestModelDamaged(t *testing.T) {
	library(t)
	loaded, refused := 0, 0
	for seed := range uint64(400) {
		d, err := load(modeltest.Damaged(seed), "nanodet")
		if err != nil {
			require.ErrorContains(t, err, "leave detector.model empty")
			refused++
			continue
		}
		d.Close()
		loaded++
	}
	require.Greater(t, refused, 100)
	require.Greater(t, loaded, 60)
}

// BenchmarkDetect is one inference of each built-in model on one thread, with
// scaling and suppression.
func BenchmarkDetect(b *testing.B) {
	library(b)
	img := picture(b, "vtest_600.jpg")
	for _, name := range []string{"builtin", "light"} {
		b.Run(name, func(b *testing.B) {
			m, err := model.BuiltIn(name)
			require.NoError(b, err)
			d, err := model.NewDetector(m, 1, opener)
			require.NoError(b, err)
			defer d.Close()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Detect(img, 0.4); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
