package configs

import (
	"fmt"
	"io"

	"github.com/goccy/go-yaml"
)

// Print writes the effective values of c to w as YAML: every default filled in,
// each camera with the settings it really has, secrets as "***" and addresses
// without passwords. c is not changed.
func Print(w io.Writer, c *Config) error {
	shown := *c
	if c.Edge != nil {
		edge := *c.Edge
		edge.Cameras = make([]Camera, len(c.Edge.Cameras))
		for i, cam := range c.Edge.Cameras {
			cam = cam.Effective(edge.Defaults)
			cam.URL, cam.SubstreamURL = Mask(cam.URL), Mask(cam.SubstreamURL)
			edge.Cameras[i] = cam
		}
		shown.Edge = &edge
	}
	text, err := yaml.MarshalWithOptions(&shown, yaml.Indent(2), yaml.IndentSequence(true), yaml.OmitZero())
	if err != nil {
		return fmt.Errorf("print configuration: %w", err)
	}
	if _, err := w.Write(text); err != nil {
		return fmt.Errorf("print configuration: %w", err)
	}
	return nil
}
