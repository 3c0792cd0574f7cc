package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// migrationFiles holds the schema. A file whose name ends in .sqlite.sql or
// .postgres.sql is for that dialect alone; all others are portable.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrate brings the schema up to date, forward only: a release never undoes
// what an older one wrote.
func migrate(ctx context.Context, dialect goose.Dialect, db *sql.DB, log *slog.Logger) error {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	other := "*.postgres.sql"
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true), goose.WithSlog(log)}
	if dialect == goose.DialectPostgres {
		other = "*.sqlite.sql"
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return fmt.Errorf("schema: %w", err)
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	foreign, err := fs.Glob(files, other)
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	p, err := goose.NewProvider(dialect, db, files, append(options, goose.WithExcludeNames(foreign))...)
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	have, err := p.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("schema: read version: %w", err)
	}
	sources := p.ListSources()
	if newest := sources[len(sources)-1].Version; have > newest {
		return fmt.Errorf("schema %d, this program knows up to %d: %w; use that version or restore a backup", have, newest, ErrNewer)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	return nil
}
