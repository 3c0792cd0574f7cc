package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/sharpeyes/sharpeyes/api/store"
)

// maxResume bounds what a client that comes back is told of its absence. Who
// missed more loads the lists anew, which is cheaper for both sides. The store
// names at most 1000 changes at once, so this must stay below.
const maxResume = 500

// errSlowWrite says that a client did not take an event in time.
var errSlowWrite = errors.New("the client does not read")

// hello is the first event of every stream. A page opens the stream first and
// loads its lists after hello: then nothing falls between the two.
type hello struct {
	Time   time.Time `json:"time"`   // the center's clock, for ages on the screen
	Resync bool      `json:"resync"` // more was missed than is told: load the lists anew
}

// getStream sends every change to the client until it leaves, its session ends
// or the server stops. Format: WHATWG HTML §9.2 (server-sent events).
func (s *Server) getStream(c *gin.Context) {
	l := loginOf(c)
	cl, err := s.hub.join(l.TokenHash, l.User.Name)
	if err != nil {
		s.fail(c, problem(codeTooManyStreams))
		return
	}
	defer s.hub.leave(cl)
	ctx, cancel := context.WithDeadline(c.Request.Context(), l.Expires)
	defer cancel()
	// After join, so that whatever comes next is either read here or queued.
	last, missed, resync, err := s.missed(ctx, c.GetHeader("Last-Event-ID"))
	if err != nil {
		s.fail(c, err)
		return
	}
	w := s.newEventWriter(c)
	if err := w.open(hello{Time: s.opt.Now(), Resync: resync}, last); err != nil {
		s.streamEnded(err)
		return
	}
	s.streamEnded(s.follow(ctx, cl, w, last, missed))
}

// follow tells what was missed and then what comes.
func (s *Server) follow(ctx context.Context, cl *client, w *eventWriter, last int64, missed []store.Change) error {
	for _, ch := range missed {
		r, err := s.render(ctx, ch)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if err := w.send(message{seq: ch.Seq, event: string(ch.Kind), data: r.data}); err != nil {
			return err
		}
		last = ch.Seq
	}
	beat := time.NewTicker(s.timeouts.heartbeat)
	defer beat.Stop()
	for {
		select {
		case m := <-cl.queue:
			if m.seq <= last { // told already as missed
				continue
			}
			if err := w.send(m); err != nil {
				return err
			}
			last = m.seq
			if !m.frame.IsZero() {
				s.metrics.latency.Observe(s.opt.Now().Sub(m.frame).Seconds())
			}
		case <-beat.C:
			// The session may have been ended at another center.
			if _, err := s.opt.Store.Session(ctx, cl.session); err != nil {
				return err
			}
			if err := w.beat(); err != nil {
				return err
			}
		case <-cl.gone:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// missed reads what changed since the client's last event. Without one, with
// one from the future (the database was restored) or with too much missed,
// there is nothing to tell and the stream starts from now.
func (s *Server) missed(ctx context.Context, lastEventID string) (last int64, cs []store.Change, resync bool, err error) {
	now, err := s.opt.Store.LastChange(ctx)
	if err != nil {
		return 0, nil, false, fmt.Errorf("stream: %w", err)
	}
	if lastEventID == "" {
		return now, nil, false, nil
	}
	since, err := strconv.ParseInt(lastEventID, 10, 64)
	if err != nil || since < 0 || since > now {
		return now, nil, true, nil
	}
	cs, err = s.opt.Store.ChangesSince(ctx, since, maxResume+1)
	if err != nil {
		return 0, nil, false, fmt.Errorf("stream: %w", err)
	}
	if len(cs) > maxResume {
		return now, nil, true, nil
	}
	return since, cs, false, nil
}

// streamEnded counts the streams that end because the client does not take what
// is written. A client that closes is no such case.
func (s *Server) streamEnded(err error) {
	if errors.Is(err, errSlowWrite) {
		s.metrics.dropped.WithLabelValues(dropWrite).Inc()
	}
	if err != nil {
		s.log.Debug("stream ended", "err", err)
	}
}

// eventWriter writes events to one client, each under its own deadline: the
// server's deadline for a whole answer does not fit a stream. That for reading
// needs no care, net/http lifts it when the request is read.
type eventWriter struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	limit   time.Duration
	metrics *metrics
	buf     bytes.Buffer
}

// newEventWriter sends the headers. What follows goes to net/http's own writer:
// gin's has a Flush that loses the error.
func (s *Server) newEventWriter(c *gin.Context) *eventWriter {
	c.Header("Content-Type", "text/event-stream; charset=utf-8")
	c.Header("X-Accel-Buffering", "no") // nginx would collect events
	c.Status(http.StatusOK)
	c.Writer.WriteHeaderNow()
	var w http.ResponseWriter = c.Writer
	if g, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		w = g.Unwrap()
	}
	return &eventWriter{w: w, rc: http.NewResponseController(w), limit: s.timeouts.streamWrite, metrics: s.metrics}
}

// open sends hello.
func (e *eventWriter) open(first hello, last int64) error {
	data, err := json.Marshal(first)
	if err != nil {
		return err
	}
	e.buf.WriteString("retry: 2000\n")
	return e.write(message{seq: last, event: eventHello, data: data})
}

func (e *eventWriter) send(m message) error {
	err := e.write(m)
	if err == nil {
		e.metrics.events.WithLabelValues(m.event).Inc()
	}
	return err
}

// write sends one event. Its data is JSON and has no line ends.
func (e *eventWriter) write(m message) error {
	fmt.Fprintf(&e.buf, "id: %d\nevent: %s\ndata: ", m.seq, m.event)
	e.buf.Write(m.data)
	e.buf.WriteString("\n\n")
	return e.flush()
}

// beat sends a comment, so that proxies keep the line open and a dead client is
// noticed.
func (e *eventWriter) beat() error {
	e.buf.WriteString(": beat\n\n")
	return e.flush()
}

func (e *eventWriter) flush() error {
	defer e.buf.Reset()
	begun := time.Now()
	if err := e.rc.SetWriteDeadline(begun.Add(e.limit)); err != nil {
		return err
	}
	_, err := e.w.Write(e.buf.Bytes())
	if err == nil {
		err = e.rc.Flush()
	}
	if err != nil && time.Since(begun) >= e.limit {
		return fmt.Errorf("%w: %w", errSlowWrite, err) // HTTP/1 and HTTP/2 name it differently
	}
	return err
}
