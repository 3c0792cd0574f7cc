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

// keyTurns says which key units of a camera are looked at while the decoders of
// key units are behind: every n-th. A line in which all wait for long would make
// everybody late and nobody better off. The zero value looks at each.
type keyTurns struct {
	every int // 0 and 1: each
	since int // key units passed over
}

// mostPassed bounds n.
const mostPassed = 8

// due says whether this key unit is to be looked at.
func (k *keyTurns) due() bool {
	if k.since++; k.since < k.every {
		return false
	}
	k.since = 0
	return true
}

// waited learns from how long one waited; busy says that it waited in vain. gop
// is the time between key units.
func (k *keyTurns) waited(d time.Duration, busy bool, gop time.Duration) {
	switch {
	case busy || d > gop/2:
		k.every = min(max(k.every, 1)+1, mostPassed)
	case d < gop/8 && k.every > 0:
		k.every--
	}
}

// thin says that key units are passed over.
func (k *keyTurns) thin() bool { return k.every > 1 }
