package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/detect/model"
)

// loadModel returns the configured model: a built-in one, or a file with its
// labels.
func loadModel(cfg configs.Detector) (*model.Model, error) {
	if !cfg.OwnModel() {
		return model.BuiltIn(cfg.Model)
	}
	data, err := os.ReadFile(cfg.Model)
	if err != nil {
		return nil, fmt.Errorf("edge.detector.model: %w; name an ONNX file, or leave it empty for the built-in model", err)
	}
	names := cfg.Labels
	if cfg.LabelsFile != "" {
		if names, err = readLabels(cfg.LabelsFile); err != nil {
			return nil, err
		}
	}
	m, err := model.New(model.Options{Data: data, Head: cfg.Head, Labels: names, InputSize: cfg.InputSize})
	if err != nil {
		return nil, fmt.Errorf("edge.detector: %w", err)
	}
	return m, nil
}

// readLabels reads a file with one label a line. An empty line holds its place:
// it is a class that is dropped.
func readLabels(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("edge.detector.labels_file: %w; write the path of a file with one label a line", err)
	}
	var names []string
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		names = append(names, strings.TrimSpace(lines.Text()))
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("edge.detector.labels_file: %w; write one label a line", err)
	}
	return names, nil
}
