package server

import (
	"net/http"
	"regexp"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/sharpeyes/sharpeyes/api/store"
)

// userName is what a login may be. It is typed often and stands in logs.
var userName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,31}$`)

const maxUserText = 64 // characters of a display name, unit or post

// accountJSON is a user as an admin sees one.
type accountJSON struct {
	userJSON
	Disabled   bool      `json:"disabled"`
	MustChange bool      `json:"must_change_password"`
	Created    time.Time `json:"created_at"`
}

func asAccount(u store.User) accountJSON {
	return accountJSON{userJSON: asUser(u), Disabled: u.Disabled, MustChange: u.MustChange, Created: u.Created}
}

// newAccountJSON also has the first password, which is shown this once.
type newAccountJSON struct {
	User     accountJSON `json:"user"`
	Password string      `json:"password,omitempty"`
}

func (s *Server) getUsers(c *gin.Context) {
	users, err := s.opt.Store.Users(c.Request.Context())
	if err != nil {
		s.fail(c, err)
		return
	}
	items := make([]accountJSON, len(users))
	for i, u := range users {
		items[i] = asAccount(u)
	}
	c.JSON(http.StatusOK, asList(items, ""))
}

func checkUser(u store.User) error {
	switch u.Role {
	case store.RoleAdmin, store.RoleDuty, store.RoleViewer:
	default:
		return problemf(codeBadRequest, "role: use admin, duty or viewer")
	}
	for _, f := range []struct{ name, text string }{{"display", u.Display}, {"unit", u.Unit}, {"post", u.Post}} {
		if utf8.RuneCountInString(f.text) > maxUserText {
			return problemf(codeBadRequest, "%s: at most %d characters", f.name, maxUserText)
		}
	}
	// The access register names who looked, and of which unit (Order 799
	// Art. 16): a user without either could not look at anything.
	if u.Display == "" || u.Unit == "" {
		return problemf(codeBadRequest, "display and unit are needed for the access register")
	}
	return nil
}

func (s *Server) postUser(c *gin.Context) {
	var in userJSON
	if err := readJSON(c, &in); err != nil {
		s.fail(c, err)
		return
	}
	u := store.User{Name: in.Name, Display: in.Display, Unit: in.Unit, Post: in.Post, Role: in.Role}
	if !userName.MatchString(u.Name) {
		s.fail(c, problemf(codeBadRequest, "name: 2 to 32 of a-z, 0-9, dot, hyphen and underscore"))
		return
	}
	if err := checkUser(u); err != nil {
		s.fail(c, err)
		return
	}
	ctx := c.Request.Context()
	password, err := s.accounts.create(ctx, u)
	if err == nil {
		u, err = s.opt.Store.UserByName(ctx, u.Name)
	}
	if err != nil {
		s.fail(c, asRefusal(err))
		return
	}
	s.log.InfoContext(ctx, "user created", "user", u.Name, "role", u.Role, "by", loginOf(c).User.Name)
	c.JSON(http.StatusCreated, newAccountJSON{User: asAccount(u), Password: password})
}

// userPatch has what an admin may change; what is absent stays.
type userPatch struct {
	Display  *string     `json:"display"`
	Unit     *string     `json:"unit"`
	Post     *string     `json:"post"`
	Role     *store.Role `json:"role"`
	Disabled *bool       `json:"disabled"`
	Reset    bool        `json:"reset_password"`
}

func (p userPatch) apply(u store.User) store.User {
	set(&u.Display, p.Display)
	set(&u.Unit, p.Unit)
	set(&u.Post, p.Post)
	set(&u.Role, p.Role)
	set(&u.Disabled, p.Disabled)
	return u
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

func (s *Server) patchUser(c *gin.Context) {
	var in userPatch
	if err := readJSON(c, &in); err != nil {
		s.fail(c, err)
		return
	}
	ctx, by := c.Request.Context(), loginOf(c).User
	old, err := s.opt.Store.UserByName(ctx, c.Param("name"))
	if err != nil {
		s.fail(c, asRefusal(err))
		return
	}
	u := in.apply(old)
	// An admin cannot lock himself out, so there always is an admin.
	if old.Name == by.Name && (u.Role != old.Role || u.Disabled || in.Reset) {
		s.fail(c, problem(codeYourself))
		return
	}
	if err := checkUser(u); err != nil {
		s.fail(c, err)
		return
	}
	out := newAccountJSON{}
	if err := s.opt.Store.UpdateUser(ctx, u); err != nil {
		s.fail(c, asRefusal(err))
		return
	}
	if in.Reset {
		if out.Password, err = s.accounts.Reset(ctx, u.Name); err != nil {
			s.fail(c, asRefusal(err))
			return
		}
		s.byUser.Forget(userKey(u.Name))
		u.MustChange = true
	}
	if in.Reset || u.Disabled || u.Role != old.Role {
		s.hub.endUser(u.Name, "")
	}
	s.log.InfoContext(ctx, "user changed", "user", u.Name, "role", u.Role, "disabled", u.Disabled, "reset", in.Reset, "by", by.Name)
	out.User = asAccount(u)
	c.JSON(http.StatusOK, out)
}
