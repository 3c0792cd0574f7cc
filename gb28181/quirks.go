package gb28181

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/gb28181/manscdp"
)

// Quirk is one way in which devices deviate from the standard: how it is
// recognised, and what is done about it. A quirk holds for a device when the
// configuration names it, when Makers or Agents match, or when the device was
// seen to behave so.
type Quirk struct {
	Name   string   `json:"name"`             // in the configuration and in metrics
	What   string   `json:"what"`             // what such a device does
	Effect string   `json:"effect"`           // what is done about it
	Makers []string `json:"makers,omitempty"` // parts of Manufacturer, lower case; any one matches
	Agents []string `json:"agents,omitempty"` // beginnings of User-Agent, lower case; any one matches
}

// The quirks that something is done about, by name.
const (
	quirkGuardFirst     = "guard-first"
	quirkDeviceTarget   = "control-by-device"
	quirkStreamProfile  = "stream-profile"
	quirkStreamMode     = "stream-mode"
	quirkNoSubscribe    = "no-subscribe"
	quirkPresence       = "subscribe-presence"
	quirkUnanswered     = "control-unanswered"
	quirkParental       = "parental-65535"
	quirkStatusWords    = "status-words"
	quirkCivilCode      = "civil-code-form"
	quirkChannelID      = "channel-id-form"
	quirkDuplicateIDs   = "duplicate-channels"
	quirkShortCatalogue = "short-catalogue"
	quirkAlarmSource    = "alarm-of-device"
	quirkAlarmType      = "alarm-without-type"
	quirkClock          = "clock-wrong"
)

// quirkTable is every quirk but those of broken XML, which Quirks adds. Makers
// and agents stand only where a deviation belongs to a vendor's whole range; all
// others are recognised by what a device does.
var quirkTable = [...]Quirk{
	{Name: quirkGuardFirst, What: "sends no alarm before it was set on guard", Effect: "SetGuard is sent after each registration",
		Makers: []string{"hikvision", "海康"}, Agents: []string{"embedded net dvr", "ip camera"}},
	{Name: quirkDeviceTarget, What: "takes guard, alarm and record commands under its own ID only, not under a channel's", Effect: "these commands name the device",
		Makers: []string{"dahua", "大华"}, Agents: []string{"sip uas v"}},
	{Name: quirkStreamProfile, What: "chooses the stream by a=streamprofile", Effect: "the offer has that line instead of a=streamnumber",
		Makers: []string{"hikvision", "海康", "dahua", "大华", "uniview", "宇视"}, Agents: []string{"embedded net dvr", "ip camera", "sip uas v"}},
	{Name: quirkStreamMode, What: "chooses the stream by a=streamMode", Effect: "the offer has that line instead of a=streamnumber",
		Makers: []string{"tp-link", "tplink", "普联"}},
	{Name: quirkNoSubscribe, What: "does not answer SUBSCRIBE, or knows none", Effect: "the catalogue is asked for instead; SUBSCRIBE is tried again after a day"},
	{Name: quirkPresence, What: "takes a subscription to the catalogue under Event: presence only", Effect: "that event is asked for"},
	{Name: quirkUnanswered, What: "does not confirm a command that the standard has it confirm", Effect: "the command is reported as sent, not as done"},
	{Name: quirkParental, What: "writes 65535 into Parental", Effect: "Parental counts as not said"},
	{Name: quirkStatusWords, What: "writes ONLINE, OK or a number where ON and OFF belong", Effect: "the words are understood"},
	{Name: quirkCivilCode, What: "fills CivilCode with something else than 2, 4, 6 or 8 digits", Effect: "the code is shown, no village is taken from it"},
	{Name: quirkChannelID, What: "has channels whose ID is not 20 digits", Effect: "the ID is used as it is"},
	{Name: quirkDuplicateIDs, What: "gives one ID to several channels", Effect: "the last one counts; the others are out of reach until the device is corrected"},
	{Name: quirkShortCatalogue, What: "announces more channels than it sends", Effect: "the catalogue is marked incomplete, and no channel is taken off"},
	{Name: quirkAlarmSource, What: "sends alarms under its own ID where it has several channels", Effect: "the alarm is the device's, no camera's"},
	{Name: quirkAlarmType, What: "sends alarms without AlarmType", Effect: "the alarm is a plain device alarm"},
	{Name: quirkClock, What: "has a clock that is more than five minutes off", Effect: "our time is used, both are kept"},
}

// xmlQuirk is what the name of a repair becomes.
func xmlQuirk(repair string) string { return "xml-" + strings.ReplaceAll(repair, "_", "-") }

// Quirks lists every known quirk, those of broken XML included.
func Quirks() []Quirk {
	list := slices.Clone(quirkTable[:])
	for _, r := range manscdp.RepairNames() {
		list = append(list, Quirk{Name: xmlQuirk(r), What: "sends bodies that need mending: " + strings.ReplaceAll(r, "_", " "), Effect: "they are mended and read"})
	}
	return list
}

// matches says whether a quirk belongs to devices of this maker or agent.
func (q *Quirk) matches(maker, agent string) bool {
	maker, agent = strings.ToLower(maker), strings.ToLower(agent)
	return maker != "" && slices.ContainsFunc(q.Makers, func(m string) bool { return strings.Contains(maker, m) }) ||
		agent != "" && slices.ContainsFunc(q.Agents, func(a string) bool { return strings.HasPrefix(agent, a) })
}

// checkQuirks refuses names in the configuration that nothing is known by.
func checkQuirks(devices []configs.GB28181Device) error {
	known := make([]string, 0, len(quirkTable))
	for _, q := range quirkTable {
		known = append(known, q.Name)
	}
	for _, d := range devices {
		for _, name := range d.Quirks {
			if !slices.Contains(known, name) {
				return fmt.Errorf("gb28181: devices: %s: quirk %q is unknown: write one of %s", cmpOr(d.ID, d.Prefix), name, strings.Join(known, ", "))
			}
		}
	}
	return nil
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// profile is what became known of a device from its bodies.
type profile struct {
	maker   string // of DeviceInfo, else of its catalogue
	charset manscdp.Charset
	seen    map[string]bool // quirks it showed
	notes   map[string]bool // what was said of it once in the log, by a word of ours
}

// profiles are those of all devices. Each holds at most the known quirks.
type profiles struct {
	hits *prometheus.CounterVec

	mu   sync.Mutex
	byID map[string]*profile
}

func newProfiles() *profiles {
	return &profiles{byID: make(map[string]*profile), hits: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: metricPrefix + "quirks_total", Help: "Times that a known deviation from the standard was met or worked around, by its name.",
	}, []string{"quirk"})}
}

// of returns the profile of a device; the caller holds mu.
func (ps *profiles) of(id string) *profile {
	pr := ps.byID[id]
	if pr == nil {
		pr = &profile{seen: make(map[string]bool)}
		ps.byID[id] = pr
	}
	return pr
}

// saw notes that a device showed a quirk, and reports whether it is the first
// time.
func (ps *profiles) saw(id, quirk string) bool {
	ps.hits.WithLabelValues(quirk).Inc()
	ps.mu.Lock()
	defer ps.mu.Unlock()
	pr := ps.of(id)
	first := !pr.seen[quirk]
	pr.seen[quirk] = true
	return first
}

// noted remembers that something was said of a device, and reports whether this is
// the first time.
func (ps *profiles) noted(id, what string) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	pr := ps.of(id)
	first := !pr.notes[what]
	if pr.notes == nil {
		pr.notes = make(map[string]bool)
	}
	pr.notes[what] = true
	return first
}

// forget takes a quirk back that a device no longer shows.
func (ps *profiles) forget(id, quirk string) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	delete(ps.of(id).seen, quirk)
}

// holds says whether a quirk is to be reckoned with at a device, and counts it
// when it is.
func (ps *profiles) holds(d *device, name string) bool {
	held := slices.Contains(ps.list(d), name)
	if held {
		ps.hits.WithLabelValues(name).Inc()
	}
	return held
}

// list returns the quirks of a device, sorted.
func (ps *profiles) list(d *device) []string {
	agent := d.agent()
	ps.mu.Lock()
	defer ps.mu.Unlock()
	pr := ps.of(d.id)
	names := slices.Clone(d.entry().Quirks)
	for i := range quirkTable {
		if quirkTable[i].matches(pr.maker, agent) {
			names = append(names, quirkTable[i].Name)
		}
	}
	for name := range pr.seen {
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// learnMaker keeps who made a device; what DeviceInfo says stands before what its
// catalogue says.
func (ps *profiles) learnMaker(id, maker string) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if pr := ps.of(id); pr.maker == "" {
		pr.maker = shorten(maker, 64)
	}
}

// learnInfo keeps what a device says of its maker.
func (ps *profiles) learnInfo(id string, info manscdp.DeviceInfo) {
	if info.Manufacturer == "" {
		return
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.of(id).maker = shorten(info.Manufacturer, 64)
}

// learnCharset keeps how a device codes Chinese, which is how it reads it.
func (ps *profiles) learnCharset(id string, c manscdp.Charset) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.of(id).charset = c
}

func (ps *profiles) charset(id string) manscdp.Charset {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.of(id).charset
}

// QuirksOf lists the quirks of a device by name: configured, of its maker, and
// seen. It is empty for an unknown device.
func (p *Platform) QuirksOf(deviceID string) []string {
	d := p.device(deviceID)
	if d == nil {
		return nil
	}
	return p.profiles.list(d)
}

// decode reads a body and notes what it tells of its sender.
func (p *Platform) decode(m incoming) (manscdp.Message, error) {
	msg, err := manscdp.Decode(m.body, m.charset)
	for _, r := range msg.Repairs.Names() {
		if p.profiles.saw(m.dev.id, xmlQuirk(r)) {
			p.log.Info("a device sends bodies that need mending", "device", m.dev.id, "quirk", xmlQuirk(r), "body", m.root+" "+cut(m.cmdType))
		}
	}
	if err != nil {
		p.met.refused("bad_body")
		return msg, fmt.Errorf("device %s: %w", m.dev.id, err)
	}
	if slices.ContainsFunc(m.body, func(b byte) bool { return b >= 0x80 }) {
		p.profiles.learnCharset(m.dev.id, msg.Charset)
	}
	return msg, nil
}

// encode writes a body as a device reads it.
func (p *Platform) encode(d *device, m manscdp.Message) []byte {
	return m.Encode(p.profiles.charset(d.id), d.ver())
}

// streamAttribute returns the a= line that chooses a stream of a channel, 0 the
// main one.
func (p *Platform) streamAttribute(d *device, stream int) manscdp.Attribute {
	number := string(rune('0' + min(max(stream, 0), 9)))
	switch {
	case p.profiles.holds(d, quirkStreamMode):
		mode := "main"
		if stream > 0 {
			mode = "sub"
		}
		return manscdp.Attribute{Name: "streamMode", Value: mode}
	case d.ver() == manscdp.Version2016 && p.profiles.holds(d, quirkStreamProfile):
		return manscdp.Attribute{Name: "streamprofile", Value: number}
	}
	return manscdp.Attribute{Name: "streamnumber", Value: number}
}
