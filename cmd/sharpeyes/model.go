package main

import (
	"fmt"
	"os"

	"github.com/sharpeyes/sharpeyes/detect/opencv"
)

// readModel returns the bytes of the configured model, or of the built-in one.
func readModel(path string) ([]byte, error) {
	if path == "" {
		return opencv.DefaultModel()
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("edge.detector.model: %w; name an ONNX file, or leave it empty for the built-in model", err)
	}
	return b, nil
}
