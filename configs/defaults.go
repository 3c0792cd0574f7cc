package configs

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"time"
)

// The defaults of every setting stand in this file and nowhere else; the loader,
// the schema and Print read them from here. A zero field means "the default", so
// a field with a default other than zero never allows zero (a test holds this).

func defaultConfig() Config {
	return Config{
		DataDir:  "./data",
		Timezone: "Asia/Shanghai",
		Log:      Log{Level: "info", Format: "text"},
		Redis:    Redis{Stream: "sharpeyes:{alerts}", Group: "center"},
	}
}

func defaultEdge() Edge {
	return Edge{
		Listen:   "127.0.0.1:9680",
		SiteDown: 3,
		Outbox:   Outbox{MaxBytes: 1 << 30, MaxAge: Duration(720 * time.Hour)},
		Detector: Detector{Runtime: RuntimeAuto, Threads: 1, Workers: 1, MaxPerSecond: 6, MaxWait: Duration(time.Second)},
		Budget:   Budget{Turn: Duration(6 * time.Second)},
		Defaults: defaultStream(),
	}
}

func defaultGB28181() GB28181 {
	return GB28181{
		Listen: "127.0.0.1:5060", Transport: GB28181TCP, Unknown: GB28181Wait,
		TLS:   GB28181TLS{Listen: "127.0.0.1:5061"},
		Media: GB28181Media{Listen: "127.0.0.1", Ports: "30000-30100"},
	}
}

// defaultStream leaves Stream.Stream empty: it depends on the camera.
func defaultStream() Stream {
	return Stream{
		Transport:  "auto",
		Timeout:    Duration(10 * time.Second),
		FrozenFor:  Duration(30 * time.Second),
		AnalyseFPS: 8,
		DetectFPS:  2,
		Gate: Gate{
			Mode: "auto", Threshold: 6, Smoothing: 0.15, QPWeightH264: 0.35, QPWeightH265: 0.55, Raise: 1.2, RaiseMost: 3, WarmUp: Duration(30 * time.Second), Hold: Duration(time.Second),
			Confirm: 3, ConfirmOf: 5, ConfirmWithin: Duration(time.Second), MaxWakes: 30,
			KeyEvery: Duration(10 * time.Second), MaxGOP: Duration(12 * time.Second), RingBytes: 8 << 20,
			DeblockFrom: 26, Behind: Duration(2 * time.Second),
		},
	}
}

func defaultCamera() Camera {
	return Camera{LegalBasis: "unknown", Motion: Motion{Method: MotionCells, Threshold: 20, MinArea: 0.0005, ClockArea: 0.03, GlobalChange: 0.5}}
}

func defaultCenter() Center {
	return Center{
		Listen:       "127.0.0.1:9600",
		Database:     "center.db",
		Pictures:     Pictures{Region: "us-east-1"},
		MinPoints:    5,
		SessionFor:   Duration(12 * time.Hour),
		OfflineAfter: Duration(3 * time.Minute),
	}
}

// defaultRule returns the defaults of a rule of that kind; what does not apply
// to the kind stays zero.
func defaultRule(kind string) Rule {
	r := Rule{CloseAfter: Duration(10 * time.Second), Level: 3}
	if kind != kindCameraFault {
		r.Frames, r.Of = 2, 3
	}
	switch kind {
	case kindZoneEntry, kindLineCross, kindDwell:
		r.Classes, r.MinScore = []string{"person"}, 0.4
	}
	switch kind {
	case kindLineCross:
		r.Direction = "both"
	case kindDwell:
		r.After = Duration(3 * time.Minute)
	case kindCameraFault:
		r.After = Duration(30 * time.Second)
	}
	return r
}

// fill gives every zero field of *dst the value that def has there, in nested
// structures too.
func fill[T any](dst *T, def T) { fillValue(reflect.ValueOf(dst).Elem(), reflect.ValueOf(def)) }

func fillValue(dst, def reflect.Value) {
	if dst.Kind() != reflect.Struct {
		if dst.IsZero() || dst.Kind() == reflect.Slice && dst.Len() == 0 {
			dst.Set(def)
		}
		return
	}
	for i := range dst.NumField() {
		if dst.Type().Field(i).IsExported() {
			fillValue(dst.Field(i), def.Field(i))
		}
	}
}

// applyDefaults fills c in place: sections that are there, cameras and rules.
// host is this machine's name, for a file that names no node.
func (c *Config) applyDefaults(host string) {
	fill(c, defaultConfigFor(c, host))
	if c.Edge != nil {
		fill(c.Edge, defaultEdge())
		if c.Edge.GB28181 != nil {
			fill(c.Edge.GB28181, defaultGB28181())
		}
		for i := range c.Edge.Cameras {
			c.Edge.Cameras[i] = c.Edge.Cameras[i].Effective(c.Edge.Defaults)
		}
	}
	if c.Center != nil {
		fill(c.Center, defaultCenter())
	}
}

// defaultConfigFor returns the defaults of the top level with the sections that
// c has: a section that is left out stays out.
func defaultConfigFor(c *Config, host string) Config {
	def := defaultConfig()
	def.Node = nodeName(host)
	def.Edge, def.Center = c.Edge, c.Center
	return def
}

var notNode = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// nodeName makes a node name of a host name: other characters become hyphens.
func nodeName(host string) string {
	name := strings.Trim(notNode.ReplaceAllString(host, "-"), "-._")
	if name == "" {
		return "node"
	}
	return name[:min(len(name), 63)]
}

// hostName returns this machine's name, "" when it has none.
func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

// Effective returns a copy of c with nothing left to be looked up elsewhere:
// Settings is filled from defaults and then from the built-in defaults, and so
// are Motion, LegalBasis and the rules. Settings.Stream is "both" when c has a
// substream, else "main". The copy shares no rules with c; calling it twice
// changes nothing.
func (c Camera) Effective(defaults Stream) Camera {
	fill(&c.Settings, defaults)
	fill(&c.Settings, defaultStream())
	if c.SubstreamURL == "" {
		c.Settings.Stream = StreamMain
	} else if c.Settings.Stream == "" {
		c.Settings.Stream = StreamBoth
	}
	def := defaultCamera()
	if c.LegalBasis == "" {
		c.LegalBasis = def.LegalBasis
	}
	fill(&c.Motion, def.Motion)
	rules := make([]Rule, len(c.Rules))
	for i, r := range c.Rules {
		fill(&r, defaultRule(r.Kind))
		rules[i] = r
	}
	if len(rules) > 0 {
		c.Rules = rules
	}
	return c
}
