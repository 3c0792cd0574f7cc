package gb28181

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Bounds of an exchange.
const (
	exchangeMax  = 120 * time.Second // for all answers to one query
	maxExchanges = 16384
)

// exchangeKey names a query: answers carry its CmdType (in lower case) and SN.
type exchangeKey struct {
	device  string
	cmdType string
	sn      int
}

// exchange is a query that waits for its answers.
type exchange struct {
	mu      sync.Mutex
	collect func(incoming) bool
	done    bool
	news    chan struct{} // one: something came
}

// exchanges are the queries that wait.
type exchanges struct {
	mu   sync.Mutex
	open map[exchangeKey]*exchange
}

func newExchanges() *exchanges { return &exchanges{open: make(map[exchangeKey]*exchange)} }

// deliver hands an answer to the query it belongs to; false when there is none.
func (x *exchanges) deliver(m incoming) bool {
	k := exchangeKey{m.dev.id, strings.ToLower(m.cmdType), m.sn}
	x.mu.Lock()
	e := x.open[k]
	x.mu.Unlock()
	if e == nil {
		return false
	}
	e.mu.Lock()
	if !e.done {
		e.done = e.collect(m)
	}
	e.mu.Unlock()
	select {
	case e.news <- struct{}{}:
	default:
	}
	return true
}

// question is what an exchange asks.
type question struct {
	cmdType string
	sn      int // of device.nextSN
	body    []byte
	idle    time.Duration // to wait for the first answer, and between two
}

// exchange sends a body by MESSAGE and hands the Response bodies with the same
// CmdType and SN to collect, in order, until it says done. After an idle time
// without answers, or 120 s in all, the error is errTimeout, and what was collected
// is incomplete. collect is never called after exchange returned. Several exchanges
// with one device may run at once.
func (p *Platform) exchange(ctx context.Context, dev *device, q question, collect func(incoming) (done bool)) error {
	e := &exchange{collect: collect, news: make(chan struct{}, 1)}
	k := exchangeKey{dev.id, strings.ToLower(q.cmdType), q.sn}
	if !p.exchanges.add(k, e) {
		return errors.New("too many queries wait for answers")
	}
	defer func() {
		p.exchanges.mu.Lock()
		delete(p.exchanges.open, k)
		p.exchanges.mu.Unlock()
		e.mu.Lock()
		e.done = true
		e.mu.Unlock()
	}()
	// The answers may overtake the 200, and the 200 may never come.
	if _, err := p.send(ctx, dev, sip.MESSAGE, typeMANSCDP, q.body); err != nil && !(errors.Is(err, errTimeout) && e.finished()) {
		return err
	}
	timer := time.NewTimer(q.idle)
	defer timer.Stop()
	end := time.NewTimer(exchangeMax)
	defer end.Stop()
	for !e.finished() {
		select {
		case <-e.news:
			timer.Reset(q.idle)
		case <-timer.C:
			return errTimeout
		case <-end.C:
			return errTimeout
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (e *exchange) finished() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.done
}

func (x *exchanges) add(k exchangeKey, e *exchange) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.open) >= maxExchanges || x.open[k] != nil {
		return false
	}
	x.open[k] = e
	return true
}
