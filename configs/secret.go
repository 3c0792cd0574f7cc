package configs

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// masked stands for a secret wherever one would be shown.
const masked = "***"

// Secret names where a secret stands; it never holds the secret itself in a
// file. Exactly one of Env and File, or neither for no secret. However it is
// printed, logged or marshalled, only "***" comes out.
type Secret struct {
	Env  string `yaml:"env" json:"env,omitempty" jsonschema_description:"Name of an environment variable that holds the secret."`
	File string `yaml:"file" json:"file,omitempty" jsonschema_description:"Path of a file that holds the secret, relative to the configuration file; one line end after it is cut off."`

	// value is a pointer because fmt calls no methods on what stands in an
	// unexported field of somebody's struct: there it prints the address.
	value *string
}

// SecretValue returns a Secret that holds value, for callers that have no file
// to load it from.
func SecretValue(value string) Secret { return Secret{}.With(value) }

// With returns s with value as what it resolves to. Load does this; so do
// tests.
func (s Secret) With(value string) Secret {
	s.value = &value
	return s
}

// Value returns the resolved secret, "" when none is configured.
func (s Secret) Value() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Set reports whether a secret is configured, resolved or not.
func (s Secret) Set() bool { return s.Env != "" || s.File != "" || s.value != nil }

// IsZero reports that no secret is configured; the YAML encoder leaves such a
// field out, and would leave out a resolved one without it.
func (s Secret) IsZero() bool { return !s.Set() }

// String returns "***", or "" when no secret is configured.
func (s Secret) String() string {
	if s.Set() {
		return masked
	}
	return ""
}

// GoString implements fmt.GoStringer with the same mask as String.
func (s Secret) GoString() string { return fmt.Sprintf("configs.Secret{%s}", s.String()) }

// Format implements fmt.Formatter, so that no verb reaches the fields.
func (s Secret) Format(f fmt.State, verb rune) {
	text := s.String()
	if verb == 'v' && f.Flag('#') {
		text = s.GoString()
	}
	_, _ = io.WriteString(f, text) // a fmt.State reports no error
}

// LogValue implements slog.LogValuer with the same mask as String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalYAML gives the mask, or an empty mapping when no secret is configured.
func (s Secret) MarshalYAML() (any, error) {
	if s.Set() {
		return masked, nil
	}
	return struct{}{}, nil
}

// MarshalJSON gives the mask, or an empty object when no secret is configured.
func (s Secret) MarshalJSON() ([]byte, error) {
	if s.Set() {
		return json.Marshal(masked)
	}
	return []byte("{}"), nil
}
