//go:build cgo

package opencv

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed" // the model
	"encoding/hex"
	"fmt"
	"io"
)

// builtInSum is the SHA-256 of the built-in model, unpacked.
const builtInSum = "d578dca4575316433ad028ce9d87c9ab62aec4389c39018ae50dcdc2500a8342"

//go:embed models/nanodet_g_416.onnx.gz
var packedModel []byte

// DefaultModel returns the built-in model, NanoDet-g for 416 x 416 pixels, as an
// ONNX file of 15 MB. models/NOTICE says where it comes from. The caller owns
// the bytes.
func DefaultModel() ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packedModel))
	if err != nil {
		return nil, fmt.Errorf("built-in model: %w; this binary is damaged: install it again", err)
	}
	model, err := io.ReadAll(z)
	if err == nil && !isBuiltIn(model) {
		err = fmt.Errorf("its SHA-256 is not %s", builtInSum)
	}
	if err != nil {
		return nil, fmt.Errorf("built-in model: %w; this binary is damaged: install it again", err)
	}
	return model, nil
}

// isBuiltIn says whether these are the bytes of the built-in model.
func isBuiltIn(model []byte) bool {
	sum := sha256.Sum256(model)
	return hex.EncodeToString(sum[:]) == builtInSum
}
