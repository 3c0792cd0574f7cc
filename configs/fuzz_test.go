package configs

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// FuzzLoad: whatever the file holds, Load ends, and either says what is wrong
// with a place in the file and a remedy, or gives a configuration that prints
// and loads again as the same.
func FuzzLoad(f *testing.F) {
	for _, name := range sampleNames {
		text, err := Sample(name)
		require.NoError(f, err)
		f.Add(text)
	}
	f.Add([]byte(camera("place: *x")))
	f.Add([]byte(zoned("kind: dwell\nzones: [lane]\n<<: {after: 3m}")))
	f.Add([]byte("a: &a [*a]\nedge: {<<: *a}"))
	f.Add([]byte("edge: {cameras: [&c {id: a}, *c, {<<: [*c, *c]}]}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		opt := Options{Getenv: func(string) string { return "" }, Division: func(string) (bool, string) { return true, "" }}
		// Paths that a file names are of this machine: leave its folders alone.
		if bytes.Contains(data, []byte("/")) && !bytes.Contains(data, []byte("rtsp")) {
			data = bytes.ReplaceAll(data, []byte("/"), nil)
		}
		c, err := load(data, "fuzz.yaml", t.TempDir(), opt)
		if err != nil {
			checkProblems(t, data, err)
			return
		}
		var printed bytes.Buffer
		require.NoError(t, Print(&printed, c))
		again, err := load(printed.Bytes(), "fuzz.yaml", "/", opt)
		require.NoError(t, err, "printed as\n%s", printed.String())
		require.True(t, Diff(c, again).Empty(), "%s\nprinted as\n%s", Diff(c, again), printed.String())
	})
}

func checkProblems(t *testing.T, data []byte, err error) {
	t.Helper()
	var problems Problems
	require.True(t, errors.As(err, &problems), "%v", err)
	require.NotEmpty(t, problems)
	lines := bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r")) + 2
	for _, p := range problems {
		require.NotEmpty(t, p.What)
		require.NotEmpty(t, p.Remedy, "%s", p.What)
		require.LessOrEqual(t, p.Line, lines)
		require.True(t, utf8.ValidString(p.String()))
		require.NotContains(t, p.String(), "\n")
		if p.Line > 0 {
			require.Positive(t, p.Column)
		}
	}
}

func FuzzParseSchedule(f *testing.F) {
	for _, line := range []string{"Mon-Fri 22:00-06:00", "daily 08:00-18:00", "周一-周五 22:00-06:00", "Sat,Sun 00:00-24:00", "每天 08：00－18：00", ""} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		s, err := ParseSchedule([]string{line})
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		require.True(t, len(strings.Fields(narrow.Replace(line))) == 2)
		sp := s.spans[0]
		require.True(t, sp.start >= 0 && sp.start < 24*60 && sp.end >= 0 && sp.end <= 24*60 && sp.start != sp.end)
		require.NotEqual(t, [7]bool{}, sp.days)
	})
}

// FuzzMask: no password between the scheme and the last @ survives.
func FuzzMask(f *testing.F) {
	f.Add("rtsp://admin:", "hunter2", "@h/live")
	f.Add("rtsp://h/?password=", "hunter2", "&a=b")
	f.Fuzz(func(t *testing.T, before, secret, after string) {
		if len(secret) < 6 || strings.ContainsAny(secret, " \t\r\n\v\f\u0085\u00a0") || strings.Contains(before+after, secret) {
			t.Skip()
		}
		masked := Mask("rtsp://admin:" + secret + "@192.0.2.1/live")
		require.Equal(t, "rtsp://192.0.2.1/live", masked)
		require.Equal(t, Mask(masked), masked)
		_ = Mask(before + secret + after)
	})
}

func FuzzParseUnits(f *testing.F) {
	for _, text := range []string{"90s", "30d", "1d12h", "1GiB", "512MB", "0B", "-1s", "9999999999999999999d"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := ParseDuration(text); err == nil {
			require.GreaterOrEqual(t, d, Duration(0))
			again, err := ParseDuration(d.String())
			require.NoError(t, err)
			require.Equal(t, d, again)
		}
		if b, err := ParseBytes(text); err == nil {
			require.GreaterOrEqual(t, b, Bytes(0))
			again, err := ParseBytes(b.String())
			require.NoError(t, err)
			require.Equal(t, b, again)
		}
	})
}
