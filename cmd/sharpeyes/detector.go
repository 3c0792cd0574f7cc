package main

import (
	"context"
	"fmt"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/detect/model"
	"github.com/sharpeyes/sharpeyes/detect/onnx"
	"github.com/sharpeyes/sharpeyes/detect/opencv"
)

// nodeDetector is the node's detector and what computes it.
type nodeDetector struct {
	*model.Detector
	runtime string // name and version
	passed  error  // why ONNX Runtime was not taken; nil when it was, or was not asked for
}

// newDetector loads the configured model into the configured runtime. With
// runtime auto it takes ONNX Runtime when its library is found and computes what
// it should, else OpenCV, and says why in passed. A model or a library that cannot
// be run is an error here, not the end of the process.
func newDetector(ctx context.Context, cfg configs.Detector) (*nodeDetector, error) {
	m, err := loadModel(cfg)
	if err != nil {
		return nil, err
	}
	var passed error
	if cfg.Runtime != configs.RuntimeOpenCV {
		d, err := withONNXRuntime(ctx, m, cfg)
		switch {
		case err == nil:
			return d, nil
		case cfg.Runtime == configs.RuntimeONNXRuntime:
			return nil, fmt.Errorf("edge.detector.runtime is onnxruntime: %w", err)
		}
		passed = err
	}
	d, err := model.NewDetector(m, cfg.Workers, func(m *model.Model) (model.Engine, error) { return opencv.Open(m, cfg.Threads) })
	if err != nil {
		return nil, fmt.Errorf("edge.detector: %w", err)
	}
	return &nodeDetector{d, opencv.Version(), passed}, nil
}

// withONNXRuntime opens the library and the model. What was not tested by us, a
// library or a model, is tried in a child process before.
func withONNXRuntime(ctx context.Context, m *model.Model, cfg configs.Detector) (*nodeDetector, error) {
	path, err := onnx.Find(cfg.Library)
	if err != nil {
		return nil, err
	}
	if m.Name() == "" || !onnx.Pinned(path) {
		if err := tryApart(ctx, path, cfg); err != nil {
			return nil, err
		}
	}
	return openONNXRuntime(path, m, cfg)
}

func openONNXRuntime(path string, m *model.Model, cfg configs.Detector) (*nodeDetector, error) {
	if err := onnx.Load(path); err != nil {
		return nil, err
	}
	d, err := model.NewDetector(m, cfg.Workers, func(m *model.Model) (model.Engine, error) { return onnx.Open(m, cfg.Threads) })
	if err != nil {
		return nil, err
	}
	return &nodeDetector{Detector: d, runtime: "ONNX Runtime " + onnx.Version() + ", " + path}, nil
}
