package gb28181

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/gb28181/manscdp"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// Why a device is, or is not, registered. They go where ingest.Reason goes, and
// are a bounded set like it.
const (
	ReasonRegistered   ingest.Reason = ""                 // it is: nothing to say
	ReasonUnregistered ingest.Reason = "unregistered"     // the device took itself off: Expires 0
	ReasonExpired      ingest.Reason = "expired"          // it did not register again in time
	ReasonKeepalive    ingest.Reason = "keepalive_missed" // three keepalives missing
	ReasonConnection   ingest.Reason = "connection_lost"  // its TCP connection closed, and no other came
	ReasonUplink       ingest.Reason = "uplink_lost"      // with all others behind its address
	ReasonRestored     ingest.Reason = "restored"         // known from before our restart, not heard yet
	ReasonFlapping     ingest.Reason = "flapping"         // comes and goes: must stay before it counts
	ReasonWaiting      ingest.Reason = "waiting"          // not in the configuration
	ReasonNever        ingest.Reason = "never_registered" // in the configuration, never seen
)

// device is one device that registered, now or formerly. Its identity is its
// 20-digit ID; where it is reached is the route, which changes.
type device struct {
	id     string                                // never changes
	config atomic.Pointer[configs.GB28181Device] // the entry that lets it in; see SetDevices
	queued atomic.Int32                          // its messages that wait in the inbox
	sn     atomic.Uint32

	mu        sync.Mutex
	link      link
	route     route
	gbver     string // X-GB-ver of its last REGISTER, "" for none
	userAgent string // as it says, cut
	first     time.Time
	nonce     lastNonce
	call      registration // its last REGISTER that was let in
	owed      bool         // OnState has not heard of the newest link yet
	told      ingest.Fact  // what OnState heard last
}

// registration names one REGISTER, to recognise the same one sent again.
type registration struct {
	callID string
	cseq   uint32
}

// nextSN returns the next serial number for a query or command to the device, from
// 1 on.
func (d *device) nextSN() int { return int(d.sn.Add(1) & 0x7fffffff) }

// ver returns the edition of the standard that the device speaks.
func (d *device) ver() manscdp.Version {
	d.mu.Lock()
	defer d.mu.Unlock()
	return manscdp.ParseVersion(d.gbver)
}

// agent returns what the device says it is; not trusted, at most 128 bytes.
func (d *device) agent() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.userAgent
}

// way returns where requests go, or errOffline; errLost, which is one, while the
// device counts as registered although its connection is gone.
func (d *device) way() (route, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.link.reachable() && d.route.alive():
		return d.route, nil
	case d.link.value == ingest.Yes:
		return route{}, errLost
	}
	return route{}, errOffline
}

// isRegistered says what the device's registration is now.
func (d *device) isRegistered() ingest.Fact {
	d.mu.Lock()
	defer d.mu.Unlock()
	return ingest.Fact{Value: d.link.value, Since: d.link.since, Reason: d.link.reason}
}

// Device is what is known of a device, for people and for the API.
type Device struct {
	ID         string      `json:"id"`
	Name       string      `json:"name,omitempty"`       // as configured
	Configured bool        `json:"configured"`           // false: it waits to be allowed
	Registered ingest.Fact `json:"registered"`           // Unknown after our restart until it is heard
	Version    string      `json:"version,omitempty"`    // X-GB-ver: 2.0 is 2016, 3.0 is 2022
	Transport  string      `json:"transport,omitempty"`  // "udp", "tcp", "tls": of its SIP
	Address    string      `json:"address,omitempty"`    // ip:port it was last heard from
	UserAgent  string      `json:"user_agent,omitempty"` // as it says; not trusted
	FirstSeen  time.Time   `json:"first_seen,omitzero"`
	LastSeen   time.Time   `json:"last_seen,omitzero"`         // any message
	Expires    time.Time   `json:"expires,omitzero"`           // of the registration
	Keepalive  float64     `json:"keepalive_seconds,omitzero"` // learned interval, 0 before it is learned
	Attempts   uint64      `json:"attempts,omitempty"`         // of a waiting device
}

// entry is what the configuration says of the device.
func (d *device) entry() configs.GB28181Device { return *d.config.Load() }

// snapshot returns what is known of d.
func (d *device) snapshot() Device {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := Device{
		ID: d.id, Name: d.entry().Name, Configured: true,
		Registered: ingest.Fact{Value: d.link.value, Since: d.link.since, Reason: d.link.reason},
		Version:    d.gbver, Transport: d.route.network, UserAgent: d.userAgent,
		FirstSeen: d.first, LastSeen: d.link.heard,
	}
	if d.route.addr.IsValid() {
		s.Address = d.route.addr.String()
	}
	if d.link.bound {
		s.Expires = d.link.expires
	}
	if d.link.gapped > 0 {
		s.Keepalive = d.link.interval().Seconds()
	}
	return s
}

// Devices lists what is registered or was, what is configured by ID and was never
// seen, and what waits to be allowed, each by ID.
func (p *Platform) Devices() []Device {
	var list []Device
	seen := make(map[string]bool)
	for _, d := range p.allDevices() {
		list = append(list, d.snapshot())
		seen[d.id] = true
	}
	for _, c := range p.book.list() {
		if !seen[c.ID] {
			list = append(list, Device{
				ID: c.ID, Name: c.Name, Configured: true,
				Registered: ingest.Fact{Value: ingest.No, Since: p.started, Reason: ReasonNever},
			})
		}
	}
	list = append(list, p.waiting.list()...)
	slices.SortFunc(list, func(a, b Device) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// maxWaiting bounds the list of unknown devices; the one that was silent longest
// makes room.
const maxWaiting = 256

// waitingList is the unknown devices that tried to register.
type waitingList struct {
	mu      sync.Mutex
	devices map[string]*Device
}

func newWaitingList() *waitingList { return &waitingList{devices: make(map[string]*Device)} }

// forget takes off who may register now.
func (w *waitingList) forget(may func(id string) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.devices, func(id string, _ *Device) bool { return may(id) })
}

func (w *waitingList) len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.devices)
}

func (w *waitingList) list() []Device {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]Device, 0, len(w.devices))
	for _, d := range w.devices {
		list = append(list, *d)
	}
	return list
}

// seen records an attempt; it reports whether it is the first of this device.
func (w *waitingList) seen(id string, from route, gbver, userAgent string, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.devices[id]
	first := d == nil
	if first {
		if len(w.devices) >= maxWaiting {
			delete(w.devices, w.oldest())
		}
		d = &Device{ID: id, FirstSeen: now, Registered: ingest.Fact{Value: ingest.No, Since: now, Reason: ReasonWaiting}}
		w.devices[id] = d
	}
	d.Attempts++
	d.LastSeen, d.Transport, d.Address = now, from.network, from.addr.String()
	d.Version, d.UserAgent = gbver, userAgent
	return first
}

func (w *waitingList) oldest() string {
	var oldest string
	var at time.Time
	for id, d := range w.devices {
		if oldest == "" || d.LastSeen.Before(at) {
			oldest, at = id, d.LastSeen
		}
	}
	return oldest
}

// book finds the entry of the configuration that lets a device in, in constant
// time for whatever ID comes.
type book struct {
	mu       sync.RWMutex
	ids      map[string]configs.GB28181Device
	prefixes map[string]configs.GB28181Device
	lengths  []int // of prefixes, longest first
}

func newBook(devices []configs.GB28181Device) *book {
	b := &book{}
	b.set(devices)
	return b
}

// set replaces every entry.
func (b *book) set(devices []configs.GB28181Device) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ids, b.prefixes, b.lengths = make(map[string]configs.GB28181Device), make(map[string]configs.GB28181Device), nil
	for _, d := range devices {
		if d.ID != "" {
			b.ids[d.ID] = d
		} else if d.Prefix != "" {
			b.prefixes[d.Prefix] = d
			b.lengths = append(b.lengths, len(d.Prefix))
		}
	}
	slices.Sort(b.lengths)
	b.lengths = slices.Compact(b.lengths)
	slices.Reverse(b.lengths)
}

// list returns the entries of single devices.
func (b *book) list() []configs.GB28181Device {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return slices.Collect(maps.Values(b.ids))
}

// SetDevices says anew which devices may register, while the platform runs. Who
// is registered stays so; whoever is not in the list any more is refused at its
// next message that asks. A transport counts from the next stream on, a quirk at
// once. Unknown names of quirks are an error, and then nothing changes.
func (p *Platform) SetDevices(devices []configs.GB28181Device) error {
	if err := checkQuirks(devices); err != nil {
		return err
	}
	p.book.set(devices)
	for _, d := range p.allDevices() {
		if entry, known := p.book.find([]byte(d.id)); known {
			d.config.Store(&entry)
		}
	}
	p.waiting.forget(func(id string) bool {
		_, known := p.book.find([]byte(id))
		return known
	})
	return nil
}

// find returns the entry for an ID. What is not 20 digits is nobody.
func (b *book) find(id []byte) (configs.GB28181Device, bool) {
	if !isID(id) {
		return configs.GB28181Device{}, false
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if d, ok := b.ids[string(id)]; ok {
		return d, true
	}
	for _, n := range b.lengths {
		if d, ok := b.prefixes[string(id[:n])]; ok {
			return d, true
		}
	}
	return configs.GB28181Device{}, false
}

// isID says whether id has the form of a device's ID (GB/T 28181 annex E).
func isID(id []byte) bool {
	if len(id) != 20 {
		return false
	}
	for _, c := range id {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// sameHost says whether two addresses are one host, or one NAT.
func sameHost(a, b netip.AddrPort) bool { return a.Addr() == b.Addr() }
