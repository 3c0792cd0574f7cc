package detect

import (
	"context"
	"errors"
	"image"
	"log/slog"
	"time"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// What the analyser does when the camera's settings say nothing, and what no
// setting changes.
const (
	analyseFPS    = 8
	detectFPS     = 2
	frozenFor     = 30 * time.Second
	holdMotion    = 2 * time.Second         // the detector goes on looking after the last motion
	recallMotion  = 1500 * time.Millisecond // a track may start where something moved this recently
	idleSample    = 2 * time.Second         // the detector looks this often while only tracks live
	sceneGap      = time.Minute             // after a longer pause the scene is learned anew
	minScore      = 0.15                    // what the detector is asked for: people to pixelate, tracks to continue
	birthScore    = 0.4                     // what starts a track when no rule says less
	leastPatience = 100 * time.Millisecond  // that even a late camera waits for the detector: others do not always get its turn
	minSide       = 64
	maxSide       = 8192
)

// AnalyserOptions are what one camera's analyser works with.
type AnalyserOptions struct {
	Camera     configs.Camera                      // with effective settings; zero settings mean 8 motion and 2 detector instants a second, 30 s for frozen
	NewDecoder func(ingest.Codec) (Decoder, error) // makes a decoder for the codec; called again when the codec changes
	Keys       *KeyPool                            // decodes key units while nothing moves; default none: every unit is decoded, whatever the settings say
	Budget     *Budget                             // shares out the node's processor time; default none: every camera decodes what it wants
	Motion     MotionFinder                        // default: NewCellMotion with the camera's masks
	Detector   *Shared                             // default none: motion only
	Main       *MainStream                         // the larger stream of the same camera, looked into when the detector looks; default none: what is analysed is all there is
	Emit       func(Observation)                   // takes each observation, in order, on the analyser's goroutine; what it keeps of Picture it copies
	Picture    func(ingest.Value, ingest.Reason)   // takes each change of the picture fact; default none
	AskKey     func()                              // asks the camera for a key unit now and does not block, where a wake would have much to decode before it sees anything; default none: it is decoded
	Analysis   func(ingest.Analysis)               // hears every ten seconds of video how closely the camera is watched, on the analyser's goroutine; default none
	Metrics    *Metrics                            // default: not registered
	Log        *slog.Logger                        // default: discards
	Now        func() time.Time                    // tells how late the analysis is; default time.Now
}

// Analyser turns the access units of one camera into observations. Its gate
// decides which of them are decoded: while nothing moves, key units alone, by the
// shared pool, and of the others only the headers are read; while something
// moves, each of them (a picture depends on those before it). In decoded pictures
// it looks for motion some times a second, asks the shared detector only while
// something moves or a track lives, and says of each instant that it could not
// analyse why. A camera whose legal basis is not known is not analysed at all: its
// key units are decoded for the picture fact and nothing else.
type Analyser struct {
	opt     AnalyserOptions
	id      ingest.CameraID
	lawful  bool
	masks   []Polygon
	metrics *cameraMetrics
	tracker *Tracker
	birth   float64

	decoder      Decoder
	codec        ingest.Codec
	health       pictureHealth
	detectorDown bool // said in the log

	gated

	begun       bool // a key unit was taken
	needKey     bool
	refreshing  int // units until a gradual refresh that decoding began with is complete, at most
	instants    pace
	skips       pace
	lastInstant time.Time
	lastAsked   time.Time
	lastMotion  time.Time
	moved       []movedBox
	tracks      []Track
}

// movedBox is where something moved, and when.
type movedBox struct {
	at  time.Time
	box Box
}

// NewAnalyser checks the options. It starts nothing.
func NewAnalyser(opt AnalyserOptions) (*Analyser, error) {
	if opt.NewDecoder == nil || opt.Emit == nil {
		return nil, errors.New("camera " + opt.Camera.ID + ": analyser needs a decoder and a receiver of observations")
	}
	masks := NewPolygons(opt.Camera.Masks)
	if opt.Motion == nil {
		opt.Motion = NewCellMotion(opt.Camera.Motion, opt.Camera.Masks)
	}
	if opt.Metrics == nil {
		opt.Metrics = NewMetrics(nil)
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Picture == nil {
		opt.Picture = func(ingest.Value, ingest.Reason) {}
	}
	opt.Camera.Settings = filledSettings(opt.Camera.Settings)
	s := opt.Camera.Settings
	id := ingest.CameraID(opt.Camera.ID)
	birth := trackBirth(opt.Camera.Rules)
	var own *claim
	if opt.Budget != nil && opt.Keys != nil {
		own = &claim{opt.Budget, id}
	}
	return &Analyser{
		opt: opt, id: id, masks: masks, metrics: opt.Metrics.forCamera(id), birth: birth, tracker: NewTracker(birth),
		lawful:   Lawful(opt.Camera.LegalBasis),
		health:   pictureHealth{frozenFor: s.FrozenFor.Std(), tell: opt.Picture},
		needKey:  true,
		gated:    gated{wakes: make(chan WakeCause, 1), claim: own},
		instants: pace{every: every(s.AnalyseFPS)}, skips: pace{every: every(s.AnalyseFPS)},
	}, nil
}

func every(fps float64) time.Duration { return time.Duration(float64(time.Second) / fps) }

// Lawful says whether a camera with this basis of Order 799 may be analysed.
// Only the bases for public places are in the list: anything new, misspelt or
// empty is not.
func Lawful(basis string) bool {
	switch basis {
	case "A7.1", "A7.2", "A9":
		return true
	}
	return false
}

// trackBirth is the lowest score that any rule of the camera cares for.
func trackBirth(rules []configs.Rule) float64 {
	low := float64(birthScore)
	for _, r := range rules {
		if r.MinScore > 0 {
			low = min(low, r.MinScore)
		}
	}
	return max(low, minScore)
}

// filledSettings gives settings that nobody filled their defaults.
func filledSettings(s configs.Stream) configs.Stream {
	if s.AnalyseFPS <= 0 {
		s.AnalyseFPS = analyseFPS
	}
	if s.DetectFPS <= 0 {
		s.DetectFPS = detectFPS
	}
	if s.FrozenFor <= 0 {
		s.FrozenFor = configs.Duration(frozenFor)
	}
	if s.Gate.Mode == "" {
		s.Gate = configs.Camera{Settings: s}.Effective(configs.Stream{}).Settings.Gate
	}
	return s
}

// Run analyses what the queue gives until ctx is done or the queue is closed,
// then frees the decoder. It may block for one decode, for the shared detector's
// patience and one inference, and for as long as Emit does. It runs once.
func (a *Analyser) Run(ctx context.Context, q *ingest.Queue) {
	defer a.claim.leave()
	defer a.close()
	for {
		au, err := q.Pop(ctx)
		if err != nil {
			return
		}
		a.unit(ctx, au)
	}
}

func (a *Analyser) close() {
	if a.decoder != nil {
		a.decoder.Close()
		a.decoder = nil
	}
}

// unit takes one access unit through all stages.
func (a *Analyser) unit(ctx context.Context, au ingest.AccessUnit) {
	a.metrics.gate.received.Inc()
	accepted := a.accept(au)
	if a.opt.Keys == nil {
		if accepted && (a.lawful || au.Key) {
			a.step(ctx, au)
		}
		return
	}
	a.pass(ctx, au, accepted)
}

// step decodes a unit that follows on the one before, and looks at the picture
// when it is time.
func (a *Analyser) step(ctx context.Context, au ingest.AccessUnit) (ok bool) {
	look := a.instants.due(au.Received) || a.gate != nil && a.gate.eager()
	frame, err := a.decode(au, look, a.deblock(au))
	if err != nil {
		a.refused(au, err)
		return false
	}
	if frame == nil && a.refreshing > 0 {
		a.refreshing--
		a.skip(au, SkipLoss)
	}
	if frame != nil && a.usable(frame) && look {
		a.health.alive(au.Received, frame.Luma.Pix)
		if a.lawful {
			a.analyse(ctx, au, frame)
		}
	}
	return true
}

// refused takes a unit that the decoder did not.
func (a *Analyser) refused(au ingest.AccessUnit, err error) {
	a.needKey = true
	a.health.undecodable(au.Received, err)
	a.opt.Log.Debug("access unit refused by the decoder", "camera", a.id, "error", err)
	a.skip(au, SkipDecode)
}

// usable counts a decoded picture and says whether it can be looked at.
func (a *Analyser) usable(f *Frame) bool {
	a.metrics.decoded.Inc()
	if sizeSupported(f) {
		return true
	}
	a.health.set(ingest.No, ingest.ReasonUnsupportedSize)
	return false
}

// accept says whether the unit can be decoded, and keeps the books on what was
// lost. A key unit marked lost is what the queue leaves behind when it dropped
// because the analyser was behind; another unit marked lost has lost a reference.
func (a *Analyser) accept(au ingest.AccessUnit) bool {
	if au.Codec != a.codec {
		a.close()
		a.codec, a.needKey, a.begun = au.Codec, true, false
		a.begin(au.Codec)
	}
	switch {
	case au.Lost && au.Entry() && a.begun:
		a.skip(au, SkipQueue)
	case au.Lost && !au.Entry():
		a.needKey = true
	}
	if au.Key || au.Recovery > 0 && (a.needKey || au.Lost) {
		if !au.Key {
			a.close() // its references are of before the loss
		}
		a.needKey, a.begun, a.refreshing = false, true, au.Recovery
		return true
	}
	if a.needKey {
		a.health.noKey(au.Received)
		a.skip(au, SkipLoss)
		return false
	}
	return true
}

// open makes the camera's own decoder when there is none.
func (a *Analyser) open(c ingest.Codec) error {
	if a.decoder != nil {
		return nil
	}
	d, err := a.opt.NewDecoder(c)
	if err == nil {
		a.decoder = d
	}
	return err
}

// decode decodes a unit whose picture is looked at, or one that leads to such.
func (a *Analyser) decode(au ingest.AccessUnit, look, deblock bool) (*Frame, error) {
	if err := a.open(au.Codec); err != nil {
		return nil, err
	}
	if d, can := a.decoder.(Sparing); can {
		d.Decimate(look)
		d.Deblock(deblock)
	}
	stage := beginStage(a.metrics.decodeCPU)
	defer func() { a.claim.spend(stage.end()) }()
	return a.decoder.Decode(au)
}

// deblock says whether the picture of a unit that is looked at, or leads to such, is
// to be deblocked. That is a fifth of decoding for H.264 and a twentieth for H.265.
func (a *Analyser) deblock(au ingest.AccessUnit) bool {
	return au.Key || au.Codec != ingest.H264 || a.gate == nil || a.gate.deblock()
}

func sizeSupported(f *Frame) bool {
	if f.Image == nil {
		return false
	}
	s := f.Image.Rect.Size()
	return min(s.X, s.Y) >= minSide && max(s.X, s.Y) <= maxSide
}

// pace picks so many instants a second out of more. The times of receipt come in
// bursts, so the next instant is counted from when this one should have been, not
// from when it was.
type pace struct {
	every time.Duration
	next  time.Time
}

// due says whether at is one of the instants.
func (p *pace) due(at time.Time) bool {
	if at.Before(p.next) && p.next.Sub(at) <= p.every {
		return false
	}
	p.next = p.next.Add(p.every)
	if gap := at.Sub(p.next); gap > 0 || gap < -p.every {
		p.next = at.Add(p.every)
	}
	return true
}

// analyse looks for motion, then for objects if there is reason to, and emits.
func (a *Analyser) analyse(ctx context.Context, au ingest.AccessUnit, f *Frame) {
	motion := a.findMotion(au.Received, f)
	a.report(ctx, au, f.Image, motion)
	a.tellGate(au.Received, motion)
}

// findMotion looks for motion in a picture.
func (a *Analyser) findMotion(at time.Time, f *Frame) Motion {
	if !a.lastInstant.IsZero() && at.Sub(a.lastInstant) > sceneGap {
		a.opt.Motion.Reset()
	}
	a.lastInstant = at
	if a.gate != nil {
		a.gate.score.resize(f.Image.Rect.Dx(), f.Image.Rect.Dy())
	}
	stage := beginStage(a.metrics.motionCPU)
	c, masks := a.opt.Motion.(clocked)
	if masks {
		c.At(time.Duration(at.UnixMilli()) * time.Millisecond) // runs over, which is no matter
	}
	motion := a.opt.Motion.Find(f.Luma)
	stage.end()
	if masks {
		share, _ := c.Masked()
		a.metrics.masked.Set(share)
	}
	a.metrics.instants.Inc()
	a.remember(at, motion)
	return motion
}

// report looks for objects if there is reason to, and emits what the instant
// showed. It keeps nothing of the picture.
func (a *Analyser) report(ctx context.Context, au ingest.AccessUnit, picture *image.YCbCr, motion Motion) {
	at := au.Received
	obs := Observation{Camera: a.id, At: at, PTS: au.PTS, Motion: motion, Picture: picture}
	if a.wantsDetector(at) {
		if larger := a.mainPicture(ctx, at, mainCheap); larger != nil {
			obs.Picture, obs.FromMain = larger, true
		}
		if skip := a.look(ctx, &obs, obs.Picture); skip != SkipNone {
			if ctx.Err() == nil {
				a.metrics.skipped[skip].Inc()
				a.emit(Observation{Camera: a.id, At: at, PTS: au.PTS, Skipped: skip})
			}
			return
		}
	}
	obs.Tracks = a.tracks
	a.emit(obs)
}

// emit gives an observation to the rules.
func (a *Analyser) emit(obs Observation) {
	a.lastEmit = obs.At
	a.opt.Emit(obs)
}

// remember keeps where something moved lately.
func (a *Analyser) remember(at time.Time, m Motion) {
	keep := a.moved[:0]
	for _, b := range a.moved {
		if at.Sub(b.at) <= recallMotion {
			keep = append(keep, b)
		}
	}
	a.moved = keep
	if !m.Active {
		return
	}
	a.metrics.motion.Inc()
	a.lastMotion = at
	for _, b := range m.Boxes {
		a.moved = append(a.moved, movedBox{at, b})
	}
}

// wantsDetector says whether it is time to look for objects: often while
// something moves, now and then while a track lives, else never.
func (a *Analyser) wantsDetector(at time.Time) bool {
	if a.opt.Detector == nil {
		return false
	}
	// A third of an instant is allowed for: instants lie on pictures, 0.12 or 0.16 s
	// apart for 8 of 25 a second, and receipt is not even.
	every := time.Duration(float64(time.Second) * (1/a.opt.Camera.Settings.DetectFPS - 1/(3*a.opt.Camera.Settings.AnalyseFPS)))
	since := at.Sub(a.lastAsked)
	switch {
	case !a.lastMotion.IsZero() && at.Sub(a.lastMotion) <= holdMotion:
		return since >= every
	case a.tracker.Len() > 0:
		return since >= max(every, idleSample)
	}
	return false
}

// look asks the shared detector and updates the tracks.
func (a *Analyser) look(ctx context.Context, obs *Observation, picture *image.YCbCr) Skip {
	a.lastAsked = obs.At
	found, cpu, err := a.opt.Detector.detect(ctx, a.sample(picture, a.patience(obs.At)))
	addTime(a.metrics.detectCPU, cpu)
	switch {
	case errors.Is(err, ErrBusy):
		return SkipDetectorBusy
	case err != nil:
		if ctx.Err() == nil && !a.detectorDown {
			a.detectorDown = true
			a.opt.Log.Warn("object detector failed, instants are skipped until it works", "camera", a.id, "error", err)
		}
		return SkipDetector
	}
	a.detectorDown = false
	obs.Detected = true
	a.sort(obs, found)
	for _, d := range obs.Detections {
		if d.Score >= a.birth {
			a.metrics.detections[d.Class].Inc()
		}
	}
	a.tracks = a.tracker.Update(obs.At, obs.Detections, a.hasMoved)
	return SkipNone
}

// sample is a picture of this camera for the detector.
func (a *Analyser) sample(picture *image.YCbCr, patience time.Duration) sample {
	return sample{camera: a.id, picture: picture, minScore: minScore, regions: a.regions(), patience: patience}
}

// patience is how long a look at the instant may wait for the detector: the later
// the analysis already is, the shorter. A look that is passed over costs one sample; a
// camera that falls behind for want of looks would be seen by its key units alone.
// While it catches up it is late by nature, and its look is what the wake was for.
func (a *Analyser) patience(at time.Time) time.Duration {
	whole := a.opt.Camera.Settings.Gate.Behind.Std() / 4
	if a.gate != nil && a.gate.state == GateCatchUp {
		return whole
	}
	return max(leastPatience, whole-a.opt.Now().Sub(at))
}

// sort adds what the detector found to what may be used and to what a privacy mask
// hides. The list of classes is held here too, whatever the detector says.
func (a *Analyser) sort(obs *Observation, found []Detection) {
	for _, d := range found {
		switch {
		case d.Class.Group() == "":
		case a.hidden(d.Box):
			obs.Masked = append(obs.Masked, d)
		default:
			obs.Detections = append(obs.Detections, d)
		}
	}
}

// hidden says whether the middle of b lies in a privacy mask.
func (a *Analyser) hidden(b Box) bool {
	for _, m := range a.masks {
		if m.Contains(Point{b.X + b.W/2, b.Y + b.H/2}) {
			return true
		}
	}
	return false
}

// hasMoved says whether something moved lately where d is. Small models see
// objects in still scenery; what never moved is none.
func (a *Analyser) hasMoved(d Detection) bool {
	for _, m := range a.moved {
		common := m.box.Intersect(d.Box).Area()
		if common >= 0.1*d.Box.Area() || common >= 0.5*m.box.Area() && common > 0 {
			return true
		}
	}
	return false
}

// skip emits that an instant was not analysed, at most AnalyseFPS times a
// second: a stream without key units is not worth more.
func (a *Analyser) skip(au ingest.AccessUnit, why Skip) {
	if !a.lawful || !a.skips.due(au.Received) {
		return
	}
	a.metrics.skipped[why].Inc()
	a.emit(Observation{Camera: a.id, At: au.Received, PTS: au.PTS, Skipped: why})
}
