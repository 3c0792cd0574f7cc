package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/detect"
)

func TestHappenings(t *testing.T) {
	var b strings.Builder
	for n := range 25 * 60 {
		covered := 0
		switch at := float64(n) / 25; {
		case at >= 12 && at < 14, at >= 16 && at < 18: // two seconds behind a pole
			covered = 400
		case at >= 30 && at < 33:
			covered = 5000
		case at >= 50 && at < 52:
			covered = 20 // smaller than what a motion finder takes
		}
		b.WriteString(strconv.Itoa(n) + "," + strconv.Itoa(covered) + ",7,0\n")
	}
	got, err := happenings(strings.NewReader(b.String()))
	require.NoError(t, err)
	require.Equal(t, []happening{{12, 17.96}, {30, 32.96}}, got)
	for name, text := range map[string]string{"one column": "1\n", "no number": "1,x\n", "no picture": "x,1\n"} {
		_, err := happenings(strings.NewReader(text))
		require.ErrorContains(t, err, "line 1", name)
	}
}

func TestJudgeAgainstGroundTruth(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.gt.csv")
	var b strings.Builder
	for n := range 25 * 70 {
		covered := 0
		if s := n / 25; s >= 4 && s < 6 || s >= 20 && s < 23 || s >= 40 && s < 42 || s >= 50 && s < 53 {
			covered = 900
		}
		b.WriteString(strconv.Itoa(n) + "," + strconv.Itoa(covered) + "\n")
	}
	require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o600))
	row := gateBench{GOP: 2, Seconds: 60}
	gate := &gateRun{Claims: []claim{{20.4, 21.2}, {21, 21}, {52.9, 54}, {60.5, 60.5}}}
	yard := &gateRun{ByMOG2: []claim{{20.1, 20.1}, {40.1, 40.1}, {50.5, 50.5}}, ByCells: []claim{{50.6, 50.6}}}
	require.NoError(t, row.judge(path, gate, yard))
	require.Equal(t, 3, row.Events, "the one in the first ten seconds is not counted")
	require.Equal(t, []int{3, 1, 2}, []int{row.ByMOG2, row.ByCells, row.ByGate})
	require.Equal(t, []float64{1.1, 3.5}, row.Later, "when the gate knew, not when it was")
	require.InDelta(t, 3.5, row.LaterMost, 1e-9)
	require.InDelta(t, 2.3, row.LaterMedian, 1e-9)
	require.InDelta(t, (3+2+3)/60., row.Activity, 0.01)
	require.Zero(t, row.FalseMOG2)
	require.InDelta(t, 1./41, row.FalseGate, 0.01, "one of the seconds in which nothing is there")
	require.ErrorIs(t, row.judge(path+"x", gate, yard), os.ErrNotExist)
	quiet := gateBench{GOP: 2, Seconds: 60}
	require.NoError(t, quiet.judge("", gate, yard))
	require.Zero(t, quiet.Events)
	require.InDelta(t, 4./60, quiet.FalseGate, 0.02)
}

func TestFindClips(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"yard_1080_a.h264", "yard_a.h265", "lawn.h264", "yard.gt.csv", "yard_1080.gt.csv", "notes.txt"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	clips, err := findClips(dir)
	require.NoError(t, err)
	got := map[string]string{}
	for _, c := range clips {
		got[c.name] = c.kind + " " + strings.TrimPrefix(c.truth, dir)
	}
	require.Equal(t, map[string]string{"lawn": "quiet ", "yard_1080_a": "recall /yard_1080.gt.csv", "yard_a": "recall /yard.gt.csv"}, got)
	_, err = findClips(t.TempDir())
	require.ErrorContains(t, err, "no .h264 or .h265 file")
}

// The clips that bench makes of itself cover what they are for.
func TestGateScenes(t *testing.T) {
	for _, quick := range []bool{true, false} {
		kinds, names := map[string]bool{}, map[string]bool{}
		for _, s := range gateScenes(quick) {
			kinds[s.kind] = true
			require.False(t, names[s.name()], "%s stands twice", s.name())
			names[s.name()] = true
			require.Greater(t, float64(s.seconds), leadOf(float64(s.gop))+20, s.name())
			for _, p := range s.passages {
				if s.kind != "busy" {
					require.Less(t, p.to+float64(s.gop), float64(s.seconds), s.name())
					require.Greater(t, p.from, leadOf(float64(s.gop)), s.name())
				}
			}
			if s.kind == "active" {
				require.InDelta(t, math.Round(s.activity()*20), s.activity()*20, 0.05, "%s: 5 or 10 %%", s.name())
			}
		}
		require.True(t, kinds["recall"] && kinds["quiet"] && kinds["active"] && kinds["busy"])
	}
}

// What is drawn is where the ground truth says, and nothing is where it says none.
func TestSceneAndItsGroundTruth(t *testing.T) {
	s := gateScene{kind: "recall", tall: 90, codec: "h264", gop: 2, seconds: 3, passages: []passage{{from: 1, to: 2, y: .4, w: .2, h: .4, contrast: -50}}}
	var pictures, truth bytes.Buffer
	require.NoError(t, s.render(&pictures, &truth))
	size := 160 * 90 * 3 / 2
	require.Equal(t, 75*size, pictures.Len())
	events, err := happenings(bytes.NewReader(truth.Bytes()))
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.InDelta(t, 1, events[0].from, 0.2)
	require.InDelta(t, 2, events[0].to, 0.2)
	still := pictures.Bytes()[:160*90]
	differs := func(n int) (changed int) {
		for i, v := range pictures.Bytes()[n*size : n*size+160*90] {
			if v != still[i] {
				changed++
			}
		}
		return changed
	}
	require.Zero(t, differs(20), "no noise is asked for, nothing moves")
	require.Greater(t, differs(37), 300)
	require.Zero(t, differs(60))
}

func TestBenchGateOnOneClip(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("SKIPPED: no ffmpeg here to make the clip with")
	}
	s := gateScene{kind: "recall", tall: 180, codec: "h264", gop: 2, seconds: 26, noise: 2, passages: []passage{{from: 14, to: 18, y: .4, w: .1, h: .3, contrast: -55}}}
	file, err := s.make(t.Context(), t.TempDir(), 1)
	require.NoError(t, err)
	yard, err := workGate(t.Context(), []string{file, "motion"})
	if errors.Is(err, detect.ErrNoCgo) {
		t.Skip("SKIPPED: built without cgo, no decoder")
	}
	require.NoError(t, err)
	gate, err := workGate(t.Context(), []string{file, "gate"})
	require.NoError(t, err)
	row := gateBench{GOP: gate.Gate.GOP, Seconds: gate.Gate.Seconds}
	require.NoError(t, row.judge(truthOf(file), gate.Gate, yard.Gate))
	require.Equal(t, []int{1, 1, 1, 1}, []int{row.Events, row.ByMOG2, row.ByCells, row.ByGate})
	require.LessOrEqual(t, row.LaterMost, 2.5)
	require.Positive(t, gate.Gate.CPU)
	require.Positive(t, yard.Gate.MOG2)
	require.Equal(t, 26.*25, gate.Gate.Counts["sharpeyes_gate_units_total received"])
	require.Equal(t, "320x180", yard.Gate.Luma)
	_, err = workGate(t.Context(), []string{file})
	require.ErrorContains(t, err, "CLIP WAY")
}

func TestBarPlotIsWholeAndEscaped(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, barPlot(&b, "cameras <&>", "times", []plotRow{{Label: "a & b", Value: 10}, {Label: "half", Value: 5, Note: "5 × <"}, {Label: "none", Value: math.NaN()}, {Label: "below", Value: -3}}))
	var widths []string
	for d := xml.NewDecoder(&b); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err, "well-formed")
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			for _, a := range e.Attr {
				if a.Name.Local == "width" {
					widths = append(widths, a.Value)
				}
			}
		}
	}
	require.Equal(t, []string{"100%", "420.0", "210.0", "1.0", "1.0"}, widths)
	require.NoError(t, barPlot(io.Discard, "empty", "", nil))
}

func TestAlignedTable(t *testing.T) {
	var b bytes.Buffer
	alignedTable(&b, [][]string{{"名", "n"}, {"ab", "100"}})
	require.Equal(t, "| 名  |   n |\n|----|----:|\n| ab | 100 |\n", b.String())
}

func TestBenchGateOnly(t *testing.T) {
	require.ErrorContains(t, runBenchGate(newBenchGate(), gateFlags{runs: 1, only: "("}), "--only")
	require.ErrorContains(t, runBenchGate(newBenchGate(), gateFlags{runs: 1, only: "no such clip"}), "no clip has such a name")
}
