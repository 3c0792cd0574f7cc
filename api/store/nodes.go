package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sharpeyes/sharpeyes/api"
)

// NodeRow is one edge as the center sees it.
type NodeRow struct {
	Name    string
	LastSeq uint64 // highest envelope number seen
	Missing uint64 // numbers below LastSeq that never came
	Version string
	Started time.Time // zero until the node reported itself
	Cameras int
	Seen    time.Time // when it was last heard of

	Devices *api.DeviceReport // nil when it is no GB/T 28181 platform
}

// nodeState is what a transaction knows of a node.
type nodeState struct {
	last, newest, seen, started int64 // as the columns last_seq, newest_at, seen_at, started_at
	gaps                        []*gap
}

// gap is a row of node_gaps into which numbers have come, and what is left of it.
// A backlog fills one range number by number: the row is written once for all of
// a batch.
type gap struct {
	from, to int64
	left     [][2]int64
}

// fill takes a number out of what is left; false when it was not missing.
func (g *gap) fill(seq int64) bool {
	i := slices.IndexFunc(g.left, func(r [2]int64) bool { return r[0] <= seq && seq <= r[1] })
	if i < 0 {
		return false
	}
	r := g.left[i]
	rest := slices.DeleteFunc([][2]int64{{r[0], seq - 1}, {seq + 1, r[1]}}, func(r [2]int64) bool { return r[0] > r[1] })
	g.left = slices.Replace(g.left, i, i+1, rest...)
	return true
}

// node returns what is known of a node, and makes its row when there is none: what
// came before this center's first day is not missing.
func (t *Tx) node(ctx context.Context, e *api.Envelope, seen int64) (*nodeState, error) {
	if n := t.nodes[e.Node]; n != nil {
		return n, nil
	}
	var n nodeState
	err := t.QueryRow(ctx, `SELECT last_seq, newest_at, seen_at, started_at FROM nodes WHERE name = $1`, e.Node).
		Scan(&n.last, &n.newest, &n.seen, &n.started)
	if errors.Is(err, sql.ErrNoRows) {
		n = nodeState{last: int64(e.Seq), newest: Micro(e.Time), seen: seen}
		_, err = t.Exec(ctx, `INSERT INTO nodes (name, last_seq, newest_at, seen_at) VALUES ($1, $2, $3, $4)`, e.Node, n.last, n.newest, n.seen)
	}
	if err != nil {
		return nil, err
	}
	if t.nodes == nil {
		t.nodes = map[string]*nodeState{}
	}
	t.nodes[e.Node] = &n
	return &n, nil
}

// writeNodes writes what the transaction heard of nodes.
func (t *Tx) writeNodes(ctx context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(t.nodes)) {
		n := t.nodes[name]
		_, err := t.Exec(ctx, `UPDATE nodes SET last_seq = $2, newest_at = $3, seen_at = $4, started_at = $5 WHERE name = $1`,
			name, n.last, n.newest, n.seen, n.started)
		if err != nil {
			return fmt.Errorf("store: node %s: %w", name, err)
		}
		if err := t.writeGaps(ctx, name, n.gaps); err != nil {
			return fmt.Errorf("store: node %s: numbers that did not come: %w", name, err)
		}
	}
	return nil
}

// writeGaps replaces rows by what is left of them.
func (t *Tx) writeGaps(ctx context.Context, node string, gaps []*gap) error {
	var rows [][]any
	for _, g := range gaps {
		if _, err := t.Exec(ctx, `DELETE FROM node_gaps WHERE node = $1 AND from_seq = $2`, node, g.from); err != nil {
			return err
		}
		for _, r := range g.left {
			rows = append(rows, []any{node, r[0], r[1]})
		}
	}
	return t.insert(ctx, "INSERT INTO node_gaps (node, from_seq, to_seq) VALUES ", 3, "", rows)
}

// trackNode notes that a node lives and which of its numbers came. It answers
// true when the node began to number anew: a number that was passed long ago,
// under a time later than any seen.
func (t *Tx) trackNode(ctx context.Context, e *api.Envelope) (restarted bool, err error) {
	seq, sent := int64(e.Seq), Micro(e.Time)
	// A backlog read after a night says nothing of the node's life now, and a
	// node's clock may be ahead: the earlier of the two clocks is the safe one.
	seen := min(sent, Micro(t.Now()))
	n, err := t.node(ctx, e, seen)
	if err != nil {
		return false, fmt.Errorf("node %s: %w", e.Node, err)
	}
	newest := n.newest
	switch {
	case seq > n.last:
		if seq > n.last+1 {
			_, err = t.Exec(ctx, `INSERT INTO node_gaps (node, from_seq, to_seq) VALUES ($1, $2, $3)`, e.Node, n.last+1, seq-1)
		}
		n.last = seq
	case seq < n.last:
		var filled bool
		if filled, err = t.fillGap(ctx, e.Node, n, seq); err == nil && !filled && sent > newest {
			restarted, n.last, n.gaps = true, seq, nil
			_, err = t.Exec(ctx, `DELETE FROM node_gaps WHERE node = $1`, e.Node)
		}
	}
	n.newest, n.seen = max(n.newest, sent), max(n.seen, seen)
	if err == nil && e.NodeUp != nil && sent >= newest {
		if err = t.closeStale(ctx, e.Node, n.started, e.NodeUp.Started); err == nil {
			n.started = Micro(e.NodeUp.Started)
			err = t.describeNode(ctx, e)
		}
	}
	if err != nil {
		return false, fmt.Errorf("node %s: %w", e.Node, err)
	}
	return restarted, nil
}

// describeNode keeps what a node says of itself.
func (t *Tx) describeNode(ctx context.Context, e *api.Envelope) error {
	var devices []byte
	if e.NodeUp.GB28181 != nil {
		var err error
		if devices, err = json.Marshal(e.NodeUp.GB28181); err != nil {
			return err
		}
	}
	_, err := t.Exec(ctx, `UPDATE nodes SET version = $2, cameras = $3, devices = $4 WHERE name = $1`,
		e.Node, e.NodeUp.Version, e.NodeUp.Cameras, string(devices))
	return err
}

// fillGap takes a late number out of the range that misses it.
func (t *Tx) fillGap(ctx context.Context, node string, n *nodeState, seq int64) (bool, error) {
	for _, g := range n.gaps {
		if g.from <= seq && seq <= g.to {
			return g.fill(seq), nil
		}
	}
	var g gap
	err := t.QueryRow(ctx, `SELECT from_seq, to_seq FROM node_gaps WHERE node = $1 AND from_seq <= $2 AND to_seq >= $2`, node, seq).Scan(&g.from, &g.to)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	g.left = [][2]int64{{g.from, g.to}}
	n.gaps = append(n.gaps, &g)
	return g.fill(seq), nil
}

// Nodes returns all edges that were ever heard of, by name.
func (s *Store) Nodes(ctx context.Context) ([]NodeRow, error) {
	var out []NodeRow
	err := s.View(ctx, func(t *Tx) error {
		const q = `SELECT n.name, n.last_seq, n.version, n.started_at, n.cameras, n.seen_at, n.devices,
			(SELECT COALESCE(SUM(g.to_seq - g.from_seq + 1), 0) FROM node_gaps g WHERE g.node = n.name)
			FROM nodes n ORDER BY n.name`
		return t.each(ctx, q, nil, func(r *sql.Rows) error {
			var n NodeRow
			var started, seen int64
			var devices string
			if err := r.Scan(&n.Name, &n.LastSeq, &n.Version, &started, &n.Cameras, &seen, &devices, &n.Missing); err != nil {
				return err
			}
			if devices != "" {
				if err := json.Unmarshal([]byte(devices), &n.Devices); err != nil {
					return fmt.Errorf("node %s: kept report: %w", n.Name, err)
				}
			}
			n.Started, n.Seen = FromMicro(started), FromMicro(seen)
			out = append(out, n)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("store: nodes: %w", err)
	}
	return out, nil
}
