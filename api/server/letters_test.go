package server

import (
	"database/sql"
	"log/slog"
	"net/http"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api/audit"
	"github.com/sharpeyes/sharpeyes/api/store"
	"github.com/sharpeyes/sharpeyes/api/stream"
)

const lettersStream = "test:{alerts}"

// withLetters is a world with a real Redis and dead letters in it.
func withLetters(t *testing.T, n int) (*world, redis.UniversalClient) {
	t.Helper()
	server, err := stream.StartServer(t.Context(), t.TempDir(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	c := stream.NewClient(stream.ClientOptions{Addresses: []string{server.Addr()}})
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	for range n {
		require.NoError(t, c.XAdd(t.Context(), &redis.XAddArgs{Stream: lettersStream + stream.DeadSuffix, Values: []any{
			"reason", "rejected", "error", "why\xff", "id", "1-1", "deliveries", 6, "at", "2026-01-02T03:04:05Z",
			"e", `{"v":1,"node":"edge-1","seq":1,"alert":{"id":"a1","camera":"cam-1"}}`, "v", 1, "node", "edge-1", "jpeg", "secret picture",
		}}).Err())
	}
	return newWorld(t, func(o *Options) { o.DeadLetters = stream.NewDeadLetters(c, lettersStream) }), c
}

type lettersPage struct {
	Items []letterJSON `json:"items"`
	Next  string       `json:"next"`
	All   int64        `json:"all"`
}

func TestDeadLetters(t *testing.T) {
	w, c := withLetters(t, 3)
	b := w.as(store.RoleAdmin)
	var page lettersPage
	r := b.get("/api/v1/dead-letters?limit=2")
	r.into(t, &page)
	require.NotContains(t, r.body, "secret picture")
	require.Len(t, page.Items, 2)
	require.Equal(t, int64(3), page.All)
	require.Equal(t, page.Items[1].ID, page.Next)
	l := page.Items[0]
	require.Equal(t, []string{"rejected", "edge-1", "alert", "cam-1", "a1"}, []string{l.Reason, l.Node, l.Kind, l.Camera, l.Alert})

	path := "/api/v1/dead-letters/" + l.ID
	require.Equal(t, http.StatusNoContent, b.post(path+"/requeue", map[string]string{"reason": "again"}).status)
	n, err := c.XLen(t.Context(), lettersStream).Result()
	require.NoError(t, err)
	require.Equal(t, int64(1), n)
	require.Equal(t, codeNotFound, b.post(path+"/requeue", map[string]string{}).code(t), "it is moved once")

	path = "/api/v1/dead-letters/" + page.Items[1].ID
	require.Equal(t, codeNoReason, b.send(b.request(http.MethodDelete, path, map[string]string{"reason": " "})).code(t))
	require.Equal(t, http.StatusNoContent, b.send(b.request(http.MethodDelete, path, map[string]string{"reason": "a test"})).status)
	b.get("/api/v1/dead-letters").into(t, &page)
	require.Len(t, page.Items, 1)

	rows, _, err := w.opt.Audit.List(t.Context(), 0, 10)
	require.NoError(t, err)
	require.Len(t, rows, 2)
	require.Equal(t, "dead letter "+l.ID+": requeue: again", rows[1].ReasonText)
	require.Contains(t, rows[0].ReasonText, "delete: a test")
	require.Equal(t, audit.ActionAPI, rows[0].Action)
	require.Equal(t, []string{"cam-1"}, rows[0].Cameras)
}

func TestDeadLettersAreForAdmins(t *testing.T) {
	w, c := withLetters(t, 1)
	for _, role := range []store.Role{store.RoleDuty, store.RoleViewer} {
		b := w.as(role)
		require.Equal(t, codeForbidden, b.get("/api/v1/dead-letters").code(t))
		require.Equal(t, codeForbidden, b.post("/api/v1/dead-letters/1-1/requeue", map[string]string{}).code(t))
	}
	n, err := c.XLen(t.Context(), lettersStream+stream.DeadSuffix).Result()
	require.NoError(t, err)
	require.Equal(t, int64(1), n)
}

func TestDeadLettersWithoutRegisterOrRedis(t *testing.T) {
	w, c := withLetters(t, 1)
	b := w.as(store.RoleAdmin)
	var page lettersPage
	b.get("/api/v1/dead-letters").into(t, &page)
	db, err := sql.Open("sqlite", w.database())
	require.NoError(t, err)
	_, err = db.Exec(`CREATE TRIGGER full BEFORE INSERT ON access_register BEGIN SELECT RAISE(ABORT, 'disk full'); END`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	require.Equal(t, codeNoRegister, b.post("/api/v1/dead-letters/"+page.Items[0].ID+"/requeue", map[string]string{}).code(t))
	n, err := c.XLen(t.Context(), lettersStream).Result()
	require.NoError(t, err)
	require.Zero(t, n, "no row, no move")

	w = newWorld(t)
	b = w.as(store.RoleAdmin)
	require.Equal(t, codeBusy, b.get("/api/v1/dead-letters").code(t))
}
