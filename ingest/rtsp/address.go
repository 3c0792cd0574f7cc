package rtsp

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"github.com/sharpeyes/sharpeyes/configs"
)

// errFingerprint says that the camera's certificate is not the pinned one.
var errFingerprint = errors.New("certificate fingerprint differs")

// address returns the URL of the stream that is to be analysed, with the
// camera's credentials in it, never to be shown: Settings.Stream chooses main
// or sub, and sub is the default where there is one. User name and password may
// hold any characters, since they are set, not written into text.
func address(cam configs.Camera) (*base.URL, error) {
	raw := cam.URL
	switch cam.Settings.Stream {
	case "main":
	case "sub":
		if cam.SubstreamURL == "" {
			return nil, fmt.Errorf("camera %s: stream is sub, but there is no substream_url: set it, or stream to main", cam.ID)
		}
		raw = cam.SubstreamURL
	default:
		if cam.SubstreamURL != "" {
			raw = cam.SubstreamURL
		}
	}
	u, err := url.Parse(raw)
	if err != nil {
		// The error of url.Parse repeats the address, which may hold a password.
		return nil, fmt.Errorf("camera %s: the address cannot be read: write rtsp://HOST:PORT/PATH, without user and password", cam.ID)
	}
	if (u.Scheme != "rtsp" && u.Scheme != "rtsps") || u.Hostname() == "" || u.Opaque != "" || u.Fragment != "" {
		return nil, fmt.Errorf("camera %s: the address is not rtsp:// or rtsps:// with a host: write %q as %%23 where the path has one", cam.ID, "#")
	}
	if cam.Username != "" || cam.Password.Value() != "" {
		u.User = url.UserPassword(cam.Username, cam.Password.Value())
	}
	return (*base.URL)(u), nil
}

// tlsConfig builds what rtsps:// needs. With a fingerprint the certificate
// itself is trusted and nothing else about it; with a CA file the chain and the
// host name must be right; with both, both.
func tlsConfig(c configs.CameraTLS) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls.ca_file: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca_file %s: holds no certificate in PEM form", c.CAFile)
		}
	}
	if c.Fingerprint == "" {
		return cfg, nil
	}
	want, err := hex.DecodeString(strings.NewReplacer(":", "", " ", "").Replace(c.Fingerprint))
	if err != nil || len(want) != sha256.Size {
		return nil, errors.New("tls.fingerprint: write the SHA-256 of the certificate as 64 hexadecimal digits")
	}
	cfg.InsecureSkipVerify = c.CAFile == "" // the pin below takes the place of the chain
	cfg.VerifyConnection = func(s tls.ConnectionState) error {
		got := sha256.Sum256(s.PeerCertificates[0].Raw)
		if string(got[:]) != string(want) {
			return fmt.Errorf("%w: the camera shows %x", errFingerprint, got)
		}
		return nil
	}
	return cfg, nil
}
