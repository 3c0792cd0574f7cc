package store

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/sharpeyes/sharpeyes/api"
)

// Save keeps a batch of envelopes in one transaction and says what changed.
// When it returns nil everything is on disk and may be acknowledged; after an
// error no row of the batch remains and it should be handed in again (pictures
// that were put before the error wait for that, or for the next expiry). A batch
// without JPEGs waits for no object store. It is
// idempotent and does not mind the order: phases of an incident merge, a closed
// one never opens again, and the newest report of a camera wins.
//
// What can never be kept (no alert ID, a picture that is not what it says or in
// which people are not blurred) is refused, logged and counted, so that one bad
// envelope does not hold up the others; the alert itself is kept without the
// picture. Envelopes are not modified.
func (s *Store) Save(ctx context.Context, batch []*api.Envelope) ([]Change, error) {
	if len(batch) == 0 {
		return nil, nil
	}
	begun := time.Now()
	defer func() { s.metrics.save.Observe(time.Since(begun).Seconds()) }()

	pictures := make([]*incoming, len(batch))
	bytes := false
	for i, e := range batch {
		pictures[i] = s.look(e)
		bytes = bytes || pictures[i] != nil && len(pictures[i].jpeg) > 0
	}
	if bytes { // text waits neither for an expiry nor for the object store
		s.pictures.RLock()
		defer s.pictures.RUnlock()
		if err := s.putPictures(ctx, batch, pictures); err != nil {
			return nil, err
		}
	}
	results := make([]saved, len(batch))
	changes, err := s.update(ctx, func(t *Tx) error {
		if err := t.readAlerts(ctx, alertsOf(batch)); err != nil {
			return err
		}
		for i, e := range batch {
			r, err := s.saveOne(ctx, t, e, pictures[i])
			if err != nil {
				return fmt.Errorf("store: envelope %s/%d: %w", e.Node, e.Seq, err)
			}
			results[i] = r
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, e := range batch {
		s.metrics.envelopes.WithLabelValues(body(e), string(results[i])).Inc()
	}
	return changes, nil
}

// saved is what became of an envelope; it is a metric label.
type saved string

const (
	savedNew       saved = "saved"
	savedUnchanged saved = "unchanged" // nothing in it was new
	savedRefused   saved = "refused"   // can never be kept
)

func body(e *api.Envelope) string {
	switch {
	case e.Alert != nil:
		return "alert"
	case e.Picture != nil:
		return "picture"
	case e.Camera != nil:
		return "camera"
	case e.Operation != nil:
		return "operation"
	}
	return "node"
}

func (s *Store) saveOne(ctx context.Context, t *Tx, e *api.Envelope, p *incoming) (saved, error) {
	if why := refusal(e); why != "" {
		s.log.Error("envelope refused", "node", e.Node, "seq", e.Seq, "why", why)
		return savedRefused, nil
	}
	if e.Picture == nil { // a picture has the number of its alert, which was counted
		restarted, err := t.trackNode(ctx, e)
		if err != nil {
			return "", err
		}
		if restarted {
			s.log.Warn("node numbers its envelopes from the beginning again, its outbox was lost or replaced", "node", e.Node, "seq", e.Seq)
		}
	}
	changed := true
	var err error
	switch {
	case e.Alert != nil:
		changed, err = t.saveAlert(ctx, e, p)
	case e.Picture != nil:
		changed, err = t.savePicture(ctx, e.Picture, p)
	case e.Camera != nil:
		changed, err = t.saveCamera(ctx, e)
	}
	if !changed {
		return savedUnchanged, err
	}
	return savedNew, err
}

// refusal says why an envelope can never be kept, or "".
func refusal(e *api.Envelope) string {
	switch {
	case e.Node == "" || e.Seq == 0 || e.Seq > math.MaxInt64:
		return "no node or number"
	case e.Alert == nil && e.Picture == nil && e.Camera == nil && e.NodeUp == nil && e.Operation == nil:
		return "no body"
	case e.Alert != nil && (e.Alert.ID == "" || e.Alert.Camera == ""):
		return "alert without ID or camera"
	case e.Picture != nil && (e.Picture.Alert == "" || e.Picture.Camera == ""):
		return "picture without alert or camera"
	case e.Camera != nil && e.Camera.Camera.ID == "":
		return "camera report without ID"
	}
	return ""
}

// alertsOf returns the IDs of the alerts that the batch tells of.
func alertsOf(batch []*api.Envelope) []string {
	var ids []string
	for _, e := range batch {
		switch {
		case e.Alert != nil:
			ids = append(ids, e.Alert.ID)
		case e.Picture != nil:
			ids = append(ids, e.Picture.Alert)
		}
	}
	return ids
}

func (t *Tx) saveAlert(ctx context.Context, e *api.Envelope, p *incoming) (bool, error) {
	a := *e.Alert
	a.Picture = nil
	if p != nil {
		a.Picture = &p.AlertPicture
	}
	row, err := t.alert(ctx, a.ID)
	if err != nil {
		return false, err
	}
	if row.body != "" {
		if row.expired {
			a.Picture = nil // its time is over; a late double brings nothing back
		}
		var old api.Alert
		if err := json.Unmarshal([]byte(row.body), &old); err != nil {
			return false, fmt.Errorf("alert %s: kept body: %w", a.ID, err)
		}
		a = merge(old, a)
	}
	t.closeLate(e, &a)
	after, err := json.Marshal(a)
	if err != nil {
		return false, fmt.Errorf("alert %s: %w", a.ID, err)
	}
	shows := p != nil && p.here && !row.expired && a.Picture != nil
	if string(after) == row.body && !(shows && row.picture.String != a.Picture.SHA256) {
		return false, nil
	}
	if shows && a.Picture.SHA256 == p.SHA256 {
		t.show(row, a.Picture)
	}
	if row.body == "" {
		t.describeAlert(row, e, &a)
	}
	row.phase, row.start, row.body = string(a.Phase), Micro(a.Start), string(after)
	return true, t.touch(ctx, row)
}

// describeAlert fills the columns that stay as the first word of an alert says.
func (t *Tx) describeAlert(row *keptAlert, e *api.Envelope, a *api.Alert) {
	late := t.Now().Sub(a.Received)
	if late < 0 || a.Received.IsZero() {
		late = 0
	}
	row.camera, row.node, row.kind = string(a.Camera), e.Node, string(a.Kind)
	row.received, row.late = Micro(t.Now()), late.Microseconds()
}

// lastOfEach keeps the latest change of each thing, in order: a batch often
// carries several phases of one incident.
func lastOfEach(changes []Change) []Change {
	type thing struct {
		kind ChangeKind
		id   string
	}
	last := make(map[thing]int64, len(changes))
	for _, c := range changes {
		last[thing{c.Kind, c.ID}] = c.Seq
	}
	out := changes[:0]
	for _, c := range changes {
		if last[thing{c.Kind, c.ID}] == c.Seq {
			out = append(out, c)
		}
	}
	return out
}
