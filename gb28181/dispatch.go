package gb28181

import (
	"bytes"
	"context"
	"hash/maphash"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// incoming is one MESSAGE or NOTIFY of a registered device. Root, CmdType and SN
// are found in the raw bytes; the body is as it came, in whatever charset.
type incoming struct {
	dev     *device
	method  string  // "MESSAGE" or "NOTIFY"
	root    string  // "Notify", "Response", "Query", "Control"; "" for none
	cmdType string  // as spelt by the device
	sn      int     // -1 for none
	id      string  // DeviceID in the body, "" for none: the device or one of its channels
	charset string  // of the Content-Type, "" for none; sniff, do not believe it
	body    []byte  // owned by the handler
	callID  string  // of the SIP message
	event   string  // Event header of a NOTIFY
	dialog  *dialog // the call or subscription it belongs to, nil for none
	ended   bool    // Subscription-State: terminated
	from    netip.AddrPort
}

// handlerKey names a kind of body; cmdType is in lower case.
type handlerKey struct{ root, cmdType string }

// handler takes what a device sent. It runs on a worker that keeps the order of
// each device; the SIP answer is sent already. It must not block: what waits for
// an answer of the device (send, exchange) goes through Platform.spawn.
type handler func(ctx context.Context, m incoming)

// handle registers h for bodies with this root and CmdType, whose case does not
// matter; "" as cmdType takes those of the root that nobody else takes. Call it
// before Run.
func (p *Platform) handle(root, cmdType string, h handler) {
	p.handlers[handlerKey{root, strings.ToLower(cmdType)}] = h
}

// onRegister registers f to hear of each device that turns registered: new, or
// back. It is called on the goroutine of a socket and must not block. Call it
// before Run.
func (p *Platform) onRegister(f func(*device)) { p.onRegistered = append(p.onRegistered, f) }

func (p *Platform) handlerOf(root, cmdType string) handler {
	if h := p.handlers[handlerKey{root, strings.ToLower(cmdType)}]; h != nil {
		return h
	}
	return p.handlers[handlerKey{root: root}]
}

// dispatch runs what a body is for: the exchange that waits for it, else its
// handler, and then the subscription it belongs to.
func (p *Platform) dispatch(ctx context.Context, m incoming) {
	taken := m.root == "Response" && p.exchanges.deliver(m)
	if h := p.handlerOf(m.root, m.cmdType); !taken && h != nil {
		h(ctx, m)
	} else if !taken {
		p.met.refused("no_handler")
	}
	if m.dialog != nil && m.dialog.onNotify != nil {
		m.dialog.onNotify(m)
	}
	if m.dialog != nil && m.ended && m.method == "NOTIFY" {
		m.dialog.end(errTerminated)
	}
}

// Bounds of the inbox.
const (
	inboxWorkers   = 4
	inboxLength    = 1024     // messages that wait, for each worker
	inboxBytes     = 64 << 20 // of bodies, in all
	inboxPerDevice = 256      // messages of one device
)

// inbox is the queue between sockets and handlers. Each device has one worker, so
// that its messages keep their order; what does not fit is answered 503, and the
// device sends it again.
type inbox struct {
	seed   maphash.Seed
	queues [inboxWorkers]chan incoming
	bytes  atomic.Int64
}

func newInbox() *inbox {
	b := &inbox{seed: maphash.MakeSeed()}
	for i := range b.queues {
		b.queues[i] = make(chan incoming, inboxLength)
	}
	return b
}

// put queues a message; it returns why not, "" when it did.
func (b *inbox) put(m incoming) string {
	if m.dev.queued.Load() >= inboxPerDevice {
		return "busy_device"
	}
	if b.bytes.Load()+int64(len(m.body)) > inboxBytes {
		return "busy"
	}
	m.dev.queued.Add(1)
	b.bytes.Add(int64(len(m.body)))
	select {
	case b.queues[maphash.String(b.seed, m.dev.id)%inboxWorkers] <- m:
		return ""
	default:
		b.took(m)
		return "busy"
	}
}

func (b *inbox) took(m incoming) {
	m.dev.queued.Add(-1)
	b.bytes.Add(-int64(len(m.body)))
}

// run handles queued messages until ctx is done.
func (b *inbox) run(ctx context.Context, h handler) {
	var wg sync.WaitGroup
	for _, q := range b.queues {
		wg.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case m := <-q:
					h(ctx, m)
					b.took(m)
				}
			}
		})
	}
	wg.Wait()
}

// scanBody finds root element, CmdType, SN and DeviceID without reading the XML:
// all of them are ASCII in every charset that occurs. It looks at the beginning of
// the body only, where they stand.
func scanBody(body []byte) (root, cmdType string, sn int, id string) {
	b := body[:min(len(body), 2048)]
	root = rootOf(b)
	cmdType = element(b, "CmdType")
	sn = -1
	if n, err := strconv.Atoi(element(b, "SN")); err == nil && n >= 0 {
		sn = n
	}
	return root, cmdType, sn, element(b, "DeviceID")
}

// rootOf returns the name of the root element, if it is one of the standard's.
func rootOf(b []byte) string {
	for {
		i := bytes.IndexByte(b, '<')
		if i < 0 {
			return ""
		}
		b = b[i+1:]
		for _, name := range [...]string{"Notify", "Response", "Query", "Control"} {
			if len(b) > len(name) && equalFold(string(b[:len(name)]), name) && bytes.IndexByte([]byte("> \t\r\n/"), b[len(name)]) >= 0 {
				return name
			}
		}
		if len(b) > 0 && b[0] != '?' && b[0] != '!' {
			return ""
		}
	}
}

// element returns the text of the first element with this name, or of the first
// attribute: some devices write attributes.
func element(b []byte, name string) string {
	for from := 0; ; {
		i := bytes.Index(b[from:], []byte(name))
		if i < 0 {
			return ""
		}
		at := from + i
		from = at + len(name)
		rest := b[from:]
		switch {
		case at == 0:
		case b[at-1] == '<':
			if _, text, ok := bytes.Cut(rest, []byte(">")); ok {
				text, _, _ = bytes.Cut(text, []byte("<"))
				return string(bytes.TrimSpace(text[:min(len(text), 64)]))
			}
		case b[at-1] == ' ' || b[at-1] == '\n' || b[at-1] == '\t':
			rest = bytes.TrimLeft(rest, " =")
			if len(rest) > 1 && (rest[0] == '"' || rest[0] == '\'') {
				text, _, ok := bytes.Cut(rest[1:], rest[:1])
				if ok {
					return string(bytes.TrimSpace(text[:min(len(text), 64)]))
				}
			}
		}
	}
}

func equalFold(a, b string) bool { return strings.EqualFold(a, b) }
