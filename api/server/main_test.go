package server

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

// How long tests wait for what must come, and how often they look.
const (
	waitFor = 10 * time.Second
	tick    = 2 * time.Millisecond
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
