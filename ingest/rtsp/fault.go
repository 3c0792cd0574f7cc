package rtsp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// What an operator can do, per reason.
const (
	hintAuth        = "check user name and password; the camera may also have locked the account for a while"
	hintNotFound    = "check the path of the address: cameras differ, see the maker's RTSP address format"
	hintRefused     = "nothing listens at this port: check the port, and that RTSP is switched on in the camera"
	hintBusy        = "the camera has no stream left to give: close other viewers or raise its limit"
	hintUnreachable = "check the address, the route and the power of the camera"
	hintTimeout     = "the camera does not answer: check address, firewall and link"
	hintTLS         = "check tls.ca_file or tls.fingerprint, and that the camera speaks RTSP over TLS at this port"
	hintBad         = "the answer is not RTSP as it should be: check that this is the camera's RTSP port, and its firmware"
	hintNoPackets   = "the session stands but nothing comes: UDP may be blocked, set transport to tcp"
	hintNothing     = "the session stands but the camera sends nothing: look at its stream settings and at the link"
	hintEnded       = "the camera closed the stream: it may have restarted, or allow fewer viewers"
	hintTransport   = "the camera refuses this transport: set transport to auto"
)

// maxErrorText bounds what of a camera's words gets into logs and pages.
const maxErrorText = 300

// faultOf gives the reason of an error of the RTSP client, with the step at
// which it came. It passes a *ingest.Fault through and keeps no address and no
// credential beyond what the error says itself.
func faultOf(step string, err error) error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*ingest.Fault](err); ok {
		return f
	}
	reason, hint := classify(err)
	if text := err.Error(); len(text) > maxErrorText {
		err = errors.New(strings.ToValidUTF8(text[:maxErrorText], "") + "…")
	}
	return &ingest.Fault{Reason: reason, Err: fmt.Errorf("%s: %w", step, err), Hint: hint}
}

func classify(err error) (ingest.Reason, string) {
	if s, ok := errors.AsType[liberrors.ErrClientBadStatusCode](err); ok {
		return classifyStatus(s.Code)
	}
	if r, hint, ok := classifyNet(err); ok {
		return r, hint
	}
	switch {
	case isA[liberrors.ErrClientRequestTimedOut](err):
		return ingest.ReasonTimeout, hintTimeout
	case isA[liberrors.ErrClientTCPTimeout](err):
		return ingest.ReasonNoFrames, hintNothing
	case isA[liberrors.ErrClientUDPTimeout](err):
		return ingest.ReasonNoFrames, hintNoPackets
	case isA[liberrors.ErrClientAuthSetup](err):
		return ingest.ReasonAuthFailed, "the camera asks for a kind of login that is neither basic nor digest"
	case refusesTransport(err):
		return ingest.ReasonRefused, hintTransport
	}
	return ingest.ReasonBadStream, hintBad
}

// classifyNet reads errors of the network and of TLS.
func classifyNet(err error) (ingest.Reason, string, bool) {
	switch {
	case isTLS(err):
		return ingest.ReasonTLS, hintTLS, true
	case errors.Is(err, syscall.ECONNREFUSED):
		return ingest.ReasonRefused, hintRefused, true
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH),
		errors.Is(err, syscall.EHOSTDOWN), errors.Is(err, syscall.ENETDOWN), isA[*net.DNSError](err):
		return ingest.ReasonUnreachable, hintUnreachable, true
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return ingest.ReasonTimeout, hintTimeout, true
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		return ingest.ReasonEnded, hintEnded, true
	}
	if n, ok := errors.AsType[net.Error](err); ok && n.Timeout() {
		return ingest.ReasonTimeout, hintTimeout, true
	}
	return "", "", false
}

func isTLS(err error) bool {
	return isA[*tls.CertificateVerificationError](err) || isA[tls.RecordHeaderError](err) || isA[tls.AlertError](err) ||
		isA[x509.UnknownAuthorityError](err) || isA[x509.HostnameError](err) || isA[x509.CertificateInvalidError](err) ||
		errors.Is(err, errFingerprint)
}

// classifyStatus reads the status codes of RFC 2326 §11.
func classifyStatus(c base.StatusCode) (ingest.Reason, string) {
	switch c {
	case base.StatusUnauthorized, base.StatusForbidden, base.StatusPaymentRequired, base.StatusProxyAuthRequired:
		return ingest.ReasonAuthFailed, hintAuth
	case base.StatusNotFound, base.StatusGone:
		return ingest.ReasonNotFound, hintNotFound
	case base.StatusUnsupportedTransport:
		return ingest.ReasonRefused, hintTransport
	case base.StatusNotEnoughBandwidth, base.StatusServiceUnavailable:
		return ingest.ReasonRefused, hintBusy
	case base.StatusRequestTimeout, base.StatusGatewayTimeout:
		return ingest.ReasonTimeout, hintTimeout
	}
	return ingest.ReasonBadStream, hintBad
}

// refusesTransport says whether an error of SETUP means that another transport
// may do.
func refusesTransport(err error) bool {
	s, ok := errors.AsType[liberrors.ErrClientBadStatusCode](err)
	return ok && s.Code == base.StatusUnsupportedTransport ||
		isA[liberrors.ErrClientServerRequestedTCP](err) || isA[liberrors.ErrClientServerRequestedUDP](err) ||
		isA[liberrors.ErrClientTransportHeaderInvalidDelivery](err) || isA[liberrors.ErrClientTransportHeaderNoInterleavedIDs](err) ||
		isA[liberrors.ErrClientServerPortsNotProvided](err)
}

func isA[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}
