package audit

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sharpeyes/sharpeyes/api/store"
)

// Row is one row of the register.
type Row struct {
	Seq int64     `json:"seq"` // from 1, without holes
	At  time.Time `json:"at"`
	Look
	PrevHash string `json:"prev_hash"`
	Hash     string `json:"hash"`
}

// Genesis is the PrevHash of the first row.
const Genesis = "0000000000000000000000000000000000000000000000000000000000000000"

// counter is the name of the counter that numbers the rows.
const counter = "register"

// Register is the access register in a store. It is safe for concurrent use.
type Register struct{ st *store.Store }

// New returns the register kept in st.
func New(st *store.Store) *Register { return &Register{st: st} }

// Register writes one look and returns its number. When it returns nil the row
// is on disk; after an error there is no row and nothing may be shown. A look
// that does not say who, what and why is ErrLook.
func (r *Register) Register(ctx context.Context, l Look) (int64, error) {
	return r.write(ctx, "", l)
}

// Once is Register for what may be told twice: under one key (1 to 128 bytes)
// there is one row, and the number of that row is returned again.
func (r *Register) Once(ctx context.Context, key string, l Look) (int64, error) {
	if key == "" || len(key) > 128 {
		return 0, fmt.Errorf("%w: no key", ErrLook)
	}
	return r.write(ctx, key, l)
}

// write adds a row; key is "" for a look that is told once.
func (r *Register) write(ctx context.Context, key string, l Look) (int64, error) {
	if err := l.check(); err != nil {
		return 0, err
	}
	cameras, err := json.Marshal(l.Cameras)
	if err != nil {
		return 0, fmt.Errorf("access register: %w", err)
	}
	row := Row{Look: l, PrevHash: Genesis}
	err = r.st.Update(ctx, func(t *store.Tx) error {
		if key != "" {
			known := t.QueryRow(ctx, `SELECT seq FROM register_keys WHERE key = $1`, key).Scan(&row.Seq)
			if !errors.Is(known, sql.ErrNoRows) {
				return known
			}
		}
		if row.Seq, err = t.Next(ctx, counter); err != nil {
			return err
		}
		err := t.QueryRow(ctx, `SELECT hash FROM access_register ORDER BY seq DESC LIMIT 1`).Scan(&row.PrevHash)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		row.At = t.Now()
		row.Hash = row.digest()
		_, err = t.Exec(ctx, `INSERT INTO access_register (seq, at, user_login, user_name, user_unit, user_post, client_ip, action,
				reason_code, reason_text, case_no, cameras, alert, footage_from, footage_to, blurred, prev_hash, hash)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`,
			row.Seq, row.At.UnixMicro(), l.Login, l.Name, l.Unit, l.Post, l.ClientIP, string(l.Action),
			string(l.Reason), l.ReasonText, l.CaseNo, string(cameras), l.Alert, store.Micro(l.From), store.Micro(l.To), store.Flag(l.Blurred), row.PrevHash, row.Hash)
		if err == nil && key != "" {
			_, err = t.Exec(ctx, `INSERT INTO register_keys (key, seq) VALUES ($1, $2)`, key, row.Seq)
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("access register: %w", err)
	}
	return row.Seq, nil
}

// digest returns the hash of a row: SHA-256 over a fixed heading, the hash of
// the row before and every field, each with its length before it, so that no
// two rows have the same bytes.
func (r *Row) digest() string {
	h := sha256.New()
	text := func(s string) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	number := func(v int64) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(v))
		h.Write(n[:])
	}
	text("sharpeyes access register 1")
	text(r.PrevHash)
	number(r.Seq)
	number(r.At.UnixMicro())
	for _, s := range []string{r.Login, r.Name, r.Unit, r.Post, r.ClientIP, string(r.Action), string(r.Reason), r.ReasonText, r.CaseNo, r.Alert} {
		text(s)
	}
	number(int64(len(r.Cameras)))
	for _, c := range r.Cameras {
		text(c)
	}
	number(store.Micro(r.From))
	number(store.Micro(r.To))
	number(int64(store.Flag(r.Blurred)))
	return hex.EncodeToString(h.Sum(nil))
}

const columns = `seq, at, user_login, user_name, user_unit, user_post, client_ip, action, reason_code, reason_text, case_no,
	cameras, alert, footage_from, footage_to, blurred, prev_hash, hash`

func scan(rows *sql.Rows) (Row, error) {
	var r Row
	var at, from, to int64
	var cameras string
	err := rows.Scan(&r.Seq, &at, &r.Login, &r.Name, &r.Unit, &r.Post, &r.ClientIP, &r.Action, &r.Reason, &r.ReasonText, &r.CaseNo,
		&cameras, &r.Alert, &from, &to, &r.Blurred, &r.PrevHash, &r.Hash)
	if err != nil {
		return r, err
	}
	r.At, r.From, r.To = time.UnixMicro(at).UTC(), store.FromMicro(from), store.FromMicro(to)
	// A damaged list is what Verify is to find, not an error of reading: it
	// becomes a list that the hash does not fit.
	if json.Unmarshal([]byte(cameras), &r.Cameras) != nil {
		r.Cameras = []string{"damaged: " + cameras}
	}
	return r, nil
}

// List returns rows, newest first, at most limit (1 to 500, else 50). before is
// the next of an earlier page, or 0; next is 0 on the last page.
func (r *Register) List(ctx context.Context, before int64, limit int) (rows []Row, next int64, err error) {
	if limit < 1 || limit > 500 {
		limit = 50
	}
	err = r.each(ctx, `SELECT `+columns+` FROM access_register WHERE $1 = 0 OR seq < $1 ORDER BY seq DESC LIMIT $2`, []any{before, limit + 1}, func(row Row) bool {
		rows = append(rows, row)
		return true
	})
	if err != nil {
		return nil, 0, err
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = rows[limit-1].Seq
	}
	return rows, next, nil
}

// each hands rows to fn until it answers false.
func (r *Register) each(ctx context.Context, query string, args []any, fn func(Row) bool) error {
	err := r.st.View(ctx, func(t *store.Tx) error { return eachIn(ctx, t, query, args, fn) })
	if err != nil {
		return fmt.Errorf("access register: %w", err)
	}
	return nil
}

func eachIn(ctx context.Context, t *store.Tx, query string, args []any, fn func(Row) bool) error {
	rows, err := t.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		row, err := scan(rows)
		if err != nil {
			return err
		}
		if !fn(row) {
			return nil
		}
	}
	return rows.Err()
}
