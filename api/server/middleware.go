package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
)

// maxBody bounds every request body. The largest honest one is a note of a
// few hundred characters.
const maxBody = 64 << 10

// routeOf returns the bounded name of the request's route: its pattern, or
// "page" for everything that the page answers.
func routeOf(c *gin.Context) string {
	if p := c.FullPath(); p != "" {
		return p
	}
	return "page"
}

// observe logs and measures each request. The log has the path and never the
// query, a header or a body.
func (s *Server) observe(c *gin.Context) {
	start := time.Now()
	c.Next()
	took, route, status := time.Since(start), routeOf(c), c.Writer.Status()
	s.metrics.requests.WithLabelValues(route, methodLabel(c.Request.Method), strconv.Itoa(status)).Inc()
	if route != routeStream {
		s.metrics.duration.WithLabelValues(route).Observe(took.Seconds())
	}
	level := slog.LevelDebug // reading is what the page does all day
	switch {
	case status >= http.StatusInternalServerError:
		level = slog.LevelWarn
	case c.Request.Method != http.MethodGet || status >= http.StatusBadRequest:
		level = slog.LevelInfo
	}
	user := ""
	if l := loginOf(c); l != nil {
		user = l.User.Name
	}
	s.log.Log(c.Request.Context(), level, "request", "method", methodLabel(c.Request.Method), "route", route,
		"path", c.Request.URL.Path, "status", status, "ms", took.Milliseconds(), "client", c.ClientIP(), "user", user)
}

// recovered turns a panic into an answer, a count and a log line with the
// stack. The request itself is not logged: it may carry a password.
func (s *Server) recovered(c *gin.Context) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(v) // net/http's own way to cut a connection
		}
		s.metrics.panics.Inc()
		s.log.ErrorContext(c.Request.Context(), "handler panicked", "route", routeOf(c), "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		if c.Writer.Written() {
			c.Abort()
			return
		}
		s.fail(c, problem(codeInternal))
	}()
	c.Next()
}

// contentSecurityPolicy lets the page load only what this server serves. Inline
// scripts and styles are off; data: pictures are the page's own small icons.
const contentSecurityPolicy = "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// guarded sets the headers that every answer carries and bounds the body.
func (s *Server) guarded(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("Content-Security-Policy", contentSecurityPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	if s.opt.Secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	// Answers of the interface hold places and pictures: no cache keeps them.
	// The page sets its own.
	h.Set("Cache-Control", "private, no-store")
	if c.Request.Body != nil {
		c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxBody)
	}
	c.Next()
}

// sameOrigin refuses changes that another site's page asks for, by the headers
// Sec-Fetch-Site and Origin. It holds for logins too, which have no token yet.
func (s *Server) sameOrigin(c *gin.Context) {
	if err := s.origin.Check(c.Request); err != nil {
		s.fail(c, problem(codeCSRF))
		return
	}
	c.Next()
}

// readJSON reads the one JSON value of the body into v. Unknown fields are
// refused, so that a misspelt one is not silently ignored.
func readJSON(c *gin.Context, v any) error {
	if t, _, err := mime.ParseMediaType(c.GetHeader("Content-Type")); err != nil || t != "application/json" {
		return problem(codeMediaType)
	}
	d := json.NewDecoder(c.Request.Body)
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one value")
			if tooLarge(more) {
				return problem(codeTooLarge)
			}
		}
	}
	switch {
	case err == nil:
		return nil
	case tooLarge(err):
		return problem(codeTooLarge)
	}
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return problemf(codeBadRequest, "field %q has the wrong type", t.Field)
	}
	// The decoder's other sentences may quote the body, and the body may be a
	// password.
	return problemf(codeBadRequest, "the body is not the JSON object that is described for this request")
}

func tooLarge(err error) bool {
	_, ok := errors.AsType[*http.MaxBytesError](err)
	return ok
}
