package server

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/sharpeyes/sharpeyes/api"
)

// readyTimeout bounds the questions behind /readyz; who asks has a timeout too.
const readyTimeout = 3 * time.Second

// getHealth says that the process lives and answers.
func (s *Server) getHealth(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"ok": true}) }

// getReady says whether the center does its work: the store answers and what
// was handed in as Ready agrees. Why not stands in the log; this answer is for
// anybody.
func (s *Server) getReady(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), readyTimeout)
	defer cancel()
	err := s.opt.Store.Ping(ctx)
	if err == nil {
		err = s.opt.Ready(ctx)
	}
	if err != nil {
		s.log.WarnContext(ctx, "not ready", "err", err)
		s.fail(c, problem(codeNotReady))
		return
	}
	c.JSON(http.StatusOK, gin.H{"ok": true})
}

func (s *Server) getMetrics(c *gin.Context) { s.gatherer.ServeHTTP(c.Writer, c.Request) }

func (s *Server) getDescription(c *gin.Context) {
	c.Data(http.StatusOK, "application/yaml", api.Description())
}
