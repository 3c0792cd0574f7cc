package server

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
)

func TestWakeACamera(t *testing.T) {
	var woken []api.CameraID
	var fails error
	w := newWorld(t, func(o *Options) {
		o.Wake = func(_ context.Context, id api.CameraID) error {
			woken = append(woken, id)
			return fails
		}
	})
	w.ingest(camera("gate-01"))
	require.Equal(t, codeNotLoggedIn, w.browser().post("/api/v1/cameras/gate-01/wake", nil).code(t))
	b := w.as("viewer")
	require.Equal(t, http.StatusNoContent, b.post("/api/v1/cameras/gate-01/wake", nil).status)
	require.Equal(t, []api.CameraID{"gate-01"}, woken)
	require.Equal(t, codeNotFound, b.post("/api/v1/cameras/gate-02/wake", nil).code(t))
	require.Len(t, woken, 1)
	fails = errors.New("redis is away")
	require.Equal(t, codeNotReady, b.post("/api/v1/cameras/gate-01/wake", nil).code(t))
	req := b.request(http.MethodPost, "/api/v1/cameras/gate-01/wake", nil)
	req.Header.Set(csrfHeader, "stolen")
	require.Equal(t, codeCSRF, b.send(req).code(t))
	require.Len(t, woken, 2)

	without := newWorld(t)
	without.ingest(camera("gate-01"))
	require.Equal(t, codeNotReady, without.as("viewer").post("/api/v1/cameras/gate-01/wake", nil).code(t))
}
