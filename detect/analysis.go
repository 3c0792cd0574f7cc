package detect

import (
	"time"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// What an Analysis looks back on.
const (
	analysisStep  = 10 * time.Second
	analysisSteps = 6
)

// analysisWindow sums seconds by level. The zero value is ready.
type analysisWindow struct {
	steps [analysisSteps]map[ingest.Level]time.Duration // a ring; the newest is at
	at    int
	sum   time.Duration // of the newest step
}

// add counts d at a level and returns an Analysis when a step is full.
func (w *analysisWindow) add(l ingest.Level, d time.Duration) (a ingest.Analysis, full bool) {
	if w.steps[w.at] == nil {
		w.steps[w.at] = make(map[ingest.Level]time.Duration, 3)
	}
	w.steps[w.at][l] += d
	if w.sum += d; w.sum < analysisStep {
		return ingest.Analysis{}, false
	}
	a = w.analysis()
	w.at, w.sum = (w.at+1)%analysisSteps, 0
	clear(w.steps[w.at])
	return a, true
}

func (w *analysisWindow) analysis() ingest.Analysis {
	newest := w.steps[w.at]
	a := ingest.Analysis{Level: ingest.LevelGated}
	switch {
	case newest[ingest.LevelDegraded] > 0:
		a.Level = ingest.LevelDegraded
	case newest[ingest.LevelFull] > w.sum/2:
		a.Level = ingest.LevelFull
	}
	for _, step := range w.steps {
		for l, d := range step {
			a.Of += d.Seconds()
			if l != ingest.LevelDegraded {
				a.Analysed += d.Seconds()
			}
		}
	}
	return a
}

// keyTurns says which key units of a camera are looked at where there is no time for
// each. The zero value is ready.
type keyTurns struct {
	last time.Time // look, as far apart from the one before as it should have been
}

// due says whether the key unit at a time is to be looked at, where looks are so far
// apart. Over many key units they are, however long a group of pictures is.
func (k *keyTurns) due(at time.Time, spacing time.Duration) bool {
	if at.Sub(k.last) < spacing {
		return false
	}
	k.last = laterOf(k.last.Add(spacing), at.Add(-spacing))
	return true
}
