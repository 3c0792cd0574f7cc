package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
)

// keptAlert is the row of an alert as a transaction sees it and will leave it;
// the body is "" while there is no row. A batch reads its alerts with one statement
// and writes them with one: a database at the other end of a socket answers a few
// hundred statements in the time that it takes a few thousand rows.
type keptAlert struct {
	id                              string
	camera, node, kind, phase, body string
	start, received, late           int64 // as the columns start_at, received_at, late_by
	picture, lost                   sql.NullString
	expired                         bool
	changed                         bool // stands in the transaction's list of rows to write
}

const keptColumns = "id, camera, node, kind, phase, start_at, received_at, late_by, body, picture, picture_lost"

// readAlerts takes the rows of these alerts, and that there is none, into the
// transaction. IDs may repeat and be empty.
func (t *Tx) readAlerts(ctx context.Context, ids []string) error {
	if t.alerts == nil {
		t.alerts = make(map[string]*keptAlert, len(ids))
	}
	var ask []any
	for _, id := range ids {
		if id != "" && t.alerts[id] == nil {
			t.alerts[id] = &keptAlert{id: id}
			ask = append(ask, id)
		}
	}
	for len(ask) > 0 {
		n := min(len(ask), rowsAtOnce)
		page := ask[:n]
		ask = ask[n:]
		for len(page) < powerOfTwo(n) { // few different statements, so that they stay prepared
			page = append(page[:len(page):len(page)], page[0])
		}
		q := "SELECT " + keptColumns + ", picture_expired FROM alerts WHERE id IN " + marks(0, len(page))
		err := t.each(ctx, q, page, func(r *sql.Rows) error {
			var a keptAlert
			err := r.Scan(&a.id, &a.camera, &a.node, &a.kind, &a.phase, &a.start, &a.received, &a.late, &a.body, &a.picture, &a.lost, &a.expired)
			t.alerts[a.id] = &a
			return err
		})
		if err != nil {
			return fmt.Errorf("store: read %d alerts: %w", n, err)
		}
	}
	return nil
}

// alert returns the row of an alert, for writing after touch.
func (t *Tx) alert(ctx context.Context, id string) (*keptAlert, error) {
	if t.alerts[id] == nil {
		if err := t.readAlerts(ctx, []string{id}); err != nil {
			return nil, err
		}
	}
	return t.alerts[id], nil
}

// touch notes that the row is to be written, and that the alert changed.
func (t *Tx) touch(ctx context.Context, a *keptAlert) error {
	if !a.changed {
		a.changed = true
		t.dirty = append(t.dirty, a)
	}
	return t.Changed(ctx, KindAlert, a.id)
}

// writeAlerts writes the rows that were touched, and the pictures that they show
// before them.
func (t *Tx) writeAlerts(ctx context.Context) error {
	err := t.insert(ctx, "INSERT INTO pictures (sha256, bytes, at) VALUES ", 3, " ON CONFLICT (sha256) DO NOTHING", t.shown)
	if err != nil {
		return fmt.Errorf("store: pictures: %w", err)
	}
	rows := make([][]any, len(t.dirty))
	for i, a := range t.dirty {
		rows[i] = []any{a.id, a.camera, a.node, a.kind, a.phase, a.start, a.received, a.late, a.body, a.picture, a.lost}
		a.changed = false
	}
	err = t.insert(ctx, "INSERT INTO alerts ("+keptColumns+") VALUES ", 11, ` ON CONFLICT (id) DO UPDATE SET phase = excluded.phase,
		start_at = excluded.start_at, body = excluded.body, picture = excluded.picture, picture_lost = excluded.picture_lost`, rows)
	if err != nil {
		return fmt.Errorf("store: alerts: %w", err)
	}
	t.shown, t.dirty = nil, nil
	return nil
}

// rowsAtOnce is how many rows one statement reads or writes at most: every
// database takes so many arguments, and the text of the statement stays small.
const rowsAtOnce = 128

// insert writes rows of so many columns between the head of a statement and its
// tail, by powers of two, so that there are few different statements to prepare.
func (t *Tx) insert(ctx context.Context, head string, columns int, tail string, rows [][]any) error {
	for len(rows) > 0 {
		n := min(powerOfTwo(len(rows)+1)/2, t.rows)
		q := make([]string, n)
		args := make([]any, 0, n*columns)
		for i, row := range rows[:n] {
			q[i] = marks(i*columns, columns)
			args = append(args, row...)
		}
		if _, err := t.Exec(ctx, head+strings.Join(q, ", ")+tail, args...); err != nil {
			return fmt.Errorf("%d rows from %v: %w", n, rows[0][0], err)
		}
		rows = rows[n:]
	}
	return nil
}

// powerOfTwo returns the least power of two that is not below n.
func powerOfTwo(n int) int {
	p := 1
	for p < n {
		p *= 2
	}
	return p
}

// marks returns "($3, $4)": places of n arguments behind the first so many.
func marks(after, n int) string {
	b := make([]byte, 0, 6*n+2)
	for i := range n {
		b = append(b, ", $"...)
		b = strconv.AppendInt(b, int64(after+i+1), 10)
	}
	return "(" + string(b[2:]) + ")"
}
