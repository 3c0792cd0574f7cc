package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Tx is one transaction: a writing one inside Update, a reading one inside View.
// Statements use $1, $2… for their arguments. It must not be kept.
type Tx struct {
	tx      *sql.Tx
	rows    int                  // of the engine
	stmts   map[string]*sql.Stmt // prepared in this transaction, which closes them; nil where the driver keeps its own
	now     time.Time
	changes []Change              // numbered when fn has returned
	alerts  map[string]*keptAlert // what Save has read
	dirty   []*keptAlert          // of them, what is written when fn has returned
	shown   [][]any               // pictures that they show, written before them
	nodes   map[string]*nodeState // of the nodes that were heard of, written when fn has returned
}

// Update runs fn in one writing transaction and commits when it returns nil;
// otherwise nothing of it remains. Writers wait for each other, those of other
// replicas included. When it returns nil the data is on disk.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	_, err := s.update(ctx, fn)
	return err
}

func (s *Store) update(ctx context.Context, fn func(*Tx) error) ([]Change, error) {
	t, err := s.begin(ctx, s.engine.writer, nil)
	if err != nil {
		return nil, err
	}
	defer t.tx.Rollback() //nolint:errcheck // after Commit it says ErrTxDone, before it nothing else can be done
	if err := t.run(ctx, s.engine.lock); err != nil {
		return nil, fmt.Errorf("store: wait for other writers: %w", err)
	}
	if s.engine.prepare {
		t.stmts = map[string]*sql.Stmt{}
	}
	if err := fn(t); err != nil {
		return nil, err
	}
	if err := t.writeAlerts(ctx); err != nil {
		return nil, err
	}
	if err := t.writeNodes(ctx); err != nil {
		return nil, err
	}
	if err := t.writeChanges(ctx); err != nil {
		return nil, err
	}
	if len(t.changes) > 0 {
		if err := t.run(ctx, s.engine.notify); err != nil {
			return nil, fmt.Errorf("store: tell other replicas: %w", err)
		}
	}
	if err := t.tx.Commit(); err != nil {
		return nil, fmt.Errorf("store: commit: %w", err)
	}
	if len(t.changes) > 0 {
		s.announce()
	}
	return t.changes, nil
}

// View runs fn in one reading transaction: all its queries see the same moment.
// It waits for no writer.
func (s *Store) View(ctx context.Context, fn func(*Tx) error) error {
	t, err := s.begin(ctx, s.engine.reader, s.engine.reading)
	if err != nil {
		return err
	}
	defer t.tx.Rollback() //nolint:errcheck // a reading transaction has nothing to lose
	return fn(t)
}

func (s *Store) begin(ctx context.Context, db *sql.DB, opt *sql.TxOptions) (*Tx, error) {
	tx, err := db.BeginTx(ctx, opt)
	if err != nil {
		return nil, fmt.Errorf("store: begin: %w", err)
	}
	return &Tx{tx: tx, rows: s.engine.rows, now: FromMicro(Micro(s.opt.Now()))}, nil
}

// run executes a statement of the engine, if it has one.
func (t *Tx) run(ctx context.Context, statement string) error {
	if statement == "" {
		return nil
	}
	_, err := t.tx.ExecContext(ctx, statement)
	return err
}

// Exec runs one statement and returns how many rows it touched.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	var r sql.Result
	stmt, err := t.prepared(ctx, query)
	switch {
	case err != nil:
	case stmt != nil:
		r, err = stmt.ExecContext(ctx, args...)
	default:
		r, err = t.tx.ExecContext(ctx, query, args...)
	}
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// prepared returns the statement that the transaction has prepared for the
// query: a batch of envelopes runs the same few hundreds of times. nil without an
// error means that the driver is to be given the text.
func (t *Tx) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	if t.stmts == nil {
		return nil, nil
	}
	if stmt := t.stmts[query]; stmt != nil {
		return stmt, nil
	}
	stmt, err := t.tx.PrepareContext(ctx, query)
	if err == nil {
		t.stmts[query] = stmt
	}
	return stmt, err
}

// Query runs a query; the caller closes the rows.
func (t *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return t.tx.QueryContext(ctx, query, args...)
}

// QueryRow runs a query of at most one row.
func (t *Tx) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	if stmt, err := t.prepared(ctx, query); err == nil && stmt != nil {
		return stmt.QueryRowContext(ctx, args...)
	}
	return t.tx.QueryRowContext(ctx, query, args...)
}

// Now returns the center's clock at the start of the transaction, cut to
// microseconds as the database keeps it.
func (t *Tx) Now() time.Time { return t.now }

// Next adds one to a named counter and returns it. Counters have no holes: an
// unfinished transaction gives its number back.
func (t *Tx) Next(ctx context.Context, counter string) (int64, error) {
	var n int64
	err := t.QueryRow(ctx, `UPDATE counters SET value = value + 1 WHERE name = $1 RETURNING value`, counter).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("store: counter %s: %w", counter, err)
	}
	return n, nil
}

// each scans all rows of a query and hands them to scan one by one.
func (t *Tx) each(ctx context.Context, query string, args []any, scan func(*sql.Rows) error) error {
	rows, err := t.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Micro is the database's form of a time: microseconds since 1970. The zero time
// is 0.
func Micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// FromMicro is the opposite of Micro, in UTC.
func FromMicro(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// Flag is the database's form of a truth value, 0 or 1.
func Flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// notFound turns the driver's word for an empty answer into ours.
func notFound(err error, what string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	return fmt.Errorf("store: %s: %w", what, err)
}
