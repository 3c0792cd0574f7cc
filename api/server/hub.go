package server

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/sharpeyes/sharpeyes/api/store"
)

// Names of the server-sent events; those of the changes are the store's kinds.
const (
	eventHello  = "hello"
	eventAlert  = string(store.KindAlert)
	eventCamera = string(store.KindCamera)
	eventEvent  = string(store.KindEvent)
)

const (
	maxStreams     = 1024            // open streams in all
	maxPerSession  = 16              // open streams of one login: tabs
	clientQueue    = 512             // messages waiting for one client; a full queue ends it
	pumpBatch      = 256             // changes read at once
	pollEvery      = 5 * time.Second // for changes that another process made
	retryAfter     = time.Second     // after the store failed
	poisonAttempts = 3               // then a change that cannot be rendered is left out
)

var errTooManyStreams = errors.New("too many streams")

// message is one change, rendered once for all clients.
type message struct {
	seq   int64
	event string
	data  []byte
	frame time.Time // receipt of the frame that opened the alert, when this is the first word of it; else zero
}

// rendered is what became of one change: its JSON, and when it is an alert, when
// its first frame was received and when the center heard of it.
type rendered struct {
	data  []byte
	frame time.Time
	heard time.Time
}

// renderFunc reads the thing that changed and renders it as the list would.
// store.ErrNotFound says that it is gone and nobody need be told.
type renderFunc func(context.Context, store.Change) (rendered, error)

// changes is what the hub follows.
type changes interface {
	Changed() <-chan struct{}
	ChangesSince(ctx context.Context, seq int64, limit int) ([]store.Change, error)
}

// hub tells all clients of every change, in the order of the change numbers.
// One goroutine reads and renders; each client has a bounded queue. A client
// whose queue is full is ended and counted: it comes back with Last-Event-ID
// and misses nothing, and nobody waits for it.
type hub struct {
	from    changes
	render  renderFunc
	metrics *metrics
	log     *slog.Logger
	cancel  context.CancelFunc
	done    chan struct{}

	// Only the goroutine of run uses these.
	last     int64     // change number that all clients have been told of
	heard    time.Time // latest arrival of an alert that was told of
	poison   int64     // change that could not be rendered
	attempts int       // how often it was tried

	mu       sync.Mutex
	clients  map[*client]struct{}
	sessions map[string]int // open streams by session
	closed   bool
}

// client is one open stream.
type client struct {
	session string // token hash
	user    string
	queue   chan message
	gone    chan struct{} // closed when the hub ends the stream
}

func newHub(from changes, render renderFunc, m *metrics, log *slog.Logger) *hub {
	return &hub{
		from: from, render: render, metrics: m, log: log, done: make(chan struct{}),
		clients: make(map[*client]struct{}), sessions: make(map[string]int),
	}
}

// start follows the changes after last until close. An alert that the center
// heard of before now is no news when it changes.
func (h *hub) start(last int64, now time.Time) {
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel, h.last, h.heard = cancel, last, now
	go h.run(ctx)
}

// close ends all streams and waits until the goroutine is done.
func (h *hub) close() {
	h.endAll()
	h.cancel()
	<-h.done
}

func (h *hub) run(ctx context.Context) {
	defer close(h.done)
	for {
		// The channel is taken before the read: a commit in between closes it.
		changed := h.from.Changed()
		wait := pollEvery
		more, err := h.pump(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			h.metrics.hubFails.Inc()
			h.log.WarnContext(ctx, "changes not read, trying again", "err", err)
			changed, wait = nil, retryAfter
		case more:
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// pump reads the next changes and hands them to all clients. more says that
// there may be further ones at once.
func (h *hub) pump(ctx context.Context) (more bool, err error) {
	cs, err := h.from.ChangesSince(ctx, h.last, pumpBatch)
	if err != nil {
		return false, err
	}
	before := h.heard
	for _, c := range cs {
		r, err := h.render(ctx, c)
		switch {
		case err == nil:
			m := message{seq: c.Seq, event: string(c.Kind), data: r.data}
			// Decisions and later phases change an alert too; only its first
			// appearance tells how late the wall is.
			if r.heard.After(before) {
				m.frame = r.frame
				h.heard = latest(h.heard, r.heard)
			}
			h.tell(m)
		case errors.Is(err, store.ErrNotFound):
		case !h.giveUp(c.Seq):
			return false, err
		default:
			h.log.ErrorContext(ctx, "change left out of the streams", "kind", c.Kind, "id", c.ID, "seq", c.Seq, "err", err)
		}
		h.last = c.Seq
	}
	return len(cs) == pumpBatch, nil
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// giveUp counts failures of one change, so that one row that cannot be read
// does not silence all others for ever.
func (h *hub) giveUp(seq int64) bool {
	if h.poison != seq {
		h.poison, h.attempts = seq, 0
	}
	h.attempts++
	return h.attempts >= poisonAttempts
}

// tell puts the message into every queue and ends the clients whose queue is
// full.
func (h *hub) tell(m message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.clients {
		select {
		case c.queue <- m:
		default:
			h.metrics.dropped.WithLabelValues(dropSlow).Inc()
			h.end(c)
		}
	}
}

// join opens a client. Every change after the return is in its queue.
func (h *hub) join(session, user string) (*client, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.clients) >= maxStreams || h.sessions[session] >= maxPerSession {
		h.metrics.dropped.WithLabelValues(dropLimit).Inc()
		return nil, errTooManyStreams
	}
	c := &client{session: session, user: user, queue: make(chan message, clientQueue), gone: make(chan struct{})}
	h.clients[c] = struct{}{}
	h.sessions[session]++
	h.metrics.clients.Inc()
	return c, nil
}

// leave closes a client; it may have been ended already.
func (h *hub) leave(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.end(c)
}

// end takes the client out and tells its handler. mu is held.
func (h *hub) end(c *client) {
	if _, ok := h.clients[c]; !ok {
		return
	}
	delete(h.clients, c)
	if h.sessions[c.session]--; h.sessions[c.session] == 0 {
		delete(h.sessions, c.session)
	}
	h.metrics.clients.Dec()
	close(c.gone)
}

// endSession ends the streams of one login.
func (h *hub) endSession(session string) {
	h.endWhere(func(c *client) bool { return c.session == session })
}

// endUser ends the streams of a user, but not those of the session keep.
func (h *hub) endUser(user, keep string) {
	h.endWhere(func(c *client) bool { return c.user == user && c.session != keep })
}

// endAll ends all streams and lets no new one in.
func (h *hub) endAll() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.endWhere(func(*client) bool { return true })
}

func (h *hub) endWhere(which func(*client) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.clients {
		if which(c) {
			h.end(c)
		}
	}
}
