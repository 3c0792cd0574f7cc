package stream

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sharpeyes/sharpeyes/api"
)

// ErrNoLetter says that there is no dead letter of this ID: it was requeued or
// deleted already.
var ErrNoLetter = errors.New("no such dead letter")

// DeadLetter is a message that no center could take, without its picture.
type DeadLetter struct {
	ID         string    // among the dead letters
	At         time.Time // when it became one
	Reason     string    // unreadable, deliveries or rejected
	Error      string    // what the handler said
	Entry      string    // ID that it had in its stream
	Deliveries int64     // how often it was tried
	Node       string    // the edge's name, as the entry says
	Version    string    // of the envelope
	Kind       string    // alert, picture, camera, node; "" when it cannot be read
	Camera     string    // "" when it cannot be read or has none
	Alert      string    // ID of the alert, if it is one or a picture of one
	Bytes      int64     // of text and picture
}

// DeadLetters looks after the dead letters of a stream. It is safe for concurrent
// use.
type DeadLetters struct {
	redis  redis.UniversalClient
	stream string
}

// NewDeadLetters returns the dead letters of the stream of that key. The client
// stays the caller's.
func NewDeadLetters(client redis.UniversalClient, stream string) *DeadLetters {
	return &DeadLetters{client, stream}
}

// listScript returns dead letters, newest first, with the size of a picture in
// place of its bytes, and how many there are.
var listScript = redis.NewScript(`
local got = redis.call('XREVRANGE', KEYS[1], ARGV[1], '-', 'COUNT', ARGV[2])
for _, x in ipairs(got) do
  for i = 1, #x[2], 2 do
    if x[2][i] == 'jpeg' then x[2][i+1] = tostring(#x[2][i+1]) end
  end
end
return {got, redis.call('XLEN', KEYS[1])}
`)

// requeueScript moves a dead letter back to the end of the stream that it came
// from, in one step. It returns the new ID, or nothing when there is no such
// letter.
var requeueScript = redis.NewScript(`
local got = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
if #got == 0 then return false end
local f, to, keep = got[1][2], KEYS[2], {e=1, z=1, jpeg=1, v=1, node=1}
local fields = {}
for i = 1, #f, 2 do
  if keep[f[i]] then
    fields[#fields+1] = f[i]
    fields[#fields+1] = f[i+1]
  elseif f[i] == 'from' and f[i+1] == ':pictures' then
    to = KEYS[3]
  end
end
if #fields == 0 then return redis.error_reply('EMPTY the dead letter has nothing of an entry') end
local id = redis.call('XADD', to, '*', unpack(fields))
redis.call('XDEL', KEYS[1], ARGV[1])
return id
`)

// letterForm is the ID of an entry.
var letterForm = regexp.MustCompile(`^[0-9]{1,20}-[0-9]{1,20}$`)

// List returns dead letters, newest first, at most limit (1 to 500, else 50), and
// how many there are. before is the next of an earlier page, or ""; next is "" on
// the last page.
func (d *DeadLetters) List(ctx context.Context, before string, limit int) (letters []DeadLetter, next string, all int64, err error) {
	if limit < 1 || limit > 500 {
		limit = 50
	}
	from := "+"
	if before != "" {
		if !letterForm.MatchString(before) {
			return nil, "", 0, fmt.Errorf("before %q: %w", before, ErrNoLetter)
		}
		from = "(" + before
	}
	reply, err := listScript.Run(ctx, d.redis, []string{d.stream + DeadSuffix}, from, limit+1).Slice()
	if err != nil {
		return nil, "", 0, fmt.Errorf("dead letters: %w", err)
	}
	if len(reply) != 2 {
		return nil, "", 0, fmt.Errorf("dead letters: %d parts", len(reply))
	}
	rows, _ := reply[0].([]any)
	all, _ = reply[1].(int64)
	for _, row := range rows {
		letters = append(letters, parseLetter(row))
	}
	if len(letters) > limit {
		letters = letters[:limit]
		next = letters[limit-1].ID
	}
	return letters, next, all, nil
}

// parseLetter reads what it can: a letter with a field missing is shown too.
func parseLetter(row any) DeadLetter {
	var l DeadLetter
	parts, _ := row.([]any)
	if len(parts) != 2 {
		return l
	}
	l.ID, _ = parts[0].(string)
	pairs, _ := parts[1].([]any)
	fields := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if name, ok := pairs[i].(string); ok {
			fields[name] = pairs[i+1]
		}
	}
	text := func(name string) string { s, _ := fields[name].(string); return s }
	number := func(name string) int64 { n, _ := strconv.ParseInt(text(name), 10, 64); return n }
	l.At, _ = time.Parse(time.RFC3339Nano, text(letterAt))
	l.Reason, l.Error, l.Entry, l.Deliveries = text(letterReason), text(letterError), text(letterID), number(letterDeliveries)
	l.Node, l.Version = text(fieldNode), text(fieldVersion)
	l.Bytes = int64(len(text(fieldEnvelope))+len(text(fieldDeflated))) + number(fieldJPEG)
	envelope, err := envelopeText(fields)
	if err != nil {
		return l
	}
	e, err := api.ParseEnvelope(envelope)
	if err != nil {
		return l
	}
	switch {
	case e.Alert != nil:
		l.Kind, l.Camera, l.Alert = "alert", string(e.Alert.Camera), e.Alert.ID
	case e.Picture != nil:
		l.Kind, l.Camera, l.Alert = "picture", string(e.Picture.Camera), e.Picture.Alert
	case e.Camera != nil:
		l.Kind, l.Camera = "camera", string(e.Camera.Camera.ID)
	default:
		l.Kind = "node"
	}
	return l
}

// Get returns one dead letter, or ErrNoLetter.
func (d *DeadLetters) Get(ctx context.Context, id string) (DeadLetter, error) {
	if !letterForm.MatchString(id) {
		return DeadLetter{}, fmt.Errorf("%q: %w", id, ErrNoLetter)
	}
	reply, err := listScript.Run(ctx, d.redis, []string{d.stream + DeadSuffix}, id, 1).Slice()
	if err != nil {
		return DeadLetter{}, fmt.Errorf("dead letter %s: %w", id, err)
	}
	if rows, _ := reply[0].([]any); len(rows) == 1 {
		if l := parseLetter(rows[0]); l.ID == id {
			return l, nil
		}
	}
	return DeadLetter{}, fmt.Errorf("%s: %w", id, ErrNoLetter)
}

// Requeue moves a dead letter back to the end of its stream, where it is tried
// anew, in one step: it is never in both places and never in neither. It is
// ErrNoLetter when it is gone.
func (d *DeadLetters) Requeue(ctx context.Context, id string) error {
	if !letterForm.MatchString(id) {
		return fmt.Errorf("%q: %w", id, ErrNoLetter)
	}
	keys := []string{d.stream + DeadSuffix, d.stream, d.stream + PicturesSuffix}
	err := requeueScript.Run(ctx, d.redis, keys, id).Err()
	if errors.Is(err, redis.Nil) {
		return fmt.Errorf("%s: %w", id, ErrNoLetter)
	}
	if err != nil {
		return fmt.Errorf("dead letter %s: requeue: %w", id, err)
	}
	return nil
}

// Delete removes a dead letter for ever, or says ErrNoLetter.
func (d *DeadLetters) Delete(ctx context.Context, id string) error {
	if !letterForm.MatchString(id) {
		return fmt.Errorf("%q: %w", id, ErrNoLetter)
	}
	n, err := d.redis.XDel(ctx, d.stream+DeadSuffix, id).Result()
	if err != nil {
		return fmt.Errorf("dead letter %s: delete: %w", id, err)
	}
	if n == 0 {
		return fmt.Errorf("%s: %w", id, ErrNoLetter)
	}
	return nil
}
