package gb28181

import (
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/gb28181/manscdp"
)

func cameraAt(id, name, division, channel string) configs.Camera {
	return configs.Camera{ID: id, Name: name, Division: division, URL: "gb28181://" + boxID + "/" + channel}
}

func channelOf(n int, name, village string) Channel {
	return Channel{Device: boxID, Kind: KindCamera, Village: village, Item: manscdp.Item{DeviceID: camID(n), Name: name}}
}

func TestChanges(t *testing.T) {
	var c cameras
	c.set([]configs.Camera{
		cameraAt("same", "村口", "360921100001", camID(1)),
		cameraAt("renamed", "旧名", "360921100001", camID(2)),
		cameraAt("moved", "桥", "360921100001", camID(3)),
		cameraAt("gone", "塘", "360921100001", camID(4)),
		{ID: "elsewhere", URL: "rtsp://192.0.2.1/1"},
		{ID: "other-device", URL: "gb28181://36092100001180000009/" + camID(1)},
	})
	org := Channel{Device: boxID, Kind: KindOrganisation, Item: manscdp.Item{DeviceID: "36092100002160000001", Name: "村委会"}}
	cat := Catalogue{Device: boxID, At: time.Now(), Complete: true, Channels: []Channel{
		channelOf(1, "村口 ", "360921100001"), channelOf(2, "新名", ""), channelOf(3, "桥", "360921100002"), channelOf(5, "新的", ""), org,
	}}
	want := []Change{
		{Device: boxID, Channel: camID(2), Camera: "renamed", Kind: ChangeRenamed, Configured: "旧名", Reported: "新名"},
		{Device: boxID, Channel: camID(3), Camera: "moved", Kind: ChangeDivision, Configured: "360921100001", Reported: "360921100002"},
		{Device: boxID, Channel: camID(4), Camera: "gone", Kind: ChangeGone, Configured: "塘"},
		{Device: boxID, Channel: camID(5), Kind: ChangeNew, Reported: "新的"},
	}
	assert.Equal(t, want, c.compare(cat))
	cat.Complete = false
	assert.Equal(t, append(want[:2:2], want[3]), c.compare(cat), "nothing is gone by a partial catalogue")
	cat.At = time.Time{}
	assert.Empty(t, c.compare(cat), "nothing is gone before a device was heard")
}

func TestCamerasByPlace(t *testing.T) {
	var c cameras
	c.set([]configs.Camera{cameraAt("a", "", "", camID(1)), cameraAt("twin", "", "", camID(1))})
	assert.Equal(t, "a", c.of(boxID, camID(1)))
	assert.Equal(t, "a", c.only(boxID))
	c.set([]configs.Camera{cameraAt("a", "", "", camID(1)), cameraAt("b", "", "", camID(2))})
	assert.Empty(t, c.only(boxID))
	assert.Empty(t, c.of(boxID, camID(9)))
}

// TestPropose reads the proposal back as YAML: hostile names must stay names.
func TestPropose(t *testing.T) {
	var c cameras
	c.set([]configs.Camera{cameraAt(camID(3), "x", "360921100001", camID(1))}) // takes the ID of another channel
	lon, lat, zero := 115.4, 28.7, 0.0
	hostile := channelOf(2, "门\"\n- id: evil\u2028\x01 # \\", "360921100001")
	hostile.Item.Address, hostile.Item.Longitude, hostile.Item.Latitude = "A: [b]", &lon, &lat
	nowhere := channelOf(3, "", "")
	nowhere.Item.Longitude, nowhere.Item.Latitude = &zero, &zero
	text := c.propose(Catalogue{Device: boxID, At: time.Now(), Channels: []Channel{channelOf(1, "known", ""), hostile, nowhere}})
	var got []configs.Camera
	require.NoError(t, yaml.Unmarshal([]byte(text), &got), text)
	require.Len(t, got, 2)
	assert.Equal(t, configs.Camera{ID: camID(2), Name: hostile.Item.Name, URL: "gb28181://" + boxID + "/" + camID(2), Division: "360921100001",
		Place: "A: [b]", LegalBasis: "unknown", Lon: &lon, Lat: &lat}, got[0])
	id := "gb-" + boxID[12:] + "-" + camID(3)[12:]
	assert.Equal(t, configs.Camera{ID: id, Name: id, URL: "gb28181://" + boxID + "/" + camID(3), LegalBasis: "unknown"}, got[1])
	assert.Contains(t, text, "division: \"\" # 待填")
	assert.Empty(t, c.propose(Catalogue{Device: boxID, At: time.Now(), Channels: []Channel{channelOf(1, "known", "")}}))
}
