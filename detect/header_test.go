package detect_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/ingest"
	"github.com/sharpeyes/sharpeyes/ingest/replay"
)

// units collects what a source gives.
type units []ingest.AccessUnit

func (u *units) Connected(string)           {}
func (u *units) Lost(uint64)                {}
func (u *units) Write(au ingest.AccessUnit) { *u = append(*u, au) }

// readClip reads the access units of an Annex-B file.
func readClip(t testing.TB, path string, fps float64) units {
	t.Helper()
	src, err := replay.New(path, replay.Options{Camera: "clip", FPS: fps})
	require.NoError(t, err)
	var all units
	require.Equal(t, ingest.ReasonEnded, ingest.ReasonOf(src.Run(context.Background(), &all)))
	require.NotEmpty(t, all)
	return all
}

// headerClips are small streams of the kinds that trouble a reader of headers,
// made with x264 and x265 (testsrc2, 320x192): B-frames in pyramids with
// weighted prediction and open GOPs, slices, CAVLC, interlace, gradual refresh,
// temporal layers, scaling lists, rate control.
func headerClips(t testing.TB) []string {
	t.Helper()
	list, err := filepath.Glob("testdata/headers/*.h26?")
	require.NoError(t, err)
	require.Len(t, list, 10)
	return list
}

// lines writes what the reader says of each unit.
func lines(all units) []string {
	r := detect.NewHeaderReader(all[0].Codec)
	var out []string
	for _, au := range all {
		h := r.Read(au.NALUs)
		if !h.OK {
			out = append(out, "not understood")
			continue
		}
		out = append(out, fmt.Sprintf("%s,%t,%t,%d,%d,%d", h.Type, h.Key, h.Reference, h.TemporalID, h.QP, h.Slices))
	}
	return out
}

// TestHeadersAgainstGolden compares every picture with what FFmpeg's
// trace_headers said of it. SHARPEYES_UPDATE=1 writes the files anew, from
// FFmpeg.
func TestHeadersAgainstGolden(t *testing.T) {
	for _, path := range headerClips(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			want, err := os.ReadFile(path + ".csv")
			require.NoError(t, err)
			got := lines(readClip(t, path, 25))
			require.Equal(t, strings.TrimSpace(string(want)), strings.Join(got, "\n"))
		})
	}
}

// TestHeadersAgainstFFmpeg asks FFmpeg itself, also for the demonstration's
// clips.
func TestHeadersAgainstFFmpeg(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("SKIPPED: no ffmpeg here, the headers were compared with the committed golden files only")
	}
	clips, err := filepath.Glob("../configs/clips/*.h26?")
	require.NoError(t, err)
	require.Len(t, clips, 3)
	for _, path := range append(headerClips(t), clips...) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			want := traceHeaders(t, path)
			require.Equal(t, want, lines(readClip(t, path, 25)))
			if os.Getenv("SHARPEYES_UPDATE") != "" && strings.HasPrefix(path, "testdata") {
				require.NoError(t, os.WriteFile(path+".csv", []byte(strings.Join(want, "\n")+"\n"), 0o644))
			}
		})
	}
}

var traceField = regexp.MustCompile(`\] \d+ +(\S+) +[01]+ = (-?\d+)$`)

// traceHeaders returns what FFmpeg reads of each picture, in the form of lines.
func traceHeaders(t *testing.T, path string) []string {
	t.Helper()
	cmd := exec.Command("ffmpeg", "-hide_banner", "-nostats", "-i", path, "-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err)
	p := tracedStream{h265: strings.HasSuffix(path, "h265"), initQP: map[int]int{}}
	scan := bufio.NewScanner(bytes.NewReader(out))
	for scan.Scan() {
		line := scan.Text()
		if strings.Contains(line, "] Packet: ") {
			p.end()
			p.pictures = true
			continue
		}
		if m := traceField.FindStringSubmatch(line); m != nil {
			var v int
			_, err := fmt.Sscan(m[2], &v)
			require.NoError(t, err)
			p.field(m[1], v)
		}
	}
	p.end()
	return p.lines
}

// tracedStream puts the fields of a trace together.
type tracedStream struct {
	h265, pictures             bool
	initQP                     map[int]int
	typ, ref, layer, pps, kind int
	slices                     int
	line                       string
	lines                      []string
}

func (p *tracedStream) field(name string, v int) {
	switch name {
	case "nal_unit_type":
		p.typ = v
	case "nal_ref_idc":
		p.ref = v
	case "nuh_temporal_id_plus1":
		p.layer = v - 1
	case "pic_parameter_set_id", "pps_pic_parameter_set_id", "slice_pic_parameter_set_id":
		p.pps = v
	case "pic_init_qp_minus26", "init_qp_minus26":
		p.initQP[p.pps] = 26 + v
	case "slice_type":
		p.kind = v
	case "first_mb_in_slice", "first_slice_segment_in_pic_flag":
		p.slices++
	case "slice_qp_delta":
		if p.line != "" || !p.pictures {
			return
		}
		typ, key, ref := "PBIPI"[p.kind%5:][:1], p.typ == 5, p.ref != 0
		if p.h265 {
			typ, key, ref = "BPI"[p.kind:][:1], p.typ >= 16 && p.typ <= 23, p.typ > 14 || p.typ%2 == 1
		}
		p.line = fmt.Sprintf("%s,%t,%t,%d,%d", typ, key, ref, p.layer, p.initQP[p.pps]+v)
	}
}

func (p *tracedStream) end() {
	if p.line != "" {
		p.lines = append(p.lines, fmt.Sprintf("%s,%d", p.line, p.slices))
	}
	p.line, p.slices = "", 0
}

func TestHeaderSumsSlicesAndSeesRecoveryPoints(t *testing.T) {
	all := readClip(t, "testdata/headers/slices.h264", 25)
	r := detect.NewHeaderReader(ingest.H264)
	for _, au := range all {
		h := r.Read(au.NALUs)
		sum := 0
		for _, n := range au.NALUs {
			if slice, _ := ingest.IsSlice(ingest.H264, n); slice {
				sum += len(n)
			}
		}
		require.Equal(t, 4, h.Slices)
		require.Equal(t, sum, h.Bytes)
	}
	recovery := 0
	r = detect.NewHeaderReader(ingest.H264)
	for _, au := range readClip(t, "testdata/headers/refresh.h264", 25) {
		if r.Read(au.NALUs).Recovery {
			recovery++
		}
	}
	require.GreaterOrEqual(t, recovery, 3, "x264 marks each sweep of a gradual refresh")
}

// A camera that is set anew in the middle of a stream sends other parameter
// sets, in band.
func TestHeaderLearnsChangedParameterSets(t *testing.T) {
	r := detect.NewHeaderReader(ingest.H264)
	for _, name := range []string{"cbr.h264", "bframes.h264", "slices.h264", "interlaced.h264", "cbr.h264"} {
		all := readClip(t, "testdata/headers/"+name, 25)
		want := lines(all)
		for i, au := range all {
			h := r.Read(au.NALUs)
			require.Equal(t, want[i], fmt.Sprintf("%s,%t,%t,%d,%d,%d", h.Type, h.Key, h.Reference, h.TemporalID, h.QP, h.Slices))
		}
	}
	require.False(t, detect.NewHeaderReader(ingest.H264).Read(readClip(t, "testdata/headers/cbr.h264", 25)[3].NALUs).OK, "no parameter sets yet")
}

// FuzzHeaders feeds what a camera may send: any bytes, cut into NAL units at
// start codes.
func FuzzHeaders(f *testing.F) {
	for _, path := range headerClips(f) {
		var b []byte
		all := readClip(f, path, 25)
		for _, au := range all[:5] {
			for _, n := range au.NALUs {
				b = append(append(b, 0, 0, 1), n[:min(len(n), 120)]...)
			}
		}
		f.Add(all[0].Codec == ingest.H265, b)
	}
	f.Fuzz(func(t *testing.T, h265 bool, stream []byte) {
		codec := ingest.H264
		if h265 {
			codec = ingest.H265
		}
		r := detect.NewHeaderReader(codec)
		nalus := bytes.Split(stream, []byte{0, 0, 1})
		for range 2 {
			h := r.Read(nalus)
			require.LessOrEqual(t, h.Slices, len(nalus))
			require.LessOrEqual(t, h.Bytes, len(stream))
			require.LessOrEqual(t, int(h.QP), 51)
			require.GreaterOrEqual(t, int(h.QP), -48)
			require.Equal(t, h.OK, h.Type != detect.PictureUnknown)
			for _, n := range nalus {
				r.Read([][]byte{n})
			}
		}
	})
}

func TestHeadersDoNotAllocate(t *testing.T) {
	for _, path := range headerClips(t) {
		all := readClip(t, path, 25)
		r := detect.NewHeaderReader(all[0].Codec)
		i := 0
		step := func() { r.Read(all[i%len(all)].NALUs); i++ }
		for range all {
			step()
		}
		require.Zero(t, testing.AllocsPerRun(100, step), path)
	}
}

func BenchmarkHeaders(b *testing.B) {
	for _, name := range []string{"../configs/clips/lawn.h264", "../configs/clips/road.h265", "testdata/headers/bframes.h264", "testdata/headers/bframes.h265"} {
		b.Run(filepath.Base(name), func(b *testing.B) {
			all := readClip(b, name, 25)
			r := detect.NewHeaderReader(all[0].Codec)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				r.Read(all[i].NALUs)
				if i++; i == len(all) {
					i = 0
				}
			}
		})
	}
}
