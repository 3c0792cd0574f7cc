package configs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// mark stands in the YAML of a test before the place that a problem must point
// to.
const mark = "▶"

// unmark returns text without its mark and the line and column of the mark.
func unmark(t *testing.T, text string) (clean string, line, column int) {
	t.Helper()
	before, after, ok := strings.Cut(text, mark)
	require.True(t, ok, "no mark in %q", text)
	line, column = lineColumn([]byte(before))
	return before + after, line, column
}

// camera is a sound camera; more is YAML of further keys, one a line, without
// indentation.
func camera(more string) string {
	return "edge:\n  cameras:\n    - id: gate-01\n      name: 村口\n      url: rtsp://192.0.2.10/live\n" +
		"      division: \"360921100001\"\n" + indent(more, 6) + "redis: {addresses: ['r:1']}\n"
}

// zoned is a camera with a zone, a line and the rule whose keys are given.
func zoned(rule string) string {
	return camera("zones: [{id: lane, points: [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]}]\n" +
		"lines: [{id: gate, a: [0.1, 0.5], b: [0.9, 0.5]}]\n" +
		"rules:\n  - id: r1\n" + indent(rule, 4))
}

func indent(text string, by int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.Repeat(" ", by) + strings.TrimSuffix(line, "\n") + "\n")
	}
	return b.String()
}

func loadText(text string) (*Config, error) {
	return load([]byte(text), "test.yaml", "/nowhere", Options{Getenv: func(string) string { return "" }})
}

func TestLoadNamesOneProblem(t *testing.T) {
	tests := []struct {
		name, yaml   string
		path         string
		what, remedy string
	}{
		// The YAML itself.
		{"tab", "edge:\n" + mark + "\tcameras: []\n", "", "YAML syntax", "spaces, not with tabs"},
		{"open quote", "node: " + mark + "'x\n", "", "could not find end character", "close the quotation mark"},
		{"open bracket", "redis: {addresses: " + mark + "[a, b\n", "", "YAML syntax", "bracket"},
		{"colon in text", "node: " + mark + "a: b: c\n", "", "mapping value is not allowed", "quotes"},
		{"bad escape", "node: \"a\\" + mark + "q\"\n", "", "unknown escape", "single quotes"},
		{"reserved character", "node: " + mark + "@x\n", "", "reserved character", "in quotes"},
		{"two documents", "edge: {}\n" + mark + "---\ncenter: {}\n", "", "second YAML document", "one document"},
		{"two documents ended", "edge: {}\n...\n" + mark + "---\ncenter: {}\n", "", "second YAML document", "one document"},
		{"tag", "node: " + mark + "!!str 5\n", "", "a YAML tag", "quotes"},
		{"directive", mark + "%YAML 1.2\n---\nedge: {}\n", "", "a YAML directive", "remove the line"},
		{"question mark", mark + "? node\n: x\n", "", `written with "?"`, "key: value"},
		{"list at the top", mark + "- a\n", "", "is a list, not a mapping", "lines of their own"},
		{"not UTF-8", "node: " + mark + "\xb4\xe5\n", "", "not UTF-8", "not GBK"},
		{"zero byte", "node: a" + mark + "\x00\n", "", "zero byte", "UTF-8"},

		// Keys.
		{"unknown key", mark + "nod: x\nedge: {}\ncenter: {}\n", "", `unknown key "nod"`, `did you mean "node"?`},
		{"swapped letters", camera(mark + "graet_point: 1"), "edge.cameras[0]", "unknown key", "one of id, name"},
		{"unknown nested key", camera("settings: {" + mark + "tranpsort: tcp}"), "edge.cameras[0].settings", `unknown key "tranpsort"`, `did you mean "transport"?`},
		{"unknown key in Chinese", camera(mark + "名称: x"), "edge.cameras[0]", `unknown key "名称"`, "one of id"},
		{"key twice", camera("place: a\n" + mark + "place: b"), "edge.cameras[0]", `key "place" is written twice`, "the first is on line 7"},
		{"no value", camera(mark + "place:"), "edge.cameras[0].place", "has no value", "remove the key"},
		{"missing key", "edge:\n  cameras:\n    - " + mark + "id: a\n      url: rtsp://h/x\n      division: \"360921100001\"\nredis: {addresses: ['r:1']}\n", "edge.cameras[0]", "has no name", "add name:"},
		{"missing key in flow", "redis: {addresses: ['r:1']}\nedge: {cameras: [" + mark + "{id: a, name: b, url: 'rtsp://h/x'}]}\n", "edge.cameras[0]", "has no division", `add division: "361102001001"`},
		{"no section", mark + "node: x\nredis: {addresses: ['r:1']}\n", "", "neither an edge nor a center", "add edge:"},

		// Types and ranges.
		{"text for a mapping", "center: {}\nedge: " + mark + "yes\n", "edge", "is text, not a mapping", "indented"},
		{"mapping for text", "edge: {}\ncenter: {}\nnode: " + mark + "{a: b}\n", "node", "is a mapping, not text", "quotes"},
		{"number for text", camera("grid: " + mark + "360921100001003"), "edge.cameras[0].grid", "is a number, not text", "quotes"},
		{"text for a list", "redis: {addresses: " + mark + "localhost:6379}\nedge: {}\n", "redis.addresses", "is text, not a list", "[a, b]"},
		{"text for a switch", camera("disabled: " + mark + "yes"), "edge.cameras[0].disabled", "not true or false", "without quotes"},
		{"text for a number", camera("lat: 28.1\nlon: " + mark + "x"), "edge.cameras[0].lon", "is text, not a number", "-180 to 180"},
		{"infinity", camera("lat: 28.1\nlon: " + mark + ".inf"), "edge.cameras[0].lon", "is infinite or no number, not a number", "-180 to 180"},
		{"fraction for a whole number", camera("motion: {threshold: " + mark + "2.5}"), "edge.cameras[0].motion.threshold", "not a whole number", "1 to 255"},
		{"motion method", camera("motion: {method: " + mark + "mog3}"), "edge.cameras[0].motion.method", `"mog3"`, "mog2"},
		{"whole number out of range", camera("motion: {threshold: " + mark + "256}"), "edge.cameras[0].motion.threshold", `"256" is out of range`, "1 to 255"},
		{"zero is not the default", camera("motion: {threshold: " + mark + "0}"), "edge.cameras[0].motion.threshold", `"0" is out of range`, "1 to 255"},
		{"huge whole number", camera("motion: {threshold: " + mark + "18446744073709551615}"), "edge.cameras[0].motion.threshold", "out of range", "1 to 255"},
		{"number out of range", camera("lon: 115.1\nlat: " + mark + "115.1"), "edge.cameras[0].lat", "115.1 is out of range", "-90 to 90"},
		{"duration without unit", camera("settings: {timeout: " + mark + "10}"), "edge.cameras[0].settings.timeout", "not a length of time", "1s to 5m"},
		{"duration text without unit", camera("settings: {timeout: " + mark + "'10'}"), "edge.cameras[0].settings.timeout", `"10" has no unit`, "1s to 5m"},
		{"duration out of range", camera("settings: {timeout: " + mark + "1h}"), "edge.cameras[0].settings.timeout", `"1h" is out of range`, "1s to 5m"},
		{"negative duration", zoned("kind: zone_entry\nzones: [lane]\ncooldown: " + mark + "-1s"), "edge.cameras[0].rules[0].cooldown", "is negative", "0s to 30d"},
		{"size without unit", "edge: {outbox: {max_bytes: " + mark + "'5'}}\ncenter: {}\n", "edge.outbox.max_bytes", "has no unit", "1MiB to 16TiB"},
		{"size as number", "edge: {outbox: {max_bytes: " + mark + "5000000}}\ncenter: {}\n", "edge.outbox.max_bytes", "is a number, not a size", "1MiB to 16TiB"},
		{"size too small", "edge: {outbox: {max_bytes: " + mark + "1KiB}}\ncenter: {}\n", "edge.outbox.max_bytes", `"1KiB" is out of range`, "1MiB to 16TiB"},
		{"unknown word", "log: {level: " + mark + "debgu}\nedge: {}\ncenter: {}\n", "log.level", `"debgu" is not known`, `did you mean "debug"?`},
		{"empty word", "log: {level: " + mark + "''}\nedge: {}\ncenter: {}\n", "log.level", "is not known", "one of debug, info, warn, error"},
		{"empty text", "timezone: " + mark + "''\nedge: {}\ncenter: {}\n", "timezone", "is empty", "remove the key"},
		{"long text", camera("place: " + mark + strings.Repeat("长", 257)), "edge.cameras[0].place", "has 257 characters", "at most 256"},
		{"two lines", camera("place: " + mark + `"a\nb"`), "edge.cameras[0].place", "line end", "one line"},
		{"too many items", camera("rules: " + mark + "[" + strings.Repeat("{}, ", 65) + "]"), "edge.cameras[0].rules", "has 65 items", "0 to 64"},

		// The node and its servers.
		{"node name", "node: " + mark + "边缘一\nedge: {}\ncenter: {}\n", "node", "is not a name", "letters, digits"},
		{"time zone", "timezone: " + mark + "Asia/Yichun\nedge: {}\ncenter: {}\n", "timezone", "is not a time zone", "Asia/Shanghai"},
		{"time zone of the machine", "timezone: " + mark + "Local\nedge: {}\ncenter: {}\n", "timezone", "is not a time zone", "Asia/Shanghai"},
		{"edge without Redis", mark + "edge: {}\n", "redis.addresses", "names no Redis server", `addresses: ["HOST:6379"]`},
		{"Redis URL", "redis: {addresses: [" + mark + "'redis://h:6379/0']}\nedge: {}\n", "redis.addresses[0]", "not host:port", "HOST:6379"},
		{"Redis socket relative", "redis: {addresses: [" + mark + "'unix://run/r.sock']}\nedge: {}\n", "redis.addresses[0]", "relative path", "unix:///PATH"},
		{"Redis socket among others", "redis: {addresses: " + mark + "['unix:///r.sock', 'h:1']}\nedge: {}\n", "redis.addresses", "Unix socket among", "one Unix socket"},
		{"Redis user alone", "redis: {addresses: ['h:1'], username: " + mark + "u}\nedge: {}\n", "redis.username", "without a password", "password:"},
		{"listen", "edge: {}\ncenter: {listen: " + mark + "9600}\n", "center.listen", "is a number, not text", "quotes"},
		{"listen without port", "edge: {}\ncenter: {listen: " + mark + "localhost}\n", "center.listen", "is not host:port", "127.0.0.1:9600"},
		{"listen port", "edge: {}\ncenter: {listen: " + mark + "'h:70000'}\n", "center.listen", "port that is not 1..65535", "127.0.0.1:9600"},
		{"database address", "edge: {}\ncenter: {database: " + mark + "'postgres://u:hunter2@h/db'}\n", "center.database", "is an address", "SQLite"},
		{"certificate alone", "edge: {}\ncenter: {tls_cert: " + mark + "c.pem}\n", "center.tls_cert", "without tls_key", "add tls_key"},
		{"address without a bucket", "edge: {}\ncenter: {pictures: {endpoint: " + mark + "\"s3:9000\"}}\n", "center.pictures.endpoint", "without bucket", "data_dir"},
		{"key alone", "edge: {}\ncenter: {tls_key: " + mark + "c.pem}\n", "center.tls_key", "without tls_cert", "add tls_cert"},
		{"divisions file", "edge: {}\ncenter: {divisions_file: " + mark + "d.csv}\n", "center.divisions_file", "there is no such file", "configuration file"},
		{"model is a folder", "edge: {detector: {model: " + mark + "/}}\ncenter: {}\n", "edge.detector.model", "is not a file", "path of a file"},
		{"labels file", "edge: {detector: {model: /etc/passwd, labels_file: " + mark + "none.txt}}\ncenter: {}\n", "edge.detector.labels_file", "no such file", "path of a file"},
		{"labels twice", "edge: {detector: {model: /etc/passwd, labels: [car], labels_file: " + mark + "/etc/passwd}}\ncenter: {}\n", "edge.detector.labels_file", "beside labels", "keep one"},
		{"head of a built-in model", "edge: {detector: {head: " + mark + "yolox}}\ncenter: {}\n", "edge.detector.head", "the model is a built-in one", "path of an ONNX file"},
		{"size of a built-in model", "edge: {detector: {model: light, input_size: " + mark + "320}}\ncenter: {}\n", "edge.detector.input_size", "the model is a built-in one", "path of an ONNX file"},
		{"head", "edge: {detector: {model: /etc/passwd, head: " + mark + "yolo}}\ncenter: {}\n", "edge.detector.head", "is not known", "yolox"},
		{"runtime", "edge: {detector: {runtime: " + mark + "onnx}}\ncenter: {}\n", "edge.detector.runtime", "is not known", "onnxruntime"},
		{"library", "edge: {detector: {onnxruntime_library: " + mark + "libnone.so}}\ncenter: {}\n", "edge.detector.onnxruntime_library", "no such file", "path of a file"},
		{"library unused", "edge: {detector: {runtime: opencv, onnxruntime_library: " + mark + "/etc/passwd}}\ncenter: {}\n", "edge.detector.onnxruntime_library", "does not use it", "auto"},
		{"rates of defaults", "edge: {defaults: {detect_fps: " + mark + "9}}\ncenter: {}\n", "edge.defaults.detect_fps", "detect_fps (9) is above analyse_fps (8)", "at most"},
		{"rates of a camera", camera("settings: {analyse_fps: " + mark + "1}"), "edge.cameras[0].settings.analyse_fps", "detect_fps (2) is above analyse_fps (1)", "at most"},
		{"confirmation of defaults", "edge: {defaults: {gate: {confirm: " + mark + "9}}}\ncenter: {}\n", "edge.defaults.gate.confirm", "confirm (9) is above confirm_of (5)", "at most"},
		{"confirmation of a camera", camera("settings: {gate: {confirm_of: " + mark + "2}}"), "edge.cameras[0].settings.gate.confirm_of", "confirm (3) is above confirm_of (2)", "at most"},
		{"gate mode", camera("settings: {gate: {mode: " + mark + "off}}"), "edge.cameras[0].settings.gate.mode", `"off" is not known`, "full"},
		{"gate threshold", camera("settings: {gate: {threshold: " + mark + "1}}"), "edge.cameras[0].settings.gate.threshold", "1", "2 to 50"},

		// Cameras.
		{"camera ID", "redis: {addresses: ['r:1']}\nedge: {cameras: [{id: " + mark + "gate_1, name: a, url: 'rtsp://h/', division: '360921100001'}]}", "edge.cameras[0].id", `"gate_1" is not a camera ID`, "1 to 32 letters"},
		{"division text", camera("") + "center: {}\n", "", "", ""},
		{"division short", strings.Replace(camera(""), `"360921100001"`, mark+`"3609211000"`, 1), "edge.cameras[0].division", `"3609211000" is not a division code`, "12 digits"},
		{"division province", strings.Replace(camera(""), `"360921100001"`, mark+`"160921100001"`, 1), "edge.cameras[0].division", "begins with 16, which is no province (GB/T 2260)", "12 digits"},
		{"division town", strings.Replace(camera(""), `"360921100001"`, mark+`"360921100000"`, 1), "edge.cameras[0].division", "a town or larger", "12 digits"},
		{"division number", strings.Replace(camera(""), `"360921100001"`, mark+`360921100001`, 1), "edge.cameras[0].division", "is a number, not text", "quotes"},
		{"grid elsewhere", camera("grid: " + mark + `"360921100002003"`), "edge.cameras[0].grid", "does not begin with the division", `write "360921100001" and the 3 digits`},
		{"grid short", camera("grid: " + mark + `"36092110000100"`), "edge.cameras[0].grid", "is not a grid code", "15 digits"},
		{"prohibited place", camera("legal_basis: " + mark + "A8"), "edge.cameras[0].legal_basis", "article 8 prohibits cameras in this place", "report it to the public security organ"},
		{"unknown basis", camera("legal_basis: " + mark + "A10"), "edge.cameras[0].legal_basis", `"A10" is not known`, "A7.1"},
		{"basis without analysis", camera("legal_basis: A33\nrules: " + mark + "[{id: f, kind: camera_fault}]"), "edge.cameras[0].rules", "not a public place", "legal_basis"},
		{"longitude alone", strings.Replace(camera("lon: 115.1"), "id:", mark+"id:", 1), "edge.cameras[0]", "one of lon and lat", "both or neither"},
		{"scheme", strings.Replace(camera(""), "rtsp://192", mark+"http://192", 1), "edge.cameras[0].url", "scheme that no source reads", "rtsp://HOST"},
		{"no scheme", strings.Replace(camera(""), "rtsp://192.0.2.10/live", mark+"/192", 1), "edge.cameras[0].url", "has no scheme", "rtsp://HOST"},
		{"no host", strings.Replace(camera(""), "rtsp://192.0.2.10/live", mark+"rtsp:///live", 1), "edge.cameras[0].url", "names no host", "rtsp://HOST"},
		{"port", strings.Replace(camera(""), "rtsp://192.0.2.10/live", mark+"rtsp://h:66666/live", 1), "edge.cameras[0].url", "has a port that is not 1..65535", "rtsp://HOST"},
		{"substream address", camera("substream_url: " + mark + "x"), "edge.cameras[0].substream_url", "has no scheme", "rtsp://HOST"},
		{"no substream beside", camera("settings: {stream: " + mark + "both}"), "edge.cameras[0].settings.stream", "has none", "substream_url"},
		{"no substream", camera("settings: {stream: " + mark + "sub}"), "edge.cameras[0].settings.stream", "has none", "substream_url"},
		{"TLS without rtsps", camera("tls: " + mark + "{fingerprint: " + strings.Repeat("0a", 32) + "}"), "edge.cameras[0].tls", "not rtsps://", "rtsps://"},
		{"fingerprint", strings.Replace(camera("tls: {fingerprint: "+mark+"0a}"), "rtsp:", "rtsps:", 1), "edge.cameras[0].tls.fingerprint", "is not a fingerprint", "64 hex digits"},

		// Polygons and lines.
		{"point outside", camera("zones: [{id: z, points: [[0.1, 0.1], [" + mark + "1.01, 0.1], [0.5, 0.9]]}]"), "edge.cameras[0].zones[0].points[1][0]", "1.01 is outside the picture", "0 to 1"},
		{"point negative", camera("privacy_masks: [[[0.1, " + mark + "-0.1], [0.9, 0.1], [0.5, 0.9]]]"), "edge.cameras[0].privacy_masks[0][0][1]", "-0.1 is outside the picture", "0 to 1"},
		{"point of three", camera("lines: [{id: l, a: " + mark + "[0, 0, 0], b: [1, 1]}]"), "edge.cameras[0].lines[0].a", "has 3 numbers", "[x, y]"},
		{"point of text", camera("lines: [{id: l, a: [0, " + mark + "x], b: [1, 1]}]"), "edge.cameras[0].lines[0].a[1]", "is text, not a number", "[x, y]"},
		{"point as mapping", camera("lines: [{id: l, a: " + mark + "{x: 0, y: 0}, b: [1, 1]}]"), "edge.cameras[0].lines[0].a", "is a mapping, not a point", "[x, y]"},
		{"two points", camera("zones: [{id: z, points: " + mark + "[[0.1, 0.1], [0.9, 0.1]]}]"), "edge.cameras[0].zones[0].points", "has 2 items", "3 to 256"},
		{"mask of two points", camera("privacy_masks: [" + mark + "[[0.1, 0.1], [0.9, 0.1]]]"), "edge.cameras[0].privacy_masks[0]", "has 2 items", "3 to 256"},
		{"flat zone", camera("zones: [{id: z, points: " + mark + "[[0.1, 0.1], [0.9, 0.1], [0.5, 0.1]]}]"), "edge.cameras[0].zones[0].points", "encloses no area", "corners in order"},
		{"closed zone", camera("zones: [{id: z, points: " + mark + "[[0.1, 0.1], [0.9, 0.1], [0.5, 0.9], [0.1, 0.1]]}]"), "edge.cameras[0].zones[0].points", "repeats its first point", "each once"},
		{"point twice", camera("zones: [{id: z, points: " + mark + "[[0.1, 0.1], [0.9, 0.1], [0.9, 0.1], [0.5, 0.9]]}]"), "edge.cameras[0].zones[0].points", "same point at places 2 and 3", "each once"},
		{"bow tie", camera("zones: [{id: z, points: " + mark + "[[0.1, 0.1], [0.9, 0.8], [0.9, 0.1], [0.1, 0.9]]}]"), "edge.cameras[0].zones[0].points", "crosses itself: side 1 meets side 3", "corners in order"},
		{"line without length", camera("lines: [" + mark + "{id: l, a: [0.5, 0.5], b: [0.5, 0.5]}]"), "edge.cameras[0].lines[0]", "begins where it ends", "0.005 apart"},
		{"zone twice", camera("zones:\n  - {id: z, points: [[0, 0], [1, 0], [1, 1]]}\n  - {id: " + mark + "z, points: [[0, 0], [1, 0], [1, 1]]}"), "edge.cameras[0].zones[1].id", "ID of another zone", "line 8"},
		{"line twice", camera("lines: [{id: l, a: [0, 0], b: [1, 1]}, {id: " + mark + "l, a: [0, 0], b: [1, 1]}]"), "edge.cameras[0].lines[1].id", "ID of another line", "line 7"},
		{"rule twice", camera("rules: [{id: f, kind: camera_fault}, {id: " + mark + "f, kind: camera_fault}]"), "edge.cameras[0].rules[1].id", "ID of another rule", "line 7"},

		// Rules.
		{"unknown kind", zoned("kind: " + mark + "loitering"), "edge.cameras[0].rules[0].kind", `"loitering" is not known`, "zone_entry"},
		{"unknown zone", zoned("kind: zone_entry\nzones: [" + mark + "lanes]"), "edge.cameras[0].rules[0].zones[0]", `there is no zone "lanes"`, `did you mean "lane"?`},
		{"unknown line", zoned("kind: line_cross\nlines: [" + mark + "xyz]"), "edge.cameras[0].rules[0].lines[0]", `there is no line "xyz"`, "one of gate"},
		{"unknown class", zoned("kind: zone_entry\nzones: [lane]\nclasses: [" + mark + "persons]"), "edge.cameras[0].rules[0].classes[0]", `"persons" is not a class`, `did you mean "person"?`},
		{"class that is refused", zoned("kind: zone_entry\nzones: [lane]\nclasses: [" + mark + "face]"), "edge.cameras[0].rules[0].classes[0]", `"face" is not a class`, ""},
		{"zone named twice", zoned("kind: zone_entry\nzones: [lane, " + mark + "lane]"), "edge.cameras[0].rules[0].zones[1]", "stands here twice", "keep one"},
		{"class named twice", zoned("kind: zone_entry\nzones: [lane]\nclasses: [car, " + mark + "car]"), "edge.cameras[0].rules[0].classes[1]", "stands here twice", "keep one"},
		{"line_cross without lines", strings.Replace(zoned("kind: line_cross"), "id: r1", mark+"id: r1", 1), "edge.cameras[0].rules[0]", "line_cross without lines", "add lines: [gate]"},
		{"dwell without zones", strings.Replace(zoned("kind: dwell"), "id: r1", mark+"id: r1", 1), "edge.cameras[0].rules[0]", "dwell without zones", "add zones: [lane]"},
		{"no zones at all", camera("rules: [" + mark + "{id: r1, kind: zone_entry}]"), "edge.cameras[0].rules[0]", "zone_entry without zones", "define zones on the camera"},
		{"direction of an entry", zoned("kind: zone_entry\nzones: [lane]\ndirection: " + mark + "left"), "edge.cameras[0].rules[0].direction", "has no meaning for a rule of kind zone_entry", "line_cross"},
		{"classes of motion", zoned("kind: motion_in_schedule\nclasses: " + mark + "[car]"), "edge.cameras[0].rules[0].classes", "no meaning", "zone_entry, line_cross, dwell"},
		{"after of an entry", zoned("kind: zone_entry\nzones: [lane]\nafter: " + mark + "1m"), "edge.cameras[0].rules[0].after", "no meaning", "dwell, camera_fault"},
		{"frames of a fault", zoned("kind: camera_fault\nframes: " + mark + "1"), "edge.cameras[0].rules[0].frames", "no meaning", "zone_entry"},
		{"more frames than of", zoned("kind: zone_entry\nzones: [lane]\nframes: " + mark + "4"), "edge.cameras[0].rules[0].frames", "frames (4) is above of (3)", "at most"},
		{"of below frames", zoned("kind: zone_entry\nzones: [lane]\nof: " + mark + "1"), "edge.cameras[0].rules[0].of", "frames (2) is above of (1)", "at most"},
		{"schedule", zoned("kind: zone_entry\nzones: [lane]\nschedule: [" + mark + "'Mon-Fry 1:00-2:00']"), "edge.cameras[0].rules[0].schedule[0]", "day that is not known", "Mon-Fri 22:00-06:00"},
		{"schedule no list", zoned("kind: zone_entry\nzones: [lane]\nschedule: " + mark + "daily 1:00-2:00"), "edge.cameras[0].rules[0].schedule", "is text, not a list", "[a, b]"},
		{"level", zoned("kind: zone_entry\nzones: [lane]\nlevel: " + mark + "5"), "edge.cameras[0].rules[0].level", `"5" is out of range`, "1 to 4"},
		{"category", zoned("kind: zone_entry\nzones: [lane]\ncategory: " + mark + "'12'"), "edge.cameras[0].rules[0].category", "is not a category", "4 digits"},

		// Anchors.
		{"alias to nothing", camera("place: " + mark + "*hunter2"), "edge.cameras[0].place", "alias without an anchor", "in quotes"},
		{"alias to itself", camera("zones: &a [" + mark + "*a]"), "edge.cameras[0].zones[0]", "alias without an anchor", ""},
		{"merge of a list", camera("motion: {" + mark + "<<: [1]}"), "edge.cameras[0].motion", "merges something that is no mapping", "<<: *NAME"},
		{"wrong value in an anchor", camera("place: &p " + mark + "5\npurpose: *p"), "edge.cameras[0].place", "is a number, not text", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.what == "" {
				_, err := loadText(tt.yaml)
				require.NoError(t, err)
				return
			}
			text, line, column := unmark(t, tt.yaml)
			_, err := loadText(text)
			var problems Problems
			require.ErrorAs(t, err, &problems)
			p := problems[0]
			for _, other := range problems {
				if strings.Contains(other.What, tt.what) {
					p = other
					break
				}
			}
			require.Contains(t, p.What, tt.what, "%v", problems)
			require.Contains(t, p.Remedy, tt.remedy, "%v", problems)
			require.Equal(t, fmt.Sprintf("%d:%d", line, column), fmt.Sprintf("%d:%d", p.Line, p.Column), "%v", problems)
			require.Equal(t, tt.path, p.Path)
			require.Equal(t, "test.yaml", p.File)
			require.NotContains(t, err.Error(), "hunter2")
			require.Len(t, problems, 1, "%v", problems)
		})
	}
}

func TestLoadNamesAllProblemsAtOnce(t *testing.T) {
	_, err := loadText(`nodes: a
redis: {addresses: ["r:1"]}
edge:
  cameras:
    - id: a
      name: A
      url: rtsp://admin:hunter2@192.0.2.1/live
      division: "990921100001"
      zones: [{id: z, points: [[0, 0], [1.5, 0], [1, 1]]}]
      rules: [{id: r, kind: zone_entry, zones: [zz]}]
    - id: a
      name: 5
      url: rtsp://192.0.2.1/live
      division: "360921100001"
      username: u
      password: {env: HUNTER}
`)
	var problems Problems
	require.ErrorAs(t, err, &problems)
	var lines []int
	for _, p := range problems {
		lines = append(lines, p.Line)
	}
	require.Equal(t, []int{1, 7, 8, 9, 10, 11, 12, 16}, lines, "%v", err)
	require.NotContains(t, err.Error(), "hunter2")
	require.Equal(t, len(problems), len(strings.Split(err.Error(), "\n")), "one line each")
	require.Equal(t, `test.yaml:11:11: edge.cameras[1].id: "a" is the ID of another camera too; give each its own; the first is on line 5`, problems[5].String())
}

func TestLoadAsksForTheDivision(t *testing.T) {
	opt := Options{Division: func(code string) (bool, string) {
		return code == "360921100002", map[string]string{"360921100001": "360921100002"}[code]
	}}
	_, err := load([]byte(camera("")), "f", "/", opt)
	require.ErrorContains(t, err, `f:6:17: edge.cameras[0].division: "360921100001" is not in the table of divisions; did you mean "360921100002"?`)
	_, err = load([]byte(strings.Replace(camera(""), "100001", "100003", 1)), "f", "/", opt)
	require.ErrorContains(t, err, "center.divisions_file")
	_, err = load([]byte(strings.Replace(camera(""), "100001", "100002", 1)), "f", "/", opt)
	require.NoError(t, err)
}

func TestLoadReadsFileOfAnyEditor(t *testing.T) {
	for name, text := range map[string]string{
		"byte order mark": "\ufeff" + camera(""),
		"Windows lines":   strings.ReplaceAll(camera(""), "\n", "\r\n"),
		"one header":      "---\n" + camera(""),
		"header and end":  "---\n" + camera("") + "...\n",
		"comments":        "# a\n\n" + strings.ReplaceAll(camera(""), "\n", " # 注释\n"),
		"JSON":            `{"redis": {"addresses": ["r:1"]}, "edge": {"cameras": [{"id": "gate-01", "name": "村口", "url": "rtsp://h/", "division": "360921100001"}]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			c, err := loadText(text)
			require.NoError(t, err)
			require.Equal(t, "gate-01", c.Edge.Cameras[0].ID)
			require.Equal(t, "村口", c.Edge.Cameras[0].Name)
		})
	}
	_, err := loadText("\ufeffnodes: x\r\nedge: {}\r\ncenter: {}\r\nlog: {level: x}\r\n")
	require.ErrorContains(t, err, "test.yaml:1:1: ")
	require.ErrorContains(t, err, "test.yaml:4:14: log.level")
}

func TestLoadEmptyFiles(t *testing.T) {
	for _, text := range []string{"", "\n", "# only words\n", "---\n", "\ufeff"} {
		_, err := loadText(text)
		var problems Problems
		require.ErrorAs(t, err, &problems, "%q", text)
		require.Contains(t, problems[0].What, "empty", "%q", text)
	}
}

func TestLoadTakesAnchors(t *testing.T) {
	c, err := loadText(`redis: {addresses: ["r:1"]}
edge:
  cameras:
    - &base
      id: a
      name: A
      url: rtsp://h/a
      division: "360921100001"
      rules: &rules [{id: f, kind: camera_fault}]
    - id: b
      name: B
      url: rtsp://h/b
      division: "360921100002"
      rules: *rules
    - <<: *base
      id: c
      motion: &m {threshold: 30}
    - <<: [{id: d, motion: *m}, *base]
      name: D
`)
	require.NoError(t, err)
	cams := c.Edge.Cameras
	require.Equal(t, "f", cams[1].Rules[0].ID)
	require.Equal(t, []string{"c", "A", "rtsp://h/a"}, []string{cams[2].ID, cams[2].Name, cams[2].URL})
	require.Equal(t, 30, cams[2].Motion.Threshold)
	require.Equal(t, []string{"d", "D", "rtsp://h/a"}, []string{cams[3].ID, cams[3].Name, cams[3].URL})
	require.Equal(t, 30, cams[3].Motion.Threshold)
}

// A file may repeat itself by aliases without end; what that costs must not.
func TestLoadIsBounded(t *testing.T) {
	var list, merge strings.Builder
	list.WriteString("redis: {addresses: ['r:1']}\nedge:\n  cameras:\n    - id: a\n      rules:\n        - &a0 {id: r, classes: [x]}\n")
	list.WriteString("        - classes: &b0 [person, person, person, person, person, person, person, person]\n")
	for i := 1; i < 30; i++ {
		fmt.Fprintf(&list, "        - classes: &b%d [%s]\n", i, strings.Repeat(fmt.Sprintf("*b%d, ", i-1), 8))
	}
	for i := range 30 {
		sources := "{id: x}"
		if i > 0 {
			sources = strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*m%d, ", i-1), 8), ", ")
		}
		fmt.Fprintf(&merge, "k%d: &m%d\n  <<: [%s]\n", i, i, sources)
	}
	merge.WriteString("edge: *m29\ncenter: {}\n")
	camera := "{id: a, name: a, url: 'rtsp://h/', division: '360921100001', privacy_masks: "
	points := "[" + strings.Repeat("[0, 0], ", 256) + "]"
	masks := "[&p " + points + strings.Repeat(", *p", 63) + "]"
	for _, tt := range []struct{ name, what, text string }{
		{"aliases in aliases", "is a list, not text", list.String()},
		{"merges of merges", "unknown key", merge.String()},
		{"wide aliases", "aliases repeat more than 1000000 values", "edge: {cameras: [&c " + camera + masks + "}" + strings.Repeat(", *c", 9999) + "]}\ncenter: {}\n"},
		{"too many cameras", "has 20001 items", "center: {}\nedge: {cameras: [&c {}" + strings.Repeat(", *c", 20000) + "]}\n"},
		{"too many problems", "more problems", "center: {}\nedge: {cameras: [" + strings.Repeat("{x: 1}, ", 9000) + "]}\n"},
		{"deep flow", "nested too deeply", "node: " + strings.Repeat("[", 1<<19)},
		{"deep maps", "nested too deeply", "node: " + strings.Repeat("{a: ", 1<<17)},
		{"dashes", "nested too deeply", strings.Repeat("- ", 1<<19)},
		{"deep indentation", "indented too deeply", deep(3000)},
		{"keys", "more than 256 keys", many(1<<16, "k%d: 1\n")},
		{"flow keys", "more than 256 keys", "node: {" + many(1<<16, "k%d: 1, ") + "}"},
		{"flow empties", "have no value", "node: [" + strings.Repeat("{a}, ", 1<<16) + "]"},
		{"empty items", "have no value", "node:\n" + strings.Repeat("  -\n", 1<<16)},
		{"empty keys", "have no value", "node:\n" + strings.Repeat("  - a:\n", 1<<16)},
		{"documents", "second YAML document", strings.Repeat("---\na\n", 1<<16)},
		{"document ends", "unexpected end content", strings.Repeat("a\n...\n", 1<<14)},
		{"questions", `with "?"`, strings.Repeat("? a\n", 1<<16)},
		{"tags", "a YAML tag", strings.Repeat("- !a b\n", 1<<16)},
		{"values", "too many values", "node: [" + strings.Repeat("1,", 5<<20) + "1]"},
		{"anchors of anchors", "anchors", "node: " + strings.Repeat("&a ", 1<<17) + "b"},
		{"too large", "larger than 16 MiB", "node: " + strings.Repeat("x", maxFileBytes)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			_, err := loadText(tt.text)
			require.ErrorContains(t, err, tt.what)
			require.Less(t, time.Since(start), 20*time.Second)
			require.Less(t, len(err.Error()), 1<<20, "the report is short too")
		})
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	require.Less(t, m.Sys, uint64(2<<30))
}

func many(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func deep(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func TestLoadFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "edge.yaml")
	_, err := Load(path, Options{})
	require.ErrorIs(t, err, fs.ErrNotExist)
	var problems Problems
	require.False(t, errors.As(err, &problems), "a file that is not there is not a wrong file")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "model.onnx"), []byte("x"), 0o600))
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(camera("substream_url: file:a b/../c%20d.h264"),
		"rtsp://192.0.2.10/live", "file:./clips/v.h264", 1)+"center: {database: /var/x.db}\n"), 0o600))
	_, err = Load(path, Options{})
	require.ErrorContains(t, err, path+":7:22: edge.cameras[0].substream_url: has a space in it")

	text := strings.Replace(camera("substream_url: file:c%20d.h264"), "rtsp://192.0.2.10/live", "file://./clips/v.h264", 1)
	text = strings.Replace(text, "  cameras", "  detector: {model: model.onnx}\n  cameras", 1)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	t.Chdir(dir)
	c, err := Load("edge.yaml", Options{})
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "model.onnx"), c.Edge.Detector.Model)
	require.Equal(t, "file://"+dir+"/clips/v.h264", c.Edge.Cameras[0].URL)
	require.Equal(t, "file://"+dir+"/c%20d.h264", c.Edge.Cameras[0].SubstreamURL)
}

func BenchmarkLoadThousandCameras(b *testing.B) {
	var text strings.Builder
	text.WriteString("center: {}\nedge:\n  cameras:\n")
	one := strings.SplitAfter(zoned("kind: zone_entry\nzones: [lane]\nschedule: [\"daily 22:00-06:00\"]"), "cameras:\n")[1]
	one, _, _ = strings.Cut(one, "redis:")
	for i := range 1000 {
		text.WriteString(strings.Replace(one, "gate-01", fmt.Sprintf("gate-%d", i), 1))
	}
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := loadText(text.String()); err != nil {
			b.Fatal(err)
		}
	}
}

func TestBucketIsNamedWhole(t *testing.T) {
	for name, tt := range map[string]struct{ pictures, what string }{
		"whole":               {"{bucket: b, endpoint: 's3:9000', access_key: {env: K}, secret_key: {env: S}}", ""},
		"without its address": {"{bucket: b, access_key: {env: K}, secret_key: {env: S}}", "without endpoint"},
		"without a key":       {"{bucket: b, endpoint: 's3:9000', access_key: {env: K}}", "without secret_key"},
		"at an URL":           {"{bucket: b, endpoint: 'http://s3:9000', access_key: {env: K}, secret_key: {env: S}}", "not host:port"},
	} {
		t.Run(name, func(t *testing.T) {
			text := "edge: {}\ncenter: {pictures: " + tt.pictures + "}\n"
			c, err := load([]byte(text), "test.yaml", "/nowhere", Options{Getenv: func(string) string { return "hunter2" }})
			if tt.what != "" {
				var problems Problems
				require.ErrorAs(t, err, &problems)
				require.Len(t, problems, 1)
				require.Contains(t, problems[0].What, tt.what)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "hunter2", c.Center.Pictures.SecretKey.Value())
			require.Equal(t, "us-east-1", c.Center.Pictures.Region)
		})
	}
}
