package gb28181

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// chore is one thing that is done with a device after it registered, and again
// from time to time.
type chore uint8

// The chores, in the order in which they are done.
const (
	choreInfo      chore = iota // DeviceInfo: who made it
	choreCatalogue              // the catalogue
	choreGuard                  // SetGuard, where alarms need it
	choreChannels               // subscription to changes of the catalogue
	choreAlarms                 // subscription to alarms
	choreCount
)

// attendanceWorkers bounds how many devices are attended to at once: after our
// restart ten thousand of them register within minutes.
const attendanceWorkers = 32

// visit is when a device is due, and what for.
type visit struct {
	dev      *device
	due      [choreCount]time.Time // zero: not due
	failures [choreCount]int
	subs     [choreCount]*dialog
	at       time.Time // the earliest of due
	index    int       // in the heap; -1 while it is attended to
}

func (v *visit) next() time.Time {
	var at time.Time
	for _, t := range v.due {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	return at
}

// visits is a heap by due time.
type visits []*visit

func (h visits) Len() int           { return len(h) }
func (h visits) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h visits) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *visits) Push(x any) {
	v := x.(*visit)
	v.index = len(*h)
	*h = append(*h, v)
}

// Pop implements heap.Interface.
func (h *visits) Pop() any {
	old := *h
	v := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	v.index = -1
	return v
}

// attendance is the timetable of all devices: one entry for each, however often
// something is wanted of it.
type attendance struct {
	do  func(ctx context.Context, v *visit, c chore) (again time.Duration)
	now func() time.Time

	mu    sync.Mutex
	byID  map[string]*visit
	queue visits
	news  chan struct{} // one: the queue changed
}

func newAttendance(now func() time.Time, do func(context.Context, *visit, chore) time.Duration) *attendance {
	return &attendance{do: do, now: now, byID: make(map[string]*visit), news: make(chan struct{}, 1)}
}

// want makes a chore due at a time, or earlier if it was already.
func (a *attendance) want(d *device, c chore, at time.Time) {
	a.mu.Lock()
	v := a.byID[d.id]
	if v == nil {
		v = &visit{dev: d, index: -1}
		a.byID[d.id] = v
	}
	if v.due[c].IsZero() || at.Before(v.due[c]) {
		v.due[c] = at
	}
	a.place(v)
	a.mu.Unlock()
	a.wake()
}

// place puts v where it belongs in the queue; the caller holds mu. One that is
// attended to is placed when its worker is done.
func (a *attendance) place(v *visit) {
	v.at = v.next()
	switch {
	case v.index >= 0:
		heap.Fix(&a.queue, v.index)
	case v.index == -1 && !v.at.IsZero():
		heap.Push(&a.queue, v)
	}
}

// taken marks a visit as attended to.
const taken = -2

func (a *attendance) wake() {
	select {
	case a.news <- struct{}{}:
	default:
	}
}

// arrived makes everything due at a device that registered, spread over a moment
// so that many of them do not come at once.
func (a *attendance) arrived(d *device) {
	at := a.now().Add(rand.N(250 * time.Millisecond))
	a.mu.Lock()
	v := a.byID[d.id]
	if v == nil {
		v = &visit{dev: d, index: -1}
		a.byID[d.id] = v
	}
	for c := range choreCount {
		v.due[c] = at
		v.failures[c] = 0
	}
	a.place(v)
	a.mu.Unlock()
	a.wake()
}

// failed counts a chore that failed again, and returns how many times in a row.
func (a *attendance) failed(v *visit, c chore) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	v.failures[c]++
	return v.failures[c]
}

// succeeded forgets the failures of a chore, and returns how many there were.
func (a *attendance) succeeded(v *visit, c chore) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := v.failures[c]
	v.failures[c] = 0
	return n
}

// run attends to devices until ctx is done.
func (a *attendance) run(ctx context.Context) {
	var wg sync.WaitGroup
	for range attendanceWorkers {
		wg.Go(func() { a.work(ctx) })
	}
	wg.Wait()
}

func (a *attendance) work(ctx context.Context) {
	for {
		v, wait := a.take()
		if v == nil {
			timer := time.NewTimer(wait)
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-a.news:
			case <-timer.C:
			}
			timer.Stop()
			continue
		}
		a.wake() // the next one may be due as well
		a.attend(ctx, v)
		if ctx.Err() != nil {
			return
		}
	}
}

// take returns the next visit that is due, or how long to wait for it.
func (a *attendance) take() (*visit, time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) == 0 {
		return nil, time.Minute
	}
	if wait := a.queue[0].at.Sub(a.now()); wait > 0 {
		return nil, min(wait, time.Minute)
	}
	v := heap.Pop(&a.queue).(*visit)
	v.index = taken
	return v, 0
}

// attend does every chore of v that is due.
func (a *attendance) attend(ctx context.Context, v *visit) {
	for c := range choreCount {
		a.mu.Lock()
		due := !v.due[c].IsZero() && !v.due[c].After(a.now())
		if due {
			v.due[c] = time.Time{}
		}
		a.mu.Unlock()
		if !due || ctx.Err() != nil {
			continue
		}
		again := a.do(ctx, v, c)
		if again > 0 {
			at := a.now().Add(again)
			a.mu.Lock()
			if v.due[c].IsZero() || at.Before(v.due[c]) {
				v.due[c] = at
			}
			a.mu.Unlock()
		}
	}
	a.mu.Lock()
	v.index = -1
	a.place(v)
	a.mu.Unlock()
	a.wake()
}
