package gb28181

import (
	"context"
	"net/netip"
)

// incoming is one MESSAGE or NOTIFY of a registered device. Root, CmdType and SN
// are found in the raw bytes; the body is as it came, in whatever charset.
type incoming struct {
	dev     *device
	method  string // "MESSAGE" or "NOTIFY"
	root    string // "Notify", "Response", "Query", "Control"; "" for none
	cmdType string // as spelt by the device
	sn      int    // -1 for none
	id      string // DeviceID in the body, "" for none: the device or one of its channels
	charset string // of the Content-Type, "" for none; sniff, do not believe it
	body    []byte // owned by the handler
	callID  string
	event   string  // Event header of a NOTIFY
	dialog  *dialog // the subscription it belongs to, nil for none
	ended   bool    // Subscription-State: terminated
	from    netip.AddrPort
}

// handlerKey names a kind of body. CmdType is compared without regard to case.
type handlerKey struct{ root, cmdType string }

// handler takes what a device sent. It runs on a worker that keeps the order of
// each device; the SIP answer is sent already. It must not block: what waits for
// an answer of the device (send, query) goes through Platform.spawn.
type handler func(ctx context.Context, m incoming)

// handle registers h for bodies with this root and CmdType; "" as cmdType takes
// those of the root that nobody else takes. Call it before Run.
func (p *Platform) handle(root, cmdType string, h handler) {
	p.handlers[handlerKey{root, cmdType}] = h
}
