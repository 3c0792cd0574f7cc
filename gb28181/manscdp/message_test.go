package manscdp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// gbk codes s as a device does that knows nothing else.
func gbk(t testing.TB, s string) []byte {
	t.Helper()
	b, err := simplifiedchinese.GB18030.NewEncoder().String(s)
	require.NoError(t, err)
	return []byte(b)
}

const item2016 = `<?xml version="1.0" encoding="GB2312"?>
<Response>
<CmdType>Catalog</CmdType>
<SN>17</SN>
<DeviceID>36092100001180000001</DeviceID>
<SumNum>2</SumNum>
<DeviceList Num="1">
<Item>
<DeviceID>36092100001320000001</DeviceID>
<Name>蒋家堎村口</Name>
<Manufacturer>Hikvision</Manufacturer>
<Model>IP Camera</Model>
<Owner>Owner</Owner>
<CivilCode>360921</CivilCode>
<Block>block</Block>
<Address>澡下镇</Address>
<Parental>0</Parental>
<ParentID>36092100002160000001/36092100001180000001</ParentID>
<SafetyWay>0</SafetyWay>
<RegisterWay>1</RegisterWay>
<CertNum>1</CertNum>
<Certifiable>0</Certifiable>
<ErrCode>400</ErrCode>
<EndTime>2030-01-01T00:00:00</EndTime>
<Secrecy>0</Secrecy>
<IPAddress>192.0.2.64</IPAddress>
<Port>5060</Port>
<Password>notkept</Password>
<Status>ON</Status>
<Longitude>115.401234</Longitude>
<Latitude>28.701234</Latitude>
<Info><PTZType>3</PTZType><DownloadSpeed>1/2/4</DownloadSpeed><BusinessGroupID>36092100002150000001</BusinessGroupID></Info>
</Item>
</DeviceList>
</Response>`

func TestDecodeCatalog2016(t *testing.T) {
	m, err := Decode(gbk(t, item2016), "")
	require.NoError(t, err)
	assert.Equal(t, Response, m.Root)
	assert.Equal(t, CmdCatalog, m.CmdType)
	assert.Equal(t, 17, m.SN)
	assert.Equal(t, GB18030, m.Charset)
	assert.Zero(t, m.Repairs, m.Repairs.String())
	c := m.Payload.(*Catalog)
	assert.Equal(t, 2, c.SumNum)
	require.Len(t, c.Items, 1)
	i := c.Items[0]
	lon, lat := 115.401234, 28.701234
	assert.Equal(t, Item{DeviceID: "36092100001320000001", Name: "蒋家堎村口", Manufacturer: "Hikvision", Model: "IP Camera", Owner: "Owner",
		CivilCode: "360921", Block: "block", Address: "澡下镇", ParentID: "36092100002160000001/36092100001180000001", RegisterWay: 1,
		IPAddress: "192.0.2.64", Port: 5060, Status: "ON", Longitude: &lon, Latitude: &lat, PTZType: 3, DownloadRate: "1/2/4",
		BusinessGroupID: "36092100002150000001"}, i)
	assert.Equal(t, []string{"36092100002160000001", "36092100001180000001"}, i.Parents())
	assert.NotContains(t, fmt.Sprintf("%+v", m), "notkept")
	assert.Empty(t, i.VillageCode(), "2016 has no village")
}

func TestDecodeCatalog2022(t *testing.T) {
	m, err := Decode([]byte(`<?xml version="1.0" encoding="UTF-8"?><Notify><CmdType>Catalog</CmdType><SN>3</SN><DeviceID>36092100001180000001</DeviceID>
<SumNum>1</SumNum><DeviceList Num="1"><Item><DeviceID>36092199001320000002</DeviceID><Event>ADD</Event><Name>𠮷祥桥</Name>
<CivilCode>360921</CivilCode><SecurityLevelCode>A</SecurityLevelCode><BusinessGroupID>36092100002150000001</BusinessGroupID><Status>ON</Status>
<Info><PTZType>3</PTZType><CapturePositionType>0020401</CapturePositionType><StreamNumberList>0/1/2</StreamNumberList><GrassrootsCode>100001</GrassrootsCode>
<PointType>2</PointType><PointCommonName>祥桥头</PointCommonName><MAC>00-11-22-33-44-55</MAC><InstallTime>2024-05-06T07:08:09</InstallTime><RecordSaveDays>30</RecordSaveDays>
<HorizontalFieldAngle>78.5</HorizontalFieldAngle></Info></Item></DeviceList></Notify>`), "")
	require.NoError(t, err)
	assert.Equal(t, UTF8, m.Charset)
	i := m.Payload.(*Catalog).Items[0]
	assert.Equal(t, "𠮷祥桥", i.Name)
	assert.Equal(t, EventAdd, i.Change())
	assert.Equal(t, "0/1/2", i.StreamNumbers)
	assert.Equal(t, "A", i.SecurityLevel)
	assert.Equal(t, "36092100002150000001", i.BusinessGroupID)
	assert.Equal(t, 30, i.RecordSaveDays)
	assert.InDelta(t, 78.5, *i.HorizontalAngle, 0)
	assert.Equal(t, "2024-05-06T07:08:09", FormatTime(i.InstallTime))
	assert.Equal(t, "360921100001", i.VillageCode(), "county of CivilCode with GrassrootsCode, not digits 7 and 8 of the ID (99)")
}

func TestVillageCode(t *testing.T) {
	for _, c := range []struct{ name, civil, grass, want string }{
		{"county and grassroots", "360921", "100200", "360921100200"},
		{"civil code of eight digits", "36092110", "101203", "360921101203"},
		{"a city without counties", "441900", "003001", "441900003001"},
		{"not grassroots", "360921", "000000", ""},
		{"town without village", "360921", "100000", ""},
		{"village without town", "360921", "000001", ""},
		{"no grassroots code", "360921", "", ""},
		{"too short a civil code", "3609", "100001", ""},
		{"letters", "36092x", "100001", ""},
		{"letters behind", "360921", "10000a", ""},
		{"wrong length", "360921", "360921100001", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			i := Item{DeviceID: "36092177001320000002", CivilCode: c.civil, GrassrootsCode: c.grass}
			assert.Equal(t, c.want, i.VillageCode())
		})
	}
}

func TestItemWords(t *testing.T) {
	for status, want := range map[string][2]bool{"ON": {true, true}, "online": {true, true}, "OK": {true, true}, "OFF": {false, true}, "OFFLINE": {false, true}, "": {false, false}, "UNKNOWN": {false, false}} {
		i := Item{Status: status}
		on, known := i.On()
		assert.Equal(t, want, [2]bool{on, known}, status)
	}
	for _, c := range []struct{ event, status, want string }{{"VLOST", "", EventVLost}, {"defect", "", EventDefect}, {"ONLINE", "", EventOn}, {"DEL", "ON", EventDel}, {"", "OFFLINE", EventOff}, {"", "ON", EventOn}, {"", "", ""}, {"MOVED", "", ""}} {
		i := Item{Event: c.event, Status: c.status}
		assert.Equal(t, c.want, i.Change(), c.event+c.status)
	}
	i := Item{DeviceID: "1", ParentID: " 2/1//3/2"}
	assert.Equal(t, []string{"2", "3"}, i.Parents())
}

// TestDecodePayloads holds one sample of each kind against its fields.
func TestDecodePayloads(t *testing.T) {
	at := func(s string) time.Time { v, ok := ParseTime(s); require.True(t, ok); return v }
	const id = "36092100001320000001"
	body := func(root, cmd, rest string) string {
		return fmt.Sprintf("<?xml version=\"1.0\"?>\n<%s>\n<CmdType>%s</CmdType>\n<SN>5</SN>\n<DeviceID>%s</DeviceID>\n%s</%s>\n", root, cmd, id, rest, root)
	}
	for _, c := range []struct {
		name, body, result string
		want               Payload
	}{
		{"keepalive", body(Notify, CmdKeepalive, "<Status>OK</Status><Info><DeviceID>1</DeviceID><DeviceID>2</DeviceID></Info>"), "", &Keepalive{Status: "OK", Faulty: []string{"1", "2"}}},
		{"keepalive without Info", body(Notify, CmdKeepalive, "<Status>OK</Status>"), "", &Keepalive{Status: "OK"}},
		{"device info", body(Response, CmdDeviceInfo, "<DeviceName>枪机</DeviceName><Result>ok</Result><Manufacturer>Dahua</Manufacturer><Model>X1</Model><FirmWare>2.8</FirmWare><Channel> 4 </Channel>"), "OK", &DeviceInfo{Name: "枪机", Manufacturer: "Dahua", Model: "X1", Firmware: "2.8", Channels: 4}},
		{"device status", body(Response, CmdDeviceStatus, `<Result>OK</Result><Online>ONLINE</Online><Status>ERROR</Status><Reason>disk</Reason><Encode>ON</Encode><Record>OFF</Record><DeviceTime>2026-11-22T10:00:00.123</DeviceTime><Alarmstatus Num="1"><Item><DeviceID>7</DeviceID><DutyStatus>ONDUTY</DutyStatus></Item></Alarmstatus>`), "OK",
			&DeviceStatus{Online: "ONLINE", Status: "ERROR", Reason: "disk", Encode: "ON", Record: "OFF", DeviceTime: at("2026-11-22T10:00:00.123"), Alarms: []AlarmStatus{{"7", "ONDUTY"}}}},
		{"records", body(Response, CmdRecordInfo, `<Name>NVR</Name><SumNum>9</SumNum><RecordList Num="1"><Item><DeviceID>1</DeviceID><Name>n</Name><FilePath>/a&amp;b</FilePath><Address>x</Address><StartTime>2026-11-22T10:00:00</StartTime><EndTime>2026-11-22 10:30:00</EndTime><Secrecy>0</Secrecy><Type>time</Type><FileSize>5368709120</FileSize></Item></RecordList>`), "",
			&RecordInfo{Name: "NVR", SumNum: 9, Records: []Record{{DeviceID: "1", Name: "n", FilePath: "/a&b", Address: "x", StartTime: at("2026-11-22T10:00:00"), EndTime: at("2026-11-22T10:30:00"), Type: "time", FileSize: 5368709120}}}},
		{"config", body(Response, CmdConfigDownload, `<Result>OK</Result><BasicParam><Name>c</Name><Expiration>3600</Expiration><HeartBeatInterval>60</HeartBeatInterval><HeartBeatCount>3</HeartBeatCount><Password>x</Password></BasicParam><OSDConfig><Length>4</Length><Item><Text>村口</Text><UserPassword>y</UserPassword></Item></OSDConfig>`), "OK",
			&ConfigDownload{Basic: &BasicParam{"c", 3600, 60, 3}, Settings: []Setting{{"OSDConfig", "Length", "4"}, {"OSDConfig/Item", "Text", "村口"}}}},
		{"config under another name", body(Response, CmdConfigDownload, `<basicParamCfg><Name>c</Name><HeartBeatInterval>30</HeartBeatInterval></basicParamCfg>`), "", &ConfigDownload{Basic: &BasicParam{Name: "c", HeartBeatInterval: 30}}},
		{"presets", body(Response, CmdPresetQuery, `<PresetList Num="2"><Item><PresetID>1</PresetID><PresetName>桥</PresetName></Item><Item><PresetID>2</PresetID></Item></PresetList>`), "", &Presets{List: []Preset{{"1", "桥"}, {ID: "2"}}}},
		{"home position", body(Response, "HomepositionQuery", `<HomePosition><Enabled>1</Enabled><ResetTime>30</ResetTime><PresetIndex>2</PresetIndex></HomePosition>`), "", &HomePositionReport{&HomePosition{1, 30, 2}}},
		{"home position, flat", body(Response, CmdHomePosition, `<Enabled>1</Enabled><ResetTime>30</ResetTime><PresetIndex>2</PresetIndex>`), "", &HomePositionReport{&HomePosition{1, 30, 2}}},
		{"alarm", body(Notify, CmdAlarm, `<AlarmPriority>1</AlarmPriority><AlarmMethod>5</AlarmMethod><AlarmTime>2026-11-22T10:00:00</AlarmTime><AlarmDescription>入侵</AlarmDescription><Longitude>1</Longitude><AlarmInfo>11</AlarmInfo><Info><AlarmType>6</AlarmType><AlarmTypeParam><EventType>2</EventType></AlarmTypeParam></Info>`), "",
			&Alarm{Priority: 1, Method: MethodVideo, Time: at("2026-11-22T10:00:00"), Description: "入侵", Type: 6, Event: 2}},
		{"alarm, flat", body(Notify, CmdAlarm, `<AlarmPriority>4</AlarmPriority><AlarmMethod>2</AlarmMethod><AlarmType>1</AlarmType><AlarmTypeParam><EventType>1</EventType></AlarmTypeParam>`), "", &Alarm{Priority: 4, Method: MethodDevice, Type: 1, Event: 1}},
		{"alarm answer", body(Response, CmdAlarm, `<Result>OK</Result>`), "OK", nil},
		{"end of file", body(Notify, CmdMediaStatus, `<NotifyType>121</NotifyType>`), "", &MediaStatus{MediaEnd}},
		{"position", body(Notify, "mobileposition", `<Longitude>1</Longitude>`), "", nil},
		{"control answer", body(Response, CmdDeviceControl, `<Result>Error</Result>`), "ERROR", nil},
		{"a command of a vendor", body(Notify, "KeepAliveEx", ``), "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Decode([]byte(c.body), "")
			require.NoError(t, err)
			assert.Equal(t, c.want, m.Payload)
			assert.Equal(t, c.result, m.Result)
			assert.Equal(t, 5, m.SN)
			assert.Equal(t, id, m.DeviceID)
		})
	}
}

func TestEncode(t *testing.T) {
	head := func(root, cmd, rest string) string {
		return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<" + root + ">\r\n<CmdType>" + cmd + "</CmdType>\r\n<SN>8</SN>\r\n<DeviceID>D</DeviceID>\r\n" + rest + "</" + root + ">\r\n"
	}
	from := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name    string
		m       Message
		version Version
		want    string
	}{
		{"query without fields", Message{Root: Query, CmdType: CmdDeviceInfo}, Version2016, head(Query, CmdDeviceInfo, "")},
		{"catalogue query", Message{Root: Query, CmdType: CmdCatalog, Payload: &CatalogQuery{}}, Version2016, head(Query, CmdCatalog, "")},
		{"records in Beijing's time", Message{Root: Query, CmdType: CmdRecordInfo, Payload: &RecordQuery{StartTime: from, EndTime: from.Add(time.Hour), Type: RecordAll}}, Version2016,
			head(Query, CmdRecordInfo, "<StartTime>2026-11-22T10:00:00</StartTime>\r\n<EndTime>2026-11-22T11:00:00</EndTime>\r\n<Type>all</Type>\r\n")},
		{"key frame 2016", Message{Root: Control, CmdType: CmdDeviceControl, Payload: &DeviceControl{KeyFrame: Send}}, Version2016, head(Control, CmdDeviceControl, "<IFameCmd>Send</IFameCmd>\r\n")},
		{"key frame 2022", Message{Root: Control, CmdType: CmdDeviceControl, Payload: &DeviceControl{KeyFrame: Send}}, Version2022, head(Control, CmdDeviceControl, "<IFrameCmd>Send</IFrameCmd>\r\n")},
		{"alarm reset", Message{Root: Control, CmdType: CmdDeviceControl, Payload: &DeviceControl{AlarmCmd: ResetAlarm, AlarmMethod: "5"}}, Version2022,
			head(Control, CmdDeviceControl, "<AlarmCmd>ResetAlarm</AlarmCmd>\r\n<Info>\r\n<AlarmMethod>5</AlarmMethod>\r\n</Info>\r\n")},
		{"home position off", Message{Root: Control, CmdType: CmdDeviceControl, Payload: &DeviceControl{HomePosition: &HomePosition{ResetTime: 5}}}, Version2016,
			head(Control, CmdDeviceControl, "<HomePosition>\r\n<Enabled>0</Enabled>\r\n<ResetTime>5</ResetTime>\r\n</HomePosition>\r\n")},
		{"all alarms", Message{Root: Query, CmdType: CmdAlarm, Payload: &AlarmQuery{Method: "0"}}, Version2016,
			head(Query, CmdAlarm, "<StartAlarmPriority>0</StartAlarmPriority>\r\n<EndAlarmPriority>0</EndAlarmPriority>\r\n<AlarmMethod>0</AlarmMethod>\r\n")},
		{"alarm answer", Message{Root: Response, CmdType: CmdAlarm, Result: "OK"}, Version2016, head(Response, CmdAlarm, "<Result>OK</Result>\r\n")},
		{"preset with a name, 2016", Message{Root: Control, CmdType: CmdDeviceControl, Payload: &DeviceControl{PTZCmd: "A5", PresetName: "桥"}}, Version2016, head(Control, CmdDeviceControl, "<PTZCmd>A5</PTZCmd>\r\n")},
		{"preset with a name, 2022", Message{Root: Control, CmdType: CmdDeviceControl, Payload: &DeviceControl{PTZCmd: "A5", PresetName: "桥"}}, Version2022,
			head(Control, CmdDeviceControl, "<PTZCmd>A5</PTZCmd>\r\n<PTZCmdParams>\r\n<PresetName>桥</PresetName>\r\n</PTZCmdParams>\r\n")},
		{"nothing smuggled in", Message{Root: Query, CmdType: CmdConfigDownload, Payload: &ConfigQuery{ConfigType: "a</ConfigType>&\x00<x>"}}, Version2016, head(Query, CmdConfigDownload, "<ConfigType>a&lt;/ConfigType&gt;&amp;&lt;x&gt;</ConfigType>\r\n")},
		{"empty catalogue", Message{Root: Response, CmdType: CmdCatalog, Payload: &Catalog{Items: []Item{}}}, Version2016, head(Response, CmdCatalog, "<SumNum>0</SumNum>\r\n<DeviceList Num=\"0\">\r\n</DeviceList>\r\n")},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.m.SN, c.m.DeviceID = 8, "D"
			assert.Equal(t, c.want, string(c.m.Encode(UTF8, c.version)))
		})
	}
}

// TestEncodeItemByVersion checks that each version gets its own elements, and
// that they come back.
func TestEncodeItemByVersion(t *testing.T) {
	i := Item{DeviceID: "1", Name: "桥 <南> & 北", Owner: "村委会", CivilCode: "360921", Status: "ON", PTZType: 3, UseType: 1, GrassrootsCode: "100001", BusinessGroupID: "215"}
	m := Message{Root: Response, CmdType: CmdCatalog, SN: 1, DeviceID: "D", Payload: &Catalog{SumNum: 1, Items: []Item{i}}}
	old, err := Decode(m.Encode(GB18030, Version2016), "")
	require.NoError(t, err)
	assert.Equal(t, GB18030, old.Charset)
	want := i
	want.GrassrootsCode = ""
	assert.Equal(t, []Item{want}, old.Payload.(*Catalog).Items)
	assert.Zero(t, old.Repairs, old.Repairs.String())
	recent, err := Decode(m.Encode(UTF8, Version2022), "")
	require.NoError(t, err)
	want = i
	want.Owner, want.UseType = "", 0
	assert.Equal(t, []Item{want}, recent.Payload.(*Catalog).Items)
	text := string(m.Encode(UTF8, Version2022))
	assert.Less(t, strings.Index(text, "<BusinessGroupID>"), strings.Index(text, "<Info>"), "2022 moved it out of Info")
}

func TestDecodeRefuses(t *testing.T) {
	deep := "<Notify>" + strings.Repeat("<Item>", 20) + strings.Repeat("</Item>", 20) + "</Notify>"
	for _, c := range []struct {
		name string
		body []byte
		want error
	}{
		{"ten megabytes", make([]byte, 10<<20), ErrBodyTooLong},
		{"too deep", []byte(deep), ErrTooDeep},
		{"too many", []byte("<Notify>" + strings.Repeat("<a/>", maxElements+1)), ErrTooMany},
		{"empty", nil, ErrNotXML},
		{"zeros", make([]byte, 100), ErrNotXML},
		{"text", []byte("hello < world >"), ErrNotXML},
		{"another kind", []byte("<html></html>"), ErrNotMANSCDP},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Decode(c.body, "")
			assert.ErrorIs(t, err, c.want)
		})
	}
}

// TestEntityBomb shows that nothing grows: no DTD is read.
func TestEntityBomb(t *testing.T) {
	m, err := Decode([]byte(`<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]>
<Notify><CmdType>MediaStatus</CmdType><SN>1</SN><DeviceID>1</DeviceID><NotifyType>&b;&c;</NotifyType></Notify>`), "")
	require.NoError(t, err)
	assert.Equal(t, &MediaStatus{"&b;&c;"}, m.Payload)
	assert.Equal(t, []string{"ampersand", "doctype"}, m.Repairs.Names())
}
