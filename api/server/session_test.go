package server

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api/store"
)

func credentials(name, password string) map[string]string {
	return map[string]string{"username": name, "password": password}
}

func TestLoginSetsACookieThatOnlyTheBrowserKnows(t *testing.T) {
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(o *Options) { o.Secure = secure; o.SessionFor = time.Hour })
			w.user("wang", store.RoleDuty)
			r := w.browser().post("/api/v1/session", credentials("Wang ", password))
			require.Equal(t, http.StatusOK, r.status, "the name is not case-sensitive")

			cookies, err := http.ParseSetCookie(r.header.Get("Set-Cookie"))
			require.NoError(t, err)
			require.Equal(t, cookieName, cookies.Name)
			require.Len(t, cookies.Value, tokenLength)
			require.True(t, cookies.HttpOnly)
			require.Equal(t, http.SameSiteStrictMode, cookies.SameSite)
			require.Equal(t, "/", cookies.Path)
			require.Equal(t, 3600, cookies.MaxAge)
			require.Equal(t, secure, cookies.Secure)
			require.Equal(t, secure, r.header.Get("Strict-Transport-Security") != "")

			var s sessionJSON
			r.into(t, &s)
			require.Equal(t, userJSON{Name: "wang", Display: "王五", Unit: "赤岸镇综治中心", Post: "视频研判岗", Role: store.RoleDuty}, s.User)
			require.WithinDuration(t, time.Now().Add(time.Hour), s.Expires, time.Minute)
			w.requireNowhere(cookies.Value, password)
			require.NotContains(t, w.log.String(), s.CSRF)
		})
	}
}

// requireNowhere looks for secrets in the log and in every file of the center.
func (w *world) requireNowhere(secrets ...string) {
	w.t.Helper()
	files := map[string]string{"log": w.log.String()}
	require.NoError(w.t, filepath.WalkDir(w.dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		files[p] = string(b)
		return err
	}))
	require.Greater(w.t, len(files), 1)
	for name, content := range files {
		for _, s := range secrets {
			require.NotContains(w.t, content, s, name)
		}
	}
}

func TestBadLoginsAreAlike(t *testing.T) {
	w := newWorld(t)
	w.user("wang", store.RoleDuty)
	w.user("gone", store.RoleDuty)
	u, err := w.store.UserByName(t.Context(), "gone")
	require.NoError(t, err)
	u.Disabled = true
	require.NoError(t, w.store.UpdateUser(t.Context(), u))
	var bodies []string
	for _, c := range []map[string]string{
		credentials("wang", "wrong password"), credentials("nobody", password), credentials("gone", password),
		credentials("", ""), credentials(strings.Repeat("x", 5000), "y"), credentials("wang", ""),
	} {
		r := w.browser().post("/api/v1/session", c)
		require.Equal(t, http.StatusUnauthorized, r.status)
		require.Empty(t, r.header.Get("Set-Cookie"))
		bodies = append(bodies, r.body)
	}
	for _, b := range bodies {
		require.Equal(t, bodies[0], b)
	}
	require.EqualValues(t, len(bodies), w.counter("sharpeyes_logins_total", "result", "bad"))
	require.NotContains(t, w.log.String(), "nobody", "what was typed is not logged")
}

func TestGuessingClosesTheDoor(t *testing.T) {
	w := newWorld(t)
	w.user("wang", store.RoleDuty)
	w.user("li", store.RoleDuty)
	for range userFree {
		require.Equal(t, codeBadLogin, w.browser().post("/api/v1/session", credentials("wang", "guess")).code(t))
	}
	r := w.browser().post("/api/v1/session", credentials("WANG", password))
	require.Equal(t, http.StatusTooManyRequests, r.status, "the right password does not help now")
	wait, err := strconv.Atoi(r.header.Get("Retry-After"))
	require.NoError(t, err)
	require.InDelta(t, firstBlock.Seconds(), wait, 1)
	require.EqualValues(t, 1, w.counter("sharpeyes_logins_total", "result", "throttled"))

	w.login("li") // others are not concerned
	w.later(time.Duration(wait) * time.Second)
	w.login("wang")
	for range userFree {
		require.Equal(t, codeBadLogin, w.browser().post("/api/v1/session", credentials("wang", "guess")).code(t), "a login clears the count")
	}
}

func TestGuessingManyNamesClosesTheDoor(t *testing.T) {
	w := newWorld(t)
	w.user("wang", store.RoleDuty)
	for i := range clientFree {
		require.Equal(t, codeBadLogin, w.browser().post("/api/v1/session", credentials("name"+strconv.Itoa(i), "guess")).code(t))
	}
	for range userFree + 1 {
		require.Equal(t, codeTooManyLogins, w.browser().post("/api/v1/session", credentials("wang", "guess")).code(t))
	}
	require.Zero(t, w.server.byUser.Begin("wang"), "an address that is refused does not close an account")
}

func TestTooManyLoginsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.user("wang", store.RoleDuty)
	w.server.hasher.waiting.Store(maxWaiting)
	for range userFree + 1 {
		require.Equal(t, codeBusy, w.browser().post("/api/v1/session", credentials("wang", password)).code(t))
	}
	require.EqualValues(t, userFree+1, w.counter("sharpeyes_logins_total", "result", "busy"))
	w.server.hasher.waiting.Store(0)
	w.login("wang") // being busy was nobody's failure
}

func TestSessionEnds(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(*world, *browser)
	}{
		{"by time", func(w *world, _ *browser) { w.later(12*time.Hour + time.Second) }},
		{"by logout", func(w *world, b *browser) {
			require.Equal(w.t, http.StatusNoContent, b.send(b.request(http.MethodDelete, "/api/v1/session", nil)).status)
		}},
		{"by disabling", func(w *world, _ *browser) {
			u, err := w.store.UserByName(w.t.Context(), "user-duty")
			require.NoError(w.t, err)
			u.Disabled = true
			require.NoError(w.t, w.store.UpdateUser(w.t.Context(), u))
		}},
		{"by logging in again", func(w *world, b *browser) {
			require.Equal(w.t, http.StatusOK, b.post("/api/v1/session", credentials("user-duty", password)).status)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			b := w.as(store.RoleDuty)
			require.Equal(t, http.StatusOK, b.get("/api/v1/session").status)
			req := b.request(http.MethodGet, "/api/v1/session", nil)
			stolen := b.c.Jar.Cookies(req.URL)[0]
			tc.end(w, b)
			req.AddCookie(stolen)
			thief := w.browser()
			require.Equal(t, codeNotLoggedIn, thief.send(req).code(t))
		})
	}
}

func TestASessionThatIsUsedDoesNotLiveLonger(t *testing.T) {
	w := newWorld(t)
	b := w.as(store.RoleViewer)
	for range 11 {
		w.later(time.Hour)
		require.Equal(t, http.StatusOK, b.get("/api/v1/session").status)
	}
	w.later(time.Hour)
	require.Equal(t, codeNotLoggedIn, b.get("/api/v1/session").code(t))
}

func TestHashesAreRenewedAtLogin(t *testing.T) {
	w := newWorld(t)
	old := cheap()
	old.Time = 2
	h, err := newHasher(old, 1)
	require.NoError(t, err)
	hash, err := h.Hash(t.Context(), password)
	require.NoError(t, err)
	require.NoError(t, w.store.CreateUser(t.Context(), store.User{Name: "wang", Role: store.RoleDuty, PasswordHash: hash, MustChange: true}))

	b := w.login("wang")
	u, err := w.store.UserByName(t.Context(), "wang")
	require.NoError(t, err)
	require.Contains(t, u.PasswordHash, "t=1,")
	require.True(t, u.MustChange)
	require.Equal(t, http.StatusOK, b.get("/api/v1/session").status)
	renewed := u.PasswordHash
	w.login("wang")
	u, err = w.store.UserByName(t.Context(), "wang")
	require.NoError(t, err)
	require.Equal(t, renewed, u.PasswordHash, "once is enough")
}

func TestFirstPassword(t *testing.T) {
	var changed []string
	w := newWorld(t, func(o *Options) { o.PasswordChanged = func(u string) { changed = append(changed, u) } })
	first, created, err := w.server.EnsureAdmin(t.Context())
	require.NoError(t, err)
	require.True(t, created)
	again, created, err := w.server.EnsureAdmin(t.Context())
	require.NoError(t, err)
	require.False(t, created)
	require.Empty(t, again)

	b := w.browser()
	r := b.post("/api/v1/session", credentials("admin", first))
	var s sessionJSON
	r.into(t, &s)
	require.True(t, s.MustChange)
	require.Equal(t, store.RoleAdmin, s.User.Role)
	b.csrf = s.CSRF
	require.Equal(t, http.StatusOK, b.get("/api/v1/alerts").status, "work is possible before")
	elsewhere := w.browser()
	elsewhere.post("/api/v1/session", credentials("admin", first))

	choose := func(old, new string) answered {
		return b.post("/api/v1/password", map[string]string{"old": old, "new": new})
	}
	require.Equal(t, codeWrongPassword, choose("not it", password).code(t))
	require.Equal(t, codeWeakPassword, choose(first, "short").code(t))
	require.Equal(t, codeWeakPassword, choose(first, "my admin password").code(t))
	require.Equal(t, codeWeakPassword, choose(first, first).code(t))
	require.Empty(t, changed)
	require.Equal(t, http.StatusNoContent, choose(first, password).status)
	require.Equal(t, []string{"admin"}, changed)

	b.get("/api/v1/session").into(t, &s)
	require.False(t, s.MustChange)
	require.Equal(t, codeNotLoggedIn, elsewhere.get("/api/v1/session").code(t), "other sessions have ended")
	require.Equal(t, codeBadLogin, w.browser().post("/api/v1/session", credentials("admin", first)).code(t))
	w.login("admin")
	w.requireNowhere(first)
}

func TestGuessingTheOldPasswordClosesTheDoor(t *testing.T) {
	w := newWorld(t)
	b := w.as(store.RoleViewer)
	for range userFree {
		require.Equal(t, codeWrongPassword, b.post("/api/v1/password", map[string]string{"old": "guess", "new": "0123456789"}).code(t))
	}
	r := b.post("/api/v1/password", map[string]string{"old": password, "new": "0123456789"})
	require.Equal(t, codeTooManyLogins, r.code(t))
	require.NotEmpty(t, r.header.Get("Retry-After"))
}

func TestEnsureAdminAtManyCentersAtOnce(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	passwords := make(chan string, 8)
	for range cap(passwords) {
		wg.Go(func() {
			p, created, err := w.server.EnsureAdmin(t.Context())
			if err != nil {
				p = err.Error()
			}
			if created || err != nil {
				passwords <- p
			}
		})
	}
	wg.Wait()
	require.Len(t, passwords, 1)
	require.Equal(t, http.StatusOK, w.browser().post("/api/v1/session", credentials("admin", <-passwords)).status)
}
