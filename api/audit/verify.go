package audit

import (
	"context"
	"fmt"

	"github.com/sharpeyes/sharpeyes/api/store"
)

// Verdict is what Verify found. Head is worth noting outside the database: who
// can rewrite the whole register and its counter cannot rewrite that note.
type Verdict struct {
	Rows   int64  `json:"rows"` // good rows from the first on
	Head   string `json:"head"` // hash of the last good row; Genesis when there is none
	Broken *Break `json:"broken,omitempty"`
}

// Break is the first place where the register is not what was written.
type Break struct {
	Seq  int64  `json:"seq"` // number of the row that is wrong or missing
	What string `json:"what"`
}

// Verify reads the whole register and answers whether it is what was written:
// numbered without holes, each row chained to the one before, each hash that of
// its row, and no row missing at the end. A broken register is no error but a
// Verdict with Broken set. It holds one reading transaction for as long as it
// takes and delays no writer.
func (r *Register) Verify(ctx context.Context) (Verdict, error) {
	v := Verdict{Head: Genesis}
	err := r.st.View(ctx, func(t *store.Tx) error {
		var written int64
		if err := t.QueryRow(ctx, `SELECT value FROM counters WHERE name = $1`, counter).Scan(&written); err != nil {
			return err
		}
		err := eachIn(ctx, t, `SELECT `+columns+` FROM access_register ORDER BY seq`, nil, func(row Row) bool {
			v.Broken = row.follows(v)
			if v.Broken == nil {
				v.Rows, v.Head = v.Rows+1, row.Hash
			}
			return v.Broken == nil
		})
		if err == nil && v.Broken == nil && v.Rows != written {
			v.Broken = &Break{Seq: v.Rows + 1, What: fmt.Sprintf("%d rows were written, %d are there", written, v.Rows)}
		}
		return err
	})
	if err != nil {
		return Verdict{}, fmt.Errorf("access register: verify: %w", err)
	}
	return v, nil
}

// follows says what is wrong with a row that comes after those of v, or nil.
func (r *Row) follows(v Verdict) *Break {
	want := v.Rows + 1
	switch {
	case r.Seq != want:
		return &Break{Seq: want, What: fmt.Sprintf("row %d is missing, row %d is next", want, r.Seq)}
	case r.PrevHash != v.Head:
		return &Break{Seq: want, What: "the row is not chained to the one before"}
	case r.digest() != r.Hash:
		return &Break{Seq: want, What: "the row was changed after it was written"}
	}
	return nil
}
