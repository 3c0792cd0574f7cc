// Package simulate plays devices of GB/T 28181: they register, keep themselves
// alive, tell their channels, send video of a clip, records and alarms, take
// control, and deviate from the standard on demand. The platform's tests, its
// load bench and the demonstration use it. It writes and reads SIP and XML as
// text of its own and shares no parser with the platform, so that a mistake of
// one is not hidden by the same mistake of the other.
package simulate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const userAgent = "sharpeyes-simulate"

// Options says which devices are played.
type Options struct {
	Server      string // host:port of the platform's SIP. Required
	AllowRemote bool   // let Server be another machine; default: loopback only
	ServerID    string // 20-digit ID of the platform. Required
	Domain      string // its SIP domain; default: the first 10 digits of ServerID

	Devices  int    // how many; default 1
	Channels int    // of each; default 1
	FirstID  string // 20-digit ID of the first device, the others count up; default 36112700001180000001
	Name     string // of the devices; default 模拟录像机
	Password string // default: none, which a platform takes only where it is told to

	Transport string        // of SIP: "udp", "tcp" or "tls"; default udp
	TLS       *tls.Config   // of Transport "tls"; nil: the platform's certificate is held against the system's roots
	OwnSocket bool          // one UDP socket for each device; default: all share one
	Digest    string        // "MD5", "SHA-256" or, in 3.0, "SM3": another than MD5 is announced, and answered if the platform asks for it; default MD5
	Version   string        // X-GB-ver: "2.0" or "3.0"; default 3.0. "2.0" sends none of what 2022 added
	Expires   time.Duration // of the registration; default 24 h
	Keepalive time.Duration // default 60 s
	Spread    time.Duration // the devices start evenly over this time; default: at once

	Clips    []string      // Annex-B files; channel n sends clip n modulo their number. Default: channels without video answer 486
	KeyEvery time.Duration // at least one key frame in this time, by leaving out the rest of a longer GOP; default: as in the clip
	Bind     netip.Addr    // local address; default 127.0.0.1, with AllowRemote that which faces Server

	Charset  string        // of XML: "UTF-8" or "GB2312"; default GB2312 for 2.0, UTF-8 for 3.0
	PageSize int           // items in a message of a catalogue or of records; default 10
	Shuffle  bool          // parts of an answer come out of order
	Records  time.Duration // how much video each channel has, up to now; default 24 h
	RecordIn time.Duration // length of one record; default 10 min

	AlarmEvery time.Duration // each device raises the next of several alarms; default: only on demand
	NeedsGuard bool          // alarms are raised only after SetGuard, as with many recorders
	Faults     Faults        // of all devices from the start; SetFaults changes those of one

	OnEvent func(Event)  // hears what happens, from the devices' goroutines; must not block
	Log     *slog.Logger // default: nothing is logged
}

// Event is one thing that happened at a device.
type Event struct {
	Time    time.Time
	Device  string // 20-digit ID
	Channel string // "" for the device itself
	Kind    EventKind
	Text    string // what exactly: the command, the reason
}

// EventKind says what happened.
type EventKind string

// The kinds of events.
const (
	EventRegistered   EventKind = "registered" // Text has the algorithm of the digest, if the platform named one
	EventRefused      EventKind = "refused"    // the platform answers REGISTER with an error; Text has the status
	EventUnregistered EventKind = "unregistered"
	EventLost         EventKind = "lost"    // the platform does not answer
	EventQuery        EventKind = "query"   // Text has the CmdType
	EventControl      EventKind = "control" // Text has the element and its value: "PTZCmd=A50F01…"
	EventSubscribed   EventKind = "subscribed"
	EventInvited      EventKind = "invited" // Text: Play, Playback, Download
	EventPlaying      EventKind = "playing" // media leaves
	EventInfo         EventKind = "info"    // Text has the MANSRTSP request line and what it changes
	EventEnded        EventKind = "ended"   // a session is over; Text says by whom
	EventAlarm        EventKind = "alarm"
)

// Stats counts what all devices did.
type Stats struct {
	Registered    int64 // now
	Registrations uint64
	Refused       uint64
	Keepalives    uint64 // answered with 200
	Timeouts      uint64 // requests without an answer
	Sessions      int64  // now
	Units         uint64 // access units sent
	Bytes         uint64 // of RTP payload
	Dropped       uint64 // requests that found too much work waiting
	Garbage       uint64 // datagrams that are no SIP
}

// Simulator plays the devices. Make it with New, then Run it once; the other
// methods may be called from any goroutine.
type Simulator struct {
	opt     Options
	server  *net.UDPAddr
	clips   []*clip
	devices []*device
	byID    map[string]*device // device and channel IDs

	work  sync.WaitGroup // every goroutine of Run
	stats struct {
		registered, sessions                                                         atomic.Int64
		registrations, refused, keepalives, timeouts, units, bytes, dropped, garbage atomic.Uint64
	}
}

// New reads the clips and makes the devices; nothing is sent before Run.
func New(opt Options) (*Simulator, error) {
	if err := opt.complete(); err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	server, err := net.ResolveUDPAddr("udp", opt.Server)
	if err != nil {
		return nil, fmt.Errorf("simulate: server: %w", err)
	}
	if !server.IP.IsLoopback() && !opt.AllowRemote {
		return nil, fmt.Errorf("simulate: %s is another machine: devices that are not real belong into a list of real ones only when somebody says so (AllowRemote, --allow-remote)", opt.Server)
	}
	s := &Simulator{opt: opt, server: server, byID: make(map[string]*device)}
	if opt.Transport == "tls" {
		s.opt.TLS = opt.TLS.Clone() // of nil: nil
		if s.opt.TLS == nil {
			s.opt.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		if s.opt.TLS.ServerName == "" {
			s.opt.TLS.ServerName, _, _ = net.SplitHostPort(opt.Server) // it has been resolved: it has a port
		}
	}
	if !opt.Bind.IsValid() {
		if s.opt.Bind, err = facing(server); err != nil {
			return nil, fmt.Errorf("simulate: %w", err)
		}
	}
	for _, path := range opt.Clips {
		c, err := readClip(path)
		if err != nil {
			return nil, fmt.Errorf("simulate: %w", err)
		}
		s.clips = append(s.clips, c)
	}
	for i := range opt.Devices {
		d, err := s.newDevice(i)
		if err != nil {
			return nil, fmt.Errorf("simulate: %w", err)
		}
		s.devices = append(s.devices, d)
		s.byID[d.id] = d
		for _, c := range d.channels {
			s.byID[c.id] = d
		}
	}
	return s, nil
}

// complete puts the defaults and refuses what makes no sense.
func (o *Options) complete() error {
	def := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	def(&o.FirstID, "36112700001180000001")
	def(&o.Name, "模拟录像机")
	def(&o.Transport, "udp")
	def(&o.Digest, "MD5")
	def(&o.Version, "3.0")
	if o.Version < "3.0" {
		def(&o.Charset, "GB2312")
	}
	def(&o.Charset, "UTF-8")
	o.Devices, o.Channels = max(o.Devices, 1), max(o.Channels, 1)
	if o.PageSize < 1 {
		o.PageSize = 10
	}
	for _, d := range []struct {
		value *time.Duration
		def   time.Duration
	}{{&o.Expires, 24 * time.Hour}, {&o.Keepalive, time.Minute}, {&o.Records, 24 * time.Hour}, {&o.RecordIn, 10 * time.Minute}} {
		if *d.value <= 0 {
			*d.value = d.def
		}
	}
	switch {
	case len(o.ServerID) != 20:
		return errors.New("ServerID: write the platform's 20-digit ID")
	case len(o.FirstID) != 20:
		return errors.New("FirstID: write 20 digits")
	case o.Transport != "udp" && o.Transport != "tcp" && o.Transport != "tls":
		return errors.New("transport: write udp, tcp or tls")
	case o.Digest != "MD5" && o.Digest != "SHA-256" && o.Digest != "SM3":
		return errors.New("digest: write MD5, SHA-256 or SM3")
	case o.Digest == "SM3" && o.Version < "3.0":
		return errors.New("digest: SM3 came with the edition of 2022: write version 3.0")
	case o.Charset != "UTF-8" && o.Charset != "GB2312":
		return errors.New("charset: write UTF-8 or GB2312")
	case o.Devices*o.Channels > 999_999:
		return errors.New("devices times channels is above 999999: the serial number of an ID has 6 digits")
	}
	def(&o.Domain, o.ServerID[:10])
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.OnEvent == nil {
		o.OnEvent = func(Event) {}
	}
	return nil
}

// facing returns the local address from which packets to server leave.
func facing(server *net.UDPAddr) (netip.Addr, error) {
	c, err := net.DialUDP("udp", nil, server) // sends nothing
	if err != nil {
		return netip.Addr{}, err
	}
	defer c.Close() //nolint:errcheck // nothing was sent
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

// serial returns an ID with its serial number (last 6 digits) moved by n.
func serial(id string, n int) (string, error) {
	base, err := strconv.Atoi(id[14:])
	if err != nil || base+n > 999_999 {
		return "", fmt.Errorf("ID %s has no 6-digit serial number to count from", id)
	}
	return fmt.Sprintf("%s%06d", id[:14], base+n), nil
}

// Run plays the devices until ctx is done; then each unregisters and Run
// returns, after 3 s at most. The error says what could not be opened.
func (s *Simulator) Run(ctx context.Context) error {
	defer s.work.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Sockets outlive ctx by the time that unregistering takes.
	lines, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	if s.opt.Transport == "udp" {
		if err := s.openSockets(lines); err != nil {
			return fmt.Errorf("simulate: %w", err)
		}
	}
	var devices sync.WaitGroup
	for i, d := range s.devices {
		wait := s.opt.Spread * time.Duration(i) / time.Duration(len(s.devices))
		devices.Go(func() {
			if pause(ctx, wait) {
				d.run(ctx, lines)
			}
		})
	}
	devices.Wait()
	return nil
}

// Devices returns the IDs of the devices.
func (s *Simulator) Devices() []string {
	ids := make([]string, len(s.devices))
	for i, d := range s.devices {
		ids[i] = d.id
	}
	return ids
}

// Channels returns the IDs of a device's channels, nil for an unknown device.
func (s *Simulator) Channels(device string) []string {
	d := s.byID[device]
	if d == nil {
		return nil
	}
	ids := make([]string, len(d.channels))
	for i, c := range d.channels {
		ids[i] = c.id
	}
	return ids
}

// Stats returns the counts so far.
func (s *Simulator) Stats() Stats {
	t := &s.stats
	return Stats{
		Registered: t.registered.Load(), Registrations: t.registrations.Load(), Refused: t.refused.Load(),
		Keepalives: t.keepalives.Load(), Timeouts: t.timeouts.Load(), Sessions: t.sessions.Load(),
		Units: t.units.Load(), Bytes: t.bytes.Load(), Dropped: t.dropped.Load(), Garbage: t.garbage.Load(),
	}
}

// SetFaults replaces the faults of one device, from the next message and the
// next session on. An unknown device is an error.
func (s *Simulator) SetFaults(device string, f Faults) error {
	d := s.byID[device]
	if d == nil {
		return fmt.Errorf("simulate: no device %s", device)
	}
	d.faults.Store(uint32(f))
	return nil
}

// pause waits; it returns false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
