package simulate

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// channel is one camera of a device.
type channel struct {
	id, name string
	clip     *clip // nil: no video
	status   string
}

// device is one played device. Its goroutine registers and keeps alive; requests
// of the platform are answered where they arrive, or in goroutines of their own
// where an answer takes several messages.
type device struct {
	sim      *Simulator
	index    int
	id       string
	tag      string // of From in what we begin
	callID   string // of all REGISTERs (RFC 3261 §10.2)
	proof    string // algorithm of the digest that was asked for last, "" for none; of run's goroutine
	faults   atomic.Uint32
	wake     chan struct{} // the registration is to be made anew
	channels []*channel

	mu       sync.Mutex
	line     *line
	running  context.Context // of the present registration's goroutines
	cseq     int
	sn       int
	guarded  bool
	waiting  map[string]chan *message // answers, by Call-ID and CSeq
	answered map[string][]byte        // requests of late, to answer repetitions alike
	order    []string                 // keys of answered, oldest first
	busy     int                      // goroutines at work for requests
	sessions map[string]*session      // by Call-ID
	subs     map[string]*subscription // by event package
}

// Bounds of one device.
const (
	keptAnswers = 16 // for repetitions; a platform has few transactions at a device
	maxBusy     = 16
	maxSessions = 1024
)

func (s *Simulator) newDevice(i int) (*device, error) {
	id, err := serial(s.opt.FirstID, i)
	if err != nil {
		return nil, err
	}
	d := &device{
		sim: s, index: i, id: id, tag: random(), callID: random(), wake: make(chan struct{}, 1),
		waiting: make(map[string]chan *message), answered: make(map[string][]byte),
		sessions: make(map[string]*session), subs: make(map[string]*subscription),
	}
	d.faults.Store(uint32(s.opt.Faults))
	for n := range s.opt.Channels {
		c := &channel{
			id:     fmt.Sprintf("%s132%s%06d", id[:10], id[13:14], i*s.opt.Channels+n+1),
			name:   fmt.Sprintf("%s%d号 通道%d", s.opt.Name, i+1, n+1),
			status: "ON",
		}
		if len(s.clips) > 0 {
			c.clip = s.clips[n%len(s.clips)]
		}
		d.channels = append(d.channels, c)
	}
	return d, nil
}

func (d *device) has(f Faults) bool { return Faults(d.faults.Load()).has(f) }

func (d *device) setLine(l *line) {
	d.mu.Lock()
	d.line = l
	d.mu.Unlock()
}

func (d *device) event(channel string, kind EventKind, format string, args ...any) {
	d.sim.opt.OnEvent(Event{Time: time.Now(), Device: d.id, Channel: channel, Kind: kind, Text: fmt.Sprintf(format, args...)})
}

// find returns a channel, nil for an ID that is none of ours.
func (d *device) find(id string) *channel {
	for _, c := range d.channels {
		if c.id == id {
			return c
		}
	}
	return nil
}

// do runs f in a goroutine that the device waits for. It returns false when too
// many are at work, or the device is stopping.
func (d *device) do(f func(ctx context.Context)) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy >= maxBusy || d.running == nil || d.running.Err() != nil {
		d.sim.stats.dropped.Add(1)
		return false
	}
	d.busy++
	ctx := d.running
	d.sim.work.Go(func() {
		defer func() {
			d.mu.Lock()
			d.busy--
			d.mu.Unlock()
		}()
		f(ctx)
	})
	return true
}

// next returns the next CSeq number and a branch for it.
func (d *device) next() (int, string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cseq++
	return d.cseq, fmt.Sprintf(branchForm, d.index) + random()
}

// place is where a request stands: in a dialog, or outside of any.
type place struct{ uri, callID, from, to string }

// request makes a request to the platform, outside any dialog.
func (d *device) request(method, contentType string, body []byte, more ...header) *message {
	to := "sip:" + d.sim.opt.ServerID + "@" + d.sim.opt.Domain
	from := fmt.Sprintf("<sip:%s@%s>;tag=%s", d.id, d.sim.opt.Domain, d.tag)
	return d.build(method, place{to, random(), from, "<" + to + ">"}, contentType, body, more...)
}

// build makes a request.
func (d *device) build(method string, at place, contentType string, body []byte, more ...header) *message {
	n, branch := d.next()
	d.mu.Lock()
	l := d.line
	d.mu.Unlock()
	m := &message{method: method, uri: at.uri, body: body, headers: []header{
		{"Via", fmt.Sprintf("SIP/2.0/%s %s;rport;branch=%s", l.proto, l.local, branch)},
		{"From", at.from}, {"To", at.to}, {"Call-ID", at.callID}, {"CSeq", fmt.Sprintf("%d %s", n, method)},
		{"Contact", d.contact(l)}, {"Max-Forwards", "70"}, {"User-Agent", userAgent},
	}}
	m.headers = append(m.headers, more...)
	if contentType != "" {
		m.headers = append(m.headers, header{"Content-Type", contentType})
	}
	return m
}

func (d *device) contact(l *line) string { return fmt.Sprintf("<sip:%s@%s>", d.id, l.local) }

// transact sends a request and waits for its final answer; over UDP it repeats
// it as RFC 3261 §17.1.2 says, for 8 s at most. nil means that none came.
func (d *device) transact(ctx context.Context, m *message) *message {
	key := m.get("call-id") + " " + m.get("cseq")
	answer := make(chan *message, 4)
	d.mu.Lock()
	l := d.line
	d.waiting[key] = answer
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		delete(d.waiting, key)
		d.mu.Unlock()
	}()
	text, wait, left := m.bytes(), 500*time.Millisecond, 8*time.Second
	if l.proto != "UDP" {
		wait = left
	}
	for left > 0 {
		if l.send(text) != nil && l.proto != "UDP" {
			return nil
		}
		t := time.NewTimer(wait)
	wait:
		for {
			select {
			case r := <-answer:
				if r.status >= 200 {
					t.Stop()
					return r
				}
			case <-t.C:
				break wait
			case <-ctx.Done():
				t.Stop()
				return nil
			}
		}
		left -= wait
		wait = min(2*wait, 4*time.Second)
	}
	d.sim.stats.timeouts.Add(1)
	return nil
}

// take handles one message of the platform. It does not block for long.
func (d *device) take(m *message) {
	if m.status > 0 {
		n, method := m.cseq()
		d.mu.Lock()
		c := d.waiting[fmt.Sprintf("%s %d %s", m.get("call-id"), n, method)]
		d.mu.Unlock()
		if c != nil {
			select {
			case c <- m:
			default: // a repetition of what was said
			}
		}
		return
	}
	if d.has(Mute) {
		return
	}
	d.mu.Lock()
	l, again := d.line, d.answered[m.key()]
	d.mu.Unlock()
	if again != nil && m.method != "ACK" {
		_ = l.send(again) // lost answers are asked for again
		return
	}
	r := d.handle(m)
	if r == nil {
		return
	}
	d.reply(m, r)
}

// reply sends an answer and keeps it for repetitions of its request.
func (d *device) reply(m, r *message) {
	text := r.bytes()
	d.mu.Lock()
	l := d.line
	if r.status >= 200 {
		if len(d.order) >= keptAnswers {
			delete(d.answered, d.order[0])
			d.order = d.order[1:]
		}
		d.answered[m.key()] = text
		d.order = append(d.order, m.key())
	}
	d.mu.Unlock()
	_ = l.send(text) // over UDP the platform asks again; a dead TCP line is noticed by its reader
}

// handle decides on a request. nil means: no answer, or one that comes later.
func (d *device) handle(m *message) *message {
	switch m.method {
	case "MESSAGE":
		return d.onMessage(m)
	case "INVITE":
		return d.onInvite(m)
	case "ACK":
		d.onAck(m)
		return nil
	case "BYE":
		return d.onBye(m)
	case "CANCEL":
		return m.answer(200, random())
	case "INFO":
		return d.onInfo(m)
	case "SUBSCRIBE":
		return d.onSubscribe(m)
	case "OPTIONS":
		return m.answer(200, random(), header{"Allow", allowed})
	}
	return m.answer(405, random(), header{"Allow", allowed})
}

const allowed = "INVITE, ACK, BYE, CANCEL, INFO, MESSAGE, SUBSCRIBE, OPTIONS"

// random returns 8 random bytes in hex.
func random() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func addrPort(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }
