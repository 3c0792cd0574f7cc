package ingest

import "time"

// Value is the answer to one of the five questions about a camera. Unknown is
// an answer of its own: it never counts as good.
type Value uint8

// The answers.
const (
	Unknown Value = iota
	Yes
	No
)

// String returns "unknown", "yes" or "no".
func (v Value) String() string {
	return [...]string{"unknown", "yes", "no"}[v%3]
}

// MarshalText implements encoding.TextMarshaler.
func (v Value) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; anything but "yes" and
// "no" is Unknown, so that an older reader survives a newer writer.
func (v *Value) UnmarshalText(b []byte) error {
	switch string(b) {
	case "yes":
		*v = Yes
	case "no":
		*v = No
	default:
		*v = Unknown
	}
	return nil
}

// Fact is one answer, since when it holds, and why.
type Fact struct {
	Value  Value     `json:"value"`
	Since  time.Time `json:"since"`
	Reason Reason    `json:"reason,omitempty"`
	Hint   string    `json:"hint,omitempty"`
}

// State is what is known of a camera: five independent facts. A frozen picture,
// audio only, or a clock that jumps is not "online".
type State struct {
	Camera     CameraID `json:"camera"`
	Registered Fact     `json:"registered"`        // the device is known to its registrar (GB/T 28181); not offered by RTSP
	Transport  Fact     `json:"transport"`         // a session stands
	Frames     Fact     `json:"frames"`            // access units arrive in time
	Picture    Fact     `json:"picture"`           // they decode, to a picture that lives
	Recording  Fact     `json:"recording"`         // the device records; not offered by RTSP
	Analysis   Analysis `json:"analysis,omitzero"` // how closely it is watched; zero while that is not known
}

// Level is how closely a camera is watched.
type Level string

// The levels.
const (
	LevelFull     Level = "full"     // every picture is decoded
	LevelGated    Level = "gated"    // nothing moves: the headers of all pictures are read and the key frames looked at
	LevelDegraded Level = "degraded" // something moves, or may, and the node has no time for more than key frames
)

// Levels returns all levels in a fixed order.
func Levels() []Level { return []Level{LevelFull, LevelGated, LevelDegraded} }

// Analysis says how closely a camera was watched in the last minute.
type Analysis struct {
	Level    Level   `json:"level"`      // degraded when any of the last ten seconds was
	Analysed float64 `json:"analysed_s"` // seconds of video that were watched as closely as they should
	Of       float64 `json:"of_s"`       // seconds of video, at most about 60
}

// Online is Yes when frames arrive and the picture is not known to be bad, No
// when either is known to be bad, else Unknown.
func (s State) Online() Value {
	switch {
	case s.Frames.Value == No || s.Picture.Value == No:
		return No
	case s.Frames.Value == Yes:
		return Yes
	}
	return Unknown
}
