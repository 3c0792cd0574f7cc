package server

import (
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func builtPage() fs.FS {
	return fstest.MapFS{
		"index.html":           {Data: []byte("<!doctype html><title>wall</title>")},
		"favicon.svg":          {Data: []byte("<svg xmlns='http://www.w3.org/2000/svg'/>")},
		"assets/app.1a2b3c.js": {Data: []byte("export {}")},
		"assets/app.9f8e.css":  {Data: []byte("body{}")},
	}
}

func TestPage(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct {
		name, path  string
		status      int
		contentType string
		cache       string
		body        string
	}{
		{"root", "/", 200, "text/html; charset=utf-8", "no-cache", "wall"},
		{"by name", "/index.html", 200, "text/html; charset=utf-8", "no-cache", "wall"},
		{"an address of the page", "/coverage", 200, "text/html; charset=utf-8", "no-cache", "wall"},
		{"hashed script", "/assets/app.1a2b3c.js", 200, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable", "export"},
		{"hashed style", "/assets/app.9f8e.css", 200, "text/css; charset=utf-8", "public, max-age=31536000, immutable", "body"},
		{"other file", "/favicon.svg", 200, "image/svg+xml", "no-cache", "<svg"},
		{"script of an older build", "/assets/app.0000.js", 404, "application/json; charset=utf-8", "private, no-store", "not_found"},
		{"unknown asset without extension", "/assets/app", 404, "application/json; charset=utf-8", "private, no-store", "not_found"},
		{"unknown file", "/robots.txt", 404, "application/json; charset=utf-8", "private, no-store", "not_found"},
		{"climbing", "/../../etc/passwd", 200, "text/html; charset=utf-8", "no-cache", "wall"},
		{"unknown route of the interface", "/api/v1/nothing", 404, "application/json; charset=utf-8", "private, no-store", "not_found"},
		{"unknown version", "/api/v9", 404, "application/json; charset=utf-8", "private, no-store", "not_found"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req := httptest.NewRequest(http.MethodGet, tc.path, nil)
			rec := httptest.NewRecorder()
			w.server.Handler().ServeHTTP(rec, req)
			res := rec.Result()
			b, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.Equal(t, tc.status, res.StatusCode)
			require.Equal(t, tc.contentType, res.Header.Get("Content-Type"))
			require.Equal(t, tc.cache, res.Header.Get("Cache-Control"))
			require.Contains(t, string(b), tc.body)
			requireSecure(t, res.Header)
		})
	}
}

func requireSecure(t *testing.T, h http.Header) {
	t.Helper()
	csp := h.Get("Content-Security-Policy")
	require.Contains(t, csp, "default-src 'self'")
	require.Contains(t, csp, "frame-ancestors 'none'")
	require.NotContains(t, csp, "unsafe")
	require.NotContains(t, csp, "http")
	require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
	require.Equal(t, "no-referrer", h.Get("Referrer-Policy"))
}

func TestPageIsNotSentTwice(t *testing.T) {
	w := newWorld(t)
	first := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(first, httptest.NewRequest(http.MethodGet, "/", nil))
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	req.Header.Set("If-None-Match", first.Header().Get("Etag"))
	again := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(again, req)
	require.Equal(t, http.StatusNotModified, again.Code)
	require.Empty(t, again.Body.String())
}

func TestPageTakesNoPost(t *testing.T) {
	w := newWorld(t)
	rec := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/", strings.NewReader("x")))
	require.Equal(t, http.StatusMethodNotAllowed, rec.Code)
}

func TestNewPage(t *testing.T) {
	_, err := newPage(fstest.MapFS{"assets/a.js": {}})
	require.ErrorContains(t, err, "index.html is missing")
	p, err := newPage(nil)
	require.NoError(t, err)
	require.Empty(t, p.files)
}
