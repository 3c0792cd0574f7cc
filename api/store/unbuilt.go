package store

import (
	"context"
	"errors"
	"time"

	"github.com/sharpeyes/sharpeyes/api"
)

type metrics struct{}

func Open(ctx context.Context, opt Options) (*Store, error) { return nil, errors.ErrUnsupported }
func (s *Store) Close() error                               { return errors.ErrUnsupported }
func (s *Store) Ping(ctx context.Context) error             { return errors.ErrUnsupported }
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	return errors.ErrUnsupported
}
func (s *Store) View(ctx context.Context, fn func(*Tx) error) error { return errors.ErrUnsupported }
func (t *Tx) Changed(ctx context.Context, kind ChangeKind, id string) error {
	return errors.ErrUnsupported
}
func (s *Store) Save(ctx context.Context, batch []*api.Envelope) ([]Change, error) {
	return nil, errors.ErrUnsupported
}
func (s *Store) Changed() <-chan struct{} { return nil }
func (s *Store) LastChange(ctx context.Context) (int64, error) {
	return 0, errors.ErrUnsupported
}
func (s *Store) ChangesSince(ctx context.Context, seq int64, limit int) ([]Change, error) {
	return nil, errors.ErrUnsupported
}
func (s *Store) Alerts(ctx context.Context, f AlertFilter, before string, limit int) (rows []AlertRow, next string, err error) {
	return nil, "", errors.ErrUnsupported
}
func (s *Store) Alert(ctx context.Context, id string) (AlertRow, error) {
	return AlertRow{}, errors.ErrUnsupported
}
func (t *Tx) Alert(ctx context.Context, id string) (AlertRow, error) {
	return AlertRow{}, errors.ErrUnsupported
}
func (t *Tx) SetTriage(ctx context.Context, id string, st Status, tr *Triage, eventNo string) error {
	return errors.ErrUnsupported
}
func (s *Store) Picture(ctx context.Context, alertID string) (path string, p api.AlertPicture, err error) {
	return "", api.AlertPicture{}, errors.ErrUnsupported
}
func (s *Store) Cameras(ctx context.Context) ([]CameraRow, error) { return nil, errors.ErrUnsupported }
func (s *Store) Camera(ctx context.Context, id api.CameraID) (CameraRow, error) {
	return CameraRow{}, errors.ErrUnsupported
}
func (s *Store) Nodes(ctx context.Context) ([]NodeRow, error) { return nil, errors.ErrUnsupported }
func (s *Store) Users(ctx context.Context) ([]User, error)    { return nil, errors.ErrUnsupported }
func (s *Store) CreateUser(ctx context.Context, u User) error { return errors.ErrUnsupported }
func (s *Store) UpdateUser(ctx context.Context, u User) error { return errors.ErrUnsupported }
func (s *Store) UserByName(ctx context.Context, name string) (User, error) {
	return User{}, errors.ErrUnsupported
}
func (s *Store) SetPassword(ctx context.Context, name, hash string, mustChange bool, keepSession string) error {
	return errors.ErrUnsupported
}
func (s *Store) CreateSession(ctx context.Context, n Session) error { return errors.ErrUnsupported }
func (s *Store) Session(ctx context.Context, tokenHash string) (Session, error) {
	return Session{}, errors.ErrUnsupported
}
func (s *Store) TouchSession(ctx context.Context, tokenHash string) error {
	return errors.ErrUnsupported
}
func (s *Store) DeleteSession(ctx context.Context, tokenHash string) error {
	return errors.ErrUnsupported
}

type Expired struct {
	Pictures int
	Orphans  int
	Sessions int
}

func (s *Store) Expire(ctx context.Context, now time.Time) (Expired, error) {
	return Expired{}, errors.ErrUnsupported
}
