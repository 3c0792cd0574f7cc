package rtsp

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"flag"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
	"github.com/sharpeyes/sharpeyes/ingest/replay"
)

func TestMain(m *testing.M) {
	// These tests wait for timeouts and pictures; they hardly compute.
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

const (
	walk264 = "../testdata/walk.h264"
	walk265 = "../testdata/walk.h265"
)

// clip opens a clip as fast or slow as fps says, for ever.
func clip(path string, fps float64) func() (ingest.Source, error) {
	return func() (ingest.Source, error) {
		return replay.New(path, replay.Options{FPS: fps, Loop: true, Realtime: true})
	}
}

// serve starts a server with the walk in both codecs at 100 pictures a second.
func serve(t *testing.T, opt ServerOptions) *Server {
	t.Helper()
	s := NewServer(opt)
	require.NoError(t, s.Publish("h264", clip(walk264, 100)))
	require.NoError(t, s.Publish("/h265", clip(walk265, 100)))
	require.NoError(t, s.Start())
	t.Cleanup(s.Close)
	return s
}

// camera returns the configuration of a camera at url that answers within 5 s.
func camera(url string) configs.Camera {
	return configs.Camera{ID: "c1", URL: url, LegalBasis: "A9", Settings: configs.Stream{Transport: "tcp", Timeout: configs.Duration(5 * time.Second)}}
}

// taken is a sink that keeps what it gets.
type taken struct {
	mu         sync.Mutex
	transports []string
	units      []ingest.AccessUnit
	lost       uint64
	enough     int
	stop       context.CancelFunc
}

func (s *taken) Connected(transport string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.transports = append(s.transports, transport)
}

func (s *taken) Lost(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost += n
}

func (s *taken) Write(u ingest.AccessUnit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.units = append(s.units, u)
	if len(s.units) == s.enough {
		s.stop()
	}
}

// pull runs the camera's source until n units came, it ended, or 20 s passed.
func pull(t *testing.T, cam configs.Camera, n int) (*taken, error) {
	t.Helper()
	src, err := New(cam, nil, nil)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s := &taken{enough: n, stop: cancel}
	err = src.Run(ctx, s)
	require.NotErrorIs(t, err, context.DeadlineExceeded, "got %d units", len(s.units))
	return s, err
}

// certificate makes a self-signed certificate for 127.0.0.1, its PEM file and
// its fingerprint.
func certificate(t *testing.T) (cert tls.Certificate, file, fingerprint string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "camera"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	require.NoError(t, err)
	file = filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	sum := sha256.Sum256(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file, hex.EncodeToString(sum[:])
}
