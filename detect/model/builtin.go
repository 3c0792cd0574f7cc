//go:build cgo

package model

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed" // the models
	"encoding/hex"
	"fmt"
	"io"
)

//go:embed models/nanodet_g_416.onnx.gz
var packedNanoDet []byte

//go:embed models/ssd_mbv2_oidv4_300.onnx.gz
var packedSSD []byte

// BuiltIn returns a built-in model: "builtin" (or "") is NanoDet-g for 416 x 416
// pixels, the one to start with; "light" is SSD-MobileNetV2 of Open Images v4 for
// 300 x 300, which costs half, sees vehicles from above better, and knows no bus,
// truck, train, motorcycle, boat, horse or sheep. models/NOTICE says where they
// come from. Unpacking takes a tenth of a second and 15 to 20 MB.
func BuiltIn(name string) (*Model, error) {
	var packed []byte
	var m *Model
	switch name {
	case "", "builtin":
		packed, m = packedNanoDet, &Model{name: "builtin", head: nanodet{cocoLabels()}, probes: nanodetProbes()}
	case "light":
		packed, m = packedSSD, &Model{name: "light", head: newSSD(openImagesLabels()), probes: ssdProbes()}
	default:
		return nil, fmt.Errorf("detector.model: there is no built-in model %q; write builtin or light, or the path of a file", name)
	}
	err := m.unpack(packed)
	if err != nil {
		return nil, fmt.Errorf("built-in model: %w; this binary is damaged: install it again", err)
	}
	return m, nil
}

// unpack reads the file of a built-in model.
func (m *Model) unpack(packed []byte) error {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return err
	}
	if m.data, err = io.ReadAll(z); err != nil {
		return err
	}
	if want := builtInSum(m.name); sum(m.data) != want {
		return fmt.Errorf("its SHA-256 is not %s", want)
	}
	if m.graph, err = inspect(m.data); err != nil {
		return err
	}
	m.size, err = m.graph.inputSize(0)
	return err
}

// builtInSum returns the SHA-256 of a built-in model, unpacked.
func builtInSum(name string) string {
	if name == "light" {
		return "d16033d41cf0788013299ea61e150146d3ba5a931da779bab89ca7710df4a3cf"
	}
	return "d578dca4575316433ad028ce9d87c9ab62aec4389c39018ae50dcdc2500a8342"
}

// sum returns the SHA-256 of a file in hex.
func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}
