package grid

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api/store"
)

func TestStepsAreWhole(t *testing.T) {
	reached := map[State]bool{Reported: true}
	seen := map[[2]State]bool{}
	for _, s := range steps() {
		require.Contains(t, States(), s.from)
		require.Contains(t, States(), s.to)
		require.False(t, seen[[2]State{s.from, s.to}], "%s to %s twice", s.from, s.to)
		seen[[2]State{s.from, s.to}] = true
	}
	for range States() {
		for _, s := range steps() {
			reached[s.to] = reached[s.to] || reached[s.from]
		}
	}
	for _, s := range States() {
		require.True(t, reached[s], "%s cannot be reached", s)
		if s != Archived {
			require.NotEmpty(t, Next(s), "%s is a dead end", s)
		}
	}
	require.Empty(t, Next(Archived), "archived is read-only")
	require.Equal(t, []State{Accepted, Rejected}, Next(Reported))
}

// TestEveryWay tries all pairs of states: exactly the ways of the table open.
func TestEveryWay(t *testing.T) {
	r := newRoom(t)
	r.alert(t, "a")
	ev, err := r.Confirm(t.Context(), "a", li, Confirmation{})
	require.NoError(t, err)
	for _, from := range States() {
		for _, to := range States() {
			require.NoError(t, r.st.Update(t.Context(), func(tx *store.Tx) error {
				_, err := tx.Exec(t.Context(), `UPDATE events SET state = $1 WHERE no = $2`, string(from), ev.No)
				return err
			}))
			by := store.User{Name: string(from) + string(to), Role: store.RoleDuty} // never the same person twice
			moved, err := r.Transition(t.Context(), ev.No, to, by, "因故")
			if slices.Contains(Next(from), to) {
				require.NoError(t, err, "%s to %s", from, to)
				require.Equal(t, to, moved.State)
				last := moved.History[len(moved.History)-1]
				require.Equal(t, Step{At: evening, From: from, To: to, By: by.Name, Note: "因故", login: by.Name}, last)
				continue
			}
			var refused *TransitionError
			require.ErrorAs(t, err, &refused)
			require.ErrorIs(t, err, ErrTransition)
			require.Equal(t, TransitionError{No: ev.No, From: from, To: to}, *refused)
		}
	}
}

func TestStepRules(t *testing.T) {
	type move struct {
		to   State
		by   store.User
		note string
		err  error
	}
	toHandling := []move{{to: Accepted, by: li}, {to: Filed, by: li}, {to: Dispatched, by: li}, {to: Handling, by: wang}}
	for _, tc := range []struct {
		name  string
		moves []move
	}{
		{"a rejection needs a reason", []move{{to: Rejected, by: li, note: "  ", err: ErrReason}, {to: Rejected, by: li, note: "重复"}}},
		{"a viewer moves nothing", []move{{to: Accepted, by: look, err: ErrForbidden}}},
		{"who asks for more time does not grant it", append(toHandling[:4:4],
			move{to: ExtensionRequested, by: wang, note: "下雨"},
			move{to: Handling, by: wang, err: ErrSamePerson},
			move{to: Handling, by: li})},
		{"who handled does not verify", append(toHandling[:4:4],
			move{to: FedBack, by: wang, note: "已处理"},
			move{to: Verifying, by: wang, err: ErrSamePerson},
			move{to: Verifying, by: li},
			move{to: Closed, by: wang, err: ErrSamePerson},
			move{to: VerifyFailed, by: wang, note: "好", err: ErrSamePerson},
			move{to: Closed, by: li},
			move{to: Archived, by: li})},
		{"handed back three times at most", []move{
			{to: Accepted, by: li}, {to: Filed, by: li},
			{to: Dispatched, by: li}, {to: Returned, by: wang, note: "1"},
			{to: Dispatched, by: li}, {to: Returned, by: wang, note: "2"},
			{to: Dispatched, by: li}, {to: Returned, by: wang, note: "3"},
			{to: Dispatched, by: li}, {to: Returned, by: wang, note: "4", err: ErrTransition},
			{to: Handling, by: wang},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRoom(t)
			r.alert(t, "a")
			ev, err := r.Confirm(t.Context(), "a", li, Confirmation{})
			require.NoError(t, err)
			for _, m := range tc.moves {
				_, err := r.Transition(t.Context(), ev.No, m.to, m.by, m.note)
				require.ErrorIs(t, err, m.err, "to %s by %s", m.to, m.by.Name)
			}
		})
	}
	r := newRoom(t)
	_, err := r.Transition(t.Context(), "gone", Accepted, li, "")
	require.ErrorIs(t, err, ErrNotFound)
}
