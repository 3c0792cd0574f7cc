package grid

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sharpeyes/sharpeyes/api/store"
)

// The longest texts an event takes, in characters.
const (
	MaxTitle = 100
	MaxNote  = 1000
)

// undoFor is how long a decision can be taken back by who made it.
const undoFor = 10 * time.Minute

// defaultPost reports events of users whose post is not recorded.
const defaultPost = "视频研判岗"

// Options tunes Events. Zero values mean the default.
type Options struct {
	Location *time.Location // zone of the day in event numbers; default China's, UTC+8
}

// Events opens, moves and lists grid events. It is safe for concurrent use; of
// two people deciding on one alert at once exactly one wins.
type Events struct {
	st  *store.Store
	loc *time.Location
}

// New returns the events kept in st.
func New(st *store.Store, opt Options) *Events {
	loc := opt.Location
	if loc == nil {
		loc = time.FixedZone("CST", 8*60*60) // no daylight saving since 1991
	}
	return &Events{st: st, loc: loc}
}

// Confirmation is what an operator says when confirming an alert.
type Confirmation struct {
	Category string // code of Categories; "" takes what the rule proposed
	Title    string // "" makes one of category and place
	Note     string
}

// DismissReason says why an alert needs no event.
type DismissReason string

// The reasons.
const (
	FalseAlarm DismissReason = "false_alarm" // 误报
	Known      DismissReason = "known"       // 已知, 施工
	NoAction   DismissReason = "no_action"   // 无需处置
)

// Confirm opens an event from a new alert, in one transaction. Confirming again
// by the same person returns the same event. After somebody else's decision it
// returns *AlreadyTriagedError, and the event with it when there is one.
func (e *Events) Confirm(ctx context.Context, alertID string, by store.User, c Confirmation) (Event, error) {
	if !by.MayTriage() {
		return Event{}, ErrForbidden
	}
	var err error
	if c.Title, err = clean(c.Title, MaxTitle); err != nil {
		return Event{}, err
	}
	if c.Note, err = clean(c.Note, MaxNote); err != nil {
		return Event{}, err
	}
	var out Event
	err = e.st.Update(ctx, func(t *store.Tx) error {
		row, err := alertRow(ctx, t, alertID)
		if err != nil {
			return err
		}
		if row.Status != store.StatusNew {
			if row.EventNo != "" {
				if out, err = e.load(ctx, t, row.EventNo); err != nil {
					return err
				}
			}
			return decided(row, by, store.StatusConfirmed)
		}
		ev, err := e.draft(ctx, t, row, by, c)
		if err != nil {
			return err
		}
		if err := insert(ctx, t, ev, alertID, by); err != nil {
			return err
		}
		if err := t.SetTriage(ctx, alertID, store.StatusConfirmed, triage(t, by, "", c.Note), ev.No); err != nil {
			return err
		}
		if err := t.Changed(ctx, store.KindEvent, ev.No); err != nil {
			return err
		}
		out, err = e.load(ctx, t, ev.No)
		return err
	})
	return out, err
}

// Dismiss closes a new alert without an event. Dismissing again by the same
// person changes nothing; after another decision it is *AlreadyTriagedError.
func (e *Events) Dismiss(ctx context.Context, alertID string, by store.User, reason DismissReason, note string) (store.AlertRow, error) {
	if !by.MayTriage() {
		return store.AlertRow{}, ErrForbidden
	}
	switch reason {
	case FalseAlarm, Known, NoAction:
	default:
		return store.AlertRow{}, fmt.Errorf("%w: false_alarm, known or no_action", ErrReason)
	}
	note, err := clean(note, MaxNote)
	if err != nil {
		return store.AlertRow{}, err
	}
	var out store.AlertRow
	err = e.st.Update(ctx, func(t *store.Tx) error {
		if out, err = alertRow(ctx, t, alertID); err != nil {
			return err
		}
		if out.Status != store.StatusNew {
			return decided(out, by, store.StatusDismissed)
		}
		if err := t.SetTriage(ctx, alertID, store.StatusDismissed, triage(t, by, string(reason), note), ""); err != nil {
			return err
		}
		out, err = t.Alert(ctx, alertID)
		return err
	})
	return out, err
}

// Undo takes back a decision that the same person made in the last ten minutes.
// The event of a confirmation is rejected with the note "undone" while it is
// still reported, else Undo answers ErrMovedOn. The alert is new again.
func (e *Events) Undo(ctx context.Context, alertID string, by store.User) (store.AlertRow, error) {
	if !by.MayTriage() {
		return store.AlertRow{}, ErrForbidden
	}
	var out store.AlertRow
	err := e.st.Update(ctx, func(t *store.Tx) error {
		row, err := alertRow(ctx, t, alertID)
		switch {
		case err != nil:
			return err
		case row.Status == store.StatusNew:
			return ErrNotTriaged
		case row.Triage.By != by.Name:
			return fmt.Errorf("%w: %s", ErrNotYours, row.Triage.Name)
		case t.Now().Sub(row.Triage.At) > undoFor:
			return ErrTooLate
		}
		if row.EventNo != "" {
			if err := e.undoEvent(ctx, t, row.EventNo, alertID, by); err != nil {
				return err
			}
		}
		if err := t.SetTriage(ctx, alertID, store.StatusNew, nil, ""); err != nil {
			return err
		}
		out, err = t.Alert(ctx, alertID)
		return err
	})
	return out, err
}

func (e *Events) undoEvent(ctx context.Context, t *store.Tx, no, alertID string, by store.User) error {
	ev, err := e.load(ctx, t, no)
	if err != nil {
		return err
	}
	if ev.State != Reported {
		return fmt.Errorf("event %s is %s: %w", no, ev.State, ErrMovedOn)
	}
	if _, err := t.Exec(ctx, `UPDATE event_alerts SET live = 0 WHERE event_no = $1 AND alert = $2`, no, alertID); err != nil {
		return fmt.Errorf("event %s: %w", no, err)
	}
	return e.move(ctx, t, ev, Rejected, by, "undone")
}

// Transition moves an event to another state, if the table of steps knows the
// way and the rules of that way hold: a note where one is due, another person
// where one is due.
func (e *Events) Transition(ctx context.Context, no string, to State, by store.User, note string) (Event, error) {
	if !by.MayTriage() {
		return Event{}, ErrForbidden
	}
	note, err := clean(note, MaxNote)
	if err != nil {
		return Event{}, err
	}
	var out Event
	err = e.st.Update(ctx, func(t *store.Tx) error {
		ev, err := e.load(ctx, t, no)
		if err != nil {
			return err
		}
		if err := e.move(ctx, t, ev, to, by, note); err != nil {
			return err
		}
		out, err = e.load(ctx, t, no)
		return err
	})
	return out, err
}

// move checks one step against the table and writes it.
func (e *Events) move(ctx context.Context, t *store.Tx, ev Event, to State, by store.User, note string) error {
	s, ok := findStep(ev.State, to)
	if !ok || (s.times > 0 && ev.times(to) >= s.times) {
		return &TransitionError{No: ev.No, From: ev.State, To: to}
	}
	if s.note && note == "" {
		return fmt.Errorf("event %s to %s: %w", ev.No, to, ErrReason)
	}
	if s.notBy != "" && ev.lastInto(s.notBy) == by.Name {
		return fmt.Errorf("event %s to %s: %w", ev.No, to, ErrSamePerson)
	}
	if err := logStep(ctx, t, ev, to, by, note); err != nil {
		return err
	}
	_, err := t.Exec(ctx, `UPDATE events SET state = $2, updated_at = $3 WHERE no = $1`, ev.No, string(to), t.Now().UnixMicro())
	if err != nil {
		return fmt.Errorf("event %s: %w", ev.No, err)
	}
	return t.Changed(ctx, store.KindEvent, ev.No)
}

// times counts the steps into a state.
func (ev *Event) times(s State) int {
	n := 0
	for _, h := range ev.History {
		if h.To == s {
			n++
		}
	}
	return n
}

// lastInto returns the login of who made the latest step into a state, or "".
func (ev *Event) lastInto(s State) string {
	for i := len(ev.History) - 1; i >= 0; i-- {
		if ev.History[i].To == s {
			return ev.History[i].login
		}
	}
	return ""
}

// decided answers a second decision: nil when the same person says the same
// again.
func decided(row store.AlertRow, by store.User, want store.Status) error {
	if row.Status == want && row.Triage.By == by.Name {
		return nil
	}
	return &AlreadyTriagedError{Status: row.Status, Triage: *row.Triage, EventNo: row.EventNo}
}

func triage(t *store.Tx, by store.User, reason, note string) *store.Triage {
	return &store.Triage{By: by.Name, Name: shown(by), Unit: by.Unit, At: t.Now(), Reason: reason, Note: note}
}

func shown(by store.User) string {
	if by.Display != "" {
		return by.Display
	}
	return by.Name
}

func alertRow(ctx context.Context, t *store.Tx, id string) (store.AlertRow, error) {
	row, err := t.Alert(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return row, fmt.Errorf("alert %s: %w", id, ErrNotFound)
	}
	return row, err
}

// clean cuts what surrounds a text and refuses one that is too long.
func clean(s string, limit int) (string, error) {
	s = strings.TrimSpace(strings.ToValidUTF8(s, "\uFFFD"))
	if n := utf8.RuneCountInString(s); n > limit {
		return "", fmt.Errorf("%w: %d characters, at most %d", ErrTextTooLong, n, limit)
	}
	return s, nil
}
