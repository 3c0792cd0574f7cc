//go:build cgo

package onnx

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/sharpeyes/sharpeyes/detect/model"
)

// Load opens the library. A process has one: after the first success further
// calls do nothing, whatever the path. It is not safe for concurrent use. A file
// that is no library, or of a version that is too old, is an error that says what
// to do; a library that crashes when it is opened takes the process along.
func Load(path string) error {
	if ort.IsInitialized() {
		return nil
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("ONNX Runtime: %w", err)
	}
	ort.SetSharedLibraryPath(absolute)
	if err := ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
		return fmt.Errorf("ONNX Runtime: %s cannot be used: %w; this program needs ONNX Runtime 1.24 or newer: deployments/onnxruntime.sh installs it", path, err)
	}
	return nil
}

// Version returns the version of the library that is open, "" when none is.
func Version() string {
	if !ort.IsInitialized() {
		return ""
	}
	return ort.GetVersion()
}

// Engine computes a model with ONNX Runtime.
type Engine struct {
	mu      sync.Mutex
	session *ort.DynamicAdvancedSession // nil when closed
	input   *ort.Tensor[float32]
	names   []string
	outputs []ort.Value // nil before the first run, which finds their shapes
}

var _ model.Engine = (*Engine)(nil)

// Open loads a model; Load came before. threads bounds the threads of one
// inference; below 1 means 1. Threads sleep between inferences: spinning would be
// faster for one camera and burn a core. Loading takes about 50 ms. The caller
// closes the engine.
func Open(m *model.Model, threads int) (*Engine, error) {
	if !ort.IsInitialized() {
		return nil, errors.New("ONNX Runtime: the library is not open")
	}
	e := &Engine{names: m.OutputNames()}
	if err := e.open(m, max(threads, 1)); err != nil {
		e.Close()
		return nil, model.Error("ONNX Runtime cannot run it: %s", strings.ToValidUTF8(err.Error(), "?"))
	}
	return e, nil
}

func (e *Engine) open(m *model.Model, threads int) error {
	opt, err := ort.NewSessionOptions()
	if err != nil {
		return err
	}
	defer func() { _ = opt.Destroy() }()
	for _, err := range []error{
		opt.SetIntraOpNumThreads(threads), opt.SetInterOpNumThreads(1),
		opt.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"),
		opt.SetLogSeverityLevel(ort.LoggingLevelFatal),
	} {
		if err != nil {
			return err
		}
	}
	if e.session, err = ort.NewDynamicAdvancedSessionWithONNXData(m.Data(), []string{m.InputName()}, e.names, opt); err != nil {
		return err
	}
	size := int64(m.Size())
	e.input, err = ort.NewEmptyTensor[float32](ort.NewShape(1, 3, size, size))
	return err
}

// Close implements model.Engine. It waits for an inference that runs.
func (e *Engine) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.session != nil {
		_ = e.session.Destroy()
	}
	if e.input != nil {
		_ = e.input.Destroy()
	}
	for _, o := range e.outputs {
		_ = o.Destroy()
	}
	e.session, e.input, e.outputs = nil, nil, nil
}

// Run implements model.Engine.
func (e *Engine) Run(input []float32) ([]model.Output, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.session == nil {
		return nil, errors.New("ONNX Runtime: the engine is closed")
	}
	to := e.input.GetData()
	if len(input) != len(to) {
		return nil, fmt.Errorf("ONNX Runtime: an input of %d values where the model has %d", len(input), len(to))
	}
	copy(to, input)
	outputs := e.outputs
	if outputs == nil {
		outputs = make([]ort.Value, len(e.names)) // made by the run
	}
	if err := e.session.Run([]ort.Value{e.input}, outputs); err != nil {
		return nil, model.Error("ONNX Runtime cannot run it: %s", strings.ToValidUTF8(err.Error(), "?"))
	}
	e.outputs = outputs
	return e.read()
}

// read returns the outputs of the last run.
func (e *Engine) read() ([]model.Output, error) {
	outs := make([]model.Output, len(e.outputs))
	for i, v := range e.outputs {
		t, ok := v.(*ort.Tensor[float32])
		if !ok {
			return nil, model.Error("its output %q is not float32", e.names[i])
		}
		for _, d := range t.GetShape() {
			outs[i].Shape = append(outs[i].Shape, int(d))
		}
		outs[i].Data = t.GetData()
	}
	return outs, nil
}
