package grid

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sharpeyes/sharpeyes/api/store"
)

// Filter narrows and pages a list of events. Zero fields do not narrow.
type Filter struct {
	State    State
	Division string // prefix of the division code
	Before   string // number of the last event of the page before
	Limit    int    // 1 to 200, else 50
}

// maxSerial is the highest number of a county's events on one day.
const maxSerial = 999_999

// draft fills an event from its alert and the camera's record, with the next
// number of the county's day.
func (e *Events) draft(ctx context.Context, t *store.Tx, row store.AlertRow, by store.User, c Confirmation) (Event, error) {
	cat, err := chooseCategory(c.Category, row.Alert.Category)
	if err != nil {
		return Event{}, fmt.Errorf("category %.20q: %w", c.Category, err)
	}
	cam := row.Camera
	if cam == nil || len(cam.Division) < 6 {
		return Event{}, fmt.Errorf("camera %s: %w", row.Alert.Camera, ErrUnknownPlace)
	}
	county, day := cam.Division[:6], t.Now().In(e.loc).Format("20060102")
	var serial int
	err = t.QueryRow(ctx, `SELECT COALESCE(MAX(serial), 0) + 1 FROM events WHERE county = $1 AND day = $2`, county, day).Scan(&serial)
	if err != nil {
		return Event{}, fmt.Errorf("event number: %w", err)
	}
	if serial > maxSerial {
		return Event{}, fmt.Errorf("event number: county %s has %d events on %s already", county, maxSerial, day)
	}
	address := cam.Place
	if address == "" {
		address = cam.Name
	}
	title := c.Title
	if title == "" {
		title = short(cat.Name+" · "+address, MaxTitle)
	}
	post := by.Post
	if post == "" {
		post = defaultPost
	}
	return Event{
		No:           fmt.Sprintf("%s-%s-%06d", county, day, serial),
		CategoryCode: cat.Code, CategoryName: cat.Name,
		Level: row.Alert.Level, Urgency: urgency(row.Alert.Level), Source: SourceAICamera,
		Title: title, Description: c.Note, HappenTime: row.Alert.Start,
		DivisionCode: cam.Division, GridCode: cam.Grid, Address: address, Lon: cam.Lon, Lat: cam.Lat,
		CameraID: string(cam.ID), ReporterPost: post, State: Reported, CreatedAt: t.Now(), UpdatedAt: t.Now(),
	}, nil
}

func urgency(level int) string {
	if level == 1 || level == 2 {
		return "01"
	}
	return "02"
}

// short cuts a text to n characters.
func short(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}

func insert(ctx context.Context, t *store.Tx, ev Event, alertID string, by store.User) error {
	parts := strings.Split(ev.No, "-")
	_, err := t.Exec(ctx, `INSERT INTO events (no, county, day, serial, category, category_name, level, urgency, source, title,
			description, happen_at, division, grid, address, lon, lat, camera, reporter_post, state, created_at, updated_at)
		VALUES ($1, $2, $3, CAST($4 AS INTEGER), $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $21)`,
		ev.No, parts[0], parts[1], parts[2], ev.CategoryCode, ev.CategoryName, ev.Level, ev.Urgency, ev.Source, ev.Title,
		ev.Description, ev.HappenTime.UnixMicro(), ev.DivisionCode, ev.GridCode, ev.Address, ev.Lon, ev.Lat, ev.CameraID,
		ev.ReporterPost, string(ev.State), ev.CreatedAt.UnixMicro())
	if err == nil {
		_, err = t.Exec(ctx, `INSERT INTO event_alerts (event_no, alert, live) VALUES ($1, $2, 1)`, ev.No, alertID)
	}
	if err != nil {
		return fmt.Errorf("event %s: %w", ev.No, err)
	}
	return logStep(ctx, t, ev, Reported, by, ev.Description)
}

// logStep writes the next line of an event's history.
func logStep(ctx context.Context, t *store.Tx, ev Event, to State, by store.User, note string) error {
	n, from := len(ev.History)+1, ev.State
	if n == 1 {
		from = "" // it comes from nowhere
	}
	_, err := t.Exec(ctx, `INSERT INTO event_log (event_no, n, at, from_state, to_state, user_login, user_name, user_unit, user_post, note)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		ev.No, n, t.Now().UnixMicro(), string(from), string(to), by.Name, shown(by), by.Unit, by.Post, note)
	if err != nil {
		return fmt.Errorf("event %s: history: %w", ev.No, err)
	}
	return nil
}

// Get returns one event with its history, or ErrNotFound.
func (e *Events) Get(ctx context.Context, no string) (Event, error) {
	var out Event
	err := e.st.View(ctx, func(t *store.Tx) (err error) {
		out, err = e.load(ctx, t, no)
		return err
	})
	return out, err
}

// List returns events, newest first, and the Before of the next page, or "" on
// the last. An unknown Before is ErrNotFound.
func (e *Events) List(ctx context.Context, f Filter) (items []Event, next string, err error) {
	limit := f.Limit
	if limit < 1 || limit > 200 {
		limit = 50
	}
	err = e.st.View(ctx, func(t *store.Tx) error {
		numbers, err := listNumbers(ctx, t, f, limit+1)
		if err != nil {
			return err
		}
		if len(numbers) > limit {
			numbers = numbers[:limit]
			next = numbers[limit-1]
		}
		for _, no := range numbers {
			ev, err := e.load(ctx, t, no)
			if err != nil {
				return err
			}
			items = append(items, ev)
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	return items, next, nil
}

func listNumbers(ctx context.Context, t *store.Tx, f Filter, limit int) ([]string, error) {
	const q = `SELECT no FROM events WHERE ($1 = '' OR state = $1) AND ($2 = '' OR substr(division, 1, $3) = $2)
		AND ($4 = '' OR (created_at, no) < ($5, $4)) ORDER BY created_at DESC, no DESC LIMIT $6`
	var created int64
	if f.Before != "" {
		err := t.QueryRow(ctx, `SELECT created_at FROM events WHERE no = $1`, f.Before).Scan(&created)
		if err != nil {
			return nil, missing(err, f.Before)
		}
	}
	numbers, err := texts(ctx, t, q, string(f.State), f.Division, len(f.Division), f.Before, created, limit)
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	return numbers, nil
}

// load reads an event with its alerts, snapshot and history.
func (e *Events) load(ctx context.Context, t *store.Tx, no string) (Event, error) {
	ev := Event{No: no}
	var happen, created, updated int64
	var due sql.NullInt64
	err := t.QueryRow(ctx, `SELECT category, category_name, level, urgency, source, title, description, happen_at, division, grid,
			address, lon, lat, camera, reporter_post, state, due_at, created_at, updated_at FROM events WHERE no = $1`, no).
		Scan(&ev.CategoryCode, &ev.CategoryName, &ev.Level, &ev.Urgency, &ev.Source, &ev.Title, &ev.Description, &happen, &ev.DivisionCode,
			&ev.GridCode, &ev.Address, &ev.Lon, &ev.Lat, &ev.CameraID, &ev.ReporterPost, &ev.State, &due, &created, &updated)
	if err != nil {
		return Event{}, missing(err, no)
	}
	ev.HappenTime, ev.CreatedAt, ev.UpdatedAt = utc(happen), utc(created), utc(updated)
	if due.Valid {
		at := utc(due.Int64)
		ev.DueAt = &at
	}
	if ev.Lon != nil && ev.Lat != nil {
		ev.CoordSys = "WGS84"
	}
	if ev.AlertIDs, err = texts(ctx, t, `SELECT alert FROM event_alerts WHERE event_no = $1 ORDER BY alert`, no); err != nil {
		return Event{}, fmt.Errorf("event %s: alerts: %w", no, err)
	}
	if ev.Snapshot, err = e.snapshot(ctx, t, ev); err != nil {
		return Event{}, fmt.Errorf("event %s: snapshot: %w", no, err)
	}
	if ev.History, err = history(ctx, t, no); err != nil {
		return Event{}, fmt.Errorf("event %s: history: %w", no, err)
	}
	return ev, nil
}

// snapshot describes the picture of the first alert that still belongs to the
// event and still has one, or nil.
func (e *Events) snapshot(ctx context.Context, t *store.Tx, ev Event) (*Snapshot, error) {
	for _, id := range ev.AlertIDs {
		row, err := t.Alert(ctx, id)
		if err != nil {
			return nil, err
		}
		if row.EventNo == ev.No && row.Picture == store.PictureKept && row.Alert.Picture != nil {
			p := row.Alert.Picture
			return &Snapshot{ID: id, Blurred: p.Blurred, SHA256: p.SHA256, ExpiresAt: row.Triage.At.Add(e.st.KeepConfirmed())}, nil
		}
	}
	return nil, nil
}

func history(ctx context.Context, t *store.Tx, no string) ([]Step, error) {
	rows, err := t.Query(ctx, `SELECT at, from_state, to_state, user_login, user_name, user_unit, user_post, note
		FROM event_log WHERE event_no = $1 ORDER BY n`, no)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Step
	for rows.Next() {
		var s Step
		var at int64
		if err := rows.Scan(&at, &s.From, &s.To, &s.login, &s.By, &s.Unit, &s.Post, &s.Note); err != nil {
			return nil, err
		}
		s.At = utc(at)
		out = append(out, s)
	}
	return out, rows.Err()
}

// texts reads one column of text.
func texts(ctx context.Context, t *store.Tx, query string, args ...any) ([]string, error) {
	rows, err := t.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

func utc(us int64) time.Time { return time.UnixMicro(us).UTC() }

func missing(err error, no string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("event %s: %w", no, ErrNotFound)
	}
	return fmt.Errorf("event %s: %w", no, err)
}
