package configs

// Edge is the part of a node that pulls cameras.
type Edge struct {
	Listen   string   `yaml:"listen" json:"listen,omitempty" form:"listen" jsonschema_description:"host:port for metrics and health of an edge without center."`
	Outbox   Outbox   `yaml:"outbox" json:"outbox,omitempty"`
	Detector Detector `yaml:"detector" json:"detector,omitempty"`
	Defaults Stream   `yaml:"defaults" json:"defaults,omitempty" jsonschema_description:"Stream settings that every camera starts from."`
	Cameras  []Camera `yaml:"cameras" json:"cameras,omitempty" items:"0..10000"`
}

// Outbox bounds what the edge keeps while the center is out of reach.
type Outbox struct {
	MaxBytes Bytes    `yaml:"max_bytes" json:"max_bytes,omitempty" limit:"1MiB..16TiB" jsonschema_description:"Most disk the outbox takes."`
	MaxAge   Duration `yaml:"max_age" json:"max_age,omitempty" limit:"1m..365d" jsonschema_description:"What is older than this is dropped and counted."`
}

// Detector is the one object detector of a node.
type Detector struct {
	Model        string   `yaml:"model" json:"model,omitempty" jsonschema_description:"Path of an ONNX file with the head of NanoDet, relative to the configuration file. Empty: the built-in NanoDet-g 416."`
	Threads      int      `yaml:"threads" json:"threads,omitempty" limit:"1..256" jsonschema_description:"Threads of one inference."`
	MaxPerSecond float64  `yaml:"max_per_second" json:"max_per_second,omitempty" limit:"0.1..10000" jsonschema_description:"Budget of inferences per second for the node."`
	MaxWait      Duration `yaml:"max_wait" json:"max_wait,omitempty" limit:"10ms..30s" jsonschema_description:"A camera waits at most this long for its turn; then the sample is skipped and counted."`
}

// Stream says how a camera's stream is pulled and watched. The zero value of a
// field means: as in edge.defaults.
type Stream struct {
	Transport  string   `yaml:"transport" json:"transport,omitempty" jsonschema:"enum=auto,enum=tcp,enum=udp" jsonschema_description:"How media travels; auto is TCP, and UDP when the camera refuses TCP."`
	Stream     string   `yaml:"stream" json:"stream,omitempty" jsonschema:"enum=main,enum=sub" jsonschema_description:"Which stream is analysed. Default: sub when substream_url is set, else main."`
	Timeout    Duration `yaml:"timeout" json:"timeout,omitempty" limit:"1s..5m" jsonschema_description:"Longest time for an answer, and without frames."`
	FrozenFor  Duration `yaml:"frozen_after" json:"frozen_after,omitempty" limit:"2s..24h" jsonschema_description:"The same picture for this long is a frozen picture."`
	AnalyseFPS float64  `yaml:"analyse_fps" json:"analyse_fps,omitempty" limit:"0.1..60" jsonschema_description:"Instants per second at which motion is looked for."`
	DetectFPS  float64  `yaml:"detect_fps" json:"detect_fps,omitempty" limit:"0.01..60" jsonschema_description:"Object detections per second while something moves; not above analyse_fps."`
	Gate       Gate     `yaml:"gate" json:"gate,omitempty" jsonschema_description:"When streams are decoded."`
}
