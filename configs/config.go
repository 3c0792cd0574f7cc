// Package configs holds every setting of the program: the structures, their
// defaults, strict loading, validation with file, line and column, the JSON
// Schema for editors, the difference between two files, and the sample files.
// It imports nothing of ours and reads nothing but the files it is told to.
package configs

// Config is one configuration file. edge.yaml has the edge section, center.yaml
// the center section, a standalone file both.
type Config struct {
	Node     string  `yaml:"node" json:"node,omitempty" jsonschema:"description=Name of this node in alerts and metrics. Default: the host name."`
	DataDir  string  `yaml:"data_dir" json:"data_dir,omitempty" jsonschema:"description=Folder for everything the program writes. Default: ./data beside the working directory."`
	Timezone string  `yaml:"timezone" json:"timezone,omitempty"` // for schedules and days; default Asia/Shanghai
	Log      Log     `yaml:"log" json:"log,omitempty"`
	Redis    Redis   `yaml:"redis" json:"redis,omitempty"`
	Edge     *Edge   `yaml:"edge" json:"edge,omitempty"`
	Center   *Center `yaml:"center" json:"center,omitempty"`
}

// Log says how much is logged and in which form.
type Log struct {
	Level  string `yaml:"level" json:"level,omitempty" jsonschema:"enum=debug,enum=info,enum=warn,enum=error"` // default info
	Format string `yaml:"format" json:"format,omitempty" jsonschema:"enum=text,enum=json"`                     // default text
}

// Redis names the server between edge and center. In standalone an empty
// Addresses starts a private redis-server on a Unix socket in DataDir.
type Redis struct {
	Addresses []string `yaml:"addresses" json:"addresses,omitempty"` // host:port or unix:///path; several mean Sentinel (with Master) or Cluster
	Master    string   `yaml:"master" json:"master,omitempty"`       // Sentinel master name; default none
	Username  string   `yaml:"username" json:"username,omitempty"`   // default none
	Password  Secret   `yaml:"password" json:"password,omitempty"`   // default none
	TLS       bool     `yaml:"tls" json:"tls,omitempty"`             // default false
	Stream    string   `yaml:"stream" json:"stream,omitempty"`       // default "sharpeyes:{alerts}"
	Group     string   `yaml:"group" json:"group,omitempty"`         // consumer group of the centers; default "center"
}

// Secret names where a secret stands; it never holds the secret itself in a
// file. Exactly one of Env and File, or neither for no secret.
type Secret struct {
	Env  string `yaml:"env" json:"env,omitempty"`   // name of an environment variable
	File string `yaml:"file" json:"file,omitempty"` // path of a file, relative to the configuration file; trailing line end is cut

	value string // resolved by Load
}

// Value returns the resolved secret, "" when none is configured.
func (s Secret) Value() string { return s.value }

// Edge is the part of a node that pulls cameras.
type Edge struct {
	Listen   string   `yaml:"listen" json:"listen,omitempty"` // metrics and health of an edge without center; default 127.0.0.1:9680
	Outbox   Outbox   `yaml:"outbox" json:"outbox,omitempty"`
	Detector Detector `yaml:"detector" json:"detector,omitempty"`
	Defaults Stream   `yaml:"defaults" json:"defaults,omitempty"` // stream settings that every camera starts from
	Cameras  []Camera `yaml:"cameras" json:"cameras,omitempty"`
}

// Outbox bounds what the edge keeps while the center is out of reach.
type Outbox struct {
	MaxBytes Bytes    `yaml:"max_bytes" json:"max_bytes,omitempty"` // default 1GiB
	MaxAge   Duration `yaml:"max_age" json:"max_age,omitempty"`     // default 720h
}

// Detector is the one object detector of a node.
type Detector struct {
	Model        string   `yaml:"model" json:"model,omitempty"`                   // "" for the built-in NanoDet-g 416, or the path of an ONNX file with the same head
	Threads      int      `yaml:"threads" json:"threads,omitempty"`               // default 1
	MaxPerSecond float64  `yaml:"max_per_second" json:"max_per_second,omitempty"` // budget of inferences per second for the node; default 6
	MaxWait      Duration `yaml:"max_wait" json:"max_wait,omitempty"`             // a camera waits at most this long for its turn; default 1s
}

// Stream says how a camera's stream is pulled and watched.
type Stream struct {
	Transport  string   `yaml:"transport" json:"transport,omitempty" jsonschema:"enum=auto,enum=tcp,enum=udp"` // default auto: TCP, UDP when the camera refuses TCP
	Stream     string   `yaml:"stream" json:"stream,omitempty" jsonschema:"enum=main,enum=sub"`                // which stream is analysed: default sub when substream_url is set, else main
	Timeout    Duration `yaml:"timeout" json:"timeout,omitempty"`                                              // to answer, and without frames; default 10s
	FrozenFor  Duration `yaml:"frozen_after" json:"frozen_after,omitempty"`                                    // the same picture for this long is frozen; default 30s
	AnalyseFPS float64  `yaml:"analyse_fps" json:"analyse_fps,omitempty"`                                      // motion instants per second; default 8
	DetectFPS  float64  `yaml:"detect_fps" json:"detect_fps,omitempty"`                                        // object detections per second while something moves; default 2
}

// Camera is one camera: where it is reached, what it is, what is watched for.
type Camera struct {
	ID           string    `yaml:"id" json:"id"`
	Name         string    `yaml:"name" json:"name"`
	URL          string    `yaml:"url" json:"url"`                               // rtsp:// or rtsps:// without user and password, or file:// for a clip
	SubstreamURL string    `yaml:"substream_url" json:"substream_url,omitempty"` // the smaller stream, if the camera has one
	Username     string    `yaml:"username" json:"username,omitempty"`
	Password     Secret    `yaml:"password" json:"password,omitempty"`
	TLS          CameraTLS `yaml:"tls" json:"tls,omitempty"`
	Division     string    `yaml:"division" json:"division"`     // 12-digit code of the village or community
	Grid         string    `yaml:"grid" json:"grid,omitempty"`   // 15-digit grid code, begins with division
	Point        string    `yaml:"point" json:"point,omitempty"` // 点位: pole number; cameras on one pole share it; default: the camera is its own point
	Place        string    `yaml:"place" json:"place,omitempty"`
	LegalBasis   string    `yaml:"legal_basis" json:"legal_basis,omitempty" jsonschema:"enum=A7.1,enum=A7.2,enum=A9,enum=A33,enum=unknown"` // Order 799; default unknown: shown, never analysed. A33 is never connected
	Purpose      string    `yaml:"purpose" json:"purpose,omitempty"`
	Lon          *float64  `yaml:"lon" json:"lon,omitempty"`
	Lat          *float64  `yaml:"lat" json:"lat,omitempty"`
	Uplink       string    `yaml:"uplink" json:"uplink,omitempty"`               // cameras behind one link share a reconnect budget; default: the host of url
	Disabled     bool      `yaml:"disabled" json:"disabled,omitempty"`           // keep the record, do not connect
	Settings     Stream    `yaml:"settings" json:"settings,omitempty"`           // overrides of edge.defaults
	Masks        [][]Point `yaml:"privacy_masks" json:"privacy_masks,omitempty"` // polygons that are blacked out before anything is stored or detected
	Motion       Motion    `yaml:"motion" json:"motion,omitempty"`
	Zones        []Zone    `yaml:"zones" json:"zones,omitempty"`
	Lines        []Line    `yaml:"lines" json:"lines,omitempty"`
	Rules        []Rule    `yaml:"rules" json:"rules,omitempty"`
}

// CameraTLS is for rtsps:// addresses.
type CameraTLS struct {
	CAFile      string `yaml:"ca_file" json:"ca_file,omitempty"`         // PEM; default: the system's roots
	Fingerprint string `yaml:"fingerprint" json:"fingerprint,omitempty"` // SHA-256 of the camera's certificate in hex: for self-signed cameras
}

// Motion tunes the motion finder of a camera.
type Motion struct {
	Threshold int     `yaml:"threshold" json:"threshold,omitempty"` // grey levels a pixel must differ from the learned scene, 1..255; default 20
	MinArea   float64 `yaml:"min_area" json:"min_area,omitempty"`   // share of the picture that must move, 0..1; default 0.0005
}

// Point is a place in the picture as [x, y], 0..1 from left and top.
type Point [2]float64

// Zone is a polygon of at least three points.
type Zone struct {
	ID     string  `yaml:"id" json:"id"`
	Name   string  `yaml:"name" json:"name,omitempty"`
	Points []Point `yaml:"points" json:"points"`
}

// Line is a directed line from A to B. "a_to_b side" follows the right-hand
// view: looking from A to B, crossing from left to right is "right".
type Line struct {
	ID   string `yaml:"id" json:"id"`
	Name string `yaml:"name" json:"name,omitempty"`
	A    Point  `yaml:"a" json:"a"`
	B    Point  `yaml:"b" json:"b"`
}

// Rule says when an alert is raised.
type Rule struct {
	ID         string   `yaml:"id" json:"id"`
	Name       string   `yaml:"name" json:"name,omitempty"`
	Kind       string   `yaml:"kind" json:"kind" jsonschema:"enum=zone_entry,enum=line_cross,enum=dwell,enum=motion_in_schedule,enum=camera_fault"`
	Zones      []string `yaml:"zones" json:"zones,omitempty"`                                                     // zone IDs; motion_in_schedule without zones: the whole picture
	Lines      []string `yaml:"lines" json:"lines,omitempty"`                                                     // line_cross only
	Direction  string   `yaml:"direction" json:"direction,omitempty" jsonschema:"enum=both,enum=left,enum=right"` // line_cross only; default both
	Classes    []string `yaml:"classes" json:"classes,omitempty"`                                                 // object classes or groups person, vehicle, animal; default person
	MinScore   float64  `yaml:"min_score" json:"min_score,omitempty"`                                             // 0..1; default 0.4
	MinHeight  float64  `yaml:"min_height" json:"min_height,omitempty"`                                           // share of the picture's height; default 0
	Frames     int      `yaml:"frames" json:"frames,omitempty"`                                                   // N of N-of-M; default 2
	Of         int      `yaml:"of" json:"of,omitempty"`                                                           // M of N-of-M; default 3
	After      Duration `yaml:"after" json:"after,omitempty"`                                                     // dwell: how long; camera_fault: for how long bad; default dwell 3m, camera_fault 30s
	CloseAfter Duration `yaml:"close_after" json:"close_after,omitempty"`                                         // an alert closes when its rule was not met for this long; default 10s
	Cooldown   Duration `yaml:"cooldown" json:"cooldown,omitempty"`                                               // after closing, no new alert for this long; default 0s
	Schedule   []string `yaml:"schedule" json:"schedule,omitempty"`                                               // "Mon-Fri 22:00-06:00", "daily 08:00-18:00"; default always
	Level      int      `yaml:"level" json:"level,omitempty"`                                                     // hazard severity 1 (highest) to 4; default 3
	Category   string   `yaml:"category" json:"category,omitempty"`                                               // proposed event category, 4 digits of the table in use
}

// Center is the part that keeps alerts and serves people.
type Center struct {
	Listen        string   `yaml:"listen" json:"listen,omitempty"`     // default 127.0.0.1:9600
	TLSCert       string   `yaml:"tls_cert" json:"tls_cert,omitempty"` // PEM file; both or neither
	TLSKey        string   `yaml:"tls_key" json:"tls_key,omitempty"`
	Database      string   `yaml:"database" json:"database,omitempty"`             // SQLite file; default center.db in data_dir
	DivisionsFile string   `yaml:"divisions_file" json:"divisions_file,omitempty"` // CSV code,name,kind; default: the built-in extract of Jiangxi
	MinPoints     int      `yaml:"min_points" json:"min_points,omitempty"`         // points per administrative village (COV-1); default 5
	SessionFor    Duration `yaml:"session_for" json:"session_for,omitempty"`       // a login lasts at most this long; default 12h
	OfflineAfter  Duration `yaml:"offline_after" json:"offline_after,omitempty"`   // a camera whose edge is silent for this long is unknown; default 3m
}
