package main

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// A camera whose substream comes and whose main stream is refused is online; the
// picture fact says what is missing, until the main stream comes too.
func TestMainStreamDownIsAReasonAndNoOutage(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := l.Addr().String()
	require.NoError(t, l.Close())
	clip, err := filepath.Abs("../../configs/clips/lawn.h264")
	require.NoError(t, err)
	log := slog.New(slog.DiscardHandler)
	cam := configs.Camera{ID: "gate", LegalBasis: "A9", URL: "rtsp://" + closed + "/main", SubstreamURL: "file://" + clip}.Effective(configs.Stream{})
	require.Equal(t, configs.StreamBoth, cam.Settings.Stream)

	var m *mains
	fleet := ingest.NewFleet(ingest.FleetOptions{
		Open: openPlain,
		Consume: func(ctx context.Context, c configs.Camera, q *ingest.Queue) {
			require.NotNil(t, m.begin(ingest.CameraID(c.ID)))
			for said := false; ; said = true {
				if _, err := q.Pop(ctx); err != nil {
					return
				}
				if !said {
					m.picture(ingest.CameraID(c.ID), ingest.Yes, ingest.ReasonNone)
				}
			}
		},
	})
	keys := detect.NewKeyPool(1, nil)
	m = newMains(openPlain, keys, prometheus.NewRegistry(), log, fleet.SetPicture)
	defer m.fleet.Close()
	defer fleet.Close()
	m.prepare([]configs.Camera{cam})
	fleet.Apply([]configs.Camera{cam})
	m.apply([]configs.Camera{cam})

	picture := func() ingest.Fact { return fleet.States()[0].Picture }
	require.Eventually(t, func() bool { return picture().Reason == ingest.ReasonSubstreamOnly }, 20*time.Second, 20*time.Millisecond)
	require.Equal(t, ingest.Yes, picture().Value)
	require.Contains(t, picture().Hint, "main stream")
	require.Equal(t, ingest.Yes, fleet.States()[0].Online())
	require.Zero(t, testutil.ToFloat64(m.up.WithLabelValues("gate")))

	cam.URL = cam.SubstreamURL // now both come
	m.prepare([]configs.Camera{cam})
	m.apply([]configs.Camera{cam})
	require.Eventually(t, func() bool { return picture() == ingest.Fact{Value: ingest.Yes, Since: picture().Since} }, 20*time.Second, 20*time.Millisecond)
	require.Eventually(t, func() bool { return testutil.ToFloat64(m.up.WithLabelValues("gate")) == 1 }, 20*time.Second, 20*time.Millisecond)

	m.prepare(nil)
	m.apply(nil)
	require.Nil(t, m.begin("gate"))
	require.Zero(t, testutil.CollectAndCount(m.up))
	m.picture("gate", ingest.No, ingest.ReasonFrozen)
	require.Equal(t, ingest.ReasonFrozen, picture().Reason, "a camera without a main stream")
}

func TestWhichCamerasPullTheirMainStreamToo(t *testing.T) {
	cam := func(change func(*configs.Camera)) configs.Camera {
		c := configs.Camera{ID: "a", LegalBasis: "A9", URL: "rtsp://h/1", SubstreamURL: "rtsp://h/2"}
		change(&c)
		return c.Effective(configs.Stream{})
	}
	for name, c := range map[string]struct {
		change func(*configs.Camera)
		want   bool
	}{
		"both":                   {func(*configs.Camera) {}, true},
		"the substream alone":    {func(c *configs.Camera) { c.Settings.Stream = "sub" }, false},
		"the main stream alone":  {func(c *configs.Camera) { c.Settings.Stream = "main" }, false},
		"no substream":           {func(c *configs.Camera) { c.SubstreamURL = "" }, false},
		"disabled":               {func(c *configs.Camera) { c.Disabled = true }, false},
		"not a public place":     {func(c *configs.Camera) { c.LegalBasis = "A33" }, false},
		"shown, never looked at": {func(c *configs.Camera) { c.LegalBasis = "unknown" }, false},
	} {
		require.Equal(t, c.want, wantsMain(cam(c.change)), name)
	}
}

// openPlain opens cameras that are no channels of GB/T 28181 devices.
func openPlain(c configs.Camera) (ingest.Source, error) {
	return openSource(c, nil, nil, slog.New(slog.DiscardHandler))
}
