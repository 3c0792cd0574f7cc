package server

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/api/audit"
)

// nodeJSON is one edge as the page sees it.
type nodeJSON struct {
	Name    string            `json:"name"`
	Version string            `json:"version"`
	Cameras int               `json:"cameras"`
	SeenAt  time.Time         `json:"seen_at"`
	GB28181 *api.DeviceReport `json:"gb28181"`
}

// getNodes lists the edges, with the devices that wait to be let in: their
// addresses are for whoever looks after them, not for every viewer.
func (s *Server) getNodes(c *gin.Context) {
	rows, err := s.opt.Store.Nodes(c.Request.Context())
	if err != nil {
		s.fail(c, err)
		return
	}
	items := make([]nodeJSON, len(rows))
	for i, r := range rows {
		items[i] = nodeJSON{Name: r.Name, Version: r.Version, Cameras: r.Cameras, SeenAt: r.Seen, GB28181: r.Devices}
	}
	c.JSON(http.StatusOK, asList(items, ""))
}

// register writes what a person did at a node into the access register. What
// can never be a row is logged: it must not hold up the messages behind it.
func (s *Server) register(ctx context.Context, e *api.Envelope) error {
	op := e.Operation
	key := "operation " + op.ID + " asked"
	text := op.Time.UTC().Format(time.RFC3339) + " " + op.Command
	if op.Result != "" {
		key = "operation " + op.ID + " done"
		text += ": " + op.Result
	}
	_, err := s.opt.Audit.Once(ctx, key, audit.Look{
		Login: op.Login, Name: op.Name, Unit: op.Unit, Post: "-", ClientIP: e.Node, Action: audit.Action(op.Action), Reason: audit.ReasonCode(op.Reason),
		ReasonText: text, CaseNo: op.CaseNo, Cameras: []string{cmp.Or(string(op.Camera), op.Channel, op.Device)}, From: op.From, To: op.To,
	})
	if errors.Is(err, audit.ErrLook) {
		s.opt.Log.Error("operation cannot be registered", "node", e.Node, "seq", e.Seq, "err", err)
		return nil
	}
	return err
}
