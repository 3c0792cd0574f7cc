package stream

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
)

func sampleSegment(t testing.TB, id uint64, n int) []byte {
	t.Helper()
	b := appendHeader(nil, id)
	for i := range n {
		r := record{kind: kindCamera, seq: id + uint64(i), at: 1000 + int64(i), key: []byte("c:cam-1"), body: bytes.Repeat([]byte{byte(i)}, 20+i)}
		r.picture = pictureRef{segment: 7, off: 8, size: 9}
		b = appendFrame(b, id, int64(len(b)), &r)
	}
	return b
}

func TestFrameRoundTrip(t *testing.T) {
	b := sampleSegment(t, 5, 3)
	n := 0
	s := scanSegment(b, 5, func(_ int64, _ int, r record) {
		require.Equal(t, kindCamera, r.kind)
		require.Equal(t, uint64(5+n), r.seq)
		require.Equal(t, int64(1000+n), r.at)
		require.Equal(t, pictureRef{7, 8, 9}, r.picture)
		require.Equal(t, "c:cam-1", string(r.key))
		require.Equal(t, bytes.Repeat([]byte{byte(n)}, 20+n), r.body)
		n++
	})
	require.Equal(t, 3, n)
	require.Equal(t, scanned{end: len(b), lastSeq: 7}, s)
}

func TestFrameOfAnotherPlaceIsDamaged(t *testing.T) {
	r := record{kind: kindAlert, seq: 1, body: []byte("{}")}
	b := appendFrame(nil, 5, 100, &r)
	_, n, err := parseFrame(b, 5, 100)
	require.NoError(t, err)
	require.Equal(t, len(b), n)
	_, _, err = parseFrame(b, 5, 101)
	require.ErrorIs(t, err, errDamaged)
	_, _, err = parseFrame(b, 6, 100)
	require.ErrorIs(t, err, errDamaged)
	_, _, err = parseFrame(b[:len(b)-1], 5, 100)
	require.ErrorIs(t, err, errTorn)
}

func TestFrameInsideABodyIsNotTaken(t *testing.T) {
	inner := appendFrame(nil, 5, 0, &record{kind: kindAlert, seq: 99, body: []byte("forged")})
	b := appendHeader(nil, 5)
	b = appendFrame(b, 5, int64(len(b)), &record{kind: kindAlert, seq: 1, body: inner})
	b = appendFrame(b, 5, int64(len(b)), &record{kind: kindAlert, seq: 2, body: []byte("next")})
	b[segmentHeader+frameHeader+20] ^= 1
	var got []uint64
	s := scanSegment(b, 5, func(_ int64, _ int, r record) { got = append(got, r.seq) })
	require.Equal(t, []uint64{2}, got)
	require.Equal(t, 1, s.damaged)
}

func TestSearchThroughHostileBytesEnds(t *testing.T) {
	// Each mark claims a megabyte: without a budget this checks terabytes.
	b := appendHeader(nil, 1)
	for len(b) < 2<<20 {
		b = append(b, markBytes...)
		b = append(b, 0, 0, 8, 0, 1, 2, 3, 4)
	}
	s := scanSegment(b, 1, func(int64, int, record) { t.Error("found a frame") })
	require.Equal(t, segmentHeader, s.end)
}

func TestClaimedSeq(t *testing.T) {
	frame := appendFrame(nil, 1, 0, &record{kind: kindAlert, seq: 11, body: make([]byte, 500)})
	for name, c := range map[string]struct {
		tail []byte
		want uint64
	}{
		"readable header":     {frame[:200], 11},
		"header cut":          {frame[:10], 11},
		"zeros":               {make([]byte, 480), 21},
		"claim beyond reason": {appendFrame(nil, 1, 0, &record{seq: 1 << 40}), 12},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, claimedSeq(c.tail, 10)) })
	}
}

func TestCursorRoundTrip(t *testing.T) {
	c := cursor{count: 1, acked: 2, reserved: 3, newest: 4}
	b := appendCursor(nil, c)
	got, ok := parseCursor(b)
	require.True(t, ok)
	require.Equal(t, c, got)
	for i := range b {
		b[i] ^= 4
		_, ok := parseCursor(b)
		require.False(t, ok, "byte %d", i)
		b[i] ^= 4
	}
	_, ok = parseCursor(b[:10])
	require.False(t, ok)
}

func FuzzScanSegment(f *testing.F) {
	whole := sampleSegment(f, 1, 4)
	f.Add(whole)
	f.Add(whole[:len(whole)-5])
	bad := bytes.Clone(whole)
	bad[segmentHeader+frameHeader+3] ^= 0x40
	f.Add(bad)
	f.Add([]byte(segmentMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		last := int64(0)
		var again []byte
		s := scanSegment(b, 1, func(off int64, size int, r record) {
			if off < last || int(off)+size > len(b) || r.frameSize() != size {
				t.Fatalf("frame %d+%d behind %d of %d", off, size, last, len(b))
			}
			last = off + int64(size)
			again = appendFrame(again[:0], 1, off, &r)
			if r2, _, err := parseFrame(again, 1, off); err != nil || r2.seq != r.seq || !bytes.Equal(r2.body, r.body) {
				t.Fatalf("does not survive being written again: %v", err)
			}
		})
		if s.end < 0 || s.end > len(b) || int64(s.end) < last {
			t.Fatalf("end %d of %d, last frame ends at %d", s.end, len(b), last)
		}
		rest := scanSegment(b[:s.end], 1, func(int64, int, record) {})
		if rest.end != s.end || rest.torn != 0 {
			t.Fatal("what is left after cutting the tail has a tail")
		}
	})
}

func FuzzParseCursor(f *testing.F) {
	f.Add(appendCursor(nil, cursor{1, 2, 3, 4}))
	f.Add([]byte(cursorMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, ok := parseCursor(b); ok && !bytes.Equal(appendCursor(nil, c), b[:cursorSize]) {
			t.Fatal("accepted what it does not write")
		}
	})
}

// What people did is kept as alerts are: it is never a repeat, and never shed.
func TestOperationsAreKeptAsAlerts(t *testing.T) {
	k, key := envelopeKind(&api.Envelope{Operation: &api.Operation{ID: "a"}})
	require.Equal(t, kindAlert, k)
	require.Nil(t, key)
	k, _ = envelopeKind(&api.Envelope{Operation: &api.Operation{ID: "a"}, NodeUp: &api.NodeReport{}})
	require.Zero(t, k, "one body")
}
