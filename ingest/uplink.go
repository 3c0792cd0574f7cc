package ingest

import (
	"context"
	"math/rand/v2"
	"net/url"
	"time"

	"golang.org/x/time/rate"

	"github.com/sharpeyes/sharpeyes/configs"
)

// The budget of connection attempts of one uplink. Behind a dead link every
// attempt hangs until its timeout, so 4 at a time keep 300 cameras quiet; when
// the link is back, 10 a second bring them all home within half a minute.
const (
	uplinkInFlight  = 4
	uplinkPerSecond = 10
)

// Back-off between two attempts of one camera.
const (
	backoffFirst = time.Second
	backoffMax   = 60 * time.Second
)

// backoff returns how long to wait before attempt n+1 after n failures in a
// row: full jitter under an exponential ceiling of 1 s to 60 s, so that cameras
// that failed together do not come back together. A refused password waits at
// the ceiling at once, because cameras lock out whoever tries it again and
// again. random answers 0..1.
func backoff(n int, why Reason, random func() float64) time.Duration {
	ceiling := backoffMax
	if n < 7 && why != ReasonAuthFailed {
		ceiling = min(backoffFirst<<max(n-1, 0), backoffMax)
	}
	d := time.Duration(random() * float64(ceiling))
	if why == ReasonAuthFailed {
		return ceiling/2 + d/2
	}
	return d
}

func fullJitter() float64 { return rand.Float64() }

// uplink is the shared budget of the cameras behind one link. Waiters are
// served in the order they came.
type uplink struct {
	users int // cameras that hold it; guarded by the fleet
	slots chan struct{}
	rate  *rate.Limiter
}

func newUplink() *uplink {
	return &uplink{
		slots: make(chan struct{}, uplinkInFlight),
		rate:  rate.NewLimiter(uplinkPerSecond, uplinkInFlight),
	}
}

// acquire waits for the right to make one connection attempt.
func (u *uplink) acquire(ctx context.Context) error {
	select {
	case u.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := u.rate.Wait(ctx); err != nil {
		<-u.slots
		return err
	}
	return nil
}

// release ends the attempt, well or badly.
func (u *uplink) release() { <-u.slots }

// UplinkOf names the link a camera is behind: what the operator says, else the
// host of its address, else (files) the camera itself.
func UplinkOf(c configs.Camera) string {
	if c.Uplink != "" {
		return "uplink " + c.Uplink
	}
	if u, err := url.Parse(c.URL); err == nil && u.Hostname() != "" {
		return "host " + u.Hostname()
	}
	return "camera " + c.ID
}
