package server

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/api/audit"
)

func TestWaitingDevicesAreShownToWhoeverMayJudge(t *testing.T) {
	w := newWorld(t)
	at := time.Now().UTC().Truncate(time.Second)
	report := &api.DeviceReport{
		Registered: 1, Configured: 2, WaitingTotal: 70, ChangesTotal: 1,
		Waiting: []api.WaitingDevice{{ID: "36112700001180000009", Address: "192.0.2.7:5060", UserAgent: "IPC", Version: "3.0", FirstSeen: at, LastSeen: at, Attempts: 12}},
		Changes: []api.ChannelChange{{Device: "36112700001180000001", Channel: "36112700001320000002", Kind: "new", Reported: "村口"}},
	}
	w.ingest(&api.NodeReport{Version: "v1", Started: at, Cameras: 3, GB28181: report})
	duty := w.as("duty")
	r := duty.get("/api/v1/nodes")
	require.Equal(t, http.StatusOK, r.status, r.body)
	var page struct{ Items []nodeJSON }
	r.into(t, &page)
	require.Len(t, page.Items, 1)
	require.Equal(t, report, page.Items[0].GB28181)

	w.ingest(&api.NodeReport{Version: "v1", Started: at, Cameras: 3})
	duty.get("/api/v1/nodes").into(t, &page)
	require.Nil(t, page.Items[0].GB28181, "a node that is no platform any more")
	require.Equal(t, http.StatusForbidden, w.as("viewer").get("/api/v1/nodes").status, "addresses of devices are not for everybody")
}

func TestOperationsAtANodeAreRegisteredOnce(t *testing.T) {
	w := newWorld(t)
	asked := api.Operation{
		ID: "0123456789abcdef0123456789abcdef", Time: time.Now(), Login: "wang", Name: "王五", Unit: "赤岸镇综治中心",
		Action: string(audit.ActionControl), Reason: string(audit.ReasonPatrol), Device: "36112700001180000001", Channel: "36112700001320000001",
		Camera: "gate-01", Command: "ptz left 5",
	}
	done := asked
	done.Result = "ok"
	w.ingest(&asked, &done)
	w.ingest(&asked, &done) // delivered at least once
	rows, _, err := w.opt.Audit.List(t.Context(), 0, 10)
	require.NoError(t, err)
	require.Len(t, rows, 2)
	require.Contains(t, rows[1].ReasonText, "ptz left 5")
	require.Contains(t, rows[0].ReasonText, "ptz left 5: ok")
	require.Equal(t, []string{"gate-01"}, rows[0].Cameras)
	require.Equal(t, "edge-1", rows[0].ClientIP, "where it was done")
	require.Equal(t, "赤岸镇综治中心", rows[0].Unit)

	nameless := asked
	nameless.ID, nameless.Login = "f", ""
	w.ingest(&nameless) // must not stop what comes behind it
	rows, _, err = w.opt.Audit.List(t.Context(), 0, 10)
	require.NoError(t, err)
	require.Len(t, rows, 2)
	require.Contains(t, w.log.String(), "operation cannot be registered")
	res := w.as("admin").get("/api/v1/access-register")
	require.Equal(t, http.StatusOK, res.status)
}
