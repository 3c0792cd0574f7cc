//go:build !cgo

package opencv

import (
	"image"

	"github.com/sharpeyes/sharpeyes/detect"
)

// Detector finds objects; this program was built without cgo, so there is none.
type Detector struct{}

var _ detect.Detector = (*Detector)(nil)

// NewDetector returns detect.ErrNoCgo: this program was built without cgo.
func NewDetector([]byte, int) (*Detector, error) { return nil, detect.ErrNoCgo }

// Detect returns detect.ErrNoCgo: this program was built without cgo.
func (d *Detector) Detect(*image.YCbCr, float64) ([]detect.Detection, error) {
	return nil, detect.ErrNoCgo
}

// Close does nothing: this program was built without cgo.
func (d *Detector) Close() {}

// DefaultModel returns detect.ErrNoCgo: a program built without cgo does not
// carry the model.
func DefaultModel() ([]byte, error) { return nil, detect.ErrNoCgo }

// Version returns "none": this program was built without cgo.
func Version() string { return "none" }
