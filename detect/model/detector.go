package model

import (
	"errors"
	"fmt"
	"image"
	"sync"

	"github.com/sharpeyes/sharpeyes/detect"
)

const (
	nmsIoU      = 0.6 // overlap above which the weaker of two boxes of one group goes
	lowestScore = 0.05
)

// Detector finds objects with a model and some engines that compute it. It is
// safe for concurrent use: as many pictures are looked at in one moment as there
// are engines, the others wait.
type Detector struct {
	model   *Model
	engines int // opened
	idle    chan *worker
	closed  chan struct{}
	once    sync.Once
}

// worker is an engine with its memory.
type worker struct {
	engine Engine
	canvas *canvas
	input  []float32
}

var _ detect.Detector = (*Detector)(nil)

// NewDetector opens so many engines of the model, at least one, and lets each
// compute the numeric check: of a built-in model against stored values of another
// engine, of any other for values that can be scores and boxes. It blocks for that
// long. The caller closes the detector, which closes the engines.
func NewDetector(m *Model, workers int, open func(*Model) (Engine, error)) (*Detector, error) {
	workers = max(workers, 1)
	d := &Detector{model: m, idle: make(chan *worker, workers), closed: make(chan struct{})}
	for range workers {
		e, err := open(m)
		if err != nil {
			d.Close()
			return nil, err
		}
		w := &worker{e, newCanvas(m.head.look()), make([]float32, 3*m.size*m.size)}
		d.engines++
		d.idle <- w
		if err := m.selfCheck(w); err != nil {
			d.Close()
			return nil, err
		}
	}
	return d, nil
}

// Close frees the engines. It waits for inferences that run; closing twice is
// harmless.
func (d *Detector) Close() {
	d.once.Do(func() {
		close(d.closed)
		for range d.engines {
			(<-d.idle).engine.Close()
		}
	})
}

// Workers returns how many pictures are looked at in one moment.
func (d *Detector) Workers() int { return cap(d.idle) }

// Detect implements detect.Detector. It takes pictures of 16x16 pixels and more
// with any chroma subsampling, as full-range BT.601 like JPEG; scores below 0.05
// are never returned. It blocks for one inference, and for those that wait
// already. It returns the boxes strongest first, clipped to the picture.
func (d *Detector) Detect(img *image.YCbCr, minScore float64) ([]detect.Detection, error) {
	y, c, err := planes(img)
	if err != nil {
		return nil, err
	}
	if !(minScore >= lowestScore) { // also NaN
		minScore = lowestScore
	}
	var w *worker
	select {
	case w = <-d.idle:
	case <-d.closed:
		return nil, errors.New("detect: the detector is closed")
	}
	defer func() { d.idle <- w }()
	p := place(y.width, y.height, d.model.size, w.canvas.look.fit)
	w.canvas.fill(y, c, p, w.input)
	outs, err := w.engine.Run(w.input)
	if err != nil {
		return nil, fmt.Errorf("detect: %w", err)
	}
	if outs, err = d.model.outputs(outs); err != nil {
		return nil, err
	}
	return detect.Suppress(d.model.head.decode(outs, p, minScore), nmsIoU), nil
}
