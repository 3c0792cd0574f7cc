package gb28181

import (
	"slices"
	"time"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// What a device must do to count as registered.
const (
	keepaliveDefault = 60 * time.Second // GB/T 28181 §9.6
	keepaliveMin     = 5 * time.Second
	keepaliveMax     = 10 * time.Minute
	keepaliveMisses  = 3
	expiryGrace      = 30 * time.Second // devices refresh late
	reconnectGrace   = 30 * time.Second // for a device whose TCP connection broke
	flapWindow       = 10 * time.Minute
	flapsAllowed     = 2 // outages within flapWindow after which it must stay to count
	gapsKept         = 5
)

// link is the state machine of one device's registration: times come in, nothing
// goes out. It does not lock.
type link struct {
	value  ingest.Value
	reason ingest.Reason
	since  time.Time

	bound     bool      // registered, and not expired or taken off
	expires   time.Time // of the registration
	heard     time.Time // any message
	keepalive time.Time // the last keepalive
	broken    time.Time // since when its TCP connection is gone; zero: it is not
	steady    time.Time // since when it has been there without a break

	gaps    [gapsKept]time.Duration // between keepalives
	gapped  int                     // how many of them are set
	gapNext int
	learned time.Duration // interval, worked out when a gap is added: it is asked for each second
	outages []time.Time   // within flapWindow, each its own fault
}

// set changes the fact and reports whether it did.
func (l *link) set(v ingest.Value, r ingest.Reason, now time.Time) bool {
	if l.value == v && l.reason == r {
		return false
	}
	if l.value != v {
		l.since = now
	}
	l.value, l.reason = v, r
	return true
}

// interval is how often the device sends keepalives: the median of the last five
// gaps, so that a lost one does not matter. Before two gaps are known it is at
// least what the standard says.
func (l *link) interval() time.Duration {
	if l.gapped == 0 {
		return keepaliveDefault
	}
	return l.learned
}

// addGap takes the time between two keepalives.
func (l *link) addGap(gap time.Duration) {
	l.gaps[l.gapNext] = gap
	l.gapNext = (l.gapNext + 1) % gapsKept
	l.gapped = min(l.gapped+1, gapsKept)
	l.learned = l.median()
}

func (l *link) median() time.Duration {
	kept := l.gaps
	gaps := kept[:l.gapped]
	slices.Sort(gaps)
	median := min(max(gaps[(len(gaps)-1)/2], keepaliveMin), keepaliveMax)
	if l.gapped < 3 {
		return max(median, keepaliveDefault)
	}
	return median
}

// grace is what three intervals are stretched by: a keepalive sent in time may
// arrive late.
func (l *link) grace() time.Duration { return l.interval()/4 + 2*time.Second }

// overdue is when silence means that the device is gone.
func (l *link) overdue() time.Time {
	return l.heard.Add(keepaliveMisses*l.interval() + l.grace())
}

// missed says that at least one keepalive is missing.
func (l *link) missed(now time.Time) bool {
	return now.After(l.heard.Add(l.interval() + l.grace()))
}

// registered says that the device registered, until expires.
func (l *link) registered(expires, now time.Time) bool {
	l.bound, l.expires = true, expires
	return l.hear(now)
}

// unregistered says that the device took itself off. That is no outage.
func (l *link) unregistered(now time.Time) bool {
	l.bound, l.heard = false, now
	return l.set(ingest.No, ReasonUnregistered, now)
}

// beat says that a keepalive came. Those within a second of the last are the same
// one sent again.
func (l *link) beat(now time.Time) bool {
	if gap := now.Sub(l.keepalive); !l.keepalive.IsZero() && gap >= time.Second {
		l.addGap(gap)
	}
	if now.Sub(l.keepalive) >= time.Second || l.keepalive.IsZero() {
		l.keepalive = now
	}
	return l.hear(now)
}

// hear says that the device lives. It is registered again at once, unless it came
// and went too often lately: then it has to stay first.
func (l *link) hear(now time.Time) bool {
	l.heard, l.broken = now, time.Time{}
	if !l.bound {
		return false
	}
	if l.value != ingest.Yes && l.reason != ReasonFlapping {
		l.steady = now
	}
	l.forget(now)
	if l.value != ingest.Yes && len(l.outages) > flapsAllowed && now.Sub(l.steady) < l.settle() {
		return l.set(ingest.No, ReasonFlapping, now)
	}
	return l.set(ingest.Yes, ReasonRegistered, now)
}

// settle is how long a device that flaps must stay to count.
func (l *link) settle() time.Duration { return max(2*l.interval(), time.Minute) }

// forget drops outages of long ago.
func (l *link) forget(now time.Time) {
	l.outages = slices.DeleteFunc(l.outages, func(t time.Time) bool { return now.Sub(t) > flapWindow })
}

// disconnected says that the connection by which the device came is gone.
func (l *link) disconnected(now time.Time) {
	if l.broken.IsZero() {
		l.broken = now
	}
}

// reachable says whether it makes sense to send something.
func (l *link) reachable() bool {
	return l.bound && l.broken.IsZero() && (l.value != ingest.No || l.reason == ReasonFlapping)
}

// fault says whether the device must be called gone now, and why.
func (l *link) fault(now time.Time) (ingest.Reason, bool) {
	switch {
	case !l.bound:
		return "", false
	case now.After(l.expires.Add(expiryGrace)):
		return ReasonExpired, true
	case now.After(l.overdue()):
		return ReasonKeepalive, true
	case !l.broken.IsZero() && now.Sub(l.broken) > reconnectGrace:
		return ReasonConnection, true
	}
	return "", false
}

// deadline is when fault will be true if nothing more is heard. Whatever is heard
// puts it off to at least three times keepaliveMin from then.
func (l *link) deadline() time.Time {
	at := l.overdue()
	if end := l.expires.Add(expiryGrace); end.Before(at) {
		at = end
	}
	if end := l.broken.Add(reconnectGrace); !l.broken.IsZero() && end.Before(at) {
		at = end
	}
	return at
}

// fell calls the device gone. An uplink's outage is not the device's own.
func (l *link) fell(why ingest.Reason, now time.Time) bool {
	if why == ReasonExpired {
		l.bound = false
	}
	if (l.value == ingest.Yes || l.reason == ReasonFlapping) && why != ReasonUplink {
		l.forget(now)
		l.outages = append(l.outages, now)
		if n := len(l.outages); n > flapsAllowed+2 {
			l.outages = l.outages[n-flapsAllowed-2:]
		}
	}
	return l.set(ingest.No, why, now)
}

// silent says whether the device, as far as is known now, is one of those that an
// uplink took with it.
func (l *link) silent(now time.Time) bool {
	return l.missed(now) || !l.broken.IsZero() || l.reason == ReasonUplink
}
