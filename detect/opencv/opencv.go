// Package opencv computes detection models with OpenCV's DNN module through gocv.
// It is one of the two rooms that hold C. It decodes no stream, keeps no picture
// and knows no camera; no OpenCV type leaves it. What a model's input and output
// mean is detect/model's.
//
// OpenCV reports trouble by C++ exceptions, and gocv lets them end the process;
// on some damaged models it reads past its memory or takes all there is. Therefore
// a model goes through three gates: its bytes were checked in Go (detect/model), it
// is imported and run once inside try/catch (guard.cpp), in a child process unless
// it is a built-in one (apart.cpp), and after gocv loaded it detect/model looks at
// the numbers that come out, those of a built-in model against another engine's.
//
// Built without cgo, the same functions answer detect.ErrNoCgo.
package opencv

import "github.com/sharpeyes/sharpeyes/detect/model"

// Data types of ONNX tensors that OpenCV 4.6 reads: float32, int32, int64. Of the
// others the export to float32 gets rid.
func unreadTypes() []uint64 { return []uint64{2, 3, 4, 5, 9, 11} }

const float16 = 10

// canImport refuses what OpenCV 4.6 imports wrongly or not at all, measured
// against ONNX Runtime.
func canImport(m *model.Model) error {
	if m.HasTensor(float16) {
		return model.Error("its weights are float16, which OpenCV 4.6 does not read: export the model as float32, or use ONNX Runtime")
	}
	for _, t := range unreadTypes() {
		if m.HasTensor(t) {
			return model.Error("it has tensors of data type %d, which OpenCV 4.6 does not read: export the model as float32, or use ONNX Runtime", t)
		}
	}
	for _, op := range m.Operators() {
		switch {
		case op.Name == "Split" && (op.Inputs > 1 || m.Opset() >= 13):
			return model.Error("operator Split of opset 13 comes out with wrong sizes in OpenCV 4.6: export the model with Slice, or use ONNX Runtime")
		case op.Name == "Clip" && op.Inputs > 1:
			return model.Error("operator Clip with bounds as inputs is not read by OpenCV 4.6: export the model with opset 10, or use ONNX Runtime")
		}
	}
	return nil
}
