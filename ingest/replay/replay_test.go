package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sharpeyes/sharpeyes/ingest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	walk264 = "../testdata/walk.h264"
	walk265 = "../testdata/walk.h265"
)

// taken is a sink that keeps what it gets and may end the run.
type taken struct {
	transport string
	units     []ingest.AccessUnit
	at        []time.Time
	enough    int
	stop      context.CancelFunc
}

func (s *taken) Connected(transport string) { s.transport = transport }
func (s *taken) Lost(uint64)                { panic("a file loses nothing") }
func (s *taken) Write(u ingest.AccessUnit) {
	s.units = append(s.units, u)
	s.at = append(s.at, time.Now())
	if len(s.units) == s.enough {
		s.stop()
	}
}

// run replays path until it ends or n units came; n 0 means to the end.
func run(t *testing.T, path string, opt Options, n int) (*taken, error) {
	t.Helper()
	src, err := New(path, opt)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := &taken{enough: n, stop: cancel}
	return s, src.Run(ctx, s)
}

func TestReplayWholeFile(t *testing.T) {
	for _, c := range []struct {
		path  string
		codec ingest.Codec
	}{{walk264, ingest.H264}, {walk265, ingest.H265}} {
		t.Run(filepath.Base(c.path), func(t *testing.T) {
			s, err := run(t, c.path, Options{Camera: "c1"}, 0)
			require.Equal(t, ingest.ReasonEnded, ingest.ReasonOf(err))
			require.Equal(t, "file", s.transport)
			require.Len(t, s.units, 40)
			size := 0
			for i, u := range s.units {
				require.Equal(t, ingest.CameraID("c1"), u.Camera)
				require.Equal(t, c.codec, u.Codec)
				require.Equal(t, i%10 == 0, u.Key, "unit %d", i)
				require.False(t, u.Lost)
				require.Equal(t, time.Duration(i)*100*time.Millisecond, u.PTS, "10 per second, as the SPS says")
				require.False(t, u.Received.IsZero())
				for _, n := range u.NALUs {
					size += len(n) + 3
				}
			}
			// Nothing of the file is lost but zero bytes of the start codes.
			st, err := os.Stat(c.path)
			require.NoError(t, err)
			require.InDelta(t, st.Size(), size, 200)
		})
	}
}

func TestReplayLoopsWithAContinuousClock(t *testing.T) {
	s, err := run(t, walk264, Options{Loop: true, FPS: 25}, 100)
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, s.units, 100)
	for i, u := range s.units {
		require.Equal(t, time.Duration(i)*40*time.Millisecond, u.PTS)
		require.Equal(t, i%10 == 0, u.Key)
	}
	require.Equal(t, s.units[0].NALUs, s.units[40].NALUs)
}

func TestReplayFrom(t *testing.T) {
	all, _ := run(t, walk264, Options{}, 0)
	s, _ := run(t, walk264, Options{From: 1100 * time.Millisecond, Loop: true}, 60)
	require.Equal(t, all.units[20].NALUs, s.units[0].NALUs, "the first key frame at or after 1.1 s")
	require.Zero(t, s.units[0].PTS)
	require.Equal(t, all.units[0].NALUs, s.units[20].NALUs, "later passes play the whole file")

	_, err := run(t, walk264, Options{From: time.Hour}, 0)
	require.Equal(t, ingest.ReasonBadStream, ingest.ReasonOf(err))
}

func TestReplayRealtime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := run(t, walk265, Options{Realtime: true}, 0)
		require.Equal(t, ingest.ReasonEnded, ingest.ReasonOf(err))
		for i := range s.units {
			require.Equal(t, time.Duration(i)*100*time.Millisecond, s.at[i].Sub(s.at[0]))
		}
	})
}

func TestReplayRealtimeDoesNotRaceAfterASleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, err := New(walk264, Options{Realtime: true, Loop: true})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		s := &sleepy{taken: taken{enough: 60, stop: cancel}}
		require.ErrorIs(t, src.Run(ctx, s), context.Canceled)
		require.Greater(t, s.at[59].Sub(s.at[20]), 3*time.Second, "the units after the sleep keep their distance")
	})
}

// sleepy sleeps for a minute at the tenth unit.
type sleepy struct{ taken }

func (s *sleepy) Write(u ingest.AccessUnit) {
	if s.taken.Write(u); len(s.units) == 10 {
		time.Sleep(time.Minute) // virtual
	}
}

func TestReplayStopsWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, err := New(walk264, Options{Realtime: true, FPS: 0.1})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		begin := time.Now()
		require.ErrorIs(t, src.Run(ctx, &taken{}), context.DeadlineExceeded)
		require.Equal(t, 15*time.Second, time.Since(begin))
	})
}

func TestNewRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		p := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(p, []byte(content), 0o600))
		return p
	}
	for name, c := range map[string]struct {
		path string
		opt  Options
		want string
	}{
		"missing":  {filepath.Join(dir, "no.h264"), Options{}, "no such file"},
		"empty":    {write("empty.h264", ""), Options{}, "empty"},
		"text":     {write("text.h264", "hello, this is no video"), Options{}, "ffmpeg"},
		"mp4":      {write("a.mp4", "\x00\x00\x00\x20ftypisom\x00\x00\x02\x00"), Options{}, "ffmpeg"},
		"fps":      {walk264, Options{FPS: -1}, "fps"},
		"high fps": {walk264, Options{FPS: 1e6}, "fps"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(c.path, c.opt)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestReplayFileGoneOrDamaged(t *testing.T) {
	p := filepath.Join(t.TempDir(), "a.h264")
	clip, err := os.ReadFile(walk264)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(p, clip, 0o600))
	src, err := New(p, Options{})
	require.NoError(t, err)

	// A NAL unit without end.
	require.NoError(t, os.WriteFile(p, append(clip, bytes.Repeat([]byte{0xaa}, ingest.MaxUnitBytes+2*readAhead)...), 0o600))
	require.Equal(t, ingest.ReasonBadStream, ingest.ReasonOf(src.Run(t.Context(), &taken{})))
	// More NAL units than a picture has.
	require.NoError(t, os.WriteFile(p, append(clip, bytes.Repeat([]byte{0, 0, 1, 0x41, 0x40}, 100)...), 0o600))
	require.Equal(t, ingest.ReasonBadStream, ingest.ReasonOf(src.Run(t.Context(), &taken{})))
	require.NoError(t, os.Remove(p))
	require.Equal(t, ingest.ReasonNotFound, ingest.ReasonOf(src.Run(t.Context(), &taken{})))
}

func TestOpen(t *testing.T) {
	abs, err := filepath.Abs(walk264)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		address string
		want    Options
		err     string
	}{
		"absolute":  {"file://" + filepath.ToSlash(abs), Options{Camera: "c1", Loop: true, Realtime: true}, ""},
		"localhost": {"file://localhost" + filepath.ToSlash(abs), Options{Camera: "c1", Loop: true, Realtime: true}, ""},
		"relative":  {"file:../testdata/walk.h264", Options{Camera: "c1", Loop: true, Realtime: true}, ""},
		"dots":      {"file://../testdata/walk.h264", Options{Camera: "c1", Loop: true, Realtime: true}, ""},
		"query":     {"file:" + walk264 + "?fps=5&loop=false&realtime=0&from=2s", Options{Camera: "c1", FPS: 5, From: 2 * time.Second}, ""},
		"rtsp":      {"rtsp://x/y", Options{}, "file://"},
		"unknown":   {"file:" + walk264 + "?speed=2", Options{}, "speed is unknown"},
		"bad value": {"file:" + walk264 + "?fps=fast", Options{}, "fps=fast"},
	} {
		t.Run(name, func(t *testing.T) {
			src, err := Open("c1", c.address)
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, src.(*source).opt)
		})
	}
	require.True(t, IsFile("file:///x"))
	require.False(t, IsFile("rtsp://x"))
}

func TestSplitter(t *testing.T) {
	for _, c := range []struct {
		name  string
		codec ingest.Codec
		in    string
		want  []string // pictures as "sizes"
	}{
		{"start codes of three and four bytes, trailing zeros", ingest.H264, "\x00\x00\x01\x67ab\x00\x00\x00\x01\x68a\x00\x00\x00\x00\x00\x01\x65\x80abc", []string{"[3 2 5]"}},
		{"rubbish before", ingest.H264, "xyz\x00\x00\x01\x65\x80a\x00\x00\x01\x41\x80b", []string{"[3]", "[3]"}},
		{"slices of one picture", ingest.H264, "\x00\x00\x01\x65\x80a\x00\x00\x01\x65\x40b\x00\x00\x01\x41\x80b", []string{"[3 3]", "[3]"}},
		{"sets, sei and delimiter begin a picture", ingest.H264, "\x00\x00\x01\x41\x80a\x00\x00\x01\x06sei\x00\x00\x01\x41\x80b\x00\x00\x01\x09\xf0\x00\x00\x01\x41\x80c", []string{"[3]", "[4 3]", "[2 3]"}},
		{"end of sequence ends one", ingest.H264, "\x00\x00\x01\x41\x80a\x00\x00\x01\x0a\x01\x00\x00\x01\x41\x80b", []string{"[3 2]", "[3]"}},
		{"h265", ingest.H265, "\x00\x00\x01\x40\x01v\x00\x00\x01\x42\x01s\x00\x00\x01\x44\x01p\x00\x00\x01\x26\x01\x80a\x00\x00\x01\x26\x01\x10b\x00\x00\x01\x50\x01s\x00\x00\x01\x02\x01\x80c", []string{"[3 3 3 4 4 3]", "[4]"}},
		{"empty NAL units", ingest.H264, "\x00\x00\x01\x00\x00\x01\x00\x00\x01\x41\x80a", []string{"[3]"}},
		{"no start code", ingest.H264, "abc", nil},
	} {
		for how, wrap := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader} {
			t.Run(c.name+", "+how, func(t *testing.T) {
				s := newSplitter(wrap(bytes.NewReader([]byte(c.in))), c.codec)
				var got []string
				for {
					p, err := s.picture()
					if errors.Is(err, io.EOF) {
						break
					}
					require.NoError(t, err)
					var sizes []int
					for _, n := range p {
						sizes = append(sizes, len(n))
					}
					got = append(got, fmt.Sprint(sizes))
				}
				require.Equal(t, c.want, got)
			})
		}
	}
}

func FuzzSplitter(f *testing.F) {
	for _, path := range []string{walk264, walk265} {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:3000], path == walk264)
	}
	f.Add([]byte("\x00\x00\x01\x00\x00\x01\x41\x80\x00\x00"), true)
	f.Fuzz(func(t *testing.T, in []byte, h264 bool) {
		codec := ingest.H265
		if h264 {
			codec = ingest.H264
		}
		_, _ = sniff(in)
		s := newSplitter(iotest.HalfReader(bytes.NewReader(in)), codec)
		total := 0
		for {
			p, err := s.picture()
			if err != nil {
				break
			}
			if len(p) == 0 || len(p) > ingest.MaxUnitNALUs {
				t.Fatalf("picture of %d NAL units", len(p))
			}
			for _, n := range p {
				if len(n) == 0 || bytes.Contains(n, []byte{0, 0, 1}) {
					t.Fatalf("NAL unit %x", n)
				}
				total += len(n)
			}
		}
		if total > len(in) {
			t.Fatalf("%d bytes out of %d", total, len(in))
		}
	})
}
