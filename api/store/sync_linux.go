package store

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// syncTogether is from how many files on one sync of the file system is cheaper
// than one of each file and its folder.
const syncTogether = 8

// syncFileSystem makes everything durable that was written to the file system
// of the folder. Since Linux 5.8 it also tells of pages that could not be.
func syncFileSystem(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return errors.Join(fmt.Errorf("sync %s: %w", dir, err), d.Close())
	}
	return d.Close()
}
