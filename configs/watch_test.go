package configs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// watching starts Watch on path and returns a function that waits until changed
// was called once more since the last time.
func watching(t *testing.T, path string) (next func(what string), calls *atomic.Int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	calls = new(atomic.Int64)
	go func() { ended <- Watch(ctx, path, func() { calls.Add(1) }) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	// Watching has begun when a change is seen; before that it is written again.
	started := time.Now()
	original, err := os.ReadFile(path)
	require.NoError(t, err)
	for i := 0; calls.Load() == 0; i++ {
		require.Less(t, time.Since(started), 20*time.Second, "the watch does not begin")
		require.NoError(t, os.WriteFile(path, fmt.Appendf(original, "# %d\n", i), 0o600))
		eventually(func() bool { return calls.Load() > 0 }, 2*settleFor)
	}
	seen := calls.Load()
	return func(what string) {
		t.Helper()
		require.Eventually(t, func() bool { return calls.Load() > seen }, 20*time.Second, 5*time.Millisecond, what)
		seen = calls.Load()
	}, calls
}

// eventually polls ok for at most d and says nothing when it stays false.
func eventually(ok func() bool, d time.Duration) {
	deadline := time.NewTimer(d)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			return
		case <-tick.C:
		}
	}
}

func TestWatchSeesEveryWayOfWriting(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "edge.yaml")
	write := func(p, text string) { require.NoError(t, os.WriteFile(p, []byte(text), 0o600)) }
	write(path, "a")
	next, calls := watching(t, path)
	write(path, "in place")
	next("written in place")
	write(path+".tmp", "renamed")
	require.NoError(t, os.Rename(path+".tmp", path))
	next("renamed over, as vim and atomic writers do")
	require.NoError(t, os.Rename(path, path+"~"))
	write(path, "moved away and made anew")
	next("moved away and made anew, as emacs does")
	require.NoError(t, os.Remove(path))
	next("removed")
	write(path, "back")
	next("back again")

	// What changes nothing in the file is not told: the call after it is the only
	// one.
	before := calls.Load()
	write(path+".tmp", "back")
	require.NoError(t, os.Rename(path+".tmp", path))
	eventually(func() bool { return calls.Load() > before }, 3*settleFor)
	require.Equal(t, before, calls.Load(), "replaced by the same")
	write(filepath.Join(dir, "other.yaml"), "x")
	write(path, "back")
	require.NoError(t, os.Chmod(path, 0o644))
	write(path, "another")
	next("written after noise")
	eventually(func() bool { return calls.Load() > before+1 }, 2*settleFor)
	require.Equal(t, before+1, calls.Load())
}

// Kubernetes mounts a config map as links: edge.yaml -> ..data/edge.yaml and
// ..data -> a folder of that version, and swaps ..data by rename.
func TestWatchSeesKubernetesSwapLinks(t *testing.T) {
	dir := t.TempDir()
	version := func(name, text string) {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name, "edge.yaml"), []byte(text), 0o600))
		require.NoError(t, os.Symlink(name, filepath.Join(dir, "..data_tmp")))
		require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	}
	version("..2026_01", "one")
	path := filepath.Join(dir, "edge.yaml")
	require.NoError(t, os.Symlink("..data/edge.yaml", path))
	next, _ := watching(t, path)
	for i := range 3 {
		version(fmt.Sprintf("..2026_1%d", i), fmt.Sprintf("swapped %d", i))
		old := filepath.Join(dir, "..2026_01")
		if i > 0 {
			old = filepath.Join(dir, fmt.Sprintf("..2026_1%d", i-1))
		}
		require.NoError(t, os.RemoveAll(old))
		next("the links are swapped")
	}
}

// A link may lead to a folder that is written by somebody else, and a folder on
// the way may be replaced.
func TestWatchFollowsLinksToOtherFolders(t *testing.T) {
	root := t.TempDir()
	for _, d := range []string{"etc", "one", "two"} {
		require.NoError(t, os.Mkdir(filepath.Join(root, d), 0o700))
	}
	write := func(folder, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(root, folder, "edge.yaml"), []byte(text), 0o600))
	}
	write("one", "1")
	write("two", "2")
	require.NoError(t, os.Symlink("one", filepath.Join(root, "current")))
	path := filepath.Join(root, "etc", "edge.yaml")
	require.NoError(t, os.Symlink("../current/edge.yaml", path))
	next, _ := watching(t, path)
	write("one", "changed where the link leads")
	next("written behind the link")
	require.NoError(t, os.Symlink("two", filepath.Join(root, "new")))
	require.NoError(t, os.Rename(filepath.Join(root, "new"), filepath.Join(root, "current")))
	next("a link on the way leads elsewhere")
	write("two", "changed there")
	next("written behind the new link")
}

func TestWatchNeedsAFolder(t *testing.T) {
	err := Watch(t.Context(), filepath.Join(t.TempDir(), "none", "edge.yaml"), func() {})
	require.ErrorContains(t, err, "watch configuration")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestTrail(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	steps := trail(filepath.Join(dir, "loop", "x"))
	require.Len(t, steps, maxLinks+1, "a loop ends")
	require.Equal(t, []string{filepath.Join(dir, "a", "x")}, trail(filepath.Join(dir, "a", "x")))
	require.NoError(t, os.Symlink(filepath.Join(dir, "b", "..", "c"), filepath.Join(dir, "abs")))
	require.Equal(t, []string{filepath.Join(dir, "abs"), filepath.Join(dir, "c", "x")}, trail(filepath.Join(dir, "abs", "x")))
}
