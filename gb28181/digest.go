package gb28181

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"hash"
	"strconv"
	"strings"

	"github.com/emmansun/gmsm/sm3"
)

// digestAlgorithms are the hashes of a digest (RFC 3261 §22, RFC 8760; SM3 for
// GB/T 28181-2022 §8.3), by their names in upper case.
func digestAlgorithm(name string) (fresh func() hash.Hash, session, ok bool) {
	name, session = strings.CutSuffix(strings.ToUpper(name), "-SESS")
	switch name {
	case "", "MD5":
		return md5.New, session, true
	case "SHA-256":
		return sha256.New, session, true
	case "SM3":
		return sm3.New, session, true
	}
	return nil, false, false
}

// credentials is an Authorization header with scheme Digest.
type credentials struct {
	username, realm, nonce, uri, response string
	algorithm, qop, cnonce                string
	nc                                    string
	count                                 uint32 // of nc
}

var errNotDigest = errors.New("not a digest")

// parseCredentials reads an Authorization header. Values may be quoted or not:
// devices do both.
func parseCredentials(header string) (credentials, error) {
	var c credentials
	scheme, rest, _ := strings.Cut(strings.TrimSpace(header), " ")
	if !strings.EqualFold(scheme, "Digest") {
		return c, errNotDigest
	}
	fields := map[string]*string{
		"username": &c.username, "realm": &c.realm, "nonce": &c.nonce, "uri": &c.uri, "response": &c.response,
		"algorithm": &c.algorithm, "qop": &c.qop, "cnonce": &c.cnonce, "nc": &c.nc,
	}
	for key, value := range directives(rest) {
		if p := fields[strings.ToLower(key)]; p != nil {
			*p = value
		}
	}
	if c.nonce == "" || c.response == "" {
		return c, errNotDigest
	}
	if c.qop != "" {
		n, err := strconv.ParseUint(c.nc, 16, 32)
		if err != nil {
			return c, errors.New("qop without a nonce count")
		}
		c.count = uint32(n)
	}
	return c, nil
}

// directives walks key=value, key="value", … .
func directives(text string) func(yield func(key, value string) bool) {
	return func(yield func(string, string) bool) {
		for {
			key, rest, found := strings.Cut(text, "=")
			if !found {
				return
			}
			rest = strings.TrimLeft(rest, " \t")
			var value string
			if quoted, isQuoted := strings.CutPrefix(rest, `"`); isQuoted {
				value, text = unquote(quoted)
				_, text, _ = strings.Cut(text, ",")
			} else {
				value, text, _ = strings.Cut(rest, ",")
				value = strings.TrimSpace(value)
			}
			if !yield(strings.TrimSpace(key), value) {
				return
			}
		}
	}
}

// unquote reads up to the closing quote and returns what follows it.
func unquote(s string) (value, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:]
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), ""
}

// matches says whether the credentials prove the password (RFC 2617 §3.2.2, RFC
// 7616 §3.4), in constant time.
func (c credentials) matches(method, password string) bool {
	fresh, session, ok := digestAlgorithm(c.algorithm)
	if !ok || (c.qop != "" && !strings.EqualFold(c.qop, "auth")) {
		return false
	}
	h := func(parts ...string) string {
		sum := fresh()
		for i, p := range parts {
			if i > 0 {
				sum.Write([]byte{':'})
			}
			sum.Write([]byte(p))
		}
		return hex.EncodeToString(sum.Sum(nil))
	}
	ha1 := h(c.username, c.realm, password)
	if session {
		ha1 = h(ha1, c.nonce, c.cnonce)
	}
	ha2 := h(method, c.uri)
	want := h(ha1, c.nonce, ha2)
	if c.qop != "" {
		want = h(ha1, c.nonce, c.nc, c.cnonce, c.qop, ha2)
	}
	return subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(c.response))) == 1
}

// offeredAlgorithm returns the algorithm to challenge with: MD5, which every
// device has, unless this one says that it has a better one, by an earlier digest
// or by GB 35114's Capability.
func offeredAlgorithm(authorization string) string {
	upper := strings.ToUpper(authorization)
	switch {
	case strings.Contains(upper, "SM3"):
		return "SM3"
	case strings.Contains(upper, "SHA-256"):
		return "SHA-256"
	}
	return "MD5"
}

// challenge writes a WWW-Authenticate header.
func challenge(realm, nonce, algorithm string, stale bool) string {
	s := `Digest realm="` + realm + `",nonce="` + nonce + `",qop="auth",algorithm=` + algorithm
	if stale {
		s += ",stale=true"
	}
	return s
}
