package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api/store"
)

// rolesOf names, for each least role of the description, who may.
func rolesOf(least string) map[store.Role]bool {
	switch least {
	case "none":
		return map[store.Role]bool{"": true, store.RoleViewer: true, store.RoleDuty: true, store.RoleAdmin: true}
	case "viewer":
		return map[store.Role]bool{store.RoleViewer: true, store.RoleDuty: true, store.RoleAdmin: true}
	case "duty":
		return map[store.Role]bool{store.RoleDuty: true, store.RoleAdmin: true}
	}
	return map[store.Role]bool{store.RoleAdmin: true}
}

// TestRolesOfEveryRoute asks for every described route as everybody. What the
// route answers to who may is not the matter here, only that it lets them in.
func TestRolesOfEveryRoute(t *testing.T) {
	doc, err := description()
	require.NoError(t, err)
	w := newWorld(t)
	for _, role := range []store.Role{store.RoleViewer, store.RoleDuty, store.RoleAdmin} {
		w.user("user-"+string(role), role)
	}
	fill := strings.NewReplacer("{id}", strings.Repeat("0", 32), "{no}", "1", "{name}", "nobody")
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			for _, role := range []store.Role{"", store.RoleViewer, store.RoleDuty, store.RoleAdmin} {
				t.Run(method+" "+path+" as "+string(role), func(t *testing.T) {
					b := w.browser()
					if role != "" {
						b = w.login("user-" + string(role))
					}
					b.requireAllowed(t, method, fill.Replace(path), rolesOf(op.Extensions["x-role"].(string))[role])
				})
			}
		}
	}
}

func (b *browser) requireAllowed(t *testing.T, method, path string, want bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel() // the stream does not end by itself
	req := b.request(method, path, "{}").WithContext(ctx)
	req.Header.Set(csrfHeader, b.csrf)
	req.Header.Set("X-Forwarded-For", "192.0.2.1") // /metrics: we come through a proxy
	res, err := b.c.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	if want && res.StatusCode < http.StatusMultipleChoices {
		return
	}
	e := decode[errorBody](t, res)
	switch {
	case want:
		require.NotContains(t, []code{codeNotLoggedIn, codeForbidden, codeCSRF}, e.Code)
	case b.csrf == "":
		require.Equal(t, codeNotLoggedIn, e.Code)
	default:
		require.Equal(t, codeForbidden, e.Code)
	}
}

// TestEveryChangeNeedsTheToken tries every changing route with a good session
// and without the session's own token.
func TestEveryChangeNeedsTheToken(t *testing.T) {
	w := newWorld(t)
	admin := w.as(store.RoleAdmin)
	other := w.login("user-admin")
	tried := 0
	for _, r := range w.server.routes() {
		if r.method == http.MethodGet || r.need == open {
			continue
		}
		tried++
		for name, token := range map[string]string{"none": "", "wrong": strings.Repeat("x", len(admin.csrf)), "of another session": other.csrf} {
			t.Run(r.method+" "+r.path+" "+name, func(t *testing.T) {
				req := admin.request(r.method, strings.NewReplacer(":id", "1", ":name", "nobody").Replace(r.path), "{}")
				req.Header.Set(csrfHeader, token)
				if token == "" {
					req.Header[csrfHeader] = []string{""}
				}
				res, err := admin.c.Do(req)
				require.NoError(t, err)
				defer res.Body.Close()
				require.Equal(t, http.StatusForbidden, res.StatusCode)
				require.Equal(t, codeCSRF, decode[errorBody](t, res).Code)
			})
		}
	}
	require.GreaterOrEqual(t, tried, 7)
	require.Equal(t, http.StatusOK, admin.get("/api/v1/session").status, "nothing of it ended the session")
}

func TestOtherSitesAreRefused(t *testing.T) {
	w := newWorld(t)
	b := w.as(store.RoleAdmin)
	for _, tc := range []struct {
		name          string
		header, value string
		refused       bool
	}{
		{"cross-site", "Sec-Fetch-Site", "cross-site", true},
		{"same-site is another name", "Sec-Fetch-Site", "same-site", true},
		{"same origin", "Sec-Fetch-Site", "same-origin", false},
		{"typed by the user", "Sec-Fetch-Site", "none", false},
		{"foreign origin", "Origin", "https://evil.example", true},
		{"opaque origin", "Origin", "null", true},
		{"own origin", "Origin", w.http.URL, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req := b.request(http.MethodPatch, "/api/v1/users/nobody", "{}")
			req.Header.Set(tc.header, tc.value)
			want := codeNotFound
			if tc.refused {
				want = codeCSRF
			}
			require.Equal(t, want, b.send(req).code(t))

			login := w.browser().request(http.MethodPost, "/api/v1/session", map[string]string{"username": "user-admin", "password": password})
			login.Header.Set(tc.header, tc.value)
			require.Equal(t, tc.refused, w.browser().send(login).status == http.StatusForbidden, "logins too")
		})
	}
}

func TestFromThisMachine(t *testing.T) {
	for _, tc := range []struct {
		name, remote, host, header string
		want                       bool
	}{
		{"IPv4", "127.0.0.1:4711", "127.0.0.1:9600", "", true},
		{"by name", "127.0.0.1:4711", "localhost:9600", "", true},
		{"IPv6", "[::1]:4711", "[::1]:9600", "", true},
		{"IPv4 in IPv6", "[::ffff:127.0.0.1]:4711", "127.0.0.1", "", true},
		{"another machine", "192.0.2.7:4711", "127.0.0.1:9600", "", false},
		{"through a proxy here", "127.0.0.1:4711", "127.0.0.1:9600", "X-Forwarded-For", false},
		{"through a proxy here, RFC 7239", "127.0.0.1:4711", "127.0.0.1:9600", "Forwarded", false},
		{"a foreign name that resolves to us", "127.0.0.1:4711", "evil.example:9600", "", false},
		{"no address", "@", "localhost", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
			r.RemoteAddr, r.Host = tc.remote, tc.host
			if tc.header != "" {
				r.Header.Set(tc.header, "for=192.0.2.1")
			}
			require.Equal(t, tc.want, fromThisMachine(r))
		})
	}
}

func TestMetricsForThisMachine(t *testing.T) {
	w := newWorld(t)
	r := w.browser().get("/metrics")
	require.Equal(t, http.StatusOK, r.status)
	require.Contains(t, r.body, `sharpeyes_logins_total{result="bad"} 0`)
	require.Contains(t, r.body, `sharpeyes_sse_dropped_total{reason="slow"} 0`)
}

func TestForeignTokensAreNobody(t *testing.T) {
	w := newWorld(t)
	for name, token := range map[string]string{
		"none": "", "short": "abc", "long": strings.Repeat("a", 4096), "unknown": strings.Repeat("a", tokenLength), "not base64": strings.Repeat("'", tokenLength),
	} {
		t.Run(name, func(t *testing.T) {
			b := w.browser()
			req := b.request(http.MethodGet, "/api/v1/session", nil)
			req.AddCookie(&http.Cookie{Name: cookieName, Value: token})
			require.Equal(t, codeNotLoggedIn, b.send(req).code(t))
		})
	}
}
