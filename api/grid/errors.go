package grid

import (
	"errors"
	"fmt"
	"time"

	"github.com/sharpeyes/sharpeyes/api/store"
)

// The errors a caller decides by. AlreadyTriagedError and TransitionError carry
// what the sentinel cannot.
var (
	// ErrNotFound says that no such alert or event exists.
	ErrNotFound = errors.New("no such alert or event")
	// ErrAlreadyTriaged is wrapped by every *AlreadyTriagedError.
	ErrAlreadyTriaged = errors.New("the alert was decided already")
	// ErrTooLate says that the ten minutes for taking a decision back are over.
	ErrTooLate = errors.New("the time to take the decision back is over")
	// ErrNotYours says that somebody else made the decision.
	ErrNotYours = errors.New("the decision was made by somebody else")
	// ErrNotTriaged says that there is no decision to take back.
	ErrNotTriaged = errors.New("the alert is not decided yet")
	// ErrMovedOn says that the event has left the state "reported".
	ErrMovedOn = errors.New("the event has moved on")
	// ErrForbiddenCategory says that video may not create an event of this category.
	ErrForbiddenCategory = errors.New("video cannot create an event of this category")
	// ErrReason says that a dismissal carries no known reason, or a step no required note.
	ErrReason = errors.New("a reason is needed")
	// ErrForbidden says that the user's role may not decide.
	ErrForbidden = errors.New("this user may not decide on alerts and events")
	// ErrUnknownPlace says that the alert's camera has not reported its record, so the event would have no place.
	ErrUnknownPlace = errors.New("the camera of the alert has not reported its division yet")
	// ErrSamePerson says that this step needs another person than the one before it.
	ErrSamePerson = errors.New("this step must be made by another person")
	// ErrTransition is wrapped by every *TransitionError.
	ErrTransition = errors.New("the event cannot go there")
	// ErrTextTooLong says that a title or note is longer than MaxTitle or MaxNote.
	ErrTextTooLong = errors.New("the text is too long")
)

// AlreadyTriagedError says who decided on an alert before, and when.
type AlreadyTriagedError struct {
	Status  store.Status
	Triage  store.Triage
	EventNo string // set when it was confirmed
}

// Error implements error.
func (e *AlreadyTriagedError) Error() string {
	return fmt.Sprintf("%v: %s by %s at %s", ErrAlreadyTriaged, e.Status, e.Triage.By, e.Triage.At.Format(time.RFC3339))
}

// Is makes errors.Is(err, ErrAlreadyTriaged) true.
func (e *AlreadyTriagedError) Is(target error) bool { return target == ErrAlreadyTriaged }

// TransitionError says which step was refused.
type TransitionError struct {
	No       string
	From, To State
}

// Error implements error.
func (e *TransitionError) Error() string {
	return fmt.Sprintf("event %s: %v: from %s to %s", e.No, ErrTransition, e.From, e.To)
}

// Is makes errors.Is(err, ErrTransition) true.
func (e *TransitionError) Is(target error) bool { return target == ErrTransition }
