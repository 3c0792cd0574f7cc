package stream

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A center may commit an entry before the producer has read that Redis took it.
// It is not in flight then, and nothing that Redis could have lost.
func TestFlightLandsBeforeItIsSent(t *testing.T) {
	f := newFlight()
	early, late, failed := part{seq: 1}, part{seq: 2}, part{seq: 3}
	f.sending([]entry{{part: early}, {part: late}})
	f.landed([]part{early})
	f.sent(early, "1-0")
	f.sent(late, "2-0")
	f.unsent()
	require.Equal(t, 1, f.size())
	overdue := f.overdue(time.Now().Add(time.Second), 10)
	require.Len(t, overdue, 1)
	require.Equal(t, late, overdue[0].part)
	f.landed([]part{late})
	require.Zero(t, f.size())

	f.sending([]entry{{part: failed}})
	f.unsent()
	require.Zero(t, f.size())
	f.sending([]entry{{part: failed}}) // again
	f.sent(failed, "3-0")
	require.Equal(t, 1, f.size())
}
