package main

import (
	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/detect/opencv"
)

// newMotion makes the motion finder that the camera's configuration asks for, and
// what frees it when the camera's analyser has ended.
func newMotion(cam configs.Camera) (detect.MotionFinder, func(), error) {
	if cam.Motion.Method != configs.MotionMOG2 {
		return detect.NewCellMotion(cam.Motion, cam.Masks), func() {}, nil
	}
	m, err := opencv.NewMotion(opencv.MotionOptions{
		Threshold: cam.Motion.Threshold, MinArea: cam.Motion.MinArea, Masks: detect.NewPolygons(cam.Masks),
	})
	if err != nil {
		return nil, nil, err
	}
	return m, m.Close, nil
}
