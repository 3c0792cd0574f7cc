package alert

import (
	"time"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// faultWatch keeps since when a camera does not work.
type faultWatch struct {
	since  time.Time // zero while it works
	reason ingest.Reason
}

// take reads a state. No frames or a bad picture is a fault. Unknown is no
// fault, and no proof that one is over: a camera that is being tried again stays
// as bad as it was. What we closed ourselves or may not open is no fault.
func (f *faultWatch) take(s ingest.State, at time.Time) {
	bad, deliberate := s.Frames, false
	for _, fact := range []ingest.Fact{s.Transport, s.Frames} {
		switch fact.Reason {
		case ingest.ReasonStopped, ingest.ReasonForbidden:
			deliberate = deliberate || fact.Value != ingest.Yes
		}
	}
	if bad.Value != ingest.No {
		bad = s.Picture
	}
	switch {
	case deliberate, s.Frames.Value == ingest.Yes && s.Picture.Value != ingest.No:
		*f = faultWatch{}
	case bad.Value == ingest.No && bad.Reason != ingest.ReasonStarting:
		f.reason = bad.Reason
		if !f.since.IsZero() {
			return
		}
		if f.since = bad.Since; f.since.IsZero() || f.since.After(at) {
			f.since = at
		}
	}
}

// verdict says whether the fault has lasted for after.
func (f *faultWatch) verdict(at time.Time, after time.Duration) verdict {
	if f.since.IsZero() || at.Sub(f.since) < after {
		return verdict{}
	}
	return verdict{met: true, sure: true, since: f.since, reason: f.reason}
}
