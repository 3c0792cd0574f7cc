package server

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/sharpeyes/sharpeyes/api"
)

// postWake asks for a camera's pictures to be decoded all, since somebody looks. It
// shows nothing, so it is no row in the access register.
func (s *Server) postWake(c *gin.Context) {
	row, err := s.opt.Store.Camera(c.Request.Context(), api.CameraID(c.Param("id")))
	if err != nil {
		s.fail(c, asRefusal(err))
		return
	}
	if s.opt.Wake == nil {
		s.fail(c, problem(codeNotReady))
		return
	}
	if err := s.opt.Wake(c.Request.Context(), row.Camera.ID); err != nil {
		s.log.Warn("camera was not woken", "camera", row.Camera.ID, "err", err)
		s.fail(c, problem(codeNotReady))
		return
	}
	c.Status(http.StatusNoContent)
}
