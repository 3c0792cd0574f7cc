package api

import _ "embed" // for the description of the HTTP interface

//go:embed openapi.yaml
var description string

// Description returns the OpenAPI 3.1 description of the center's HTTP
// interface in YAML. The caller owns the copy.
func Description() []byte { return []byte(description) }
