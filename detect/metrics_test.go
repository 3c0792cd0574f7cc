package detect

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// values returns every series of reg as name{label="value",…}; a histogram's
// value is its count.
func values(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			name := f.GetName()
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			out[name] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return out
}

func TestMetricsStartAtZeroAndAreForgotten(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg)
	m.forCamera("a")
	c := m.forCamera("b")
	addTime(c.decodeCPU, 1500*time.Millisecond)
	addTime(c.decodeCPU, -time.Second)

	got := values(t, reg)
	require.Len(t, got, 2*(3+3+len(ingest.Levels())+len(SkipReasons())+len(Classes())+2*len(GateStates())+len(WakeCauses())+1+4+4+len(MainResults())), "no series but for cameras and fixed lists")
	require.Equal(t, 1.5, got[`sharpeyes_stage_seconds_total{camera="b",stage="decode"}`], "a clock that runs backwards adds nothing")
	for _, name := range []string{
		`sharpeyes_camera_decoded_frames_total{camera="a"}`,
		`sharpeyes_analysed_instants_total{camera="a"}`,
		`sharpeyes_motion_instants_total{camera="a"}`,
		`sharpeyes_skipped_instants_total{camera="a",reason="detector_busy"}`,
		`sharpeyes_detections_total{camera="a",class="person"}`,
	} {
		require.Contains(t, got, name)
	}
	m.Forget("b")
	for name := range values(t, reg) {
		require.Contains(t, name, `camera="a"`)
	}
	require.NotPanics(t, func() { NewMetrics(nil).forCamera("a") })
}

func TestThreadCPUGrowsWithWork(t *testing.T) {
	reg := prometheus.NewRegistry()
	c := NewMetrics(reg).forCamera("a")
	s := beginStage(c.motionCPU)
	x := 0
	for threadCPU()-s.began < 5*time.Millisecond {
		x++
	}
	s.end()
	require.GreaterOrEqual(t, values(t, reg)[`sharpeyes_stage_seconds_total{camera="a",stage="motion"}`], 0.005)
}
