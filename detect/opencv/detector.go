//go:build cgo

package opencv

/*
#cgo pkg-config: opencv4
#cgo CXXFLAGS: --std=c++11 -O3 -Wall
#include "guard.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"unsafe"

	"gocv.io/x/gocv"

	"github.com/sharpeyes/sharpeyes/detect/model"
)

// What a model may take while it is tried: the built-in ones take 0.1 GiB and
// half a second.
const (
	trialMemory  = 2 << 30 // bytes
	trialSeconds = 60
)

// Engine computes a model with OpenCV's DNN module.
type Engine struct {
	mu      sync.Mutex
	net     gocv.Net
	blob    gocv.Mat
	input   []float32 // blob's memory
	names   []string  // of the outputs
	results []gocv.Mat
	open    bool
}

var _ model.Engine = (*Engine)(nil)

// Open loads a model. threads bounds the threads of one inference; below 1 means
// 1. OpenCV keeps that number for the whole process, so the newest engine's
// counts. Loading blocks for about a second, because the model is imported and run
// inside a guard first (any but a built-in one in a child process): a damaged or
// foreign file is an error that says what to do and never the end of the process.
// The caller closes the engine.
func Open(m *model.Model, threads int) (*Engine, error) {
	if err := canImport(m); err != nil {
		return nil, err
	}
	C.se_set_threads(C.int(max(threads, 1)))
	if err := try(m); err != nil {
		return nil, err
	}
	// The same bytes went through import and inference a moment ago, so gocv will
	// not throw. It keeps no pointer into them.
	net, err := gocv.ReadNetFromONNXBytes(m.Data())
	if err != nil {
		return nil, model.Error("%w", err)
	}
	e := &Engine{net: net, open: true}
	e.net.SetPreferableBackend(gocv.NetBackendOpenCV)
	e.net.SetPreferableTarget(gocv.NetTargetCPU)
	layers := e.net.GetLayerNames()
	for _, id := range e.net.GetUnconnectedOutLayers() {
		e.names = append(e.names, layers[id-1]) // layer 0 is the input, which has no name
	}
	e.blob = gocv.NewMatWithSizes([]int{1, 3, m.Size(), m.Size()}, gocv.MatTypeCV32F)
	if e.input, err = e.blob.DataPtrFloat32(); err != nil {
		e.Close()
		return nil, fmt.Errorf("detector: %w", err)
	}
	return e, nil
}

// Version names gocv and the OpenCV that is linked.
func Version() string { return "gocv " + gocv.Version() + ", OpenCV " + gocv.OpenCVVersion() }

// Close implements model.Engine. It waits for an inference that runs.
func (e *Engine) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.open {
		return
	}
	e.open, e.input = false, nil
	e.drop()
	_ = e.blob.Close()
	_ = e.net.Close()
}

// drop frees the outputs of the last inference.
func (e *Engine) drop() {
	for i := range e.results {
		_ = e.results[i].Close()
	}
	e.results = nil
}

// Run implements model.Engine.
func (e *Engine) Run(input []float32) ([]model.Output, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.open {
		return nil, errors.New("OpenCV: the engine is closed")
	}
	if len(input) != len(e.input) {
		return nil, fmt.Errorf("OpenCV: an input of %d values where the model has %d", len(input), len(e.input))
	}
	e.drop()
	copy(e.input, input)
	e.net.SetInput(e.blob, "")
	e.results = e.net.ForwardLayers(e.names)
	outs := make([]model.Output, len(e.results))
	for i := range e.results {
		data, err := e.results[i].DataPtrFloat32()
		if err != nil {
			return nil, fmt.Errorf("OpenCV: output %s: %w", e.names[i], err)
		}
		outs[i] = model.Output{Shape: e.results[i].Size(), Data: data}
	}
	return outs, nil
}

// try imports and runs the model once, in this process when it is a built-in one
// and else in a child process, and checks the shapes of its outputs.
func try(m *model.Model) error {
	var trial C.se_trial
	bytes, size := m.Data(), C.int(m.Size())
	data, n := (*C.uint8_t)(unsafe.Pointer(&bytes[0])), C.size_t(len(bytes))
	if m.Name() != "" {
		C.se_try_model(data, n, size, &trial)
	} else {
		C.se_try_model_apart(data, n, size, trialMemory, trialSeconds, &trial)
	}
	if trial.outputs < 0 {
		return model.Error("OpenCV cannot run it: %s", strings.ToValidUTF8(C.GoString(&trial.error[0]), "?"))
	}
	shapes := make([][]int, min(int(trial.outputs), len(trial.shape)))
	for k := range shapes {
		for i := range min(int(trial.dims[k]), len(trial.shape[k])) {
			shapes[k] = append(shapes[k], int(trial.shape[k][i]))
		}
	}
	return m.CheckShapes(shapes)
}
