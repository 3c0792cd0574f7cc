package configs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// writePair writes a self-signed certificate and its key, NAME.pem and NAME.key.
func writePair(t *testing.T, dir, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
}

func TestLoadChecksCertificates(t *testing.T) {
	dir := t.TempDir()
	writePair(t, dir, "a")
	writePair(t, dir, "b")
	try := func(text string) (*Config, error) { return load([]byte(text), "f", dir, Options{}) }
	center := func(cert, key string) string {
		return "edge: {}\ncenter: {tls_cert: " + cert + ", tls_key: " + key + "}\n"
	}
	c, err := try(center("a.pem", "a.key"))
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "a.pem"), c.Center.TLSCert)
	require.Equal(t, filepath.Join(dir, "a.key"), c.Center.TLSKey)
	_, err = try(center("a.pem", "b.key"))
	require.ErrorContains(t, err, "f:2:20: center.tls_cert: and tls_key are not a pair")
	_, err = try(center("a.pem", "none.key"))
	require.ErrorContains(t, err, "center.tls_key: cannot be read: there is no such file")

	camera := func(ca string) string {
		return "center: {}\nedge: {cameras: [{id: a, name: A, url: 'rtsps://h/', division: '360921100001', tls: {ca_file: " + ca + "}}]}\n"
	}
	c, err = try(camera("a.pem"))
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "a.pem"), c.Edge.Cameras[0].TLS.CAFile)
	_, err = try(camera("a.key"))
	require.ErrorContains(t, err, "tls.ca_file: holds no certificate")
}

func TestClosest(t *testing.T) {
	known := []string{"transport", "timeout", "stream", "url", "id"}
	for text, want := range map[string]string{
		"transprot": "transport", "Transport": "transport", "tranport": "transport", "time_out": "timeout", "ulr": "url",
		"completely": "", "": "", "idd": "id", "ie": "id", "xyz": "",
	} {
		require.Equal(t, want, closest(text, known), text)
	}
	require.Equal(t, 1, distance("ab", "ba"))
	require.Equal(t, 3, distance("kitten", "sitting"))
	require.Equal(t, 4, distance("", "abcd"))
	require.Equal(t, "none is defined here", meant("x", nil))
}

func TestCheckPolygonTouches(t *testing.T) {
	for name, tt := range map[string]struct {
		points []Point
		what   string
	}{
		"triangle":          {[]Point{{0, 0}, {1, 0}, {0, 1}}, ""},
		"the other way":     {[]Point{{0, 0}, {0, 1}, {1, 0}}, ""},
		"concave":           {[]Point{{0, 0}, {1, 0}, {0.5, 0.5}, {1, 1}, {0, 1}}, ""},
		"corner on a side":  {[]Point{{0, 0}, {1, 0}, {1, 1}, {0.5, 0}, {0, 1}}, "crosses itself: side 1 meets side 3"},
		"folded back":       {[]Point{{0, 0}, {1, 0}, {0.5, 0}, {0.5, 0.5}, {0, 0.5}}, "crosses itself: side 1 meets side 3"},
		"too small":         {[]Point{{0, 0}, {0.001, 0}, {0, 0.001}}, "encloses no area"},
		"two":               {[]Point{{0, 0}, {1, 1}}, "needs at least 3"},
		"on the very edges": {[]Point{{0, 0}, {1, 0}, {1, 1}, {0, 1}}, ""},
	} {
		got := checkPolygon(tt.points)
		if tt.what == "" {
			require.Empty(t, got, name)
			continue
		}
		require.Contains(t, got, tt.what, name)
	}
}
