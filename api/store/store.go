// Package store keeps what the center knows: nodes, cameras, alerts with their
// pictures, people and sessions, and the change numbers by which browsers
// follow. It speaks the same portable SQL to SQLite and to PostgreSQL. Events,
// the access register and figures are the business of the rooms above; they use
// Update and View.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
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
	// ErrNewer is returned by Open for a database that a newer program has changed.
	ErrNewer = errors.New("the database was written by a newer version of this program")
)

// Options says where the store keeps its data. Zero values mean the default.
type Options struct {
	Path          string                // SQLite file; required unless DSN is given
	DSN           string                // PostgreSQL 13 or newer: a URL or key=value text as libpq reads it; it holds a password and is never logged
	PictureDir    string                // folder of the pictures; required unless Bucket is given
	Bucket        Bucket                // where pictures are kept instead; default none
	KeepDismissed time.Duration         // pictures of dismissed alerts live this long after the decision; default 168h
	KeepConfirmed time.Duration         // pictures of confirmed alerts live this long after the decision; default 720h
	KeepNew       time.Duration         // pictures of alerts nobody decided on live this long after they were taken; default 720h
	MaxPicture    int                   // largest picture in bytes; default 8 MiB
	Now           func() time.Time      // the center's clock; default time.Now
	Log           *slog.Logger          // default slog.Default
	Registerer    prometheus.Registerer // default none
}

const day = 24 * time.Hour

func (o *Options) fill() error {
	if o.Path == "" && o.DSN == "" || o.PictureDir == "" && o.Bucket.Name == "" {
		return errors.New("store: Path or DSN, and PictureDir or Bucket are required")
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

// Store is an open database with its pictures. All methods are safe for
// concurrent use; writes wait for each other.
type Store struct {
	opt     Options
	engine  *engine
	log     *slog.Logger
	metrics *metrics

	blobs blobs
	// pictures is held while pictures and their rows change together: for reading
	// by who adds, for writing by who deletes.
	pictures sync.RWMutex

	unfollow  context.CancelFunc // ends the goroutine that hears of other replicas; nil without one
	following chan struct{}      // closed when it has ended

	mu      sync.Mutex
	changed chan struct{} // closed and replaced by every commit that changed something
}

// Open opens or creates the SQLite file, or connects to PostgreSQL (whose
// database must exist), makes the picture folder (file and folder are readable by
// this user only; a bucket is not asked for anything yet) and brings the schema up to date. A database from a newer
// program is refused with ErrNewer and left as it is. The caller closes the
// store.
func Open(ctx context.Context, opt Options) (*Store, error) {
	if err := opt.fill(); err != nil {
		return nil, err
	}
	kept, err := openBlobs(opt)
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(opt.Registerer)
	if err != nil {
		return nil, fmt.Errorf("store: metrics: %w", err)
	}
	s := &Store{opt: opt, log: opt.Log, blobs: kept, metrics: m, changed: make(chan struct{})}
	if opt.DSN != "" {
		s.engine, err = openPostgres(ctx, opt)
	} else {
		s.engine, err = openSQLite(ctx, opt)
	}
	if err != nil {
		return nil, err
	}
	if s.engine.follow != nil {
		follow, cancel := context.WithCancel(context.WithoutCancel(ctx))
		s.unfollow, s.following = cancel, make(chan struct{})
		go func() {
			defer close(s.following)
			s.engine.follow(follow, s.announce)
		}()
	}
	return s, nil
}

func openBlobs(opt Options) (blobs, error) {
	if opt.Bucket.Name != "" {
		return openS3(opt.Bucket)
	}
	return disk{opt.PictureDir}, makeFolder(opt.PictureDir)
}

func makeFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("store: make folder: %w (check data_dir and its owner)", err)
	}
	return nil
}

// Close closes the database. It waits for running transactions.
func (s *Store) Close() error {
	if s.unfollow != nil {
		s.unfollow()
		<-s.following
	}
	if b, ok := s.blobs.(*s3); ok {
		b.idle()
	}
	return s.engine.close()
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
