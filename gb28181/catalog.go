package gb28181

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/sharpeyes/sharpeyes/gb28181/manscdp"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// Bounds of a catalogue.
const (
	maxItems       = 20000            // entries of one device; more are counted and left out
	catalogueIdle  = 10 * time.Second // between two messages of one catalogue
	catalogueAfter = 10 * time.Second // a notification that says too little; many of them make one query
	catalogueEvery = 30 * time.Minute // it is asked for again where the device does not notify
)

// What a channel's status says beyond yes and no. A bounded set, like every
// ingest.Reason.
const (
	ReasonChannelOff  ingest.Reason = "channel_off"    // the device says OFF
	ReasonVideoLost   ingest.Reason = "video_lost"     // VLOST: it has no picture from the camera
	ReasonDefect      ingest.Reason = "channel_defect" // DEFECT
	ReasonDeviceAway  ingest.Reason = "device_offline" // the device itself is not registered
	ReasonNotReported ingest.Reason = "not_reported"   // the catalogue has no status that is understood
)

// Channel is one entry of a device's catalogue. What it says of itself is kept
// apart from whether frames flow, which ingest knows.
type Channel struct {
	Device  string       `json:"device"`
	Kind    ChannelKind  `json:"kind"`
	Village string       `json:"village,omitempty"` // 12-digit division code, when the device tells it
	Status  ingest.Fact  `json:"status"`            // of the channel and its device together
	Item    manscdp.Item `json:"item"`              // as sent
}

// Catalogue is what is known of the channels of a device.
type Catalogue struct {
	Device     string    `json:"device"`
	At         time.Time `json:"at,omitzero"`          // of the last answer
	Complete   bool      `json:"complete"`             // the last answer had every channel that it announced
	Announced  int       `json:"announced"`            // channels, by the device
	Duplicates int       `json:"duplicates,omitempty"` // entries with the ID of another
	Left       int       `json:"left_out,omitempty"`   // entries beyond the bound
	Problem    string    `json:"problem,omitempty"`    // why the last query failed, "" when it did not
	Channels   []Channel `json:"channels"`             // by ID
}

// assembly puts one catalogue together from messages that come in any order,
// some of them twice.
type assembly struct {
	seed  maphash.Seed
	seen  map[uint64]struct{} // bodies, to know a repeated one
	items map[string]manscdp.Item
	sum   int // announced
	raw   int // entries in different bodies
	left  int
	cut   bool // a body broke off
	heard bool
}

func newAssembly() *assembly {
	return &assembly{seed: maphash.MakeSeed(), seen: make(map[uint64]struct{}), items: make(map[string]manscdp.Item)}
}

// add takes one message; it reports whether every announced channel is there.
func (a *assembly) add(body []byte, m manscdp.Message) (done bool) {
	c, ok := m.Payload.(*manscdp.Catalog)
	if !ok {
		return false
	}
	a.heard = true
	sum := maphash.Bytes(a.seed, body)
	if _, again := a.seen[sum]; again {
		return a.complete()
	}
	a.seen[sum] = struct{}{}
	a.sum = max(a.sum, c.SumNum)
	a.cut = a.cut || m.Repairs&manscdp.RepairTruncated != 0
	for _, i := range c.Items {
		if i.DeviceID == "" || a.cut && i.Status == "" {
			continue // an entry that broke off is worth less than the one we have
		}
		a.raw++
		if _, have := a.items[i.DeviceID]; !have && len(a.items) >= maxItems {
			a.left++
			continue
		}
		a.items[i.DeviceID] = i
	}
	return a.complete()
}

// complete says whether as many channels came as were announced. An announced
// number of 0 is an empty catalogue.
func (a *assembly) complete() bool { return a.heard && !a.cut && len(a.items)+a.left >= a.sum }

// settled says, once no more comes, whether the catalogue is whole: entries that
// share an ID make fewer channels than announced.
func (a *assembly) settled() bool { return a.complete() || a.heard && !a.cut && a.raw >= a.sum }

// entry is one channel as it is kept.
type entry struct {
	Item   manscdp.Item  `json:"item"`
	Value  ingest.Value  `json:"status"`
	Reason ingest.Reason `json:"reason,omitempty"`
	Since  time.Time     `json:"since"`
}

// say puts what the device says of the channel.
func (e *entry) say(v ingest.Value, r ingest.Reason, now time.Time) {
	if e.Value != v || e.Since.IsZero() {
		e.Since = now
	}
	e.Value, e.Reason = v, r
}

// sayItem puts what a catalogue says.
func (e *entry) sayItem(now time.Time) {
	switch on, known := e.Item.On(); {
	case !known:
		e.say(ingest.Unknown, ReasonNotReported, now)
	case on:
		e.say(ingest.Yes, "", now)
	default:
		e.say(ingest.No, ReasonChannelOff, now)
	}
}

// shelf is the catalogue of one device as it is kept.
type shelf struct {
	mu         sync.Mutex
	At         time.Time         `json:"at"`
	Complete   bool              `json:"complete"`
	Announced  int               `json:"announced"`
	Duplicates int               `json:"duplicates,omitempty"`
	Left       int               `json:"left_out,omitempty"`
	Entries    map[string]*entry `json:"entries"`
	problem    string
	dirty      bool
}

// take puts a finished answer on the shelf. A whole one replaces what was there;
// a partial one adds and changes, and takes nothing off.
func (s *shelf) take(a *assembly, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	whole := a.settled()
	old := s.Entries
	if s.Entries == nil || whole {
		s.Entries = make(map[string]*entry, len(a.items))
	}
	for id, item := range a.items {
		e := old[id]
		if e == nil {
			e = new(entry)
		}
		lost := e.Reason == ReasonVideoLost || e.Reason == ReasonDefect
		e.Item = item
		if on, known := item.On(); !lost || !known || !on {
			// ON in a catalogue means reachable: it does not take back that the
			// picture is lost. An event does.
			e.sayItem(now)
		}
		s.Entries[id] = e
	}
	s.At, s.Complete, s.Announced = now, whole, a.sum
	s.Duplicates, s.Left = max(a.raw-a.left-len(a.items), 0), a.left
	s.problem, s.dirty = "", true
}

// failed notes that a query brought nothing.
func (s *shelf) failed(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problem = why
}

// notify applies one changed entry of a notification. It reports whether the
// catalogue must be asked for, because the entry says too little.
func (s *shelf) notify(i manscdp.Item, now time.Time) (ask bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.Entries[i.DeviceID]
	change := i.Change()
	if change == manscdp.EventDel {
		delete(s.Entries, i.DeviceID)
		s.dirty = s.dirty || e != nil
		return false
	}
	if e == nil || change == manscdp.EventAdd || change == manscdp.EventUpdate {
		if i.Name == "" || (e == nil && len(s.Entries) >= maxItems) {
			return e == nil || change != manscdp.EventOn
		}
		if s.Entries == nil {
			s.Entries = make(map[string]*entry)
		}
		if e == nil {
			e = new(entry)
			s.Entries[i.DeviceID] = e
		}
		i.Event = ""
		e.Item = i
		e.sayItem(now)
	}
	switch change {
	case manscdp.EventOn:
		e.say(ingest.Yes, "", now)
	case manscdp.EventOff:
		e.say(ingest.No, ReasonChannelOff, now)
	case manscdp.EventVLost:
		e.say(ingest.No, ReasonVideoLost, now)
	case manscdp.EventDefect:
		e.say(ingest.No, ReasonDefect, now)
	}
	s.dirty = true
	return false
}

// list returns the catalogue, with the registration of the device reckoned in:
// a channel of a device that is away is not there, whatever it said last.
func (s *shelf) list(device string, registered ingest.Fact) Catalogue {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := Catalogue{Device: device, At: s.At, Complete: s.Complete, Announced: s.Announced, Duplicates: s.Duplicates, Left: s.Left, Problem: s.problem}
	c.Channels = make([]Channel, 0, len(s.Entries))
	kinds := kindsOf(device, s.Entries)
	for id, e := range s.Entries {
		ch := Channel{Device: device, Kind: kinds[id], Village: e.Item.VillageCode(), Item: e.Item,
			Status: ingest.Fact{Value: e.Value, Reason: e.Reason, Since: e.Since}}
		switch registered.Value {
		case ingest.No:
			ch.Status = ingest.Fact{Value: ingest.No, Reason: ReasonDeviceAway, Since: registered.Since}
		case ingest.Unknown:
			ch.Status = ingest.Fact{Value: ingest.Unknown, Reason: ReasonDeviceAway, Since: registered.Since}
		}
		c.Channels = append(c.Channels, ch)
	}
	slices.SortFunc(c.Channels, func(a, b Channel) int { return cmp.Compare(a.Item.DeviceID, b.Item.DeviceID) })
	return c
}

// find returns one entry.
func (s *shelf) find(id string) (i manscdp.Item, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.Entries[id]
	if e == nil {
		return i, false
	}
	return e.Item, true
}

// Channels returns what is known of a device's channels. The catalogue of a device
// that was never heard is empty, and its At is zero.
func (p *Platform) Channels(deviceID string) Catalogue {
	registered := ingest.Fact{Value: ingest.No, Reason: ReasonNever}
	if d := p.device(deviceID); d != nil {
		registered = d.isRegistered()
	}
	return p.shelves.of(deviceID).list(deviceID, registered)
}

// QueryCatalogue asks a device for its channels now and waits for all of them. An
// answer that stays short of what it announced is kept, marked incomplete, and is
// no error; errors are of a device that does not answer at all.
func (p *Platform) QueryCatalogue(ctx context.Context, deviceID string) error {
	d := p.device(deviceID)
	if d == nil {
		return fmt.Errorf("device %s: %w", deviceID, errOffline)
	}
	return p.queryCatalogue(ctx, d)
}

func (p *Platform) queryCatalogue(ctx context.Context, d *device) error {
	began := p.now()
	a := newAssembly()
	sn := d.nextSN()
	query := manscdp.Message{Root: manscdp.Query, CmdType: manscdp.CmdCatalog, SN: sn, DeviceID: d.id, Payload: &manscdp.CatalogQuery{}}
	err := p.exchange(ctx, d, question{manscdp.CmdCatalog, sn, p.encode(d, query), p.shelves.idle}, func(m incoming) bool {
		msg, err := p.decode(m)
		return err == nil && a.add(m.body, msg)
	})
	s := p.shelves.of(d.id)
	if err != nil && (!a.heard || !errors.Is(err, errTimeout)) {
		s.failed(err.Error())
		p.bodies.catalogues.WithLabelValues("failed").Inc()
		return fmt.Errorf("device %s: catalogue: %w", d.id, err)
	}
	s.take(a, p.now())
	p.noteCatalogue(d, a)
	p.bodies.catalogueSeconds.Observe(p.now().Sub(began).Seconds())
	p.shelves.touch()
	return nil
}

// noteCatalogue counts what a catalogue was like.
func (p *Platform) noteCatalogue(d *device, a *assembly) {
	result := "complete"
	if !a.settled() {
		result = "incomplete"
		p.profiles.saw(d.id, quirkShortCatalogue)
		p.log.Warn("the catalogue stayed incomplete: nothing was taken off", "device", d.id, "announced", a.sum, "received", len(a.items))
	}
	p.bodies.catalogues.WithLabelValues(result).Inc()
	if a.settled() && !a.complete() {
		if p.profiles.saw(d.id, quirkDuplicateIDs) {
			p.log.Warn("channels share an ID: correct the device, only one of them can be reached", "device", d.id, "announced", a.sum, "different", len(a.items))
		}
	}
	for _, i := range a.items {
		p.noteItem(d, i)
		if i.Manufacturer != "" && i.DeviceID != d.id {
			p.profiles.learnMaker(d.id, i.Manufacturer)
		}
	}
}

// noteItem notes the quirks that one entry shows.
func (p *Platform) noteItem(d *device, i manscdp.Item) {
	for _, q := range itemQuirks(i) {
		p.profiles.saw(d.id, q)
	}
}

// itemQuirks lists what an entry does otherwise than the standard.
func itemQuirks(i manscdp.Item) []string {
	var list []string
	if i.Parental == 65535 {
		list = append(list, quirkParental)
	}
	if on, known := i.On(); known && i.Status != "ON" && on || known && i.Status != "OFF" && !on {
		list = append(list, quirkStatusWords)
	}
	if c := i.CivilCode; c != "" && !isCivilCode(c) {
		list = append(list, quirkCivilCode)
	}
	if !isID([]byte(i.DeviceID)) && !isCivilCode(i.DeviceID) {
		list = append(list, quirkChannelID)
	}
	return list
}

// onCatalogueNotify applies a notification of changed channels.
func (p *Platform) onCatalogueNotify(_ context.Context, m incoming) {
	msg, err := p.decode(m)
	c, ok := msg.Payload.(*manscdp.Catalog)
	if err != nil || !ok {
		return
	}
	s, now, ask := p.shelves.of(m.dev.id), p.now(), false
	for _, i := range c.Items {
		if i.DeviceID == "" {
			continue
		}
		p.bodies.notified.WithLabelValues(eventLabel(i.Change())).Inc()
		ask = s.notify(i, now) || ask
	}
	p.shelves.touch()
	if ask {
		p.attendance.want(m.dev, choreCatalogue, now.Add(catalogueAfter))
	}
}

// eventLabel bounds the label of an event.
func eventLabel(change string) string {
	if change == "" {
		return "other"
	}
	return change
}
