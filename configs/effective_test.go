package configs

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEffective(t *testing.T) {
	bare := Camera{ID: "a", Rules: []Rule{{ID: "r", Kind: "dwell"}, {ID: "f", Kind: "camera_fault"}, {ID: "l", Kind: "line_cross", Direction: "left", Of: 9}, {ID: "m", Kind: "motion_in_schedule"}}}
	c := bare.Effective(Stream{})
	require.Equal(t, Stream{Transport: "auto", Stream: "main", Timeout: Duration(10 * time.Second), FrozenFor: Duration(30 * time.Second), AnalyseFPS: 8, DetectFPS: 2, Gate: defaultStream().Gate}, c.Settings)
	require.Equal(t, "unknown", c.LegalBasis)
	require.Equal(t, Motion{MotionCells, 20, 0.0005, 0.03, 0.5}, c.Motion)
	require.Equal(t, Rule{ID: "r", Kind: "dwell", Classes: []string{"person"}, MinScore: 0.4, Frames: 2, Of: 3, After: Duration(3 * time.Minute), CloseAfter: Duration(10 * time.Second), Level: 3}, c.Rules[0])
	require.Equal(t, Rule{ID: "f", Kind: "camera_fault", After: Duration(30 * time.Second), CloseAfter: Duration(10 * time.Second), Level: 3}, c.Rules[1])
	require.Equal(t, "left", c.Rules[2].Direction)
	require.Equal(t, 9, c.Rules[2].Of)
	require.Equal(t, Rule{ID: "m", Kind: "motion_in_schedule", Frames: 2, Of: 3, CloseAfter: Duration(10 * time.Second), Level: 3}, c.Rules[3])
	require.Zero(t, bare.Rules[0].Frames, "the original is not touched")
	require.Equal(t, c, c.Effective(Stream{Timeout: 1}), "twice changes nothing")

	defaults := Stream{Transport: "udp", Stream: "sub", Timeout: Duration(time.Minute), AnalyseFPS: 4}
	c = Camera{ID: "a", Settings: Stream{AnalyseFPS: 5}}.Effective(defaults)
	require.Equal(t, Stream{Transport: "udp", Stream: "main", Timeout: Duration(time.Minute), FrozenFor: Duration(30 * time.Second), AnalyseFPS: 5, DetectFPS: 2, Gate: defaultStream().Gate}, c.Settings, "no substream, no sub")
	c = Camera{ID: "a", Settings: Stream{Gate: Gate{Threshold: 5}}}.Effective(Stream{Gate: Gate{Mode: "full", Threshold: 8}})
	require.Equal(t, "full", c.Settings.Gate.Mode)
	require.Equal(t, 5.0, c.Settings.Gate.Threshold)
	require.Equal(t, time.Second, c.Settings.Gate.Hold.Std())
	c = Camera{ID: "a", SubstreamURL: "rtsp://h/2"}.Effective(Stream{})
	require.Equal(t, StreamBoth, c.Settings.Stream)
	c = Camera{ID: "a", SubstreamURL: "rtsp://h/2"}.Effective(Stream{Stream: "sub"})
	require.Equal(t, StreamSub, c.Settings.Stream)
	c = Camera{ID: "a", SubstreamURL: "rtsp://h/2", Settings: Stream{Stream: "main"}}.Effective(Stream{Stream: "sub"})
	require.Equal(t, "main", c.Settings.Stream)
}

func TestLoadFillsDefaults(t *testing.T) {
	c, err := loadText("node: n\nedge: {defaults: {timeout: 5s}, cameras: [{id: a, name: A, url: 'rtsp://h/', division: '360921100001'}]}\ncenter: {}\n")
	require.NoError(t, err)
	require.Equal(t, "n", c.Node)
	require.Equal(t, "./data", c.DataDir)
	require.Equal(t, "Asia/Shanghai", c.Location().String())
	require.Equal(t, 5*time.Second, c.Edge.Cameras[0].Settings.Timeout.Std())
	require.Equal(t, "auto", c.Edge.Cameras[0].Settings.Transport)
	require.Equal(t, "center.db", c.Center.Database)
	require.Equal(t, "sharpeyes:{alerts}", c.Redis.Stream)
	c, err = loadText("edge: {}\ncenter: {}\n")
	require.NoError(t, err)
	require.Equal(t, nodeName(hostName()), c.Node)
	require.Equal(t, time.UTC, (&Config{Timezone: "nowhere"}).Location())
}

func TestNodeName(t *testing.T) {
	for host, want := range map[string]string{"edge-01.lan": "edge-01.lan", "": "node", "边缘": "node", "a b": "a-b", "-x-": "x", strings.Repeat("x", 80): strings.Repeat("x", 63)} {
		require.Equal(t, want, nodeName(host), host)
		what, _ := forms["node"].check(nodeName(host))
		require.Empty(t, what)
	}
}

func TestPrintLoadsAgain(t *testing.T) {
	for _, name := range sampleNames {
		text, err := Sample(name)
		require.NoError(t, err)
		c, err := load(text, name, "/", Options{})
		require.NoError(t, err)
		var printed bytes.Buffer
		require.NoError(t, Print(&printed, c))
		again, err := load(printed.Bytes(), name, "/", Options{})
		require.NoError(t, err, printed.String())
		require.True(t, Diff(c, again).Empty(), Diff(c, again).String())
		require.Equal(t, c.Edge, again.Edge)
		require.Equal(t, c.Center, again.Center)
	}
}

func TestPrintShowsEffectiveValues(t *testing.T) {
	c := &Config{Edge: &Edge{Defaults: Stream{Timeout: Duration(7 * time.Second)}, Cameras: []Camera{{ID: "a", URL: "rtsp://u:hunter2@h/", Zones: []Zone{{ID: "z", Points: []Point{{0, 0.25}}}}, Rules: []Rule{{ID: "r", Kind: "dwell"}}}}}}
	var printed bytes.Buffer
	require.NoError(t, Print(&printed, c))
	for _, want := range []string{"timeout: 7s", "after: 3m", "transport: auto", "url: rtsp://h/", "points: [[0.0, 0.25]]"} {
		require.Contains(t, printed.String(), want)
	}
	require.Zero(t, c.Edge.Cameras[0].Settings, "the configuration is not touched")
	require.Error(t, Print(failing{}, c))
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, bytes.ErrTooLarge }
