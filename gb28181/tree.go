package gb28181

import (
	"cmp"
	"slices"

	"github.com/sharpeyes/sharpeyes/gb28181/manscdp"
)

// ChannelKind is what an entry of a catalogue is, by digits 11 to 13 of its ID
// (annex E) and by what stands below it.
type ChannelKind string

// The kinds of entries.
const (
	KindCamera       ChannelKind = "camera"       // sends pictures
	KindDevice       ChannelKind = "device"       // recorder, encoder, or another holder of channels
	KindRegion       ChannelKind = "region"       // civil code of 2, 4, 6 or 8 digits
	KindGroup        ChannelKind = "group"        // business group, type 215
	KindOrganisation ChannelKind = "organisation" // virtual organisation, type 216
	KindAlarmInput   ChannelKind = "alarm_input"  // type 134
	KindOther        ChannelKind = "other"        // microphone, loudspeaker, barrier …
)

// kindByType is annex E, as far as it tells channels from the rest.
var kindByType = map[string]ChannelKind{
	"131": KindCamera, "132": KindCamera, "122": KindCamera,
	"134": KindAlarmInput, "117": KindDevice,
	"215": KindGroup, "216": KindOrganisation, "200": KindOrganisation,
	"111": KindDevice, "112": KindDevice, "113": KindDevice, "114": KindDevice, "115": KindDevice, "116": KindDevice,
	"118": KindDevice, "119": KindDevice, "120": KindDevice, "130": KindDevice,
	"133": KindOther, "135": KindOther, "136": KindOther, "137": KindOther, "138": KindOther, "139": KindOther,
	"140": KindOther, "141": KindOther, "142": KindOther, "143": KindOther,
}

// kindsOf tells what each entry is. A recorder's type is taken for a camera where
// nothing stands below it and it is not the device itself: cheap cameras give
// their only channel the type of a recorder.
func kindsOf(device string, entries map[string]*entry) map[string]ChannelKind {
	parents := make(map[string]bool)
	for _, e := range entries {
		for _, id := range e.Item.Parents() {
			parents[id] = true
		}
	}
	kinds := make(map[string]ChannelKind, len(entries))
	for id := range entries {
		kinds[id] = kindOf(id, parents[id], id == device)
	}
	return kinds
}

func kindOf(id string, holds, self bool) ChannelKind {
	if isCivilCode(id) {
		return KindRegion
	}
	if !isID([]byte(id)) {
		return KindCamera // of a form of the vendor's own
	}
	kind, known := kindByType[id[10:13]]
	switch {
	case !known && holds:
		return KindDevice
	case !known:
		return KindCamera
	case kind == KindDevice && !holds && !self:
		return KindCamera
	}
	return kind
}

// isCivilCode says whether s is a civil code: 2, 4, 6 or 8 digits.
func isCivilCode(s string) bool {
	if n := len(s); n != 2 && n != 4 && n != 6 && n != 8 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// Node is an entry of the tree that a catalogue makes.
type Node struct {
	Channel  Channel `json:"channel"`
	Children []*Node `json:"children,omitempty"`
}

// Tree arranges a catalogue by parents: regions, business groups, organisations,
// devices. An entry with several parents stands below each of them; one whose
// parents are all unknown stands at the top. Loops, which devices do send, are
// cut, and no branch is deeper than 16.
func (c *Catalogue) Tree() []*Node {
	t := tree{byID: make(map[string]Channel, len(c.Channels)), below: make(map[string][]string)}
	for _, ch := range c.Channels {
		t.byID[ch.Item.DeviceID] = ch
	}
	var top []string
	for _, ch := range c.Channels {
		id, placed := ch.Item.DeviceID, false
		for _, parent := range t.parentsOf(&ch.Item) {
			if _, known := t.byID[parent]; known {
				t.below[parent] = append(t.below[parent], id)
				placed = true
			}
		}
		if !placed {
			top = append(top, id)
		}
	}
	nodes := t.nodes(top, nil)
	// A loop hangs below nothing: its first entry goes to the top.
	for _, ch := range c.Channels {
		if id := ch.Item.DeviceID; !t.reached[id] {
			nodes = append(nodes, t.nodes([]string{id}, nil)...)
		}
	}
	return nodes
}

type tree struct {
	byID    map[string]Channel
	below   map[string][]string
	reached map[string]bool
	count   int
}

// parentsOf lists where an entry belongs: ParentID, the business group of an
// organisation that names no parent, and the region of one that names neither.
func (t *tree) parentsOf(i *manscdp.Item) []string {
	parents := i.Parents()
	if len(parents) == 0 && i.BusinessGroupID != "" && i.BusinessGroupID != i.DeviceID {
		parents = []string{i.BusinessGroupID}
	}
	if len(parents) == 0 && i.CivilCode != "" && i.CivilCode != i.DeviceID {
		parents = []string{i.CivilCode}
	}
	if len(parents) == 0 && isCivilCode(i.DeviceID) && len(i.DeviceID) > 2 {
		parents = []string{i.DeviceID[:len(i.DeviceID)-2]}
	}
	return parents
}

const (
	maxTreeDepth = 16
	maxTreeNodes = 4 * maxItems // several parents for each multiply a tree
)

func (t *tree) nodes(ids, path []string) []*Node {
	if t.reached == nil {
		t.reached = make(map[string]bool)
	}
	var list []*Node
	for _, id := range ids {
		t.reached[id] = true
		if slices.Contains(path, id) || t.count >= maxTreeNodes {
			continue
		}
		t.count++
		n := &Node{Channel: t.byID[id]}
		if len(path) < maxTreeDepth {
			n.Children = t.nodes(t.below[id], append(path, id))
		}
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b *Node) int { return cmp.Compare(a.Channel.Item.DeviceID, b.Channel.Item.DeviceID) })
	return list
}
