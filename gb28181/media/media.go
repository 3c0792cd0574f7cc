// Package media receives what GB/T 28181 devices send: RTP over UDP and over
// TCP (GB/T 28181-2022 annexes C and D), on one port for all streams or a port
// for each, and makes ingest.AccessUnits of it. It goes by what arrives, not by
// what was agreed: framing, payload, codec and sender are told by the bytes,
// since devices announce one and send another. It knows no SIP and no SDP: a
// caller says which stream it expects and is told what came of it.
//
// Everything that a stranger can make it keep is bounded: packets of unknown
// SSRC are counted and their senders, a thousand at most, forgotten after two
// seconds of silence; connections that do not identify themselves are few and
// short.
package media

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/sharpeyes/sharpeyes/gb28181/ps"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// Why a stream ended. Stream.Err returns one of them, wrapped with what is
// known, or ErrClosed.
var (
	ErrClosed      = errors.New("stream closed")
	ErrNobody      = errors.New("nobody connected")
	ErrConnect     = errors.New("the device's media port does not answer")
	ErrNoMedia     = errors.New("no media arrived")
	ErrOtherSSRC   = errors.New("media came, but with SSRCs that nobody asked for")
	ErrSilent      = errors.New("media stopped")
	ErrHungUp      = errors.New("the device closed the media connection")
	ErrUnsupported = errors.New("the video codec is not supported")
	ErrUnreadable  = errors.New("the media cannot be read")
	ErrNoPort      = errors.New("no media port is free")
)

// Transport is how media comes.
type Transport uint8

// The transports of GB/T 28181 annex D.
const (
	UDP        Transport = iota + 1
	TCPPassive           // we listen, the device connects
	TCPActive            // we connect to the device
)

// String returns "udp", "tcp" (passive) or "tcp-active".
func (t Transport) String() string {
	switch t {
	case UDP:
		return "udp"
	case TCPPassive:
		return "tcp"
	case TCPActive:
		return "tcp-active"
	}
	return "unknown"
}

// Options says where a Receiver listens.
type Options struct {
	// Listen is the address to bind. Default 127.0.0.1.
	Listen netip.Addr
	// First and Last are the media ports. One number (Last 0 or equal) is shared
	// by all streams; a range gives each stream an even port of its own, and the
	// odd one above it to RTCP. First 0 is a shared port that the system chooses.
	First, Last uint16
}

// Expect says which stream is to come.
type Expect struct {
	Camera ingest.CameraID
	// SSRC as asked of the device; 0 if it is not known. A port of its own takes
	// any; on the shared port another one is taken from Remote only, and only of a
	// sender that sent nothing before and is no closed stream's of another Camera.
	SSRC uint32
	// Transport is what was asked for. On a port of its own the other is taken
	// too, if it is what comes.
	Transport Transport
	// Remote is where the device is expected to send from. Zero: unknown.
	Remote netip.AddrPort
	// Sink takes the access units; its calls do not overlap. May be nil.
	Sink ingest.Sink
	// Bytes takes each payload, in order, when the device sends a program or
	// transport stream or Annex-B bytes; they are valid during the call. May be
	// nil.
	Bytes func([]byte)
	// Wait is how long the first packet, and after it the first access unit, may
	// take. Default 10 s.
	Wait time.Duration
	// Silence is how long no packet may come. Default 15 s.
	Silence time.Duration
	// Reconnect is how long a TCP device that hung up may take to come back
	// (annex D: three times, a second apart). Default 4 s.
	Reconnect time.Duration
}

func (x *Expect) fill() {
	if x.Wait <= 0 {
		x.Wait = 10 * time.Second
	}
	if x.Silence <= 0 {
		x.Silence = 15 * time.Second
	}
	if x.Reconnect <= 0 {
		x.Reconnect = 4 * time.Second
	}
}

// Stats is what is known of a stream so far.
type Stats struct {
	Bytes     uint64 // RTP, headers included
	Packets   uint64 // RTP packets
	Lost      uint64 // packets that never came, or came too late
	Reordered uint64 // packets that filled a gap in time
	Late      uint64 // packets that came after their gap was given up
	Duplicate uint64
	Bad       uint64 // packets and payloads that are not what they should be
	Strange   uint64 // packets of another SSRC or sender, not taken
	Skipped   uint64 // bytes of TCP that were in no frame
	Resyncs   uint64 // times the TCP framing was lost
	Connects  uint64 // TCP connections taken

	Payload   Payload
	Codec     ingest.Codec   // 0 before it is known
	SSRC      uint32         // that came
	WrongSSRC bool           // it is not the one that was asked for
	Transport string         // "udp" or "tcp" as it came; "" before anything did
	Remote    netip.AddrPort // of the sender
	PS        ps.Stats

	Units       uint64    // access units
	FirstPacket time.Time // zero before it
	FirstUnit   time.Time // zero before it
	LastPacket  time.Time // zero before the first
}

// ReceiverStats counts what belongs to no stream.
type ReceiverStats struct {
	Unknown  uint64 // UDP packets of unknown SSRC
	Garbage  uint64 // UDP packets that are no RTP
	Refused  uint64 // TCP connections that were one too many
	Strange  uint64 // TCP connections that belonged to no stream
	Streams  int    // open now
	Pending  int    // TCP connections not yet identified
	Received uint64 // UDP packets in all
}

// wrap returns err with what is known.
func wrap(err error, format string, args ...any) error {
	return fmt.Errorf("%w: %s", err, fmt.Sprintf(format, args...))
}
