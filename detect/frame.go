package detect

import (
	"errors"
	"image"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// ErrNoCgo is returned by the twins of the C rooms when the program was built
// with CGO_ENABLED=0.
var ErrNoCgo = errors.New("built without cgo: decoding and detection are not available; build with CGO_ENABLED=1")

// Luma is a small grey picture, one byte a pixel, rows without padding.
type Luma struct {
	Width, Height int
	Pix           []byte // len = Width*Height
}

// Frame is a decoded picture. All of it is valid until the decoder's next
// Decode or Close; who keeps something copies it.
type Frame struct {
	Image *image.YCbCr // full size, 4:2:0, rows may be padded
	Luma  Luma         // decimated for motion, about 320 wide; empty after Decimate(false)
}

// Decoder turns the access units of one camera into frames. It is used by one
// goroutine.
type Decoder interface {
	// Decode feeds one access unit. It returns nil, nil when the decoder needs
	// more input. After an error the decoder goes on with the next key unit.
	Decode(au ingest.AccessUnit) (*Frame, error)
	// Drain returns the newest picture that the decoder holds back because of
	// the order in which pictures are shown, or nil. The next unit must be a key
	// unit.
	Drain() (*Frame, error)
	Close()
}

// Sparing is a Decoder that can leave out what nobody needs of the units that
// follow. At first it leaves nothing out.
type Sparing interface {
	// Deblock says whether they are deblocked. Without it decoding is cheaper and
	// pictures drift a little until the next key unit.
	Deblock(on bool)
	// Decimate says whether their frames have a Luma.
	Decimate(on bool)
}

// Detector finds objects. It is shared by all cameras of a node and is safe for
// concurrent use.
type Detector interface {
	// Detect looks at a whole picture and returns what it finds with a score of
	// at least minScore, boxes in 0..1 of img. It keeps nothing of img.
	Detect(img *image.YCbCr, minScore float64) ([]Detection, error)
}

// MotionFinder compares each small picture with what it learned of the scene.
// It belongs to one camera and one goroutine.
type MotionFinder interface {
	Find(l Luma) Motion
	Reset()
}
