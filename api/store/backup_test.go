package store

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
)

// filled is a store with a row in every table that Save fills.
func filled(t *testing.T) *Store {
	s, _ := newStore(t)
	save(t, s, alertEnvelope(1, "a", api.Opened, 0, withPicture(jpeg("one", noon))), cameraEnvelope("edge-1", 4, time.Second))
	save(t, s, alertEnvelope(6, "b", api.Opened, 0, withPicture(jpeg("two", noon)), func(a *api.Alert) { a.Score = 0.25 }))
	require.NoError(t, s.CreateUser(t.Context(), User{Name: "li", Display: "李", Role: RoleDuty, PasswordHash: "hash"}))
	require.NoError(t, s.CreateSession(t.Context(), Session{TokenHash: "h", CSRF: "c", User: User{Name: "li"}, Expires: noon.Add(time.Hour)}))
	return s
}

// tables reads everything in a form that can be compared.
func tables(t *testing.T, s *Store) map[string]string {
	all := map[string]string{}
	require.NoError(t, s.View(t.Context(), func(tx *Tx) error {
		for _, name := range backupTables {
			var b bytes.Buffer
			_, err := tx.writeRows(t.Context(), &b, name)
			require.NoError(t, err)
			all[name] = b.String()
		}
		return nil
	}))
	return all
}

func TestBackupComesBack(t *testing.T) {
	s := filled(t)
	var file bytes.Buffer
	var told []string
	m, err := s.Backup(t.Context(), &file, func(what string, _ int64) { told = append(told, what) })
	require.NoError(t, err)
	require.Equal(t, int64(2), m.Rows["alerts"])
	require.Equal(t, 2, m.Pictures)
	require.Contains(t, told, "alerts")

	other, _ := newStore(t)
	got, err := other.Restore(t.Context(), bytes.NewReader(file.Bytes()), nil)
	require.NoError(t, err)
	require.Equal(t, m.Rows, got.Rows)
	require.Equal(t, tables(t, s), tables(t, other))
	require.Equal(t, jpeg("two", noon).JPEG, readPicture(t, other, "b"))

	require.Greater(t, save(t, other, alertEnvelope(7, "c", api.Opened, 0))[0].Seq, m.Rows["changes"], "numbers go on")
	_, err = other.Restore(t.Context(), bytes.NewReader(file.Bytes()), nil)
	require.ErrorIs(t, err, ErrNotEmpty)
}

func TestBackupGoesFromSQLiteToPostgres(t *testing.T) {
	onlyPostgres(t)
	server := postgres
	postgres = nil // the next stores are SQLite's
	defer func() { postgres = server }()
	s := filled(t)
	var file bytes.Buffer
	_, err := s.Backup(t.Context(), &file, nil)
	require.NoError(t, err)
	postgres = server
	other, _ := newStore(t)
	_, err = other.Restore(t.Context(), bytes.NewReader(file.Bytes()), nil)
	require.NoError(t, err)
	require.Equal(t, tables(t, s), tables(t, other))
}

func TestBackupCoversEveryTable(t *testing.T) {
	s, _ := newStore(t)
	q := `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name <> 'goose_db_version'`
	if postgres != nil {
		q = `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_name <> 'goose_db_version'`
	}
	var names []string
	rows, err := s.engine.writer.Query(q)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		names = append(names, name)
	}
	require.NoError(t, rows.Err())
	require.ElementsMatch(t, backupTables, names)
}

func TestRestoreRefuses(t *testing.T) {
	s := filled(t)
	var file bytes.Buffer
	_, err := s.Backup(t.Context(), &file, nil)
	require.NoError(t, err)
	unzipped, err := gzip.NewReader(bytes.NewReader(file.Bytes()))
	require.NoError(t, err)
	plain, err := io.ReadAll(unzipped)
	require.NoError(t, err)
	change := func(old, new string) []byte {
		require.Contains(t, string(plain), old)
		require.Len(t, new, len(old))
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, err := z.Write(bytes.Replace(plain, []byte(old), []byte(new), 1))
		require.NoError(t, err)
		require.NoError(t, z.Close())
		return b.Bytes()
	}
	for name, bad := range map[string][]byte{
		"no backup":        []byte("hello"),
		"cut off":          file.Bytes()[:file.Len()/2],
		"picture changed":  change(string(jpeg("one", noon).JPEG), "\xff\xd8\xff0ne"),
		"foreign table":    change("tables/users.jsonl", "tables/usurp.jsonl"),
		"foreign column":   change(`"password_hash"`, `"password_hush"`),
		"foreign member":   change("tables/nodes.jsonl", "scripts/nodes.rb  "),
		"rows not counted": change(`"alerts": 2`, `"alerts": 3`),
		"newer format":     change(`"format": 1`, `"format": 2`),
	} {
		t.Run(name, func(t *testing.T) {
			other := openStore(t, func() Options { o := testOptions(t, newClock()); o.Registerer = prometheus.NewRegistry(); return o }())
			_, err := other.Restore(t.Context(), bytes.NewReader(bad), nil)
			require.Error(t, err)
			n, err := other.LastChange(t.Context())
			require.NoError(t, err)
			require.Zero(t, n, "nothing of it remains")
			_, err = other.Restore(t.Context(), bytes.NewReader(file.Bytes()), nil)
			require.NoError(t, err, "and a good one still goes in")
		})
	}
}
