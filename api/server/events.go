package server

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/sharpeyes/sharpeyes/api/coverage"
	"github.com/sharpeyes/sharpeyes/api/grid"
	"github.com/sharpeyes/sharpeyes/api/store"
)

// asRefusal turns the errors of the rooms below, on which they let a caller
// decide, into what a client sees. Other errors stay what they are: internal.
func asRefusal(err error) error {
	if t, ok := errors.AsType[*grid.AlreadyTriagedError](err); ok {
		return problemf(codeAlreadyTriaged, "%s, %s, %s %s", t.Status, t.Triage.Name, t.Triage.At.Format(time.RFC3339), t.EventNo)
	}
	table := []struct {
		is   error
		code code
	}{
		{store.ErrNotFound, codeNotFound},
		{store.ErrExists, codeExists},
		{grid.ErrNotFound, codeNotFound},
		{grid.ErrTooLate, codeTooLate},
		{grid.ErrNotYours, codeNotYours},
		{grid.ErrNotTriaged, codeNotTriaged},
		{grid.ErrMovedOn, codeMovedOn},
		{grid.ErrForbiddenCategory, codeBadCategory},
		{grid.ErrReason, codeNoReason},
		{grid.ErrForbidden, codeForbidden},
		{grid.ErrUnknownPlace, codeUnknownPlace},
		{grid.ErrTextTooLong, codeTooLong},
		{errBusy, codeBusy},
		{coverage.ErrUnknownDivision, codeUnknownDivision},
	}
	for _, t := range table {
		if errors.Is(err, t.is) {
			return problem(t.code)
		}
	}
	return err
}

// eventStates are all states that a filter may name.
func eventStates() []grid.State {
	return []grid.State{
		grid.Reported, grid.Accepted, grid.Rejected, grid.Filed, grid.Dispatched, grid.Returned, grid.Handling,
		grid.ExtensionRequested, grid.Suspended, grid.FedBack, grid.Verifying, grid.VerifyFailed, grid.Closed,
		grid.Evaluated, grid.Archived,
	}
}

func (s *Server) getEvents(c *gin.Context) {
	f := grid.Filter{State: grid.State(c.Query("state"))}
	if f.State != "" && !slices.Contains(eventStates(), f.State) {
		s.fail(c, problemf(codeBadRequest, "state: unknown"))
		return
	}
	var errDivision, errLimit, errBefore error
	f.Division, errDivision = queryDivision(c)
	f.Limit, errLimit = queryLimit(c)
	f.Before, errBefore = queryText(c, "before")
	if err := errors.Join(errDivision, errLimit, errBefore); err != nil {
		s.fail(c, err)
		return
	}
	items, next, err := s.opt.Events.List(c.Request.Context(), f)
	if err != nil {
		s.fail(c, asRefusal(err))
		return
	}
	c.JSON(http.StatusOK, asList(items, next))
}

func (s *Server) getEvent(c *gin.Context) {
	e, err := s.opt.Events.Get(c.Request.Context(), c.Param("no"))
	if err != nil {
		s.fail(c, asRefusal(err))
		return
	}
	c.JSON(http.StatusOK, e)
}

func (s *Server) getCategories(c *gin.Context) {
	c.JSON(http.StatusOK, asList(grid.Categories(), ""))
}
