package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite", pure Go
)

// openSQLite opens or creates the file and brings its schema up to date.
func openSQLite(ctx context.Context, opt Options) (*engine, error) {
	if err := prepareFile(opt.Path); err != nil {
		return nil, err
	}
	// Immediate transactions: a deferred one that reads first and writes later
	// fails with SQLITE_BUSY at once, whatever the timeout. FULL: the consumer
	// acknowledges after Save, so a committed row must survive a power cut.
	writer, err := sqliteConn(opt.Path, "immediate", "journal_mode(WAL)", "synchronous(FULL)")
	if err != nil {
		return nil, err
	}
	writer.SetMaxOpenConns(1)
	if err := migrate(ctx, goose.DialectSQLite3, writer, opt.Log); err != nil {
		return nil, errors.Join(fmt.Errorf("store: %s: %w", opt.Path, err), writer.Close())
	}
	reader, err := sqliteConn(opt.Path, "deferred", "query_only(1)")
	if err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	reader.SetMaxOpenConns(readConns)
	reader.SetMaxIdleConns(readConns)
	return &engine{dialect: goose.DialectSQLite3, writer: writer, reader: reader, prepare: true, rows: 1}, nil
}

// prepareFile makes folder and file before SQLite does, which would make them
// readable by everybody; the journals take the file's mode.
func prepareFile(path string) error {
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("store: open database: %w (check center.database and its owner)", err)
	}
	return f.Close()
}

func sqliteConn(path, lock string, pragmas ...string) (*sql.DB, error) {
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
