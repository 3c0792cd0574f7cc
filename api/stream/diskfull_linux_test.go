package stream

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestDiskFull needs the right to mount a small file system.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=400k"); err != nil {
		t.Skipf("mount: %v", err)
	}
	defer func() { require.NoError(t, unix.Unmount(dir, 0)) }()
	reg := prometheus.NewRegistry()
	o := openBox(t, filepath.Join(dir, "outbox"), OutboxOptions{SegmentBytes: 32 << 10, Registerer: reg})
	// Others leave little of the disk.
	other := filepath.Join(dir, "other")
	require.NoError(t, os.WriteFile(other, make([]byte, 150<<10), 0o600))
	promised := map[uint64]bool{}
	var err error
	for i := 0; err == nil; i++ {
		var seq uint64
		if seq, err = o.Put(alertEnvelope("cam-1", i, 10_000)); err == nil {
			promised[seq] = true
		}
	}
	require.ErrorIs(t, err, unix.ENOSPC)
	require.Greater(t, len(promised), 100, "pictures gave way")
	require.Equal(t, 1, dropped(t, reg)[2])
	require.NoError(t, os.Remove(other))
	after := mustPut(t, o, alertEnvelope("cam-1", 1, 1000))
	promised[after] = true
	require.NoError(t, o.Close())
	o = openBox(t, filepath.Join(dir, "outbox"), OutboxOptions{})
	got := all(t, o)
	require.Len(t, got, len(promised))
	for _, e := range got {
		require.True(t, promised[e.seq])
	}
	require.Len(t, got[len(got)-1].jpeg, 1000)
	require.NoError(t, o.Close())
}
