package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/api/store"
)

// serve runs Serve on a free port until the test ends and moves the world's
// browsers there. stop ends it and returns what it returned.
func (w *world) serve(cert, key string) (address string, stop func() error) {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- w.server.Serve(ctx, l, cert, key) }()
	scheme := "http://"
	if cert != "" {
		scheme = "https://"
	}
	w.http.Close()
	w.http.URL = scheme + l.Addr().String()
	var ended bool
	stop = func() error {
		cancel()
		if ended {
			return nil
		}
		ended = true
		select {
		case err := <-served:
			return err
		case <-time.After(waitFor):
			w.t.Fatal("Serve does not end")
		}
		return nil
	}
	w.t.Cleanup(func() { _ = stop() })
	return l.Addr().String(), stop
}

// TestStreamOutlivesTheTimeouts holds a stream open for longer than every
// timeout of the server, which ends any other request.
func TestStreamOutlivesTheTimeouts(t *testing.T) {
	w := newWorld(t)
	w.server.timeouts.read, w.server.timeouts.write = 50*time.Millisecond, 50*time.Millisecond
	w.server.timeouts.heartbeat = 20 * time.Millisecond
	_, stop := w.serve("", "")
	l, _, _ := w.as(store.RoleViewer).listen("")
	for range 20 {
		require.Equal(t, "beat", l.next().comment)
	}
	w.ingest(alertOf(t, "a", "cam-1", api.Opened))
	for {
		if e := l.next(); e.event == "alert" {
			break
		}
	}
	begun := time.Now()
	require.NoError(t, stop())
	require.Less(t, time.Since(begun), w.server.timeouts.shutdown, "streams do not hold up the end")
	l.requireEnded()
}

// TestAClientThatDoesNotRead opens a stream and takes nothing from its socket:
// the write deadline ends it.
func TestAClientThatDoesNotRead(t *testing.T) {
	w := newWorld(t)
	w.server.timeouts.streamWrite = 100 * time.Millisecond
	address, _ := w.serve("", "")
	b := w.as(store.RoleViewer)
	cookie := b.c.Jar.Cookies(b.request(http.MethodGet, "/", nil).URL)[0]

	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(4096))
	_, err = fmt.Fprintf(conn, "GET /api/v1/stream HTTP/1.1\r\nHost: %s\r\nCookie: %s=%s\r\n\r\n", address, cookie.Name, cookie.Value)
	require.NoError(t, err)
	status, err := bufio.NewReaderSize(conn, 16).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 200 OK\r\n", status)

	n := 0
	require.Eventually(t, func() bool {
		batch := make([]any, 50)
		for i := range batch {
			n++
			a := alertOf(t, fmt.Sprint("alert", n), "cam-1", api.Opened)
			a.RuleName = string(bytes.Repeat([]byte("x"), 20_000)) // to fill the socket's buffers soon
			batch[i] = a
		}
		w.ingest(batch...)
		return w.counter("sharpeyes_sse_dropped_total", "reason", "write") > 0
	}, 2*waitFor, tick)
	require.Eventually(t, func() bool { return w.counter("sharpeyes_sse_clients") == 0 }, waitFor, tick)
}

func TestASlowRequestIsCut(t *testing.T) {
	w := newWorld(t)
	w.server.timeouts.header = 50 * time.Millisecond
	address, _ := w.serve("", "")
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n") // and never the empty line
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(waitFor)))
	_, err = io.ReadAll(conn)
	require.NoError(t, err, "the server closed, not our deadline")
}

func TestServeWithTLS(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Secure = true })
	cert, key, roots := certificate(t)
	_, stop := w.serve(cert, key)
	w.user("wang", store.RoleViewer)
	b := w.browser()
	b.c.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	t.Cleanup(b.c.CloseIdleConnections)
	require.Equal(t, http.StatusOK, b.post("/api/v1/session", credentials("wang", password)).status)
	l, _, _ := b.listen("")
	w.ingest(alertOf(t, "a", "cam-1", api.Opened))
	l.nextAlert()
	require.Equal(t, 2, l.res.ProtoMajor)

	old := w.browser()
	old.c.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MaxVersion: tls.VersionTLS11}}
	_, err := old.c.Do(old.request(http.MethodGet, "/healthz", nil))
	require.Error(t, err, "TLS 1.1 is refused")
	require.NoError(t, stop())
}

func TestServeSaysWhyItCannot(t *testing.T) {
	w := newWorld(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	err = w.server.Serve(t.Context(), l, filepath.Join(w.dir, "missing.pem"), filepath.Join(w.dir, "missing.key"))
	require.ErrorContains(t, err, "center.tls_cert")
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = l.Accept()
	require.ErrorIs(t, err, net.ErrClosed, "the listener is closed")

	require.ErrorIs(t, w.server.Serve(t.Context(), l, "", ""), net.ErrClosed)
}

// certificate writes a certificate for 127.0.0.1 and its key.
func certificate(t *testing.T) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &k.PublicKey, k)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	require.NoError(t, err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	roots = x509.NewCertPool()
	c, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots.AddCert(c)
	return cert, key, roots
}
