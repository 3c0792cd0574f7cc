package gb28181

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const plainHead = "MESSAGE sip:1@2 SIP/2.0\r\nVia: SIP/2.0/UDP 1.2.3.4;branch=z9hG4bK1\r\nFrom: <sip:34020000001320000001@2>;tag=1\r\nTo: <sip:1@2>\r\nCall-ID: a\r\nCSeq: 1 MESSAGE\r\n"

func TestRepair(t *testing.T) {
	const typed = plainHead + "Content-Type: Application/MANSCDP+xml\r\n"
	const good = typed + "Content-Length: 9\r\n\r\n<Notify/>"
	for name, c := range map[string]struct {
		in, want string
		mended   repairs
	}{
		"nothing":                   {good, good, repairs{}},
		"leading CRLF":              {"\r\n\r\n" + good, good, repairs{leading: true}},
		"LF only":                   {strings.ReplaceAll(good, "\r\n", "\n"), good, repairs{lines: true}},
		"CR only":                   {strings.ReplaceAll(good, "\r\n", "\r"), good, repairs{lines: true}},
		"no empty line":             {plainHead, plainHead + "\r\n", repairs{lines: true}},
		"length too large":          {strings.Replace(good, ": 9", ": 90", 1), good, repairs{length: true}},
		"length in characters":      {typed + "Content-Length: 5\r\n\r\n<甲乙/>", typed + "Content-Length: 9\r\n\r\n<甲乙/>", repairs{length: true}},
		"compact length":            {typed + "l: 3\r\n\r\n<Notify/>", typed + "l: 9\r\n\r\n<Notify/>", repairs{length: true}},
		"padding is no body":        {good + "\r\n\r\n", good, repairs{}},
		"NULs":                      {good + "\x00\x00", good, repairs{}},
		"second message is no body": {strings.Replace(good, "9", "0", 1), strings.Replace(good, ": 9", ": 9", 1), repairs{}},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "second message is no body" { // RFC 4475 §3.1.1.11 dblreq
				c.in = plainHead + "Content-Length: 0\r\n\r\n" + good
				c.want = plainHead + "Content-Length: 0\r\n\r\n"
			}
			before := strings.Clone(c.in)
			got, mended := repair([]byte(c.in))
			require.Equal(t, c.want, string(got))
			require.Equal(t, c.mended, mended)
			require.Equal(t, before, c.in)
		})
	}
}

func TestRepairLeavesContradictionsToTheParser(t *testing.T) {
	for _, lengths := range []string{"Content-Length: 5\r\nContent-Length: 9\r\n", "Content-Length: -9\r\n", "Content-Length: nine\r\n"} {
		_, err := parseMessage(newParser(), mustRepair(plainHead+lengths+"\r\n<Notify/>"))
		require.Error(t, err, lengths)
	}
}

func mustRepair(s string) []byte { b, _ := repair([]byte(s)); return b }

func FuzzRepair(f *testing.F) {
	for _, s := range []string{sampleKeepalive, strings.ReplaceAll(sampleKeepalive, "\r\n", "\n"), "\r\n\r\n", "SIP/2.0 200 OK\r\n\r\n", plainHead + "l:\r\n\r\nx"} {
		f.Add([]byte(s))
	}
	parser := newParser()
	f.Fuzz(func(t *testing.T, in []byte) {
		before := string(in)
		out, _ := repair(in)
		require.Equal(t, before, string(in), "the input is not changed")
		require.LessOrEqual(t, len(out), 2*len(in)+64)
		again, mended := repair(out)
		if len(out) <= maxHead {
			require.Equal(t, string(out), string(again), "what is mended stays so")
			require.False(t, mended.any())
		}
		look(out)
		refusal(out, "x")
		scanBody(out)
		_, _ = parseMessage(parser, out)
	})
}

func TestFramer(t *testing.T) {
	a := plainHead + "Content-Type: Application/MANSCDP+xml\r\nContent-Length: 9\r\n\r\n<Notify/>"
	b := strings.Replace(a, "CSeq: 1", "CSeq: 2", 1)
	short := strings.Replace(a, "Length: 9", "Length: 4", 1)
	long := strings.Replace(a, "Length: 9", "Length: 40", 1)
	none := strings.Replace(a, "Content-Length: 9\r\n", "", 1)
	for name, c := range map[string]struct {
		in    string
		flush bool
		want  []string
		pongs int
	}{
		"two in one segment":         {in: a + b, want: []string{a, b}},
		"breaks between":             {in: "\r\n\r\n" + a + "\r\n\r\n" + b + "\r\n", want: []string{a, b}, pongs: 2},
		"length too small":           {in: short + b, want: []string{a, b}},
		"length too large":           {in: long + b, want: []string{a, b}},
		"no length":                  {in: none + b, want: []string{none, b}},
		"length too large and quiet": {in: long, flush: true, want: []string{a}},
		"half a message and quiet":   {in: a[:len(a)-2], flush: true},
		"garbage before":             {in: "tify>\r\n" + a, want: []string{a}},
		"no body, no length":         {in: plainHead + "\r\n" + b, want: []string{plainHead + "\r\n", b}},
		"a ping":                     {in: "\r\n\r\n", pongs: 1},
	} {
		for _, step := range []int{1, 7, 1 << 20} {
			t.Run(name, func(t *testing.T) {
				f := framer{maxBody: maxSmallBody}
				var got []string
				for in := c.in; in != ""; {
					n := min(step, len(in))
					f.write([]byte(in[:n]))
					in = in[n:]
					for {
						msg, _, err := f.next(c.flush && in == "")
						require.NoError(t, err)
						if msg == nil {
							break
						}
						got = append(got, string(msg))
					}
				}
				if name == "length too small" && step < 1<<20 {
					// The rest was not there yet when its length was reached.
					require.Equal(t, b, got[len(got)-1])
					return
				}
				require.Equal(t, c.want, got)
				if step > 1 {
					require.Equal(t, c.pongs, f.pongs)
				}
			})
		}
	}
}

func TestFramerRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		in  string
		err error
	}{
		"ten megabytes announced": {plainHead + "Content-Length: 10000000\r\n\r\n<", errBodyTooLong},
		"endless headers":         {"MESSAGE sip:1@2 SIP/2.0\r\n" + strings.Repeat("X: y\r\n", maxHead), errHeadTooLong},
	} {
		t.Run(name, func(t *testing.T) {
			f := framer{maxBody: maxSmallBody}
			f.write([]byte(c.in))
			_, _, err := f.next(false)
			require.ErrorIs(t, err, c.err)
		})
	}
	t.Run("no SIP", func(t *testing.T) {
		f := framer{maxBody: maxSmallBody}
		var err error
		for range 200 {
			f.write([]byte(strings.Repeat("GET / HTTP/1.1\r\n", 64)))
			if _, _, err = f.next(false); err != nil {
				break
			}
			require.Less(t, f.pending(), 1024, "what is skipped is not kept")
		}
		require.Error(t, err)
	})
}

func FuzzFramer(f *testing.F) {
	f.Add([]byte(sampleKeepalive+sampleKeepalive), uint8(9))
	f.Add([]byte("\r\n\r\n"+plainHead+"\r\n"), uint8(1))
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		fr := framer{maxBody: 1024}
		for len(in) > 0 {
			n := min(int(step)+1, len(in))
			fr.write(in[:n])
			in = in[n:]
			for {
				msg, _, err := fr.next(len(in) == 0)
				if err != nil {
					return
				}
				if msg == nil {
					break
				}
			}
			require.Less(t, fr.pending(), maxHead+2048+256)
			fr.release()
		}
	})
}
