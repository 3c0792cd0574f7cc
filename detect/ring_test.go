package detect

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// ringUnit is a unit of 100 bytes that can be told from others.
func ringUnit(n byte, key bool) ingest.AccessUnit {
	data := make([]byte, 100)
	data[0] = n
	return ingest.AccessUnit{Codec: ingest.H264, Key: key, NALUs: [][]byte{data}}
}

func numbers(list []ingest.AccessUnit) []byte {
	out := []byte{}
	for _, au := range list {
		out = append(out, au.NALUs[0][0])
	}
	return out
}

func TestRingKeepsTwoGOPs(t *testing.T) {
	r := NewRing(10000)
	require.Empty(t, r.Snapshot())
	r.Put(ringUnit(1, false))
	require.Empty(t, r.Snapshot(), "nothing can be decoded before a key unit")
	for n := byte(2); n < 11; n++ {
		r.Put(ringUnit(n, n%3 == 2)) // keys 2 5 8
	}
	require.Equal(t, []byte{8, 9, 10}, numbers(r.Snapshot()))
	require.Equal(t, []byte{5, 6, 7, 8, 9, 10}, numbers(r.PreRoll()))
	require.Equal(t, 600, r.Bytes())
	list := r.Snapshot()
	list[0] = ringUnit(99, true)
	require.Equal(t, []byte{8, 9, 10}, numbers(r.Snapshot()), "the list is the caller's")
}

func TestRingIsBoundedByBytes(t *testing.T) {
	r := NewRing(550)
	for n := byte(0); n < 6; n++ {
		r.Put(ringUnit(n, n%4 == 0)) // keys 0 4
	}
	require.Equal(t, []byte{4, 5}, numbers(r.PreRoll()), "the previous GOP makes room")
	for n := byte(6); n < 9; n++ {
		u := ringUnit(n, false)
		require.True(t, r.Fits(&u))
		r.Put(u)
	}
	u := ringUnit(9, false)
	require.False(t, r.Fits(&u))
	r.Put(u)
	require.Empty(t, r.PreRoll(), "a GOP that does not fit cannot be decoded from its middle")
	require.Zero(t, r.Bytes())
	r.Put(ringUnit(10, false))
	require.Empty(t, r.Snapshot())
	k := ringUnit(11, true)
	require.True(t, r.Fits(&k))
	r.Put(k)
	require.Equal(t, []byte{11}, numbers(r.Snapshot()))
}

func TestRingBreaksOnLoss(t *testing.T) {
	r := NewRing(10000)
	r.Put(ringUnit(1, true))
	r.Put(ringUnit(2, false))
	lost := ringUnit(3, false)
	lost.Lost = true
	r.Put(lost)
	require.Empty(t, r.Snapshot())
	r.Put(ringUnit(4, false))
	require.Empty(t, r.Snapshot())
	r.Put(ringUnit(5, true))
	require.Equal(t, []byte{5}, numbers(r.PreRoll()), "nothing from before the loss")
	r.Break()
	require.Empty(t, r.Snapshot())
}

// Where there is no key unit, or it was lost, the ring begins where the picture is
// refreshed.
func TestRingOfGradualRefresh(t *testing.T) {
	refresh := func(n byte, lost bool) ingest.AccessUnit {
		u := ringUnit(n, false)
		u.Recovery, u.Lost = 3, lost
		return u
	}
	r := NewRing(1000)
	r.Put(ringUnit(0, false))
	for n := byte(1); n < 9; n++ {
		if n%3 == 1 {
			r.Put(refresh(n, false)) // 1 4 7
		} else {
			r.Put(ringUnit(n, false))
		}
	}
	require.Equal(t, []byte{7, 8}, numbers(r.Snapshot()))
	require.Equal(t, []byte{4, 5, 6, 7, 8}, numbers(r.PreRoll()))
	r.Put(ringUnit(9, true))
	r.Put(refresh(10, false))
	require.Equal(t, []byte{9, 10}, numbers(r.Snapshot()), "from the key unit the whole picture comes out")
	u := refresh(11, true)
	require.True(t, r.Fits(&u))
	r.Put(u)
	require.Equal(t, []byte{11}, numbers(r.Snapshot()), "but not over a hole")
	r.Break()
	r.Put(refresh(12, false))
	require.Equal(t, []byte{12}, numbers(r.PreRoll()))
}

// Readers keep what they took while the ring goes on.
func TestRingSharesUnits(t *testing.T) {
	r := NewRing(2000)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if list := numbers(r.Snapshot()); len(list) > 0 {
					for i, n := range list {
						if n != list[0]+byte(i) {
							t.Errorf("units %v are not in a row", list)
						}
					}
				}
			}
		})
	}
	for n := range 2000 {
		r.Put(ringUnit(byte(n%200), n%5 == 0))
	}
	wg.Wait()
}
