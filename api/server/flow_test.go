package server

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/api/coverage"
	"github.com/sharpeyes/sharpeyes/api/grid"
	"github.com/sharpeyes/sharpeyes/api/store"
)

// TestAShift goes through what a person in the video room does, with the data
// coming in as it does from the edges.
func TestAShift(t *testing.T) {
	w := newWorld(t)
	duty, viewer := w.as(store.RoleDuty), w.as(store.RoleViewer)
	wall, _, _ := duty.listen("")
	a, b := alertOf(t, "a", "cam-1", api.Opened), alertOf(t, "b", "cam-1", api.Opened)
	w.ingest(camera("cam-1"), a, b)
	require.Equal(t, "camera", wall.next().event)
	require.Equal(t, a.ID, wall.nextAlert().Alert.ID)
	require.Equal(t, b.ID, wall.nextAlert().Alert.ID)

	var categories listJSON[grid.Category]
	duty.get("/api/v1/event-categories").into(t, &categories)
	require.NotEmpty(t, categories.Items)

	confirm := map[string]string{"category": "0201", "title": "水塘边有人", "note": "已喊话"}
	require.Equal(t, codeForbidden, viewer.post("/api/v1/alerts/"+a.ID+"/confirm", confirm).code(t))
	var event, again grid.Event
	r := duty.post("/api/v1/alerts/"+a.ID+"/confirm", confirm)
	require.Equal(t, http.StatusOK, r.status, r.body)
	r.into(t, &event)
	duty.post("/api/v1/alerts/"+a.ID+"/confirm", confirm).into(t, &again)
	require.Equal(t, event.No, again.No, "one alert, one event")
	require.Equal(t, []string{a.ID}, event.AlertIDs)
	w.user("li", store.RoleDuty)
	require.Equal(t, codeAlreadyTriaged, w.login("li").post("/api/v1/alerts/"+a.ID+"/confirm", confirm).code(t))

	// The wall hears of both the event and the alert, in whichever order.
	heard := map[string]string{}
	for range 2 {
		e := wall.next()
		heard[e.event] = e.data
	}
	require.Contains(t, heard["event"], event.No)
	require.Contains(t, heard["alert"], `"status":"confirmed"`)
	require.Contains(t, heard["alert"], event.No)

	require.Equal(t, codeNoReason, duty.post("/api/v1/alerts/"+b.ID+"/dismiss", map[string]string{"reason": "tired"}).code(t))
	require.Equal(t, http.StatusOK, duty.post("/api/v1/alerts/"+b.ID+"/dismiss", map[string]string{"reason": "false_alarm"}).status)
	require.Equal(t, store.StatusDismissed, wall.nextAlert().Status)
	require.Equal(t, codeNotYours, w.login("li").post("/api/v1/alerts/"+b.ID+"/undo", nil).code(t))
	require.Equal(t, http.StatusOK, duty.post("/api/v1/alerts/"+b.ID+"/undo", nil).status)
	require.Equal(t, store.StatusNew, wall.nextAlert().Status)
	w.requireLatencies(wall, 2) // one that is new again is no new alert
	require.Equal(t, codeNotTriaged, duty.post("/api/v1/alerts/"+b.ID+"/undo", nil).code(t))

	var events listJSON[grid.Event]
	viewer.get("/api/v1/events?state=reported&division="+village).into(t, &events)
	require.Len(t, events.Items, 1)
	viewer.get("/api/v1/events/"+event.No).into(t, &again)
	require.Equal(t, event.No, again.No)
	require.Equal(t, codeNotFound, viewer.get("/api/v1/events/360921-20200101-000001").code(t))

	var report coverage.Report
	viewer.get("/api/v1/coverage?division="+village[:6]).into(t, &report)
	for _, v := range report.Villages {
		if v.Code == village {
			require.Equal(t, [3]int{1, 1, 1}, [3]int{v.Points, v.Cameras, v.Online})
			require.Equal(t, 4, v.Shortfall)
			return
		}
	}
	t.Fatal("the camera's village is not in the report")
}

func TestRefusalsOfDecisions(t *testing.T) {
	w := newWorld(t)
	b := w.as(store.RoleDuty)
	a := alertOf(t, "a", "cam-1", api.Opened)
	w.ingest(a) // the camera's record has not come
	at := "/api/v1/alerts/" + a.ID
	for _, tc := range []struct {
		name, path string
		body       any
		want       code
	}{
		{"no such alert", "/api/v1/alerts/0123/confirm", map[string]string{"category": "0201"}, codeNotFound},
		{"no place", at + "/confirm", map[string]string{"category": "0201"}, codeUnknownPlace},
		{"forbidden category", at + "/confirm", map[string]string{"category": "1701"}, codeBadCategory},
		{"too long", at + "/dismiss", map[string]string{"reason": "known", "note": strings.Repeat("长", 1001)}, codeTooLong},
		{"unknown field", at + "/dismiss", map[string]string{"reason": "known", "nots": "x"}, codeBadRequest},
		{"wrong type", at + "/dismiss", map[string]int{"reason": 1}, codeBadRequest},
		{"no JSON", at + "/dismiss", "reason=known", codeBadRequest},
		{"two values", at + "/dismiss", `{"reason":"known"}{}`, codeBadRequest},
		{"too large", at + "/dismiss", `{"note":"` + strings.Repeat("x", maxBody) + `"}`, codeTooLarge},
		{"too large behind the value", at + "/dismiss", `{"reason":"known"}` + strings.Repeat(" ", maxBody), codeTooLarge},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.want, b.post(tc.path, tc.body).code(t))
		})
	}
	req := b.request(http.MethodPost, at+"/dismiss", `{"reason":"known"}`)
	req.Header.Set("Content-Type", "text/plain") // what a foreign form can send
	require.Equal(t, codeMediaType, b.send(req).code(t))
}
