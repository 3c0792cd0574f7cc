package manscdp

import "time"

// AlarmQuery narrows an alarm subscription. 0 as method and priority is all.
type AlarmQuery struct {
	FromPriority, ToPriority int    // 1 highest to 4; 0 is all
	Method                   string // "0" all, or several as "12"
	StartTime, EndTime       time.Time
}

var alarmQuerySchema = newSchema(
	field[AlarmQuery]{"StartAlarmPriority", "", both, func(q *AlarmQuery) any { return &q.FromPriority }},
	field[AlarmQuery]{"EndAlarmPriority", "", both, func(q *AlarmQuery) any { return &q.ToPriority }},
	field[AlarmQuery]{"AlarmMethod", "", both, func(q *AlarmQuery) any { return &q.Method }},
	field[AlarmQuery]{"StartAlarmTime", "", both, func(q *AlarmQuery) any { return &q.StartTime }},
	field[AlarmQuery]{"EndAlarmTime", "", both, func(q *AlarmQuery) any { return &q.EndTime }},
)

func (q *AlarmQuery) read(e *element, r *Repairs) { alarmQuerySchema.read(q, e, r) }

// write writes the two priorities even as 0: there it means all, and they are
// not optional.
func (q *AlarmQuery) write(w *writer) {
	if q.FromPriority == 0 {
		w.value("StartAlarmPriority", "0")
	}
	if q.ToPriority == 0 {
		w.value("EndAlarmPriority", "0")
	}
	alarmQuerySchema.write(q, w)
}

// Ways an alarm came about, AlarmMethod.
const (
	MethodPhone  = 1
	MethodDevice = 2
	MethodSMS    = 3
	MethodGPS    = 4
	MethodVideo  = 5
	MethodFault  = 6
	MethodOther  = 7
)

// Alarm is one notification of an alarm (annex A.2.5.3). Where the device stands
// is read for nobody and kept nowhere: longitude and latitude are left out.
type Alarm struct {
	Priority    int // 1 highest to 4
	Method      int // a Method constant
	Time        time.Time
	Description string
	Type        int // meaning depends on Method; 0 when not said
	Event       int // of Type 6 with MethodVideo: 1 enters, 2 leaves
}

var alarmSchema = newSchema(
	field[Alarm]{"AlarmPriority", "", both, func(a *Alarm) any { return &a.Priority }},
	field[Alarm]{"AlarmMethod", "", both, func(a *Alarm) any { return &a.Method }},
	field[Alarm]{"AlarmTime", "", both, func(a *Alarm) any { return &a.Time }},
	field[Alarm]{"AlarmDescription", "", both, func(a *Alarm) any { return &a.Description }},
	field[Alarm]{"AlarmType", "Info", both, func(a *Alarm) any { return &a.Type }},
)

var alarmEventSchema = newSchema(
	field[Alarm]{"EventType", "AlarmTypeParam", both, func(a *Alarm) any { return &a.Event }},
)

// read takes AlarmTypeParam from inside Info, or from beside it.
func (a *Alarm) read(e *element, r *Repairs) {
	alarmSchema.read(a, e, r)
	alarmEventSchema.read(a, e, r)
	if info := e.child("Info"); info != nil {
		alarmEventSchema.read(a, info, r)
	}
}

func (a *Alarm) write(w *writer) { alarmSchema.write(a, w) }
