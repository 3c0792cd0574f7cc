// Package detect turns access units into observations: it decides what to
// decode, finds motion on a small luma picture, asks the shared detector for
// objects and keeps the tracks of one camera. C lives in detect/ffmpeg and
// detect/opencv; this package is pure Go and knows no rule, no alert and no
// network. It recognises classes of objects and never a person: no face, no
// plate, no attribute, and no track leaves its camera.
package detect

import (
	"image"
	"time"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// Class is one of the compiled-in object classes. A label outside the list is
// dropped where the model's output is read.
type Class string

// The classes, by their COCO names.
const (
	Person     Class = "person"
	Bicycle    Class = "bicycle"
	Car        Class = "car"
	Motorcycle Class = "motorcycle"
	Bus        Class = "bus"
	Train      Class = "train"
	Truck      Class = "truck"
	Boat       Class = "boat"
	Cat        Class = "cat"
	Dog        Class = "dog"
	Horse      Class = "horse"
	Sheep      Class = "sheep"
	Cow        Class = "cow"
)

// Classes returns all classes in a fixed order.
func Classes() []Class {
	return []Class{Person, Bicycle, Car, Motorcycle, Bus, Train, Truck, Boat, Cat, Dog, Horse, Sheep, Cow}
}

// Group is a set of classes that small models confuse with each other.
type Group string

// The groups.
const (
	GroupPerson  Group = "person"
	GroupVehicle Group = "vehicle"
	GroupAnimal  Group = "animal"
)

// Group returns the class's group, or "" for a class outside the list.
func (c Class) Group() Group {
	switch c {
	case Person:
		return GroupPerson
	case Bicycle, Car, Motorcycle, Bus, Train, Truck, Boat:
		return GroupVehicle
	case Cat, Dog, Horse, Sheep, Cow:
		return GroupAnimal
	}
	return ""
}

// Point is a place in a picture: 0..1 from left and from top.
type Point struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

// Box is a rectangle in a picture, in 0..1 of its width and height.
type Box struct {
	X float64 `json:"x"` // left
	Y float64 `json:"y"` // top
	W float64 `json:"w"`
	H float64 `json:"h"`
}

// Foot is the middle of the lower edge: where a person or vehicle stands.
func (b Box) Foot() Point { return Point{b.X + b.W/2, b.Y + b.H} }

// Area returns the share of the picture that the box covers, 0..1.
func (b Box) Area() float64 { return b.W * b.H }

// Intersect returns the common rectangle; its area is 0 when there is none.
func (b Box) Intersect(o Box) Box {
	x0, y0 := max(b.X, o.X), max(b.Y, o.Y)
	x1, y1 := min(b.X+b.W, o.X+o.W), min(b.Y+b.H, o.Y+o.H)
	if x1 <= x0 || y1 <= y0 {
		return Box{}
	}
	return Box{x0, y0, x1 - x0, y1 - y0}
}

// Union returns the smallest rectangle that contains both.
func (b Box) Union(o Box) Box {
	x0, y0 := min(b.X, o.X), min(b.Y, o.Y)
	return Box{x0, y0, max(b.X+b.W, o.X+o.W) - x0, max(b.Y+b.H, o.Y+o.H) - y0}
}

// Pad returns the box grown by x on its left and right and by y above and below.
func (b Box) Pad(x, y float64) Box {
	return Box{b.X - x, b.Y - y, b.W + 2*x, b.H + 2*y}
}

// IoU returns the intersection over union, 0..1.
func (b Box) IoU(o Box) float64 {
	i := b.Intersect(o).Area()
	u := b.Area() + o.Area() - i
	if u <= 0 {
		return 0
	}
	return i / u
}

// Detection is one object in one picture.
type Detection struct {
	Class Class   `json:"class"`
	Score float64 `json:"score"` // 0..1, as the model gives it
	Box   Box     `json:"box"`
}

// Track is one object followed through the pictures of one camera. It lives in
// memory for minutes. Its number has no JSON form on purpose: it is never
// stored, never sent, and means nothing to another camera.
type Track struct {
	ID    uint64 `json:"-"`
	Class Class
	Score float64
	Box   Box       // where it is now
	Prev  Box       // where it was at the previous analysed instant
	Born  time.Time // first seen
	Seen  time.Time // last matched by a detection
	Hits  int       // instants in which a detection matched
}

// Motion is what moved on the small luma picture.
type Motion struct {
	Active bool    // enough cells changed to call it motion
	Area   float64 // share of the picture that changed, 0..1
	Boxes  []Box   // connected moving regions, largest first, at most 16
	Global bool    // most of the picture changed at once (light, infrared switch, pan): no motion is claimed
	Faint  bool    // between pictures seconds apart something changed that is half as large as motion: worth a closer look
}

// Skip says why an instant was not analysed.
type Skip string

// The reasons of a skip.
const (
	SkipNone         Skip = ""
	SkipLoss         Skip = "loss"          // units lost, waiting for a key frame
	SkipDecode       Skip = "decode_error"  // the decoder refused the unit
	SkipDetectorBusy Skip = "detector_busy" // the shared detector had no turn for this camera in time
	SkipDetector     Skip = "detector_error"
	SkipQueue        Skip = "queue_drop" // the analyser was behind, the queue dropped to the next key frame
	SkipOverload     Skip = "overload"   // the node is behind: only key frames of this camera are looked at
	SkipKeyBusy      Skip = "key_busy"   // the shared key decoders had no turn for this camera within a GOP
)

// SkipReasons returns all reasons of a skip, for metrics.
func SkipReasons() []Skip {
	return []Skip{SkipLoss, SkipDecode, SkipDetectorBusy, SkipDetector, SkipQueue, SkipOverload, SkipKeyBusy}
}

// Observation is what one instant of one camera showed. An empty one is sent
// too, so that rules can close what they opened.
type Observation struct {
	Camera     ingest.CameraID
	At         time.Time     // receipt time of the access unit
	PTS        time.Duration // its media clock
	Skipped    Skip          // not SkipNone: nothing below was measured, and why
	Motion     Motion
	Detected   bool         // the object detector looked at this instant
	Detections []Detection  // allowed classes only, after non-maximum suppression, with a score from 0.15: rules look at Tracks
	Masked     []Detection  // found with their middle in a privacy mask: a stored picture pixelates them, nothing else may use them
	Tracks     []Track      // live tracks as of the latest instant in which the detector looked; Seen == At for those that it found in this one
	Picture    *image.YCbCr // the decoded picture, 4:2:0; valid only until the receiver returns; nil when skipped, and when the gate saw by the stream alone that nothing moves
	FromMain   bool         // Picture and Detections are of the main stream and Motion is of the substream, of nearly the same moment
}
