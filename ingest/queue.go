package ingest

import (
	"context"
	"errors"
	"sync"
)

// ErrQueueClosed is what Pop answers after Close.
var ErrQueueClosed = errors.New("queue closed")

// Queue carries the access units of one camera from its worker to its
// analyser. It is bounded by units and by bytes. When it is full the oldest
// units go, up to the next key frame (or another Entry), because a decoder can
// start nowhere else and because the newest picture is worth the most; when none
// is waiting, everything goes and what follows is refused until one comes. The
// first unit after a gap is therefore always an Entry and is marked Lost.
//
// One goroutine pushes, one pops. Len and Close may be called from any.
type Queue struct {
	maxUnits int
	maxBytes int

	mu     sync.Mutex
	list   []AccessUnit // oldest first, from head on
	head   int
	bytes  int
	gap    bool // dropped up to here: wait for a key frame, mark it Lost
	closed bool

	ready chan struct{} // holds one token when Pop has something to look at
}

// NewQueue makes a queue of at most capacityUnits access units (at least 1) and
// maxBytes bytes of NAL units; 0 or less means 128 units, 16 MiB.
func NewQueue(capacityUnits, maxBytes int) *Queue {
	if capacityUnits <= 0 {
		capacityUnits = 128
	}
	if maxBytes <= 0 {
		maxBytes = 16 << 20
	}
	return &Queue{maxUnits: capacityUnits, maxBytes: maxBytes, ready: make(chan struct{}, 1)}
}

// Push appends a unit and returns how many units were dropped for it, the new
// one counted if it had to go itself. It never blocks. After Close it drops.
func (q *Queue) Push(u AccessUnit) (dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return 1
	}
	if q.gap && !u.Entry() {
		return 1
	}
	size := u.Size()
	for q.len() > 0 && (q.len() >= q.maxUnits || q.bytes+size > q.maxBytes) {
		dropped += q.dropToKey()
	}
	// The gap may have been made just now, and a unit larger than the whole
	// queue fits nowhere.
	if (q.gap && !u.Entry()) || size > q.maxBytes {
		q.gap = true
		return dropped + 1
	}
	if q.gap {
		u.Lost, q.gap = true, false
	}
	q.append(u)
	q.bytes += size
	select {
	case q.ready <- struct{}{}:
	default:
	}
	return dropped
}

// dropToKey drops the oldest unit and all up to the next key frame, which it
// marks Lost; without one it empties the queue and opens a gap.
func (q *Queue) dropToKey() int {
	n := 0
	for n == 0 || q.len() > 0 && !q.list[q.head].Entry() {
		q.first()
		n++
	}
	if q.len() == 0 {
		q.gap = true
	} else {
		q.list[q.head].Lost = true
	}
	return n
}

func (q *Queue) len() int { return len(q.list) - q.head }

// append puts a unit at the end. The room of what was taken is used again: a
// camera whose analyser keeps up allocates nothing here.
func (q *Queue) append(u AccessUnit) {
	if q.head > 0 && len(q.list) == cap(q.list) {
		n := copy(q.list, q.list[q.head:])
		clear(q.list[n:])
		q.list, q.head = q.list[:n], 0
	}
	q.list = append(q.list, u)
}

// first takes the oldest unit out. There must be one.
func (q *Queue) first() AccessUnit {
	u := q.list[q.head]
	q.list[q.head] = AccessUnit{} // let the bytes go
	q.bytes -= u.Size()
	if q.head++; q.head == len(q.list) {
		q.list, q.head = q.list[:0], 0
	}
	return u
}

// Pop takes the oldest unit and waits for one when there is none. It returns
// ctx.Err() when ctx is done first, and ErrQueueClosed after Close.
func (q *Queue) Pop(ctx context.Context) (AccessUnit, error) {
	for {
		if u, ok, err := q.take(); ok || err != nil {
			return u, err
		}
		select {
		case <-ctx.Done():
			return AccessUnit{}, ctx.Err()
		case <-q.ready:
		}
	}
}

func (q *Queue) take() (AccessUnit, bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return AccessUnit{}, false, ErrQueueClosed
	}
	if q.len() == 0 {
		return AccessUnit{}, false, nil
	}
	return q.first(), true, nil
}

// Len returns how many units wait.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.len()
}

// Close drops what waits and makes Pop return ErrQueueClosed.
func (q *Queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed, q.list, q.head, q.bytes = true, nil, 0, 0
	select {
	case q.ready <- struct{}{}:
	default:
	}
}
