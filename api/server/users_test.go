package server

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api/store"
)

func TestUsers(t *testing.T) {
	w := newWorld(t)
	admin := w.as(store.RoleAdmin)
	person := userJSON{Name: "li.si", Display: "李四", Unit: "赤岸镇综治中心", Post: "值班员", Role: store.RoleDuty}
	r := admin.post("/api/v1/users", person)
	require.Equal(t, http.StatusCreated, r.status, r.body)
	var made newAccountJSON
	r.into(t, &made)
	require.Equal(t, person, made.User.userJSON)
	require.True(t, made.User.MustChange)
	require.False(t, made.User.Created.IsZero())
	require.Equal(t, codeExists, admin.post("/api/v1/users", person).code(t))
	w.requireNowhere(made.Password)

	var list listJSON[accountJSON]
	admin.get("/api/v1/users").into(t, &list)
	require.Len(t, list.Items, 2)
	require.NotContains(t, admin.get("/api/v1/users").body, "argon2id")

	them := w.browser()
	var s sessionJSON
	them.post("/api/v1/session", credentials("li.si", made.Password)).into(t, &s)
	require.True(t, s.MustChange)
	them.csrf = s.CSRF
	wall, _, _ := them.listen("")

	patch := func(name string, body any) answered {
		return admin.send(admin.request(http.MethodPatch, "/api/v1/users/"+name, body))
	}
	var now newAccountJSON
	patch("li.si", map[string]any{"role": "viewer", "post": "巡查员"}).into(t, &now)
	require.Equal(t, store.RoleViewer, now.User.Role)
	require.Equal(t, "巡查员", now.User.Post)
	require.Equal(t, "李四", now.User.Display, "what is absent stays")
	require.Empty(t, now.Password)
	wall.requireEnded()
	require.Equal(t, codeForbidden, them.post("/api/v1/alerts/0123/undo", nil).code(t), "the new role holds at once")

	patch("li.si", map[string]any{"reset_password": true}).into(t, &now)
	require.NotEmpty(t, now.Password)
	require.NotEqual(t, made.Password, now.Password)
	require.Equal(t, codeNotLoggedIn, them.get("/api/v1/session").code(t))
	require.Equal(t, codeBadLogin, w.browser().post("/api/v1/session", credentials("li.si", made.Password)).code(t))
	require.Equal(t, http.StatusOK, w.browser().post("/api/v1/session", credentials("li.si", now.Password)).status)

	patch("li.si", map[string]any{"disabled": true}).into(t, &now)
	require.True(t, now.User.Disabled)
	require.Equal(t, codeBadLogin, w.browser().post("/api/v1/session", credentials("li.si", now.Password)).code(t))
	require.Equal(t, codeNotFound, patch("nobody", map[string]any{}).code(t))
}

// TestAccountsWithoutAServer does what the command line of the center does.
func TestAccountsWithoutAServer(t *testing.T) {
	w := newWorld(t)
	accounts, err := NewAccounts(w.store)
	require.NoError(t, err)
	li := store.User{Name: "li", Display: "李四", Unit: "中心", Role: store.RoleDuty}
	first, err := accounts.Add(t.Context(), li)
	require.NoError(t, err)
	_, err = accounts.Add(t.Context(), li)
	require.ErrorIs(t, err, store.ErrExists)
	for _, bad := range []store.User{{Name: "L", Display: "李四", Unit: "中心", Role: store.RoleDuty}, {Name: "li2", Role: store.RoleDuty}} {
		_, err = accounts.Add(t.Context(), bad)
		require.Error(t, err)
	}
	login := func(password string) (sessionJSON, answered) {
		var s sessionJSON
		r := w.browser().post("/api/v1/session", credentials("li", password))
		r.into(t, &s)
		return s, r
	}
	s, r := login(first)
	require.Equal(t, http.StatusOK, r.status)
	require.True(t, s.MustChange)

	second, err := accounts.Reset(t.Context(), "li")
	require.NoError(t, err)
	_, r = login(first)
	require.Equal(t, http.StatusUnauthorized, r.status)
	s, r = login(second)
	require.Equal(t, http.StatusOK, r.status)
	require.True(t, s.MustChange)
	_, err = accounts.Reset(t.Context(), "nobody")
	require.ErrorIs(t, err, store.ErrNotFound)
}

func TestCreatingUsersWhenBusy(t *testing.T) {
	w := newWorld(t)
	admin := w.as(store.RoleAdmin)
	w.server.hasher.waiting.Store(maxWaiting)
	defer w.server.hasher.waiting.Store(0)
	require.Equal(t, codeBusy, admin.post("/api/v1/users", userJSON{Name: "li", Display: "李四", Unit: "中心", Role: store.RoleDuty}).code(t))
	w.server.hasher.waiting.Store(0)
	w.user("wang", store.RoleDuty)
	w.server.hasher.waiting.Store(maxWaiting)
	require.Equal(t, codeBusy, admin.send(admin.request(http.MethodPatch, "/api/v1/users/wang", map[string]any{"reset_password": true})).code(t))
}

func TestAResetOpensAClosedDoor(t *testing.T) {
	w := newWorld(t)
	admin := w.as(store.RoleAdmin)
	w.user("wang", store.RoleDuty)
	for range userFree + 1 {
		w.browser().post("/api/v1/session", credentials("wang", "guess"))
	}
	var now newAccountJSON
	admin.send(admin.request(http.MethodPatch, "/api/v1/users/wang", map[string]any{"reset_password": true})).into(t, &now)
	require.Equal(t, http.StatusOK, w.browser().post("/api/v1/session", credentials("wang", now.Password)).status)
}

func TestAdminsCannotLockThemselvesOut(t *testing.T) {
	w := newWorld(t)
	admin := w.as(store.RoleAdmin)
	for name, body := range map[string]map[string]any{
		"disable": {"disabled": true}, "demote": {"role": "viewer"}, "reset": {"reset_password": true},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, codeYourself, admin.send(admin.request(http.MethodPatch, "/api/v1/users/user-admin", body)).code(t))
		})
	}
	r := admin.send(admin.request(http.MethodPatch, "/api/v1/users/user-admin", map[string]any{"display": "赵六", "role": "admin"}))
	require.Equal(t, http.StatusOK, r.status, "the name may change")
}

func TestUsersThatCannotBe(t *testing.T) {
	w := newWorld(t)
	admin := w.as(store.RoleAdmin)
	good := userJSON{Name: "li", Display: "李四", Unit: "中心", Role: store.RoleDuty}
	for name, spoil := range map[string]func(*userJSON){
		"no name":         func(u *userJSON) { u.Name = "" },
		"upper case":      func(u *userJSON) { u.Name = "Li" },
		"path in name":    func(u *userJSON) { u.Name = "../li" },
		"long name":       func(u *userJSON) { u.Name = strings.Repeat("l", 33) },
		"no display name": func(u *userJSON) { u.Display = "" },
		"no unit":         func(u *userJSON) { u.Unit = "" },
		"long unit":       func(u *userJSON) { u.Unit = strings.Repeat("长", 65) },
		"no role":         func(u *userJSON) { u.Role = "" },
		"foreign role":    func(u *userJSON) { u.Role = "root" },
	} {
		t.Run(name, func(t *testing.T) {
			u := good
			spoil(&u)
			require.Equal(t, codeBadRequest, admin.post("/api/v1/users", u).code(t))
		})
	}
}
