package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

const (
	// writeLock is the number of the advisory lock that writers take in turn.
	writeLock = 0x73686172 // "shar"
	// changesChannel is where replicas hear of each other's commits.
	changesChannel = "sharpeyes_changes"
	// leastRetry and mostRetry are the waits between attempts to listen again.
	leastRetry = 100 * time.Millisecond
	mostRetry  = 5 * time.Second
)

// openPostgres connects and brings the schema up to date; of several replicas
// that start together one migrates and the others wait.
func openPostgres(ctx context.Context, opt Options) (*engine, error) {
	cfg, err := pgx.ParseConfig(opt.DSN)
	if err != nil {
		return nil, fmt.Errorf("store: the PostgreSQL address cannot be read: %w; write postgres://user@host/database", err)
	}
	for name, value := range map[string]string{
		"application_name": "sharpeyes",
		// A replica that is frozen in a transaction holds the lock: the server
		// ends it, so that the others go on.
		"idle_in_transaction_session_timeout": "10s",
		"synchronous_commit":                  "on", // the consumer acknowledges after Save
	} {
		if _, set := cfg.RuntimeParams[name]; !set {
			cfg.RuntimeParams[name] = value
		}
	}
	writer, reader := stdlib.OpenDB(*cfg), stdlib.OpenDB(*cfg)
	e := &engine{
		dialect: goose.DialectPostgres, writer: writer, reader: reader,
		reading: &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true},
		rows:    rowsAtOnce,
		lock:    fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", writeLock),
		notify:  "NOTIFY " + changesChannel,
	}
	writer.SetMaxOpenConns(1)
	reader.SetMaxOpenConns(readConns)
	reader.SetMaxIdleConns(readConns)
	if err := migrate(ctx, goose.DialectPostgres, writer, opt.Log); err != nil {
		return nil, errors.Join(fmt.Errorf("store: PostgreSQL %s:%d/%s: %w", cfg.Host, cfg.Port, cfg.Database, err), e.close())
	}
	l, err := newListener(ctx, cfg, opt.Log)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: PostgreSQL %s:%d/%s: %w", cfg.Host, cfg.Port, cfg.Database, err), e.close())
	}
	e.follow = l.run
	return e, nil
}

// listener hears of commits of any replica, from the moment it was made.
type listener struct {
	cfg  *pgx.ConnConfig
	log  *slog.Logger
	conn *pgx.Conn
}

func newListener(ctx context.Context, cfg *pgx.ConnConfig, log *slog.Logger) (*listener, error) {
	l := &listener{cfg: cfg, log: log}
	return l, l.connect(ctx)
}

func (l *listener) connect(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, l.cfg)
	if err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "LISTEN "+changesChannel); err != nil {
		hangUp(ctx, conn)
		return err
	}
	l.conn = conn
	return nil
}

// hangUp closes a connection that is of no more use, whether it answers or not.
func hangUp(ctx context.Context, conn *pgx.Conn) {
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(end) // nothing depends on it
}

// run calls heard for each commit, and after every break in the connection, in
// which some may have been missed.
func (l *listener) run(ctx context.Context, heard func()) {
	for ctx.Err() == nil {
		_, err := l.conn.WaitForNotification(ctx)
		if err != nil {
			hangUp(ctx, l.conn)
			if ctx.Err() != nil {
				return
			}
			l.log.Warn("database: cannot hear of other replicas, browsers follow late", "error", err)
			if !l.again(ctx) {
				return
			}
			l.log.Info("database: hears of other replicas again")
		}
		heard()
	}
}

// again connects, however long it takes; false when ctx is done.
func (l *listener) again(ctx context.Context) bool {
	for wait := leastRetry; ; wait = min(2*wait, mostRetry) {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
		}
		if l.connect(ctx) == nil {
			return true
		}
	}
}
