package store

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
)

// A backup is a gzipped tar: manifest.json, then tables/NAME.jsonl with one JSON
// array per row under an array of the columns, then pictures/HASH.jpg. It is the
// same for SQLite and PostgreSQL, so a restore may change from one to the other.
const (
	backupFormat   = 1
	manifestName   = "manifest.json"
	tableFolder    = "tables"
	pictureFolder  = "pictures"
	maxBackupTable = 64 << 30
	maxBackupLine  = 16 << 20
)

// backupTables is everything that is kept, in an order in which each row finds
// what it refers to.
var backupTables = []string{
	"counters", "changes", "nodes", "node_gaps", "cameras", "pictures", "alerts", "events", "event_alerts",
	"event_log", "users", "sessions", "access_register", "register_keys",
}

// Manifest says what a backup holds.
type Manifest struct {
	Format   int              `json:"format"`
	Schema   int64            `json:"schema"` // version of the tables
	Made     time.Time        `json:"made"`
	Rows     map[string]int64 `json:"rows"` // by table
	Pictures int              `json:"pictures"`
	Missing  int              `json:"missing_pictures"` // rows whose file was gone
}

// ErrNotEmpty says that a restore found data where there should be none.
var ErrNotEmpty = errors.New("the database is not empty")

// Backup writes everything at one moment to w, while the center works on. The
// progress, if not nil, hears of each table and of the pictures written so far.
// It needs disk only for one table at a time, in the system's temporary folder.
func (s *Store) Backup(ctx context.Context, w io.Writer, progress func(what string, n int64)) (Manifest, error) {
	if progress == nil {
		progress = func(string, int64) {}
	}
	m := Manifest{Format: backupFormat, Made: s.opt.Now().UTC(), Rows: map[string]int64{}}
	zip := gzip.NewWriter(w)
	out := tar.NewWriter(zip)
	err := s.View(ctx, func(t *Tx) error {
		var err error
		if m.Schema, err = t.schema(ctx); err != nil {
			return err
		}
		for _, name := range backupTables {
			if m.Rows[name], err = t.backupTable(ctx, out, name, m.Made); err != nil {
				return fmt.Errorf("table %s: %w", name, err)
			}
			progress(name, m.Rows[name])
		}
		// Inside the reading transaction: an expiry meanwhile takes files away, and
		// that is counted.
		kept, err := t.keptPictures(ctx)
		if err != nil {
			return err
		}
		for sha := range kept {
			there, err := s.backupPicture(ctx, out, sha, m.Made)
			if err != nil {
				return fmt.Errorf("picture %s: %w", sha, err)
			}
			if !there {
				m.Missing++
				continue
			}
			m.Pictures++
			progress(pictureFolder, int64(m.Pictures))
		}
		return nil
	})
	if err == nil {
		err = writeManifest(out, m)
	}
	if err = errors.Join(err, out.Close(), zip.Close()); err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	return m, nil
}

func (t *Tx) schema(ctx context.Context) (int64, error) {
	var v int64
	return v, t.QueryRow(ctx, `SELECT MAX(version_id) FROM goose_db_version`).Scan(&v)
}

func writeManifest(out *tar.Writer, m Manifest) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return writeMember(out, manifestName, m.Made, text)
}

func writeMember(out *tar.Writer, name string, at time.Time, body []byte) error {
	if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(body)), ModTime: at}); err != nil {
		return err
	}
	_, err := out.Write(body)
	return err
}

// backupTable writes a table by way of a temporary file, whose size tar must know.
func (t *Tx) backupTable(ctx context.Context, out *tar.Writer, name string, at time.Time) (n int64, err error) {
	f, err := os.CreateTemp("", "sharpeyes-backup-*")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	buf := bufio.NewWriterSize(f, 1<<20)
	if n, err = t.writeRows(ctx, buf, name); err != nil {
		return 0, err
	}
	if err := buf.Flush(); err != nil {
		return 0, err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	if err := out.WriteHeader(&tar.Header{Name: path.Join(tableFolder, name+".jsonl"), Mode: 0o600, Size: size, ModTime: at}); err != nil {
		return 0, err
	}
	_, err = io.Copy(out, f)
	return n, err
}

func (t *Tx) writeRows(ctx context.Context, w io.Writer, name string) (n int64, err error) {
	rows, err := t.Query(ctx, "SELECT * FROM "+name) // a name of backupTables
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return 0, err
	}
	enc := json.NewEncoder(w)
	if err := enc.Encode(columns); err != nil {
		return 0, err
	}
	values, targets := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		targets[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return 0, err
		}
		for i, v := range values {
			if b, ok := v.([]byte); ok {
				values[i] = string(b)
			}
		}
		if err := enc.Encode(values); err != nil {
			return 0, err
		}
		n++
	}
	return n, rows.Err()
}

// Restore fills an empty store from a backup and checks every picture against its
// hash. It is all or nothing for the tables: after an error the database is as
// empty as before, and some pictures may lie in the folder that the next expiry
// removes. A backup of a newer program is refused with ErrNewer, a store in which
// anything was ever saved with ErrNotEmpty.
func (s *Store) Restore(ctx context.Context, r io.Reader, progress func(what string, n int64)) (Manifest, error) {
	if progress == nil {
		progress = func(string, int64) {}
	}
	m, err := s.restore(ctx, r, progress)
	if err != nil {
		return m, fmt.Errorf("restore: %w", err)
	}
	return m, nil
}

func (s *Store) restore(ctx context.Context, file io.Reader, progress func(string, int64)) (Manifest, error) {
	zip, err := gzip.NewReader(file)
	if err != nil {
		return Manifest{}, fmt.Errorf("not a backup: %w", err)
	}
	in := tar.NewReader(zip)
	r := restored{got: Manifest{Rows: map[string]int64{}}, progress: progress}
	err = s.Update(ctx, func(t *Tx) error {
		if err := t.mustBeEmpty(ctx); err != nil {
			return err
		}
		for {
			h, err := in.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return fmt.Errorf("the file is damaged: %w", err)
			}
			if err := s.restoreMember(ctx, t, h, in, &r); err != nil {
				return fmt.Errorf("%s: %w", h.Name, err)
			}
		}
		return t.checkManifest(ctx, r.said, r.got)
	})
	if err != nil {
		return r.got, err
	}
	return *r.said, nil
}

// restored is what a restore has read so far.
type restored struct {
	said     *Manifest // as the file says, nil until it did
	got      Manifest  // as it was counted
	progress func(what string, n int64)
}

func (s *Store) restoreMember(ctx context.Context, t *Tx, h *tar.Header, in io.Reader, r *restored) error {
	folder, name := path.Split(h.Name)
	switch {
	case h.Name == manifestName:
		r.said = &Manifest{}
		return json.NewDecoder(io.LimitReader(in, 1<<20)).Decode(r.said)
	case folder == tableFolder+"/":
		table := strings.TrimSuffix(name, ".jsonl")
		n, err := t.restoreTable(ctx, table, io.LimitReader(in, maxBackupTable))
		r.got.Rows[table] = n
		r.progress(table, n)
		return err
	case folder == pictureFolder+"/":
		r.got.Pictures++
		r.progress(pictureFolder, int64(r.got.Pictures))
		// A word to the server, which ends transactions that say nothing.
		if err := t.run(ctx, "SELECT 1"); err != nil {
			return err
		}
		return s.restorePicture(ctx, strings.TrimSuffix(name, pictureSuffix), io.LimitReader(in, int64(s.opt.MaxPicture)+1))
	}
	return errors.New("is no part of a backup")
}

func (t *Tx) mustBeEmpty(ctx context.Context) error {
	for _, name := range backupTables {
		if name == "counters" {
			continue
		}
		var n int64
		if err := t.QueryRow(ctx, "SELECT COUNT(*) FROM "+name).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			return fmt.Errorf("%w: %d rows in %s; restore into a new one", ErrNotEmpty, n, name)
		}
	}
	return nil
}

func (t *Tx) checkManifest(ctx context.Context, m *Manifest, got Manifest) error {
	if m == nil {
		return errors.New("the file has no manifest: it is cut off")
	}
	schema, err := t.schema(ctx)
	switch {
	case err != nil:
		return err
	case m.Format != backupFormat || m.Schema > schema:
		return fmt.Errorf("backup of format %d and schema %d: %w", m.Format, m.Schema, ErrNewer)
	case m.Pictures != got.Pictures:
		return fmt.Errorf("%d of %d pictures", got.Pictures, m.Pictures)
	}
	for name, n := range m.Rows {
		if got.Rows[name] != n {
			return fmt.Errorf("%d of %d rows of %s", got.Rows[name], n, name)
		}
	}
	return nil
}

func (t *Tx) restoreTable(ctx context.Context, name string, r io.Reader) (int64, error) {
	known, err := t.columns(ctx, name)
	if err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxBackupLine)
	var insert string
	n := int64(0)
	for lines.Scan() {
		if insert == "" {
			if insert, err = insertInto(name, lines.Bytes(), known); err != nil {
				return 0, err
			}
			if name == "counters" { // the schema comes with its own
				if _, err := t.Exec(ctx, `DELETE FROM counters`); err != nil {
					return 0, err
				}
			}
			continue
		}
		row, err := parseRow(lines.Bytes())
		if err == nil {
			_, err = t.Exec(ctx, insert, row...)
		}
		if err != nil {
			return n, fmt.Errorf("row %d: %w", n+1, err)
		}
		n++
	}
	return n, lines.Err()
}

// columns returns the columns of a table that backups may fill.
func (t *Tx) columns(ctx context.Context, name string) (map[string]bool, error) {
	found := false
	for _, table := range backupTables {
		found = found || table == name
	}
	if !found {
		return nil, errors.New("is no table of ours")
	}
	rows, err := t.Query(ctx, "SELECT * FROM "+name+" LIMIT 0")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list, err := rows.Columns()
	known := map[string]bool{}
	for _, c := range list {
		known[c] = true
	}
	return known, errors.Join(err, rows.Err())
}

// insertInto makes the statement that takes a row of these columns. Names come
// from a file, so only those of the table are let in.
func insertInto(name string, header []byte, known map[string]bool) (string, error) {
	var columns []string
	if err := json.Unmarshal(header, &columns); err != nil {
		return "", fmt.Errorf("columns: %w", err)
	}
	marks := make([]string, len(columns))
	for i, c := range columns {
		if !known[c] {
			return "", fmt.Errorf("column %q is unknown to this program", c)
		}
		marks[i] = "$" + strconv.Itoa(i+1)
	}
	return "INSERT INTO " + name + " (" + strings.Join(columns, ", ") + ") VALUES (" + strings.Join(marks, ", ") + ")", nil
}

func parseRow(line []byte) ([]any, error) {
	dec := json.NewDecoder(strings.NewReader(string(line)))
	dec.UseNumber()
	var row []any
	if err := dec.Decode(&row); err != nil {
		return nil, err
	}
	for i, v := range row {
		number, ok := v.(json.Number)
		if !ok {
			continue
		}
		if n, err := number.Int64(); err == nil {
			row[i] = n
		} else if row[i], err = number.Float64(); err != nil {
			return nil, err
		}
	}
	return row, nil
}

func (s *Store) backupPicture(ctx context.Context, out *tar.Writer, sha string, at time.Time) (bool, error) {
	body, err := s.blobs.get(ctx, blobName(sha), int64(s.opt.MaxPicture)+1)
	if errors.Is(err, errGone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, writeMember(out, path.Join(pictureFolder, sha+pictureSuffix), at, body)
}

func (s *Store) restorePicture(ctx context.Context, sha string, r io.Reader) error {
	body, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(body); !isHash(sha) || hex.EncodeToString(sum[:]) != sha {
		return errors.New("is not the picture of its name: the file is damaged")
	}
	return s.blobs.put(ctx, []blob{{sha, body}})
}
