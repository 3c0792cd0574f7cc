package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sharpeyes/sharpeyes/api/store"
)

// Accounts makes users and gives new passwords. The server uses it, and so does
// the command line of the center's own machine, where no server runs.
type Accounts struct {
	store  *store.Store
	hasher *hasher
	now    func() time.Time
}

// NewAccounts works on st, which stays the caller's. It computes one password
// hash (some 20 ms).
func NewAccounts(st *store.Store) (*Accounts, error) {
	h, err := newHasher(owaspParams, 1)
	if err != nil {
		return nil, err
	}
	return &Accounts{store: st, hasher: h, now: time.Now}, nil
}

// Add makes the user with a random first password, which is to be changed, and
// returns it: it stands nowhere else. The error is store.ErrExists when the name
// is taken, and says what is wrong when a field is.
func (a *Accounts) Add(ctx context.Context, u store.User) (string, error) {
	if !userName.MatchString(u.Name) {
		return "", errors.New("user name: 2 to 32 of a-z, 0-9, dot, hyphen and underscore")
	}
	if err := checkUser(u); err != nil {
		return "", err
	}
	return a.create(ctx, u)
}

func (a *Accounts) create(ctx context.Context, u store.User) (string, error) {
	password, hash, err := a.newPassword(ctx)
	if err != nil {
		return "", fmt.Errorf("user %s: %w", u.Name, err)
	}
	u.PasswordHash, u.MustChange, u.Created = hash, true, a.now()
	if err := a.store.CreateUser(ctx, u); err != nil {
		return "", fmt.Errorf("user %s: %w", u.Name, err)
	}
	return password, nil
}

// Reset gives the user a new random password, which is to be changed, ends all
// of the user's sessions, and returns the password: it stands nowhere else. The
// error is store.ErrNotFound when there is no such user.
func (a *Accounts) Reset(ctx context.Context, name string) (string, error) {
	password, hash, err := a.newPassword(ctx)
	if err == nil {
		err = a.store.SetPassword(ctx, name, hash, true, "")
	}
	if err != nil {
		return "", fmt.Errorf("user %s: %w", name, err)
	}
	return password, nil
}

// newPassword returns a random password and its hash.
func (a *Accounts) newPassword(ctx context.Context) (password, hash string, err error) {
	if password, err = newPassword(); err != nil {
		return "", "", err
	}
	hash, err = a.hasher.Hash(ctx, password)
	return password, hash, err
}
