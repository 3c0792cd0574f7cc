package manscdp

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The roots of annex A: what kind of message a body is.
const (
	Query    = "Query"
	Control  = "Control"
	Notify   = "Notify"
	Response = "Response"
)

// The commands that this package reads or writes with fields of their own. A
// CmdType is compared without case: HomepositionQuery is met.
const (
	CmdKeepalive      = "Keepalive"
	CmdCatalog        = "Catalog"
	CmdDeviceInfo     = "DeviceInfo"
	CmdDeviceStatus   = "DeviceStatus"
	CmdRecordInfo     = "RecordInfo"
	CmdConfigDownload = "ConfigDownload"
	CmdPresetQuery    = "PresetQuery"
	CmdHomePosition   = "HomePositionQuery" // 2022
	CmdAlarm          = "Alarm"
	CmdMediaStatus    = "MediaStatus"
	CmdMobilePosition = "MobilePosition"
	CmdDeviceControl  = "DeviceControl"
)

// ErrNotMANSCDP means that a body is XML of another kind.
var ErrNotMANSCDP = errors.New("body is neither Query, Control, Notify nor Response")

// Message is one body of annex A.
type Message struct {
	Root     string // Query, Control, Notify or Response
	CmdType  string // as the standard spells it where it is known here
	SN       int    // 0 when absent
	DeviceID string // the device, or the channel, that it is about; as sent
	Result   string // of a Response: OK or ERROR, in capitals; "" when absent
	Payload  Payload

	Charset Charset // how the body was coded
	Repairs Repairs // what had to be mended to read it
}

// Payload is what a message holds beyond its head: a pointer to one of the types
// of this package, or nil for commands without fields or unknown here.
type Payload interface {
	read(e *element, r *Repairs)
	write(w *writer)
}

// kind names a payload.
type kind struct{ root, cmdType string }

// payloads makes the payload of each message that has one.
var payloads = map[kind]func() Payload{
	{Notify, CmdKeepalive}:        func() Payload { return new(Keepalive) },
	{Query, CmdCatalog}:           func() Payload { return new(CatalogQuery) },
	{Response, CmdCatalog}:        func() Payload { return new(Catalog) },
	{Notify, CmdCatalog}:          func() Payload { return new(Catalog) },
	{Response, CmdDeviceInfo}:     func() Payload { return new(DeviceInfo) },
	{Response, CmdDeviceStatus}:   func() Payload { return new(DeviceStatus) },
	{Query, CmdRecordInfo}:        func() Payload { return new(RecordQuery) },
	{Response, CmdRecordInfo}:     func() Payload { return new(RecordInfo) },
	{Query, CmdConfigDownload}:    func() Payload { return new(ConfigQuery) },
	{Response, CmdConfigDownload}: func() Payload { return new(ConfigDownload) },
	{Response, CmdPresetQuery}:    func() Payload { return new(Presets) },
	{Response, CmdHomePosition}:   func() Payload { return new(HomePositionReport) },
	{Query, CmdAlarm}:             func() Payload { return new(AlarmQuery) },
	{Notify, CmdAlarm}:            func() Payload { return new(Alarm) },
	{Notify, CmdMediaStatus}:      func() Payload { return new(MediaStatus) },
	{Control, CmdDeviceControl}:   func() Payload { return new(DeviceControl) },
}

// spelling finds the standard's spelling of a CmdType.
var spelling = func() map[string]string {
	m := map[string]string{"mobileposition": CmdMobilePosition}
	for k := range payloads {
		m[strings.ToLower(k.cmdType)] = k.cmdType
	}
	return m
}()

// Decode reads a body. charset is the one of the Content-Type header, "" when it
// has none; it is asked only where the bytes leave it open. Errors are
// ErrBodyTooLong, ErrTooDeep, ErrTooMany, ErrNotXML and ErrNotMANSCDP; anything
// less is mended and listed in Repairs. The result does not refer to body.
func Decode(body []byte, charset string) (Message, error) {
	if len(body) > MaxBody {
		return Message{}, ErrBodyTooLong
	}
	body = trimNUL(body)
	text, set, repairs := toUTF8(body, charset)
	root, more, err := readXML(text)
	m := Message{Charset: set, Repairs: repairs | more}
	if err != nil {
		return m, fmt.Errorf("read MANSCDP: %w", err)
	}
	for _, known := range [...]string{Query, Control, Notify, Response} {
		if strings.EqualFold(root.name, known) {
			m.Root = known
		}
	}
	if m.Root == "" {
		return m, fmt.Errorf("read MANSCDP: %w", ErrNotMANSCDP)
	}
	m.head(&root)
	if make, ok := payloads[kind{m.Root, m.CmdType}]; ok {
		m.Payload = make()
		m.Payload.read(&root, &m.Repairs)
	}
	return m, nil
}

// trimNUL cuts the zeros of a C string off the end; they are not worth a word.
func trimNUL(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return b
}

// head reads what all messages have.
func (m *Message) head(root *element) {
	if e := root.child("CmdType"); e != nil {
		m.CmdType = strings.Clone(e.text)
		if s, ok := spelling[strings.ToLower(e.text)]; ok {
			m.CmdType = s
		}
	}
	if e := root.child("SN"); e != nil {
		assign(&m.SN, e, &m.Repairs)
	}
	if e := root.child("DeviceID"); e != nil {
		m.DeviceID = strings.Clone(e.text)
	}
	if e := root.child("Result"); e != nil && m.Root == Response {
		m.Result = strings.ToUpper(e.text)
	}
}

// Encode writes the message for a peer that reads charset c and version v.
// Elements that the peer's version does not have are left out.
func (m *Message) Encode(c Charset, v Version) []byte {
	w := writer{version: v}
	w.b.WriteString(`<?xml version="1.0" encoding="` + c.String() + "\"?>\r\n")
	w.b.WriteString("<" + m.Root + ">\r\n")
	w.value("CmdType", m.CmdType)
	w.value("SN", strconv.Itoa(m.SN))
	w.value("DeviceID", m.DeviceID)
	if m.Result != "" {
		w.value("Result", m.Result)
	}
	if m.Payload != nil {
		m.Payload.write(&w)
	}
	w.close(m.Root)
	return encode(w.b.String(), c)
}
