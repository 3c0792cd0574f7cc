// Package opencv finds objects in pictures with OpenCV's DNN module through
// gocv. It is one of the two rooms that hold C. It decodes no stream, keeps no
// picture and knows no camera; no OpenCV type leaves it.
//
// OpenCV reports trouble by C++ exceptions, and gocv lets them end the process;
// on some damaged models it reads past its memory or takes all there is. Therefore
// a model goes through three gates: its bytes are checked in Go (onnx.go), it is
// imported and run once inside try/catch (guard.cpp), in a child process unless it
// is the built-in one (apart.cpp), and after gocv loaded it the numbers that come
// out are looked at, those of the built-in model against another engine's
// (selfcheck.go).
//
// Built without cgo, the same functions answer detect.ErrNoCgo.
package opencv

import "fmt"

// modelError returns an error about a model, with what the operator can do.
func modelError(format string, args ...any) error {
	return fmt.Errorf("detector model: %w; leave detector.model empty for the built-in model, or give an ONNX file with the head of NanoDet", fmt.Errorf(format, args...))
}
