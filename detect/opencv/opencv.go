// Package opencv computes detection models with OpenCV's DNN module, and finds
// motion with its MOG2, through gocv. It is one of the two rooms that hold C. It
// decodes no stream, keeps no picture and knows no camera; no OpenCV type leaves
// it. What a model's input and output mean is detect/model's.
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
