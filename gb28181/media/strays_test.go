package media

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestStrays forgets a sender that has fallen silent, and keeps a bounded number.
func TestStrays(t *testing.T) {
	start := time.Now()
	m := strays{all: make(map[source]stray)}
	from := netip.AddrPortFrom(loopback, 4000)
	k := sourceOf(7, from, true)
	s := &Stream{opened: start.Add(time.Second), want: Expect{Camera: "a"}}
	m.came(k, false, start)
	require.False(t, m.may(k, s, true, start.Add(staleAfter)), "it sent before")
	m.came(k, false, start.Add(staleAfter))
	require.False(t, m.may(k, s, true, start.Add(2*staleAfter)), "it has not been silent")
	silent := start.Add(2*staleAfter + time.Millisecond)
	require.True(t, m.may(k, s, false, silent), "it begins anew")
	require.True(t, m.may(sourceOf(7, netip.AddrPortFrom(loopback, 4001), true), s, false, start), "another sender")
	require.Equal(t, sourceOf(7, from, false), sourceOf(7, netip.AddrPortFrom(loopback, 4001), false), "TCP comes back from another port")

	for i := range uint32(2 * maxStrays) {
		m.came(source{ssrc: 100 + i, from: from}, false, silent)
	}
	require.Len(t, m.all, maxStrays)
	require.False(t, m.may(source{ssrc: 1, from: from}, s, false, silent), "nobody can say whether it is new")
	require.True(t, m.may(source{ssrc: 1, from: from}, s, false, silent.Add(staleAfter+time.Millisecond)))
	require.Empty(t, m.all)
}
