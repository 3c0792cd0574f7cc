package configs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"
)

// Schema returns the JSON Schema (2020-12) of a configuration file, indented,
// for editors: "# yaml-language-server: $schema=FILE" on the first line of a
// file. It is made from the same tags as the checks of Load, which see more: what
// belongs together, and the files referred to.
func Schema() []byte {
	r := jsonschema.Reflector{
		Anonymous: true,
		Mapper:    schemaOf,
	}
	s := r.Reflect(&Config{})
	s.Title = "sharpeyes configuration"
	for _, t := range structs() {
		def := s.Definitions[t.Name()]
		defaults := reflect.ValueOf(defaultsOf(t))
		for _, f := range fieldsOf(t).byKey {
			property, ok := def.Properties.Get(f.key)
			if !ok {
				continue
			}
			f.constrain(property)
			if defaults.IsValid() && !defaults.Field(f.index).IsZero() && isScalar(f.goType) {
				property.Default = defaults.Field(f.index).Interface()
			}
		}
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // the patterns stay readable
	enc.SetIndent("", "  ")
	if err := enc.Encode(s); err != nil {
		// Only strings, numbers and maps go in: this cannot happen, and a test
		// encodes it.
		return nil
	}
	return out.Bytes()
}

// structs returns every structure of a file.
func structs() []reflect.Type {
	return []reflect.Type{
		reflect.TypeFor[Config](), reflect.TypeFor[Log](), reflect.TypeFor[Redis](), reflect.TypeFor[Secret](),
		reflect.TypeFor[Edge](), reflect.TypeFor[Outbox](), reflect.TypeFor[Detector](), reflect.TypeFor[Stream](),
		reflect.TypeFor[Camera](), reflect.TypeFor[CameraTLS](), reflect.TypeFor[Motion](), reflect.TypeFor[Gate](), reflect.TypeFor[Zone](),
		reflect.TypeFor[Line](), reflect.TypeFor[Rule](), reflect.TypeFor[Center](), reflect.TypeFor[Pictures](),
		reflect.TypeFor[GB28181](), reflect.TypeFor[GB28181TLS](), reflect.TypeFor[GB28181Media](), reflect.TypeFor[GB28181Device](),
	}
}

// defaultsOf returns the defaults of t, nil for a structure that has none of its
// own. Of a rule only those that hold for every kind.
func defaultsOf(t reflect.Type) any {
	switch t {
	case reflect.TypeFor[Config]():
		return defaultConfig()
	case reflect.TypeFor[Log]():
		return defaultConfig().Log
	case reflect.TypeFor[Redis]():
		return defaultConfig().Redis
	case reflect.TypeFor[Edge]():
		return defaultEdge()
	case reflect.TypeFor[Outbox]():
		return defaultEdge().Outbox
	case reflect.TypeFor[Detector]():
		return defaultEdge().Detector
	case reflect.TypeFor[Stream]():
		return defaultStream()
	case reflect.TypeFor[Camera]():
		return defaultCamera()
	case reflect.TypeFor[Motion]():
		return defaultCamera().Motion
	case reflect.TypeFor[Gate]():
		return defaultStream().Gate
	case reflect.TypeFor[Rule]():
		return Rule{CloseAfter: defaultRule("").CloseAfter, Level: defaultRule("").Level}
	case reflect.TypeFor[GB28181]():
		return defaultGB28181()
	case reflect.TypeFor[GB28181TLS]():
		return defaultGB28181().TLS
	case reflect.TypeFor[GB28181Media]():
		return defaultGB28181().Media
	case reflect.TypeFor[Center]():
		return defaultCenter()
	case reflect.TypeFor[Pictures]():
		return defaultCenter().Pictures
	}
	return nil
}

// isScalar reports whether t stands in a file as one value.
func isScalar(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct, reflect.Slice, reflect.Array, reflect.Pointer:
		return false
	}
	return true
}

// schemaOf gives the types that stand in a file as text or as a pair their
// schema; nil leaves a type to the reflector.
func schemaOf(t reflect.Type) *jsonschema.Schema {
	switch t {
	case durationType:
		return &jsonschema.Schema{
			Type: "string", Pattern: `^([0-9]+d)?([0-9]+(\.[0-9]+)?(h|m|s|ms|us|µs|ns))*$`,
			MinLength: new(uint64(2)), Examples: []any{"90s", "3m", "720h", "30d"},
		}
	case bytesType:
		return &jsonschema.Schema{
			Type: "string", Pattern: `^[0-9]+ ?(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$`,
			Examples: []any{"1GiB", "512MB"},
		}
	case pointType:
		return &jsonschema.Schema{
			Type: "array", MinItems: new(uint64(2)), MaxItems: new(uint64(2)),
			Items:       &jsonschema.Schema{Type: "number", Minimum: "0", Maximum: "1"},
			Description: "[x, y], 0 to 1 from the left and the top of the picture.",
		}
	}
	return nil
}

// constrain puts what the tags of f say into its schema.
func (f field) constrain(s *jsonschema.Schema) {
	if f.limit != "" {
		if f.goType == durationType || f.goType == bytesType {
			s.Description = strings.TrimSpace(s.Description + " Range: " + f.rangeText() + ".")
		} else {
			low, high, _ := strings.Cut(f.limit, "..")
			s.Minimum, s.Maximum = json.Number(low), json.Number(high)
		}
	}
	text := s
	if low, high, ok := f.itemBounds(); ok {
		s.MaxItems = new(uint64(high))
		if low > 0 {
			s.MinItems = new(uint64(low))
		}
		text = s.Items
		if text != nil && text.Type == "array" && f.goType.Elem().Kind() == reflect.Slice {
			inner := field{items: maskPoints}
			low, high, _ := inner.itemBounds()
			text.MinItems, text.MaxItems = new(uint64(low)), new(uint64(high))
		}
	}
	if text == nil || text.Type != "string" || len(f.enum) > 0 || f.goType == durationType || f.goType == bytesType {
		return
	}
	text.MaxLength = new(uint64(f.maxChars()))
	if form, ok := forms[f.form]; ok && form.pattern != "" {
		text.Pattern = form.pattern
		if form.mayBeEmpty {
			text.Pattern = fmt.Sprintf("^$|%s", form.pattern)
		}
	}
}
