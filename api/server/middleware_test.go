package server

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/api/store"
	"github.com/sharpeyes/sharpeyes/api/stream"
)

func TestPanicsAreCountedAndDoNotTalk(t *testing.T) {
	w := newWorld(t)
	w.server.engine.POST("/boom", func(*gin.Context) { panic("wires crossed") })
	w.server.engine.GET("/cut", func(*gin.Context) { panic(http.ErrAbortHandler) })
	w.server.engine.GET("/late", func(c *gin.Context) {
		c.String(http.StatusOK, "begun")
		panic(errors.New("wires crossed"))
	})
	b := w.browser()
	req := b.request(http.MethodPost, "/boom?password=in-the-query", `{"password":"in-the-body"}`)
	req.Header.Set("Authorization", "in-a-header")
	r := b.send(req)
	require.Equal(t, codeInternal, r.code(t))
	require.NotContains(t, r.body, "wires")
	require.Contains(t, w.log.String(), "wires crossed")
	require.Contains(t, w.log.String(), "middleware_test.go", "with the stack")
	require.EqualValues(t, 1, w.counter("sharpeyes_http_panics_total"))
	require.EqualValues(t, 1, w.counter("sharpeyes_http_requests_total", "route", "/boom", "code", "500"))

	require.Equal(t, "begun", b.get("/late").body)
	_, err := b.c.Do(b.request(http.MethodGet, "/cut", nil))
	require.Error(t, err, "the connection is cut, as net/http does it")
	require.EqualValues(t, 2, w.counter("sharpeyes_http_panics_total"))
	for _, secret := range []string{"in-the-query", "in-the-body", "in-a-header"} {
		require.NotContains(t, w.log.String(), secret)
	}
}

func TestSecretsAreNotLogged(t *testing.T) {
	w := newWorld(t)
	b := w.as(store.RoleAdmin)
	b.get("/api/v1/alerts?camera=query-is-not-logged")
	b.post("/api/v1/session", `{"username":"body-is-not-logged`)
	b.post("/api/v1/session", `{"body-is-not-logged":1}`)
	req := b.request(http.MethodGet, "/api/v1/session", nil)
	req.Header.Set("X-Something", "header-is-not-logged")
	b.send(req)
	log := w.log.String()
	require.Contains(t, log, `"route":"/api/v1/alerts"`)
	require.Contains(t, log, `"user":"user-admin"`)
	require.NotContains(t, log, "is-not-logged")
	require.NotContains(t, log, b.csrf)
	require.NotContains(t, log, password)
}

func TestLabelsAreBounded(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/a", "/b", "/c/d/e", "/api/v1/x", "/api/v1/y"} {
		for _, method := range []string{"GET", "BREW", "PROPFIND"} {
			rec := httptest.NewRecorder()
			w.server.Handler().ServeHTTP(rec, httptest.NewRequest(method, path, nil))
		}
	}
	families, err := w.registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != "sharpeyes_http_requests_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				require.Contains(t, map[string][]string{"route": {"page"}, "method": {"GET", "other"}, "code": {"200", "404", "405"}}[l.GetName()], l.GetValue())
			}
		}
	}
}

func TestMetricNames(t *testing.T) {
	w := newWorld(t)
	rec := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodGet, "http://localhost/metrics", nil)
	req.RemoteAddr = "127.0.0.1:1"
	w.server.Handler().ServeHTTP(rec, req)
	require.Equal(t, http.StatusOK, rec.Code)
	problems, err := promlint.New(strings.NewReader(rec.Body.String())).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
	for line := range strings.Lines(rec.Body.String()) {
		require.Regexp(t, `^(# (HELP|TYPE) )?sharpeyes_`, line)
	}
}

func TestHealthAndReadiness(t *testing.T) {
	var why error
	w := newWorld(t, func(o *Options) { o.Ready = func(context.Context) error { return why } })
	b := w.browser()
	require.Equal(t, http.StatusOK, b.get("/healthz").status)
	require.Equal(t, http.StatusOK, b.get("/readyz").status)
	why = errors.New("the consumer has not been heard of")
	r := b.get("/readyz")
	require.Equal(t, codeNotReady, r.code(t))
	require.NotContains(t, r.body, "consumer")
	require.Contains(t, w.log.String(), "the consumer has not been heard of")
	why = nil
	require.NoError(t, w.store.Close())
	require.Equal(t, codeNotReady, b.get("/readyz").code(t), "the store does not answer")
	require.Equal(t, http.StatusOK, b.get("/healthz").status, "but the process lives")
}

func TestABrokenDatabaseIsAnInternalError(t *testing.T) {
	w := newWorld(t)
	b := w.as(store.RoleViewer)
	require.NoError(t, w.store.Close())
	for _, path := range []string{"/alerts", "/cameras", "/session", "/stream"} {
		require.Equal(t, codeInternal, b.get(prefix+path).code(t), path)
	}
	require.Equal(t, codeInternal, b.post("/api/v1/session", credentials("user-viewer", password)).code(t))
	err := w.server.Ingest(t.Context(), []stream.Message{{Envelope: &api.Envelope{Node: "edge-1", Seq: 1, Alert: alertOf(t, "a", "cam-1", api.Opened)}}})
	require.Error(t, err, "it comes again and is not lost")
}

func TestMethodsThatAreNot(t *testing.T) {
	w := newWorld(t)
	b := w.as(store.RoleAdmin)
	r := b.send(b.request(http.MethodPut, "/api/v1/alerts", "{}"))
	require.Equal(t, codeMethod, r.code(t))
	require.Equal(t, http.MethodGet, r.header.Get("Allow"))
}

func TestNewRefuses(t *testing.T) {
	_, err := New(Options{})
	require.ErrorContains(t, err, "required")
	w := newWorld(t)
	_, err = New(w.opt)
	require.ErrorContains(t, err, "metrics", "the same registry twice")
	opt := w.opt
	opt.Registerer = prometheus.NewRegistry()
	opt.Web = os.DirFS(filepath.Join(w.dir, "nowhere"))
	_, err = New(opt)
	require.ErrorContains(t, err, "browser page")
	require.NoError(t, w.store.Close())
	opt.Registerer, opt.Web = prometheus.NewRegistry(), nil
	_, err = New(opt)
	require.ErrorContains(t, err, "where the changes stand")
}
