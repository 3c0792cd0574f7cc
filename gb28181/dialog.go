package gb28181

import (
	"context"

	"github.com/emiago/sipgo/sip"
)

// The content types of GB/T 28181.
const (
	typeMANSCDP  = "Application/MANSCDP+xml"
	typeMANSRTSP = "Application/MANSRTSP"
	typeSDP      = "application/sdp"
)

// invitation is what INVITE asks for.
type invitation struct {
	target  string // channel ID: user part of Request-URI and To
	subject string // GB/T 28181-2022 annex L
	offer   []byte // SDP
	headers []sip.Header

	// onRequest hears requests of the device inside the dialog other than BYE
	// (INFO, MESSAGE with this Call-ID); may be nil, must not block.
	onRequest func(method, contentType string, body []byte)
}

// dialog is one dialog that we opened towards a device (RFC 3261 §12): a call, or
// a subscription. It ends by BYE of either side, or by the end of a subscription.
type dialog struct {
	dev    *device
	callID string
	answer *sip.Response
	done   chan struct{}
}

// invite sends INVITE, waits for the final answer and acknowledges it. When ctx
// ends first the call is cancelled, and a late 2xx is acknowledged and hung up:
// nothing is left behind at the device.
func (p *Platform) invite(ctx context.Context, dev *device, inv invitation) (*dialog, error) {
	return nil, errOffline
}

// subscription is what SUBSCRIBE asks for.
type subscription struct {
	target  string // device or channel ID
	event   string // "Catalog;id=1", "presence"
	expires int    // seconds
	body    []byte

	// onNotify hears every NOTIFY of this dialog, after the handlers of its body;
	// may be nil, must not block.
	onNotify func(m incoming)
}

// subscribe opens a subscription.
func (p *Platform) subscribe(ctx context.Context, dev *device, sub subscription) (*dialog, error) {
	return nil, errOffline
}

// Answer is the device's 2xx to the INVITE or SUBSCRIBE.
func (d *dialog) Answer() *sip.Response { return d.answer }

// CallID names the dialog; NOTIFY MediaStatus is matched by it.
func (d *dialog) CallID() string { return d.callID }

// Done is closed when the dialog has ended, by whichever side.
func (d *dialog) Done() <-chan struct{} { return d.done }

// Err says why it ended: nil for our own bye, errPeerBye for the device's.
func (d *dialog) Err() error { return nil }

// request sends a request inside the dialog and waits for its 2xx.
func (d *dialog) request(ctx context.Context, method sip.RequestMethod, contentType string, body []byte, headers ...sip.Header) (*sip.Response, error) {
	return nil, errOffline
}

// info sends MANSRTSP (GB/T 28181 annex B) and returns the device's answer.
func (d *dialog) info(ctx context.Context, body []byte) (*sip.Response, error) {
	return d.request(ctx, sip.INFO, typeMANSRTSP, body)
}

// bye ends a call. It may be called again and from anywhere; only the first one
// sends. It blocks until the device answers, ctx, or 64·T1.
func (d *dialog) bye(ctx context.Context) error { return errOffline }

// refresh renews a subscription inside its dialog; expires 0 ends it.
func (d *dialog) refresh(ctx context.Context, expires int, body []byte) (*sip.Response, error) {
	return nil, errOffline
}
