package gb28181

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Errors that callers decide by.
var (
	errOffline  = errors.New("the device is not registered")
	errTimeout  = errors.New("the device did not answer")
	errStopping = errors.New("the platform is stopping")
)

// statusError is a final answer other than 2xx.
type statusError struct {
	Code   int
	Reason string // the device's words
}

// Error implements error.
func (e *statusError) Error() string {
	return fmt.Sprintf("the device answered %d %s", e.Code, e.Reason)
}

// send asks the device outside any dialog and returns its 2xx. It goes to where
// the device was last heard from, over the connection it came by, from the
// listening port. Other final answers are a *statusError. It blocks until the
// answer, ctx, or 64·T1 = 32 s.
func (p *Platform) send(ctx context.Context, dev *device, method sip.RequestMethod, contentType string, body []byte, headers ...sip.Header) (*sip.Response, error) {
	return nil, errOffline
}

// sendTo is send with another user part in Request-URI and To: a channel.
func (p *Platform) sendTo(ctx context.Context, dev *device, target string, method sip.RequestMethod, contentType string, body []byte, headers ...sip.Header) (*sip.Response, error) {
	return nil, errOffline
}

// exchange sends a body by MESSAGE and hands the Response bodies with the same
// CmdType and SN to collect, in order, until it says done. idle is how long to
// wait for the first and between two answers, at most 120 s in all; then the error
// is errTimeout, and what was collected is incomplete. Several exchanges with one
// device may run at once.
func (p *Platform) exchange(ctx context.Context, dev *device, cmdType string, sn int, body []byte, idle time.Duration, collect func(incoming) (done bool)) error {
	return errOffline
}
