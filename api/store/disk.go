package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

// disk keeps pictures in a folder.
type disk struct{ dir string }

// writeAtOnce is how many files are written at a time: the file system makes those
// durable together that wait for it together. A sync of the whole file system
// would wait for what others have written, too.
const writeAtOnce = 16

// put writes in place, without another name first: bytes that nobody was told of
// matter to nobody, and writing the same bytes over a whole picture changes
// nothing for who reads it meanwhile.
func (d disk) put(_ context.Context, pictures []blob) error {
	var g errgroup.Group
	g.SetLimit(writeAtOnce)
	folders := map[string]bool{}
	for _, p := range pictures {
		path := d.path(blobName(p.sha))
		folders[filepath.Dir(path)] = true
		g.Go(func() error { return d.write(path, p.jpeg) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for folder := range folders {
		g.Go(func() error { return syncFolder(folder) })
	}
	return g.Wait()
}

func (d disk) write(path string, jpeg []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.makeFolder(filepath.Dir(path)); err != nil {
			return err
		}
		f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(jpeg)
	if err == nil {
		err = f.Truncate(int64(len(jpeg)))
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (d disk) makeFolder(folder string) error {
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(d.dir)
}

func (d disk) path(name string) string { return filepath.Join(d.dir, filepath.FromSlash(name)) }

func (d disk) get(_ context.Context, name string, most int64) ([]byte, error) {
	f, err := os.Open(d.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", name, errGone)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

func (d disk) remove(_ context.Context, name string) error {
	if err := os.Remove(d.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (d disk) older(ctx context.Context, before time.Time, each func(string) error) error {
	return filepath.WalkDir(d.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return errors.Join(err, ctx.Err())
		}
		rel, err := filepath.Rel(d.dir, path)
		name := filepath.ToSlash(rel)
		if err != nil || blobHash(name) == "" {
			return err // a file that is not ours
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // somebody else removed it
		}
		if err != nil || !info.ModTime().Before(before) {
			return err
		}
		return each(name)
	})
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
