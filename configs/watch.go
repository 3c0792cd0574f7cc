package configs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settleFor is how long a file must stay untouched before it counts as written:
// editors and copies write in several steps.
const settleFor = 200 * time.Millisecond

// maxLinks bounds the symbolic links between a path and its file; Linux takes
// 40.
const maxLinks = 40

// Watch calls changed, from its own goroutine (the caller's), each time the
// content of the file at path has become another: written in place, replaced by
// renaming as editors do, removed, or reached over another symbolic link as
// Kubernetes swaps them. It watches folders, not the file, and waits until the
// file has been still for 200 ms. changed should read the file again; while it
// runs nothing is lost, and what happens meanwhile is one more call.
//
// What changed before Watch began is not told: a caller that read the file long
// before reads it once more, which costs nothing when nothing differs.
//
// Watch blocks until ctx is done, and then returns nil. It returns an error at
// once when the folder of path cannot be watched; SIGHUP is left then. Files that
// the configuration refers to are not watched.
func Watch(ctx context.Context, path string, changed func()) (err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("watch configuration: %w", err)
	}
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch configuration: %w", err)
	}
	defer func() { err = errors.Join(err, fs.Close()) }()
	w := &watch{fs: fs, path: path, folders: make(map[string]bool)}
	if err := w.follow(); err != nil {
		return fmt.Errorf("watch configuration: %w", err)
	}
	w.last = digest(path)
	return w.run(ctx, changed)
}

// watch is the state of one Watch; its goroutine owns it.
type watch struct {
	fs      *fsnotify.Watcher
	path    string
	steps   map[string]bool // the links on the way to the file, and the file
	folders map[string]bool // watched: the folders of steps
	last    [sha256.Size]byte
}

func (w *watch) run(ctx context.Context, changed func()) error {
	settled := time.NewTimer(settleFor)
	settled.Stop()
	defer settled.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event, ok := <-w.fs.Events:
			if !ok {
				return errors.New("watch configuration: the system stopped watching")
			}
			if w.concerns(event) {
				settled.Reset(settleFor)
			}
		case err, ok := <-w.fs.Errors:
			if !ok {
				return errors.New("watch configuration: the system stopped watching")
			}
			// Events were lost (the queue ran over): look at the file itself.
			_ = err
			settled.Reset(settleFor)
		case <-settled.C:
			// A folder on the way may be missing for now; its parent is watched and
			// tells when it is back.
			_ = w.follow()
			if now := digest(w.path); now != w.last {
				w.last = now
				changed()
			}
		}
	}
}

// concerns reports whether event touches the file or a link to it; a busy
// folder must not keep the file from settling.
func (w *watch) concerns(event fsnotify.Event) bool {
	return w.steps[filepath.Clean(event.Name)] || w.folders[filepath.Clean(event.Name)]
}

// follow walks the links from path to the file as they are now, and watches the
// folder of each.
func (w *watch) follow() error {
	w.steps = make(map[string]bool)
	folders := make(map[string]bool)
	var failed error
	for _, step := range trail(w.path) {
		w.steps[step] = true
		folder := filepath.Dir(step)
		if folders[folder] {
			continue
		}
		// Adding again is cheap, and needed: a folder that was removed and made
		// anew has the same name and is watched no longer.
		if err := w.fs.Add(folder); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		folders[folder] = true
	}
	for folder := range w.folders {
		if !folders[folder] {
			_ = w.fs.Remove(folder) // gone already when the folder was removed
		}
	}
	w.folders = folders
	return failed
}

// trail returns every symbolic link that is passed on the way to the file at
// path, which is absolute, and at the end the file itself, whether it is there or
// not.
func trail(path string) []string {
	var steps []string
	done, rest := "/", split(path)
	for links := 0; len(rest) > 0; {
		here := filepath.Join(done, rest[0])
		rest = rest[1:]
		target, err := os.Readlink(here)
		if err != nil || links == maxLinks { // no link, or none that leads anywhere
			done = here
			continue
		}
		links++
		steps = append(steps, here)
		if filepath.IsAbs(target) {
			done = "/"
		}
		rest = append(split(target), rest...)
	}
	return append(steps, done)
}

// split returns the parts of a path; ".." stays a part and is joined away.
func split(path string) []string {
	var parts []string
	for path = filepath.Clean(path); path != "/" && path != "."; path = filepath.Dir(path) {
		parts = append([]string{filepath.Base(path)}, parts...)
	}
	return parts
}

// digest identifies the content of the file at path; a file that cannot be read
// has a digest of its own.
func digest(path string) [sha256.Size]byte {
	data, err := readBounded(path, maxFileBytes)
	if err != nil {
		return sha256.Sum256([]byte("unreadable: " + whyUnreadable(err)))
	}
	return sha256.Sum256(append([]byte("content: "), data...))
}
