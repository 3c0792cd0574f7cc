package gb28181

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// nonceLife is how long a challenge may be answered. A device that uses an older
// one is told that it is stale, and takes the new one without asking its person.
const nonceLife = 2 * time.Minute

// nonceSize is the bytes of a nonce: 8 of time, 8 random, 16 of HMAC.
const nonceSize = 32

// nonces makes and checks nonces without remembering them: a flood of challenges
// costs no memory. A nonce holds for one device; that it is used once is for the
// device's own record (see lastNonce).
type nonces struct {
	key [32]byte
}

func newNonces() *nonces {
	var n nonces
	_, _ = rand.Read(n.key[:]) // never fails since Go 1.24
	return &n
}

// issue returns a nonce for a device.
func (n *nonces) issue(device string, now time.Time) string {
	var b [nonceSize]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixNano()))
	_, _ = rand.Read(b[8:16])
	n.seal(&b, device)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// seal writes the HMAC.
func (n *nonces) seal(b *[nonceSize]byte, device string) {
	mac := hmac.New(sha256.New, n.key[:])
	mac.Write(b[:16])
	mac.Write([]byte(device))
	copy(b[16:], mac.Sum(nil))
}

// check says when a nonce was issued to this device; ok is false when it was not,
// or when it is too old.
func (n *nonces) check(nonce, device string, now time.Time) (issued time.Time, ok bool) {
	var b [nonceSize]byte
	if len(nonce) != base64.RawURLEncoding.EncodedLen(nonceSize) {
		return time.Time{}, false
	}
	if _, err := base64.RawURLEncoding.Decode(b[:], []byte(nonce)); err != nil {
		return time.Time{}, false
	}
	want := b
	n.seal(&want, device)
	if !hmac.Equal(want[16:], b[16:]) {
		return time.Time{}, false
	}
	issued = time.Unix(0, int64(binary.BigEndian.Uint64(b[:8])))
	age := now.Sub(issued)
	return issued, age >= -time.Second && age <= nonceLife
}

// lastNonce is what a device may not use again: everything up to the nonce and
// count that it registered with last.
type lastNonce struct {
	issued time.Time
	nonce  string
	count  uint32
}

// fresh says whether a valid nonce may be used now. Without qop there is no
// count, and a nonce serves once.
func (l *lastNonce) fresh(c credentials, issued time.Time) bool {
	if c.nonce == l.nonce {
		return c.qop != "" && c.count > l.count
	}
	return issued.After(l.issued)
}

// use records that it was used.
func (l *lastNonce) use(c credentials, issued time.Time) {
	l.issued, l.nonce, l.count = issued, c.nonce, c.count
}
