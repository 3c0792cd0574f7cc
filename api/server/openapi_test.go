package server

import (
	"context"
	"encoding/json"
	"maps"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
)

// description is the loaded openapi.yaml; loading takes a while.
var description = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(api.Description())
	if err != nil {
		return nil, err
	}
	return doc, doc.Validate(context.Background())
})

var parameter = regexp.MustCompile(`:(\w+)`)

// TestEveryRouteIsDescribed holds the table of routes and openapi.yaml
// together: path, method, least role, and the token for changes.
func TestEveryRouteIsDescribed(t *testing.T) {
	doc, err := description()
	require.NoError(t, err)
	require.Equal(t, "3.1.0", doc.OpenAPI)

	described := make(map[string]string)
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			role, ok := op.Extensions["x-role"].(string)
			require.True(t, ok, "%s %s has an x-role", method, path)
			described[method+" "+path] = role
			require.NotEmpty(t, op.Summary, path)
			require.NotEmpty(t, op.OperationID, path)
			if role == "none" {
				require.NotNil(t, op.Security)
				require.Empty(t, *op.Security, "%s %s", method, path)
				continue
			}
			needsToken := slices.ContainsFunc(op.Parameters, func(p *openapi3.ParameterRef) bool { return p.Value.Name == csrfHeader })
			require.Equal(t, method != http.MethodGet, needsToken, "%s %s and the token", method, path)
		}
	}
	w := newWorld(t)
	roles := map[access]string{open: "none", local: "local", anyUser: "viewer", mayJudge: "duty", adminOnly: "admin"}
	routed := make(map[string]string)
	for _, r := range w.server.routes() {
		routed[r.method+" "+parameter.ReplaceAllString(r.path, "{$1}")] = roles[r.need]
	}
	require.Equal(t, routed, described)

	var served []string
	for _, r := range w.server.engine.Routes() {
		served = append(served, r.Method+" "+parameter.ReplaceAllString(r.Path, "{$1}"))
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(routed)), served, "what gin serves is the table")
}

func TestEveryCodeIsDescribed(t *testing.T) {
	doc, err := description()
	require.NoError(t, err)
	var described, known []string
	for _, v := range doc.Components.Schemas["Code"].Value.Enum {
		described = append(described, v.(string))
	}
	for c, a := range answers() {
		known = append(known, string(c))
		require.NotEmpty(t, a.zh, c)
		require.NotEmpty(t, a.en, c)
		require.NotEmpty(t, http.StatusText(a.status), c)
	}
	require.ElementsMatch(t, known, described)
}

func TestTheDescriptionIsServed(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, codeNotLoggedIn, w.browser().get("/openapi.yaml").code(t))
	r := w.as("viewer").get("/openapi.yaml")
	require.Equal(t, http.StatusOK, r.status)
	require.Equal(t, string(api.Description()), r.body)
}

// anywhere are the refusals that the description promises for every route.
var anywhere = []int{401, 403, 405, 413, 500, 503}

// requireDescribed checks status, content type and body of an answer against
// the description. Requests to the page are not part of it.
func requireDescribed(t *testing.T, req *http.Request, a answered) {
	t.Helper()
	doc, err := description()
	require.NoError(t, err)
	op := operation(doc, req)
	if op == nil {
		return
	}
	res := op.Responses.Value(strconv.Itoa(a.status))
	if res == nil {
		require.Contains(t, anywhere, a.status, "%s %s answered %d: %s", req.Method, req.URL.Path, a.status, a.body)
		res = doc.Components.Responses["Error"]
	}
	if len(res.Value.Content) == 0 {
		require.Empty(t, a.body)
		return
	}
	mediaType, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	require.NoError(t, err)
	content := res.Value.Content[mediaType]
	require.NotNil(t, content, "%s %s answered %d as %s", req.Method, req.URL.Path, a.status, mediaType)
	if mediaType != "application/json" {
		return
	}
	var v any
	require.NoError(t, json.Unmarshal([]byte(a.body), &v))
	require.NoError(t, doc.ValidateSchemaJSON(content.Schema.Value, v, openapi3.EnableFormatValidation()), "%s %s: %s", req.Method, req.URL.Path, a.body)
}

func operation(doc *openapi3.T, req *http.Request) *openapi3.Operation {
	got := strings.Split(req.URL.Path, "/")
	var found *openapi3.Operation
	for path, item := range doc.Paths.Map() {
		want := strings.Split(path, "/")
		if len(want) != len(got) {
			continue
		}
		fits := true
		for i := range want {
			fits = fits && (want[i] == got[i] || strings.HasPrefix(want[i], "{"))
		}
		if fits {
			found = item.GetOperation(req.Method)
		}
	}
	return found
}
