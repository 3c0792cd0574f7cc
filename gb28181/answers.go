package gb28181

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Bounds of the answers that are kept.
const (
	answerLife  = 32 * time.Second // 64·T1 (RFC 3261 §17.2.2)
	maxAnswers  = 65536
	answerBytes = 48 << 20
)

// answerKey names a request: where it came from, its transaction, and what
// distinguishes requests of devices that use one branch for all. It is a keyed
// hash, so that nobody can make two requests collide.
type answerKey uint64

// answers are the final answers of server transactions over UDP (RFC 3261
// §17.2.2), kept for devices that did not get them. What may be done twice without
// harm, a challenge or a keepalive, is not kept.
type answers struct {
	seed maphash.Seed

	mu    sync.Mutex
	kept  map[answerKey][]byte
	order []keptAnswer // ring, oldest first
	head  int
	bytes int
}

type keptAnswer struct {
	key answerKey
	at  time.Time
}

func newAnswers() *answers {
	return &answers{seed: maphash.MakeSeed(), kept: make(map[answerKey][]byte)}
}

func (a *answers) key(req *sip.Request, from route) answerKey {
	var h maphash.Hash
	h.SetSeed(a.seed)
	ip := from.addr.Addr().As16()
	_, _ = h.Write(ip[:])
	branch, _ := req.Via().Params.Get("branch")
	for _, s := range [...]string{branch, req.CallID().Value(), string(req.Method), header(req, "Authorization")} {
		_, _ = h.WriteString(s)
		_ = h.WriteByte(0)
	}
	_, _ = h.Write(req.Body())
	n := req.CSeq().SeqNo
	_, _ = h.Write([]byte{byte(from.addr.Port() >> 8), byte(from.addr.Port()), byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	return answerKey(h.Sum64())
}

// keep remembers the answer to a request over UDP; connections lose nothing.
func (a *answers) keep(req *sip.Request, from route, answer []byte, now time.Time) {
	if from.network != "udp" {
		return
	}
	k := a.key(req, from)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(now)
	for len(a.order)-a.head >= maxAnswers || a.bytes+len(answer) > answerBytes {
		a.dropOldest()
	}
	if _, twice := a.kept[k]; twice {
		return
	}
	a.kept[k] = answer
	a.bytes += len(answer)
	a.order = append(a.order, keptAnswer{k, now})
}

// find returns the answer that was given to the same request.
func (a *answers) find(req *sip.Request, from route) ([]byte, bool) {
	if from.network != "udp" {
		return nil, false
	}
	k := a.key(req, from)
	a.mu.Lock()
	defer a.mu.Unlock()
	answer, ok := a.kept[k]
	return answer, ok
}

// drop forgets what is too old. The caller holds the lock.
func (a *answers) drop(now time.Time) {
	for a.head < len(a.order) && now.Sub(a.order[a.head].at) > answerLife {
		a.dropOldest()
	}
	if a.head > len(a.order)/2 {
		a.order = append(a.order[:0], a.order[a.head:]...)
		a.head = 0
	}
}

func (a *answers) dropOldest() {
	k := a.order[a.head].key
	a.bytes -= len(a.kept[k])
	delete(a.kept, k)
	a.head++
}

// sweep forgets what is too old.
func (a *answers) sweep(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(now)
	if len(a.kept) == 0 {
		a.kept, a.order, a.head = make(map[answerKey][]byte), nil, 0 // maps and rings do not shrink
	}
}

func (a *answers) len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.kept)
}
