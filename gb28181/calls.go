package gb28181

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/gb28181/manscdp"
	"github.com/sharpeyes/sharpeyes/gb28181/media"
)

// maxCalls bounds the media sessions: a y= line has four digits for them.
const maxCalls = 10000

// serialStep is from one number to the next: neighbours are not given out
// together, so that a device that is off by one does not send one camera's
// picture as another's. It has no divisor in common with maxCalls.
const serialStep = 37

// calls are the media sessions of a platform and the ports that they share.
type calls struct {
	p      *Platform
	ledger *ledger

	mu       sync.Mutex
	receiver *media.Receiver // nil before Run and after it
	open     map[*call]struct{}
	serials  map[int]bool // taken
	next     int          // where to look for a free one
	ended    callTotals
	first    *firstUnits

	// Devices that do not connect by TCP, by ID. The lock is apart, since it is
	// taken from within streams.
	ways  sync.Mutex
	byUDP map[string]bool
}

func newCalls(p *Platform) *calls {
	c := &calls{p: p, ledger: newLedger(p.opt.Dir), open: make(map[*call]struct{}), serials: make(map[int]bool), byUDP: make(map[string]bool), next: rand.IntN(maxCalls), first: newFirstUnits()}
	p.handle(manscdp.Notify, manscdp.CmdMediaStatus, c.mediaStatus)
	p.onRegister(func(dev *device) {
		p.spawn(func(ctx context.Context) { c.hangUpLeft(ctx, dev) })
	})
	return c
}

// listen opens the media ports.
func (c *calls) listen() error {
	if err := c.ledger.load(); err != nil {
		return fmt.Errorf("gb28181: calls of before the restart: %w", err)
	}
	m := c.p.opt.Config.Media
	var opt media.Options
	opt.First, opt.Last = m.PortRange()
	if m.Listen != "" {
		a, err := netip.ParseAddr(m.Listen)
		if err != nil {
			return fmt.Errorf("gb28181: media.listen: %w: write an IP address", err)
		}
		opt.Listen = a
	}
	r, err := media.Listen(opt)
	if err != nil {
		return fmt.Errorf("gb28181: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.receiver = r
	return nil
}

// close ends every stream and closes the ports.
func (c *calls) close() {
	c.mu.Lock()
	r := c.receiver
	c.receiver = nil
	c.mu.Unlock()
	if r != nil {
		r.Close()
	}
	c.ledger.close()
}

var errNotRunning = errors.New("the platform is not running")

// take reserves a serial number and the receiver for a call.
func (c *calls) take() (serial int, r *media.Receiver, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.receiver == nil {
		return 0, nil, errNotRunning
	}
	if len(c.serials) >= maxCalls {
		return 0, nil, fmt.Errorf("%d media sessions stand: no more fit into a domain", maxCalls)
	}
	for c.serials[c.next] {
		c.next = (c.next + serialStep) % maxCalls
	}
	serial = c.next
	c.serials[serial] = true
	c.next = (c.next + serialStep) % maxCalls // not at once again: packets of the last one may still come
	return serial, c.receiver, nil
}

func (c *calls) add(x *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[x] = struct{}{}
}

// remove forgets a call and adds up what it counted.
func (c *calls) remove(x *call, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, x)
	delete(c.serials, x.serial)
	c.ended.count(x.kind, reason)
	if x.stream != nil {
		c.ended.add(x.stream.Stats())
	}
}

// all returns the calls that stand.
func (c *calls) all() []*call {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]*call, 0, len(c.open))
	for x := range c.open {
		list = append(list, x)
	}
	return list
}

// transport returns how media of a device is to come first, and whether the
// other way may be tried when nobody connects.
func (c *calls) transport(dev *device) (t media.Transport, mayFall bool) {
	name, own := c.p.opt.Config.Transport, false
	if t := dev.entry().Transport; t != "" {
		name, own = t, true
	}
	switch name {
	case configs.GB28181UDP:
		return media.UDP, false
	case configs.GB28181TCPActive:
		return media.TCPActive, false
	}
	c.ways.Lock()
	defer c.ways.Unlock()
	if c.byUDP[dev.id] && !own {
		return media.UDP, false
	}
	return media.TCPPassive, !own
}

// remember notes that a device sends by UDP, or forgets it, so that it is asked
// for TCP again.
func (c *calls) remember(dev *device, udp bool) {
	c.ways.Lock()
	defer c.ways.Unlock()
	if udp {
		c.byUDP[dev.id] = true
	} else {
		delete(c.byUDP, dev.id)
	}
}

// mediaStatus takes the notification that a record is over (GB/T 28181 §9.8.3,
// §9.9.3). It belongs to the call with its Call-ID, or, since many devices send
// it outside, to the only history call of its channel.
func (c *calls) mediaStatus(_ context.Context, m incoming) {
	msg, err := c.p.decode(m)
	if err != nil {
		return // counted
	}
	status, ok := msg.Payload.(*manscdp.MediaStatus)
	if !ok || strings.TrimSpace(status.NotifyType) != manscdp.MediaEnd {
		return
	}
	var found []*call
	for _, x := range c.all() {
		switch {
		case x.kind == live || x.dev != m.dev:
		case x.callID() == m.callID:
			x.over()
			return
		case x.channel == msg.DeviceID || msg.DeviceID == m.dev.id:
			found = append(found, x)
		}
	}
	if len(found) == 1 {
		found[0].over()
	}
}

// announce returns the address that a device is to send media to.
func (c *calls) announce(dev *device) netip.Addr {
	m := c.p.opt.Config.Media
	if a, err := netip.ParseAddr(m.Announce); err == nil {
		return a
	}
	if a, err := netip.ParseAddr(m.Listen); err == nil && !a.IsUnspecified() {
		return a
	}
	dev.mu.Lock()
	at := dev.route
	dev.mu.Unlock()
	if !at.addr.IsValid() {
		return netip.IPv4Unspecified()
	}
	return c.p.ownAddress(at).Addr()
}

// callTotals is what ended calls counted.
type callTotals struct {
	stats  media.Stats
	faults map[string]uint64 // of program streams, by kind
	skips  map[string]uint64 // ditto, by reason
	calls  map[callEnd]uint64

	wrongSSRC uint64 // streams that came with another SSRC than asked for
}

// callEnd says how a call ended.
type callEnd struct {
	kind   callKind
	reason string // a bounded set
}

func (t *callTotals) count(kind callKind, reason string) {
	if t.calls == nil {
		t.calls = make(map[callEnd]uint64)
	}
	t.calls[callEnd{kind, reason}]++
}

// add takes over the counts of a stream.
func (t *callTotals) add(s media.Stats) {
	t.stats.Bytes += s.Bytes
	t.stats.Packets += s.Packets
	t.stats.Lost += s.Lost
	t.stats.Reordered += s.Reordered
	t.stats.Late += s.Late
	t.stats.Duplicate += s.Duplicate
	t.stats.Bad += s.Bad
	t.stats.Strange += s.Strange
	t.stats.Units += s.Units
	if s.WrongSSRC {
		t.wrongSSRC++
	}
	if t.faults == nil {
		t.faults, t.skips = make(map[string]uint64), make(map[string]uint64)
	}
	s.PS.Faulted(func(name string, n uint64) { t.faults[name] += n })
	s.PS.SkippedBy(func(name string, n uint64) { t.skips[name] += n })
}

// clone copies the totals, for the addition of what still runs.
func (t *callTotals) clone() callTotals {
	c := callTotals{stats: t.stats, faults: maps.Clone(t.faults), skips: maps.Clone(t.skips), calls: maps.Clone(t.calls), wrongSSRC: t.wrongSSRC}
	if c.calls == nil {
		c.calls = make(map[callEnd]uint64)
	}
	return c
}
