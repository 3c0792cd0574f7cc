// Package rtsp is an ingest.Source over RTSP 1.0 (RFC 2326) and a small RTSP
// server that serves ingest.Sources, for the demo and for tests.
package rtsp

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// New makes the source of an RTSP camera.
func New(cam configs.Camera, log *slog.Logger) (ingest.Source, error) {
	return nil, errors.New("not built yet")
}

// ProbeResult is what Probe found.
type ProbeResult struct{}

// Probe connects to a camera and reads for d.
func Probe(ctx context.Context, cam configs.Camera, d time.Duration) (*ProbeResult, error) {
	return nil, errors.New("not built yet")
}

// ServerOptions tells a Server how to serve.
type ServerOptions struct {
	Address  string      // host:port; port 0 picks a free one. Default 127.0.0.1:0
	UDP      bool        // serve RTP over UDP too
	Username string      // default: no authentication
	Password string      //
	TLS      *tls.Config // serve rtsps instead of rtsp. Default: none
	Log      *slog.Logger
}

// Server serves ingest.Sources as RTSP paths.
type Server struct{}

// NewServer makes a server that does not listen yet.
func NewServer(ServerOptions) *Server { return &Server{} }

// Publish serves the source that open makes at path.
func (*Server) Publish(path string, open func() (ingest.Source, error)) error { return nil }

// Start begins to listen.
func (*Server) Start() error { return errors.New("not built yet") }

// Address returns host:port of the listener.
func (*Server) Address() string { return "" }

// URL returns the full address of a path.
func (*Server) URL(path string) string { return "" }

// Close stops listening and all sources, and waits for them.
func (*Server) Close() {}
