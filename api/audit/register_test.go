package audit

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sharpeyes/sharpeyes/api/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

func open(t *testing.T) (*store.Store, string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "center.db")
	st, err := store.Open(t.Context(), store.Options{
		Path: path, PictureDir: filepath.Join(dir, "pictures"), Now: func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	return st, path
}

func newRegister(t *testing.T) (*Register, string) {
	st, path := open(t)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	return New(st), path
}

func snapshot(n int) Look {
	return Look{
		Login: "li", Name: "李", Unit: "综治中心", Post: "视频研判岗", ClientIP: "10.0.0.7", Action: ActionSnapshot, Reason: ReasonGridEvent,
		Cameras: []string{"cam-1"}, Alert: fmt.Sprint("alert-", n), From: noon.Add(-time.Minute), To: noon, Blurred: true,
	}
}

func fill(t *testing.T, r *Register, n int) {
	t.Helper()
	for i := range n {
		seq, err := r.Register(t.Context(), snapshot(i))
		require.NoError(t, err)
		require.Equal(t, int64(i+1), seq)
	}
}

func TestRegisterAndList(t *testing.T) {
	r, _ := newRegister(t)
	fill(t, r, 5)
	rows, next, err := r.List(t.Context(), 0, 2)
	require.NoError(t, err)
	require.Len(t, rows, 2)
	require.Equal(t, int64(4), next)
	want := snapshot(4)
	want.From, want.To = want.From.Truncate(time.Microsecond), want.To.Truncate(time.Microsecond)
	require.Equal(t, int64(5), rows[0].Seq)
	require.Equal(t, noon.Truncate(time.Microsecond), rows[0].At)
	require.Equal(t, want, rows[0].Look)
	require.Equal(t, rows[1].Hash, rows[0].PrevHash)
	rows, next, err = r.List(t.Context(), next, 0)
	require.NoError(t, err)
	require.Len(t, rows, 3)
	require.Zero(t, next)
	require.Equal(t, Genesis, rows[2].PrevHash)
	v, err := r.Verify(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(5), v.Rows)
	require.Nil(t, v.Broken)
}

func TestVerifyNothing(t *testing.T) {
	r, _ := newRegister(t)
	v, err := r.Verify(t.Context())
	require.NoError(t, err)
	require.Equal(t, Verdict{Head: Genesis}, v)
}

func TestRegisterRefuses(t *testing.T) {
	r, _ := newRegister(t)
	for _, tc := range []struct {
		name   string
		change func(*Look)
	}{
		{"nobody", func(l *Look) { l.Login = "" }},
		{"no action", func(l *Look) { l.Action = "" }},
		{"unknown action", func(l *Look) { l.Action = "peek" }},
		{"no reason", func(l *Look) { l.Reason = "" }},
		{"a purpose outside the list", func(l *Look) { l.Reason = "attendance" }},
		{"no camera", func(l *Look) { l.Cameras = nil }},
		{"empty camera", func(l *Look) { l.Cameras = []string{"cam-1", ""} }},
		{"footage backwards", func(l *Look) { l.To = l.From.Add(-1) }},
		{"long text", func(l *Look) { l.ReasonText = strings.Repeat("x", maxText+1) }},
		{"broken text", func(l *Look) { l.ClientIP = "\xff" }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := snapshot(0)
			tc.change(&l)
			_, err := r.Register(t.Context(), l)
			require.ErrorIs(t, err, ErrLook)
		})
	}
	rows, _, err := r.List(t.Context(), 0, 0)
	require.NoError(t, err)
	require.Empty(t, rows)
}

func TestRegisterFailsClosed(t *testing.T) {
	t.Run("database closed", func(t *testing.T) {
		st, _ := open(t)
		r := New(st)
		require.NoError(t, st.Close())
		_, err := r.Register(t.Context(), snapshot(0))
		require.ErrorContains(t, err, "access register")
		_, err = r.Verify(t.Context())
		require.Error(t, err)
		_, _, err = r.List(t.Context(), 0, 0)
		require.Error(t, err)
	})
	t.Run("caller gone", func(t *testing.T) {
		r, _ := newRegister(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := r.Register(ctx, snapshot(0))
		require.ErrorIs(t, err, context.Canceled)
	})
	t.Run("a failed row gives its number back", func(t *testing.T) {
		r, path := newRegister(t)
		fill(t, r, 1)
		tamper(t, path, `CREATE TRIGGER full_disk BEFORE INSERT ON access_register BEGIN SELECT RAISE(ABORT, 'disk full'); END`)
		_, err := r.Register(t.Context(), snapshot(1))
		require.ErrorContains(t, err, "disk full")
		tamper(t, path, `DROP TRIGGER full_disk`)
		seq, err := r.Register(t.Context(), snapshot(1))
		require.NoError(t, err)
		require.Equal(t, int64(2), seq)
	})
}

// tamper changes the database behind the program's back, as somebody with the
// file would.
func tamper(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	for _, s := range statements {
		_, err := db.Exec(s)
		require.NoError(t, err, s)
	}
}

func TestTheProgramCannotChangeRows(t *testing.T) {
	r, path := newRegister(t)
	fill(t, r, 2)
	for _, s := range []string{`UPDATE access_register SET user_name = 'x'`, `DELETE FROM access_register WHERE seq = 2`} {
		err := r.st.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(t.Context(), s)
			return err
		})
		require.ErrorContains(t, err, "append-only", s)
		db, err := sql.Open("sqlite", path)
		require.NoError(t, err)
		_, err = db.Exec(s)
		require.ErrorContains(t, err, "append-only", "nor does another program by mistake: %s", s)
		require.NoError(t, db.Close())
	}
}

func TestVerifyFindsTampering(t *testing.T) {
	open := []string{`DROP TRIGGER access_register_no_update`, `DROP TRIGGER access_register_no_delete`}
	for _, tc := range []struct {
		name string
		do   string
		seq  int64
		what string
	}{
		{"who", `UPDATE access_register SET user_name = '王' WHERE seq = 3`, 3, "changed"},
		{"when", `UPDATE access_register SET at = at + 1 WHERE seq = 1`, 1, "changed"},
		{"what", `UPDATE access_register SET cameras = '["cam-2"]' WHERE seq = 6`, 6, "changed"},
		{"list that is no list", `UPDATE access_register SET cameras = 'x' WHERE seq = 6`, 6, "changed"},
		{"one camera made of two", `UPDATE access_register SET cameras = '["cam","-1"]' WHERE seq = 2`, 2, "changed"},
		{"text moved to the next field", `UPDATE access_register SET user_unit = '', user_post = user_unit || user_post WHERE seq = 2`, 2, "changed"},
		{"why", `UPDATE access_register SET reason_code = 'drill' WHERE seq = 4`, 4, "changed"},
		{"footage", `UPDATE access_register SET footage_to = 0 WHERE seq = 4`, 4, "changed"},
		{"blur", `UPDATE access_register SET blurred = 0 WHERE seq = 5`, 5, "changed"},
		{"hash", `UPDATE access_register SET hash = prev_hash WHERE seq = 5`, 5, "changed"},
		{"link", `UPDATE access_register SET prev_hash = '' WHERE seq = 2`, 2, "chained"},
		{"first row gone", `DELETE FROM access_register WHERE seq = 1`, 1, "missing"},
		{"middle row gone", `DELETE FROM access_register WHERE seq = 3`, 3, "missing"},
		{"last row gone", `DELETE FROM access_register WHERE seq = 6`, 6, "6 rows were written, 5 are there"},
		{"all gone", `DELETE FROM access_register`, 1, "6 rows were written"},
		{"renumbered over a hole", `UPDATE access_register SET seq = 7 WHERE seq = 6`, 6, "missing"},
		{"row added", `INSERT INTO access_register SELECT 7, at, user_login, user_name, user_unit, user_post, client_ip, action, reason_code,
			reason_text, case_no, cameras, alert, footage_from, footage_to, blurred, hash, hash FROM access_register WHERE seq = 6`, 7, "changed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, path := newRegister(t)
			fill(t, r, 6)
			tamper(t, path, append(open, tc.do)...)
			v, err := r.Verify(t.Context())
			require.NoError(t, err)
			require.NotNil(t, v.Broken)
			require.Equal(t, tc.seq, v.Broken.Seq)
			require.Contains(t, v.Broken.What, tc.what)
			require.Equal(t, tc.seq-1, v.Rows)
		})
	}
}

// TestEveryFieldIsHashed changes each column in turn: none may be left out.
func TestEveryFieldIsHashed(t *testing.T) {
	r, path := newRegister(t)
	fill(t, r, 1)
	tamper(t, path, `DROP TRIGGER access_register_no_update`)
	for _, c := range strings.Split(columns, ",") {
		c = strings.TrimSpace(c)
		t.Run(c, func(t *testing.T) {
			tamper(t, path, `CREATE TABLE kept AS SELECT * FROM access_register`)
			change := c + ` || '1'`
			switch c {
			case "seq", "at", "footage_from", "footage_to", "blurred":
				change = c + ` + 1`
			}
			if c == "blurred" {
				change = `1 - blurred`
			}
			tamper(t, path, `UPDATE access_register SET `+c+` = `+change)
			v, err := r.Verify(t.Context())
			require.NoError(t, err)
			require.NotNil(t, v.Broken, c)
			tamper(t, path, `UPDATE access_register SET `+c+` = (SELECT `+c+` FROM kept)`, `DROP TABLE kept`)
			v, err = r.Verify(t.Context())
			require.NoError(t, err)
			require.Nil(t, v.Broken)
		})
	}
}

func TestRegisterFromManyAtOnce(t *testing.T) {
	r, _ := newRegister(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 10 {
				if _, err := r.Register(t.Context(), snapshot(i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	v, err := r.Verify(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(80), v.Rows)
	require.Nil(t, v.Broken)
}
