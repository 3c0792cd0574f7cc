package media

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// through pushes sequence numbers, 1 ms apart, and returns what comes out, gaps
// as -n.
func through(t *testing.T, seqs []uint16) (*reorder, []int) {
	t.Helper()
	var got []int
	r := &reorder{}
	r.out = func(p packet, lost int, _ time.Time) {
		if lost > 0 {
			got = append(got, -lost)
		}
		got = append(got, int(p.seq))
		require.Equal(t, []byte{byte(p.seq)}, p.payload)
	}
	at := time.Now()
	buf := make([]byte, 1)
	for i, s := range seqs {
		buf[0] = byte(s) // the payload is valid during the call only
		r.push(packet{seq: s, payload: buf}, at.Add(time.Duration(i)*time.Millisecond))
		buf[0] = 0xee
	}
	return r, got
}

func span(from, n int) []uint16 {
	var s []uint16
	for i := range n {
		s = append(s, uint16(from+i))
	}
	return s
}

func ints(s []uint16) []int {
	var out []int
	for _, v := range s {
		out = append(out, int(v))
	}
	return out
}

func TestReorder(t *testing.T) {
	after := span(10, 220) // longer than packets are held
	for _, c := range []struct {
		name                       string
		in                         []uint16
		want                       []int
		reordered, late, dup, lost uint64
	}{
		{"in order", span(1, 5), []int{1, 2, 3, 4, 5}, 0, 0, 0, 0},
		{"wraps", []uint16{65534, 65535, 0, 1}, []int{65534, 65535, 0, 1}, 0, 0, 0, 0},
		{"swapped", []uint16{1, 3, 2, 4}, []int{1, 2, 3, 4}, 1, 0, 0, 0},
		{"backwards", []uint16{1, 5, 4, 3, 2, 6}, []int{1, 2, 3, 4, 5, 6}, 1, 0, 0, 0},
		{"over the wrap", []uint16{65535, 1, 0, 2}, []int{65535, 0, 1, 2}, 1, 0, 0, 0},
		{"twice", []uint16{1, 2, 2, 4, 4, 3}, []int{1, 2, 3, 4}, 1, 0, 2, 0},
		{"lost, given up by time", append([]uint16{8}, after...), append([]int{8, -1}, ints(after)...), 0, 0, 0, 1},
		{"late", append(append([]uint16{8}, after...), 9), append([]int{8, -1}, ints(after)...), 0, 1, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, got := through(t, c.in)
			require.Equal(t, c.want, got)
			require.Equal(t, []uint64{c.reordered, c.late, c.dup, c.lost}, []uint64{r.reordered, r.late, r.dup, r.lost})
		})
	}
}

func TestReorderBegunAnew(t *testing.T) {
	r, got := through(t, append([]uint16{100, 101}, span(40000, 3)...))
	require.Equal(t, []int{100, 101, -1, 40000, 40001, 40002}, got)
	require.Equal(t, uint64(1), r.lost)
	// What is far ahead, but not too far, opens the window as far as needed.
	r, got = through(t, append([]uint16{1}, span(1000, window)...))
	require.Equal(t, 1, got[0])
	require.LessOrEqual(t, r.n, window)
	require.GreaterOrEqual(t, r.lost, uint64(1000-1-window))
}

// TestReorderBounds feeds random numbers with large payloads.
func TestReorderBounds(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	out := 0
	r := &reorder{out: func(packet, int, time.Time) { out++ }}
	at := time.Now()
	payload := make([]byte, 60000)
	for i := range 20000 {
		r.push(packet{seq: uint16(rnd.Uint32N(300)), payload: payload[:rnd.IntN(len(payload))]}, at.Add(time.Duration(i)*time.Millisecond))
		require.LessOrEqual(t, r.bytes, heldBytes)
		require.LessOrEqual(t, r.n, window)
		held := 0
		for k := range r.held {
			if r.held[k].used {
				held += len(r.held[k].buf)
			}
		}
		require.Equal(t, held, r.bytes)
	}
	require.Positive(t, out)
}

func TestNumbers(t *testing.T) {
	var n numbers
	require.Zero(t, n.missing(5))
	require.Zero(t, n.missing(6))
	require.Equal(t, 2, n.missing(9))
	require.Zero(t, n.missing(9), "not numbered")
	require.Zero(t, n.missing(3), "began anew")
	for range 100 {
		n.missing(n.next + 1)
	}
	require.Zero(t, n.missing(n.next+1), "numbers that mean nothing")
}
