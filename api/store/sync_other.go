//go:build unix && !linux

package store

import (
	"errors"
	"math"
)

// syncTogether is out of reach: only Linux says whether a sync of a whole file
// system succeeded.
const syncTogether = math.MaxInt

func syncFileSystem(string) error { return errors.ErrUnsupported }
