//go:build !linux

package detect

import "time"

// threadCPU returns wall time where the system has no clock of the thread: the
// stages then look dearer on a busy machine than they are.
func threadCPU() time.Duration { return time.Duration(time.Now().UnixNano()) }
