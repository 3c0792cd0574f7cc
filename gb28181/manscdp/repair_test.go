package manscdp

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func one(fields string) string {
	return "<Notify><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>D</DeviceID><SumNum>1</SumNum><DeviceList Num=\"1\"><Item>" + fields + "</Item></DeviceList></Notify>"
}

// TestRepair feeds what devices in the field send and checks both what is read
// and that the mending was noticed.
func TestRepair(t *testing.T) {
	for _, c := range []struct {
		name, body string
		repairs    Repairs
		want       Item
	}{
		{"clean", one("<DeviceID>1</DeviceID><Name>a &lt;&amp;&#x4E00; b</Name>"), 0, Item{DeviceID: "1", Name: "a <&一 b"}},
		{"ampersand in an address", one("<DeviceID>1</DeviceID><Address>A&B&amp;C & D&;&#xFFFFFFFF;</Address><Status>ON</Status>"), RepairAmpersand, Item{DeviceID: "1", Address: "A&B&C & D&;&#xFFFFFFFF;", Status: "ON"}},
		{"less-than before a blank", one("<DeviceID>1</DeviceID><Address>N < 3</Address><Status>ON</Status>"), RepairLess, Item{DeviceID: "1", Address: "N < 3", Status: "ON"}},
		{"less-than before a letter", one("<DeviceID>1</DeviceID><Address>A<B road</Address><Status>ON</Status>"), RepairLess, Item{DeviceID: "1", Address: "A<B road", Status: "ON"}},
		{"exclamation after less-than", one("<DeviceID>1</DeviceID><Name>A<!B</Name><Status>ON</Status>"), RepairLess, Item{DeviceID: "1", Name: "A<!B", Status: "ON"}},
		{"greater-than", one("<DeviceID>1</DeviceID><Name>A>B</Name>"), 0, Item{DeviceID: "1", Name: "A>B"}},
		{"end tag of a value missing", one("<DeviceID>1</DeviceID><Status>ON<Port>5060</Port><Name>n</Name>"), RepairEnd, Item{DeviceID: "1", Status: "ON", Port: 5060, Name: "n"}},
		{"end tag of an empty value missing", one("<DeviceID>1</DeviceID><Owner><Port>5060</Port><Name>n</Name>"), RepairEnd, Item{DeviceID: "1", Port: 5060, Name: "n"}},
		{"end tag misspelt", one("<DeviceID>1</DeviceID><Name>n</Nmae><Port>1</Port>"), RepairEnd, Item{DeviceID: "1", Name: "n", Port: 1}},
		{"stray end tag", one("<DeviceID>1</DeviceID></Info><Port>1</Port>"), RepairEnd, Item{DeviceID: "1", Port: 1}},
		{"end tags of the containers missing", "<Notify><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>D</DeviceID><DeviceList Num=\"1\"><Item><DeviceID>1</DeviceID><Info><PTZType>2</PTZType></Notify>", RepairEnd, Item{DeviceID: "1", PTZType: 2}},
		{"broken off inside a value", "<Notify><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>D</DeviceID><DeviceList Num=\"1\"><Item><DeviceID>1</DeviceID><CivilCode>3609", RepairTruncated, Item{DeviceID: "1"}},
		{"broken off inside an end tag", "<Notify><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>D</DeviceID><DeviceList Num=\"1\"><Item><DeviceID>1</DeviceID><CivilCode>360921</Civil", RepairTruncated, Item{DeviceID: "1", CivilCode: "360921"}},
		{"attributes", `<Notify CmdType="Catalog" SN='1' DeviceID=D><DeviceList Num="1"><Item DeviceID="1" Name="a &amp; b" Status = "ON"/></DeviceList></Notify>`, RepairAttribute, Item{DeviceID: "1", Name: "a & b", Status: "ON"}},
		{"namespaces", `<ns:Notify xmlns:ns="urn:x" xmlns="y" xsi:type="z"><ns:CmdType>Catalog</ns:CmdType><SN>1</SN><DeviceID>D</DeviceID><DeviceList Num="1"><ns:Item><ns:DeviceID>1</ns:DeviceID></ns:Item></DeviceList></ns:Notify>`, RepairNamespace, Item{DeviceID: "1"}},
		{"control bytes and zeros", one("<DeviceID>1\x00</DeviceID><Name>a\x01\x1fb</Name>"), RepairControl, Item{DeviceID: "1", Name: "ab"}},
		{"zeros of a C string behind", one("<DeviceID>1</DeviceID>") + "\x00\x00\x00", 0, Item{DeviceID: "1"}},
		{"a byte order mark", "\xef\xbb\xbf" + one("<DeviceID>1</DeviceID>"), RepairBOM, Item{DeviceID: "1"}},
		{"numbers with blanks", one("<DeviceID> 1 </DeviceID><Parental> 65535\n</Parental><Port>50 60</Port><PTZType>3.0</PTZType>"), 0, Item{DeviceID: "1", Parental: 65535, Port: 5060, PTZType: 3}},
		{"numbers that are none", one("<DeviceID>1</DeviceID><Port>none</Port><Longitude>N/A</Longitude><Latitude>NaN</Latitude><InstallTime>soon</InstallTime>"), RepairValue, Item{DeviceID: "1"}},
		{"empty numbers", one("<DeviceID>1</DeviceID><Port></Port><Longitude/><InstallTime></InstallTime>"), 0, Item{DeviceID: "1"}},
		{"other case", one("<DEVICEID>1</DEVICEID><name>n</name>"), RepairCase, Item{DeviceID: "1", Name: "n"}},
		{"CDATA and comments", one("<DeviceID>1</DeviceID><!-- x <y> --><Name><![CDATA[a<b>&c]]></Name>"), 0, Item{DeviceID: "1", Name: "a<b>&c"}},
		{"text before the prolog", "\r\n  junk < 1" + one("<DeviceID>1</DeviceID>"), 0, Item{DeviceID: "1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Decode([]byte(c.body), "")
			require.NoError(t, err)
			assert.Equal(t, c.repairs, m.Repairs, "%s instead of %s", m.Repairs, c.repairs)
			assert.Equal(t, 1, m.SN)
			assert.Equal(t, "D", m.DeviceID)
			require.IsType(t, &Catalog{}, m.Payload)
			assert.Equal(t, []Item{c.want}, m.Payload.(*Catalog).Items)
		})
	}
}

func TestCharset(t *testing.T) {
	prolog := func(label, name string) string {
		return `<?xml version="1.0" encoding="` + label + `"?>` + one("<DeviceID>1</DeviceID><Name>"+name+"</Name>")
	}
	cut := func(s string) string { return s[:len(s)-1] } // in the middle of the last character
	for _, c := range []struct {
		name    string
		body    []byte
		header  string
		want    string
		charset Charset
		repairs Repairs
	}{
		{"GB2312 and says so", gbk(t, prolog("GB2312", "浮梁县瑶里镇")), "", "浮梁县瑶里镇", GB18030, 0},
		{"GBK and says UTF-8", gbk(t, prolog("UTF-8", "浮梁县瑶里镇")), "utf-8", "浮梁县瑶里镇", GB18030, RepairCharset},
		{"UTF-8 and says GB2312", []byte(prolog("GB2312", "浮梁县瑶里镇")), "gb2312", "浮梁县瑶里镇", UTF8, RepairCharset},
		{"no label, GBK", gbk(t, one("<Name>浮梁</Name>")), "", "浮梁", GB18030, 0},
		{"no label, UTF-8", []byte(one("<Name>浮梁</Name>")), "", "浮梁", UTF8, 0},
		{"rare characters of GB18030", gbk(t, prolog("GB18030", "萳𠮷村")), "", "萳𠮷村", GB18030, 0},
		{"rare characters of UTF-8", []byte(prolog("UTF-8", "萳𠮷村")), "", "萳𠮷村", UTF8, 0},
		// 学校 is D1 A7 D0 A3 in GBK, which is valid UTF-8 for two Cyrillic letters.
		{"GBK that is valid UTF-8, label right", gbk(t, prolog("GB2312", "学校")), "", "学校", GB18030, 0},
		{"GBK that is valid UTF-8, no label", gbk(t, one("<Name>学校</Name>")), "", "学校", GB18030, 0},
		{"degrees in UTF-8, label right", []byte(prolog("UTF-8", "25°")), "", "25°", UTF8, 0},
		{"name cut inside a character of UTF-8", []byte(prolog("UTF-8", cut("浮梁县瑶里镇"))), "", "浮梁县瑶里\uFFFD", UTF8, RepairCharacter},
		{"one camera's name in GBK in a list of UTF-8", append([]byte("<Notify><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>D</DeviceID><DeviceList><Item><Address>浮梁县瑶里镇东埠村委会门口</Address><Name>"), append(gbk(t, "汪湖"), []byte("</Name></Item></DeviceList></Notify>")...)...), "", "汪湖", UTF8, RepairMixed},
		{"ASCII keeps its label", []byte(prolog("GB2312", "gate")), "", "gate", GB18030, 0},
		{"header when there is no prolog", []byte(one("<Name>gate</Name>")), "UTF-8", "gate", UTF8, 0},
		// The first three bytes of 娴安 are a character of UTF-8 by chance.
		{"GBK with a stretch of valid UTF-8", gbk(t, prolog("UTF-8", "娴安村")), "", "娴安村", GB18030, RepairCharset},
		{"half a character of GBK", append(gbk(t, "<Notify><CmdType>Catalog</CmdType><SN>1</SN><DeviceList><Item><Name>浮梁"), []byte("\xb8</Name></Item></DeviceList></Notify>")...), "", "浮梁\uFFFD", GB18030, RepairCharacter},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Decode(c.body, c.header)
			require.NoError(t, err)
			require.IsType(t, &Catalog{}, m.Payload)
			require.Len(t, m.Payload.(*Catalog).Items, 1)
			assert.Equal(t, c.want, m.Payload.(*Catalog).Items[0].Name)
			assert.Equal(t, c.charset, m.Charset)
			assert.Equal(t, c.repairs, m.Repairs, m.Repairs.String())
		})
	}
}

func TestParseTime(t *testing.T) {
	for in, want := range map[string]string{
		"2026-11-22T10:00:00": "2026-11-22T10:00:00", "2026-11-22 10:00:00": "2026-11-22T10:00:00", "2026-11-22T10:00:00.999": "2026-11-22T10:00:00",
		"2026-1-2T3:4:5": "2026-01-02T03:04:05", "2026-11-22T02:00:00Z": "2026-11-22T10:00:00", "2026-11-22T10:00:00+08:00": "2026-11-22T10:00:00",
		"20261122T100000": "2026-11-22T10:00:00", "20261122T020000Z": "2026-11-22T10:00:00", "2026/11/22 10:00:00": "2026-11-22T10:00:00",
	} {
		got, ok := ParseTime(in)
		assert.True(t, ok, in)
		assert.Equal(t, want, FormatTime(got), in)
	}
	for _, in := range []string{"", "now", "2026-13-01T00:00:00", "10:00"} {
		_, ok := ParseTime(in)
		assert.False(t, ok, in)
	}
}

// FuzzDecode holds Decode to its promise (no panic, no hang, typed errors only)
// and Encode to writing what Decode reads back.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(item2016), "")
	f.Add(gbk(f, item2016), "UTF-8")
	f.Add([]byte(`<Notify CmdType="Catalog"><DeviceList><Item DeviceID="1"><Name>a<b & c<Status>ON`), "gbk")
	f.Add([]byte(`<Notify><CmdType>Alarm</CmdType><SN>1</SN><Info><AlarmType>6</AlarmType><AlarmTypeParam><EventType>1</Info></Notify>`), "")
	f.Fuzz(func(t *testing.T, body []byte, charset string) {
		m, err := Decode(body, charset)
		if err != nil || m.Payload == nil {
			return
		}
		for _, v := range []Version{Version2016, Version2022} {
			once := m.Encode(UTF8, v)
			again, err := Decode(once, "")
			if err != nil {
				t.Fatalf("own body refused: %v\n%s", err, once)
			}
			if twice := again.Encode(UTF8, v); !bytes.Equal(once, twice) {
				t.Fatalf("not stable:\n%q\n%q", once, twice)
			}
		}
	})
}
