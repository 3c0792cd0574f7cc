package manscdp

import (
	"slices"
	"strings"
	"time"
)

// CatalogQuery narrows a catalogue query or subscription. The zero value asks
// for everything.
type CatalogQuery struct {
	StartTime time.Time // only channels added from here on
	EndTime   time.Time
}

// Catalog is one message of a catalogue: a part of the answer to a query, or the
// changes of a notification.
type Catalog struct {
	SumNum int // items in all messages together
	Items  []Item
}

// Events of an Item in a notification. The other words in the field (ONLINE,
// OK …) are mapped to these by Item.Change.
const (
	EventOn     = "ON"
	EventOff    = "OFF"
	EventVLost  = "VLOST"  // the picture is lost
	EventDefect = "DEFECT" // the device has a fault
	EventAdd    = "ADD"
	EventUpdate = "UPDATE"
	EventDel    = "DEL"
)

// Item is one entry of a catalogue: a channel, a device, an organisation or a
// region (annex A.2.1.9). Fields keep what was sent; a field of the other version
// is empty. The password that the 2016 text puts here is never read.
type Item struct {
	DeviceID        string
	Event           string // notifications only
	Name            string
	Manufacturer    string
	Model           string
	Owner           string // 2016
	CivilCode       string // 2, 4, 6 or 8 digits; 6 are the county (GB/T 2260)
	Block           string // police area
	Address         string
	Parental        int    // 1 has others below it; 65535 is met and means nothing
	ParentID        string // may be several, joined by "/"
	RegisterWay     int    // 1 to 4
	Secrecy         int    // 0 none, 1 secret
	SecurityLevel   string // 2022: A, B, C of GB 35114
	IPAddress       string
	Port            int
	Status          string   // ON or OFF; see On
	Longitude       *float64 // degrees; WGS-84 from 2022 on
	Latitude        *float64
	BusinessGroupID string

	// Info of both versions.
	PTZType      int // 1 dome, 2 half dome, 3 fixed, 4 remote fixed, 5 remote half dome, 6 panorama, 7 split
	RoomType     int // 1 outdoor, 2 indoor
	SupplyLight  int // 1 none, 2 infrared, 3 white, 4 laser, 9 other
	Direction    int // 1 east, 2 west, 3 south, 4 north, 5 south-east, 6 north-east, 7 south-west, 8 north-west
	Resolution   string
	DownloadRate string // "1/2/4"
	// Info of 2016.
	PositionType int
	UseType      int
	// Info of 2022.
	CapturePosition   string // annex O
	StreamNumbers     string // "0/1/2": main stream and others
	GrassrootsCode    string // 3 digits town, 3 digits village; 000000 for none
	PointType         int    // 1, 2, 3 class of the point, 9 other
	PointName         string
	MAC               string
	FunctionType      string
	EncodeType        string
	InstallTime       time.Time
	ManagementUnit    string
	RecordSaveDays    int
	IndustryCode      string
	HorizontalAngle   *float64 // degrees
	VerticalAngle     *float64
	MaxViewDistance   *float64 // metres
	MobileDeviceType  int
	ImagingType       int
	ScalableRatioList string
}

var itemSchema = newSchema(
	field[Item]{"DeviceID", "", both, func(i *Item) any { return &i.DeviceID }},
	field[Item]{"Event", "", both, func(i *Item) any { return &i.Event }},
	field[Item]{"Name", "", both, func(i *Item) any { return &i.Name }},
	field[Item]{"Manufacturer", "", both, func(i *Item) any { return &i.Manufacturer }},
	field[Item]{"Model", "", both, func(i *Item) any { return &i.Model }},
	field[Item]{"Owner", "", only2016, func(i *Item) any { return &i.Owner }},
	field[Item]{"CivilCode", "", both, func(i *Item) any { return &i.CivilCode }},
	field[Item]{"Block", "", both, func(i *Item) any { return &i.Block }},
	field[Item]{"Address", "", both, func(i *Item) any { return &i.Address }},
	field[Item]{"Parental", "", both, func(i *Item) any { return &i.Parental }},
	field[Item]{"ParentID", "", both, func(i *Item) any { return &i.ParentID }},
	field[Item]{"RegisterWay", "", both, func(i *Item) any { return &i.RegisterWay }},
	field[Item]{"SecurityLevelCode", "", only2022, func(i *Item) any { return &i.SecurityLevel }},
	field[Item]{"Secrecy", "", both, func(i *Item) any { return &i.Secrecy }},
	field[Item]{"IPAddress", "", both, func(i *Item) any { return &i.IPAddress }},
	field[Item]{"Port", "", both, func(i *Item) any { return &i.Port }},
	field[Item]{"Status", "", both, func(i *Item) any { return &i.Status }},
	field[Item]{"Longitude", "", both, func(i *Item) any { return &i.Longitude }},
	field[Item]{"Latitude", "", both, func(i *Item) any { return &i.Latitude }},
	field[Item]{"BusinessGroupID", "", only2022, func(i *Item) any { return &i.BusinessGroupID }},
	field[Item]{"PTZType", "Info", both, func(i *Item) any { return &i.PTZType }},
	field[Item]{"PositionType", "Info", only2016, func(i *Item) any { return &i.PositionType }},
	field[Item]{"RoomType", "Info", both, func(i *Item) any { return &i.RoomType }},
	field[Item]{"UseType", "Info", only2016, func(i *Item) any { return &i.UseType }},
	field[Item]{"SupplyLightType", "Info", both, func(i *Item) any { return &i.SupplyLight }},
	field[Item]{"DirectionType", "Info", both, func(i *Item) any { return &i.Direction }},
	field[Item]{"Resolution", "Info", both, func(i *Item) any { return &i.Resolution }},
	field[Item]{"BusinessGroupID", "Info", only2016, func(i *Item) any { return &i.BusinessGroupID }},
	field[Item]{"DownloadSpeed", "Info", both, func(i *Item) any { return &i.DownloadRate }},
	field[Item]{"PhotoelectricImagingType", "Info", only2022, func(i *Item) any { return &i.ImagingType }},
	field[Item]{"CapturePositionType", "Info", only2022, func(i *Item) any { return &i.CapturePosition }},
	field[Item]{"StreamNumberList", "Info", only2022, func(i *Item) any { return &i.StreamNumbers }},
	field[Item]{"SSVCRatioSupportList", "Info", only2022, func(i *Item) any { return &i.ScalableRatioList }},
	field[Item]{"MobileDeviceType", "Info", only2022, func(i *Item) any { return &i.MobileDeviceType }},
	field[Item]{"HorizontalFieldAngle", "Info", only2022, func(i *Item) any { return &i.HorizontalAngle }},
	field[Item]{"VerticalFieldAngle", "Info", only2022, func(i *Item) any { return &i.VerticalAngle }},
	field[Item]{"MaxViewDistance", "Info", only2022, func(i *Item) any { return &i.MaxViewDistance }},
	field[Item]{"GrassrootsCode", "Info", only2022, func(i *Item) any { return &i.GrassrootsCode }},
	field[Item]{"PointType", "Info", only2022, func(i *Item) any { return &i.PointType }},
	field[Item]{"PointCommonName", "Info", only2022, func(i *Item) any { return &i.PointName }},
	field[Item]{"MAC", "Info", only2022, func(i *Item) any { return &i.MAC }},
	field[Item]{"FunctionType", "Info", only2022, func(i *Item) any { return &i.FunctionType }},
	field[Item]{"EncodeType", "Info", only2022, func(i *Item) any { return &i.EncodeType }},
	field[Item]{"InstallTime", "Info", only2022, func(i *Item) any { return &i.InstallTime }},
	field[Item]{"ManagementUnit", "Info", only2022, func(i *Item) any { return &i.ManagementUnit }},
	field[Item]{"RecordSaveDays", "Info", only2022, func(i *Item) any { return &i.RecordSaveDays }},
	field[Item]{"IndustrialClassification", "Info", only2022, func(i *Item) any { return &i.IndustryCode }},
)

var catalogQuerySchema = newSchema(
	field[CatalogQuery]{"StartTime", "", both, func(q *CatalogQuery) any { return &q.StartTime }},
	field[CatalogQuery]{"EndTime", "", both, func(q *CatalogQuery) any { return &q.EndTime }},
)

var catalogSchema = newSchema(
	field[Catalog]{"SumNum", "", both, func(c *Catalog) any { return &c.SumNum }},
	field[Catalog]{"DeviceList", "", both, func(c *Catalog) any { return list[Item]{itemSchema, &c.Items} }},
)

func (q *CatalogQuery) read(e *element, r *Repairs) { catalogQuerySchema.read(q, e, r) }
func (q *CatalogQuery) write(w *writer)             { catalogQuerySchema.write(q, w) }
func (c *Catalog) read(e *element, r *Repairs)      { catalogSchema.read(c, e, r) }

// write always writes SumNum: 0 is a legal catalogue.
func (c *Catalog) write(w *writer) {
	if c.SumNum == 0 {
		w.value("SumNum", "0")
	}
	catalogSchema.write(c, w)
}

// On reads Status. known is false when it says nothing that is understood.
func (i *Item) On() (on, known bool) {
	switch strings.ToUpper(i.Status) {
	case "ON", "ONLINE", "OK", "1", "TRUE":
		return true, true
	case "OFF", "OFFLINE", "ERROR", "0", "FALSE":
		return false, true
	}
	return false, false
}

// Change returns the event of a notification as one of the Event constants. An
// item without an event, or with an unknown one, is "" when it has no state and
// else EventOn or EventOff.
func (i *Item) Change() string {
	e := strings.ToUpper(i.Event)
	switch e {
	case EventOn, EventOff, EventVLost, EventDefect, EventAdd, EventUpdate, EventDel:
		return e
	case "ONLINE", "OK":
		return EventOn
	case "OFFLINE":
		return EventOff
	case "DELETE", "REMOVE":
		return EventDel
	}
	switch on, known := i.On(); {
	case !known:
		return ""
	case on:
		return EventOn
	}
	return EventOff
}

// Parents lists the IDs in ParentID, without repeats and without the item itself.
func (i *Item) Parents() []string {
	var ids []string
	for id := range strings.SplitSeq(i.ParentID, "/") {
		if id = strings.TrimSpace(id); id != "" && id != i.DeviceID && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// VillageCode returns the 12-digit statistical code of the village: county (the
// first six digits of CivilCode) and GrassrootsCode, town and village, both of
// three digits (annex E.3 of the 2022 text). It is "" when either is missing or
// names no village. The ID tells nothing of it: its digits 7 and 8 are the access
// unit, a police post for instance, and no town.
func (i *Item) VillageCode() string {
	if len(i.CivilCode) < 6 || len(i.GrassrootsCode) != 6 {
		return ""
	}
	county, town, village := i.CivilCode[:6], i.GrassrootsCode[:3], i.GrassrootsCode[3:]
	if !digits(i.CivilCode) || !digits(i.GrassrootsCode) || town == "000" || village == "000" {
		return ""
	}
	return county + town + village
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
