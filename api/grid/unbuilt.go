package grid

import (
	"context"
	"errors"
	"time"

	"github.com/sharpeyes/sharpeyes/api/store"
)

const MaxTitle, MaxNote = 100, 1000

type Options struct {
	Location *time.Location   // zone of the day in event numbers; default Asia/Shanghai
	Now      func() time.Time // default time.Now
}

type Events struct{}

func New(st *store.Store, opt Options) *Events { return &Events{} }

type Category struct {
	Code      string `json:"code"`
	Name      string `json:"name"`
	NameEN    string `json:"name_en"`
	Group     string `json:"group"`
	GroupName string `json:"group_name"`
}

func Categories() []Category { return nil }

type Confirmation struct{ Category, Title, Note string }

type DismissReason string

const (
	FalseAlarm DismissReason = "false_alarm"
	Known      DismissReason = "known"
	NoAction   DismissReason = "no_action"
)

type Filter struct {
	State    State
	Division string
	Before   string
	Limit    int
}

func (e *Events) Confirm(ctx context.Context, alertID string, by store.User, c Confirmation) (Event, error) {
	return Event{}, errors.ErrUnsupported
}
func (e *Events) Dismiss(ctx context.Context, alertID string, by store.User, reason DismissReason, note string) (store.AlertRow, error) {
	return store.AlertRow{}, errors.ErrUnsupported
}
func (e *Events) Undo(ctx context.Context, alertID string, by store.User) (store.AlertRow, error) {
	return store.AlertRow{}, errors.ErrUnsupported
}
func (e *Events) Transition(ctx context.Context, no string, to State, by store.User, note string) (Event, error) {
	return Event{}, errors.ErrUnsupported
}
func (e *Events) Get(ctx context.Context, no string) (Event, error) {
	return Event{}, errors.ErrUnsupported
}
func (e *Events) List(ctx context.Context, f Filter) (items []Event, next string, err error) {
	return nil, "", errors.ErrUnsupported
}
