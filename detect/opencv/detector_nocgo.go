//go:build !cgo

package opencv

import (
	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/detect/model"
)

// Engine computes a model; this program was built without cgo, so there is none.
type Engine struct{}

var _ model.Engine = (*Engine)(nil)

// Open returns detect.ErrNoCgo: this program was built without cgo.
func Open(*model.Model, int) (*Engine, error) { return nil, detect.ErrNoCgo }

// Run returns detect.ErrNoCgo: this program was built without cgo.
func (e *Engine) Run([]float32) ([]model.Output, error) { return nil, detect.ErrNoCgo }

// Close does nothing: this program was built without cgo.
func (e *Engine) Close() {}

// Version returns "none": this program was built without cgo.
func Version() string { return "none" }
