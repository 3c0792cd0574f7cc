package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// orphanAge is how old a picture without a row must be before it is deleted: far
// longer than a Save takes, so that another process of the center that is about
// to commit is not robbed.
const orphanAge = time.Hour

// Expired is what one Expire deleted.
type Expired struct {
	Pictures int // alerts whose picture's time was over
	Orphans  int // pictures that no alert refers to: older pictures of an alert, leftovers of a crash
	Sessions int // logins that had ended
}

// Expire deletes the picture bytes of alerts whose time is over (Options.Keep…),
// pictures that no alert refers to, and sessions that have ended. The alert and
// what was decided about it stay. What cannot be deleted is tried again at the
// next call; call it hourly.
func (s *Store) Expire(ctx context.Context, now time.Time) (Expired, error) {
	out, err := s.expireRows(ctx, now)
	if err != nil {
		return out, err
	}
	// The walk over all pictures holds nobody up; what it found is then looked at
	// again together with the rows, for a Save may have taken it into use.
	var names []string
	err = s.blobs.older(ctx, now.Add(-orphanAge), func(name string) error {
		names = append(names, name)
		return nil
	})
	if err != nil {
		return out, fmt.Errorf("store: expire: %w", err)
	}
	n, err := s.removeLeftovers(ctx, names)
	out.Orphans += n
	return out, err
}

// expireRows forgets pictures and deletes their files. Rows first, bytes second:
// a crash between the two leaves a file without a row, a leftover.
func (s *Store) expireRows(ctx context.Context, now time.Time) (Expired, error) {
	s.pictures.Lock()
	defer s.pictures.Unlock()
	var out Expired
	var gone []string
	err := s.Update(ctx, func(t *Tx) error {
		superseded, err := t.dropUnreferenced(ctx)
		if err != nil {
			return err
		}
		out.Orphans = len(superseded)
		if out.Pictures, err = t.expirePictures(ctx, now, s.opt); err != nil {
			return err
		}
		if gone, err = t.dropUnreferenced(ctx); err != nil {
			return err
		}
		gone = append(gone, superseded...)
		n, err := t.Exec(ctx, `DELETE FROM sessions WHERE expires_at <= $1`, Micro(now))
		out.Sessions = int(n)
		return err
	})
	if err != nil {
		return Expired{}, fmt.Errorf("store: expire: %w", err)
	}
	s.metrics.expired.Add(float64(out.Pictures))
	var errs []error
	for _, sha := range gone {
		errs = append(errs, s.blobs.remove(ctx, blobName(sha)))
	}
	return out, errors.Join(errs...)
}

func (t *Tx) expirePictures(ctx context.Context, now time.Time, opt Options) (int, error) {
	var ids []string
	const q = `SELECT a.id FROM alerts a JOIN pictures p ON p.sha256 = a.picture WHERE
		(a.status = 'dismissed' AND a.triage_at <= $1) OR
		(a.status = 'confirmed' AND a.triage_at <= $2) OR
		(a.status = 'new' AND p.at <= $3) ORDER BY a.id`
	args := []any{Micro(now.Add(-opt.KeepDismissed)), Micro(now.Add(-opt.KeepConfirmed)), Micro(now.Add(-opt.KeepNew))}
	err := t.each(ctx, q, args, func(r *sql.Rows) error {
		var id string
		if err := r.Scan(&id); err != nil {
			return err
		}
		ids = append(ids, id)
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		if _, err := t.Exec(ctx, `UPDATE alerts SET picture = NULL, picture_expired = 1 WHERE id = $1`, id); err != nil {
			return 0, err
		}
		if err := t.Changed(ctx, KindAlert, id); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

// dropUnreferenced forgets pictures that no alert shows any more and returns
// their hashes.
func (t *Tx) dropUnreferenced(ctx context.Context) ([]string, error) {
	var gone []string
	const q = `DELETE FROM pictures WHERE NOT EXISTS (SELECT 1 FROM alerts WHERE alerts.picture = pictures.sha256) RETURNING sha256`
	err := t.each(ctx, q, nil, func(r *sql.Rows) error {
		var sha string
		if err := r.Scan(&sha); err != nil {
			return err
		}
		gone = append(gone, sha)
		return nil
	})
	return gone, err
}

func (s *Store) removeLeftovers(ctx context.Context, names []string) (int, error) {
	s.pictures.Lock()
	defer s.pictures.Unlock()
	var kept map[string]bool
	err := s.View(ctx, func(t *Tx) (err error) {
		kept, err = t.keptPictures(ctx)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("store: expire: %w", err)
	}
	n := 0
	var errs []error
	for _, name := range names {
		if kept[blobHash(name)] {
			continue
		}
		if err := s.blobs.remove(ctx, name); err != nil {
			errs = append(errs, err)
			continue
		}
		n++
	}
	return n, errors.Join(errs...)
}
