package manscdp

import (
	"fmt"
	"testing"
)

// BenchmarkDecodeCatalogue reads a catalogue of 1,000 channels in one message.
func BenchmarkDecodeCatalogue(b *testing.B) {
	items := make([]Item, 1000)
	lon, lat := 115.401234, 28.701234
	for i := range items {
		items[i] = Item{DeviceID: fmt.Sprintf("36092100001320%06d", i), Name: "澡下镇蒋家堎村口", Manufacturer: "Hikvision", Model: "IP Camera", Owner: "Owner",
			CivilCode: "360921", Address: "澡下镇", ParentID: "36092100001180000001", RegisterWay: 1, Status: "ON", Longitude: &lon, Latitude: &lat, PTZType: 3}
	}
	m := Message{Root: Response, CmdType: CmdCatalog, SN: 1, DeviceID: "36092100001180000001", Payload: &Catalog{SumNum: 1000, Items: items}}
	for _, c := range []Charset{UTF8, GB18030} {
		body := m.Encode(c, Version2016)
		b.Run(c.String(), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decode(body, ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDecodeKeepalive reads the message that devices send most.
func BenchmarkDecodeKeepalive(b *testing.B) {
	m := Message{Root: Notify, CmdType: CmdKeepalive, SN: 1, DeviceID: "36092100001320000001", Payload: &Keepalive{Status: "OK"}}
	body := m.Encode(GB18030, Version2016)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(body, ""); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHostile reads nine megabytes of the worst that is let in.
func BenchmarkHostile(b *testing.B) {
	for name, unit := range map[string]string{"elements": "<a>1</a>", "less": "<<<<<<<<", "open": "<a b", "ampersand": "&&&&&&&&", "ends": "</x></y>", "gbk": "\xb8\xa1\xc1\xba"} {
		body := []byte("<Notify>")
		for len(body)+len(unit) < MaxBody && len(body) < maxElements*len(unit)/2 {
			body = append(body, unit...)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				_, _ = Decode(body, "")
			}
		})
	}
}
