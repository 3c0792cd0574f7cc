package configs

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "3m": 3 * time.Minute, "720h": 720 * time.Hour, "30d": 720 * time.Hour,
		"1d12h": 36 * time.Hour, "1h30m": 90 * time.Minute, "0s": 0, "0d": 0, "1.5s": 1500 * time.Millisecond,
		"250ms": 250 * time.Millisecond, "106751d": 106751 * 24 * time.Hour,
	} {
		d, err := ParseDuration(text)
		require.NoError(t, err, text)
		require.Equal(t, want, d.Std(), text)
		again, err := ParseDuration(d.String())
		require.NoError(t, err, "%s prints as %s", text, d)
		require.Equal(t, d, again)
	}
	for text, what := range map[string]string{
		"": "not a length", "s": "not a length", "10": "no unit", "0": "no unit", "1.5": "no unit", "-1s": "negative", "-0s": "negative",
		"1x": "not a length", "d": "not a length", "-1d": "not a length", "1.5d": "not a length", "1d1d": "not a length", "1d5": "no unit",
		"106752d": "not a length", "106751d24h": "292 years", "9999999999999d": "not a length", "10 s": "not a length", "1d-1s": "negative",
	} {
		_, err := ParseDuration(text)
		require.ErrorContains(t, err, what, text)
	}
	for d, text := range map[time.Duration]string{
		720 * time.Hour: "720h", 90 * time.Second: "1m30s", 3 * time.Minute: "3m", 0: "0s", 10 * time.Second: "10s",
		time.Hour + time.Second: "1h0m1s", 90 * time.Minute: "1h30m", 10 * time.Millisecond: "10ms", 100 * time.Hour: "100h",
	} {
		require.Equal(t, text, Duration(d).String())
	}
	b, err := json.Marshal(Duration(time.Minute))
	require.NoError(t, err)
	require.Equal(t, `"1m"`, string(b))
	var d Duration
	require.NoError(t, json.Unmarshal([]byte(`"30d"`), &d))
	require.Equal(t, 720*time.Hour, d.Std())
	require.ErrorContains(t, json.Unmarshal([]byte(`"30"`), &d), "duration has no unit")
}

func TestBytes(t *testing.T) {
	for text, want := range map[string]int64{
		"1GiB": 1 << 30, "512MB": 512e6, "64KiB": 64 << 10, "100B": 100, "1kB": 1000, "2KB": 2000, "1TiB": 1 << 40, "3 GiB": 3 << 30, "0B": 0,
	} {
		b, err := ParseBytes(text)
		require.NoError(t, err, text)
		require.Equal(t, want, b.Std(), text)
		again, err := ParseBytes(b.String())
		require.NoError(t, err, "%s prints as %s", text, b)
		require.Equal(t, b, again)
	}
	for text, what := range map[string]string{
		"": "not a size", "GiB": "not a size", "10": "no unit", "1.5": "no unit", "1.5GiB": "not a size", "-1GiB": "not a size",
		"1gib": "not a size", "9000000TiB": "8 EiB", "9223372036854775808B": "not a size", "x": "not a size",
	} {
		_, err := ParseBytes(text)
		require.ErrorContains(t, err, what, text)
	}
	require.Equal(t, "9223372036854775807B", Bytes(math.MaxInt64).String())
	require.Equal(t, "1GiB", Bytes(1<<30).String())
	require.Equal(t, "1536MiB", Bytes(3<<29).String())
	b, err := json.Marshal(Bytes(1 << 20))
	require.NoError(t, err)
	require.Equal(t, `"1MiB"`, string(b))
	var back Bytes
	require.NoError(t, json.Unmarshal([]byte(`"2KB"`), &back))
	require.Equal(t, Bytes(2000), back)
	require.ErrorContains(t, json.Unmarshal([]byte(`"2"`), &back), "size has no unit")
}
