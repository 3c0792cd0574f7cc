package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// timeouts of the HTTP server. Streams set a deadline for every write
// instead of the one for the whole answer.
type timeouts struct {
	header, read, write, idle time.Duration
	streamWrite               time.Duration // one write to one stream
	heartbeat                 time.Duration // comment on a silent stream
	shutdown                  time.Duration // for answers in flight
}

func defaultTimeouts() timeouts {
	return timeouts{
		header: 5 * time.Second, read: 15 * time.Second, write: 30 * time.Second, idle: 2 * time.Minute,
		streamWrite: 10 * time.Second, heartbeat: 15 * time.Second, shutdown: 3 * time.Second,
	}
}

// maxHeader bounds the request line and headers.
const maxHeader = 16 << 10

// Serve answers on the listener until ctx ends, with TLS when certFile and
// keyFile are set (PEM; the certificate is read once). It then ends all
// streams, lets answers in flight finish for up to three seconds, and returns
// nil. It owns the listener and closes it. Any other end is an error.
func (s *Server) Serve(ctx context.Context, l net.Listener, certFile, keyFile string) error {
	srv := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: s.timeouts.header,
		ReadTimeout:       s.timeouts.read,
		WriteTimeout:      s.timeouts.write,
		IdleTimeout:       s.timeouts.idle,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // handshakes of scanners and the like
	}
	if certFile != "" {
		cert, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			_ = l.Close()
			return fmt.Errorf("TLS certificate: %w: check center.tls_cert and center.tls_key", err)
		}
		srv.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	}
	served := make(chan error, 1)
	go func() {
		if srv.TLSConfig != nil {
			served <- srv.ServeTLS(l, "", "")
			return
		}
		served <- srv.Serve(l)
	}()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	// Streams never end by themselves, so they must go before Shutdown waits.
	s.hub.endAll()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeouts.shutdown)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		_ = srv.Close() // whoever is still writing has had their time
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	return nil
}
