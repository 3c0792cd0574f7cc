package model

import (
	"errors"
	"image"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/detect/model/modeltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script is an engine that answers by a function.
type script struct {
	run    func(input []float32) ([]Output, error)
	closed *atomic.Int32
}

func (s script) Run(input []float32) ([]Output, error) { return s.run(input) }
func (s script) Close()                                { s.closed.Add(1) }

func tiny(t *testing.T) *Model {
	m, err := New(Options{Data: modeltest.NanoDet()})
	require.NoError(t, err)
	return m
}

// person is the head's output with one person in it.
func person() []Output {
	out := Output{Shape: []int{1, 84, rowLength}, Data: make([]float32, 84*rowLength)}
	set(out.Data, 9, 0, 0.75, [4]int{1, 1, 1, 1})
	return []Output{out}
}

func grey() *image.YCbCr {
	return image.NewYCbCr(image.Rect(0, 0, 64, 64), image.YCbCrSubsampleRatio420)
}

func TestDetectorFinds(t *testing.T) {
	var closed atomic.Int32
	d, err := NewDetector(tiny(t), 0, func(*Model) (Engine, error) {
		return script{func([]float32) ([]Output, error) { return person(), nil }, &closed}, nil
	})
	require.NoError(t, err)
	require.Equal(t, 1, d.Workers())
	found, err := d.Detect(grey(), 0.5)
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, detect.Person, found[0].Class)
	_, err = d.Detect(nil, 0.5)
	require.ErrorIs(t, err, errNoPicture)
	d.Close()
	d.Close()
	require.Equal(t, int32(1), closed.Load())
	_, err = d.Detect(grey(), 0.5)
	require.ErrorContains(t, err, "closed")
}

// So many pictures at once as there are workers, and no more; Close waits for
// them.
func TestDetectorWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closed, running, most atomic.Int32
		gate := make(chan struct{})
		checked := false
		d, err := NewDetector(tiny(t), 3, func(*Model) (Engine, error) {
			return script{func([]float32) ([]Output, error) {
				if checked {
					most.Store(max(most.Load(), running.Add(1)))
					<-gate
					running.Add(-1)
				}
				return person(), nil
			}, &closed}, nil
		})
		require.NoError(t, err)
		checked = true
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				_, err := d.Detect(grey(), 0.5)
				if err != nil {
					require.ErrorContains(t, err, "closed")
				}
			})
		}
		synctest.Wait()
		require.Equal(t, int32(3), running.Load())
		wg.Go(d.Close)
		synctest.Wait()
		require.Zero(t, closed.Load(), "nothing is closed while it runs")
		close(gate)
		wg.Wait()
		require.Equal(t, int32(3), closed.Load())
		require.Equal(t, int32(3), most.Load())
	})
}

// An engine that fails the numeric check makes no detector, and all that were
// opened are closed.
func TestDetectorRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		run  func(n int) ([]Output, error)
		says string
	}{
		{"an error", func(int) ([]Output, error) { return nil, errors.New("out of memory") }, "out of memory"},
		{"no outputs", func(int) ([]Output, error) { return nil, nil }, "NanoDet's head"},
		{"fewer values than the shape says", func(int) ([]Output, error) {
			o := person()
			o[0].Data = o[0].Data[:5]
			return o, nil
		}, "computes 5 values"},
		{"scores above 1", func(int) ([]Output, error) {
			o := person()
			o[0].Data[3] = 7
			return o, nil
		}, "sigmoid"},
		{"the second engine", func(n int) ([]Output, error) {
			if n == 2 {
				return nil, errors.New("out of memory")
			}
			return person(), nil
		}, "out of memory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var closed atomic.Int32
			opened := 0
			d, err := NewDetector(tiny(t), 3, func(*Model) (Engine, error) {
				opened++
				n := opened
				return script{func([]float32) ([]Output, error) { return c.run(n) }, &closed}, nil
			})
			require.Nil(t, d)
			require.ErrorContains(t, err, c.says)
			require.Equal(t, opened, int(closed.Load()))
		})
	}
	_, err := NewDetector(tiny(t), 1, func(*Model) (Engine, error) { return nil, detect.ErrNoCgo })
	require.ErrorIs(t, err, detect.ErrNoCgo)
}

// A built-in model is held to its stored numbers.
func TestDetectorNumbers(t *testing.T) {
	m := tiny(t)
	m.probes = []probe{{0, 9 * rowLength, 0.75}}
	var closed atomic.Int32
	good := func(*Model) (Engine, error) {
		return script{func([]float32) ([]Output, error) { return person(), nil }, &closed}, nil
	}
	d, err := NewDetector(m, 1, good)
	require.NoError(t, err)
	d.Close()
	m.probes[0].want = 0.76
	_, err = NewDetector(m, 1, good)
	require.ErrorContains(t, err, "does not run the built-in model as it should")
}
