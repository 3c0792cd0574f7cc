package alert

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
)

func state(frames, picture ingest.Value, reason ingest.Reason, since float64) ingest.State {
	return ingest.State{
		Camera:  "gate",
		Frames:  ingest.Fact{Value: frames, Since: at(since), Reason: reason},
		Picture: ingest.Fact{Value: picture, Since: at(since), Reason: reason},
	}
}

func TestCameraFault(t *testing.T) {
	type step struct {
		at    float64
		state *ingest.State // nil: a tick
	}
	good := state(ingest.Yes, ingest.Yes, "", 0)
	dead := state(ingest.No, ingest.Unknown, ingest.ReasonTimeout, 10)
	frozen := state(ingest.Yes, ingest.No, ingest.ReasonFrozen, 10)
	trying := state(ingest.Unknown, ingest.Unknown, ingest.ReasonStarting, 15)
	again := state(ingest.No, ingest.Unknown, ingest.ReasonTimeout, 55)
	refused := state(ingest.No, ingest.Unknown, ingest.ReasonRefused, 45)
	stopped := state(ingest.No, ingest.Unknown, ingest.ReasonStopped, 10)
	forbidden := state(ingest.No, ingest.No, ingest.ReasonForbidden, 10)
	starting := state(ingest.No, ingest.Unknown, ingest.ReasonStarting, 10)
	unsaid := ingest.State{Frames: ingest.Fact{Value: ingest.No, Reason: ingest.ReasonTimeout}}

	for _, c := range []struct {
		name  string
		steps []step
		want  []string
	}{
		{"no frames for long enough", []step{{0, &good}, {10, &dead}, {39, nil}, {40, nil}, {41, nil}}, []string{"40 opened "}},
		{"a frozen picture", []step{{10, &frozen}, {40, nil}}, []string{"40 opened "}},
		{"back in time", []step{{10, &dead}, {30, &good}, {60, nil}}, nil},
		{"tried again in between", []step{{10, &dead}, {15, &trying}, {20, &dead}, {40, nil}}, []string{"40 opened "}},
		{"unknown is no fault", []step{{10, &trying}, {100, nil}}, nil},
		{"we stopped it", []step{{10, &stopped}, {100, nil}}, nil},
		{"forbidden", []step{{10, &forbidden}, {100, nil}}, nil},
		{"not tried yet", []step{{10, &starting}, {100, nil}}, nil},
		{"no time given", []step{{10, &unsaid}, {39, nil}, {40, nil}}, []string{"40 opened "}},
		{"another reason is news", []step{{10, &dead}, {40, nil}, {45, &refused}, {50, nil}}, []string{"40 opened ", "45 updated "}},
		{"dead for an hour is said once", []step{{10, &dead}, {40, nil}, {1000, nil}, {3600, nil}}, []string{"40 opened "}},
		{"closed when it is back for good", []step{{10, &dead}, {40, nil}, {50, nil}, {52, &good}, {59, nil}, {60, nil}}, []string{"40 opened ", "60 closed "}},
		{"back for a moment only", []step{{10, &dead}, {40, nil}, {50, nil}, {52, &good}, {55, &again}, {60, nil}, {70, nil}, {79, nil}, {80, &good}, {88, nil}}, []string{"40 opened "}},
		{"stopped while open", []step{{10, &dead}, {40, nil}, {45, &stopped}, {55, nil}}, []string{"40 opened ", "55 closed "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := engine(t, configs.Rule{ID: "f", Kind: "camera_fault", Level: 1})
			var got []Alert
			for _, s := range c.steps {
				if s.state != nil {
					got = append(got, e.State(*s.state, at(s.at))...)
				} else {
					got = append(got, e.Tick(at(s.at))...)
				}
			}
			require.Equal(t, c.want, story(got))
			for _, a := range got {
				require.NotEmpty(t, a.Reason)
				require.Equal(t, 1, a.Level)
			}
			if c.name == "no frames for long enough" {
				require.Equal(t, at(10), got[0].Start, "since it is bad")
			}
		})
	}
}

func TestCameraFaultInItsSchedule(t *testing.T) {
	e := engine(t, configs.Rule{ID: "f", Kind: "camera_fault", Schedule: []string{"daily 12:10-13:00"}})
	e.State(state(ingest.No, ingest.Unknown, ingest.ReasonTimeout, 0), at(0))
	require.Empty(t, e.Tick(at(300)))
	require.Len(t, e.Tick(at(601)), 1)
}

func TestAlertMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg)
	m.Count([]Alert{{Camera: "a", Kind: Dwell, Phase: Opened}, {Camera: "a", Kind: Dwell, Phase: Opened}, {Camera: "b", Kind: Dwell, Phase: Closed}})
	families, err := reg.Gather()
	require.NoError(t, err)
	require.Equal(t, "sharpeyes_alerts_total", families[0].GetName())
	require.Len(t, families[0].GetMetric(), 2)
	require.Equal(t, 2.0, families[0].GetMetric()[0].GetCounter().GetValue())
	m.Forget("a")
	families, err = reg.Gather()
	require.NoError(t, err)
	require.Len(t, families[0].GetMetric(), 1)
	require.NotPanics(t, func() { NewMetrics(nil).Count([]Alert{{}}) })
}
