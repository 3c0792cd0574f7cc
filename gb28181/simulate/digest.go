package simulate

import (
	"crypto/md5" //nolint:gosec // GB/T 28181 annex C of RFC 2617: the field's devices have nothing else
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"

	"github.com/emmansun/gmsm/sm3"
)

// challenge is a WWW-Authenticate header (RFC 7616 §3.3).
type challenge struct {
	realm, nonce, opaque, algorithm string
	qop                             bool // auth is offered
}

// parseChallenge reads one header value; ok is false for anything but Digest.
func parseChallenge(value string) (c challenge, ok bool) {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
	if !strings.EqualFold(scheme, "Digest") {
		return challenge{}, false
	}
	for _, part := range splitQuoted(rest) {
		k, v, _ := strings.Cut(part, "=")
		v = strings.Trim(strings.TrimSpace(v), `"`)
		switch strings.ToLower(strings.TrimSpace(k)) {
		case "realm":
			c.realm = v
		case "nonce":
			c.nonce = v
		case "opaque":
			c.opaque = v
		case "algorithm":
			c.algorithm = v
		case "qop":
			for q := range strings.SplitSeq(v, ",") {
				c.qop = c.qop || strings.TrimSpace(q) == "auth"
			}
		}
	}
	return c, c.nonce != ""
}

// splitQuoted splits at commas outside quotes.
func splitQuoted(s string) []string {
	var parts []string
	quoted, from := false, 0
	for i, r := range s {
		switch {
		case r == '"':
			quoted = !quoted
		case r == ',' && !quoted:
			parts, from = append(parts, s[from:i]), i+1
		}
	}
	return append(parts, s[from:])
}

// pick chooses among several challenges the one of the wanted algorithm, else
// the first that this device can answer.
func pick(values []string, want string) (challenge, bool) {
	var first *challenge
	for _, v := range values {
		c, ok := parseChallenge(v)
		if !ok || newHash(c.algorithm) == nil {
			continue
		}
		if strings.EqualFold(c.algorithm, want) || (want == "MD5" && c.algorithm == "") {
			return c, true
		}
		if first == nil {
			first = &c
		}
	}
	if first == nil {
		return challenge{}, false
	}
	return *first, true
}

func newHash(algorithm string) func() hash.Hash {
	switch strings.ToUpper(algorithm) {
	case "", "MD5":
		return md5.New
	case "SHA-256":
		return sha256.New
	case "SM3":
		return sm3.New
	}
	return nil
}

// authorization answers c (RFC 7616 §3.4). count is how often the nonce was
// used, from 1.
func (c challenge) authorization(username, password, method, uri, cnonce string, count int) string {
	h := func(s string) string {
		sum := newHash(c.algorithm)()
		sum.Write([]byte(s))
		return hex.EncodeToString(sum.Sum(nil))
	}
	ha1, ha2 := h(username+":"+c.realm+":"+password), h(method+":"+uri)
	response, nc := h(ha1+":"+c.nonce+":"+ha2), fmt.Sprintf("%08x", count)
	if c.qop {
		response = h(ha1 + ":" + c.nonce + ":" + nc + ":" + cnonce + ":auth:" + ha2)
	}
	s := fmt.Sprintf(`Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s"`, username, c.realm, c.nonce, uri, response)
	if c.algorithm != "" {
		s += ", algorithm=" + c.algorithm
	}
	if c.qop {
		s += fmt.Sprintf(`, qop=auth, nc=%s, cnonce="%s"`, nc, cnonce)
	}
	if c.opaque != "" {
		s += fmt.Sprintf(`, opaque="%s"`, c.opaque)
	}
	return s
}
