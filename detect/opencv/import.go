//go:build cgo

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
