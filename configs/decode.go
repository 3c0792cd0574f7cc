package configs

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// maxAliasNodes bounds the values that aliases may repeat, all together.
const maxAliasNodes = 1_000_000

// decoder fills the structures from a document and notes every problem instead
// of stopping at the first.
type decoder struct {
	doc      *document
	problems *collector
	fields   map[reflect.Type]fieldSet // what the tags say, read once for each struct
	inAlias  int                       // depth of aliases around the value at hand
	repeated int                       // values read by way of an alias
	spent    bool
}

var (
	durationType = reflect.TypeFor[Duration]()
	bytesType    = reflect.TypeFor[Bytes]()
	secretType   = reflect.TypeFor[Secret]()
	pointType    = reflect.TypeFor[Point]()
)

// value reads n into v, which obeys f, and stands at p. It reports whether n was
// good; v keeps its value where it was not.
func (d *decoder) value(n ast.Node, v reflect.Value, f field, p *place) bool {
	if d.spent {
		return false
	}
	if anchor, ok := n.(*ast.AnchorNode); ok {
		return d.value(anchor.Value, v, f, p)
	}
	if alias, ok := n.(*ast.AliasNode); ok {
		return d.alias(alias, v, f, p)
	}
	if d.inAlias > 0 {
		if d.repeated++; d.repeated > maxAliasNodes {
			d.spent = true
			d.add(n, nil, fmt.Sprintf("aliases repeat more than %d values", maxAliasNodes), "write the values once, or use fewer aliases in aliases")
			return false
		}
	}
	if _, isNull := n.(*ast.NullNode); isNull || n == nil {
		return d.empty(tokenOf(n), p)
	}
	switch v.Type() {
	case secretType:
		if _, isMap := n.(*ast.MappingNode); !isMap {
			d.add(n, p, "names no environment variable and no file", "a secret never stands in this file: write {env: NAME} or {file: PATH}")
			return false
		}
	case durationType:
		return d.duration(n, v, f, p)
	case bytesType:
		return d.bytes(n, v, f, p)
	case pointType:
		return d.point(n, v, p)
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return d.value(n, v.Elem(), f, p)
	case reflect.Struct:
		return d.structure(n, v, p)
	case reflect.Slice:
		return d.list(n, v, f, p)
	case reflect.String:
		return d.text(n, v, f, p)
	case reflect.Bool:
		return d.boolean(n, v, p)
	case reflect.Int:
		return d.integer(n, v, f, p)
	default:
		return d.number(n, v, f, p)
	}
}

func (d *decoder) empty(tk *token.Token, p *place) bool {
	d.addAt(tk, p, "has no value", "write one, or remove the key to get the default")
	return false
}

// alias reads the value an alias leads to.
func (d *decoder) alias(alias *ast.AliasNode, v reflect.Value, f field, p *place) bool {
	target, ok := d.doc.targets[alias]
	if !ok {
		// The name is not repeated: it may be a password that begins with *.
		d.add(alias, p, "is an alias without an anchor before it", "text that begins with * stands in quotes")
		return false
	}
	d.inAlias++
	defer func() { d.inAlias-- }()
	return d.value(target, v, f, p)
}

// structure reads a mapping into a struct: unknown, doubled and missing keys are
// problems.
func (d *decoder) structure(n ast.Node, v reflect.Value, p *place) bool {
	list, bad, ok := d.doc.entries(n)
	if !ok {
		return d.wrongType(n, p, "a mapping", "write its keys on lines of their own, indented by two spaces")
	}
	if bad != nil {
		d.addAt(bad, p, "<< merges something that is no mapping", "write <<: *NAME with the anchor of a mapping")
	}
	fields, cached := d.fields[v.Type()]
	if !cached {
		fields = fieldsOf(v.Type())
		d.fields[v.Type()] = fields
	}
	seen := make(map[string]*token.Token, len(list))
	good := true
	for _, e := range list {
		if first, twice := seen[e.key]; twice {
			if !e.merged {
				d.addAt(e.at, p, "key "+d.keyName(e.key, v)+" is written twice", fmt.Sprintf("keep one; the first is on line %d", first.Position.Line))
				good = false
			}
			continue
		}
		seen[e.key] = e.at
		f, known := fields.byKey[e.key]
		if !known {
			d.unknownKey(e, fields.keys, v, p)
			good = false
			continue
		}
		if _, isNull := e.value.(*ast.NullNode); isNull { // its own place is behind the colon
			good = d.empty(e.at, p.to(e.key))
			continue
		}
		if e.merged {
			d.inAlias++
		}
		good = d.value(e.value, v.Field(f.index), f, p.to(e.key)) && good
		if e.merged {
			d.inAlias--
		}
	}
	for _, key := range fields.keys {
		if seen[key] == nil && fields.byKey[key].required {
			d.add(n, p, "has no "+key, "add "+key+": "+fields.byKey[key].example())
			good = false
		}
	}
	return good
}

// keyName quotes a key, unless it stands where somebody may have written the
// secret itself.
func (d *decoder) keyName(key string, v reflect.Value) string {
	if v.Type() == secretType {
		return "here"
	}
	return quote(key)
}

func (d *decoder) unknownKey(e entry, known []string, v reflect.Value, p *place) {
	if v.Type() == secretType {
		d.addAt(e.at, p, "has a key other than env and file", "a secret never stands in this file: write {env: NAME} or {file: PATH}")
		return
	}
	d.addAt(e.at, p, "unknown key "+quote(e.key), meant(e.key, known))
}

func (d *decoder) list(n ast.Node, v reflect.Value, f field, p *place) bool {
	items, ok := d.doc.items(n)
	if !ok {
		return d.wrongType(n, p, "a list", "write [a, b] or one item a line after a dash")
	}
	if low, high, bounded := f.itemBounds(); bounded && (len(items) < low || len(items) > high) {
		d.add(n, p, fmt.Sprintf("has %d items", len(items)), fmt.Sprintf("write %d to %d", low, high))
		if len(items) > high {
			return false
		}
	}
	good := true
	out := reflect.MakeSlice(v.Type(), len(items), len(items))
	item := f
	item.items = "" // the bounds are those of the outer list
	if v.Type().Elem().Kind() == reflect.Slice {
		item.items = maskPoints
	}
	for i, it := range items {
		good = d.value(it, out.Index(i), item, p.item(i)) && good
	}
	v.Set(out)
	return good
}

func (d *decoder) text(n ast.Node, v reflect.Value, f field, p *place) bool {
	text, ok := scalarText(n)
	if !ok {
		return d.wrongType(n, p, "text", "put it in quotes")
	}
	v.SetString(text)
	if count := utf8.RuneCountInString(text); count > f.maxChars() {
		d.add(n, p, fmt.Sprintf("has %d characters", count), fmt.Sprintf("write at most %d", f.maxChars()))
		return false
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		d.add(n, p, "holds a control character or a line end", "write one line of text")
		return false
	}
	if what, remedy := f.checkText(text); what != "" {
		d.add(n, p, what, remedy)
		return false
	}
	return true
}

func (d *decoder) boolean(n ast.Node, v reflect.Value, p *place) bool {
	b, ok := n.(*ast.BoolNode)
	if !ok {
		return d.wrongType(n, p, "true or false", "write true or false without quotes")
	}
	v.SetBool(b.Value)
	return true
}

func (d *decoder) integer(n ast.Node, v reflect.Value, f field, p *place) bool {
	whole, ok := n.(*ast.IntegerNode)
	if !ok {
		return d.wrongType(n, p, "a whole number", "write "+f.rangeText())
	}
	i, small := whole.Value.(int64)
	if u, isUnsigned := whole.Value.(uint64); isUnsigned && u <= math.MaxInt64 {
		i, small = int64(u), true
	}
	if !small || !f.inRange(float64(i)) {
		d.add(n, p, quote(whole.Token.Value)+" is out of range", "write "+f.rangeText())
		return false
	}
	v.SetInt(i)
	return true
}

func (d *decoder) number(n ast.Node, v reflect.Value, f field, p *place) bool {
	x, ok := floatOf(n)
	if !ok {
		return d.wrongType(n, p, "a number", "write "+f.rangeText())
	}
	if !f.inRange(x) {
		d.add(n, p, strconv.FormatFloat(x, 'g', -1, 64)+" is out of range", "write "+f.rangeText())
		return false
	}
	v.SetFloat(x)
	return true
}

// floatOf returns the finite number that n is.
func floatOf(n ast.Node) (float64, bool) {
	switch n := n.(type) {
	case *ast.FloatNode:
		return n.Value, !math.IsNaN(n.Value) && !math.IsInf(n.Value, 0)
	case *ast.IntegerNode:
		switch i := n.Value.(type) {
		case int64:
			return float64(i), true
		case uint64:
			return float64(i), true
		}
	}
	return 0, false
}

func (d *decoder) duration(n ast.Node, v reflect.Value, f field, p *place) bool {
	return d.quantity(n, v, f, p, "a length of time", func(text string) (int64, error) {
		value, err := ParseDuration(text)
		return int64(value), err
	})
}

func (d *decoder) bytes(n ast.Node, v reflect.Value, f field, p *place) bool {
	return d.quantity(n, v, f, p, "a size", func(text string) (int64, error) {
		value, err := ParseBytes(text)
		return int64(value), err
	})
}

// quantity reads a number with its unit.
func (d *decoder) quantity(n ast.Node, v reflect.Value, f field, p *place, what string, parse func(string) (int64, error)) bool {
	text, ok := scalarText(n)
	if !ok {
		return d.wrongType(n, p, what, "write a number and a unit, "+f.rangeText())
	}
	value, err := parse(text)
	if err != nil {
		d.add(n, p, quote(text)+" "+err.Error(), "write a number and a unit, "+f.rangeText())
		return false
	}
	if !f.inRange(float64(value)) {
		d.add(n, p, quote(text)+" is out of range", "write "+f.rangeText())
		return false
	}
	v.SetInt(value)
	return true
}

// point reads [x, y]. A bad point becomes NaN, so that what is said of it here
// is not said again of the polygon.
func (d *decoder) point(n ast.Node, v reflect.Value, p *place) bool {
	const form = "write [x, y], each 0 to 1 from the left and the top of the picture"
	out := Point{math.NaN(), math.NaN()}
	defer func() { v.Set(reflect.ValueOf(out)) }()
	items, ok := d.doc.items(n)
	if !ok {
		return d.wrongType(n, p, "a point", form)
	}
	if len(items) != 2 {
		d.add(n, p, fmt.Sprintf("has %d numbers", len(items)), form)
		return false
	}
	var read Point
	for i, item := range items {
		x, ok := floatOf(d.doc.resolve(item))
		if !ok {
			return d.wrongType(item, p.item(i), "a number", form)
		}
		if x < 0 || x > 1 {
			d.add(item, p.item(i), strconv.FormatFloat(x, 'g', -1, 64)+" is outside the picture", form)
			return false
		}
		read[i] = x
	}
	out = read
	return true
}

func (d *decoder) wrongType(n ast.Node, p *place, want, remedy string) bool {
	d.add(n, p, "is "+kindOf(d.doc.resolve(n))+", not "+want, remedy)
	return false
}

func (d *decoder) add(n ast.Node, p *place, what, remedy string) {
	d.addAt(tokenOf(n), p, what, remedy)
}

func (d *decoder) addAt(tk *token.Token, p *place, what, remedy string) {
	d.problems.add(tk, p, what, remedy)
}
