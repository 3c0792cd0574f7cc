package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sharpeyes/sharpeyes/api"
)

// CameraRow is one camera as it was last reported.
type CameraRow struct {
	Camera   api.Camera
	State    api.State
	Node     string
	Reported time.Time // when the edge made the report
	NodeSeen time.Time // when its node was last heard of
	Removed  bool      // no longer configured at any node
}

// Online answers whether the camera works at now. It is Unknown when the node
// was silent for longer than offlineAfter: what is not measured is never good.
func (c CameraRow) Online(now time.Time, offlineAfter time.Duration) api.Value {
	if now.Sub(c.NodeSeen) > offlineAfter {
		return api.Unknown
	}
	return c.State.Online()
}

// saveCamera keeps a report and answers whether the camera is now another than
// before. Each node has its own row, so that a camera which moves from one edge
// to another ends the same in whatever order the two tell it.
func (t *Tx) saveCamera(ctx context.Context, e *api.Envelope) (bool, error) {
	c, st := e.Camera.Camera, e.Camera.State
	record, err := json.Marshal(c)
	if err != nil {
		return false, fmt.Errorf("camera %s: %w", c.ID, err)
	}
	state, err := json.Marshal(st)
	if err != nil {
		return false, fmt.Errorf("camera %s: %w", c.ID, err)
	}
	before, err := t.latestCamera(ctx, c.ID)
	if err != nil {
		return false, err
	}
	_, err = t.Exec(ctx, `INSERT INTO cameras (id, node, latest, record, state, division, point, legal_basis, in_use,
			registered, transport, frames, picture, recording, reported_at, reported_seq, removed)
		VALUES ($1, $2, 0, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
		ON CONFLICT (id, node) DO UPDATE SET record = excluded.record, state = excluded.state, division = excluded.division,
			point = excluded.point, legal_basis = excluded.legal_basis, in_use = excluded.in_use,
			registered = excluded.registered, transport = excluded.transport, frames = excluded.frames,
			picture = excluded.picture, recording = excluded.recording,
			reported_at = excluded.reported_at, reported_seq = excluded.reported_seq, removed = excluded.removed
		WHERE excluded.reported_at > cameras.reported_at
			OR (excluded.reported_at = cameras.reported_at AND excluded.reported_seq > cameras.reported_seq)`,
		string(c.ID), e.Node, string(record), string(state), c.Division, c.Point, c.LegalBasis, Flag(c.InUse),
		st.Registered.Value.String(), st.Transport.Value.String(), st.Frames.Value.String(),
		st.Picture.Value.String(), st.Recording.Value.String(), Micro(e.Time), int64(e.Seq), Flag(e.Camera.Removed))
	if err != nil {
		return false, fmt.Errorf("camera %s: %w", c.ID, err)
	}
	if err := t.chooseLatest(ctx, c.ID); err != nil {
		return false, err
	}
	after, err := t.latestCamera(ctx, c.ID)
	if err != nil || after == before {
		return false, err
	}
	return true, t.Changed(ctx, KindCamera, string(c.ID))
}

// chooseLatest marks the newest living report of a camera, or the newest of all
// when every node has removed it.
func (t *Tx) chooseLatest(ctx context.Context, id api.CameraID) error {
	_, err := t.Exec(ctx, `UPDATE cameras SET latest = 0 WHERE id = $1 AND latest = 1`, string(id))
	if err == nil {
		_, err = t.Exec(ctx, `UPDATE cameras SET latest = 1 WHERE id = $1 AND node =
			(SELECT node FROM cameras WHERE id = $1 ORDER BY removed, reported_at DESC, node LIMIT 1)`, string(id))
	}
	if err != nil {
		return fmt.Errorf("camera %s: %w", id, err)
	}
	return nil
}

// latestCamera returns what people see of a camera as one comparable value. The
// seconds of its analysis are not in it: they differ in every report, and a change
// goes to every browser.
func (t *Tx) latestCamera(ctx context.Context, id api.CameraID) (v [3]string, err error) {
	var removed string
	err = t.QueryRow(ctx, `SELECT node, record, state, removed FROM cameras WHERE id = $1 AND latest = 1`, string(id)).
		Scan(&v[0], &v[1], &v[2], &removed)
	if errors.Is(err, sql.ErrNoRows) {
		return v, nil
	}
	if err != nil {
		return v, err
	}
	v[0] += "\x00" + removed
	var st api.State
	if err := json.Unmarshal([]byte(v[2]), &st); err != nil {
		return v, fmt.Errorf("state of camera %s: %w", id, err)
	}
	st.Analysis.Analysed, st.Analysis.Of = 0, 0
	b, err := json.Marshal(st)
	v[2] = string(b)
	return v, err
}

const cameraQuery = `SELECT c.record, c.state, c.node, c.reported_at, c.removed, COALESCE(n.seen_at, 0)
	FROM cameras c LEFT JOIN nodes n ON n.name = c.node WHERE c.latest = 1`

// Cameras returns all cameras that are configured at some node, by ID.
func (s *Store) Cameras(ctx context.Context) ([]CameraRow, error) {
	var out []CameraRow
	err := s.View(ctx, func(t *Tx) (err error) {
		out, err = t.cameras(ctx, cameraQuery+` AND c.removed = 0 ORDER BY c.id`)
		return err
	})
	return out, err
}

// Camera returns one camera, also a removed one, or ErrNotFound.
func (s *Store) Camera(ctx context.Context, id api.CameraID) (CameraRow, error) {
	var out CameraRow
	err := s.View(ctx, func(t *Tx) (err error) {
		out, err = t.Camera(ctx, id)
		return err
	})
	return out, err
}

// Camera returns one camera, also a removed one, or ErrNotFound.
func (t *Tx) Camera(ctx context.Context, id api.CameraID) (CameraRow, error) {
	rows, err := t.cameras(ctx, cameraQuery+` AND c.id = $1`, string(id))
	if err != nil {
		return CameraRow{}, err
	}
	if len(rows) == 0 {
		return CameraRow{}, fmt.Errorf("camera %s: %w", id, ErrNotFound)
	}
	return rows[0], nil
}

func (t *Tx) cameras(ctx context.Context, query string, args ...any) ([]CameraRow, error) {
	var out []CameraRow
	err := t.each(ctx, query, args, func(r *sql.Rows) error {
		var c CameraRow
		var record, state string
		var reported, seen int64
		if err := r.Scan(&record, &state, &c.Node, &reported, &c.Removed, &seen); err != nil {
			return err
		}
		c.Reported, c.NodeSeen = FromMicro(reported), FromMicro(seen)
		out = append(out, c)
		return errors.Join(json.Unmarshal([]byte(record), &out[len(out)-1].Camera), json.Unmarshal([]byte(state), &out[len(out)-1].State))
	})
	if err != nil {
		return nil, fmt.Errorf("store: cameras: %w", err)
	}
	return out, nil
}
