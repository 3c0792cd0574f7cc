package server

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/api/audit"
	"github.com/sharpeyes/sharpeyes/api/grid"
	"github.com/sharpeyes/sharpeyes/api/store"
)

// Bounds of lists.
const (
	defaultLimit = 50
	maxLimit     = 500
	maxParam     = 64 // length of an ID or cursor in a query
)

// queryLimit reads limit, 1 to 500.
func queryLimit(c *gin.Context) (int, error) {
	v := c.Query("limit")
	if v == "" {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > maxLimit {
		return 0, problemf(codeBadRequest, "limit: use 1 to %d", maxLimit)
	}
	return n, nil
}

// queryText reads a parameter that is an ID or a cursor.
func queryText(c *gin.Context, name string) (string, error) {
	v := c.Query(name)
	if len(v) > maxParam {
		return "", problemf(codeBadRequest, "%s: longer than %d", name, maxParam)
	}
	return v, nil
}

// queryDivision reads a division code or its first digits (GB/T 2260, 12 digits).
func queryDivision(c *gin.Context) (string, error) {
	v := c.Query("division")
	if len(v) > 12 {
		return "", problemf(codeBadRequest, "division: at most 12 digits")
	}
	for _, r := range v {
		if r < '0' || r > '9' {
			return "", problemf(codeBadRequest, "division: digits only")
		}
	}
	return v, nil
}

func alertFilter(c *gin.Context) (store.AlertFilter, error) {
	var f store.AlertFilter
	switch st := store.Status(c.Query("status")); st {
	case "", store.StatusNew, store.StatusConfirmed, store.StatusDismissed:
		f.Status = st
	default:
		return f, problemf(codeBadRequest, "status: use new, confirmed or dismissed")
	}
	cam, err := queryText(c, "camera")
	if err != nil {
		return f, err
	}
	f.Camera = api.CameraID(cam)
	f.Division, err = queryDivision(c)
	return f, err
}

func (s *Server) getAlerts(c *gin.Context) {
	f, err := alertFilter(c)
	limit, errLimit := queryLimit(c)
	before, errBefore := queryText(c, "before")
	if err := errors.Join(err, errLimit, errBefore); err != nil {
		s.fail(c, err)
		return
	}
	rows, next, err := s.opt.Store.Alerts(c.Request.Context(), f, before, limit)
	if err != nil {
		s.fail(c, asRefusal(err))
		return
	}
	items := make([]alertJSON, len(rows))
	for i, r := range rows {
		items[i] = s.alertRow(r)
	}
	c.JSON(http.StatusOK, asList(items, next))
}

func (s *Server) getAlert(c *gin.Context) {
	r, err := s.opt.Store.Alert(c.Request.Context(), c.Param("id"))
	if err != nil {
		s.fail(c, asRefusal(err))
		return
	}
	c.JSON(http.StatusOK, s.alertRow(r))
}

// getPicture writes the access register and then the picture, in this order and
// not otherwise: no row, no picture (Order 799 Art. 16).
func (s *Server) getPicture(c *gin.Context) {
	b, err := s.registeredPicture(c)
	r, refused := errors.AsType[*refusal](err)
	switch {
	case err == nil:
		s.metrics.pictures.WithLabelValues(pictureShown).Inc()
		c.Header("Content-Disposition", "inline")
		c.Data(http.StatusOK, "image/jpeg", b)
		return
	case refused && r.code == codeNoRegister:
		s.metrics.pictures.WithLabelValues(pictureRefused).Inc()
	case refused:
		s.metrics.pictures.WithLabelValues(pictureMissing).Inc()
	}
	s.fail(c, err)
}

func (s *Server) registeredPicture(c *gin.Context) ([]byte, error) {
	ctx, id := c.Request.Context(), c.Param("id")
	row, err := s.opt.Store.Alert(ctx, id)
	if err != nil {
		return nil, asRefusal(err)
	}
	p, err := s.opt.Store.Picture(ctx, id)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExpired) {
		return nil, problem(codeNoPicture)
	}
	if err != nil {
		return nil, fmt.Errorf("picture of %s: %w", id, err)
	}
	u := loginOf(c).User
	_, err = s.opt.Audit.Register(ctx, audit.Look{
		Login: u.Name, Name: u.Display, Unit: u.Unit, Post: u.Post, ClientIP: c.ClientIP(),
		Action: audit.ActionSnapshot, Reason: audit.ReasonGridEvent,
		Cameras: []string{string(row.Alert.Camera)}, Alert: id, From: p.At, To: p.At, Blurred: p.Blurred,
	})
	if err != nil {
		s.log.ErrorContext(ctx, "access register not written, picture refused", "alert", id, "err", err)
		return nil, problem(codeNoRegister)
	}
	b, err := s.opt.Store.ReadPicture(ctx, p)
	if errors.Is(err, store.ErrExpired) { // it expired between the question and the answer
		return nil, problem(codeNoPicture)
	}
	if err != nil {
		return nil, fmt.Errorf("picture of %s: %w", id, err)
	}
	return b, nil
}

func (s *Server) postConfirm(c *gin.Context) {
	var in struct {
		Category string `json:"category"`
		Title    string `json:"title"`
		Note     string `json:"note"`
	}
	if err := readJSON(c, &in); err != nil {
		s.fail(c, err)
		return
	}
	e, err := s.opt.Events.Confirm(c.Request.Context(), c.Param("id"), loginOf(c).User,
		grid.Confirmation{Category: in.Category, Title: in.Title, Note: in.Note})
	if err != nil {
		s.fail(c, asRefusal(err))
		return
	}
	c.JSON(http.StatusOK, e)
}

func (s *Server) postDismiss(c *gin.Context) {
	var in struct {
		Reason grid.DismissReason `json:"reason"`
		Note   string             `json:"note"`
	}
	if err := readJSON(c, &in); err != nil {
		s.fail(c, err)
		return
	}
	r, err := s.opt.Events.Dismiss(c.Request.Context(), c.Param("id"), loginOf(c).User, in.Reason, in.Note)
	if err != nil {
		s.fail(c, asRefusal(err))
		return
	}
	c.JSON(http.StatusOK, s.alertRow(r))
}

func (s *Server) postUndo(c *gin.Context) {
	r, err := s.opt.Events.Undo(c.Request.Context(), c.Param("id"), loginOf(c).User)
	if err != nil {
		s.fail(c, asRefusal(err))
		return
	}
	c.JSON(http.StatusOK, s.alertRow(r))
}
