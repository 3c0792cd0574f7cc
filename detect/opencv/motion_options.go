package opencv

import "github.com/sharpeyes/sharpeyes/detect"

// MotionOptions are what NewMotion works with.
type MotionOptions struct {
	Threshold int              // configs.Motion.Threshold: 20 stands for 4 standard deviations of the pixel's own noise, others in proportion. Default: 20
	MinArea   float64          // share of the picture, 0..1, that a region must cover. Default: 0.0005
	History   int              // instants that the scene is remembered for; what stands for a tenth of it is scene. Default: 200
	Masks     []detect.Polygon // what they touch is never looked at. Default: none
}
