//go:build !cgo

package opencv

import "github.com/sharpeyes/sharpeyes/detect"

// Motion finds motion with OpenCV's MOG2; this program was built without cgo, so
// it finds none.
type Motion struct{}

var _ detect.MotionFinder = (*Motion)(nil)

// NewMotion returns detect.ErrNoCgo: this program was built without cgo.
func NewMotion(MotionOptions) (*Motion, error) { return nil, detect.ErrNoCgo }

// Find finds nothing: this program was built without cgo.
func (m *Motion) Find(detect.Luma) detect.Motion { return detect.Motion{} }

// Reset does nothing: this program was built without cgo.
func (m *Motion) Reset() {}

// Sparse does nothing: this program was built without cgo.
func (m *Motion) Sparse(bool) {}

// Close does nothing: this program was built without cgo.
func (m *Motion) Close() {}
