//go:build !cgo

package model

import "github.com/sharpeyes/sharpeyes/detect"

// BuiltIn returns detect.ErrNoCgo: a program built without cgo has no engine and
// does not carry the models.
func BuiltIn(string) (*Model, error) { return nil, detect.ErrNoCgo }
