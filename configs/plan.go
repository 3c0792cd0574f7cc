package configs

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Plan is what a reload from one configuration to another does. Cameras that
// are in none of the lists are not touched.
type Plan struct {
	Start    []CameraChange // connected from now on
	Stop     []CameraChange // connected no longer
	Change   []CameraChange // restarted, or a record that is kept without a connection
	Devices  []string       // devices of GB/T 28181 that may register, taken at once
	Settings []string       // keys whose change needs a restart of the program
}

// CameraChange is one camera of a Plan.
type CameraChange struct {
	ID   string
	Keys []string // what differs, sorted as in the file; empty for a camera that is new or gone
	Note string   // why, in words; may be empty
}

// Empty reports whether the plan does nothing.
func (p Plan) Empty() bool {
	return len(p.Start)+len(p.Stop)+len(p.Change)+len(p.Devices)+len(p.Settings) == 0
}

// String returns the plan for an operator, one line for each camera and key,
// without any value: no secret can be in it.
func (p Plan) String() string {
	if p.Empty() {
		return "nothing changes\n"
	}
	var b strings.Builder
	for _, part := range []struct {
		verb string
		list []CameraChange
	}{{"start", p.Start}, {"stop", p.Stop}, {"change", p.Change}} {
		for _, c := range part.list {
			fmt.Fprintf(&b, "%-8scamera %s", part.verb, c.ID)
			if len(c.Keys) > 0 {
				b.WriteString(": " + strings.Join(c.Keys, ", "))
			}
			if c.Note != "" {
				b.WriteString(" (" + c.Note + ")")
			}
			b.WriteByte('\n')
		}
	}
	for _, key := range p.Devices {
		fmt.Fprintf(&b, "%-8s%s\n", "change", key)
	}
	for _, key := range p.Settings {
		fmt.Fprintf(&b, "%-8s%s\n", "restart", key)
	}
	return b.String()
}

// Diff says what a reload from from to to does. Either may be nil: no
// configuration. Both are as Load returns them. Cameras are compared with the
// settings they really have, so a changed edge.defaults shows at each camera it
// touches; the order of cameras does not matter. A secret differs when its value
// does, wherever it stands.
func Diff(from, to *Config) Plan {
	var p Plan
	before, after := cameras(from), cameras(to)
	left := make(map[string]Camera, len(before))
	for _, c := range before {
		left[c.ID] = c
	}
	for _, c := range after {
		old, was := left[c.ID]
		delete(left, c.ID)
		p.camera(old, was, c)
	}
	for _, c := range before { // in the order of the file
		if _, gone := left[c.ID]; !gone {
			continue
		}
		if c.Connects() {
			p.Stop = append(p.Stop, CameraChange{ID: c.ID, Note: "removed"})
		} else {
			p.Change = append(p.Change, CameraChange{ID: c.ID, Note: "removed, was not connected"})
		}
	}
	if from != nil && to != nil {
		for _, key := range settingsDiff(*from, *to) {
			if strings.HasPrefix(key, "edge.gb28181.devices") {
				p.Devices = append(p.Devices, key)
			} else {
				p.Settings = append(p.Settings, key)
			}
		}
	}
	return p
}

// camera sorts one camera of the new configuration into the plan.
func (p *Plan) camera(old Camera, was bool, c Camera) {
	if !was {
		if c.Connects() {
			p.Start = append(p.Start, CameraChange{ID: c.ID, Note: "new"})
		} else {
			p.Change = append(p.Change, CameraChange{ID: c.ID, Note: "new, " + notConnected(c)})
		}
		return
	}
	keys := differences(reflect.ValueOf(old), reflect.ValueOf(c), "")
	if len(keys) == 0 {
		return
	}
	change := CameraChange{ID: c.ID, Keys: keys}
	switch {
	case old.Connects() && !c.Connects():
		change.Note = notConnected(c)
		p.Stop = append(p.Stop, change)
	case !old.Connects() && c.Connects():
		p.Start = append(p.Start, change)
	default:
		if !c.Connects() {
			change.Note = notConnected(c)
		}
		p.Change = append(p.Change, change)
	}
}

func notConnected(c Camera) string {
	if c.Disabled {
		return "disabled"
	}
	return "legal_basis A33 is never connected"
}

// cameras returns the cameras of c with the settings they really have.
func cameras(c *Config) []Camera {
	if c == nil || c.Edge == nil {
		return nil
	}
	list := make([]Camera, len(c.Edge.Cameras))
	for i, cam := range c.Edge.Cameras {
		list[i] = cam.Effective(c.Edge.Defaults)
	}
	return list
}

// settingsDiff returns the keys outside the cameras that differ. edge.defaults
// is left out: it acts through the cameras alone.
func settingsDiff(from, to Config) []string {
	for _, c := range []*Config{&from, &to} {
		if c.Edge != nil {
			edge := *c.Edge
			edge.Cameras, edge.Defaults = nil, Stream{}
			c.Edge = &edge
		}
	}
	return differences(reflect.ValueOf(from), reflect.ValueOf(to), "")
}

// differences returns the paths of the fields in which a and b, of one struct
// type, differ. Lists whose items have an ID name the items: rules[door].
func differences(a, b reflect.Value, prefix string) []string {
	var keys []string
	for _, f := range orderedFields(a.Type()) {
		x, y := a.Field(f.index), b.Field(f.index)
		path := prefix + f.key
		switch {
		case f.goType == secretType:
			if x.Interface().(Secret).Value() != y.Interface().(Secret).Value() {
				keys = append(keys, path)
			}
		case f.goType.Kind() == reflect.Struct:
			keys = append(keys, differences(x, y, path+".")...)
		case f.goType.Kind() == reflect.Pointer && f.goType.Elem().Kind() == reflect.Struct && !x.IsNil() && !y.IsNil():
			keys = append(keys, differences(x.Elem(), y.Elem(), path+".")...)
		case f.goType.Kind() == reflect.Slice && f.goType.Elem().Kind() == reflect.Struct:
			keys = append(keys, listDifferences(x, y, path)...)
		case f.goType.Kind() == reflect.Slice && x.Len() == 0 && y.Len() == 0: // nil and [] mean the same
		case !reflect.DeepEqual(x.Interface(), y.Interface()):
			keys = append(keys, path)
		}
	}
	return keys
}

func orderedFields(t reflect.Type) []field {
	set := fieldsOf(t)
	list := make([]field, len(set.keys))
	for i, key := range set.keys {
		list[i] = set.byKey[key]
	}
	return list
}

// itemID names one item of a list: of Zone, Line and Rule its ID.
func itemID(v reflect.Value) string {
	if d, ok := v.Interface().(GB28181Device); ok {
		return d.key()
	}
	return v.FieldByName("ID").String()
}

// listDifferences compares lists of structs with an ID. Order counts only when
// nothing else differs.
func listDifferences(a, b reflect.Value, path string) []string {
	byID := make(map[string]reflect.Value, a.Len())
	for i := range a.Len() {
		byID[itemID(a.Index(i))] = a.Index(i)
	}
	var keys []string
	for i := range b.Len() {
		id := itemID(b.Index(i))
		old, was := byID[id]
		delete(byID, id)
		if !was || len(differences(old, b.Index(i), "")) > 0 {
			keys = append(keys, path+"["+id+"]")
		}
	}
	for id := range byID {
		keys = append(keys, path+"["+id+"]")
	}
	slices.Sort(keys)
	if len(keys) == 0 && a.Len() > 0 && !reflect.DeepEqual(a.Interface(), b.Interface()) {
		keys = append(keys, path)
	}
	return keys
}
