package gb28181

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/gb28181/manscdp"
)

// TestQuirksByVendor recognises devices by what they write of themselves, in the
// spellings seen in the field.
func TestQuirksByVendor(t *testing.T) {
	for _, x := range []struct {
		name, maker, agent string
		want               []string
	}{
		{"Hikvision recorder by its agent", "", "Embedded Net DVR/NVR/DVS", []string{quirkGuardFirst, quirkStreamProfile}},
		{"Hikvision camera by its agent", "", "IP Camera", []string{quirkGuardFirst, quirkStreamProfile}},
		{"Hikvision by maker", "HIKVISION DIGITAL", "", []string{quirkGuardFirst, quirkStreamProfile}},
		{"Dahua by its agent", "", "SIP UAS V3.0.0.833566", []string{quirkDeviceTarget, quirkStreamProfile}},
		{"Dahua by maker", "DAHUA", "", []string{quirkDeviceTarget, quirkStreamProfile}},
		{"Uniview", "UNIVIEW", "", []string{quirkStreamProfile}},
		{"TP-Link", "TP-LINK", "", []string{quirkStreamMode}},
		{"nobody known", "Simulated", "sharpeyes-simulate", nil},
		{"nothing said", "", "", nil},
	} {
		t.Run(x.name, func(t *testing.T) {
			ps := newProfiles()
			d := deviceOf(cameraID)
			d.userAgent = x.agent
			ps.learnMaker(d.id, x.maker)
			assert.Equal(t, x.want, ps.list(d))
		})
	}
}

func TestQuirksAreCountedAndForgotten(t *testing.T) {
	ps := newProfiles()
	d := deviceOf(cameraID, quirkGuardFirst)
	assert.True(t, ps.holds(d, quirkGuardFirst), "the configuration names it")
	assert.False(t, ps.holds(d, quirkPresence))
	assert.True(t, ps.saw(d.id, quirkPresence))
	assert.False(t, ps.saw(d.id, quirkPresence), "not the first time")
	assert.True(t, ps.holds(d, quirkPresence))
	assert.InDelta(t, 3, counterOf(t, ps.hits.WithLabelValues(quirkPresence)), 0)
	assert.InDelta(t, 1, counterOf(t, ps.hits.WithLabelValues(quirkGuardFirst)), 0)
	ps.forget(d.id, quirkPresence)
	assert.Equal(t, []string{quirkGuardFirst}, ps.list(d))
}

// TestQuirkTable checks that each row can be named in the configuration and says
// what it is and does.
func TestQuirkTable(t *testing.T) {
	seen := map[string]bool{}
	form := regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`) // as in configs
	for _, q := range Quirks() {
		assert.Regexp(t, form, q.Name)
		assert.NotEmpty(t, q.What, q.Name)
		assert.NotEmpty(t, q.Effect, q.Name)
		assert.False(t, seen[q.Name], q.Name)
		seen[q.Name] = true
	}
	assert.Len(t, seen, len(quirkTable)+len(manscdp.RepairNames()))
}

func TestUnknownQuirkIsRefused(t *testing.T) {
	_, err := New(Options{Config: boxConfig("no-such")})
	require.Error(t, err)
	assert.Contains(t, err.Error(), quirkGuardFirst, "it says what can be written")
	_, err = New(Options{Config: boxConfig(quirkGuardFirst)})
	assert.NoError(t, err)
}

// TestStreamAttribute is how each vendor is asked for the second stream.
func TestStreamAttribute(t *testing.T) {
	p, err := New(Options{Config: boxConfig()})
	require.NoError(t, err)
	for _, x := range []struct {
		name, maker, version string
		stream               int
		want                 manscdp.Attribute
	}{
		{"2022", "Hikvision", "3.0", 1, manscdp.Attribute{Name: "streamnumber", Value: "1"}},
		{"2016, Dahua", "Dahua", "2.0", 1, manscdp.Attribute{Name: "streamprofile", Value: "1"}},
		{"2016, unknown", "x", "2.0", 2, manscdp.Attribute{Name: "streamnumber", Value: "2"}},
		{"TP-Link, second", "TP-LINK", "2.0", 1, manscdp.Attribute{Name: "streamMode", Value: "sub"}},
		{"TP-Link, first", "TP-LINK", "2.0", 0, manscdp.Attribute{Name: "streamMode", Value: "main"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			d := deviceOf(x.name)
			d.gbver = x.version
			p.profiles.learnMaker(d.id, x.maker)
			assert.Equal(t, x.want, p.streamAttribute(d, x.stream))
		})
	}
}

// TestTargetOfADevice: Dahua takes guard under the device's ID only.
func TestTargetOfADevice(t *testing.T) {
	for _, x := range []struct{ agent, want string }{{"SIP UAS V3.0.0.833566", cameraID}, {"Embedded Net DVR/NVR/DVS", camID(1)}} {
		t.Run(x.agent, func(t *testing.T) {
			p, err := New(Options{Config: defaultConfig()})
			require.NoError(t, err)
			p.onRegistered = nil
			run(t, p)
			d := dial(t, p, "udp", "127.0.0.1", cameraID, secret)
			require.Equal(t, 200, status(d.register("r", 3600)))
			dev := p.device(cameraID)
			dev.mu.Lock()
			dev.userAgent = x.agent
			dev.mu.Unlock()
			done := make(chan error, 1)
			go func() { done <- p.Control(t.Context(), cameraID, camID(1), ControlCmd{Kind: ControlReboot}) }()
			ask := d.getRequest("MESSAGE", "TeleBoot")
			assert.Contains(t, ask, "<DeviceID>"+x.want+"</DeviceID>")
			d.answer(ask, 200, "", "")
			require.NoError(t, <-done)
		})
	}
}

// TestReadmeNamesEveryQuirk holds the table of the README to Quirks.
func TestReadmeNamesEveryQuirk(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	var rows, want []string
	_, section, found := strings.Cut(string(readme), "## Quirks\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		if strings.HasPrefix(line, "| `") {
			rows = append(rows, strings.TrimSpace(line))
		}
	}
	for _, q := range Quirks() {
		known := "what it does"
		if len(q.Makers)+len(q.Agents) > 0 {
			known = strings.Join(append(slices.Clone(q.Makers), q.Agents...), ", ")
		}
		want = append(want, fmt.Sprintf("| `%s` | %s | %s | %s |", q.Name, q.What, known, q.Effect))
	}
	assert.Equal(t, strings.Join(want, "\n"), strings.Join(rows, "\n"))
}
