package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/api/store"
)

// alertJSON is an alert as lists and streams show it.
type alertJSON struct {
	Alert      api.Alert     `json:"alert"`
	Status     store.Status  `json:"status"`
	Camera     placedCamera  `json:"camera"`
	ReceivedAt time.Time     `json:"received_at"`
	LateBy     float64       `json:"late_by_s"`
	Triage     *store.Triage `json:"triage"`
	EventNo    string        `json:"event_no"`
	PictureURL string        `json:"picture_url"`
	Picture    string        `json:"picture"`
}

// placedCamera is a camera's record with the name of its division.
type placedCamera struct {
	api.Camera
	DivisionName string `json:"division_name"`
}

// cameraJSON is a camera as lists and streams show it.
type cameraJSON struct {
	Camera  placedCamera `json:"camera"`
	State   api.State    `json:"state"`
	Online  api.Value    `json:"online"`
	Node    string       `json:"node"`
	SeenAt  time.Time    `json:"seen_at"` // when its node was last heard of
	Removed bool         `json:"removed"` // no longer configured: take it off the screen
}

// listJSON is one page of a list; next is the cursor of the following one, ""
// at the end.
type listJSON[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

// asList renders an empty list as [], never as null.
func asList[T any](items []T, next string) listJSON[T] {
	if items == nil {
		items = []T{}
	}
	return listJSON[T]{Items: items, Next: next}
}

func (s *Server) place(c api.Camera) placedCamera {
	p := placedCamera{Camera: c}
	if s.opt.Divisions != nil {
		p.DivisionName = s.opt.Divisions.Name(c.Division)
	}
	return p
}

func (s *Server) alertRow(r store.AlertRow) alertJSON {
	j := alertJSON{
		Alert: r.Alert, Status: r.Status, ReceivedAt: r.ReceivedAt, LateBy: r.LateBy.Seconds(),
		Triage: r.Triage, EventNo: r.EventNo,
	}
	if r.Camera != nil {
		j.Camera = s.place(*r.Camera)
	} else { // its record comes by another message; the alert is shown meanwhile
		j.Camera = placedCamera{Camera: api.Camera{ID: r.Alert.Camera, LegalBasis: "unknown"}}
	}
	j.Picture = string(cmp.Or(r.Picture, "none"))
	if r.Picture == store.PictureKept {
		j.PictureURL = prefix + "/alerts/" + url.PathEscape(r.Alert.ID) + "/picture"
	}
	return j
}

func (s *Server) cameraRow(r store.CameraRow) cameraJSON {
	return cameraJSON{
		Camera: s.place(r.Camera), State: r.State, Online: r.Online(s.opt.Now(), s.opt.OfflineAfter),
		Node: r.Node, SeenAt: r.NodeSeen, Removed: r.Removed,
	}
}

// render reads the thing that changed and renders it as its list does.
func (s *Server) render(ctx context.Context, c store.Change) (rendered, error) {
	var (
		r rendered
		v any
	)
	switch c.Kind {
	case store.KindAlert:
		row, err := s.opt.Store.Alert(ctx, c.ID)
		if err != nil {
			return r, err
		}
		v = s.alertRow(row)
		r.heard, r.frame = row.ReceivedAt, row.ReceivedAt.Add(-row.LateBy)
	case store.KindCamera:
		row, err := s.opt.Store.Camera(ctx, api.CameraID(c.ID))
		if err != nil {
			return r, err
		}
		v = s.cameraRow(row)
	case store.KindEvent:
		e, err := s.opt.Events.Get(ctx, c.ID)
		if err != nil {
			return r, asRefusal(err)
		}
		v = e
	default:
		return r, store.ErrNotFound // a newer center's kind of change
	}
	data, err := json.Marshal(v)
	if err != nil {
		return r, fmt.Errorf("render %s %s: %w", c.Kind, c.ID, err)
	}
	r.data = data
	return r, nil
}
