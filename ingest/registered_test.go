package ingest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
)

func TestFleetTakesWhatTheRegistrarSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFleet(FleetOptions{Open: opens(playing)})
		defer f.Close()
		f.Apply([]configs.Camera{camera("a")})
		require.Equal(t, ReasonNotOffered, f.States()[0].Registered.Reason, "until somebody says")

		f.SetRegistered("a", Yes, ReasonNone)
		f.SetRegistered("nobody", Yes, ReasonNone)
		f.SetRecording("a", No, "off")
		since := time.Now()
		time.Sleep(time.Minute) // virtual
		f.SetRegistered("a", Yes, ReasonNone)
		s := f.States()[0]
		require.Equal(t, Yes, s.Registered.Value)
		require.Equal(t, since, s.Registered.Since, "the same again changes nothing")
		require.Equal(t, No, s.Recording.Value)
		require.Equal(t, Yes, s.Frames.Value, "the facts are independent")

		f.SetRegistered("a", No, "keepalive_missed")
		require.Equal(t, Fact{Value: No, Since: time.Now(), Reason: "keepalive_missed"}, f.States()[0].Registered)
		require.Equal(t, Yes, f.States()[0].Online(), "frames flow: a lost keepalive is no dead camera")
	})
}
