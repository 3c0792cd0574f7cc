//go:build unix && !linux

package stream

import "syscall"

// childAttributes keeps a Ctrl-C at the terminal from reaching the child before
// us. Where the system knows no parent-death signal, the next start stops a
// child that was left behind.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
