// Package server is the center's door for people: the REST interface of
// openapi.yaml, the stream of server-sent events, logins, and the browser page
// that is handed in. It holds no rule of the domain: what an alert, an event, a
// figure or a register row is stands in api/store, api/grid, api/coverage and
// api/audit. It never speaks to a camera, to Redis or to an edge.
//
// Who may do what stands in one table, routes.go; openapi.yaml describes the
// same table and a test holds the two together.
package server
