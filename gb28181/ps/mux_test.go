package ps

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// muxed returns frames as our Muxer writes them, with audio if asked for.
func muxed(frames []sample, streamType byte, audio bool) []byte {
	m := NewMuxer(streamType)
	if audio {
		m.AddAudio(TypeG711A)
	}
	var out []byte
	for i, f := range frames {
		out = m.Frame(out, f.data, 90_000+int64(i)*9000, f.key)
		if audio {
			out = m.Audio(out, bytes.Repeat([]byte{0xD5, 0, 0, 1}, 200), 90_000+int64(i)*9000)
		}
	}
	return out
}

func elementary(frames []sample) (es []byte) {
	for _, f := range frames {
		es = append(es, f.data...)
	}
	return es
}

var clips = []struct {
	name, file string
	streamType byte
	format     string // ffmpeg's name
}{
	{"H.264", "lawn.h264", TypeH264, "h264"},
	{"H.265", "road.h265", TypeH265, "hevc"},
}

func TestMuxerThroughDemuxer(t *testing.T) {
	for _, c := range clips {
		t.Run(c.name, func(t *testing.T) {
			frames := clip(t, c.file, 60)
			frames = append(frames, sample{unit([]byte{0x65, 0x88}, 300_000), true}, frames[1])
			if c.streamType == TypeH265 {
				frames[60] = sample{unit([]byte{0x26, 0x01, 0xAF}, 300_000), true}
			}
			d, out := collect()
			write(d, muxed(frames, c.streamType, true), 1400)
			d.Flush()
			var want []got
			for i, f := range frames {
				want = append(want, got{kind: c.streamType, pts: 90_000 + int64(i)*9000, data: f.data})
			}
			equal(t, *out, want)
			s := d.Stats()
			if s.Faults != [faultCount]uint64{} || s.Discarded != 0 || s.Skipped[SkipAudio] != 62 || s.Maps == 0 || d.AudioType() != TypeG711A {
				t.Errorf("stats %+v, audio %#x", s, d.AudioType())
			}
		})
	}
}

func TestMuxerClock(t *testing.T) {
	m := NewMuxer(TypeH264)
	last := int64(-1)
	for _, pts := range []int64{0, 1800, 3600, 7200, 1<<33 - 1, 1 << 33, 1<<33 + 3600} {
		b := m.Frame(nil, p264, pts, false)
		scr := int64(b[4]>>3&7)<<30 | int64(b[4]&3)<<28 | int64(b[5])<<20 | int64(b[6]>>3)<<15 | int64(b[6]&3)<<13 | int64(b[7])<<5 | int64(b[8]>>3)
		if want := max(pts-3600, 0) & (1<<33 - 1); scr != want {
			t.Errorf("PTS %d: SCR %d, want %d", pts, scr, want)
		}
		if scr < last && pts <= 1<<33 {
			t.Errorf("PTS %d: SCR goes back from %d to %d", pts, last, scr)
		}
		last = scr
		if have := timestamp(b, 14+9); have != pts&(1<<33-1) {
			t.Errorf("PTS %d: written %d", pts, have)
		}
	}
}

// tool skips the test where a program of Debian is not installed.
func tool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("NOT TESTED: %s is not installed", name)
	}
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil || bytes.Contains(out, []byte("rror")) {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
}

func save(t *testing.T, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMuxerAgainstFFmpeg(t *testing.T) {
	tool(t, "ffmpeg")
	for _, c := range clips {
		t.Run(c.name, func(t *testing.T) {
			frames := clip(t, c.file, 60)
			in := save(t, "ours.ps", muxed(frames, c.streamType, true))
			out := filepath.Join(t.TempDir(), "out")
			command(t, "ffmpeg", "-v", "error", "-i", in, "-map", "0:v", "-c", "copy", "-f", c.format, out)
			if !bytes.Equal(load(t, out), elementary(frames)) {
				t.Error("FFmpeg takes other bytes out of our program stream than we put in")
			}
		})
	}
}

func TestMuxerAgainstGStreamer(t *testing.T) {
	tool(t, "gst-launch-1.0")
	frames := clip(t, "lawn.h264", 60)
	in := save(t, "ours.ps", muxed(frames, TypeH264, false))
	out := filepath.Join(t.TempDir(), "out")
	command(t, "gst-launch-1.0", "-q", "filesrc", "location="+in, "!", "mpegpsdemux", "!", "video/x-h264", "!", "filesink", "location="+out)
	if !bytes.Equal(load(t, out), elementary(frames)) {
		t.Error("GStreamer takes other bytes out of our program stream than we put in")
	}
}

// TestDemuxerAgainstMuxers demuxes what others muxed. FFmpeg and GStreamer cut
// PES packets without regard to pictures, so that only the bytes are compared.
func TestDemuxerAgainstMuxers(t *testing.T) {
	for _, c := range []struct {
		name string
		clip int
		argv func(in, out string) []string
	}{
		{"FFmpeg vob H.264", 0, func(in, out string) []string {
			return []string{"ffmpeg", "-v", "fatal", "-f", "h264", "-r", "10", "-i", in, "-c", "copy", "-f", "vob", out}
		}},
		{"FFmpeg vob H.265", 1, func(in, out string) []string {
			return []string{"ffmpeg", "-v", "fatal", "-f", "hevc", "-r", "10", "-i", in, "-c", "copy", "-f", "vob", out}
		}},
		{"FFmpeg MPEG-1 systems H.264", 0, func(in, out string) []string {
			return []string{"ffmpeg", "-v", "fatal", "-f", "h264", "-r", "10", "-i", in, "-c", "copy", "-f", "mpeg", out}
		}},
		{"GStreamer H.264", 0, func(in, out string) []string {
			// The parser adds delimiters: what it feeds the muxer goes to es.parsed too.
			return []string{"gst-launch-1.0", "-q", "filesrc", "location=" + in, "!", "h264parse", "!", "video/x-h264,stream-format=byte-stream,alignment=au",
				"!", "tee", "name=t", "!", "queue", "!", "mpegpsmux", "!", "filesink", "location=" + out,
				"t.", "!", "queue", "!", "filesink", "location=" + in + ".parsed"}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			es := elementary(clip(t, clips[c.clip].file, 60))
			out := filepath.Join(t.TempDir(), "theirs.ps")
			in := save(t, "es", es)
			argv := c.argv(in, out)
			tool(t, argv[0])
			command(t, argv[0], argv[1:]...)
			if parsed, err := os.ReadFile(in + ".parsed"); err == nil {
				es = parsed
			}
			theirs := load(t, out)
			var have []byte
			d := NewDemuxer(func(p Packet) {
				if p.StreamType != clips[c.clip].streamType {
					t.Errorf("stream type %#x", p.StreamType)
				}
				have = append(have, p.Data...)
			})
			write(d, theirs, 1400)
			d.Flush()
			if !bytes.Equal(have, es) {
				t.Errorf("%d bytes, want the %d that were muxed; %+v", len(have), len(es), d.Stats())
			}
		})
	}
}
