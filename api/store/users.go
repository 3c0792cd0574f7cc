package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
	"unicode/utf8"
)

// Role is what a user may do.
type Role string

// The roles: an admin may everything, duty may decide on alerts, a viewer looks.
const (
	RoleAdmin  Role = "admin"
	RoleDuty   Role = "duty"
	RoleViewer Role = "viewer"
)

// User is a person who may log in. Name is the login; Display is the name that
// the access register and the events show (Order 799 Art. 16 asks for it).
type User struct {
	Name         string // unique login, 1 to 64 characters
	Display      string
	Unit         string
	Post         string
	Role         Role
	PasswordHash string // opaque to the store
	MustChange   bool   // the password was given, not chosen
	Disabled     bool
	Created      time.Time
}

// MayTriage says whether the user may decide on alerts.
func (u User) MayTriage() bool {
	return !u.Disabled && (u.Role == RoleAdmin || u.Role == RoleDuty)
}

func (u User) check() error {
	if n := utf8.RuneCountInString(u.Name); n < 1 || n > 64 || !utf8.ValidString(u.Name) {
		return fmt.Errorf("user name %q: use 1 to 64 characters", u.Name)
	}
	switch u.Role {
	case RoleAdmin, RoleDuty, RoleViewer:
		return nil
	}
	return fmt.Errorf("user %s: role %q: use admin, duty or viewer", u.Name, u.Role)
}

const userColumns = `u.name, u.display, u.unit, u.post, u.role, u.password_hash, u.must_change, u.disabled, u.created_at`

func scanUser(r scanner, more ...any) (User, error) {
	var u User
	var created int64
	to := []any{&u.Name, &u.Display, &u.Unit, &u.Post, &u.Role, &u.PasswordHash, &u.MustChange, &u.Disabled, &created}
	err := r.Scan(append(to, more...)...)
	u.Created = FromMicro(created)
	return u, err
}

// CreateUser adds a user, or answers ErrExists. Created is set by the store.
func (s *Store) CreateUser(ctx context.Context, u User) error {
	if err := u.check(); err != nil {
		return err
	}
	if u.PasswordHash == "" {
		return fmt.Errorf("user %s: no password hash", u.Name)
	}
	return s.Update(ctx, func(t *Tx) error {
		n, err := t.Exec(ctx, `INSERT INTO users (name, display, unit, post, role, password_hash, must_change, disabled, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (name) DO NOTHING`,
			u.Name, u.Display, u.Unit, u.Post, string(u.Role), u.PasswordHash, Flag(u.MustChange), Flag(u.Disabled), Micro(t.Now()))
		if err != nil {
			return fmt.Errorf("store: user %s: %w", u.Name, err)
		}
		if n == 0 {
			return fmt.Errorf("user %s: %w", u.Name, ErrExists)
		}
		return nil
	})
}

// UpdateUser changes display, unit, post, role and disabled of the user named
// u.Name, or answers ErrNotFound. Disabling ends the user's sessions.
func (s *Store) UpdateUser(ctx context.Context, u User) error {
	if err := u.check(); err != nil {
		return err
	}
	return s.Update(ctx, func(t *Tx) error {
		n, err := t.Exec(ctx, `UPDATE users SET display = $2, unit = $3, post = $4, role = $5, disabled = $6 WHERE name = $1`,
			u.Name, u.Display, u.Unit, u.Post, string(u.Role), Flag(u.Disabled))
		if err == nil && n == 0 {
			return fmt.Errorf("user %s: %w", u.Name, ErrNotFound)
		}
		if err == nil && u.Disabled {
			_, err = t.Exec(ctx, `DELETE FROM sessions WHERE user_name = $1`, u.Name)
		}
		if err != nil {
			return fmt.Errorf("store: user %s: %w", u.Name, err)
		}
		return nil
	})
}

// Users returns all users by name.
func (s *Store) Users(ctx context.Context) ([]User, error) {
	var out []User
	err := s.View(ctx, func(t *Tx) error {
		return t.each(ctx, `SELECT `+userColumns+` FROM users u ORDER BY u.name`, nil, func(r *sql.Rows) error {
			u, err := scanUser(r)
			out = append(out, u)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("store: users: %w", err)
	}
	return out, nil
}

// UserByName returns one user or ErrNotFound.
func (s *Store) UserByName(ctx context.Context, name string) (User, error) {
	var u User
	err := s.View(ctx, func(t *Tx) (err error) {
		u, err = scanUser(t.QueryRow(ctx, `SELECT `+userColumns+` FROM users u WHERE u.name = $1`, name))
		return err
	})
	if err != nil {
		return User{}, notFound(err, fmt.Sprintf("user %q", name))
	}
	return u, nil
}

// SetPassword gives a user another password hash and ends all the user's
// sessions but the one with the token hash keepSession ("" for none).
func (s *Store) SetPassword(ctx context.Context, name, hash string, mustChange bool, keepSession string) error {
	if hash == "" {
		return fmt.Errorf("user %s: no password hash", name)
	}
	return s.Update(ctx, func(t *Tx) error {
		n, err := t.Exec(ctx, `UPDATE users SET password_hash = $2, must_change = $3 WHERE name = $1`, name, hash, Flag(mustChange))
		if err == nil && n == 0 {
			return fmt.Errorf("user %s: %w", name, ErrNotFound)
		}
		if err == nil {
			_, err = t.Exec(ctx, `DELETE FROM sessions WHERE user_name = $1 AND token_hash <> $2`, name, keepSession)
		}
		if err != nil {
			return fmt.Errorf("store: user %s: %w", name, err)
		}
		return nil
	})
}
