package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// writePair writes a self-signed certificate for 127.0.0.1 that is its own
// authority, NAME.pem, and its key, NAME.key.
func writePair(t *testing.T, dir, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: cert}, name + ".key": {Type: "PRIVATE KEY", Bytes: secret}} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600))
	}
}

// TestDevicesByTLS takes the certificates from a configuration file, and lets
// devices of the simulate command register, with SM3.
func TestDevicesByTLS(t *testing.T) {
	t.Setenv("PASSWORD_OF_DEVICES", "a secret")
	for name, c := range map[string]struct {
		clientCA string   // of the configuration
		flags    []string // of the device; %s is the folder
		heard    string   // in what the command prints or the platform logs
	}{
		"right":                       {"", []string{"--ca", "%s/platform.pem"}, "registered SM3"},
		"a platform that is not ours": {"", []string{"--ca", "%s/device.pem"}, "certificate signed by unknown authority"},
		"a device with its own":       {"device.pem", []string{"--ca", "%s/platform.pem", "--cert", "%s/device.pem", "--key", "%s/device.key"}, "registered SM3"},
		"a device without":            {"device.pem", []string{"--ca", "%s/platform.pem"}, "client didn't provide a certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writePair(t, dir, "platform")
			writePair(t, dir, "device")
			secure, media := freePort(t), freePort(t)
			_, port, err := net.SplitHostPort(media)
			require.NoError(t, err)
			file := filepath.Join(dir, "edge.yaml")
			require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `
data_dir: %s
redis: {addresses: ["127.0.0.1:6379"]}
edge:
  gb28181:
    listen: 127.0.0.1:0
    id: "%s"
    tls: {listen: %s, cert: platform.pem, key: platform.key, client_ca: "%s"}
    media: {ports: "%s"}
    devices: [{id: "%s", password: {env: PASSWORD_OF_DEVICES}}]
`, filepath.Join(dir, "data"), testPlatform, secure, c.clientCA, port, testRecorder), 0o600))
			cfg, err := configs.Load(file, configs.Options{})
			require.NoError(t, err)
			said := &syncBuffer{}
			d, err := (&process{cfg: cfg, log: slog.New(slog.NewTextHandler(said, nil)), registry: prometheus.NewRegistry()}).newPlatform(&edge{cfg: cfg})
			require.NoError(t, err)
			background(t, d.Run)
			_, err = d.Addr(t.Context())
			require.NoError(t, err)

			device := newRoot()
			args := []string{"gb28181", "simulate", "--server", secure, "--transport", "tls", "--digest", "SM3", "--password-env", "PASSWORD_OF_DEVICES"}
			for _, flag := range c.flags {
				args = append(args, strings.ReplaceAll(flag, "%s", dir))
			}
			device.SetArgs(args)
			device.SetOut(said)
			background(t, device.ExecuteContext)
			require.Eventually(t, func() bool { return strings.Contains(said.String(), c.heard) }, 20*time.Second, 10*time.Millisecond, "%s", said)
			var registered ingest.Value
			for _, dev := range d.Devices() {
				registered = dev.Registered.Value
				if registered == ingest.Yes {
					require.Equal(t, "tls", dev.Transport)
				}
			}
			require.Equal(t, c.heard == "registered SM3", registered == ingest.Yes)
		})
	}
}

// background runs f until the test ends; what was started last ends first.
func background(t *testing.T, f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
}

// TestBadTLSFiles says what to do, at the start: the check of the file finds most,
// the rest changed after it.
func TestBadTLSFiles(t *testing.T) {
	dir := t.TempDir()
	writePair(t, dir, "a")
	writePair(t, dir, "b")
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, c := range map[string]struct {
		tls  configs.GB28181TLS
		says []string
	}{
		"no file":         {configs.GB28181TLS{Cert: at("none.pem"), Key: at("a.key")}, []string{"edge.gb28181.tls", "none.pem", "no such file", "PEM"}},
		"another's key":   {configs.GB28181TLS{Cert: at("a.pem"), Key: at("b.key")}, []string{"a.pem", "b.key", "its own key"}},
		"no authorities":  {configs.GB28181TLS{Cert: at("a.pem"), Key: at("a.key"), ClientCA: at("none.pem")}, []string{"none.pem", "no such file"}},
		"no certificates": {configs.GB28181TLS{Cert: at("a.pem"), Key: at("a.key"), ClientCA: at("a.key")}, []string{"a.key", "holds no certificate"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := &configs.Config{Edge: &configs.Edge{GB28181: &configs.GB28181{ID: testPlatform, TLS: c.tls}}}
			_, err := (&process{cfg: cfg, registry: prometheus.NewRegistry()}).newPlatform(&edge{cfg: cfg})
			for _, words := range c.says {
				require.ErrorContains(t, err, words)
			}
		})
	}
	for _, flags := range [][]string{{"--ca", at("a.pem")}, {"--transport", "tls", "--cert", at("a.pem")}, {"--transport", "tls", "--ca", at("none.pem")}} {
		device := newRoot()
		device.SetArgs(append([]string{"gb28181", "simulate"}, flags...))
		require.Error(t, device.ExecuteContext(t.Context()), flags)
	}
}
