package rtsp

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/auth"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"

	"github.com/sharpeyes/sharpeyes/ingest"
)

const (
	// describeWait is how long a reader waits for a path's first key frame.
	describeWait = 5 * time.Second
	// reopenAfter is the pause before an ended source is opened again.
	reopenAfter = time.Second
	// portTries bounds the search for a free pair of UDP ports.
	portTries = 100
	// writeQueue bounds the packets that wait for one reader: several key
	// frames of 1080p. What does not fit is not sent.
	writeQueue = 1024
)

// ServerOptions says how a Server serves.
type ServerOptions struct {
	Address  string       // host:port; port 0 picks a free one. Default 127.0.0.1:0
	UDP      bool         // serve RTP over UDP too, on a free pair of ports. Default: TCP only
	NoTCP    bool         // refuse RTP over TCP, as some cameras do (needs UDP). Default: serve it
	Username string       // default: anybody may read
	Password string       // of Username
	Auth     string       // "basic", "digest", or "" for the reader's choice
	TLS      *tls.Config  // serve rtsps:// instead of rtsp://. Default: none
	Log      *slog.Logger // default: discard
}

// Server serves ingest.Sources as RTSP paths. A source runs from Publish (or
// Start, whichever is later) until Close, readers or not; when it ends it is
// opened again after a second. All readers of a path share it; a reader that
// joins between two key frames finds the parameter sets in the description.
type Server struct {
	opt ServerOptions
	srv *gortsplib.Server

	mu      sync.Mutex
	paths   map[string]*path
	address string // set by Start

	ctx    context.Context // ends the sources; a field because Publish may come before and after Start
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// NewServer makes a server that does not listen yet.
func NewServer(opt ServerOptions) *Server {
	if opt.Address == "" {
		opt.Address = "127.0.0.1:0"
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{opt: opt, paths: make(map[string]*path)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Publish serves the sources that open makes, one after the other, at path
// (without leading slash). It fails when the path is taken or the server was
// closed.
func (s *Server) Publish(name string, open func() (ingest.Source, error)) error {
	name = strings.Trim(name, "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return errors.New("rtsp server: closed")
	}
	if s.paths[name] != nil {
		return fmt.Errorf("rtsp server: path %q is published already", name)
	}
	p := newPath(name, open, s.opt.Log)
	s.paths[name] = p
	if s.address != "" {
		s.serve(p)
	}
	return nil
}

// serve runs a path's sources; s.mu is held and the server listens.
func (s *Server) serve(p *path) {
	p.server = s.srv
	s.done.Go(func() { p.run(s.ctx) })
}

// Start begins to listen and to run what is published. It may be called once.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.address != "" {
		return errors.New("rtsp server: started already")
	}
	var err error
	tries := 1
	if s.opt.UDP {
		tries = portTries
	}
	for range tries {
		if err = s.listen(); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("rtsp server: listen at %s: %w", s.opt.Address, err)
	}
	for _, p := range s.paths {
		s.serve(p)
	}
	return nil
}

// listen makes one attempt; with UDP it is at a random pair of ports.
func (s *Server) listen() error {
	host, _, err := net.SplitHostPort(s.opt.Address)
	if err != nil {
		return err
	}
	var address string
	srv := &gortsplib.Server{
		Handler:        &handler{s},
		RTSPAddress:    s.opt.Address,
		TLSConfig:      s.opt.TLS,
		WriteQueueSize: writeQueue,
		Listen: func(network, addr string) (net.Listener, error) {
			l, err := net.Listen(network, addr)
			if err == nil {
				address = l.Addr().String()
			}
			return l, err
		},
	}
	switch s.opt.Auth {
	case "basic":
		srv.AuthMethods = []auth.VerifyMethod{auth.VerifyMethodBasic}
	case "digest":
		srv.AuthMethods = []auth.VerifyMethod{auth.VerifyMethodDigestMD5}
	}
	if s.opt.UDP {
		port := 20000 + 2*rand.IntN(10000)
		srv.UDPRTPAddress = net.JoinHostPort(host, strconv.Itoa(port))
		srv.UDPRTCPAddress = net.JoinHostPort(host, strconv.Itoa(port+1))
	}
	if err := srv.Start(); err != nil {
		return err
	}
	s.srv, s.address = srv, address
	return nil
}

// Address returns host:port of the listener, "" before Start.
func (s *Server) Address() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.address
}

// URL returns the address of a path, without credentials.
func (s *Server) URL(name string) string {
	scheme := "rtsp"
	if s.opt.TLS != nil {
		scheme = "rtsps"
	}
	return scheme + "://" + s.Address() + "/" + strings.Trim(name, "/")
}

// Close ends all readers and sources and waits for them.
func (s *Server) Close() {
	s.cancel()
	s.done.Wait() // closes the streams, which need the server
	s.mu.Lock()
	srv := s.srv
	s.mu.Unlock()
	if srv != nil {
		srv.Close()
	}
}

// handler answers the requests of readers; gortsplib finds its methods by name.
type handler struct{ s *Server }

var (
	_ gortsplib.ServerHandlerOnDescribe = (*handler)(nil)
	_ gortsplib.ServerHandlerOnSetup    = (*handler)(nil)
	_ gortsplib.ServerHandlerOnPlay     = (*handler)(nil)

	_ gortsplib.ServerHandlerOnStreamWriteError = (*handler)(nil)
	_ gortsplib.ServerHandlerOnDecodeError      = (*handler)(nil)
)

// stream finds what a request is for, or the answer that refuses it. With
// ErrServerAuth gortsplib asks for a login, or hangs up on a wrong one.
func (h *handler) stream(c *gortsplib.ServerConn, r *base.Request, name string) (*base.Response, *gortsplib.ServerStream, error) {
	// VerifyCredentials comes first: it makes the nonce of the challenge.
	if h.s.opt.Username != "" && !c.VerifyCredentials(r, h.s.opt.Username, h.s.opt.Password) && !h.s.basic(r) {
		return &base.Response{StatusCode: base.StatusUnauthorized}, nil, liberrors.ErrServerAuth{}
	}
	h.s.mu.Lock()
	p := h.s.paths[strings.Trim(name, "/")]
	h.s.mu.Unlock()
	if p == nil {
		return &base.Response{StatusCode: base.StatusNotFound}, nil, nil
	}
	st := p.wait(h.s.ctx, describeWait)
	if st == nil {
		return &base.Response{StatusCode: base.StatusServiceUnavailable}, nil, nil
	}
	return &base.Response{StatusCode: base.StatusOK}, st, nil
}

// basic checks a login of kind basic (RFC 7617). gortsplib's own check refuses
// passwords with a colon.
func (s *Server) basic(r *base.Request) bool {
	if s.opt.Auth == "digest" || len(r.Header["Authorization"]) != 1 {
		return false
	}
	coded, ok := strings.CutPrefix(r.Header["Authorization"][0], "Basic ")
	login, err := base64.StdEncoding.DecodeString(coded)
	want := s.opt.Username + ":" + s.opt.Password
	return ok && err == nil && subtle.ConstantTimeCompare(login, []byte(want)) == 1
}

// OnDescribe implements gortsplib.ServerHandlerOnDescribe.
func (h *handler) OnDescribe(c *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	return h.stream(c.Conn, c.Request, c.Path)
}

// OnSetup implements gortsplib.ServerHandlerOnSetup.
func (h *handler) OnSetup(c *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if h.s.opt.NoTCP && c.Transport == gortsplib.TransportTCP {
		return &base.Response{StatusCode: base.StatusUnsupportedTransport}, nil, nil
	}
	return h.stream(c.Conn, c.Request, c.Path)
}

// OnPlay implements gortsplib.ServerHandlerOnPlay.
func (h *handler) OnPlay(*gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnStreamWriteError implements gortsplib.ServerHandlerOnStreamWriteError: a
// reader did not keep up and misses packets, which it sees by their numbers.
func (h *handler) OnStreamWriteError(c *gortsplib.ServerHandlerOnStreamWriteErrorCtx) {
	h.s.opt.Log.Debug("packet not sent to a slow reader", "error", c.Error)
}

// OnDecodeError implements gortsplib.ServerHandlerOnDecodeError: a reader sent
// RTCP that is none.
func (h *handler) OnDecodeError(c *gortsplib.ServerHandlerOnDecodeErrorCtx) {
	h.s.opt.Log.Debug("reader sends garbage", "error", c.Error)
}
