package ingest

import "context"

// Sink takes what a Source finds. Its methods never block for long and may be
// called from one goroutine of the Source at a time.
type Sink interface {
	// Connected says that a session stands, over the named transport ("tcp",
	// "udp", "tls", "file"). It may be called again when the transport changes.
	Connected(transport string)
	// Write hands over one access unit; ownership goes with it. Its PTS is the
	// source's clock as it is: the fleet takes jumps out, and says so.
	Write(AccessUnit)
	// Lost says that n packets (or units, for sources without packets) are
	// missing. The source also marks its next access unit Lost.
	Lost(n uint64)
}

// Source is one stream of one camera.
type Source interface {
	// Run opens the stream and feeds the sink until the stream ends, fails or
	// ctx is done. It returns a *Fault that says why, or ctx.Err(). It holds no
	// goroutine, socket or memory after it returned.
	Run(ctx context.Context, sink Sink) error
}
