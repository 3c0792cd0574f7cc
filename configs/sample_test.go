package configs

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

var sampleNames = []string{"edge", "center", "standalone"}

func TestSamplesLoad(t *testing.T) {
	for _, name := range sampleNames {
		c, err := Load(name+".yaml", Options{Getenv: func(string) string { return "" }})
		require.NoError(t, err)
		require.Equal(t, name != "center", c.Edge != nil, name)
		require.Equal(t, name != "edge", c.Center != nil, name)
		text, err := Sample(name)
		require.NoError(t, err)
		embedded, err := load(text, name, "/", Options{})
		require.NoError(t, err)
		require.True(t, Diff(embedded, c).Empty(), "the embedded sample is the committed one: %s", Diff(embedded, c))
	}
	_, err := Sample("demo")
	require.ErrorContains(t, err, "edge, center and standalone")
}

// Every key of the structures stands in the sample of its section, and what
// stands there is the default, so the samples are the manual.
func TestSamplesShowEveryKey(t *testing.T) {
	for name, sections := range map[string][]string{"edge": {"edge"}, "center": {"center"}, "standalone": {"edge", "center"}} {
		text, err := Sample(name)
		require.NoError(t, err)
		missing := missingKeys(t, text, sections)
		require.Empty(t, missing, name)
		broken := bytes.Replace(text, []byte("group: center"), nil, 1)
		require.Equal(t, []string{"Redis.group"}, missingKeys(t, broken, sections), "the test would see it")
	}
}

// missingKeys returns the keys of the structures under sections that text does
// not show; keys that are commented out count as shown.
func missingKeys(t *testing.T, text []byte, sections []string) []string {
	t.Helper()
	text = regexp.MustCompile(`(?m)^(\s*)# (stream: both|head: nanodet|input_size: 416)`).ReplaceAll(text, []byte("$1$2"))
	root, problem := parseYAML(text)
	require.Nil(t, problem)
	doc := newDocument(root)
	shown := map[string]bool{}
	var walk func(p *place, t reflect.Type)
	walk = func(p *place, t reflect.Type) {
		switch t.Kind() {
		case reflect.Pointer:
			walk(p, t.Elem())
		case reflect.Slice:
			items, _ := doc.items(doc.at(p))
			for i := range items {
				walk(p.item(i), t.Elem())
			}
		case reflect.Struct:
			for _, f := range orderedFields(t) {
				if at := p.to(f.key); doc.has(at) {
					shown[t.Name()+"."+f.key] = true
					walk(at, f.goType)
				}
			}
		}
	}
	walk(nil, reflect.TypeFor[Config]())
	var missing []string
	for _, t := range structs() {
		if (t.Name() == "Center" || t.Name() == "Pictures") && !contains(sections, "center") || !contains(sections, "edge") &&
			!contains([]string{"Config", "Log", "Redis", "Secret", "Center", "Pictures"}, t.Name()) {
			continue
		}
		for _, f := range orderedFields(t) {
			if contains(sections, "center") && (strings.HasPrefix(t.Name(), "GB28181") || f.key == "gb28181") {
				continue // a section that listens: whoever wants it takes it from edge.yaml
			}
			if t.Name() == "Config" && (f.key == "edge" || f.key == "center") && !contains(sections, f.key) {
				continue
			}
			if !shown[t.Name()+"."+f.key] {
				missing = append(missing, t.Name()+"."+f.key)
			}
		}
	}
	return missing
}

func contains(list []string, word string) bool {
	return strings.Contains("\n"+strings.Join(list, "\n")+"\n", "\n"+word+"\n")
}

// The samples write the defaults: without its values a file means the same.
func TestSamplesWriteTheDefaults(t *testing.T) {
	for _, name := range sampleNames {
		text, err := Sample(name)
		require.NoError(t, err)
		c, err := load(text, name, "/", Options{})
		require.NoError(t, err)
		bare := "node: " + c.Node + "\n"
		if c.Edge != nil && c.Edge.GB28181 != nil {
			bare += "edge: {gb28181: {id: '" + c.Edge.GB28181.ID + "'}}\n"
		} else if c.Edge != nil {
			bare += "edge: {}\n"
		}
		if c.Center != nil {
			bare += "center: {}\n"
		}
		if len(c.Redis.Addresses) > 0 {
			bare += "redis: {addresses: ['127.0.0.1:6379']}\n"
		}
		plain, err := loadText(bare)
		require.NoError(t, err)
		if c.Edge != nil && c.Edge.GB28181 != nil {
			plain.Edge.GB28181.Devices = c.Edge.GB28181.Devices // these have no defaults to show
		}
		require.Empty(t, Diff(plain, c).Settings, name)
		if c.Edge != nil {
			require.Equal(t, plain.Edge.Defaults, c.Edge.Defaults)
			fresh, err := loadText(camera("rules: [{id: f, kind: camera_fault}]"))
			require.NoError(t, err)
			require.Equal(t, fresh.Edge.Cameras[0].Motion, c.Edge.Cameras[0].Motion)
		}
	}
}

func TestSamplesAreBilingualAndShort(t *testing.T) {
	for _, name := range sampleNames {
		text, err := Sample(name)
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			require.LessOrEqual(t, len([]rune(line)), 125, line)
		}
	}
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("config.json", doc))
	schema, err := compiler.Compile("config.json")
	require.NoError(t, err)
	return schema
}

// asJSON returns the YAML text as the validator wants it.
func asJSON(t *testing.T, text string) any {
	t.Helper()
	inJSON, err := yaml.YAMLToJSON([]byte(text))
	require.NoError(t, err)
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(inJSON))
	require.NoError(t, err)
	return v
}

func TestSchemaTakesWhatLoadTakes(t *testing.T) {
	schema := compileSchema(t)
	for _, name := range sampleNames {
		text, err := Sample(name)
		require.NoError(t, err)
		require.NoError(t, schema.Validate(asJSON(t, string(text))), name)
		c, err := load(text, name, "/", Options{})
		require.NoError(t, err)
		var printed bytes.Buffer
		require.NoError(t, Print(&printed, c))
		require.NoError(t, schema.Validate(asJSON(t, printed.String())), name)
	}
	for _, d := range []string{"0s", "1d12h", "1.5h", "250ms"} {
		require.NoError(t, schema.Validate(asJSON(t, zoned("kind: zone_entry\ncooldown: "+d))), d)
	}
}

func TestSchemaRefusesWhatLoadRefuses(t *testing.T) {
	schema := compileSchema(t)
	for name, text := range map[string]string{
		"unknown key":       camera("graet: 1"),
		"unknown inner key": camera("settings: {tranpsort: tcp}"),
		"missing key":       "edge: {cameras: [{id: a}]}",
		"enum":              camera("legal_basis: A8"),
		"range":             camera("lat: 91\nlon: 1"),
		"minimum":           camera("motion: {threshold: 0}"),
		"duration":          camera("settings: {timeout: '10'}"),
		"empty duration":    camera("settings: {timeout: ''}"),
		"size":              "edge: {outbox: {max_bytes: 5}}",
		"point":             camera("zones: [{id: z, points: [[0, 0], [2, 0], [1, 1]]}]"),
		"two points":        camera("zones: [{id: z, points: [[0, 0], [1, 0]]}]"),
		"mask":              camera("privacy_masks: [[[0, 0], [1, 0]]]"),
		"class":             zoned("kind: zone_entry\nclasses: [face]"),
		"camera ID":         "edge: {cameras: [{id: a_b, name: a, url: 'rtsp://h/', division: '360921100001'}]}",
		"division":          "edge: {cameras: [{id: a, name: a, url: 'rtsp://h/', division: '36092110000'}]}",
		"plain password":    camera("password: hunter2"),
		"empty timezone":    "timezone: ''",
		"long":              camera("place: " + strings.Repeat("x", 257)),
		"null":              camera("place: null"),
		"too many rules":    camera("rules: [" + strings.TrimSuffix(strings.Repeat("{id: a, kind: dwell}, ", 65), ", ") + "]"),
	} {
		require.Error(t, schema.Validate(asJSON(t, text)), name)
		_, err := loadText(text)
		require.Error(t, err, name)
	}
}

// Editors show what the schema says: every key has a type or a reference, and
// every plain key a description; defaults are those of the loader.
func TestSchemaDescribesEveryKey(t *testing.T) {
	var schema struct {
		Defs map[string]struct {
			AdditionalProperties *bool
			Properties           map[string]struct {
				Description, Ref string
				Default          any
			}
		} `json:"$defs"`
	}
	require.NoError(t, json.Unmarshal(Schema(), &schema))
	for _, st := range structs() {
		def, ok := schema.Defs[st.Name()]
		require.True(t, ok, st.Name())
		require.NotNil(t, def.AdditionalProperties, st.Name())
		require.False(t, *def.AdditionalProperties, st.Name())
		require.Len(t, def.Properties, len(fieldsOf(st).keys), st.Name())
		for key, p := range def.Properties {
			f := fieldsOf(st).byKey[key]
			nested := f.goType.Kind() == reflect.Struct || f.goType.Kind() == reflect.Pointer || f.goType.Kind() == reflect.Slice && f.goType.Elem().Kind() == reflect.Struct
			require.True(t, p.Description != "" || nested, "%s.%s has no description", st.Name(), key)
		}
	}
	require.Equal(t, "10s", schema.Defs["Stream"].Properties["timeout"].Default)
	require.Equal(t, "1GiB", schema.Defs["Outbox"].Properties["max_bytes"].Default)
	require.Equal(t, 20.0, schema.Defs["Motion"].Properties["threshold"].Default)
	require.Equal(t, "unknown", schema.Defs["Camera"].Properties["legal_basis"].Default)
}

// The tags are the law of the loader: a slip in one must not pass silently.
func TestTagsAreSound(t *testing.T) {
	for _, st := range structs() {
		for _, f := range fieldsOf(st).byKey {
			name := st.Name() + "." + f.key
			sf := st.Field(f.index)
			jsonKey, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
			require.Equal(t, f.key, jsonKey, "%s: the same key in YAML and JSON", name)
			base := f.goType
			if base.Kind() == reflect.Pointer {
				base = base.Elem()
			}
			switch base.Kind() {
			case reflect.Int, reflect.Int64, reflect.Float64:
				low, high, ok := f.bounds()
				require.True(t, ok && low < high, "%s: limit %q", name, f.limit)
			case reflect.Slice:
				low, high, ok := f.itemBounds()
				require.True(t, ok && low < high, "%s: items %q", name, f.items)
			}
			if f.form != "" {
				require.Contains(t, forms, f.form, name)
			}
			require.Positive(t, f.maxChars(), name)
		}
	}
}

// A zero field means the default; so where the default is not zero, a zero that
// is written must be refused, or it would silently become something else.
func TestZeroNeverHidesADefault(t *testing.T) {
	types := append(structs(), reflect.TypeFor[Rule]())
	defaults := func(i int, st reflect.Type) []any {
		if i == len(types)-1 {
			return []any{defaultRule(kindZoneEntry), defaultRule(kindLineCross), defaultRule(kindDwell), defaultRule(kindMotionInSchedule), defaultRule(kindCameraFault)}
		}
		return []any{defaultsOf(st)}
	}
	checked := 0
	for i, st := range types {
		for _, def := range defaults(i, st) {
			if def == nil {
				continue
			}
			for _, f := range fieldsOf(st).byKey {
				if !isScalar(f.goType) || reflect.ValueOf(def).Field(f.index).IsZero() {
					continue
				}
				checked++
				switch f.goType.Kind() {
				case reflect.String:
					what, _ := f.checkText("")
					require.NotEmpty(t, what, "%s.%s takes an empty text", st.Name(), f.key)
				case reflect.Bool:
					require.Fail(t, "a switch cannot default to true", "%s.%s", st.Name(), f.key)
				default:
					require.False(t, f.inRange(0), "%s.%s takes 0", st.Name(), f.key)
				}
				if f.goType.Kind() == reflect.String {
					what, _ := f.checkText(reflect.ValueOf(def).Field(f.index).String())
					require.Empty(t, what, "the default of %s.%s", st.Name(), f.key)
				}
			}
		}
	}
	require.Greater(t, checked, 30)
}
