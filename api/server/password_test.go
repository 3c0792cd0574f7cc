package server

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// cheap keeps tests fast; what is measured is not the cost.
func cheap() argonParams {
	return argonParams{Memory: 64, Time: 1, Threads: 1, SaltLen: 16, KeyLen: 32}
}

func TestHashIsPHCWithOWASPParameters(t *testing.T) {
	h, err := newHasher(owaspParams, 1)
	require.NoError(t, err)
	a, err := h.Hash(t.Context(), "correct horse")
	require.NoError(t, err)
	b, err := h.Hash(t.Context(), "correct horse")
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(a, "$argon2id$v=19$m=19456,t=2,p=1$"), a)
	require.NotEqual(t, a, b, "the salt is fresh")
}

// The reference implementation's own test vector: `echo -n password | argon2
// somesalt -id -t 2 -m 16 -p 1 -l 32 -e`, with the memory it stands for.
func TestVerifyReadsForeignHashes(t *testing.T) {
	h, err := newHasher(cheap(), 1)
	require.NoError(t, err)
	const foreign = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	ok, stale, err := h.Verify(t.Context(), foreign, "password")
	require.NoError(t, err)
	require.True(t, ok)
	require.True(t, stale, "other parameters than today's")
	ok, stale, err = h.Verify(t.Context(), foreign, "passwore")
	require.NoError(t, err)
	require.False(t, ok)
	require.False(t, stale, "a wrong password is no reason to hash anew")
}

func TestVerify(t *testing.T) {
	h, err := newHasher(cheap(), 1)
	require.NoError(t, err)
	hash, err := h.Hash(t.Context(), "秘密秘密秘密秘密秘密")
	require.NoError(t, err)
	ok, stale, err := h.Verify(t.Context(), hash, "秘密秘密秘密秘密秘密")
	require.NoError(t, err)
	require.True(t, ok)
	require.False(t, stale)

	for name, password := range map[string]string{"empty": "", "anything": "x"} {
		ok, stale, err = h.Verify(t.Context(), "", password)
		require.NoError(t, err, name)
		require.False(t, ok, "nobody's hash fits no password: %s", name)
		require.False(t, stale, name)
	}
}

func TestParsePHCRefuses(t *testing.T) {
	const salt, key = "c29tZXNhbHQ", "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for name, hash := range map[string]string{
		"empty":           "",
		"other function":  "$argon2i$v=19$m=64,t=1,p=1$" + salt + "$" + key,
		"other version":   "$argon2id$v=16$m=64,t=1,p=1$" + salt + "$" + key,
		"too much memory": "$argon2id$v=19$m=4000000,t=1,p=1$" + salt + "$" + key,
		"too many passes": "$argon2id$v=19$m=64,t=1000,p=1$" + salt + "$" + key,
		"no lanes":        "$argon2id$v=19$m=64,t=1,p=0$" + salt + "$" + key,
		"many lanes":      "$argon2id$v=19$m=64,t=1,p=300$" + salt + "$" + key,
		"short salt":      "$argon2id$v=19$m=64,t=1,p=1$c29t$" + key,
		"short key":       "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$c29t",
		"padded":          "$argon2id$v=19$m=64,t=1,p=1$" + salt + "=$" + key,
		"no parameters":   "$argon2id$v=19$$" + salt + "$" + key,
		"more fields":     "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + key + "$",
	} {
		t.Run(name, func(t *testing.T) {
			_, _, _, err := parsePHC(hash)
			require.ErrorIs(t, err, errBadHash)
		})
	}
}

func TestHasherIsBounded(t *testing.T) {
	h, err := newHasher(cheap(), 1)
	require.NoError(t, err)
	h.slots <- struct{}{} // somebody is hashing and does not come to an end

	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	results := make(chan error, maxWaiting)
	for range maxWaiting {
		wg.Go(func() {
			_, err := h.Hash(ctx, "x")
			results <- err
		})
	}
	require.Eventually(t, func() bool { return h.waiting.Load() == maxWaiting }, waitFor, tick)
	_, _, err = h.Verify(t.Context(), "", "x")
	require.ErrorIs(t, err, errBusy, "the queue is full")
	cancel()
	wg.Wait()
	close(results)
	for err := range results {
		require.ErrorIs(t, err, errBusy)
		require.ErrorIs(t, err, context.Canceled)
	}
	<-h.slots
	_, err = h.Hash(t.Context(), "x")
	require.NoError(t, err)
}

func TestCheckPassword(t *testing.T) {
	for _, tc := range []struct {
		name, user, password string
		ok                   bool
	}{
		{"long enough", "wang", "0123456789", true},
		{"characters, not bytes", "wang", "一二三四五六七八九十", true},
		{"short", "wang", "012345678", false},
		{"short in characters", "wang", "一二三四五", false},
		{"too long", "wang", strings.Repeat("x", 129), false},
		{"not text", "wang", "0123456789\xff", false},
		{"the name", "wang", "xxWANGxx2026", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.ok, checkPassword(tc.user, tc.password) == nil)
		})
	}
}

func TestNewPassword(t *testing.T) {
	seen := make(map[string]bool)
	for range 100 {
		p, err := newPassword()
		require.NoError(t, err)
		require.Regexp(t, `^([a-km-np-z2-9]{4}-){3}[a-km-np-z2-9]{4}$`, p)
		require.False(t, seen[p])
		require.NoError(t, checkPassword("admin", p))
		seen[p] = true
	}
}
