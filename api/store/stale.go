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
func (t *Tx) closeStale(ctx context.Context, node string, started time.Time) error {
	var known sql.NullInt64
	err := t.QueryRow(ctx, `SELECT started_at FROM nodes WHERE name = $1`, node).Scan(&known)
	if err != nil || known.Int64 == micro(started) {
		return err // the same life as before: it repeats its report
	}
	var stale []api.Alert
	err = t.each(ctx, `SELECT body FROM alerts WHERE node = $1 AND phase <> $2 AND start_at < $3`,
		[]any{node, string(api.Closed), micro(started)}, func(r *sql.Rows) error {
			var body string
			var a api.Alert
			if err := r.Scan(&body); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(body), &a); err != nil {
				return err
			}
			if a.Last.Before(started) {
				stale = append(stale, a)
			}
			return nil
		})
	if err != nil {
		return fmt.Errorf("incidents left open: %w", err)
	}
	for _, a := range stale {
		end := a.Last
		a.Phase, a.End = api.Closed, &end
		body, err := json.Marshal(a)
		if err == nil {
			_, err = t.Exec(ctx, `UPDATE alerts SET phase = $2, body = $3 WHERE id = $1`, a.ID, string(a.Phase), string(body))
		}
		if err == nil {
			err = t.Changed(ctx, KindAlert, a.ID)
		}
		if err != nil {
			return fmt.Errorf("alert %s left open: %w", a.ID, err)
		}
	}
	return nil
}
