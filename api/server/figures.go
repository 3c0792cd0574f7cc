package server

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/sharpeyes/sharpeyes/api/audit"
)

func (s *Server) getCoverage(c *gin.Context) {
	division, err := queryDivision(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	r, err := s.opt.Coverage.Report(c.Request.Context(), division, s.opt.Now())
	if err != nil {
		s.fail(c, asRefusal(err))
		return
	}
	c.JSON(http.StatusOK, r)
}

func (s *Server) getCameras(c *gin.Context) {
	rows, err := s.opt.Store.Cameras(c.Request.Context())
	if err != nil {
		s.fail(c, err)
		return
	}
	items := make([]cameraJSON, len(rows))
	for i, r := range rows {
		items[i] = s.cameraRow(r)
	}
	c.JSON(http.StatusOK, asList(items, ""))
}

// getRegister lists who looked at what, the latest first.
func (s *Server) getRegister(c *gin.Context) {
	limit, err := queryLimit(c)
	var before int64
	if v := c.Query("before"); v != "" {
		var errBefore error
		if before, errBefore = strconv.ParseInt(v, 10, 64); errBefore != nil || before < 1 {
			err = errors.Join(err, problemf(codeBadRequest, "before: a number from an earlier answer's next"))
		}
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	rows, next, err := s.opt.Audit.List(c.Request.Context(), before, limit)
	if err != nil {
		s.fail(c, err)
		return
	}
	cursor := ""
	if next > 0 {
		cursor = strconv.FormatInt(next, 10)
	}
	c.JSON(http.StatusOK, asList[audit.Row](rows, cursor))
}
