package gb28181

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sharpeyes/sharpeyes/gb28181/media"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// What an operator can do about a stream that does not come, per reason.
const (
	hintNever       = "the device has not registered: give it this platform's address, ID and the password of its entry"
	hintOffline     = "the device is not registered any more: look at its power, its link and the server it is set to"
	hintLost        = "a device opens a new connection within half a minute; if it does not, look at its power and its link"
	hintNoChannel   = "the device knows no such channel: compare the camera's address with the device's channel list"
	hintBusy        = "the device has no stream left to give: close other viewers or raise its limit"
	hintDenied      = "the device refuses: see whether this platform may view the channel in the device's GB/T 28181 page"
	hintOffer       = "the device refuses what was offered: set transport to udp or tcp in its entry, and H.264 or H.265 in the device"
	hintDeviceFault = "the device cannot send now: look at the camera behind it, and at its log"
	hintNoAnswer    = "the device is registered but does not answer: look at the link, and whether a firewall drops its SIP"
	hintNobody      = "the device accepted, but nobody connected to %s by TCP: see that the device can reach this address (media.announce, firewall, port forwarding), or set transport to udp"
	hintNoPackets   = "the device accepted, but nothing came to %s by UDP: see that the device can reach this address (media.announce, firewall, port forwarding), or set transport to tcp"
	hintOtherSSRC   = "a device that chooses its SSRC itself needs a port for each stream: make media.ports a range, such as 30000-30999"
	hintMute        = "a media connection stands, but the device sends nothing: look at its stream settings and at the camera behind it"
	hintCannotDial  = "the device listens at an address that does not answer from here: set transport to tcp or udp"
	hintCodec       = "set H.264 or H.265 in the device"
	hintUnreadable  = "what the device sends cannot be read: update its firmware, or set another codec or stream"
	hintStopped     = "the stream stopped: look at the link and at the camera behind the device"
	hintHungUp      = "the device ended the stream: it may have restarted, or allow fewer viewers"
	hintNoPorts     = "all media ports are in use: widen media.ports"
)

// absent is the fault of a device that is not registered, as far as it is known.
func (p *Platform) absent(id string) *ingest.Fault {
	dev := p.device(id)
	if dev == nil {
		return &ingest.Fault{Reason: ReasonNever, Err: fmt.Errorf("device %s: %w", id, errOffline), Hint: hintNever}
	}
	fact := dev.isRegistered()
	if fact.Value == ingest.Yes { // its connection ended just now
		return &ingest.Fault{Reason: ReasonConnection, Err: fmt.Errorf("device %s: %w", id, errLost), Hint: hintLost}
	}
	return &ingest.Fault{Reason: fact.Reason, Err: fmt.Errorf("device %s: %w", id, errOffline), Hint: hintOffline}
}

// refusal is the fault of a call that did not come to be.
func (p *Platform) refusal(ctx context.Context, w wish, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, errOffline) || errors.Is(err, errGone) {
		return p.absent(w.dev.id)
	}
	f := &ingest.Fault{Reason: ingest.ReasonRefused, Err: fmt.Errorf("device %s, channel %s: %w", w.dev.id, w.channel, err)}
	status, answered := errors.AsType[*statusError](err)
	switch {
	case answered:
		f.Reason, f.Hint = statusReason(status.Code)
	case errors.Is(err, errTimeout):
		f.Reason, f.Hint = ingest.ReasonTimeout, hintNoAnswer
	case errors.Is(err, errPeerBye):
		f.Reason, f.Hint = ingest.ReasonEnded, hintHungUp
	case errors.Is(err, errNowhere):
		f.Reason, f.Hint = ingest.ReasonBadStream, hintCannotDial
	case errors.Is(err, media.ErrNoPort):
		f.Hint = hintNoPorts
	case errors.Is(err, errStopping), errors.Is(err, errNotRunning), errors.Is(err, media.ErrClosed):
		f.Reason = ingest.ReasonStopped
	}
	return f
}

// statusReason says what a device means by a final answer to INVITE.
func statusReason(code int) (ingest.Reason, string) {
	switch code {
	case 401, 403, 407:
		return ingest.ReasonAuthFailed, hintDenied
	case 404, 410, 604:
		return ingest.ReasonNotFound, hintNoChannel
	case 486, 600:
		return ingest.ReasonRefused, hintBusy
	case 415, 488, 606:
		return ingest.ReasonRefused, hintOffer
	case 408, 487:
		return ingest.ReasonTimeout, hintDeviceFault
	}
	return ingest.ReasonRefused, hintDeviceFault
}

// ended is the fault of a call that came to be and ended by err.
func (p *Platform) ended(ctx context.Context, c *call, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f := &ingest.Fault{Reason: ingest.ReasonEnded, Hint: hintHungUp}
	if err != nil {
		f.Err = fmt.Errorf("device %s, channel %s: %w", c.dev.id, c.channel, err)
	}
	at := fmt.Sprintf("%s port %d", p.calls.announce(c.dev), c.stream.Port())
	switch {
	case err == nil: // the end of a record
		f.Hint = ""
	case errors.Is(err, media.ErrNobody):
		f.Reason, f.Hint = ingest.ReasonNoFrames, fmt.Sprintf(hintNobody, at)
	case errors.Is(err, media.ErrNoMedia) && c.transport == media.UDP:
		f.Reason, f.Hint = ingest.ReasonNoFrames, fmt.Sprintf(hintNoPackets, at)
	case errors.Is(err, media.ErrNoMedia):
		f.Reason, f.Hint = ingest.ReasonNoFrames, hintMute
	case errors.Is(err, media.ErrOtherSSRC):
		f.Reason, f.Hint = ingest.ReasonNoFrames, hintOtherSSRC
	case errors.Is(err, media.ErrConnect):
		f.Reason, f.Hint = ingest.ReasonUnreachable, hintCannotDial
	case errors.Is(err, media.ErrSilent):
		f.Reason, f.Hint = ingest.ReasonNoFrames, hintStopped
	case errors.Is(err, media.ErrUnsupported):
		f.Reason, f.Hint = ingest.ReasonUnsupportedCodec, hintCodec
		if strings.Contains(err.Error(), "audio") {
			f.Reason = ingest.ReasonNoVideo
		}
	case errors.Is(err, media.ErrUnreadable):
		f.Reason, f.Hint = ingest.ReasonBadStream, hintUnreadable
	case errors.Is(err, errStopping), errors.Is(err, media.ErrClosed):
		f.Reason, f.Hint = ingest.ReasonStopped, ""
	}
	return f
}

// endLabel is the label of metrics for how a call ended.
func endLabel(err error) string {
	if status, ok := errors.AsType[*statusError](err); ok {
		return [...]string{"refused_other", "refused_other", "refused_other", "refused_3xx", "refused_4xx", "refused_5xx", "refused_6xx"}[min(max(status.Code/100, 0), 6)]
	}
	for _, e := range [...]struct {
		err   error
		label string
	}{
		{nil, "finished"}, {errPeerBye, "device_bye"}, {errOffline, "offline"}, {errGone, "offline"}, {errTimeout, "no_answer"},
		{context.DeadlineExceeded, "no_answer"}, {context.Canceled, "stopped"}, {errStopping, "stopped"}, {media.ErrClosed, "stopped"},
		{media.ErrNobody, "nobody_connected"}, {media.ErrConnect, "cannot_connect"}, {media.ErrNoMedia, "no_media"}, {media.ErrOtherSSRC, "other_ssrc"},
		{media.ErrSilent, "silent"}, {media.ErrHungUp, "media_closed"}, {media.ErrUnsupported, "unsupported"},
		{media.ErrUnreadable, "unreadable"}, {media.ErrNoPort, "no_port"},
	} {
		if errors.Is(err, e.err) {
			return e.label
		}
	}
	return "other"
}
