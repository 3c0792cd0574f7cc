package stream

import "syscall"

// childAttributes makes the child end when this process does, however it does,
// and keeps a Ctrl-C at the terminal from reaching the child before us.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
