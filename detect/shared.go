package detect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// ErrBusy is returned by Shared.Detect when the camera got no turn in time. The
// camera skips the sample; the next one may have more luck.
var ErrBusy = errors.New("the shared detector has no turn for this camera in time")

// What a node's detector may do when its configuration says nothing.
const (
	detectorPerSecond = 6
	detectorMaxWait   = time.Second
)

// Shared lets all cameras of a node use one detector: as many pictures at once as
// it has workers, and not more pictures a second than the budget. Of those who wait
// the one is next whose last turn is longest ago, and a camera stands in the line
// at most once: where there are not enough turns, no camera goes without for long.
// It starts no goroutine.
type Shared struct {
	detector Detector
	crops    int // closer looks at one picture, at most
	budget   *rate.Limiter
	maxWait  time.Duration

	mu     sync.Mutex
	free   int // turns that nobody has
	line   []*turn
	asking map[ingest.CameraID]bool
	turns  uint64                     // given so far
	served map[ingest.CameraID]uint64 // the number of each camera's last turn

	latency, wait prometheus.Histogram
	busy          *prometheus.CounterVec
	cropped       prometheus.Counter
}

// turn is a camera's place in the line; ready is closed when it is its turn.
type turn struct {
	camera ingest.CameraID
	ready  chan struct{}
}

// NewShared wraps d with the budget and patience of cfg; zero values mean 6
// pictures a second, one second and one worker. A nil reg registers no metrics. It does not
// own d: the caller closes it when no Detect runs any more.
func NewShared(d Detector, cfg configs.Detector, reg prometheus.Registerer) *Shared {
	if cfg.MaxPerSecond <= 0 {
		cfg.MaxPerSecond = detectorPerSecond
	}
	wait := cfg.MaxWait.Std()
	if wait <= 0 {
		wait = detectorMaxWait
	}
	buckets := []float64{.01, .02, .03, .05, .075, .1, .15, .2, .3, .5, .75, 1, 2, 5}
	s := &Shared{
		detector: d,
		crops:    max(cfg.Crops, 0),
		// Half a second's worth may be used at once, so that two cameras that see
		// something at the same moment do not wait for the budget.
		budget:  rate.NewLimiter(rate.Limit(cfg.MaxPerSecond), max(1, int(cfg.MaxPerSecond/2))),
		maxWait: wait,
		free:    max(cfg.Workers, 1),
		asking:  make(map[ingest.CameraID]bool),
		served:  make(map[ingest.CameraID]uint64),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sharpeyes_detector_latency_seconds", Help: "Time that the object detector took for one picture or part of one.", Buckets: buckets,
		}),
		wait: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sharpeyes_detector_wait_seconds", Help: "Time that a camera waited for its turn at the object detector, given up or not.", Buckets: buckets,
		}),
		busy: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sharpeyes_detector_busy_total", Help: "Pictures that got no turn at the object detector in time.",
		}, []string{"camera"}),
		cropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sharpeyes_detector_crops_total", Help: "Closer looks of the object detector at parts of pictures, beside those at whole pictures.",
		}),
	}
	if reg != nil {
		reg.MustRegister(s.latency, s.wait, s.busy, s.cropped)
	}
	return s
}

// Detect waits for the camera's turn, at most the configured time, then looks
// at img. It returns ErrBusy when no turn came, ctx.Err() when ctx ended first,
// or what the detector says. img must stay as it is until Detect returns.
func (s *Shared) Detect(ctx context.Context, cam ingest.CameraID, img *image.YCbCr, minScore float64) ([]Detection, error) {
	found, _, err := s.detect(ctx, sample{camera: cam, picture: img, minScore: minScore, patience: s.maxWait})
	return found, err
}

// sample is a picture that a camera wants to be looked at.
type sample struct {
	camera   ingest.CameraID
	picture  *image.YCbCr
	minScore float64
	regions  []Box         // where a closer look may be worth it
	patience time.Duration // how long the camera can wait for its turn; the configured time holds if it is shorter
}

// Forget removes what is kept of a camera that is no longer configured.
func (s *Shared) Forget(camera ingest.CameraID) {
	s.busy.DeleteLabelValues(string(camera))
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.served, camera)
}

// detect also looks closer at parts of the picture around the regions, and says how
// much CPU time this thread spent. The whole picture is always looked at: people
// who stand still outside of all regions have to be pixelated too.
func (s *Shared) detect(ctx context.Context, p sample) ([]Detection, time.Duration, error) {
	asked := time.Now()
	err := s.acquire(ctx, p.camera, min(p.patience, s.maxWait))
	s.wait.Observe(time.Since(asked).Seconds())
	if err != nil {
		if errors.Is(err, ErrBusy) {
			s.busy.WithLabelValues(string(p.camera)).Inc()
		}
		return nil, 0, err
	}
	defer s.release()
	s.serve(p.camera)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cpu := threadCPU()
	found, err := s.once(p.picture, p.minScore)
	if err == nil {
		found, err = s.closer(p, found)
	}
	cpu = threadCPU() - cpu
	if err != nil {
		return nil, cpu, fmt.Errorf("camera %s: detect: %w", p.camera, err)
	}
	return found, cpu, nil
}

// once runs the detector on one picture or part of one.
func (s *Shared) once(img *image.YCbCr, minScore float64) ([]Detection, error) {
	began := time.Now()
	found, err := s.detector.Detect(img, minScore)
	s.latency.Observe(time.Since(began).Seconds())
	return found, err
}

// acquire waits for the turn and then for the budget. The one whose turn it is
// keeps it while it waits for the budget: nobody else could start earlier.
func (s *Shared) acquire(ctx context.Context, cam ingest.CameraID, most time.Duration) error {
	deadline := time.Now().Add(most)
	patience := time.NewTimer(most)
	defer patience.Stop()
	t, err := s.queue(cam)
	if err != nil {
		return err
	}
	defer s.unask(cam)
	select {
	case <-t.ready:
	case <-patience.C:
		s.leave(t)
		return ErrBusy
	case <-ctx.Done():
		s.leave(t)
		return ctx.Err()
	}
	r := s.budget.Reserve()
	delay := r.Delay()
	if delay <= 0 {
		return nil
	}
	if time.Now().Add(delay).After(deadline) {
		r.Cancel()
		s.release()
		return ErrBusy
	}
	granted := time.NewTimer(delay)
	defer granted.Stop()
	select {
	case <-granted.C:
		return nil
	case <-ctx.Done():
		r.Cancel()
		s.release()
		return ctx.Err()
	}
}

func (s *Shared) queue(cam ingest.CameraID) (*turn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asking[cam] {
		return nil, ErrBusy
	}
	s.asking[cam] = true
	t := &turn{cam, make(chan struct{})}
	if s.free > 0 {
		s.free--
		close(t.ready)
		return t, nil
	}
	s.line = append(s.line, t)
	return t, nil
}

// serve counts a turn that was not given back for want of budget.
func (s *Shared) serve(cam ingest.CameraID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turns++
	s.served[cam] = s.turns
}

func (s *Shared) unask(cam ingest.CameraID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.asking, cam)
}

// leave gives up a place in the line. When the turn came in the same moment it
// is passed on.
func (s *Shared) leave(t *turn) {
	s.mu.Lock()
	stood := s.take(t)
	s.mu.Unlock()
	if !stood {
		s.release()
	}
}

// take takes a place out of the line and says whether it was there. The caller
// holds the lock.
func (s *Shared) take(t *turn) bool {
	i := slices.Index(s.line, t)
	if i >= 0 {
		s.line = slices.Delete(s.line, i, i+1)
	}
	return i >= 0
}

// release passes the turn to who waits and had none for longest.
func (s *Shared) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.line) == 0 {
		s.free++
		return
	}
	next := slices.MinFunc(s.line, func(a, b *turn) int { return cmp.Compare(s.served[a.camera], s.served[b.camera]) })
	s.take(next)
	close(next.ready)
}
