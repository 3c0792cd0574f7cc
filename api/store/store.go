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
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	_ "modernc.org/sqlite" // the driver "sqlite", pure Go
)

// The errors a caller decides by.
var (
	// ErrNotFound says that no such alert, camera, picture, user or session exists.
	ErrNotFound = errors.New("not found")
	// ErrExists says that a user of this name exists already.
	ErrExists = errors.New("exists already")
	// ErrExpired says that the picture was there and was deleted when its time was over.
	ErrExpired = errors.New("expired")
	// ErrNewer is returned by Open for a database that a newer program has changed.
	ErrNewer = errors.New("the database was written by a newer version of this program")
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

const (
	day       = 24 * time.Hour
	readConns = 4
)

func (o *Options) fill() error {
	if o.Path == "" || o.PictureDir == "" {
		return errors.New("store: Path and PictureDir are required")
	}
	for _, d := range []struct {
		at  *time.Duration
		def time.Duration
	}{{&o.KeepDismissed, 7 * day}, {&o.KeepConfirmed, 30 * day}, {&o.KeepNew, 30 * day}} {
		if *d.at == 0 {
			*d.at = d.def
		}
	}
	if o.MaxPicture == 0 {
		o.MaxPicture = 8 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return nil
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

// Open opens or creates the database and the picture folder (both readable by
// this user only) and brings the schema up to date. A database from a newer
// program is refused with ErrNewer and left as it is. The caller closes the
// store.
func Open(ctx context.Context, opt Options) (*Store, error) {
	if err := opt.fill(); err != nil {
		return nil, err
	}
	if err := prepareFiles(opt); err != nil {
		return nil, err
	}
	m, err := newMetrics(opt.Registerer)
	if err != nil {
		return nil, fmt.Errorf("store: metrics: %w", err)
	}
	s := &Store{opt: opt, log: opt.Log, metrics: m, changed: make(chan struct{})}
	// Immediate transactions: a deferred one that reads first and writes later
	// fails with SQLITE_BUSY at once, whatever the timeout. FULL: the consumer
	// acknowledges after Save, so a committed row must survive a power cut.
	if s.writer, err = openSQLite(opt.Path, "immediate", "journal_mode(WAL)", "synchronous(FULL)"); err != nil {
		return nil, err
	}
	s.writer.SetMaxOpenConns(1)
	if err := migrate(ctx, s.writer, opt.Log); err != nil {
		return nil, errors.Join(fmt.Errorf("store: %s: %w", opt.Path, err), s.writer.Close())
	}
	if s.reader, err = openSQLite(opt.Path, "deferred", "query_only(1)"); err != nil {
		return nil, errors.Join(err, s.writer.Close())
	}
	s.reader.SetMaxOpenConns(readConns)
	s.reader.SetMaxIdleConns(readConns)
	return s, nil
}

// prepareFiles makes the folders and the file before SQLite does, which would
// make them readable by everybody; the journals take the file's mode.
func prepareFiles(opt Options) error {
	for _, dir := range []string{filepath.Dir(opt.Path), opt.PictureDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("store: make folder: %w (check data_dir and its owner)", err)
		}
	}
	f, err := os.OpenFile(opt.Path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("store: open database: %w (check center.database and its owner)", err)
	}
	return f.Close()
}

func openSQLite(path, lock string, pragmas ...string) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", path, err)
	}
	q := url.Values{"_txlock": {lock}, "_pragma": append([]string{"busy_timeout(10000)", "foreign_keys(1)"}, pragmas...)}
	u := url.URL{Scheme: "file", Path: abs, RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", path, err)
	}
	return db, nil
}

// Close closes the database. It waits for running transactions.
func (s *Store) Close() error {
	return errors.Join(s.reader.Close(), s.writer.Close())
}

// Ping says whether the database answers, reading and writing.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.View(ctx, func(*Tx) error { return nil }); err != nil {
		return err
	}
	return s.Update(ctx, func(*Tx) error { return nil })
}

// KeepConfirmed returns how long the picture of a confirmed alert is kept after
// the decision.
func (s *Store) KeepConfirmed() time.Duration { return s.opt.KeepConfirmed }
