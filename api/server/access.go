package server

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/sharpeyes/sharpeyes/api/store"
)

const (
	cookieName  = "sharpeyes_session"
	csrfHeader  = "X-CSRF-Token"
	loginKey    = "login"     // of the gin context
	touchEvery  = time.Minute // a session's "seen" is not written more often
	tokenBytes  = 32          // 256 bit
	tokenLength = 43          // of them in base64 without padding
)

// loginOf returns the session of the request, nil when nobody is logged in or
// the route did not ask.
func loginOf(c *gin.Context) *store.Session {
	v, ok := c.Get(loginKey)
	if !ok {
		return nil
	}
	l, _ := v.(*store.Session)
	return l
}

// allow lets the request through when its session satisfies the need, and when
// a change carries the session's own token.
func (s *Server) allow(need access) gin.HandlerFunc {
	return func(c *gin.Context) {
		if need == open || need == local && fromThisMachine(c.Request) {
			c.Next()
			return
		}
		l, err := s.login(c)
		if err != nil {
			s.fail(c, err)
			return
		}
		c.Set(loginKey, l)
		if c.Request.Method != http.MethodGet && subtle.ConstantTimeCompare([]byte(c.GetHeader(csrfHeader)), []byte(l.CSRF)) != 1 {
			s.fail(c, problem(codeCSRF))
			return
		}
		if !need.allows(l.User.Role) {
			s.fail(c, problem(codeForbidden))
			return
		}
		c.Next()
	}
}

// login finds the session of the request's cookie.
func (s *Server) login(c *gin.Context) (*store.Session, error) {
	token, err := c.Cookie(cookieName)
	if err != nil || len(token) != tokenLength {
		return nil, problem(codeNotLoggedIn)
	}
	ctx := c.Request.Context()
	l, err := s.opt.Store.Session(ctx, hashToken(token))
	if errors.Is(err, store.ErrNotFound) {
		return nil, problem(codeNotLoggedIn)
	}
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	if now := s.opt.Now(); now.Sub(l.Seen) > touchEvery {
		if err := s.opt.Store.TouchSession(ctx, l.TokenHash); err != nil {
			return nil, fmt.Errorf("session: %w", err)
		}
	}
	return &l, nil
}

// newToken returns 256 random bits in base64.
func newToken() (string, error) {
	b := make([]byte, tokenBytes)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("random token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// hashToken is what the store knows of a token. The token has 256 random bits,
// so a plain hash cannot be reversed by guessing.
func hashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// fromThisMachine says whether the other end is a program on this machine that
// speaks for itself. A proxy on this machine has a loopback address too, but
// says for whom it asks; and a browser page of another name that resolves to
// this machine carries that name in Host.
func fromThisMachine(r *http.Request) bool {
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip"} {
		if r.Header.Get(h) != "" {
			return false
		}
	}
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !a.Addr().Unmap().IsLoopback() {
		return false
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
