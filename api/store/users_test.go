package store

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func addUser(t *testing.T, s *Store, name string, role Role) User {
	t.Helper()
	u := User{Name: name, Display: "李" + name, Unit: "综治中心", Post: "视频研判岗", Role: role, PasswordHash: "h1", MustChange: true, Created: noon}
	require.NoError(t, s.CreateUser(t.Context(), u))
	return u
}

func TestUsers(t *testing.T) {
	s, _ := newStore(t)
	want := addUser(t, s, "li", RoleDuty)
	got, err := s.UserByName(t.Context(), "li")
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.ErrorIs(t, s.CreateUser(t.Context(), want), ErrExists)
	_, err = s.UserByName(t.Context(), "LI")
	require.ErrorIs(t, err, ErrNotFound, "logins are exact")

	addUser(t, s, "an", RoleViewer)
	want.Role, want.Unit, want.Disabled = RoleAdmin, "县中心", true
	require.NoError(t, s.UpdateUser(t.Context(), want))
	all, err := s.Users(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, want, all[1])
	require.ErrorIs(t, s.UpdateUser(t.Context(), User{Name: "nobody", Role: RoleDuty}), ErrNotFound)
	require.ErrorIs(t, s.SetPassword(t.Context(), "nobody", "h", false, ""), ErrNotFound)
}

func TestUsersRefused(t *testing.T) {
	s, _ := newStore(t)
	for _, tc := range []struct {
		name string
		user User
		want string
	}{
		{"no name", User{Role: RoleDuty, PasswordHash: "h"}, "1 to 64"},
		{"long name", User{Name: strings.Repeat("长", 65), Role: RoleDuty, PasswordHash: "h"}, "1 to 64"},
		{"broken text", User{Name: "\xff", Role: RoleDuty, PasswordHash: "h"}, "1 to 64"},
		{"no role", User{Name: "li", PasswordHash: "h"}, "admin, duty or viewer"},
		{"unknown role", User{Name: "li", Role: "root", PasswordHash: "h"}, "admin, duty or viewer"},
		{"no password", User{Name: "li", Role: RoleDuty}, "password hash"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.ErrorContains(t, s.CreateUser(t.Context(), tc.user), tc.want)
		})
	}
	require.ErrorContains(t, s.UpdateUser(t.Context(), User{Name: "li"}), "role")
	require.ErrorContains(t, s.SetPassword(t.Context(), "li", "", false, ""), "password hash")
}

func TestMayTriage(t *testing.T) {
	require.True(t, User{Role: RoleAdmin}.MayTriage())
	require.True(t, User{Role: RoleDuty}.MayTriage())
	require.False(t, User{Role: RoleViewer}.MayTriage())
	require.False(t, User{Role: RoleDuty, Disabled: true}.MayTriage())
	require.False(t, User{}.MayTriage())
}

func TestSessions(t *testing.T) {
	s, c := newStore(t)
	u := addUser(t, s, "li", RoleDuty)
	for _, h := range []string{"t1", "t2", "t3"} {
		require.NoError(t, s.CreateSession(t.Context(), Session{TokenHash: h, CSRF: "csrf-" + h, User: u, Expires: noon.Add(time.Hour)}))
	}
	c.advance(time.Minute)
	require.NoError(t, s.TouchSession(t.Context(), "t1"))
	got, err := s.Session(t.Context(), "t1")
	require.NoError(t, err)
	require.Equal(t, Session{TokenHash: "t1", CSRF: "csrf-t1", User: u, Created: noon, Seen: noon.Add(time.Minute), Expires: noon.Add(time.Hour)}, got)

	require.NoError(t, s.DeleteSession(t.Context(), "t2"))
	require.NoError(t, s.DeleteSession(t.Context(), "t2"))
	_, err = s.Session(t.Context(), "t2")
	require.ErrorIs(t, err, ErrNotFound)

	require.NoError(t, s.SetPassword(t.Context(), "li", "h2", false, "t1"))
	_, err = s.Session(t.Context(), "t3")
	require.ErrorIs(t, err, ErrNotFound, "another password ends the other logins")
	got, err = s.Session(t.Context(), "t1")
	require.NoError(t, err)
	require.Equal(t, "h2", got.User.PasswordHash)
	require.False(t, got.User.MustChange)

	c.advance(59 * time.Minute)
	_, err = s.Session(t.Context(), "t1")
	require.ErrorIs(t, err, ErrNotFound, "its time is over")
	gone, err := s.Expire(t.Context(), c.now())
	require.NoError(t, err)
	require.Equal(t, Expired{Sessions: 1}, gone)
}

func TestDisablingEndsSessions(t *testing.T) {
	s, _ := newStore(t)
	u := addUser(t, s, "li", RoleDuty)
	require.NoError(t, s.CreateSession(t.Context(), Session{TokenHash: "t", CSRF: "c", User: u, Expires: noon.Add(time.Hour)}))
	u.Disabled = true
	require.NoError(t, s.UpdateUser(t.Context(), u))
	u.Disabled = false
	require.NoError(t, s.UpdateUser(t.Context(), u))
	_, err := s.Session(t.Context(), "t")
	require.ErrorIs(t, err, ErrNotFound)
	require.ErrorContains(t, s.CreateSession(t.Context(), Session{User: u}), "required")
}
