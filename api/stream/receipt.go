package stream

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// doneSuffix is appended to the key of the stream, and the name of the edge to
// that, for the receipts of the edge: a stream of what was committed.
const doneSuffix = ":done:"

const (
	fieldDone = "d"    // in a stream of receipts: tokens, separated by spaces
	maxDone   = 20_000 // receipts kept for an edge that is away; what it loses it sends again
)

// receiptForm is an edge's name and a token: the identity of its outbox, the
// number, and a p for the picture.
var receiptForm = regexp.MustCompile(`^([A-Za-z0-9._-]{1,64})/([0-9a-f]{16}:[0-9]{1,20}p?)$`)

// receipt is what a center sends back for the part.
func (o *Outbox) receipt(p part) string {
	s := o.opt.Node + "/" + o.identity + ":" + strconv.FormatUint(p.seq, 10)
	if p.picture {
		s += "p"
	}
	return s
}

// parts reads tokens of this outbox. Those of an earlier one in the same place,
// whose numbers mean something else, are left out.
func (o *Outbox) parts(tokens string) []part {
	var out []part
	for token := range strings.FieldsSeq(tokens) {
		number, ours := strings.CutPrefix(token, o.identity+":")
		number, picture := strings.CutSuffix(number, "p")
		seq, err := strconv.ParseUint(number, 10, 64)
		if ours && err == nil {
			out = append(out, part{seq, picture})
		}
	}
	return out
}

// readIdentity reads the name by which receipts know this outbox, or makes one.
func readIdentity(dir string) (string, error) {
	path := filepath.Join(dir, "identity")
	b, err := os.ReadFile(path)
	if err == nil && len(b) == 16 {
		return string(b), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	var raw [8]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return "", err
	}
	id := hex.EncodeToString(raw[:])
	if err := writeSynced(path+tmpSuffix, []byte(id)); err != nil {
		return "", err
	}
	if err := os.Rename(path+tmpSuffix, path); err != nil {
		return "", err
	}
	return id, syncDir(dir)
}

// confirm takes the receipts and looks after what stays without one.
func (p *Producer) confirm(ctx context.Context) error {
	wait := backoff{min: p.opt.MinWait, max: p.opt.MaxWait}
	trouble := troubleLog{log: p.log, msg: "producer: cannot read what the centers committed"}
	every := p.opt.CheckEvery
	checked := time.Now()
	for {
		n, err := p.receipts(ctx, p.opt.Block)
		if n > 0 {
			every = p.opt.CheckEvery
		}
		if err == nil && (time.Since(checked) >= every || p.flight.inDoubt()) {
			checked = time.Now()
			if every, err = p.check(ctx, every); err != nil {
				p.flight.suspect()
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			trouble.over("producer: reads what the centers committed again")
			wait.reset()
			continue
		}
		trouble.failed(err)
		p.m.errors.Inc()
		if err := wait.wait(ctx); err != nil {
			return err
		}
	}
}

// receipts waits as long for receipts and takes a page of them; a negative time
// does not wait.
func (p *Producer) receipts(ctx context.Context, patience time.Duration) (int, error) {
	key := p.opt.Stream + doneSuffix + p.opt.Outbox.opt.Node
	// From the beginning each time: what was taken is deleted, and a clock of
	// Redis that jumps back can hide nothing.
	got, err := p.opt.Redis.XRead(ctx, &redis.XReadArgs{Streams: []string{key, "0-0"}, Count: 256, Block: patience}).Result()
	if errors.Is(err, redis.Nil) || err == nil && len(got) == 0 {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var parts []part
	var ids []string
	for _, m := range got[0].Messages {
		ids = append(ids, m.ID)
		if tokens, ok := m.Values[fieldDone].(string); ok {
			parts = append(parts, p.opt.Outbox.parts(tokens)...)
		}
	}
	if err := p.opt.Outbox.ack(parts...); err != nil {
		return 0, err
	}
	p.flight.landed(parts)
	p.flight.prepare(p.opt.Outbox.pictures(parts))
	p.m.confirmed.Add(float64(len(parts)))
	return len(parts), p.opt.Redis.XDel(ctx, key, ids...).Err()
}

// hasScript says of each ID whether the stream has it, without sending bodies.
var hasScript = redis.NewScript(`
local has = {}
for i, id in ipairs(ARGV) do has[i] = #redis.call('XRANGE', KEYS[1], id, id) end
return has
`)

const (
	checkPage = 512
	checkMost = time.Minute // the longest time between two looks
)

// check looks up the oldest parts without a receipt. Centers read in order, so a
// part that Redis lost soon is among them. It returns when to look again: less
// and less often while the centers are away and nothing is missing.
func (p *Producer) check(ctx context.Context, every time.Duration) (time.Duration, error) {
	overdue := p.flight.overdue(time.Now().Add(-p.opt.CheckEvery/2), checkPage)
	lost := 0
	for len(overdue) > 0 {
		page := overdue[:min(checkPage, len(overdue))]
		if other := slices.IndexFunc(page, func(x flown) bool { return x.picture != page[0].picture }); other > 0 {
			page = page[:other] // pictures are in another stream than texts
		}
		overdue = overdue[len(page):]
		key := p.opt.Stream
		if page[0].picture {
			key += PicturesSuffix
		}
		ids := make([]any, len(page))
		for i, x := range page {
			ids[i] = x.id
		}
		has, err := hasScript.Run(ctx, p.opt.Redis, []string{key}, ids...).Int64Slice()
		if err != nil {
			return every, err
		}
		if len(has) != len(page) {
			return every, fmt.Errorf("asked for %d entries, told of %d", len(page), len(has))
		}
		gone := page[:0:0]
		for i, n := range has {
			if n == 0 {
				gone = append(gone, page[i])
			}
		}
		// The receipt stands before the entry goes, so a missing entry without one
		// is lost, and not committed this moment.
		for n := len(gone); n > 0 && err == nil; {
			n, err = p.receipts(ctx, -1)
		}
		if err != nil {
			return every, err
		}
		lost += p.flight.lose(gone)
	}
	if lost == 0 {
		return min(2*every, max(checkMost, p.opt.CheckEvery)), nil
	}
	p.m.resent.Add(float64(lost))
	p.log.Warn("producer: Redis has lost entries before a center had them; they are sent again", "entries", lost)
	return p.opt.CheckEvery, nil
}

// receipts collects what is to be sent back, by the edge that waits for it.
type receipts map[string][]string

// take notes the receipt of an entry, if it brought one.
func (r receipts) take(text string) {
	if m := receiptForm.FindStringSubmatch(text); m != nil {
		r[m[1]] = append(r[m[1]], m[2])
	}
}

// send adds them to the streams that the edges read.
func (r receipts) send(ctx context.Context, pipe redis.Pipeliner, stream string) {
	for node, tokens := range r {
		pipe.XAdd(ctx, &redis.XAddArgs{
			Stream: stream + doneSuffix + node, MaxLen: maxDone, Approx: true,
			Values: []any{fieldDone, strings.Join(tokens, " ")},
		})
	}
}
