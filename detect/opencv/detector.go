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
	"image"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"gocv.io/x/gocv"

	"github.com/sharpeyes/sharpeyes/detect"
)

// What a model may take while it is tried: the built-in one takes 0.1 GiB and
// half a second.
const (
	trialMemory  = 2 << 30 // bytes
	trialSeconds = 60
)

// Detector finds objects with a NanoDet model. It runs one inference at a time;
// callers wait for each other.
type Detector struct {
	size int // side of the model's input, pixels
	rows int // rows of its output

	mu    sync.Mutex
	net   gocv.Net
	blob  gocv.Mat
	input []float32 // blob's memory
	open  bool
}

var _ detect.Detector = (*Detector)(nil)

// NewDetector loads a model: the bytes of DefaultModel, or of another ONNX file
// with NanoDet's head for a square input. threads bounds the threads of one
// inference; below 1 means 1. OpenCV keeps that number for the whole process, so
// the newest detector's counts. Loading blocks for about a second, because the
// model is imported and run inside a guard first (any but the built-in one in a
// child process): an empty, damaged or foreign file is an error that says what to
// do and never the end of the process. The caller closes the detector and may
// drop model when NewDetector returns.
func NewDetector(model []byte, threads int) (*Detector, error) {
	size, err := inspect(model)
	if err != nil {
		return nil, err
	}
	C.se_set_threads(C.int(max(threads, 1)))
	if err := tryModel(model, size); err != nil {
		return nil, err
	}
	d := &Detector{size: size, rows: headRows(size)}
	// The same bytes went through import and inference a moment ago, so gocv will
	// not throw. It keeps no pointer into model.
	if d.net, err = gocv.ReadNetFromONNXBytes(model); err != nil {
		return nil, modelError("%w", err)
	}
	d.net.SetPreferableBackend(gocv.NetBackendOpenCV)
	d.net.SetPreferableTarget(gocv.NetTargetCPU)
	d.blob = gocv.NewMatWithSizes([]int{1, 3, size, size}, gocv.MatTypeCV32F)
	d.open = true
	if d.input, err = d.blob.DataPtrFloat32(); err == nil {
		err = d.selfCheck(isBuiltIn(model))
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// Version names gocv and the OpenCV that is linked.
func Version() string { return "gocv " + gocv.Version() + ", OpenCV " + gocv.OpenCVVersion() }

// Close frees the model. It waits for an inference that runs; closing twice is
// harmless.
func (d *Detector) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.open {
		return
	}
	d.open, d.input = false, nil
	_ = d.blob.Close()
	_ = d.net.Close()
}

// Detect implements detect.Detector. It takes pictures of 16x16 pixels and more
// with any chroma subsampling, as full-range BT.601 like JPEG; scores below 0.05
// are never returned. It blocks for one inference, and for those that wait
// already. It returns the boxes strongest first.
func (d *Detector) Detect(img *image.YCbCr, minScore float64) ([]detect.Detection, error) {
	y, c, err := planes(img)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.open {
		return nil, errors.New("detect: the detector is closed")
	}
	place := letterbox(y.width, y.height, d.size)
	if err := d.fill(img, y, c, place); err != nil {
		return nil, err
	}
	var found []detect.Detection
	err = d.forward(func(out []float32) error {
		found = decodeHead(out, place, minScore)
		return nil
	})
	return found, err
}

// forward runs the model on d.input and hands its output, which is OpenCV's
// memory, to use. d.mu is held or d is not shared yet.
func (d *Detector) forward(use func(out []float32) error) error {
	d.net.SetInput(d.blob, "")
	result := d.net.Forward("")
	defer func() { _ = result.Close() }()
	out, err := result.DataPtrFloat32()
	if err != nil {
		return fmt.Errorf("detect: model output: %w", err)
	}
	if len(out) != d.rows*rowLength {
		return modelError("it computes %d values and not %d", len(out), d.rows*rowLength)
	}
	return use(out)
}

// fill scales img into d.input.
func (d *Detector) fill(img *image.YCbCr, y, c planeOf, p placement) error {
	var text [256]C.char
	rc := C.se_fill(
		(*C.uint8_t)(unsafe.Pointer(&y.pix[0])), (*C.uint8_t)(unsafe.Pointer(&c.pix[0])), (*C.uint8_t)(unsafe.Pointer(&c.pix2[0])),
		y.c(), c.c(), C.int(p.size), C.int(p.x), C.int(p.y), C.int(p.w), C.int(p.h),
		(*C.float)(unsafe.Pointer(&d.input[0])), &text[0], C.size_t(len(text)))
	runtime.KeepAlive(img)
	if rc != 0 {
		return fmt.Errorf("detect: scale a picture of %dx%d: %s", y.width, y.height, C.GoString(&text[0]))
	}
	return nil
}

// c returns the plane's shape for C.
func (p planeOf) c() C.se_plane {
	return C.se_plane{stride: C.int(p.stride), width: C.int(p.width), height: C.int(p.height)}
}

// selfCheck runs the model on the check input.
func (d *Detector) selfCheck(builtIn bool) error {
	checkInput(d.input, d.size)
	return d.forward(func(out []float32) error {
		if err := checkFinite(out); err != nil {
			return err
		}
		if builtIn {
			return checkNumbers(out, builtInProbes())
		}
		return nil
	})
}

// tryModel imports and runs the model once, in this process when it is the
// built-in one and else in a child process, and checks the shape of its output.
func tryModel(model []byte, size int) error {
	var trial C.se_trial
	data, n := (*C.uint8_t)(unsafe.Pointer(&model[0])), C.size_t(len(model))
	if isBuiltIn(model) {
		C.se_try_model(data, n, C.int(size), &trial)
	} else {
		C.se_try_model_apart(data, n, C.int(size), trialMemory, trialSeconds, &trial)
	}
	if trial.dims < 0 {
		return modelError("OpenCV cannot run it: %s", strings.ToValidUTF8(C.GoString(&trial.error[0]), "?"))
	}
	got := make([]int, min(int(trial.dims), len(trial.shape)))
	for i := range got {
		got[i] = int(trial.shape[i])
	}
	if want := []int{1, headRows(size), rowLength}; !slices.Equal(got, want) {
		return modelError("its output has the shape %v and not %v: not NanoDet's head for %d classes", got, want, cocoClasses)
	}
	return nil
}
