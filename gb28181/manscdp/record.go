package manscdp

import "time"

// Types of a RecordQuery and of a Record.
const (
	RecordAll    = "all"
	RecordTime   = "time"   // by schedule
	RecordAlarm  = "alarm"  // because of an alarm
	RecordManual = "manual" // by hand
)

// RecordQuery asks for the records of a channel that touch a span of time.
type RecordQuery struct {
	StartTime time.Time
	EndTime   time.Time
	Type      string // a Record constant; "" is left out, which some recorders answer with nothing
}

var recordQuerySchema = newSchema(
	field[RecordQuery]{"StartTime", "", both, func(q *RecordQuery) any { return &q.StartTime }},
	field[RecordQuery]{"EndTime", "", both, func(q *RecordQuery) any { return &q.EndTime }},
	field[RecordQuery]{"Type", "", both, func(q *RecordQuery) any { return &q.Type }},
)

func (q *RecordQuery) read(e *element, r *Repairs) { recordQuerySchema.read(q, e, r) }
func (q *RecordQuery) write(w *writer)             { recordQuerySchema.write(q, w) }

// RecordInfo is one message of an answer.
type RecordInfo struct {
	Name    string
	SumNum  int // records in all messages together
	Records []Record
}

// Record is one stretch of recorded video on the device.
type Record struct {
	DeviceID  string
	Name      string
	FilePath  string
	Address   string
	StartTime time.Time // by the device's clock, which may be wrong
	EndTime   time.Time
	Secrecy   int
	Type      string // a Record constant
	FileSize  int64  // bytes; 0 when not said
}

var recordSchema = newSchema(
	field[Record]{"DeviceID", "", both, func(r *Record) any { return &r.DeviceID }},
	field[Record]{"Name", "", both, func(r *Record) any { return &r.Name }},
	field[Record]{"FilePath", "", both, func(r *Record) any { return &r.FilePath }},
	field[Record]{"Address", "", both, func(r *Record) any { return &r.Address }},
	field[Record]{"StartTime", "", both, func(r *Record) any { return &r.StartTime }},
	field[Record]{"EndTime", "", both, func(r *Record) any { return &r.EndTime }},
	field[Record]{"Secrecy", "", both, func(r *Record) any { return &r.Secrecy }},
	field[Record]{"Type", "", both, func(r *Record) any { return &r.Type }},
	field[Record]{"FileSize", "", both, func(r *Record) any { return &r.FileSize }},
)

var recordInfoSchema = newSchema(
	field[RecordInfo]{"Name", "", both, func(r *RecordInfo) any { return &r.Name }},
	field[RecordInfo]{"SumNum", "", both, func(r *RecordInfo) any { return &r.SumNum }},
	field[RecordInfo]{"RecordList", "", both, func(r *RecordInfo) any { return list[Record]{recordSchema, &r.Records} }},
)

func (i *RecordInfo) read(e *element, r *Repairs) { recordInfoSchema.read(i, e, r) }

// write always writes SumNum: no record is an answer too.
func (i *RecordInfo) write(w *writer) {
	if i.SumNum == 0 {
		w.value("SumNum", "0")
	}
	recordInfoSchema.write(i, w)
}
