package server

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/sharpeyes/sharpeyes/api/store"
)

// access is who may use a route.
type access uint8

const (
	open     access = iota // anybody
	local                  // a program on this machine, or an admin
	anyUser                // whoever is logged in
	mayJudge               // duty and admin
	adminOnly
)

// allows says whether a logged-in user of the role may use the route.
func (a access) allows(r store.Role) bool {
	switch a {
	case open, anyUser:
		return true
	case mayJudge:
		return r == store.RoleAdmin || r == store.RoleDuty
	case local, adminOnly:
		return r == store.RoleAdmin
	}
	return false
}

// route is one line of the table of everything that can be asked for.
type route struct {
	method, path string
	need         access
	handle       gin.HandlerFunc
}

const (
	prefix      = "/api/v1"
	routeStream = prefix + "/stream"
)

func (s *Server) routes() []route {
	const get, post, patch, del = http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete
	return []route{
		{get, "/healthz", open, s.getHealth},
		{get, "/readyz", open, s.getReady},
		{get, "/metrics", local, s.getMetrics},
		{get, "/openapi.yaml", anyUser, s.getDescription},

		{post, prefix + "/session", open, s.postSession},
		{get, prefix + "/session", anyUser, s.getSession},
		{del, prefix + "/session", anyUser, s.deleteSession},
		{post, prefix + "/password", anyUser, s.postPassword},

		{get, prefix + "/alerts", anyUser, s.getAlerts},
		{get, prefix + "/alerts/:id", anyUser, s.getAlert},
		{get, prefix + "/alerts/:id/picture", anyUser, s.getPicture},
		{post, prefix + "/alerts/:id/confirm", mayJudge, s.postConfirm},
		{post, prefix + "/alerts/:id/dismiss", mayJudge, s.postDismiss},
		{post, prefix + "/alerts/:id/undo", mayJudge, s.postUndo},

		{get, prefix + "/events", anyUser, s.getEvents},
		{get, prefix + "/events/:no", anyUser, s.getEvent},
		{get, prefix + "/event-categories", anyUser, s.getCategories},

		{get, prefix + "/coverage", anyUser, s.getCoverage},
		{get, prefix + "/cameras", anyUser, s.getCameras},
		{post, prefix + "/cameras/:id/wake", anyUser, s.postWake},
		{get, prefix + "/nodes", mayJudge, s.getNodes},
		{get, routeStream, anyUser, s.getStream},

		{get, prefix + "/access-register", adminOnly, s.getRegister},
		{get, prefix + "/dead-letters", adminOnly, s.getLetters},
		{post, prefix + "/dead-letters/:id/requeue", adminOnly, s.postRequeue},
		{del, prefix + "/dead-letters/:id", adminOnly, s.deleteLetter},
		{get, prefix + "/users", adminOnly, s.getUsers},
		{post, prefix + "/users", adminOnly, s.postUser},
		{patch, prefix + "/users/:name", adminOnly, s.patchUser},
	}
}

func (s *Server) newEngine() *gin.Engine {
	gin.SetMode(gin.ReleaseMode) // gin keeps its mode for the process; the other modes print routes and bodies
	e := gin.New()
	e.RedirectTrailingSlash = false
	e.HandleMethodNotAllowed = true
	e.ForwardedByClientIP = false // who we talk to is who we talk to: a header is no address
	e.Use(s.observe, s.recovered, s.guarded, s.sameOrigin)
	for _, r := range s.routes() {
		e.Handle(r.method, r.path, s.allow(r.need), r.handle)
	}
	e.NoRoute(s.servePage)
	e.NoMethod(func(c *gin.Context) { s.fail(c, problem(codeMethod)) })
	return e
}
