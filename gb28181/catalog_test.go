package gb28181

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/gb28181/manscdp"
	"github.com/sharpeyes/sharpeyes/gb28181/simulate"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// camID is the ID of the n-th camera of a test.
func camID(n int) string { return fmt.Sprintf("36092100001320%06d", n) }

// part writes one message of a catalogue by hand.
func part(sum int, items ...string) []byte {
	return []byte(fmt.Sprintf("<?xml version=\"1.0\" encoding=\"GB2312\"?>\r\n<Response>\r\n<CmdType>Catalog</CmdType>\r\n<SN>1</SN>\r\n<DeviceID>%s</DeviceID>\r\n<SumNum>%d</SumNum>\r\n<DeviceList Num=\"%d\">\r\n%s</DeviceList>\r\n</Response>\r\n",
		boxID, sum, len(items), strings.Join(items, "")))
}

func itemOf(id, name, status string) string {
	return "<Item>\r\n<DeviceID>" + id + "</DeviceID>\r\n<Name>" + name + "</Name>\r\n<Status>" + status + "</Status>\r\n</Item>\r\n"
}

func feed(t testing.TB, a *assembly, bodies ...[]byte) (done bool) {
	t.Helper()
	for _, b := range bodies {
		m, err := manscdp.Decode(b, "")
		require.NoError(t, err)
		done = a.add(b, m)
	}
	return done
}

func TestAssembly(t *testing.T) {
	a, b, c := itemOf(camID(1), "a", "ON"), itemOf(camID(2), "b", "ON"), itemOf(camID(3), "c", "OFF")
	for _, x := range []struct {
		name           string
		bodies         [][]byte
		items          int
		done, complete bool
	}{
		{"one message", [][]byte{part(3, a, b, c)}, 3, true, true},
		{"one channel in each", [][]byte{part(3, a), part(3, b), part(3, c)}, 3, true, true},
		{"out of order", [][]byte{part(3, c), part(3, a), part(3, b)}, 3, true, true},
		{"one still missing", [][]byte{part(3, a), part(3, b)}, 2, false, false},
		{"a message repeated by the network", [][]byte{part(3, a), part(3, a), part(3, b), part(3, b)}, 2, false, false},
		{"an empty catalogue", [][]byte{part(0)}, 0, true, true},
		{"channels that share an ID", [][]byte{part(3, a), part(3, itemOf(camID(1), "twin", "ON")), part(3, b)}, 2, false, true},
		{"more than announced", [][]byte{part(1, a, b)}, 2, true, true},
		{"the announced number grows", [][]byte{part(1, a), part(3, b)}, 2, false, false},
		{"a message that broke off", [][]byte{part(2, a), bytes.SplitAfter(part(2, b), []byte("<Status>"))[0]}, 1, false, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			as := newAssembly()
			assert.Equal(t, x.done, feed(t, as, x.bodies...), "done")
			assert.Equal(t, x.complete, as.settled(), "settled")
			assert.Len(t, as.items, x.items)
		})
	}
	assert.False(t, newAssembly().settled(), "nothing heard is no empty catalogue")
}

func TestAssemblyIsBounded(t *testing.T) {
	a := newAssembly()
	for n := 0; n < maxItems+500; n += 500 {
		items := make([]string, 500)
		for i := range items {
			items[i] = itemOf(camID(n+i), "x", "ON")
		}
		feed(t, a, part(maxItems+500, items...))
	}
	assert.Len(t, a.items, maxItems)
	assert.Equal(t, 500, a.left)
	assert.True(t, a.complete())
}

// TestShelfKeepsWhatIsMissing is the rule that no partial answer takes a channel
// off.
func TestShelfKeepsWhatIsMissing(t *testing.T) {
	now := time.Now()
	var s shelf
	all := newAssembly()
	feed(t, all, part(3, itemOf(camID(1), "a", "ON"), itemOf(camID(2), "b", "ON"), itemOf(camID(3), "c", "OFF")))
	s.take(all, now)
	part1 := newAssembly()
	feed(t, part1, part(3, itemOf(camID(1), "renamed", "OFF")))
	s.take(part1, now.Add(time.Minute))
	got := s.list(boxID, ingest.Fact{Value: ingest.Yes})
	require.Len(t, got.Channels, 3)
	assert.False(t, got.Complete)
	assert.Equal(t, "renamed", got.Channels[0].Item.Name)
	assert.Equal(t, ingest.No, got.Channels[0].Status.Value)
	assert.Equal(t, ReasonChannelOff, got.Channels[0].Status.Reason)
	assert.Equal(t, ingest.Yes, got.Channels[1].Status.Value)
	assert.Equal(t, now, got.Channels[1].Status.Since, "since when does not move without a change")

	two := newAssembly()
	feed(t, two, part(2, itemOf(camID(1), "a", "ON"), itemOf(camID(3), "c", "ON")))
	s.take(two, now.Add(2*time.Minute))
	got = s.list(boxID, ingest.Fact{Value: ingest.Yes})
	require.Len(t, got.Channels, 2, "a complete answer replaces all")
	assert.True(t, got.Complete)
}

func TestShelfNotify(t *testing.T) {
	now := time.Now()
	var s shelf
	a := newAssembly()
	feed(t, a, part(2, itemOf(camID(1), "a", "ON"), itemOf(camID(2), "b", "ON")))
	s.take(a, now)
	fact := func(id string) ingest.Fact {
		for _, c := range s.list(boxID, ingest.Fact{Value: ingest.Yes}).Channels {
			if c.Item.DeviceID == id {
				return c.Status
			}
		}
		return ingest.Fact{}
	}
	for _, x := range []struct {
		event  string
		value  ingest.Value
		reason ingest.Reason
	}{{"OFF", ingest.No, ReasonChannelOff}, {"ON", ingest.Yes, ""}, {"VLOST", ingest.No, ReasonVideoLost}, {"DEFECT", ingest.No, ReasonDefect}} {
		assert.False(t, s.notify(manscdp.Item{DeviceID: camID(1), Event: x.event}, now), x.event)
		assert.Equal(t, x.value, fact(camID(1)).Value, x.event)
		assert.Equal(t, x.reason, fact(camID(1)).Reason, x.event)
	}
	again := newAssembly()
	feed(t, again, part(2, itemOf(camID(1), "a", "ON"), itemOf(camID(2), "b", "ON")))
	s.take(again, now)
	assert.Equal(t, ReasonDefect, fact(camID(1)).Reason, "ON in a catalogue does not take a defect back")
	s.notify(manscdp.Item{DeviceID: camID(1), Event: "ON"}, now)
	assert.Equal(t, ingest.Yes, fact(camID(1)).Value, "an event does")

	assert.False(t, s.notify(manscdp.Item{DeviceID: camID(3), Event: "ADD", Name: "c", Status: "ON"}, now))
	assert.Equal(t, ingest.Yes, fact(camID(3)).Value)
	assert.True(t, s.notify(manscdp.Item{DeviceID: camID(4), Event: "ADD"}, now), "an addition without a name: the catalogue must be asked for")
	assert.True(t, s.notify(manscdp.Item{DeviceID: camID(5), Event: "ON"}, now), "so must the state of an unknown channel")
	assert.False(t, s.notify(manscdp.Item{DeviceID: camID(2), Event: "UPDATE", Name: "bb", Status: "OFF"}, now))
	assert.Equal(t, ReasonChannelOff, fact(camID(2)).Reason)
	assert.False(t, s.notify(manscdp.Item{DeviceID: camID(2), Event: "DEL"}, now))
	assert.Len(t, s.list(boxID, ingest.Fact{Value: ingest.Yes}).Channels, 2)
}

// TestStatusOfBoth checks that a channel is not called there while its device is
// away.
func TestStatusOfBoth(t *testing.T) {
	var s shelf
	a := newAssembly()
	feed(t, a, part(1, itemOf(camID(1), "a", "ON")))
	s.take(a, time.Now())
	for _, x := range []struct{ registered, want ingest.Value }{{ingest.Yes, ingest.Yes}, {ingest.No, ingest.No}, {ingest.Unknown, ingest.Unknown}} {
		assert.Equal(t, x.want, s.list(boxID, ingest.Fact{Value: x.registered}).Channels[0].Status.Value)
	}
	assert.Equal(t, ReasonDeviceAway, s.list(boxID, ingest.Fact{Value: ingest.No}).Channels[0].Status.Reason)
}

func TestShelvesSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	ss := newShelves(dir)
	a := newAssembly()
	feed(t, a, part(1, itemOf(camID(1), "a", "OFF")))
	at := time.Now()
	ss.of(boxID).take(a, at)
	ss.save(func(err error) { require.NoError(t, err) })
	got := newShelves(dir).of(boxID).list(boxID, ingest.Fact{Value: ingest.Yes})
	require.Len(t, got.Channels, 1)
	assert.True(t, got.Complete)
	assert.True(t, at.Equal(got.At))
	assert.Equal(t, ReasonChannelOff, got.Channels[0].Status.Reason)
	files, err := os.ReadDir(filepath.Join(dir, "catalogues"))
	require.NoError(t, err)
	assert.Len(t, files, 1, "no temporary file stays")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "catalogues", boxID+".json"), []byte("{broken"), 0o600))
	assert.Empty(t, newShelves(dir).of(boxID).list(boxID, ingest.Fact{}).Channels, "a broken file is an empty shelf")
	assert.Empty(t, newShelves(dir).of("../../etc/passwd").Entries)
}

func TestKinds(t *testing.T) {
	for _, x := range []struct {
		id          string
		holds, self bool
		want        ChannelKind
	}{
		{"36", false, false, KindRegion}, {"3609", false, false, KindRegion}, {"360921", true, false, KindRegion}, {"36092110", true, false, KindRegion},
		{"36092100001320000001", false, false, KindCamera}, {"36092100001310000001", false, false, KindCamera},
		{"36092100002150000001", false, false, KindGroup}, {"36092100002160000001", true, false, KindOrganisation},
		{"36092100001340000001", false, false, KindAlarmInput},
		{"36092100001180000001", true, false, KindDevice}, {"36092100001180000001", false, true, KindDevice},
		{"36092100001180000002", false, false, KindCamera}, // a recorder's type with nothing below it
		{"36092100001370000001", false, false, KindOther},
		{"3609210000132000000101", false, false, KindCamera}, // 22 digits are met
		{"36092100009990000001", false, false, KindCamera}, {"36092100009990000001", true, false, KindDevice},
	} {
		assert.Equal(t, x.want, kindOf(x.id, x.holds, x.self), x.id)
	}
}

func TestTree(t *testing.T) {
	item := func(id, parent, civil, group string) manscdp.Item {
		return manscdp.Item{DeviceID: id, ParentID: parent, CivilCode: civil, BusinessGroupID: group}
	}
	const group, org1, org2, nvr, cam, loose = "36092100002150000001", "36092100002160000001", "36092100002160000002", "36092100001180000001", "36092100001320000001", "36092100001320000002"
	var c Catalogue
	for _, i := range []manscdp.Item{
		item("36", "", "", ""), item("3609", "", "", ""), item("360921", "3609", "", ""),
		item(group, "360921", "", ""), item(org1, "", "", group), item(org2, org1, "", ""),
		item(nvr, "", "360921", ""), item(cam, org2+"/"+nvr, "360921", ""), item(loose, "36092199999999999999", "", ""),
		item("36092100002160000008", "36092100002160000009", "", ""), item("36092100002160000009", "36092100002160000008", "", ""), // a loop
	} {
		c.Channels = append(c.Channels, Channel{Item: i})
	}
	var walk func(nodes []*Node, indent string) string
	walk = func(nodes []*Node, indent string) string {
		s := ""
		for _, n := range nodes {
			s += indent + n.Channel.Item.DeviceID + "\n" + walk(n.Children, indent+" ")
		}
		return s
	}
	assert.Equal(t, strings.Join([]string{
		"36", " 3609", "  360921", "   " + nvr, "    " + cam, "   " + group, "    " + org1, "     " + org2, "      " + cam,
		loose, "36092100002160000008", " 36092100002160000009", "",
	}, "\n"), walk(c.Tree(), ""))
}

func TestTreeIsBounded(t *testing.T) {
	var c Catalogue
	for layer := range 12 { // each of ten entries below each of the ten above it
		for n := range 10 {
			var parents []string
			for m := range 10 {
				parents = append(parents, fmt.Sprintf("%02d-%d", layer-1, m))
			}
			c.Channels = append(c.Channels, Channel{Item: manscdp.Item{DeviceID: fmt.Sprintf("%02d-%d", layer, n), ParentID: strings.Join(parents, "/")}})
		}
	}
	count := 0
	var walk func(nodes []*Node)
	walk = func(nodes []*Node) {
		count += len(nodes)
		for _, n := range nodes {
			walk(n.Children)
		}
	}
	walk(c.Tree())
	assert.LessOrEqual(t, count, maxTreeNodes+len(c.Channels))
}

// TestCatalogueOfManyChannels lets a recorder send 5,000 channels out of order.
func TestCatalogueOfManyChannels(t *testing.T) {
	b := boxed(t, configs.GB28181{}, simulate.Options{Channels: 5000, Shuffle: true, PageSize: 20, Charset: "GB2312"})
	until(t, func() bool { return len(b.Channels(boxID).Channels) == 5000 }, "5,000 channels")
	c := b.Channels(boxID)
	assert.True(t, c.Complete)
	assert.Equal(t, 5000, c.Announced)
	assert.Equal(t, ingest.Yes, c.Channels[4999].Status.Value)
	assert.Equal(t, "模拟村口", c.Channels[4999].Item.Address)
	assert.Equal(t, boxID[:6]+"100201", c.Channels[rand.IntN(5000)].Village)
}

// TestCatalogueOfDeviations holds the platform to what simulated devices do wrong.
func TestCatalogueOfDeviations(t *testing.T) {
	for _, x := range []struct {
		fault simulate.Faults
		quirk string
		want  int
	}{{simulate.GBKLie, "xml-charset", 3}, {simulate.BareXML, "xml-ampersand", 3}, {simulate.DuplicateIDs, quirkDuplicateIDs, 2}} {
		t.Run(x.fault.String(), func(t *testing.T) {
			t.Parallel()
			p, err := New(Options{Config: boxConfig()})
			require.NoError(t, err)
			p.shelves.idle = 200 * time.Millisecond
			b := boxedWith(t, p, simulate.Options{Channels: 3, Faults: x.fault})
			until(t, func() bool { return len(b.Channels(boxID).Channels) == x.want }, "channels")
			assert.True(t, b.Channels(boxID).Complete)
			assert.Contains(t, b.QuirksOf(boxID), x.quirk)
			for _, c := range b.Channels(boxID).Channels {
				assert.NotContains(t, c.Item.Name, "\uFFFD")
				assert.Equal(t, "模拟村口", strings.TrimSuffix(c.Item.Address, " A&B"))
			}
		})
	}
}

// TestCatalogueByNotification follows a channel through a subscription.
func TestCatalogueByNotification(t *testing.T) {
	b := boxed(t, configs.GB28181{}, simulate.Options{Channels: 2})
	until(t, func() bool {
		return b.saw(simulate.EventSubscribed, "Catalog") > 0 && len(b.Channels(boxID).Channels) == 2
	}, "subscribed")
	id := b.sim.Channels(boxID)[1]
	status := func() ingest.Fact {
		for _, c := range b.Channels(boxID).Channels {
			if c.Item.DeviceID == id {
				return c.Status
			}
		}
		return ingest.Fact{}
	}
	for _, x := range []struct {
		event string
		want  ingest.Reason
	}{{"OFF", ReasonChannelOff}, {"ON", ""}, {"VLOST", ReasonVideoLost}} {
		require.NoError(t, b.sim.SetStatus(t.Context(), boxID, id, x.event))
		until(t, func() bool { return status().Reason == x.want }, "%s", x.event)
	}
}

func TestItemQuirks(t *testing.T) {
	id := camID(1)
	for _, x := range []struct {
		name string
		item manscdp.Item
		want []string
	}{
		{"as it should be", manscdp.Item{DeviceID: id, Status: "ON", CivilCode: "360921"}, nil},
		{"Hikvision's Parental", manscdp.Item{DeviceID: id, Parental: 65535}, []string{quirkParental}},
		{"words of status", manscdp.Item{DeviceID: id, Status: "ONLINE"}, []string{quirkStatusWords}},
		{"a placeholder as civil code", manscdp.Item{DeviceID: id, CivilCode: "CivilCode"}, []string{quirkCivilCode}},
		{"22 digits", manscdp.Item{DeviceID: id + "01"}, []string{quirkChannelID}},
		{"a region", manscdp.Item{DeviceID: "360921"}, nil},
	} {
		t.Run(x.name, func(t *testing.T) { assert.Equal(t, x.want, itemQuirks(x.item)) })
	}
}

// TestShortCatalogue lets a recorder announce more than it sends.
func TestShortCatalogue(t *testing.T) {
	p, err := New(Options{Config: defaultConfig()})
	require.NoError(t, err)
	p.shelves.idle = 100 * time.Millisecond
	p.onRegistered = nil
	run(t, p)
	d := dial(t, p, "udp", "127.0.0.1", cameraID, secret)
	require.Equal(t, 200, status(d.register("r", 3600)))
	p.attendance.want(p.device(cameraID), choreCatalogue, time.Now())
	ask := d.getRequest("MESSAGE", "<CmdType>Catalog</CmdType>")
	d.answer(ask, 200, "", "")
	sn := strings.Split(strings.Split(ask, "<SN>")[1], "</SN>")[0]
	d.send(d.message(strings.Replace(string(part(3, itemOf(camID(1), "a", "ONLINE"))), "<SN>1<", "<SN>"+sn+"<", 1)))
	until(t, func() bool { return len(p.Channels(cameraID).Channels) == 1 }, "one channel")
	until(t, func() bool { return slices.Contains(p.QuirksOf(cameraID), quirkShortCatalogue) }, "quirks")
	c := p.Channels(cameraID)
	assert.False(t, c.Complete)
	assert.Equal(t, 3, c.Announced)
	until(t, func() bool { return slices.Contains(p.QuirksOf(cameraID), quirkStatusWords) }, "quirk of its words")
}
