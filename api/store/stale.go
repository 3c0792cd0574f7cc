package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sharpeyes/sharpeyes/api"
)

// closeStale closes the incidents that an earlier life of the node left open.
// The rules that opened them are gone with that life (kill -9, power), so nobody
// else would: the wall would say "ongoing" for ever. They end when they were
// last seen. What the earlier life still had in its outbox came before this.
func (t *Tx) closeStale(ctx context.Context, node string, known int64, started time.Time) error {
	if known == Micro(started) {
		return nil // the same life as before: it repeats its report
	}
	if err := t.writeAlerts(ctx); err != nil { // what the query below looks for
		return err
	}
	var stale []api.Alert
	var ids []string
	err := t.each(ctx, `SELECT body FROM alerts WHERE node = $1 AND phase <> $2 AND start_at < $3`,
		[]any{node, string(api.Closed), Micro(started)}, func(r *sql.Rows) error {
			var body string
			var a api.Alert
			if err := r.Scan(&body); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(body), &a); err != nil {
				return err
			}
			if a.Last.Before(started) {
				stale, ids = append(stale, a), append(ids, a.ID)
			}
			return nil
		})
	if err != nil {
		return fmt.Errorf("incidents left open: %w", err)
	}
	if err := t.readAlerts(ctx, ids); err != nil {
		return err
	}
	for _, a := range stale {
		closeAtLast(&a)
		body, err := json.Marshal(a)
		if err == nil {
			row := t.alerts[a.ID]
			row.phase, row.body = string(a.Phase), string(body)
			err = t.touch(ctx, row)
		}
		if err != nil {
			return fmt.Errorf("alert %s left open: %w", a.ID, err)
		}
	}
	return nil
}

// closeLate closes an incident that an earlier life of its node wrote down and
// that comes only now, after the new life has reported itself: closeStale has been
// here already.
func (t *Tx) closeLate(e *api.Envelope, a *api.Alert) {
	if a.Phase == api.Closed || e.Time.IsZero() {
		return
	}
	if started := t.nodes[e.Node].started; Micro(e.Time) < started && Micro(a.Last) < started {
		closeAtLast(a)
	}
}

// closeAtLast ends an incident when it was last seen.
func closeAtLast(a *api.Alert) {
	end := a.Last
	a.Phase, a.End = api.Closed, &end
}
