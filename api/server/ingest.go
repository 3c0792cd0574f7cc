package server

import (
	"context"
	"fmt"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/api/stream"
)

// Ingest keeps a batch of messages from the edges: it is the Handle of a
// stream.Consumer. When it returns nil everything is committed and may be
// acknowledged; browsers are told by the commit itself. Writing a message twice
// is harmless; what people did at a node has one row in the access register. On an
// error nothing of the batch but such rows is kept, and it comes again.
func (s *Server) Ingest(ctx context.Context, batch []stream.Message) error {
	envelopes := make([]*api.Envelope, 0, len(batch))
	for _, m := range batch {
		if m.Envelope.Operation != nil {
			if err := s.register(ctx, m.Envelope); err != nil {
				return fmt.Errorf("register what was done at %s: %w", m.Envelope.Node, err)
			}
		}
		envelopes = append(envelopes, m.Envelope)
	}
	if _, err := s.opt.Store.Save(ctx, envelopes); err != nil {
		return fmt.Errorf("keep %d messages: %w", len(batch), err)
	}
	return nil
}
