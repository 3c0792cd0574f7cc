package store

import (
	"context"
	"database/sql"
	"fmt"
)

// ChangeKind says what changed; it is also the name of the browser's event.
type ChangeKind string

// The kinds of changes.
const (
	KindAlert  ChangeKind = "alert"
	KindCamera ChangeKind = "camera"
	KindEvent  ChangeKind = "event"
)

// Change says that a thing is not what it was. Seq grows with every change in
// the whole center and is kept with the data, so a browser that knows a number
// can ask for everything after it. Only the latest change of a thing is kept.
type Change struct {
	Kind ChangeKind
	ID   string // alert ID, camera ID or event number
	Seq  int64
}

// Changed notes that a thing is not what it was. Numbers are given inside the
// transaction, at its end, and writers wait for each other, so no number becomes
// visible before a smaller one.
func (t *Tx) Changed(_ context.Context, kind ChangeKind, id string) error {
	t.changes = append(t.changes, Change{Kind: kind, ID: id, Seq: int64(len(t.changes)) + 1})
	return nil
}

// writeChanges numbers what changed, each thing once, and writes it down.
func (t *Tx) writeChanges(ctx context.Context) error {
	t.changes = lastOfEach(t.changes)
	if len(t.changes) == 0 {
		return nil
	}
	n := int64(len(t.changes))
	var last int64
	err := t.QueryRow(ctx, `UPDATE counters SET value = value + $1 WHERE name = 'change' RETURNING value`, n).Scan(&last)
	if err != nil {
		return fmt.Errorf("store: number of a change: %w", err)
	}
	for i := range t.changes {
		t.changes[i].Seq = last - n + int64(i) + 1
	}
	rows := make([][]any, len(t.changes))
	for i, c := range t.changes {
		rows[i] = []any{string(c.Kind), c.ID, c.Seq}
	}
	err = t.insert(ctx, "INSERT INTO changes (kind, ref, seq) VALUES ", 3, " ON CONFLICT (kind, ref) DO UPDATE SET seq = excluded.seq", rows)
	if err != nil {
		return fmt.Errorf("store: changes: %w", err)
	}
	return nil
}

// Changed returns a channel that is closed at the next commit that changed
// something. Take it before asking ChangesSince, or a change between the two is
// waited for in vain.
func (s *Store) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *Store) announce() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

// LastChange returns the number of the newest change, 0 when there was none.
func (s *Store) LastChange(ctx context.Context) (int64, error) {
	var n int64
	err := s.View(ctx, func(t *Tx) error {
		return t.QueryRow(ctx, `SELECT value FROM counters WHERE name = 'change'`).Scan(&n)
	})
	if err != nil {
		return 0, fmt.Errorf("store: last change: %w", err)
	}
	return n, nil
}

// ChangesSince returns what changed after seq, oldest first, at most limit (1 to
// 1000, else 1000). A thing that changed often is named once, by its latest
// change.
func (s *Store) ChangesSince(ctx context.Context, seq int64, limit int) ([]Change, error) {
	if limit < 1 || limit > 1000 {
		limit = 1000
	}
	var out []Change
	err := s.View(ctx, func(t *Tx) error {
		const q = `SELECT kind, ref, seq FROM changes WHERE seq > $1 ORDER BY seq LIMIT $2`
		return t.each(ctx, q, []any{seq, limit}, func(r *sql.Rows) error {
			var c Change
			if err := r.Scan(&c.Kind, &c.ID, &c.Seq); err != nil {
				return err
			}
			out = append(out, c)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("store: changes since %d: %w", seq, err)
	}
	return out, nil
}
