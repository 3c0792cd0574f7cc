package manscdp

import (
	"strings"
	"time"
)

// Keepalive is the sign of life of a device (annex A.2.5.2).
type Keepalive struct {
	Status string   // OK or ERROR
	Faulty []string // channels with a fault
}

var keepaliveSchema = newSchema(
	field[Keepalive]{"Status", "", both, func(k *Keepalive) any { return &k.Status }},
	field[Keepalive]{"DeviceID", "Info", both, func(k *Keepalive) any { return &k.Faulty }},
)

// read leaves the DeviceID of the head out: the same name means the device there
// and its faulty channels inside Info.
func (k *Keepalive) read(e *element, r *Repairs) {
	if s := e.child("Status"); s != nil {
		k.Status = strings.ToUpper(s.text)
	}
	if info := e.child("Info"); info != nil {
		keepaliveSchema.read(k, info, r)
	}
}

func (k *Keepalive) write(w *writer) { keepaliveSchema.write(k, w) }

// DeviceInfo is the answer to a query of that name.
type DeviceInfo struct {
	Name         string
	Manufacturer string
	Model        string
	Firmware     string
	Channels     int // inputs; 0 when not said
}

var deviceInfoSchema = newSchema(
	field[DeviceInfo]{"DeviceName", "", both, func(d *DeviceInfo) any { return &d.Name }},
	field[DeviceInfo]{"Manufacturer", "", both, func(d *DeviceInfo) any { return &d.Manufacturer }},
	field[DeviceInfo]{"Model", "", both, func(d *DeviceInfo) any { return &d.Model }},
	field[DeviceInfo]{"Firmware", "", both, func(d *DeviceInfo) any { return &d.Firmware }},
	field[DeviceInfo]{"Channel", "", both, func(d *DeviceInfo) any { return &d.Channels }},
)

func (d *DeviceInfo) read(e *element, r *Repairs) { deviceInfoSchema.read(d, e, r) }
func (d *DeviceInfo) write(w *writer)             { deviceInfoSchema.write(d, w) }

// DeviceStatus is the answer to a query of that name.
type DeviceStatus struct {
	Online     string // ONLINE or OFFLINE
	Status     string // OK or ERROR
	Reason     string // of a fault, in the device's words
	Encode     string // ON or OFF
	Record     string // ON or OFF
	DeviceTime time.Time
	Alarms     []AlarmStatus
}

// AlarmStatus says how one alarm input stands.
type AlarmStatus struct {
	DeviceID string
	Duty     string // ONDUTY guarded, OFFDUTY not, ALARM
}

var alarmStatusSchema = newSchema(
	field[AlarmStatus]{"DeviceID", "", both, func(a *AlarmStatus) any { return &a.DeviceID }},
	field[AlarmStatus]{"DutyStatus", "", both, func(a *AlarmStatus) any { return &a.Duty }},
)

var deviceStatusSchema = newSchema(
	field[DeviceStatus]{"Online", "", both, func(d *DeviceStatus) any { return &d.Online }},
	field[DeviceStatus]{"Status", "", both, func(d *DeviceStatus) any { return &d.Status }},
	field[DeviceStatus]{"Reason", "", both, func(d *DeviceStatus) any { return &d.Reason }},
	field[DeviceStatus]{"Encode", "", both, func(d *DeviceStatus) any { return &d.Encode }},
	field[DeviceStatus]{"Record", "", both, func(d *DeviceStatus) any { return &d.Record }},
	field[DeviceStatus]{"DeviceTime", "", both, func(d *DeviceStatus) any { return &d.DeviceTime }},
	field[DeviceStatus]{"Alarmstatus", "", both, func(d *DeviceStatus) any { return list[AlarmStatus]{alarmStatusSchema, &d.Alarms} }},
)

func (d *DeviceStatus) read(e *element, r *Repairs) { deviceStatusSchema.read(d, e, r) }
func (d *DeviceStatus) write(w *writer)             { deviceStatusSchema.write(d, w) }

// ConfigQuery asks for parts of the configuration, joined by "/".
type ConfigQuery struct{ ConfigType string }

var configQuerySchema = newSchema(
	field[ConfigQuery]{"ConfigType", "", both, func(q *ConfigQuery) any { return &q.ConfigType }},
)

func (q *ConfigQuery) read(e *element, r *Repairs) { configQuerySchema.read(q, e, r) }
func (q *ConfigQuery) write(w *writer)             { configQuerySchema.write(q, w) }

// ConfigDownload is one answer to a ConfigQuery.
type ConfigDownload struct {
	Basic    *BasicParam // nil when not in this answer
	Settings []Setting   // everything else, as it came
}

// BasicParam is what a device keeps for its registration.
type BasicParam struct {
	Name              string
	Expiration        int // of the registration, seconds
	HeartBeatInterval int // seconds
	HeartBeatCount    int // keepalives missed before the device takes us for gone
}

// Setting is one value of the configuration: BasicParam aside, groups differ by
// vendor, and are for people to read.
type Setting struct{ Group, Name, Value string }

var basicParamSchema = newSchema(
	field[BasicParam]{"Name", "", both, func(b *BasicParam) any { return &b.Name }},
	field[BasicParam]{"Expiration", "", both, func(b *BasicParam) any { return &b.Expiration }},
	field[BasicParam]{"HeartBeatInterval", "", both, func(b *BasicParam) any { return &b.HeartBeatInterval }},
	field[BasicParam]{"HeartBeatCount", "", both, func(b *BasicParam) any { return &b.HeartBeatCount }},
)

var configSchema = newSchema(
	field[ConfigDownload]{"BasicParam", "", both, func(c *ConfigDownload) any { return nested[BasicParam]{basicParamSchema, &c.Basic} }},
)

// maxSettings bounds what one answer may bring.
const maxSettings = 1024

// read finds BasicParam also where a vendor names the element otherwise: by its
// content.
func (c *ConfigDownload) read(e *element, r *Repairs) {
	configSchema.read(c, e, r)
	for i := range e.kids {
		group := &e.kids[i]
		if len(group.kids) == 0 || strings.EqualFold(group.name, "BasicParam") {
			continue
		}
		if c.Basic == nil && group.child("HeartBeatInterval") != nil {
			c.Basic = new(BasicParam)
			*r |= RepairElement
			basicParamSchema.read(c.Basic, group, r)
			continue
		}
		c.settings(group.name, group)
	}
}

// settings lists the values below e. Passwords stay out.
func (c *ConfigDownload) settings(group string, e *element) {
	for i := range e.kids {
		kid := &e.kids[i]
		switch {
		case len(c.Settings) >= maxSettings || strings.Contains(strings.ToLower(kid.name), "passw"):
		case len(kid.kids) > 0:
			c.settings(group+"/"+kid.name, kid)
		case kid.text != "":
			c.Settings = append(c.Settings, Setting{strings.Clone(group), strings.Clone(kid.name), strings.Clone(kid.text)})
		}
	}
}

func (c *ConfigDownload) write(w *writer) { configSchema.write(c, w) }

// Presets is one answer to a PresetQuery.
type Presets struct {
	SumNum int // 2022
	List   []Preset
}

// Preset is one stored position of a camera.
type Preset struct {
	ID   string // 1 to 255; kept as sent, some devices pad it
	Name string
}

var presetSchema = newSchema(
	field[Preset]{"PresetID", "", both, func(p *Preset) any { return &p.ID }},
	field[Preset]{"PresetName", "", both, func(p *Preset) any { return &p.Name }},
)

var presetsSchema = newSchema(
	field[Presets]{"SumNum", "", both, func(p *Presets) any { return &p.SumNum }},
	field[Presets]{"PresetList", "", both, func(p *Presets) any { return list[Preset]{presetSchema, &p.List} }},
)

func (p *Presets) read(e *element, r *Repairs) { presetsSchema.read(p, e, r) }
func (p *Presets) write(w *writer)             { presetsSchema.write(p, w) }

// HomePosition is the preset that a camera returns to by itself.
type HomePosition struct {
	Enabled     int // 1 on, 0 off
	ResetTime   int // seconds without control until it returns
	PresetIndex int // 0 to 255
}

var homePositionSchema = newSchema(
	field[HomePosition]{"Enabled", "", both, func(h *HomePosition) any { return &h.Enabled }},
	field[HomePosition]{"ResetTime", "", both, func(h *HomePosition) any { return &h.ResetTime }},
	field[HomePosition]{"PresetIndex", "", both, func(h *HomePosition) any { return &h.PresetIndex }},
)

// HomePositionReport is the answer to a HomePositionQuery.
type HomePositionReport struct{ Home *HomePosition }

var homeReportSchema = newSchema(
	field[HomePositionReport]{"HomePosition", "", both, func(h *HomePositionReport) any { return nested[HomePosition]{homePositionSchema, &h.Home} }},
)

// read takes the values from inside HomePosition, or from beside it as some
// devices send them.
func (h *HomePositionReport) read(e *element, r *Repairs) {
	homeReportSchema.read(h, e, r)
	if h.Home == nil && e.child("Enabled") != nil {
		h.Home = new(HomePosition)
		homePositionSchema.read(h.Home, e, r)
	}
}

func (h *HomePositionReport) write(w *writer) { homeReportSchema.write(h, w) }

// MediaStatus tells of a running media session; 121 is the end of the file.
type MediaStatus struct{ NotifyType string }

// MediaEnd is the NotifyType that ends playback and download.
const MediaEnd = "121"

var mediaStatusSchema = newSchema(
	field[MediaStatus]{"NotifyType", "", both, func(m *MediaStatus) any { return &m.NotifyType }},
)

func (m *MediaStatus) read(e *element, r *Repairs) { mediaStatusSchema.read(m, e, r) }
func (m *MediaStatus) write(w *writer)             { mediaStatusSchema.write(m, w) }
