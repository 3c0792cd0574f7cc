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
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sharpeyes/sharpeyes/api"
)

// look checks the picture that an envelope names or brings. It returns nil when
// there is none or it is refused; of a picture that is still on its way, what it
// will be.
func (s *Store) look(e *api.Envelope) *incoming {
	named, alert, camera := namedPicture(e)
	if named == nil {
		return nil
	}
	p := *named
	if why := s.refusePicture(&p); why != "" {
		s.metrics.pictures.WithLabelValues(why).Inc()
		s.log.Error("picture refused, its alert is kept without it", "camera", camera, "alert", alert, "why", why)
		return nil
	}
	in := &incoming{AlertPicture: p, jpeg: p.JPEG}
	if in.JPEG = nil; len(in.jpeg) > 0 {
		in.Bytes = len(in.jpeg)
	}
	return in
}

// putPictures keeps the pictures that came and that an alert waits for. A
// picture that comes again, or that nobody names any more, is not written again.
func (s *Store) putPictures(ctx context.Context, batch []*api.Envelope, pictures []*incoming) error {
	wanted, err := s.wanted(ctx, batch, pictures)
	if err != nil {
		return err
	}
	var put []blob
	for i, p := range pictures {
		if p == nil || len(p.jpeg) == 0 || !wanted[want{pictureOf(batch[i]), p.SHA256}] {
			continue
		}
		p.here = true
		if !slices.ContainsFunc(put, func(b blob) bool { return b.sha == p.SHA256 }) {
			put = append(put, blob{p.SHA256, p.jpeg})
		}
	}
	if len(put) == 0 {
		return nil
	}
	begun := time.Now()
	if err := s.blobs.put(ctx, put); err != nil {
		s.metrics.pictures.WithLabelValues("failed").Add(float64(len(put)))
		return fmt.Errorf("store: %d pictures: %w", len(put), err)
	}
	s.metrics.put.Observe(time.Since(begun).Seconds())
	s.metrics.pictures.WithLabelValues("kept").Add(float64(len(put)))
	return nil
}

// want is an alert and the picture that it names.
type want struct{ alert, sha string }

// wanted says which pictures the alerts of the batch, and those in the database,
// name and do not show. An alert whose picture's time is over wants none.
func (s *Store) wanted(ctx context.Context, batch []*api.Envelope, pictures []*incoming) (map[want]bool, error) {
	wanted := map[want]bool{}
	var ask []any
	for i, p := range pictures {
		if p == nil {
			continue
		}
		if batch[i].Alert != nil {
			wanted[want{batch[i].Alert.ID, p.SHA256}] = true
		}
		if len(p.jpeg) > 0 {
			ask = append(ask, pictureOf(batch[i]))
		}
	}
	err := s.View(ctx, func(t *Tx) error {
		q := "SELECT body, picture, picture_expired FROM alerts WHERE id IN " + marks(0, len(ask))
		return t.each(ctx, q, ask, func(r *sql.Rows) error {
			var body string
			var shown sql.NullString
			var expired bool
			var a api.Alert
			if err := r.Scan(&body, &shown, &expired); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(body), &a); err != nil {
				return err
			}
			if expired {
				maps.DeleteFunc(wanted, func(w want, _ bool) bool { return w.alert == a.ID })
			} else if a.Picture != nil && shown.String != a.Picture.SHA256 {
				wanted[want{a.ID, a.Picture.SHA256}] = true
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("store: pictures that are waited for: %w", err)
	}
	return wanted, nil
}

// pictureOf returns the ID of the alert that the envelope's picture belongs to.
func pictureOf(e *api.Envelope) string {
	_, alert, _ := namedPicture(e)
	return alert
}

// incoming is a picture as an envelope tells of it.
type incoming struct {
	api.AlertPicture
	jpeg []byte // its bytes, when they came
	here bool   // they are kept
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

// show lets an alert show a picture that is kept.
func (t *Tx) show(a *keptAlert, p *api.AlertPicture) {
	t.shown = append(t.shown, []any{p.SHA256, p.Bytes, Micro(p.At)})
	a.picture = sql.NullString{String: p.SHA256, Valid: true}
}

// savePicture takes a picture that came after its alert, or the word that it will
// not come. One that the alert does not name any more is left out.
func (t *Tx) savePicture(ctx context.Context, r *api.PictureReport, p *incoming) (bool, error) {
	row, err := t.alert(ctx, r.Alert)
	if err != nil || row.body == "" {
		return false, err
	}
	var a api.Alert
	if err := json.Unmarshal([]byte(row.body), &a); err != nil {
		return false, fmt.Errorf("alert %s: kept body: %w", r.Alert, err)
	}
	sha := r.Picture.SHA256
	switch {
	case row.expired || a.Picture == nil || a.Picture.SHA256 != sha || row.picture.String == sha:
		return false, nil
	case p != nil && len(p.jpeg) > 0 && !p.here:
		// Its alert named it while we looked. It comes again.
		return false, errors.New("a picture was not waited for a moment ago, and is now")
	case p == nil || !p.here: // lost, or refused
		if row.lost.String == sha {
			return false, nil
		}
		row.lost = sql.NullString{String: sha, Valid: true}
	default:
		t.show(row, &p.AlertPicture)
		row.lost = sql.NullString{}
	}
	return true, t.touch(ctx, row)
}

// Picture says what the picture of an alert is. It is ErrNotFound without alert
// or picture, or while the picture is on its way, and ErrExpired when the bytes
// were deleted.
func (s *Store) Picture(ctx context.Context, alertID string) (api.AlertPicture, error) {
	row, err := s.Alert(ctx, alertID)
	switch {
	case err != nil:
		return api.AlertPicture{}, err
	case row.Picture == PictureExpired:
		return api.AlertPicture{}, fmt.Errorf("picture of alert %s: %w", alertID, ErrExpired)
	case row.Picture != PictureKept:
		return api.AlertPicture{}, fmt.Errorf("picture of alert %s: %w", alertID, ErrNotFound)
	}
	return *row.Alert.Picture, nil
}

// ReadPicture returns the JPEG of a picture, checked against its hash; ErrExpired
// when it was deleted meanwhile. Whoever calls it registers the look first
// (api/audit). It may wait for the object store, as long as ctx allows.
func (s *Store) ReadPicture(ctx context.Context, p api.AlertPicture) ([]byte, error) {
	b, err := s.readBlob(ctx, p.SHA256)
	if errors.Is(err, errGone) {
		return nil, fmt.Errorf("picture %s: %w", p.SHA256, ErrExpired)
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return b, nil
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
