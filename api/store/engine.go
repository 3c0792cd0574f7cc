package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/pressly/goose/v3"
)

// engine is what differs between the databases.
type engine struct {
	dialect goose.Dialect
	writer  *sql.DB // one connection
	reader  *sql.DB // several
	reading *sql.TxOptions
	// lock is the first statement of a writing transaction, "" where beginning
	// one locks: writers wait for each other, in all processes, so that no change
	// number becomes visible before a smaller one.
	lock string
	// prepare says that a writing transaction should parse each statement once.
	prepare bool
	// rows is how many rows one statement writes at most, a power of two: where
	// each statement is a round trip, many; where it is a call, one, which is
	// parsed once and run for each.
	rows int
	// notify is the statement that tells the other replicas of a change.
	notify string
	// follow calls heard for every change that another replica may have made,
	// until ctx is done, and gives free what it holds. nil where no other process
	// writes.
	follow func(ctx context.Context, heard func())
}

// readConns is how many readers may work at once.
const readConns = 4

func (e *engine) close() error {
	return errors.Join(e.reader.Close(), e.writer.Close())
}
