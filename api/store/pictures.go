package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sharpeyes/sharpeyes/api"
)

// pictureFiles is what one Save has written, so that a failure leaves nothing.
type pictureFiles struct {
	dir     string
	created []string // hashes of files that were not there before
	used    map[string]bool
}

// sync makes the names of the new files durable, each folder once.
func (f *pictureFiles) sync() error {
	done := map[string]bool{}
	for _, sha := range f.created {
		folder := filepath.Dir(picturePath(f.dir, sha))
		if done[folder] {
			continue
		}
		if err := syncFolder(folder); err != nil {
			return fmt.Errorf("store: pictures: %w", err)
		}
		done[folder] = true
	}
	return nil
}

func (f *pictureFiles) use(sha string) {
	if f.used == nil {
		f.used = map[string]bool{}
	}
	f.used[sha] = true
}

func (f *pictureFiles) removeAll() error {
	f.used = nil
	return f.removeUnused()
}

func (f *pictureFiles) removeUnused() error {
	var errs []error
	for _, sha := range f.created {
		if !f.used[sha] {
			errs = append(errs, os.Remove(picturePath(f.dir, sha)))
		}
	}
	return errors.Join(errs...)
}

// newPrefix begins the names of files that are being written.
const newPrefix = ".new-"

func picturePath(dir, sha string) string {
	return filepath.Join(dir, sha[:2], sha+".jpg")
}

// writePicture checks the picture that an envelope names or brings, and writes
// it to disk when it brings the bytes. It returns nil without an error when there
// is none or it is refused; of a picture that is still on its way, what it will
// be.
func (s *Store) writePicture(files *pictureFiles, e *api.Envelope) (*incoming, error) {
	named, alert, camera := namedPicture(e)
	if named == nil {
		return nil, nil
	}
	p := *named
	if why := s.refusePicture(&p); why != "" {
		s.metrics.pictures.WithLabelValues(why).Inc()
		s.log.Error("picture refused, its alert is kept without it", "camera", camera, "alert", alert, "why", why)
		return nil, nil
	}
	if len(p.JPEG) == 0 {
		return &incoming{AlertPicture: p}, nil
	}
	created, err := writeFile(s.opt.PictureDir, p.SHA256, p.JPEG)
	if err != nil {
		return nil, fmt.Errorf("store: picture of alert %s: %w", alert, err)
	}
	if created {
		files.created = append(files.created, p.SHA256)
	}
	s.metrics.pictures.WithLabelValues("kept").Inc()
	p.Bytes, p.JPEG = len(p.JPEG), nil
	return &incoming{AlertPicture: p, here: true}, nil
}

// incoming is a picture as an envelope tells of it.
type incoming struct {
	api.AlertPicture
	here bool // its bytes came and are on disk
}

func namedPicture(e *api.Envelope) (p *api.AlertPicture, alert string, camera api.CameraID) {
	switch {
	case e.Alert != nil:
		return e.Alert.Picture, e.Alert.ID, e.Alert.Camera
	case e.Picture != nil && !e.Picture.Lost:
		return &e.Picture.Picture, e.Picture.Alert, e.Picture.Camera
	}
	return nil, "", ""
}

// refusePicture says why a picture is not kept, in a word, or "". A picture in
// which people are not blurred is never kept, whoever sends it.
func (s *Store) refusePicture(p *api.AlertPicture) string {
	sum := sha256.Sum256(p.JPEG)
	switch {
	case !p.Blurred:
		return "not_blurred"
	case len(p.JPEG) == 0 && !isHash(p.SHA256):
		return "wrong_hash"
	case len(p.JPEG) == 0:
		return ""
	case len(p.JPEG) > s.opt.MaxPicture:
		return "too_large"
	case !bytes.HasPrefix(p.JPEG, []byte{0xff, 0xd8, 0xff}):
		return "not_jpeg"
	case p.SHA256 != hex.EncodeToString(sum[:]):
		return "wrong_hash"
	}
	return ""
}

// isHash says whether s is a SHA-256 in lower-case hex.
func isHash(s string) bool {
	if len(s) != hex.EncodedLen(sha256.Size) || strings.ToLower(s) != s {
		return false
	}
	_, err := hex.DecodeString(s)
	return err == nil
}

// writeFile puts bytes under their hash: written beside, synced, renamed, so
// that the name never stands for half a picture. The caller syncs the folder. It
// answers false when the file was there.
func writeFile(dir, sha string, data []byte) (created bool, err error) {
	path := picturePath(dir, sha)
	if st, err := os.Stat(path); err == nil && st.Size() == int64(len(data)) {
		return false, nil
	}
	folder := filepath.Dir(path)
	err = os.Mkdir(folder, 0o700)
	if err == nil {
		err = syncFolder(dir)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return false, err
	}
	f, err := os.CreateTemp(folder, newPrefix+"*") // mode 0600
	if err != nil {
		return false, err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return false, errors.Join(err, os.Remove(f.Name()))
	}
	return true, nil
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (t *Tx) keepPicture(ctx context.Context, p *api.AlertPicture) error {
	_, err := t.Exec(ctx, `INSERT INTO pictures (sha256, bytes, at) VALUES ($1, $2, $3) ON CONFLICT (sha256) DO NOTHING`,
		p.SHA256, p.Bytes, micro(p.At))
	if err != nil {
		return fmt.Errorf("picture %s: %w", p.SHA256, err)
	}
	return nil
}

// savePicture takes a picture that came after its alert, or the word that it will
// not come. One that the alert does not name any more is left out.
func (t *Tx) savePicture(ctx context.Context, r *api.PictureReport, p *incoming, files *pictureFiles) (bool, error) {
	var body string
	var expired bool
	var shown, lost sql.NullString
	err := t.QueryRow(ctx, `SELECT body, picture_expired, picture, picture_lost FROM alerts WHERE id = $1`, r.Alert).
		Scan(&body, &expired, &shown, &lost)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var a api.Alert
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		return false, fmt.Errorf("alert %s: kept body: %w", r.Alert, err)
	}
	sha := r.Picture.SHA256
	switch {
	case expired || a.Picture == nil || a.Picture.SHA256 != sha || shown.String == sha:
		return false, nil
	case p == nil || !p.here: // lost, or refused
		if lost.String == sha {
			return false, nil
		}
		_, err = t.Exec(ctx, `UPDATE alerts SET picture_lost = $2 WHERE id = $1`, r.Alert, sha)
	default:
		if err := t.keepPicture(ctx, &p.AlertPicture); err != nil {
			return false, err
		}
		files.use(sha)
		_, err = t.Exec(ctx, `UPDATE alerts SET picture = $2, picture_lost = NULL WHERE id = $1`, r.Alert, sha)
	}
	if err != nil {
		return false, fmt.Errorf("alert %s: %w", r.Alert, err)
	}
	return true, t.Changed(ctx, KindAlert, r.Alert)
}

// Picture returns where the JPEG of an alert lies and what it is. It is
// ErrNotFound without alert or picture, or while the picture is on its way, and ErrExpired when the bytes were
// deleted. Whoever opens the file registers the look first (api/audit).
func (s *Store) Picture(ctx context.Context, alertID string) (path string, p api.AlertPicture, err error) {
	row, err := s.Alert(ctx, alertID)
	if err != nil {
		return "", p, err
	}
	switch {
	case row.Picture == PictureExpired:
		return "", p, fmt.Errorf("picture of alert %s: %w", alertID, ErrExpired)
	case row.Picture != PictureKept:
		return "", p, fmt.Errorf("picture of alert %s: %w", alertID, ErrNotFound)
	}
	return picturePath(s.opt.PictureDir, row.Alert.Picture.SHA256), *row.Alert.Picture, nil
}

// keptPictures returns the hashes that have a row.
func (t *Tx) keptPictures(ctx context.Context) (map[string]bool, error) {
	kept := map[string]bool{}
	err := t.each(ctx, `SELECT sha256 FROM pictures`, nil, func(r *sql.Rows) error {
		var sha string
		if err := r.Scan(&sha); err != nil {
			return err
		}
		kept[sha] = true
		return nil
	})
	return kept, err
}
