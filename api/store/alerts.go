package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sharpeyes/sharpeyes/api"
)

// Status is what people decided about an alert.
type Status string

// The statuses.
const (
	StatusNew       Status = "new"
	StatusConfirmed Status = "confirmed"
	StatusDismissed Status = "dismissed"
)

// Triage is who decided, when, and why.
type Triage struct {
	By     string    `json:"by"`   // the login name
	Name   string    `json:"name"` // the name to show
	Unit   string    `json:"unit"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"` // dismissed only
	Note   string    `json:"note,omitempty"`
}

// PictureState says whether an alert has a picture.
type PictureState string

// The states of an alert's picture.
const (
	PictureNone    PictureState = ""
	PictureKept    PictureState = "kept"
	PictureExpired PictureState = "expired" // there was one; its time is over
	PictureComing  PictureState = "coming"  // the edge sends it after the text
	PictureLost    PictureState = "lost"    // the edge had to give it up, or it was refused
)

// AlertRow is one incident as the center keeps it: the merged phases, when the
// first of them came, and what people decided.
type AlertRow struct {
	Alert      api.Alert
	Node       string
	Status     Status
	Camera     *api.Camera   // nil while the camera has not reported its record
	ReceivedAt time.Time     // when the center first heard of it
	LateBy     time.Duration // ReceivedAt minus the receipt of the frame, not below 0
	Triage     *Triage       // nil while new
	EventNo    string        // the event it was confirmed into, or ""
	Picture    PictureState
}

// AlertFilter narrows a list of alerts. Zero fields do not narrow.
type AlertFilter struct {
	Status   Status
	Camera   api.CameraID
	Division string // prefix of the camera's division code
}

const alertQuery = `SELECT a.body, a.node, a.status, a.received_at, a.late_by, a.picture, a.picture_lost, a.picture_expired,
	a.triage_login, a.triage_name, a.triage_unit, a.triage_at, a.triage_reason, a.triage_note, a.event_no, c.record
	FROM alerts a LEFT JOIN cameras c ON c.id = a.camera AND c.latest = 1`

// Alerts lists alerts, newest start first. limit is 1 to 500, else 50. before is
// the next of an earlier page, or "": the list goes on after that alert,
// whatever came in since. next is "" on the last page. An unknown before is
// ErrNotFound.
func (s *Store) Alerts(ctx context.Context, f AlertFilter, before string, limit int) (rows []AlertRow, next string, err error) {
	if limit < 1 || limit > 500 {
		limit = 50
	}
	err = s.View(ctx, func(t *Tx) error {
		where, args, err := t.alertsWhere(ctx, f, before)
		if err != nil {
			return err
		}
		args = append(args, limit+1)
		q := fmt.Sprintf("%s WHERE %s ORDER BY a.start_at DESC, a.id DESC LIMIT $%d", alertQuery, where, len(args))
		return t.each(ctx, q, args, func(r *sql.Rows) error {
			row, err := scanAlert(r)
			rows = append(rows, row)
			return err
		})
	})
	if err != nil {
		return nil, "", fmt.Errorf("store: alerts: %w", err)
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = rows[limit-1].Alert.ID
	}
	return rows, next, nil
}

func (t *Tx) alertsWhere(ctx context.Context, f AlertFilter, before string) (string, []any, error) {
	terms := []string{"1 = 1"}
	var args []any
	add := func(term string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			term = strings.Replace(term, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		terms = append(terms, term)
	}
	if f.Status != "" {
		add("a.status = ?", string(f.Status))
	}
	if f.Camera != "" {
		add("a.camera = ?", string(f.Camera))
	}
	if f.Division != "" {
		add("substr(c.division, 1, ?) = ?", len(f.Division), f.Division)
	}
	if before != "" {
		var start int64
		if err := t.QueryRow(ctx, `SELECT start_at FROM alerts WHERE id = $1`, before).Scan(&start); err != nil {
			return "", nil, notFound(err, "alert "+before)
		}
		add("(a.start_at, a.id) < (?, ?)", start, before)
	}
	return strings.Join(terms, " AND "), args, nil
}

// Alert returns one alert or ErrNotFound.
func (s *Store) Alert(ctx context.Context, id string) (AlertRow, error) {
	var row AlertRow
	err := s.View(ctx, func(t *Tx) (err error) {
		row, err = t.Alert(ctx, id)
		return err
	})
	return row, err
}

// Alert returns one alert or ErrNotFound.
func (t *Tx) Alert(ctx context.Context, id string) (AlertRow, error) {
	row, err := scanAlert(t.QueryRow(ctx, alertQuery+` WHERE a.id = $1`, id))
	if err != nil {
		return AlertRow{}, notFound(err, "alert "+id)
	}
	return row, nil
}

// SetTriage notes what people decided about an alert, and the event it became.
// StatusNew with a nil triage takes the decision back.
func (t *Tx) SetTriage(ctx context.Context, id string, status Status, tr *Triage, eventNo string) error {
	if (status == StatusNew) != (tr == nil) {
		return fmt.Errorf("store: alert %s: status %s does not go with this triage", id, status)
	}
	args := []any{id, string(status), nil, nil, nil, nil, nil, nil, nil}
	if tr != nil {
		args = []any{id, string(status), tr.By, tr.Name, tr.Unit, Micro(tr.At), tr.Reason, tr.Note, nil}
	}
	if eventNo != "" {
		args[8] = eventNo
	}
	n, err := t.Exec(ctx, `UPDATE alerts SET status = $2, triage_login = $3, triage_name = $4, triage_unit = $5,
		triage_at = $6, triage_reason = $7, triage_note = $8, event_no = $9 WHERE id = $1`, args...)
	if err != nil {
		return fmt.Errorf("store: alert %s: %w", id, err)
	}
	if n == 0 {
		return fmt.Errorf("alert %s: %w", id, ErrNotFound)
	}
	return t.Changed(ctx, KindAlert, id)
}

// scanner is a *sql.Row or *sql.Rows.
type scanner interface{ Scan(...any) error }

func scanAlert(r scanner) (AlertRow, error) {
	var (
		row                                            AlertRow
		body                                           string
		received, late                                 int64
		expired                                        bool
		kept, lost                                     sql.NullString
		login, name, unit, reason, note, event, camera sql.NullString
		at                                             sql.NullInt64
	)
	err := r.Scan(&body, &row.Node, &row.Status, &received, &late, &kept, &lost, &expired,
		&login, &name, &unit, &at, &reason, &note, &event, &camera)
	if err != nil {
		return row, err
	}
	row.ReceivedAt, row.LateBy, row.EventNo = FromMicro(received), time.Duration(late)*time.Microsecond, event.String
	if at.Valid {
		row.Triage = &Triage{By: login.String, Name: name.String, Unit: unit.String, At: FromMicro(at.Int64), Reason: reason.String, Note: note.String}
	}
	err = json.Unmarshal([]byte(body), &row.Alert)
	switch p := row.Alert.Picture; {
	case expired:
		row.Picture = PictureExpired
	case p == nil:
	case kept.String == p.SHA256:
		row.Picture = PictureKept
	case lost.String == p.SHA256:
		row.Picture = PictureLost
	default:
		row.Picture = PictureComing
	}
	if camera.Valid {
		row.Camera = &api.Camera{}
		err = errors.Join(err, json.Unmarshal([]byte(camera.String), row.Camera))
	}
	return row, err
}
