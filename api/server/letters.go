package server

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/sharpeyes/sharpeyes/api/audit"
	"github.com/sharpeyes/sharpeyes/api/store"
	"github.com/sharpeyes/sharpeyes/api/stream"
)

// DeadLetters is what the server needs of the messages that no center could take:
// a *stream.DeadLetters.
type DeadLetters interface {
	List(ctx context.Context, before string, limit int) (letters []stream.DeadLetter, next string, all int64, err error)
	Get(ctx context.Context, id string) (stream.DeadLetter, error)
	Requeue(ctx context.Context, id string) error
	Delete(ctx context.Context, id string) error
}

const (
	maxReason = 200 // characters
	noCamera  = "-" // of a letter that cannot be read
)

// letterJSON is a dead letter as lists show it. Its picture is not shown.
type letterJSON struct {
	ID         string    `json:"id"`
	At         time.Time `json:"at"`
	Reason     string    `json:"reason"`
	Error      string    `json:"error"`
	Deliveries int64     `json:"deliveries"`
	Node       string    `json:"node"`
	Version    string    `json:"version"`
	Kind       string    `json:"kind"`
	Camera     string    `json:"camera"`
	Alert      string    `json:"alert"`
	Bytes      int64     `json:"bytes"`
}

// lettersJSON is a page of dead letters and how many there are.
type lettersJSON struct {
	listJSON[letterJSON]
	All int64 `json:"all"`
}

func (s *Server) getLetters(c *gin.Context) {
	limit, err := queryLimit(c)
	before, errBefore := queryText(c, "before")
	if err := errors.Join(err, errBefore); err != nil {
		s.fail(c, err)
		return
	}
	letters, next, all, err := s.opt.DeadLetters.List(c.Request.Context(), before, limit)
	if err != nil {
		s.fail(c, s.letterRefusal(c, err))
		return
	}
	items := make([]letterJSON, len(letters))
	for i, l := range letters {
		items[i] = letterJSON{
			ID: l.ID, At: l.At, Reason: l.Reason, Error: strings.ToValidUTF8(l.Error, "\uFFFD"), Deliveries: l.Deliveries,
			Node: l.Node, Version: l.Version, Kind: l.Kind, Camera: l.Camera, Alert: l.Alert, Bytes: l.Bytes,
		}
	}
	c.JSON(http.StatusOK, lettersJSON{asList(items, next), all})
}

func (s *Server) postRequeue(c *gin.Context) {
	s.changeLetter(c, "requeue", false, s.opt.DeadLetters.Requeue)
}

func (s *Server) deleteLetter(c *gin.Context) {
	s.changeLetter(c, "delete", true, s.opt.DeadLetters.Delete)
}

// changeLetter writes the access register and then does it: what becomes of an
// alert that nobody saw is never without a trace.
func (s *Server) changeLetter(c *gin.Context, what string, needsReason bool, do func(context.Context, string) error) {
	var in struct {
		Reason string `json:"reason"`
	}
	if err := readJSON(c, &in); err != nil {
		s.fail(c, err)
		return
	}
	in.Reason = strings.TrimSpace(in.Reason)
	switch {
	case utf8.RuneCountInString(in.Reason) > maxReason:
		s.fail(c, problem(codeTooLong))
		return
	case needsReason && in.Reason == "":
		s.fail(c, problem(codeNoReason))
		return
	}
	ctx := c.Request.Context()
	l, err := s.opt.DeadLetters.Get(ctx, c.Param("id"))
	if err != nil {
		s.fail(c, s.letterRefusal(c, err))
		return
	}
	u := loginOf(c).User
	if _, err := s.opt.Audit.Register(ctx, letterLook(u, c.ClientIP(), what, in.Reason, l)); err != nil {
		s.log.ErrorContext(ctx, "access register not written, dead letter left as it is", "id", l.ID, "err", err)
		s.fail(c, problem(codeNoRegister))
		return
	}
	if err := do(ctx, l.ID); err != nil {
		s.fail(c, s.letterRefusal(c, err))
		return
	}
	s.log.InfoContext(ctx, "dead letter handled", "what", what, "id", l.ID, "alert", l.Alert, "by", u.Name)
	c.Status(http.StatusNoContent)
}

// letterLook is the register row of what was done with a dead letter.
func letterLook(u store.User, ip, what, reason string, l stream.DeadLetter) audit.Look {
	text := "dead letter " + l.ID + ": " + what
	if reason != "" {
		text += ": " + reason
	}
	return audit.Look{
		Login: u.Name, Name: u.Display, Unit: u.Unit, Post: u.Post, ClientIP: ip,
		Action: audit.ActionAPI, Reason: audit.ReasonRepair, ReasonText: text,
		Cameras: []string{strings.ToValidUTF8(cmp.Or(l.Camera, noCamera), "\uFFFD")},
		Alert:   strings.ToValidUTF8(l.Alert, "\uFFFD"), Blurred: true,
	}
}

// letterRefusal says what a client sees of an error of the dead letters: that
// there is none of this ID, or that Redis does not answer.
func (s *Server) letterRefusal(c *gin.Context, err error) error {
	if errors.Is(err, stream.ErrNoLetter) {
		return problem(codeNotFound)
	}
	s.log.ErrorContext(c.Request.Context(), "dead letters", "err", err)
	return problem(codeBusy)
}

// RegisterLetter writes what somebody at the machine itself did with a dead
// letter, before it is done.
func RegisterLetter(ctx context.Context, r *audit.Register, login, what string, l stream.DeadLetter) error {
	u := store.User{Name: login, Display: login, Unit: "命令行 / command line"}
	_, err := r.Register(ctx, letterLook(u, "local", what, "", l))
	return err
}
