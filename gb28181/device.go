package gb28181

import (
	"net/netip"
	"sync"
	"time"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// Why a device is, or is not, registered. They go where ingest.Reason goes, and
// are a bounded set like it.
const (
	ReasonRegistered   ingest.Reason = "registered"
	ReasonUnregistered ingest.Reason = "unregistered"     // the device took itself off: Expires 0
	ReasonExpired      ingest.Reason = "expired"          // it did not register again in time
	ReasonKeepalive    ingest.Reason = "keepalive_missed" // three keepalives missing
	ReasonConnection   ingest.Reason = "connection_lost"  // its TCP connection closed, and no other came
	ReasonUplink       ingest.Reason = "uplink_lost"      // with many others behind one address
	ReasonRestored     ingest.Reason = "restored"         // known from before our restart, not heard yet
	ReasonFlapping     ingest.Reason = "flapping"         // comes and goes: not called good before it stays
	ReasonWaiting      ingest.Reason = "waiting"          // not in the configuration
	ReasonNever        ingest.Reason = "never_registered" // in the configuration, never seen
)

// version is what a device says in X-GB-ver (GB/T 28181-2022 annex I): "1.0"
// 2011, "1.1" its supplement, "2.0" 2016, "3.0" 2022; "" for none.
type version string

// is2022 says whether what only the 2022 text has may be sent.
func (v version) is2022() bool { return v >= "3.0" }

// device is one registered (or configured, or formerly registered) device. Its
// identity is its 20-digit ID; where it is reached is the route, which changes.
type device struct {
	id     string                // never changes
	config configs.GB28181Device // the entry that lets it in; never changes

	mu        sync.Mutex
	version   version
	userAgent string // of its last REGISTER, cut to 128 bytes
	value     ingest.Value
	reason    ingest.Reason
	since     time.Time
	sn        uint32
}

// nextSN returns the next serial number for a query or command to the device.
func (d *device) nextSN() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sn++
	return int(d.sn & 0x7fffffff)
}

// ver returns the version that the device spoke last.
func (d *device) ver() version {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.version
}

// Device is what is known of a device, for people and for the API.
type Device struct {
	ID         string         `json:"id"`
	Name       string         `json:"name,omitempty"`       // as configured
	Configured bool           `json:"configured"`           // false: it waits to be allowed
	Registered ingest.Fact    `json:"registered"`           // Unknown after our restart until it is heard
	Version    string         `json:"version,omitempty"`    // X-GB-ver
	Transport  string         `json:"transport,omitempty"`  // "udp", "tcp", "tls": of its SIP
	Address    netip.AddrPort `json:"address"`              // it was last heard from
	UserAgent  string         `json:"user_agent,omitempty"` // as it says; not trusted
	FirstSeen  time.Time      `json:"first_seen,omitzero"`
	LastSeen   time.Time      `json:"last_seen,omitzero"` // any message
	Expires    time.Time      `json:"expires,omitzero"`   // of the registration
	Keepalive  time.Duration  `json:"keepalive_ns"`       // learned interval, 0 before it is learned
	Attempts   uint64         `json:"attempts,omitempty"` // of a waiting device
}

// Devices lists what is registered, configured or waiting, by ID.
func (p *Platform) Devices() []Device {
	return nil
}
