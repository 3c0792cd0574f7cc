package gb28181

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/sharpeyes/sharpeyes/configs"
)

// cameras are the configured cameras behind this platform, by where they are.
type cameras struct {
	mu       sync.RWMutex
	byPlace  map[[2]string]configs.Camera // device, channel
	byDevice map[string][]string          // camera IDs
}

// SetCameras says which cameras are configured. It is called at the start and
// after each reload; those with other addresses are passed over. Alarms are given
// to these cameras, and catalogues are compared with them.
func (p *Platform) SetCameras(list []configs.Camera) { p.cameras.set(list) }

func (c *cameras) set(list []configs.Camera) {
	places, devices := make(map[[2]string]configs.Camera), make(map[string][]string)
	for _, cam := range list {
		a, err := configs.ParseGB28181(cam.URL)
		if err != nil {
			continue
		}
		at := [2]string{a.Device, a.Channel}
		if _, twice := places[at]; !twice {
			places[at] = cam
			devices[a.Device] = append(devices[a.Device], cam.ID)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byPlace, c.byDevice = places, devices
}

// of returns the camera at a channel, "" for none.
func (c *cameras) of(device, channel string) string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.byPlace[[2]string{device, channel}].ID
}

// only returns the camera of a device that has one, "" when it has none or more.
func (c *cameras) only(device string) string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if ids := c.byDevice[device]; len(ids) == 1 {
		return ids[0]
	}
	return ""
}

// ChangeKind is how catalogue and configuration differ.
type ChangeKind string

// The kinds of differences.
const (
	ChangeNew      ChangeKind = "new"      // a camera of the catalogue that is not configured
	ChangeGone     ChangeKind = "gone"     // a configured camera that a complete catalogue does not have
	ChangeRenamed  ChangeKind = "renamed"  // it has another name there
	ChangeDivision ChangeKind = "division" // it says that it stands in another village
)

// Change is one difference between what a device has and what is configured. It is
// for a person to decide: nothing is ever rewritten.
type Change struct {
	Device     string     `json:"device"`
	Channel    string     `json:"channel"`
	Camera     string     `json:"camera,omitempty"` // "" of a new channel
	Kind       ChangeKind `json:"kind"`
	Configured string     `json:"configured,omitempty"` // name or division as configured
	Reported   string     `json:"reported,omitempty"`   // as the device has it
}

// Changes compares the catalogues with the configured cameras, by device and
// channel. A camera is gone only where the last catalogue was complete. Devices
// that never sent one are left out.
func (p *Platform) Changes() []Change {
	var list []Change
	for _, id := range p.deviceIDs() {
		list = append(list, p.cameras.compare(p.Channels(id))...)
	}
	return list
}

// deviceIDs lists the devices that were heard or have configured cameras, sorted.
func (p *Platform) deviceIDs() []string {
	var ids []string
	for _, d := range p.allDevices() {
		ids = append(ids, d.id)
	}
	p.cameras.mu.RLock()
	for id := range p.cameras.byDevice {
		ids = append(ids, id)
	}
	p.cameras.mu.RUnlock()
	slices.Sort(ids)
	return slices.Compact(ids)
}

func (c *cameras) compare(cat Catalogue) []Change {
	if cat.At.IsZero() {
		return nil
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	var list []Change
	reported := make(map[string]bool)
	for _, ch := range cat.Channels {
		id := ch.Item.DeviceID
		reported[id] = true
		cam, configured := c.byPlace[[2]string{cat.Device, id}]
		base := Change{Device: cat.Device, Channel: id, Camera: cam.ID}
		switch {
		case !configured && ch.Kind != KindCamera:
		case !configured:
			base.Kind, base.Reported = ChangeNew, ch.Item.Name
			list = append(list, base)
		default:
			if name := strings.TrimSpace(ch.Item.Name); name != "" && name != cam.Name {
				base.Kind, base.Configured, base.Reported = ChangeRenamed, cam.Name, name
				list = append(list, base)
			}
			if ch.Village != "" && ch.Village != cam.Division {
				base.Kind, base.Configured, base.Reported = ChangeDivision, cam.Division, ch.Village
				list = append(list, base)
			}
		}
	}
	if cat.Complete {
		for at, cam := range c.byPlace {
			if at[0] == cat.Device && !reported[at[1]] {
				list = append(list, Change{Device: at[0], Channel: at[1], Camera: cam.ID, Kind: ChangeGone, Configured: cam.Name})
			}
		}
	}
	slices.SortFunc(list, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Kind, b.Kind))
	})
	return list
}

// Propose writes the cameras of a device that are not configured yet as entries of
// edge.cameras, for a person to complete and paste. What the device does not tell
// is left empty with the word 待填, and the program refuses the entry until it is
// filled in: the division above all, and the legal basis, without which a camera
// is shown and never analysed. It is "" when nothing is new.
func (p *Platform) Propose(deviceID string) string {
	return p.cameras.propose(p.Channels(deviceID))
}

func (c *cameras) propose(cat Catalogue) string {
	var b strings.Builder
	fresh := make(map[string]bool)
	for _, ch := range c.compare(cat) {
		if ch.Kind == ChangeNew {
			fresh[ch.Channel] = true
		}
	}
	taken := c.ids()
	for _, ch := range cat.Channels {
		if fresh[ch.Item.DeviceID] {
			id := freeID(ch.Item.DeviceID, cat.Device, taken)
			taken[id] = true
			proposeCamera(&b, id, cat.Device, ch)
		}
	}
	return b.String()
}

// ids are those of every configured camera behind GB/T 28181.
func (c *cameras) ids() map[string]bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	ids := make(map[string]bool)
	for _, cam := range c.byPlace {
		ids[cam.ID] = true
	}
	return ids
}

// freeID makes the ID of a new camera: the channel's where that is one and no
// other camera has it; else with the end of the device's in front.
func freeID(channel, device string, taken map[string]bool) string {
	id := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '-'
	}, channel)
	id = id[:min(len(id), 32)]
	for n := 0; taken[id] || id == ""; n++ {
		tail := channel[max(len(channel)-8, 0):]
		id = "gb-" + device[max(len(device)-8, 0):] + "-" + tail
		if n > 0 {
			id += "-" + strconv.Itoa(n)
		}
	}
	return id
}

// proposeCamera writes one entry. Values are double-quoted, so that a name of a
// device cannot be anything but a name.
func proposeCamera(b *strings.Builder, id, device string, ch Channel) {
	line := func(key, value, note string) {
		b.WriteString("  " + key + ": " + yamlQuote(value))
		if note != "" {
			b.WriteString(" # " + note)
		}
		b.WriteByte('\n')
	}
	b.WriteString("- id: " + yamlQuote(id) + "\n")
	name := strings.TrimSpace(ch.Item.Name)
	if name == "" {
		name = id
	}
	line("name", shorten(name, 128), "")
	line("url", "gb28181://"+device+"/"+ch.Item.DeviceID, "")
	if ch.Village != "" {
		line("division", ch.Village, "设备上报，请核对 reported by the device: check it")
	} else {
		line("division", "", "待填：12 位区划代码 to fill in: 12 digits, the device does not tell")
	}
	if ch.Item.Address != "" {
		line("place", shorten(ch.Item.Address, 256), "")
	}
	line("legal_basis", "unknown", "待定：A7.1、A7.2 或 A9；unknown 只看不分析 to decide; unknown is shown, never analysed")
	if lon, lat := ch.Item.Longitude, ch.Item.Latitude; lon != nil && lat != nil && (*lon != 0 || *lat != 0) {
		note := "坐标系待核对 check the datum: WGS-84 is not certain"
		fmt.Fprintf(b, "  lon: %s # %s\n", strconv.FormatFloat(*lon, 'f', -1, 64), note)
		fmt.Fprintf(b, "  lat: %s\n", strconv.FormatFloat(*lat, 'f', -1, 64))
	}
}

// yamlQuote writes a double-quoted scalar of YAML 1.2 on one line.
func yamlQuote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
