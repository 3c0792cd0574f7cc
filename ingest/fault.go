package ingest

import (
	"errors"
	"fmt"
)

// Reason says in one word why a camera is as it is. It is a bounded set, so it
// may be a metric label.
type Reason string

// The reasons a Source may end with, or a fact may carry.
const (
	ReasonNone             Reason = ""
	ReasonStarting         Reason = "starting"          // not tried yet
	ReasonAuthFailed       Reason = "auth_failed"       // 401/403, wrong user or password
	ReasonNotFound         Reason = "not_found"         // 404, no such path or channel
	ReasonRefused          Reason = "refused"           // connection refused: nothing listens there
	ReasonUnreachable      Reason = "unreachable"       // no route, name does not resolve
	ReasonTimeout          Reason = "timeout"           // no answer in time
	ReasonTLS              Reason = "tls_failed"        // certificate or handshake
	ReasonNoVideo          Reason = "no_video_track"    // the stream has no video
	ReasonUnsupportedCodec Reason = "unsupported_codec" // video, but neither H.264 nor H.265
	ReasonBadStream        Reason = "bad_stream"        // answers that are not the protocol: SDP, RTP, RTSP garbage
	ReasonNoFrames         Reason = "no_frames"         // the session stands, nothing arrives
	ReasonNoKeyFrame       Reason = "no_key_frame"      // units arrive, none to start from
	ReasonFrozen           Reason = "frozen"            // frames arrive, the picture does not change by a bit
	ReasonUndecodable      Reason = "undecodable"       // access units that the decoder refuses
	ReasonUnsupportedSize  Reason = "unsupported_size"  // picture too small or too large to analyse
	ReasonClock            Reason = "clock_jump"        // the media clock jumps
	ReasonEnded            Reason = "ended"             // the far end closed
	ReasonStopped          Reason = "stopped"           // we closed it: reload or shutdown
	ReasonForbidden        Reason = "forbidden"         // legal basis forbids it
	ReasonSubstreamOnly    Reason = "substream_only"    // with Picture Yes: the substream comes, the main stream that pictures of alerts are taken from does not
	ReasonNotOffered       Reason = "not_offered"       // this kind of source has no such fact (RTSP: registered, recording)
)

// Fault is an error with its Reason and what a person can do about it. A Source
// returns one from Run whenever it can tell the reason.
type Fault struct {
	Reason Reason
	Err    error  // the cause; never contains a credential
	Hint   string // what to do, for the operator
}

// Error implements error: reason, cause, hint.
func (f *Fault) Error() string {
	s := string(f.Reason)
	if f.Err != nil {
		s += ": " + f.Err.Error()
	}
	if f.Hint != "" {
		s += fmt.Sprintf(" (%s)", f.Hint)
	}
	return s
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// ReasonOf returns the Reason of the first Fault in err's chain, or
// ReasonBadStream for any other error, or ReasonNone for nil.
func ReasonOf(err error) Reason {
	if err == nil {
		return ReasonNone
	}
	if f, ok := errors.AsType[*Fault](err); ok {
		return f.Reason
	}
	return ReasonBadStream
}
