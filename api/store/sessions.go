package store

import (
	"context"
	"fmt"
	"time"
)

// Session is a login. The store knows the hash of the token, never the token.
type Session struct {
	TokenHash string
	CSRF      string
	User      User
	Created   time.Time
	Seen      time.Time
	Expires   time.Time
}

// CreateSession keeps a login of n.User.Name until n.Expires. Created and Seen
// are set by the store. A user who does not exist is an error.
func (s *Store) CreateSession(ctx context.Context, n Session) error {
	if n.TokenHash == "" || n.CSRF == "" || n.Expires.IsZero() {
		return fmt.Errorf("session of %s: token hash, CSRF token and expiry are required", n.User.Name)
	}
	return s.Update(ctx, func(t *Tx) error {
		_, err := t.Exec(ctx, `INSERT INTO sessions (token_hash, user_name, csrf, created_at, seen_at, expires_at)
			VALUES ($1, $2, $3, $4, $4, $5)`, n.TokenHash, n.User.Name, n.CSRF, Micro(t.Now()), Micro(n.Expires))
		if err != nil {
			return fmt.Errorf("store: session of %s: %w", n.User.Name, err)
		}
		return nil
	})
}

// Session returns the login with this token hash and its user. One that has
// ended, or whose user is disabled, is ErrNotFound.
func (s *Store) Session(ctx context.Context, tokenHash string) (Session, error) {
	out := Session{TokenHash: tokenHash}
	var created, seen, expires int64
	err := s.View(ctx, func(t *Tx) (err error) {
		row := t.QueryRow(ctx, `SELECT `+userColumns+`, s.csrf, s.created_at, s.seen_at, s.expires_at
			FROM sessions s JOIN users u ON u.name = s.user_name
			WHERE s.token_hash = $1 AND s.expires_at > $2 AND u.disabled = 0`, tokenHash, Micro(t.Now()))
		out.User, err = scanUser(row, &out.CSRF, &created, &seen, &expires)
		return err
	})
	if err != nil {
		return Session{}, notFound(err, "session")
	}
	out.Created, out.Seen, out.Expires = FromMicro(created), FromMicro(seen), FromMicro(expires)
	return out, nil
}

// TouchSession notes that a login was used now. A session that is gone is no
// error: its next look-up says so.
func (s *Store) TouchSession(ctx context.Context, tokenHash string) error {
	return s.sessionExec(ctx, `UPDATE sessions SET seen_at = $2 WHERE token_hash = $1`, tokenHash, Micro(s.opt.Now()))
}

// DeleteSession ends a login. Ending it twice is no error.
func (s *Store) DeleteSession(ctx context.Context, tokenHash string) error {
	return s.sessionExec(ctx, `DELETE FROM sessions WHERE token_hash = $1`, tokenHash)
}

func (s *Store) sessionExec(ctx context.Context, query string, args ...any) error {
	return s.Update(ctx, func(t *Tx) error {
		if _, err := t.Exec(ctx, query, args...); err != nil {
			return fmt.Errorf("store: session: %w", err)
		}
		return nil
	})
}
