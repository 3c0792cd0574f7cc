package gb28181

import (
	"context"
	"sync"
	"time"

	"github.com/sharpeyes/sharpeyes/gb28181/manscdp"
)

// AlarmClass says what an alarm of a device is for us.
type AlarmClass string

// The classes of alarms.
const (
	AlarmFault AlarmClass = "fault" // the camera or its recorder is broken, covered or full
	AlarmEvent AlarmClass = "event" // something happened at a place
	AlarmPlain AlarmClass = "plain" // recorded as a device alarm, and nothing else
)

// AlarmKind names an alarm.
type AlarmKind string

// The kinds of alarms. AlarmDevice stands for everything of AlarmPlain: what the
// device says about the behaviour of persons is not passed on in words.
const (
	AlarmVideoLoss     AlarmKind = "video_loss"
	AlarmTamper        AlarmKind = "tamper"
	AlarmOcclusion     AlarmKind = "occlusion"
	AlarmDiskFull      AlarmKind = "disk_full"
	AlarmDiskFault     AlarmKind = "disk_fault"
	AlarmFanFault      AlarmKind = "fan_fault"
	AlarmHot           AlarmKind = "over_temperature"
	AlarmCold          AlarmKind = "under_temperature"
	AlarmManual        AlarmKind = "manual"
	AlarmMotion        AlarmKind = "motion"
	AlarmObjectLeft    AlarmKind = "object_left"
	AlarmObjectRemoved AlarmKind = "object_removed"
	AlarmLine          AlarmKind = "line_cross"
	AlarmIntrusion     AlarmKind = "intrusion"
	AlarmDevice        AlarmKind = "device_alarm"
)

// DeviceAlarm is one alarm that a device raised. One of AlarmFault or AlarmPlain
// is shown as an alert and starts no analysis; one of AlarmPlain carries no words
// of the device either, so that it says nothing about a person. One of AlarmEvent
// may make the rules of its camera look for themselves, where the camera has a
// legal basis.
type DeviceAlarm struct {
	Device      string     `json:"device"`
	Channel     string     `json:"channel,omitempty"` // ID in the alarm, when it is not the device's own
	Camera      string     `json:"camera,omitempty"`  // ID of the configured camera; "" when it cannot be told
	Class       AlarmClass `json:"class"`
	Kind        AlarmKind  `json:"kind"`
	Priority    int        `json:"priority"`              // 1 (highest) to 4
	Method      int        `json:"method"`                // as sent, annex A
	Type        int        `json:"type"`                  // as sent; meaning depends on Method
	Description string     `json:"description,omitempty"` // the device's words; never for AlarmPlain
	At          time.Time  `json:"at"`                    // by our clock
	DeviceTime  time.Time  `json:"device_time,omitzero"`  // by the device's, which may be wrong
}

// alarmMeaning is one row of the table of alarms.
type alarmMeaning struct {
	class AlarmClass
	kind  AlarmKind
}

// alarmKey is method and type of annex A.
type alarmKey struct{ method, kind int }

// alarmTable says what alarms mean. What is not in it is a plain device alarm:
// the behaviour types of method 5 (7 against the direction, 8 loitering, 9 flow,
// 10 density, 11 abnormal, 12 fast movement) on purpose, whatever is unknown by
// prudence.
var alarmTable = map[alarmKey]alarmMeaning{
	{manscdp.MethodDevice, 1}: {AlarmFault, AlarmVideoLoss},
	{manscdp.MethodDevice, 2}: {AlarmFault, AlarmTamper},
	{manscdp.MethodDevice, 3}: {AlarmFault, AlarmDiskFull},
	{manscdp.MethodDevice, 4}: {AlarmFault, AlarmHot},
	{manscdp.MethodDevice, 5}: {AlarmFault, AlarmCold},
	{manscdp.MethodVideo, 1}:  {AlarmEvent, AlarmManual},
	{manscdp.MethodVideo, 2}:  {AlarmEvent, AlarmMotion},
	{manscdp.MethodVideo, 3}:  {AlarmEvent, AlarmObjectLeft},
	{manscdp.MethodVideo, 4}:  {AlarmEvent, AlarmObjectRemoved},
	{manscdp.MethodVideo, 5}:  {AlarmEvent, AlarmLine},
	{manscdp.MethodVideo, 6}:  {AlarmEvent, AlarmIntrusion},
	{manscdp.MethodVideo, 13}: {AlarmFault, AlarmOcclusion}, // 2022
	{manscdp.MethodFault, 1}:  {AlarmFault, AlarmDiskFault},
	{manscdp.MethodFault, 2}:  {AlarmFault, AlarmFanFault},
}

// meaning looks an alarm up.
func meaning(method, kind int) alarmMeaning {
	if m, ok := alarmTable[alarmKey{method, kind}]; ok {
		return m
	}
	return alarmMeaning{AlarmPlain, AlarmDevice}
}

// Bounds of alarms.
const (
	alarmRepeat   = 2 * time.Second // the same alarm of the same source within this is one
	maxRepeats    = 8192            // remembered alarms
	maxAlarmReply = 256             // answers to alarms on their way, of all devices
	clockTolerant = 5 * time.Minute
)

// repeats remembers alarms for a moment: a device that is subscribed to may send
// each by MESSAGE and by NOTIFY, and motion many times a second.
type repeats struct {
	mu   sync.Mutex
	last map[DeviceAlarm]time.Time
}

// again reports whether the same alarm came a moment ago.
func (r *repeats) again(a DeviceAlarm) bool {
	key := DeviceAlarm{Device: a.Device, Channel: a.Channel, Kind: a.Kind, Method: a.Method, Type: a.Type}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil || len(r.last) >= maxRepeats {
		r.last = make(map[DeviceAlarm]time.Time)
	}
	before, had := r.last[key]
	r.last[key] = a.At
	return had && a.At.Sub(before) < alarmRepeat
}

// onAlarm answers an alarm and passes it on.
func (p *Platform) onAlarm(_ context.Context, m incoming) {
	msg, err := p.decode(m)
	alarm, ok := msg.Payload.(*manscdp.Alarm)
	if err != nil || !ok {
		p.bodies.alarms.WithLabelValues("unreadable").Inc()
		return
	}
	p.answerAlarm(m.dev, msg)
	a := p.deviceAlarm(m.dev, msg.DeviceID, alarm)
	if p.repeated.again(a) {
		p.bodies.alarms.WithLabelValues("repeated").Inc()
		return
	}
	p.bodies.alarms.WithLabelValues(string(a.Class)).Inc()
	if p.opt.OnAlarm != nil {
		p.opt.OnAlarm(a)
	}
}

// answerAlarm sends the Response that the standard wants for an alarm, as a
// message of its own (clause 9.4).
func (p *Platform) answerAlarm(d *device, alarm manscdp.Message) {
	if p.alarmReplies.Add(1) > maxAlarmReply {
		p.alarmReplies.Add(-1)
		p.met.refused("alarm_replies")
		return
	}
	reply := manscdp.Message{Root: manscdp.Response, CmdType: manscdp.CmdAlarm, SN: alarm.SN, DeviceID: alarm.DeviceID, Result: "OK"}
	started := p.spawn(func(ctx context.Context) {
		defer p.alarmReplies.Add(-1)
		if _, err := p.send(ctx, d, "MESSAGE", typeMANSCDP, p.encode(d, reply)); err != nil && ctx.Err() == nil {
			p.met.refused("alarm_reply_failed")
		}
	})
	if !started {
		p.alarmReplies.Add(-1)
	}
}

// deviceAlarm makes a house type of what the device sent.
func (p *Platform) deviceAlarm(d *device, source string, alarm *manscdp.Alarm) DeviceAlarm {
	m := meaning(alarm.Method, alarm.Type)
	a := DeviceAlarm{
		Device: d.id, Class: m.class, Kind: m.kind, Priority: alarm.Priority, Method: alarm.Method, Type: alarm.Type,
		At: p.now(), DeviceTime: alarm.Time,
	}
	if a.Priority < 1 || a.Priority > 4 {
		a.Priority = 4
	}
	if m.class != AlarmPlain {
		a.Description = shorten(alarm.Description, 256)
	}
	if alarm.Type == 0 && (alarm.Method == manscdp.MethodVideo || alarm.Method == manscdp.MethodFault) {
		p.profiles.saw(d.id, quirkAlarmType)
	}
	if off := a.At.Sub(alarm.Time).Abs(); !alarm.Time.IsZero() && off > clockTolerant {
		if p.profiles.saw(d.id, quirkClock) {
			p.log.Warn("the clock of a device is wrong: its records are found under wrong times", "device", d.id, "off", off.Round(time.Second).String())
		}
	}
	if source != d.id {
		a.Channel = shorten(source, 32)
	}
	a.Camera = p.alarmCamera(d, source)
	return a
}

// alarmCamera finds the configured camera that an alarm belongs to: its channel;
// the channel that an alarm input hangs at; the only camera of a device that
// alarms under its own ID.
func (p *Platform) alarmCamera(d *device, source string) string {
	if cam := p.cameras.of(d.id, source); cam != "" {
		return cam
	}
	if source != d.id && source != "" {
		item, ok := p.shelves.of(d.id).find(source)
		if !ok {
			return ""
		}
		for _, parent := range item.Parents() {
			if cam := p.cameras.of(d.id, parent); cam != "" {
				return cam
			}
		}
		return ""
	}
	only := p.cameras.only(d.id)
	if only == "" {
		p.profiles.saw(d.id, quirkAlarmSource)
	}
	return only
}

// shorten cuts text of a device to at most n bytes, at a character.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}

// onPosition drops a position report. Where a body-worn or vehicle camera is tells
// where a person is; nothing here has a use for it, so it is not even read.
func (p *Platform) onPosition(_ context.Context, m incoming) {
	p.bodies.positions.Inc()
	if p.profiles.noted(m.dev.id, "position") {
		p.log.Info("a device reports positions: they are dropped unread, switch them off at the device", "device", m.dev.id)
	}
}
