package media

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	sharedBuffer = 4 << 20 // SO_RCVBUF of a shared port, of which the system may grant less
	ownBuffer    = 1 << 20 // and of a port of a range
	reportEvery  = 5 * time.Second
)

// Receiver owns the media ports. All methods may be called from any goroutine.
type Receiver struct {
	opt    Options
	shared *port // nil with a range

	mu      sync.Mutex
	streams map[*Stream]struct{}
	used    map[uint16]bool // ports of the range
	next    uint16          // where to look for a free one
	closed  bool

	stop chan struct{}
	done sync.WaitGroup
}

// Listen opens the shared port; ports of a range are opened with their streams.
// The error says what to do.
func Listen(opt Options) (*Receiver, error) {
	if !opt.Listen.IsValid() {
		opt.Listen = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	r := &Receiver{opt: opt, streams: make(map[*Stream]struct{}), used: make(map[uint16]bool), stop: make(chan struct{})}
	if opt.Last <= opt.First {
		p, err := listen(r, opt.First, sharedBuffer)
		if err != nil {
			return nil, fmt.Errorf("media port: %w: choose another port, or end what holds it", err)
		}
		r.shared = p
		p.serve(nil)
	} else {
		r.opt.First += opt.First & 1
		r.next = r.opt.First
	}
	r.done.Go(r.report)
	return r, nil
}

// Port returns the shared port, 0 with a range.
func (r *Receiver) Port() uint16 {
	if r.shared == nil {
		return 0
	}
	return r.shared.number
}

// Open expects a stream. It takes what comes until Close, or until the stream
// ends by itself: see Stream.Done. The error is ErrNoPort, ErrClosed, or says
// that the SSRC is expected already.
func (r *Receiver) Open(want Expect) (*Stream, error) {
	want.fill()
	s := newStream(r, want)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	if r.shared != nil {
		if err := r.shared.expect(s); err != nil {
			return nil, err
		}
		s.port = r.shared
	} else {
		p, err := r.own()
		if err != nil {
			return nil, err
		}
		s.port = p
		p.serve(s)
	}
	r.streams[s] = struct{}{}
	s.watch()
	return s, nil
}

// own opens the next free port of the range; r.mu is held. Numbers are taken
// round about, so that packets for a stream that just ended do not meet the
// next one.
func (r *Receiver) own() (*port, error) {
	var last error
	for range (int(r.opt.Last)-int(r.opt.First))/2 + 1 {
		n := r.next
		if r.next += 2; r.next > r.opt.Last || r.next < r.opt.First {
			r.next = r.opt.First
		}
		if r.used[n] {
			continue
		}
		p, err := listen(r, n, ownBuffer)
		if err != nil {
			last = err // another program has it
			continue
		}
		r.used[n] = true
		return p, nil
	}
	if last != nil {
		return nil, wrap(ErrNoPort, "%v", last)
	}
	return nil, wrap(ErrNoPort, "%d to %d are all in use: widen the range", r.opt.First, r.opt.Last)
}

// forget takes a stream out; its port, if its own, is free again.
func (r *Receiver) forget(s *Stream) {
	if r.shared != nil {
		r.shared.forget(s)
	} else {
		s.port.close()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.streams, s)
	if r.shared == nil {
		delete(r.used, s.port.number)
	}
}

// Stats counts what belongs to no stream.
func (r *Receiver) Stats() ReceiverStats {
	r.mu.Lock()
	n := len(r.streams)
	r.mu.Unlock()
	st := ReceiverStats{Streams: n}
	if p := r.shared; p != nil {
		st.Unknown, st.Garbage, st.Received = p.unknown.Load(), p.garbage.Load(), p.received.Load()
		st.Refused, st.Strange = p.refused.Load(), p.strange.Load()
		p.mu.RLock()
		st.Pending = len(p.pending)
		p.mu.RUnlock()
	}
	return st
}

// report sends RTCP receiver reports: some devices stop after a minute without.
func (r *Receiver) report() {
	t := time.NewTicker(reportEvery)
	defer t.Stop()
	for {
		select {
		case <-r.stop:
			return
		case <-t.C:
		}
		r.mu.Lock()
		all := make([]*Stream, 0, len(r.streams))
		for s := range r.streams {
			all = append(all, s)
		}
		r.mu.Unlock()
		for _, s := range all {
			s.report()
		}
	}
}

// Close ends all streams with ErrClosed, closes the ports and waits until
// everything is still.
func (r *Receiver) Close() {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		r.done.Wait()
		return
	}
	r.closed = true
	close(r.stop)
	all := make([]*Stream, 0, len(r.streams))
	for s := range r.streams {
		all = append(all, s)
	}
	r.mu.Unlock()
	for _, s := range all {
		s.Close()
	}
	if r.shared != nil {
		r.shared.close()
	}
	r.done.Wait()
}

// isClosed says whether err is of a socket that we closed.
func isClosed(err error) bool { return errors.Is(err, net.ErrClosed) }
