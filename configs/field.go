package configs

import (
	"net/netip"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// field is what the tags of a struct field say about its value.
type field struct {
	index    int
	key      string
	goType   reflect.Type
	required bool
	limit    string // "low..high" in the text form of the type
	items    string // "low..high"
	chars    string
	form     string
	enum     []string
}

// fieldSet is the fields of a struct, in order and by key.
type fieldSet struct {
	keys  []string
	byKey map[string]field
}

func fieldsOf(t reflect.Type) fieldSet {
	set := fieldSet{byKey: make(map[string]field, t.NumField())}
	for i := range t.NumField() {
		sf := t.Field(i)
		if !sf.IsExported() {
			continue
		}
		key, _, _ := strings.Cut(sf.Tag.Get("yaml"), ",") // the options are for Print
		f := field{
			index: i, key: key, goType: sf.Type,
			required: !strings.HasSuffix(sf.Tag.Get("json"), ",omitempty"),
			limit:    sf.Tag.Get("limit"), items: sf.Tag.Get("items"),
			chars: sf.Tag.Get("chars"), form: sf.Tag.Get("form"),
		}
		for part := range strings.SplitSeq(sf.Tag.Get("jsonschema"), ",") {
			if word, ok := strings.CutPrefix(part, "enum="); ok {
				f.enum = append(f.enum, word)
			}
		}
		set.keys = append(set.keys, f.key)
		set.byKey[f.key] = f
	}
	return set
}

// maskPoints bounds the corners of a privacy mask, as Zone.Points' tag does
// those of a zone.
const maskPoints = "3..256"

// defaultChars bounds a text whose field has no tag of its own.
const defaultChars = 512

func (f field) maxChars() int {
	if n, err := strconv.Atoi(f.chars); err == nil {
		return n
	}
	return defaultChars
}

// itemBounds returns the bounds of a list's length.
func (f field) itemBounds() (low, high int, ok bool) {
	from, to, ok := strings.Cut(f.items, "..")
	if !ok {
		return 0, 0, false
	}
	low, errLow := strconv.Atoi(from)
	high, errHigh := strconv.Atoi(to)
	return low, high, errLow == nil && errHigh == nil
}

// bounds returns the limits as numbers: nanoseconds for a Duration, bytes for
// Bytes.
func (f field) bounds() (low, high float64, ok bool) {
	from, to, ok := strings.Cut(f.limit, "..")
	if !ok {
		return 0, 0, false
	}
	low, okLow := f.parseLimit(from)
	high, okHigh := f.parseLimit(to)
	return low, high, okLow && okHigh
}

func (f field) parseLimit(text string) (float64, bool) {
	switch f.goType {
	case durationType:
		d, err := ParseDuration(text)
		return float64(d), err == nil
	case bytesType:
		b, err := ParseBytes(text)
		return float64(b), err == nil
	}
	x, err := strconv.ParseFloat(text, 64)
	return x, err == nil
}

func (f field) inRange(x float64) bool {
	low, high, ok := f.bounds()
	return !ok || low <= x && x <= high
}

// rangeText says what may be written: "1s to 5m".
func (f field) rangeText() string {
	low, high, ok := strings.Cut(f.limit, "..")
	if !ok {
		return "a number"
	}
	return low + " to " + high
}

// example is what may stand after the key.
func (f field) example() string {
	if len(f.enum) > 0 {
		return strings.Join(f.enum, " or ")
	}
	if form, ok := forms[f.form]; ok && form.example != "" {
		return form.example
	}
	switch f.goType.Kind() {
	case reflect.Slice:
		return "[…]"
	case reflect.Array:
		return "[x, y]"
	}
	return "…"
}

// checkText checks text against the words or the form of the field.
func (f field) checkText(text string) (what, remedy string) {
	if len(f.enum) > 0 {
		for _, word := range f.enum {
			if text == word {
				return "", ""
			}
		}
		if f.key == "legal_basis" && text == "A8" {
			return "A8: Order 799 article 8 prohibits cameras in this place", "do not connect it: take the camera out of this file and report it to the public security organ (公安机关)"
		}
		return quote(text) + " is not known", meant(text, f.enum)
	}
	form, ok := forms[f.form]
	if !ok {
		return "", ""
	}
	if text == "" {
		if form.mayBeEmpty {
			return "", ""
		}
		return "is empty", "write " + form.example + ", or remove the key to get the default"
	}
	return form.check(text)
}

// form is a named way to write a text.
type form struct {
	example    string
	pattern    string // for the schema; "" when check asks for more than a pattern can say
	mayBeEmpty bool   // the key may be written with "", which means: none
	check      func(text string) (what, remedy string)
}

// classes are the words of Rule.Classes: the object classes of the program and
// their groups.
var classes = []string{
	"person", "vehicle", "animal",
	"bicycle", "car", "motorcycle", "bus", "train", "truck", "boat",
	"cat", "dog", "horse", "sheep", "cow",
}

// forms are the forms that "form" tags name.
var forms = map[string]form{
	"filled":    {example: "a text", pattern: `.`, check: func(string) (string, string) { return "", "" }},
	"node":      byPattern("name", `^[A-Za-z0-9]([A-Za-z0-9._-]{0,62})$`, "1 to 63 letters, digits, dots, hyphens and underscores, the first a letter or digit", "edge-01", true),
	"camera_id": byPattern("camera ID", `^[A-Za-z0-9-]{1,32}$`, "1 to 32 letters, digits and hyphens", "gate-01", false),
	"part_id":   byPattern("ID", `^[A-Za-z0-9_-]{1,32}$`, "1 to 32 letters, digits, hyphens and underscores", "door", false),
	"category":  byPattern("category", `^[0-9]{4}$`, "4 digits in quotes", `"0101"`, true),
	"fingerprint": byPattern("fingerprint", `^([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$`,
		"the SHA-256 of the certificate, 64 hex digits (openssl x509 -noout -fingerprint -sha256)", "64 hex digits", true),
	"division": {example: `"361102001001"`, pattern: `^[1-8][0-9]{11}$`, check: checkDivision},
	"grid":     byPattern("grid code", `^[1-8][0-9]{14}$`, "15 digits in quotes: the division and 3 digits", `"361102001001001"`, true),
	"listen": {example: "127.0.0.1:9600", pattern: `:[0-9]+$`, check: func(text string) (string, string) {
		if err := checkHostPort(text, true); err != nil {
			return quote(text) + " " + err.Error(), "write HOST:PORT, for example 127.0.0.1:9600, or :9600 for every address of this machine"
		}
		return "", ""
	}},
	"gb_id":         byPattern("GB/T 28181 ID", `^[0-9]{20}$`, "20 digits in quotes", `"36112700002000000001"`, false),
	"gb_id_or_none": byPattern("GB/T 28181 ID", `^[0-9]{20}$`, "20 digits in quotes", `"36112700001180000001"`, true),
	"gb_platform": byPattern("SIP address of a platform", `^sip:[0-9]{20}@([0-9A-Za-z.-]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}$`,
		"sip:ID@IP:PORT, the ID of 20 digits", "sip:36112700002000000002@192.0.2.20:5060", true),
	"gb_prefix":  byPattern("prefix of GB/T 28181 IDs", `^[0-9]{8,19}$`, "8 to 19 digits in quotes", `"3611270000118"`, true),
	"quirk":      byPattern("name of a quirk", `^[a-z0-9][a-z0-9-]{0,63}$`, "lower-case letters, digits and hyphens", "no-ssrc", false),
	"ip":         {example: "127.0.0.1", pattern: `^[0-9A-Fa-f.:]+$`, check: checkIP},
	"ip_or_none": {example: "192.0.2.1", pattern: `^[0-9A-Fa-f.:]+$`, mayBeEmpty: true, check: checkIP},
	"ports": {example: "30000-30100", pattern: `^[0-9]+(-[0-9]+)?$`, check: func(text string) (string, string) {
		if _, _, err := parsePorts(text); err != nil {
			return quote(text) + " " + err.Error(), "write 30000-30100, or 30000 for one port that all streams share"
		}
		return "", ""
	}},
	"schedule": {example: `"Mon-Fri 22:00-06:00"`, pattern: ` `, check: func(text string) (string, string) {
		if _, err := parseSpan(text); err != nil {
			return quote(text) + " " + err.Error(), scheduleForms
		}
		return "", ""
	}},
	"class": {example: "person", pattern: "^(" + strings.Join(classes, "|") + ")$", check: func(text string) (string, string) {
		for _, word := range classes {
			if text == word {
				return "", ""
			}
		}
		return quote(text) + " is not a class", meant(text, classes)
	}},
}

// byPattern makes a form of a regular expression that means the same in Go and
// in JSON Schema.
func byPattern(noun, pattern, words, example string, mayBeEmpty bool) form {
	expr := regexp.MustCompile(pattern)
	return form{example: example, pattern: pattern, mayBeEmpty: mayBeEmpty, check: func(text string) (string, string) {
		if expr.MatchString(text) {
			return "", ""
		}
		return quote(text) + " is not a " + noun, "write " + words
	}}
}

func checkIP(text string) (what, remedy string) {
	if _, err := netip.ParseAddr(text); err != nil {
		return quote(text) + " is not an IP address", "write an address such as 192.0.2.1, no host name and no port"
	}
	return "", ""
}
