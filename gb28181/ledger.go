package gb28181

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/emiago/sipgo/sip"
)

const (
	ledgerName  = "gb28181-calls.jsonl" // in Options.Dir
	ledgerLines = 1024                  // beyond four times what stands, before it is written anew
	// cseqAfterCrash is added to the CSeq of a call that a crash left behind, for
	// the requests inside it that were not noted.
	cseqAfterCrash = 1000
)

// noted is a line of the ledger: a call that stands, or the Call-ID of one that
// has ended.
type noted struct {
	Ended   string `json:"ended,omitempty"`
	CallID  string `json:"call_id,omitempty"`
	Device  string `json:"device,omitempty"`
	Target  string `json:"target,omitempty"`
	Tag     string `json:"tag,omitempty"`     // ours
	PeerTag string `json:"to_tag,omitempty"`  // the device's
	Contact string `json:"contact,omitempty"` // the device's
	CSeq    uint32 `json:"cseq,omitempty"`
}

// ledger notes the calls that stand, so that they can be hung up after a crash:
// a device that goes on sending answers 486 to the next call, and wastes its
// link until then. Without a directory it notes nothing.
type ledger struct {
	name string

	mu    sync.Mutex
	file  *os.File
	lines int
	open  map[string]noted
	left  map[string][]noted // of before our start, by device
}

func newLedger(dir string) *ledger {
	l := &ledger{open: make(map[string]noted), left: make(map[string][]noted)}
	if dir != "" {
		l.name = filepath.Join(dir, ledgerName)
	}
	return l
}

// load reads what a process before us left, and begins to write.
func (l *ledger) load() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.name == "" {
		return nil
	}
	f, err := os.Open(l.name)
	if errors.Is(err, fs.ErrNotExist) {
		return l.rewrite()
	}
	if err != nil {
		return err
	}
	stood := make(map[string]noted)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var n noted
		if json.Unmarshal(lines.Bytes(), &n) != nil {
			continue // cut off by the crash
		}
		if n.Ended != "" {
			delete(stood, n.Ended)
		} else if len(stood) < maxCalls {
			stood[n.CallID] = n
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	for _, n := range stood {
		l.left[n.Device] = append(l.left[n.Device], n)
	}
	return l.rewrite()
}

// rewrite begins a new file with what stands and what was left; mu is held.
func (l *ledger) rewrite() error {
	f, err := os.OpenFile(l.name+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if l.file != nil {
		_ = l.file.Close() // what is in it is written anew
	}
	l.file, l.lines = f, 0
	for _, n := range l.open {
		l.append(n)
	}
	for _, left := range l.left {
		for _, n := range left {
			l.append(n)
		}
	}
	return os.Rename(l.name+".new", l.name)
}

// append writes a line; mu is held. One that cannot be written costs a comfort
// after a crash, no more.
func (l *ledger) append(n noted) {
	if l.file == nil {
		return
	}
	if b, err := json.Marshal(n); err == nil {
		_, _ = l.file.Write(append(b, '\n'))
		l.lines++
	}
}

// begun notes a call.
func (l *ledger) begun(d *dialog) {
	answer := d.Answer()
	if l.name == "" || answer == nil {
		return
	}
	n := noted{CallID: d.callID, Device: d.dev.id, Target: d.target, Tag: d.tag, CSeq: 1}
	if to := answer.To(); to != nil {
		n.PeerTag, _ = to.Params.Get("tag")
	}
	if c := answer.Contact(); c != nil && !c.Address.Wildcard {
		n.Contact = c.Address.String()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[n.CallID] = n
	l.append(n)
}

// ended notes that a call is over.
func (l *ledger) ended(callID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.name == "" {
		return
	}
	delete(l.open, callID)
	l.append(noted{Ended: callID})
	if l.file != nil && l.lines > ledgerLines+4*len(l.open) {
		_ = l.rewrite() // the old file stays then, and grows
	}
}

// take returns what was left at a device, once.
func (l *ledger) take(device string) []noted {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := l.left[device]
	delete(l.left, device)
	return left
}

func (l *ledger) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		_ = l.file.Close() // each line was written at once
		l.file = nil
	}
}

// hangUpLeft ends the calls that we left at a device when we crashed.
func (c *calls) hangUpLeft(ctx context.Context, dev *device) {
	for _, n := range c.ledger.take(dev.id) {
		d := &dialog{p: c.p, dev: dev, target: n.Target, callID: n.CallID, tag: n.Tag, done: make(chan struct{}), cseq: n.CSeq + cseqAfterCrash, answer: n.answer()}
		limit, cancel := context.WithTimeout(ctx, byeWithin)
		err := d.bye(limit)
		cancel()
		c.p.log.Info("hung up a call of before the restart", "device", dev.id, "channel", n.Target, "error", err)
		c.ledger.ended(n.CallID)
	}
}

// answer is what of the device's answer is needed to speak inside the call.
func (n noted) answer() *sip.Response {
	res := sip.NewResponse(200, "OK")
	to := &sip.ToHeader{Address: sip.Uri{Scheme: "sip", User: n.Target}}
	if n.PeerTag != "" {
		to.Params.Add("tag", n.PeerTag)
	}
	res.AppendHeader(to)
	var uri sip.Uri
	if n.Contact != "" && sip.ParseUri(n.Contact, &uri) == nil {
		res.AppendHeader(&sip.ContactHeader{Address: uri})
	}
	return res
}
