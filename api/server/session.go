package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/sharpeyes/sharpeyes/api/store"
)

const (
	maxUserName = 64
	hashTimeout = 5 * time.Second // for a place in the queue of the password hasher
)

// userJSON is a user as users see one.
type userJSON struct {
	Name    string     `json:"name"`
	Display string     `json:"display"`
	Unit    string     `json:"unit"`
	Post    string     `json:"post"`
	Role    store.Role `json:"role"`
}

func asUser(u store.User) userJSON {
	return userJSON{Name: u.Name, Display: u.Display, Unit: u.Unit, Post: u.Post, Role: u.Role}
}

// sessionJSON is what a page needs to work: who, and the token for changes.
type sessionJSON struct {
	User       userJSON  `json:"user"`
	CSRF       string    `json:"csrf"`
	MustChange bool      `json:"must_change_password"`
	Expires    time.Time `json:"expires"`
}

func asSession(l store.Session) sessionJSON {
	return sessionJSON{User: asUser(l.User), CSRF: l.CSRF, MustChange: l.User.MustChange, Expires: l.Expires}
}

func (s *Server) getSession(c *gin.Context) { c.JSON(http.StatusOK, asSession(*loginOf(c))) }

func (s *Server) postSession(c *gin.Context) {
	var in struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	if err := readJSON(c, &in); err != nil {
		s.fail(c, err)
		return
	}
	u, err := s.authenticate(c, in.Username, in.Password)
	if err != nil {
		s.fail(c, err)
		return
	}
	l, token, err := s.newSession(c.Request.Context(), u)
	if err != nil {
		s.fail(c, err)
		return
	}
	// Whoever logs in again leaves the earlier session: a token never changes
	// hands.
	if old, err := c.Cookie(cookieName); err == nil && len(old) == tokenLength {
		if err := s.endSession(c.Request.Context(), hashToken(old)); err != nil {
			s.log.WarnContext(c.Request.Context(), "earlier session not ended", "err", err)
		}
	}
	s.setCookie(c, token, int(s.opt.SessionFor.Seconds()))
	s.log.InfoContext(c.Request.Context(), "logged in", "user", u.Name, "client", c.ClientIP())
	c.JSON(http.StatusOK, asSession(l))
}

// authenticate checks name and password. Unknown names, disabled users and
// wrong passwords are answered alike, after the same work.
func (s *Server) authenticate(c *gin.Context, name, password string) (store.User, error) {
	byClient, byUser := clientKey(c.ClientIP()), userKey(name)
	wait := s.byClient.Begin(byClient)
	if wait == 0 { // an address that is refused cannot close anybody's account
		wait = s.byUser.Begin(byUser)
	}
	if wait > 0 {
		s.metrics.logins.WithLabelValues(loginThrottled).Inc()
		c.Header("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		return store.User{}, problem(codeTooManyLogins)
	}
	u, ok, err := s.check(c.Request.Context(), name, password)
	switch {
	case err != nil: // nothing was tried, so nothing failed
		s.byClient.Undo(byClient)
		s.byUser.Undo(byUser)
		if errors.Is(err, errBusy) {
			s.metrics.logins.WithLabelValues(loginBusy).Inc()
			return store.User{}, problem(codeBusy)
		}
		return store.User{}, err
	case !ok:
		s.metrics.logins.WithLabelValues(loginBad).Inc()
		// What was typed is not logged: people type passwords into the wrong field.
		s.log.InfoContext(c.Request.Context(), "login refused", "known_user", u.Name, "client", c.ClientIP())
		return store.User{}, problem(codeBadLogin)
	}
	s.byClient.Undo(byClient)
	s.byUser.Forget(byUser)
	s.metrics.logins.WithLabelValues(loginOK).Inc()
	return u, nil
}

// userKey is the throttle's key of a name; it is cut so that keys are bounded.
func userKey(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	return name[:min(len(name), maxUserName)]
}

// check looks the user up and verifies the password, and makes the stored hash
// anew when its parameters are not today's.
func (s *Server) check(ctx context.Context, name, password string) (store.User, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, hashTimeout)
	defer cancel()
	var u store.User
	if name = userKey(name); name != "" { // logins are in lower case
		var err error
		if u, err = s.opt.Store.UserByName(ctx, name); err != nil && !errors.Is(err, store.ErrNotFound) {
			return u, false, fmt.Errorf("login: %w", err)
		}
	}
	ok, stale, err := s.hasher.Verify(ctx, u.PasswordHash, password)
	if err != nil {
		return u, false, fmt.Errorf("login: %w", err)
	}
	if !ok || u.Disabled {
		return u, false, nil
	}
	if stale {
		if err := s.rehash(ctx, u, password); err != nil {
			s.log.WarnContext(ctx, "password hash not renewed", "user", u.Name, "err", err)
		}
	}
	return u, true, nil
}

func (s *Server) rehash(ctx context.Context, u store.User, password string) error {
	hash, err := s.hasher.Hash(ctx, password)
	if err != nil {
		return err
	}
	// This ends the user's other sessions: once, after an upgrade that changed
	// the parameters.
	return s.opt.Store.SetPassword(ctx, u.Name, hash, u.MustChange, "")
}

// newSession makes a session for the user and returns its token, which nobody
// but the browser will know.
func (s *Server) newSession(ctx context.Context, u store.User) (store.Session, string, error) {
	token, err := newToken()
	if err != nil {
		return store.Session{}, "", err
	}
	csrf, err := newToken()
	if err != nil {
		return store.Session{}, "", err
	}
	now := s.opt.Now()
	l := store.Session{TokenHash: hashToken(token), CSRF: csrf, User: u, Created: now, Seen: now, Expires: now.Add(s.opt.SessionFor)}
	if err := s.opt.Store.CreateSession(ctx, l); err != nil {
		return store.Session{}, "", fmt.Errorf("login: %w", err)
	}
	return l, token, nil
}

func (s *Server) setCookie(c *gin.Context, token string, maxAge int) {
	http.SetCookie(c.Writer, &http.Cookie{
		Name: cookieName, Value: token, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: s.opt.Secure, SameSite: http.SameSiteStrictMode,
	})
}

// endSession deletes the session and ends its streams.
func (s *Server) endSession(ctx context.Context, tokenHash string) error {
	if err := s.opt.Store.DeleteSession(ctx, tokenHash); err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("end session: %w", err)
	}
	s.hub.endSession(tokenHash)
	return nil
}

func (s *Server) deleteSession(c *gin.Context) {
	if err := s.endSession(c.Request.Context(), loginOf(c).TokenHash); err != nil {
		s.fail(c, err)
		return
	}
	s.setCookie(c, "", -1)
	c.Status(http.StatusNoContent)
}

func (s *Server) postPassword(c *gin.Context) {
	var in struct {
		Old string `json:"old"`
		New string `json:"new"`
	}
	if err := readJSON(c, &in); err != nil {
		s.fail(c, err)
		return
	}
	l, ctx := loginOf(c), c.Request.Context()
	// A stolen session must not be a place to guess the password from.
	key := userKey(l.User.Name)
	if wait := s.byUser.Begin(key); wait > 0 {
		c.Header("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		s.fail(c, problem(codeTooManyLogins))
		return
	}
	_, ok, err := s.check(ctx, l.User.Name, in.Old)
	switch {
	case errors.Is(err, errBusy):
		s.byUser.Undo(key)
		err = problem(codeBusy)
	case err != nil:
		s.byUser.Undo(key)
	case !ok:
		err = problem(codeWrongPassword)
	default:
		s.byUser.Forget(key)
		err = s.choosePassword(ctx, l, in.Old, in.New)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

// choosePassword sets the user's own new password and ends all other sessions
// of the user.
func (s *Server) choosePassword(ctx context.Context, l *store.Session, old, password string) error {
	if err := checkPassword(l.User.Name, password); err != nil {
		return err
	}
	if old == password {
		return problem(codeWeakPassword)
	}
	hash, err := s.hasher.Hash(ctx, password)
	if err != nil {
		return problem(codeBusy)
	}
	if err := s.opt.Store.SetPassword(ctx, l.User.Name, hash, false, l.TokenHash); err != nil {
		return fmt.Errorf("set password: %w", err)
	}
	s.hub.endUser(l.User.Name, l.TokenHash)
	s.log.InfoContext(ctx, "password changed", "user", l.User.Name)
	s.opt.PasswordChanged(l.User.Name)
	return nil
}

// EnsureAdmin makes the user "admin" with a random password when there is no
// user at all, and returns that password: it stands nowhere else. Of several
// callers at once, one creates. The password is to be changed at first login.
func (s *Server) EnsureAdmin(ctx context.Context) (password string, created bool, err error) {
	users, err := s.opt.Store.Users(ctx)
	if err != nil || len(users) > 0 {
		return "", false, err
	}
	password, err = s.accounts.create(ctx, store.User{Name: "admin", Display: "系统管理员", Unit: "本中心", Post: "系统管理员", Role: store.RoleAdmin})
	if errors.Is(err, store.ErrExists) {
		return "", false, nil
	}
	return password, err == nil, err
}
