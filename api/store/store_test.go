package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/api/store/pgtest"
)

// postgres is the server of the second round of tests, nil in the first.
var postgres *pgtest.Server

// bothRounds runs every test on SQLite and then on PostgreSQL.
type bothRounds struct{ m *testing.M }

func (b bothRounds) Run() int {
	fmt.Println("round: SQLite")
	if code := b.m.Run(); code != 0 {
		return code
	}
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	fmt.Println("round: PostgreSQL")
	if postgres, err = pgtest.Start(dir, "fsync=off"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := b.m.Run()
	if err := postgres.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(bothRounds{m}) }

// onlySQLite leaves a test out of the second round: it is about the file.
func onlySQLite(t *testing.T) {
	t.Helper()
	if postgres != nil {
		t.Skip("about SQLite's file")
	}
}

// noon is the start of every test's clock.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// clock is the center's clock in tests.
type clock struct{ us atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.us.Store(noon.UnixMicro())
	return c
}

func (c *clock) now() time.Time          { return time.UnixMicro(c.us.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.us.Add(d.Microseconds()) }

func testOptions(t *testing.T, c *clock) Options {
	dir := t.TempDir()
	opt := Options{
		Path:       filepath.Join(dir, "center.db"),
		PictureDir: filepath.Join(dir, "pictures"),
		Now:        c.now,
		Log:        slog.New(slog.DiscardHandler),
		Registerer: prometheus.NewRegistry(),
	}
	if postgres != nil {
		dsn, err := postgres.NewDatabase(t.Context())
		require.NoError(t, err)
		opt.DSN = dsn
	}
	return opt
}

func openStore(t *testing.T, opt Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), opt)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func newStore(t *testing.T) (*Store, *clock) {
	c := newClock()
	return openStore(t, testOptions(t, c)), c
}

// jpeg returns a picture whose bytes begin like a JPEG and depend on seed.
func jpeg(seed string, at time.Time) *api.AlertPicture {
	data := append([]byte{0xff, 0xd8, 0xff}, seed...)
	sum := sha256.Sum256(data)
	return &api.AlertPicture{SHA256: hex.EncodeToString(sum[:]), At: at, Width: 640, Height: 360, Bytes: len(data), Blurred: true, JPEG: data}
}

func alertEnvelope(seq uint64, id string, phase api.Phase, at time.Duration, more ...func(*api.Alert)) *api.Envelope {
	a := &api.Alert{
		ID: id, Camera: "cam-1", Rule: "r1", Kind: "zone_entry", Zone: "z1", Level: 3, Phase: phase,
		Start: noon, Last: noon.Add(at), Received: noon.Add(at),
	}
	if phase == api.Closed {
		end := noon.Add(at)
		a.End = &end
	}
	for _, m := range more {
		m(a)
	}
	return &api.Envelope{V: 1, Node: "edge-1", Seq: seq, Time: noon.Add(at), Alert: a}
}

func cameraEnvelope(node string, seq uint64, at time.Duration, more ...func(*api.CameraReport)) *api.Envelope {
	r := &api.CameraReport{Camera: api.Camera{ID: "cam-1", Name: "村口", Division: "360921100201", LegalBasis: "A7.1", InUse: true}}
	r.State.Camera = "cam-1"
	r.State.Frames.Value, r.State.Picture.Value = api.Yes, api.Yes
	for _, m := range more {
		m(r)
	}
	return &api.Envelope{V: 1, Node: node, Seq: seq, Time: noon.Add(at), Camera: r}
}

// pathOf is where the picture of an alert lies on disk.
func pathOf(t *testing.T, s *Store, alertID string) string {
	t.Helper()
	p, err := s.Picture(t.Context(), alertID)
	require.NoError(t, err)
	return filepath.Join(s.opt.PictureDir, p.SHA256[:2], p.SHA256+".jpg")
}

// readPicture returns the JPEG of an alert.
func readPicture(t *testing.T, s *Store, alertID string) []byte {
	t.Helper()
	p, err := s.Picture(t.Context(), alertID)
	require.NoError(t, err)
	b, err := s.ReadPicture(t.Context(), p)
	require.NoError(t, err)
	return b
}

func save(t *testing.T, s *Store, batch ...*api.Envelope) []Change {
	t.Helper()
	c, err := s.Save(t.Context(), batch)
	require.NoError(t, err)
	return c
}

func filesBelow(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	require.NoError(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, p)
		}
		return err
	}))
	return out
}

func TestOpenMakesPrivateFiles(t *testing.T) {
	onlySQLite(t)
	opt := testOptions(t, newClock())
	opt.Path = filepath.Join(filepath.Dir(opt.Path), "数据 100%?a#b", "center.db")
	s := openStore(t, opt)
	save(t, s, alertEnvelope(1, "a", api.Opened, 0))
	for _, name := range []string{opt.Path, opt.Path + "-wal", opt.Path + "-shm"} {
		st, err := os.Stat(name)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), st.Mode().Perm(), name)
	}
	st, err := os.Stat(opt.PictureDir)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), st.Mode().Perm())
}

func TestOpenAgainKeepsEverything(t *testing.T) {
	opt := testOptions(t, newClock())
	s, err := Open(t.Context(), opt)
	require.NoError(t, err)
	save(t, s, alertEnvelope(1, "a", api.Opened, 0))
	before, err := s.LastChange(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.Close())

	opt.Registerer = nil
	s = openStore(t, opt)
	row, err := s.Alert(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, api.Opened, row.Alert.Phase)
	after, err := s.LastChange(t.Context())
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.Greater(t, save(t, s, alertEnvelope(2, "a", api.Closed, time.Second))[0].Seq, before)
}

func TestOpenRefuses(t *testing.T) {
	t.Run("nothing to open", func(t *testing.T) {
		_, err := Open(t.Context(), Options{})
		require.ErrorContains(t, err, "required")
	})
	t.Run("folder that is a file", func(t *testing.T) {
		opt := testOptions(t, newClock())
		require.NoError(t, os.WriteFile(opt.PictureDir, nil, 0o600))
		_, err := Open(t.Context(), opt)
		require.ErrorContains(t, err, "data_dir")
	})
	t.Run("database that is a folder", func(t *testing.T) {
		onlySQLite(t)
		opt := testOptions(t, newClock())
		require.NoError(t, os.Mkdir(opt.Path, 0o700))
		_, err := Open(t.Context(), opt)
		require.ErrorContains(t, err, "center.database")
	})
	t.Run("not a database", func(t *testing.T) {
		onlySQLite(t)
		opt := testOptions(t, newClock())
		require.NoError(t, os.WriteFile(opt.Path, []byte(strings.Repeat("this is no database\n", 500)), 0o600))
		_, err := Open(t.Context(), opt)
		require.ErrorContains(t, err, "not a database")
	})
	t.Run("metrics registered twice", func(t *testing.T) {
		opt := testOptions(t, newClock())
		openStore(t, opt)
		_, err := Open(t.Context(), opt)
		require.ErrorContains(t, err, "metrics")
	})
	t.Run("newer schema", func(t *testing.T) {
		opt := testOptions(t, newClock())
		s, err := Open(t.Context(), opt)
		require.NoError(t, err)
		_, err = s.engine.writer.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1 = 1)`)
		require.NoError(t, err)
		require.NoError(t, s.Close())
		opt.Registerer = nil
		_, err = Open(t.Context(), opt)
		require.ErrorIs(t, err, ErrNewer)
	})
}

// forbiddenWords are what no table of this system may ever have a column for
// (domain reference §1). Whole words: "interface" or "template" do not count.
var forbiddenWords = regexp.MustCompile(`(?i)(^|_)(face|plate_no|id_card|ethnic|religion|person_name|embedding)(_|$)`)

func TestSchemaNamesNobody(t *testing.T) {
	s, _ := newStore(t)
	columns := 0
	require.NoError(t, s.View(t.Context(), func(tx *Tx) error {
		q := `SELECT m.name, p.name FROM sqlite_master m JOIN pragma_table_info(m.name) p WHERE m.type IN ('table', 'view')`
		if postgres != nil {
			q = `SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'`
		}
		rows, err := tx.Query(t.Context(), q)
		require.NoError(t, err)
		defer rows.Close()
		for rows.Next() {
			var table, column string
			require.NoError(t, rows.Scan(&table, &column))
			require.NotRegexp(t, forbiddenWords, column, table)
			require.NotRegexp(t, forbiddenWords, table)
			columns++
		}
		return rows.Err()
	}))
	require.Greater(t, columns, 100, "the test looked at no columns")
}

func TestForbiddenWordsAreWholeWords(t *testing.T) {
	for _, bad := range []string{"face", "Face", "face_id", "last_face", "plate_no", "id_card", "ethnic", "religion", "person_name", "embedding"} {
		require.Regexp(t, forbiddenWords, bad)
	}
	for _, good := range []string{"interface", "template", "plate", "surface_area", "name", "place"} {
		require.NotRegexp(t, forbiddenWords, good)
	}
}

// TestPortableSchema holds the migrations that have no dialect in their name to
// words that PostgreSQL and SQLite read alike.
func TestPortableSchema(t *testing.T) {
	files, err := fs.Glob(migrationFiles, "migrations/*.sql")
	require.NoError(t, err)
	portable := 0
	for _, name := range files {
		text, err := fs.ReadFile(migrationFiles, name)
		require.NoError(t, err)
		require.NotContains(t, string(text), "+goose Down", "%s: forward only", name)
		if strings.HasSuffix(name, ".sqlite.sql") || strings.HasSuffix(name, ".postgres.sql") {
			continue
		}
		portable++
		require.NotRegexp(t, `(?i)autoincrement|datetime|pragma|\bblob\b|\bbytea\b|\bserial\b\s+primary|without rowid|strict;|json\b\s+not null`, string(text), name)
	}
	require.Positive(t, portable)
}

func TestForeignKeysAndReadersAreHeld(t *testing.T) {
	s, _ := newStore(t)
	err := s.CreateSession(t.Context(), Session{TokenHash: "h", CSRF: "c", User: User{Name: "nobody"}, Expires: noon.Add(time.Hour)})
	require.Regexp(t, `(?i)foreign key`, err.Error())
	err = s.View(t.Context(), func(tx *Tx) error {
		_, err := tx.Exec(t.Context(), `DELETE FROM users`)
		return err
	})
	require.Error(t, err, "a view must not write")
}

func TestUpdateIsAllOrNothing(t *testing.T) {
	s, _ := newStore(t)
	was := s.Changed()
	err := s.Update(t.Context(), func(tx *Tx) error {
		require.NoError(t, tx.Changed(t.Context(), KindEvent, "e1"))
		return fmt.Errorf("no")
	})
	require.EqualError(t, err, "no")
	n, err := s.LastChange(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
	select {
	case <-was:
		t.Fatal("a change that did not happen was announced")
	default:
	}
	_, err = s.engine.writer.Exec(`SELECT 1`) // the connection came back
	require.NoError(t, err)
}

func TestPing(t *testing.T) {
	c := newClock()
	opt := testOptions(t, c)
	s, err := Open(t.Context(), opt)
	require.NoError(t, err)
	require.NoError(t, s.Ping(t.Context()))
	require.NoError(t, s.Close())
	require.Error(t, s.Ping(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Open(ctx, testOptions(t, c))
	require.ErrorIs(t, err, context.Canceled)
}
