package manscdp

// DeviceControl is one order to a device (annex A.2.3.1). Set one of its fields;
// AlarmMethod and AlarmType go with AlarmCmd.
type DeviceControl struct {
	PTZCmd       string // made by PTZ, Lens and Preset
	PresetName   string // 2022, goes with the PTZCmd that stores a preset
	TeleBoot     string // Boot: restart the device
	RecordCmd    string // Record or StopRecord
	GuardCmd     string // SetGuard (布防) or ResetGuard (撤防)
	AlarmCmd     string // ResetAlarm
	AlarmMethod  string // of AlarmCmd
	AlarmType    string // of AlarmCmd
	KeyFrame     string // Send: a key frame now; IFameCmd in 2016, IFrameCmd in 2022
	HomePosition *HomePosition
}

// The words of DeviceControl.
const (
	Boot        = "Boot"
	StartRecord = "Record"
	StopRecord  = "StopRecord"
	SetGuard    = "SetGuard"
	ResetGuard  = "ResetGuard"
	ResetAlarm  = "ResetAlarm"
	Send        = "Send"
)

var controlSchema = newSchema(
	field[DeviceControl]{"PTZCmd", "", both, func(c *DeviceControl) any { return &c.PTZCmd }},
	field[DeviceControl]{"PresetName", "PTZCmdParams", only2022, func(c *DeviceControl) any { return &c.PresetName }},
	field[DeviceControl]{"TeleBoot", "", both, func(c *DeviceControl) any { return &c.TeleBoot }},
	field[DeviceControl]{"RecordCmd", "", both, func(c *DeviceControl) any { return &c.RecordCmd }},
	field[DeviceControl]{"GuardCmd", "", both, func(c *DeviceControl) any { return &c.GuardCmd }},
	field[DeviceControl]{"AlarmCmd", "", both, func(c *DeviceControl) any { return &c.AlarmCmd }},
	field[DeviceControl]{"AlarmMethod", "Info", both, func(c *DeviceControl) any { return &c.AlarmMethod }},
	field[DeviceControl]{"AlarmType", "Info", both, func(c *DeviceControl) any { return &c.AlarmType }},
	field[DeviceControl]{"IFameCmd", "", only2016, func(c *DeviceControl) any { return &c.KeyFrame }},
	field[DeviceControl]{"IFrameCmd", "", only2022, func(c *DeviceControl) any { return &c.KeyFrame }},
	field[DeviceControl]{"HomePosition", "", both, func(c *DeviceControl) any { return homeOrder{&c.HomePosition} }},
)

func (c *DeviceControl) read(e *element, r *Repairs) { controlSchema.read(c, e, r) }
func (c *DeviceControl) write(w *writer)             { controlSchema.write(c, w) }

// homeOrder writes Enabled even as 0: that switches the home position off.
type homeOrder struct{ value **HomePosition }

func (h homeOrder) read(e *element, r *Repairs) {
	nested[HomePosition]{homePositionSchema, h.value}.read(e, r)
}

func (h homeOrder) write(w *writer, name string) {
	if *h.value == nil {
		return
	}
	w.b.WriteString("<" + name + ">\r\n")
	if (*h.value).Enabled == 0 {
		w.value("Enabled", "0")
	}
	homePositionSchema.write(*h.value, w)
	w.close(name)
}

// Answered says whether the standard has the device answer the order with a
// Response (clause 9.3.1): the others are sent and nothing comes back.
func (c *DeviceControl) Answered() bool {
	return c.RecordCmd != "" || c.GuardCmd != "" || c.AlarmCmd != "" || c.HomePosition != nil
}
