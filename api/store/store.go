// Package store keeps what the center knows: nodes, cameras, alerts with their
// pictures, people and sessions, and the change numbers by which browsers
// follow. It speaks SQL to SQLite in portable text, so that PostgreSQL can
// follow with the same statements. Events, the access register and figures are
// the business of the rooms above; they use Update and View.
package store

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The errors a caller decides by.
var (
	// ErrNotFound says that no such alert, camera, picture, user or session exists.
	ErrNotFound = errors.New("not found")
	// ErrExists says that a user of this name exists already.
	ErrExists = errors.New("exists already")
	// ErrExpired says that the picture was there and was deleted when its time was over.
	ErrExpired = errors.New("expired")
)

// Options says where the store keeps its data. Zero values mean the default.
type Options struct {
	Path          string                // SQLite file; required
	PictureDir    string                // folder of the pictures; required
	KeepDismissed time.Duration         // pictures of dismissed alerts live this long after the decision; default 168h
	KeepConfirmed time.Duration         // pictures of confirmed alerts live this long after the decision; default 720h
	KeepNew       time.Duration         // pictures of alerts nobody decided on live this long after they were taken; default 720h
	MaxPicture    int                   // largest picture in bytes; default 8 MiB
	Now           func() time.Time      // the center's clock; default time.Now
	Log           *slog.Logger          // default slog.Default
	Registerer    prometheus.Registerer // default none
}

// Store is an open database with its picture folder. All methods are safe for
// concurrent use; writes wait for each other.
type Store struct {
	opt     Options
	writer  *sql.DB // one connection
	reader  *sql.DB // several, query only
	log     *slog.Logger
	metrics *metrics

	pictures sync.Mutex // held while picture files and their rows change together

	mu      sync.Mutex
	changed chan struct{} // closed and replaced by every commit that changed something
}

// Tx is one transaction: a writing one inside Update, a reading one inside View.
// Statements use $1, $2… for their arguments. It must not be kept.
type Tx struct {
	tx      *sql.Tx
	now     time.Time
	changes []Change
}

// Exec runs one statement and returns how many rows it touched.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	r, err := t.tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// Query runs a query; the caller closes the rows.
func (t *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return t.tx.QueryContext(ctx, query, args...)
}

// QueryRow runs a query of at most one row.
func (t *Tx) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return t.tx.QueryRowContext(ctx, query, args...)
}

// Now returns the center's clock at the start of the transaction, cut to
// microseconds as the database keeps it.
func (t *Tx) Now() time.Time { return t.now }
