package server

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// argonParams are the cost parameters of argon2id (RFC 9106 §3.1).
type argonParams struct {
	Memory  uint32 // KiB
	Time    uint32 // passes
	Threads uint8  // lanes
	SaltLen int    // bytes
	KeyLen  uint32 // bytes
}

// owaspParams is the first choice of the OWASP Password Storage Cheat Sheet
// for machines that hash on the request path: 19 MiB, two passes, one lane.
var owaspParams = argonParams{Memory: 19 * 1024, Time: 2, Threads: 1, SaltLen: 16, KeyLen: 32}

// Bounds of what a stored hash may ask of this machine. Stored hashes are ours,
// but a database that came from elsewhere must not be able to eat all memory.
const (
	maxArgonMemory  = 256 * 1024 // KiB
	maxArgonTime    = 16
	maxArgonThreads = 16
)

// Length of passwords, in characters. The lower bound is above the 8 of NIST SP
// 800-63B because there is no second factor yet; the upper one only bounds work.
const (
	minPassword = 10
	maxPassword = 128
)

var (
	errBadHash = errors.New("not an argon2id hash in PHC form")
	errBusy    = errors.New("too many logins at once")
)

// hasher makes and checks password hashes. Each run needs params.Memory, so at
// most cap(slots) run at once and at most maxWaiting wait; the rest is refused
// with errBusy. That bounds memory whatever arrives at the login door.
type hasher struct {
	params  argonParams
	slots   chan struct{}
	waiting atomic.Int32
	dummy   string // a hash of nothing anybody knows: unknown users cost the same time
}

const maxWaiting = 64

func newHasher(p argonParams, concurrent int) (*hasher, error) {
	h := &hasher{params: p, slots: make(chan struct{}, max(1, concurrent))}
	dummy, err := h.Hash(context.Background(), rand.Text())
	if err != nil {
		return nil, err
	}
	h.dummy = dummy
	return h, nil
}

func (h *hasher) acquire(ctx context.Context) error {
	if h.waiting.Add(1) > maxWaiting {
		h.waiting.Add(-1)
		return errBusy
	}
	defer h.waiting.Add(-1)
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", errBusy, ctx.Err())
	}
}

// Hash returns the PHC string of the password with a fresh salt. It blocks for
// a slot until ctx ends.
func (h *hasher) Hash(ctx context.Context, password string) (string, error) {
	if err := h.acquire(ctx); err != nil {
		return "", err
	}
	defer func() { <-h.slots }()
	p := h.params
	salt := make([]byte, p.SaltLen)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("salt: %w", err)
	}
	key := argon2.IDKey([]byte(password), salt, p.Time, p.Memory, p.Threads, p.KeyLen)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.Memory, p.Time, p.Threads,
		b64.EncodeToString(salt), b64.EncodeToString(key)), nil
}

// Verify says whether the password fits the hash and whether the hash was made
// with other parameters than today's and should be made anew. An empty hash is
// that of nobody: the work is done all the same and the answer is no.
func (h *hasher) Verify(ctx context.Context, hash, password string) (ok, stale bool, err error) {
	nobody := hash == ""
	if nobody {
		hash = h.dummy
	}
	p, salt, key, err := parsePHC(hash)
	if err != nil {
		return false, false, err
	}
	if err := h.acquire(ctx); err != nil {
		return false, false, err
	}
	defer func() { <-h.slots }()
	got := argon2.IDKey([]byte(password), salt, p.Time, p.Memory, p.Threads, p.KeyLen)
	ok = subtle.ConstantTimeCompare(got, key) == 1 && !nobody
	return ok, ok && p != h.params, nil
}

// parsePHC reads "$argon2id$v=19$m=…,t=…,p=…$salt$hash" (PHC string format).
func parsePHC(s string) (argonParams, []byte, []byte, error) {
	var p argonParams
	f := strings.Split(s, "$")
	if len(f) != 6 || f[0] != "" || f[1] != "argon2id" || f[2] != "v="+strconv.Itoa(argon2.Version) {
		return p, nil, nil, errBadHash
	}
	if n, err := fmt.Sscanf(f[3], "m=%d,t=%d,p=%d", &p.Memory, &p.Time, &p.Threads); err != nil || n != 3 {
		return p, nil, nil, errBadHash
	}
	b64 := base64.RawStdEncoding.Strict()
	salt, errSalt := b64.DecodeString(f[4])
	key, errKey := b64.DecodeString(f[5])
	if errSalt != nil || errKey != nil || len(salt) < 8 || len(salt) > 64 || len(key) < 16 || len(key) > 64 {
		return p, nil, nil, errBadHash
	}
	if p.Memory < 8 || p.Memory > maxArgonMemory || p.Time < 1 || p.Time > maxArgonTime || p.Threads < 1 || p.Threads > maxArgonThreads {
		return p, nil, nil, errBadHash
	}
	p.SaltLen, p.KeyLen = len(salt), uint32(len(key)) //nolint:gosec // bounded above
	return p, salt, key, nil
}

// checkPassword refuses passwords that are too short, too long, not text, or
// the user's own name.
func checkPassword(user, password string) error {
	n := utf8.RuneCountInString(password)
	if !utf8.ValidString(password) || n < minPassword || n > maxPassword {
		return problem(codeWeakPassword)
	}
	if user != "" && strings.Contains(strings.ToLower(password), strings.ToLower(user)) {
		return problem(codeWeakPassword)
	}
	return nil
}

// readable has 32 signs that nobody mistakes for one another on a console: no
// l, o, 0 or 1. 32 divides 256, so a byte modulo 32 is unbiased.
const readable = "abcdefghijkmnpqrstuvwxyz23456789"

// newPassword returns a random password of 80 bits in four groups of four,
// "f7kq-2mzt-9xwb-ch4p": easy to read from a console and to type.
func newPassword() (string, error) {
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("random password: %w", err)
	}
	var s strings.Builder
	for i, v := range b {
		if i > 0 && i%4 == 0 {
			s.WriteByte('-')
		}
		s.WriteByte(readable[v%32])
	}
	return s.String(), nil
}
