package configs

// Edge is the part of a node that pulls cameras.
type Edge struct {
	Listen   string   `yaml:"listen" json:"listen,omitempty" form:"listen" jsonschema_description:"host:port for metrics and health of an edge without center."`
	Outbox   Outbox   `yaml:"outbox" json:"outbox,omitempty"`
	Detector Detector `yaml:"detector" json:"detector,omitempty"`
	Budget   Budget   `yaml:"budget" json:"budget,omitempty"`
	GB28181  *GB28181 `yaml:"gb28181" json:"gb28181,omitempty" jsonschema_description:"Cameras and recorders that register by GB/T 28181. Default: none, nothing listens."`
	Defaults Stream   `yaml:"defaults" json:"defaults,omitempty" jsonschema_description:"Stream settings that every camera starts from."`
	SiteDown int      `yaml:"site_down_cameras" json:"site_down_cameras,omitempty" limit:"2..1000" jsonschema_description:"When at least so many cameras behind one uplink, and four of five, lose their frames together, one alert says that the site is down instead of one for each."`
	Cameras  []Camera `yaml:"cameras" json:"cameras,omitempty" items:"0..10000"`
}

// Outbox bounds what the edge keeps while the center is out of reach.
type Outbox struct {
	MaxBytes   Bytes    `yaml:"max_bytes" json:"max_bytes,omitempty" limit:"1MiB..16TiB" jsonschema_description:"Most disk the outbox takes."`
	MaxAge     Duration `yaml:"max_age" json:"max_age,omitempty" limit:"1m..365d" jsonschema_description:"What is older than this is dropped and counted."`
	DailyBytes Bytes    `yaml:"daily_bytes" json:"daily_bytes,omitempty" limit:"0B..1TiB" jsonschema_description:"Bytes sent on one day after which pictures and states wait for the next; alerts go on. Default: no limit."`
	Compress   bool     `yaml:"compress" json:"compress,omitempty" jsonschema_description:"Deflate what is sent, for links that are slow or paid by the byte; pictures are not. Default: false."`
}

// Budget bounds what a node spends on decoding every picture of cameras in which
// something moves. Key frames come before it and are always looked at.
type Budget struct {
	Cores float64  `yaml:"cores" json:"cores,omitempty" limit:"0.05..1024" jsonschema_description:"Processor seconds per second that the program may take before cameras are degraded. Default: 85 % of the processors."`
	Turn  Duration `yaml:"turn" json:"turn,omitempty" limit:"1s..10m" jsonschema_description:"So long every picture of a camera is decoded before it makes room for others that wait."`
}

// Detector is the one object detector of a node.
type Detector struct {
	Model      string   `yaml:"model" json:"model,omitempty" jsonschema_description:"Empty or builtin: NanoDet-g 416. light: SSD-MobileNetV2 300, half the cost, fewer classes. Else the path of an ONNX file, relative to the configuration file."`
	Head       string   `yaml:"head" json:"head,omitempty" jsonschema:"enum=nanodet,enum=ssd,enum=yolox" jsonschema_description:"What the output of an own model means. Default: nanodet. The built-in models know theirs."`
	Labels     []string `yaml:"labels" json:"labels,omitempty" items:"0..1000" chars:"64" jsonschema_description:"Classes of an own model, in the order of its output: a known name, or NAME=CLASS; others are dropped. Default: those of COCO."`
	LabelsFile string   `yaml:"labels_file" json:"labels_file,omitempty" jsonschema_description:"The same as a file, one label a line, relative to the configuration file. Instead of labels."`
	InputSize  int      `yaml:"input_size" json:"input_size,omitempty" limit:"64..1280" jsonschema_description:"Side of the input of an own model in pixels, when its file leaves it free."`

	Runtime string `yaml:"runtime" json:"runtime,omitempty" jsonschema:"enum=auto,enum=opencv,enum=onnxruntime" jsonschema_description:"What computes the model; auto is ONNX Runtime when its library is found and works, else OpenCV."`
	Library string `yaml:"onnxruntime_library" json:"onnxruntime_library,omitempty" jsonschema_description:"Path of libonnxruntime.so, relative to the configuration file. Default: beside the program, then the system's library folders."`
	Threads int    `yaml:"threads" json:"threads,omitempty" limit:"1..256" jsonschema_description:"Threads of one inference."`
	Workers int    `yaml:"workers" json:"workers,omitempty" limit:"1..64" jsonschema_description:"Inferences at the same time. Several workers of one thread do more than one of several."`

	Crops int `yaml:"crops" json:"crops,omitempty" limit:"0..8" jsonschema_description:"Closer looks at parts of a picture around what moves, at most, as far as the budget allows; they find what is far away. 0: whole pictures only."`

	MaxPerSecond float64  `yaml:"max_per_second" json:"max_per_second,omitempty" limit:"0.1..10000" jsonschema_description:"Budget of inferences per second for the node."`
	MaxWait      Duration `yaml:"max_wait" json:"max_wait,omitempty" limit:"10ms..30s" jsonschema_description:"A camera waits at most this long for its turn, and less where its analysis is late already; then the sample is skipped and counted."`
}

// The words of Detector.Model that name no file, and those of Detector.Runtime.
const (
	ModelBuiltIn       = "builtin"
	ModelLight         = "light"
	RuntimeAuto        = "auto"
	RuntimeOpenCV      = "opencv"
	RuntimeONNXRuntime = "onnxruntime"
)

// OwnModel says whether Model is the path of a file and not a built-in model.
func (d Detector) OwnModel() bool {
	return d.Model != "" && d.Model != ModelBuiltIn && d.Model != ModelLight
}

// The words of Stream.Stream.
const (
	StreamMain = "main"
	StreamSub  = "sub"
	StreamBoth = "both"
)

// Stream says how a camera's stream is pulled and watched. The zero value of a
// field means: as in edge.defaults.
type Stream struct {
	Transport  string   `yaml:"transport" json:"transport,omitempty" jsonschema:"enum=auto,enum=tcp,enum=udp" jsonschema_description:"How media travels; auto is TCP, and UDP when the camera refuses TCP."`
	Stream     string   `yaml:"stream" json:"stream,omitempty" jsonschema:"enum=main,enum=sub,enum=both" jsonschema_description:"main: url is analysed. sub: substream_url is, and url is not pulled. both: substream_url is analysed, and url is pulled too, for a closer look by the detector and for pictures of alerts, at the bandwidth of both. Default: both when substream_url is set, else main."`
	Timeout    Duration `yaml:"timeout" json:"timeout,omitempty" limit:"1s..5m" jsonschema_description:"Longest time for an answer, and without frames."`
	FrozenFor  Duration `yaml:"frozen_after" json:"frozen_after,omitempty" limit:"2s..24h" jsonschema_description:"The same picture for this long is a frozen picture."`
	AnalyseFPS float64  `yaml:"analyse_fps" json:"analyse_fps,omitempty" limit:"0.1..60" jsonschema_description:"Instants per second at which motion is looked for."`
	DetectFPS  float64  `yaml:"detect_fps" json:"detect_fps,omitempty" limit:"0.01..60" jsonschema_description:"Object detections per second while something moves; not above analyse_fps."`
	Gate       Gate     `yaml:"gate" json:"gate,omitempty" jsonschema_description:"When streams are decoded."`
}
