package configs

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time that is written with a unit: "90s", "3m",
// "720h", "1h30m" or in days of 24 hours, "30d". It is never negative.
type Duration time.Duration

// ParseDuration reads the text form of a Duration. The error is one short
// clause without the text itself.
func ParseDuration(s string) (Duration, error) {
	var days time.Duration
	rest := s
	if head, tail, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseUint(head, 10, 32)
		if err != nil || n > uint64(math.MaxInt64/(24*time.Hour)) {
			return 0, errors.New("is not a length of time")
		}
		days, rest = time.Duration(n)*24*time.Hour, tail
		if rest == "" {
			return Duration(days), nil
		}
	}
	if rest == "0" { // time.ParseDuration takes it; here a unit is always written
		return 0, errors.New("has no unit")
	}
	if _, err := strconv.ParseFloat(rest, 64); err == nil {
		return 0, errors.New("has no unit")
	}
	d, err := time.ParseDuration(rest)
	if err != nil {
		return 0, errors.New("is not a length of time")
	}
	if d < 0 || strings.HasPrefix(rest, "-") {
		return 0, errors.New("is negative")
	}
	if days > math.MaxInt64-d {
		return 0, errors.New("is longer than 292 years")
	}
	return Duration(days + d), nil
}

// Std returns d as a time.Duration.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String returns the shortest text that ParseDuration reads back as d, without
// the zero parts that time.Duration prints: "720h", not "720h0m0s".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText implements encoding.TextMarshaler, and with it the YAML and JSON
// forms.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; see ParseDuration.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("duration %w", err)
	}
	*d = v
	return nil
}

// Bytes is an amount of memory or disk that is written with a unit: "1GiB",
// "512MB", "64KiB", "100B". KiB, MiB, GiB and TiB are powers of 1024; kB, KB,
// MB, GB and TB are powers of 1000. It is never negative.
type Bytes int64

// byteUnits is ordered: units of 1024 first, larger first, so that String finds
// the largest that divides.
var byteUnits = [...]struct {
	name string
	size int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"kB", 1e3}, {"B", 1},
}

// ParseBytes reads the text form of Bytes. The error is one short clause
// without the text itself.
func ParseBytes(s string) (Bytes, error) {
	for _, u := range byteUnits {
		number, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		number = strings.TrimSpace(number)
		if n, err := strconv.ParseUint(number, 10, 63); err == nil {
			if n > uint64(math.MaxInt64/u.size) {
				return 0, errors.New("is larger than 8 EiB")
			}
			return Bytes(int64(n) * u.size), nil
		}
		return 0, errors.New("is not a size")
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return 0, errors.New("has no unit")
	}
	return 0, errors.New("is not a size")
}

// Std returns b as a number of bytes.
func (b Bytes) Std() int64 { return int64(b) }

// String returns b in the largest unit that divides it: "1GiB", "512MB", "7B".
func (b Bytes) String() string {
	for _, u := range byteUnits {
		if b != 0 && int64(b)%u.size == 0 {
			return strconv.FormatInt(int64(b)/u.size, 10) + u.name
		}
	}
	return "0B"
}

// MarshalText implements encoding.TextMarshaler, and with it the YAML and JSON
// forms.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; see ParseBytes.
func (b *Bytes) UnmarshalText(text []byte) error {
	v, err := ParseBytes(string(text))
	if err != nil {
		return fmt.Errorf("size %w", err)
	}
	*b = v
	return nil
}
