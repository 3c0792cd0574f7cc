package configs

// Camera is one camera: where it is reached, what it is, what is watched for.
type Camera struct {
	ID           string    `yaml:"id" json:"id" form:"camera_id" jsonschema_description:"1 to 32 letters, digits and hyphens, or the 20-digit GB/T 28181 ID; once in a file."`
	Name         string    `yaml:"name" json:"name" form:"filled" chars:"128" jsonschema_description:"Name as people know it; the same as on the picture."`
	URL          string    `yaml:"url" json:"url" form:"filled" chars:"2048" jsonschema_description:"rtsp:// or rtsps:// without user and password, gb28181://DEVICE/CHANNEL[?stream=1], or file:// for a clip; file:./clip.h264 is relative to the configuration file."`
	SubstreamURL string    `yaml:"substream_url" json:"substream_url,omitempty" chars:"2048" jsonschema_description:"The smaller stream, if the camera has one: it is what is analysed. Default: none."`
	Username     string    `yaml:"username" json:"username,omitempty" chars:"256" jsonschema_description:"User name at the camera. Default: none."`
	Password     Secret    `yaml:"password" json:"password,omitempty" jsonschema_description:"Password at the camera, by env or file. Default: none."`
	TLS          CameraTLS `yaml:"tls" json:"tls,omitempty"`
	Division     string    `yaml:"division" json:"division" form:"division" jsonschema_description:"12-digit statistical division code of the village or community, in quotes."`
	Grid         string    `yaml:"grid" json:"grid,omitempty" form:"grid" jsonschema_description:"15-digit grid code: the division and 3 digits. Default: none."`
	Point        string    `yaml:"point" json:"point,omitempty" chars:"64" jsonschema_description:"Number of the pole (点位); cameras on one pole share it and count once. Default: the camera is its own point."`
	Place        string    `yaml:"place" json:"place,omitempty" chars:"256" jsonschema_description:"Where it looks, in words. Default: none."`
	LegalBasis   string    `yaml:"legal_basis" json:"legal_basis,omitempty" jsonschema:"enum=A7.1,enum=A7.2,enum=A9,enum=A33,enum=unknown" jsonschema_description:"Article of State Council Order 799 the camera stands on. unknown: shown, never analysed. A33 (not a public place): never connected."`
	Purpose      string    `yaml:"purpose" json:"purpose,omitempty" chars:"256" jsonschema_description:"What the camera is for. Default: none."`
	Lon          *float64  `yaml:"lon" json:"lon,omitempty" limit:"-180..180" jsonschema_description:"Longitude, WGS-84 degrees. Default: not known."`
	Lat          *float64  `yaml:"lat" json:"lat,omitempty" limit:"-90..90" jsonschema_description:"Latitude, WGS-84 degrees. Default: not known."`
	Uplink       string    `yaml:"uplink" json:"uplink,omitempty" chars:"64" jsonschema_description:"Cameras behind one link share a budget of reconnects. Default: the host of url."`
	Disabled     bool      `yaml:"disabled" json:"disabled,omitempty" jsonschema_description:"Keep the record, do not connect. Default: false."`
	Settings     Stream    `yaml:"settings" json:"settings,omitempty" jsonschema_description:"Overrides of edge.defaults."`
	Masks        [][]Point `yaml:"privacy_masks,flow" json:"privacy_masks,omitempty" items:"0..64" jsonschema_description:"Polygons that are blacked out before anything is stored or detected."`
	Motion       Motion    `yaml:"motion" json:"motion,omitempty"`
	Zones        []Zone    `yaml:"zones" json:"zones,omitempty" items:"0..64"`
	Lines        []Line    `yaml:"lines" json:"lines,omitempty" items:"0..64"`
	Rules        []Rule    `yaml:"rules" json:"rules,omitempty" items:"0..64"`
}

// CameraTLS is for rtsps:// addresses.
type CameraTLS struct {
	CAFile      string `yaml:"ca_file" json:"ca_file,omitempty" jsonschema_description:"PEM file with the authority of the camera's certificate, relative to the configuration file. Default: the roots of the system."`
	Fingerprint string `yaml:"fingerprint" json:"fingerprint,omitempty" form:"fingerprint" jsonschema_description:"SHA-256 of the camera's certificate in hex, colons allowed: for self-signed cameras. Default: none."`
}

// Motion tunes the motion finder of a camera.
type Motion struct {
	Method       string  `yaml:"method" json:"method,omitempty" jsonschema:"enum=cells,enum=mog2" jsonschema_description:"cells: running average with brightness compensated. mog2: OpenCV's mixture of Gaussians, for water, leaves and flags, at several times the CPU time."`
	Threshold    int     `yaml:"threshold" json:"threshold,omitempty" limit:"1..255" jsonschema_description:"Grey levels by which a pixel must differ from the learned scene. With mog2 20 stands for 4 standard deviations of the pixel's own noise, others in proportion."`
	MinArea      float64 `yaml:"min_area" json:"min_area,omitempty" limit:"0.00001..1" jsonschema_description:"Share of the picture that must move."`
	ClockArea    float64 `yaml:"clock_area" json:"clock_area,omitempty" limit:"0.001..0.25" jsonschema_description:"Share of the picture, at most, that is masked by itself because it changes about once a second, as the clock does that cameras write into it."`
	GlobalChange float64 `yaml:"global_change" json:"global_change,omitempty" limit:"0.1..1" jsonschema_description:"When more of the picture than this share changes at once, light or infrared switched or the camera turned: that is no motion, and the scene is learned anew. Of cells; mog2 has 0.5."`
}

// The words of Motion.Method.
const (
	MotionCells = "cells"
	MotionMOG2  = "mog2"
)

// Point is a place in the picture as [x, y], 0..1 from left and top.
type Point [2]float64

// Zone is a polygon of at least three points.
type Zone struct {
	ID     string  `yaml:"id" json:"id" form:"part_id" jsonschema_description:"1 to 32 letters, digits, hyphens and underscores; once in a camera."`
	Name   string  `yaml:"name" json:"name,omitempty" chars:"128" jsonschema_description:"Name on alerts. Default: none."`
	Points []Point `yaml:"points,flow" json:"points" items:"3..256" jsonschema_description:"Corners in order; the last one joins the first."`
}

// Line is a directed line from A to B. The direction of a crossing follows the
// view of somebody who stands at A and looks to B: whoever crosses from left to
// right crosses "right".
type Line struct {
	ID   string `yaml:"id" json:"id" form:"part_id" jsonschema_description:"1 to 32 letters, digits, hyphens and underscores; once in a camera."`
	Name string `yaml:"name" json:"name,omitempty" chars:"128" jsonschema_description:"Name on alerts. Default: none."`
	A    Point  `yaml:"a,flow" json:"a" jsonschema_description:"Start."`
	B    Point  `yaml:"b,flow" json:"b" jsonschema_description:"End."`
}

// Rule says when an alert is raised.
type Rule struct {
	ID         string   `yaml:"id" json:"id" form:"part_id" jsonschema_description:"1 to 32 letters, digits, hyphens and underscores; once in a camera."`
	Name       string   `yaml:"name" json:"name,omitempty" chars:"128" jsonschema_description:"Name on alerts. Default: none."`
	Kind       string   `yaml:"kind" json:"kind" jsonschema:"enum=zone_entry,enum=line_cross,enum=dwell,enum=motion_in_schedule,enum=camera_fault" jsonschema_description:"What the rule watches for."`
	Zones      []string `yaml:"zones,flow" json:"zones,omitempty" items:"0..64" form:"filled" jsonschema_description:"Zone IDs: zone_entry, dwell and motion_in_schedule, which without zones watches the whole picture."`
	Lines      []string `yaml:"lines,flow" json:"lines,omitempty" items:"0..64" form:"filled" jsonschema_description:"Line IDs: line_cross only."`
	Direction  string   `yaml:"direction" json:"direction,omitempty" jsonschema:"enum=both,enum=left,enum=right" jsonschema_description:"line_cross only: seen from a to b, from left to right is right. Default: both."`
	Classes    []string `yaml:"classes,flow" json:"classes,omitempty" items:"0..16" form:"class" jsonschema_description:"Object classes or the groups person, vehicle, animal: zone_entry, line_cross and dwell. Default: person."`
	MinScore   float64  `yaml:"min_score" json:"min_score,omitempty" limit:"0.01..1" jsonschema_description:"Least score of an object: zone_entry, line_cross and dwell. Default: 0.4."`
	MinHeight  float64  `yaml:"min_height" json:"min_height,omitempty" limit:"0..1" jsonschema_description:"Least height of an object, as a share of the picture's height: zone_entry, line_cross and dwell. Default: 0."`
	Frames     int      `yaml:"frames" json:"frames,omitempty" limit:"1..100" jsonschema_description:"N of N-of-M: so many of the last M analysed instants must meet the rule. Not for camera_fault. Default: 2."`
	Of         int      `yaml:"of" json:"of,omitempty" limit:"1..100" jsonschema_description:"M of N-of-M; not below frames. Not for camera_fault. Default: 3."`
	After      Duration `yaml:"after" json:"after,omitempty" limit:"1s..30d" jsonschema_description:"dwell: how long an object stands; camera_fault: for how long the camera is bad. Default: dwell 3m, camera_fault 30s."`
	CloseAfter Duration `yaml:"close_after" json:"close_after,omitempty" limit:"1s..24h" jsonschema_description:"An alert closes when its rule was not met for this long."`
	Cooldown   Duration `yaml:"cooldown" json:"cooldown,omitempty" limit:"0s..30d" jsonschema_description:"After closing, no new alert for this long. Default: 0s."`
	Schedule   []string `yaml:"schedule,flow" json:"schedule,omitempty" items:"0..64" form:"schedule" jsonschema_description:"When the rule watches: Mon-Fri 22:00-06:00, daily 08:00-18:00, 周一-周五 22:00-06:00. Default: always."`
	Level      int      `yaml:"level" json:"level,omitempty" limit:"1..4" jsonschema_description:"Severity of the hazard, 1 (highest) to 4."`
	Category   string   `yaml:"category" json:"category,omitempty" form:"category" jsonschema_description:"Proposed event category: 4 digits of the table in use. Default: none."`
}

// The kinds of rules, as Rule.Kind names them.
const (
	kindZoneEntry        = "zone_entry"
	kindLineCross        = "line_cross"
	kindDwell            = "dwell"
	kindMotionInSchedule = "motion_in_schedule"
	kindCameraFault      = "camera_fault"
)

// Connects reports whether the program may and should connect to the camera:
// it is not disabled and it looks at a public place (Order 799 art. 33 covers
// the places that are not).
func (c Camera) Connects() bool { return !c.Disabled && c.LegalBasis != "A33" }
