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
)

// disk keeps pictures in a folder.
type disk struct{ dir string }

// put writes in place, without another name first: bytes that nobody was told of
// matter to nobody, and writing the same bytes over a whole picture changes
// nothing for who reads it meanwhile.
func (d disk) put(_ context.Context, pictures []blob) error {
	for _, p := range pictures {
		if err := d.write(p, len(pictures) < syncTogether); err != nil {
			return err
		}
	}
	if len(pictures) < syncTogether {
		return nil
	}
	return syncFileSystem(d.dir)
}

func (d disk) write(p blob, durable bool) error {
	path := d.path(blobName(p.sha))
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
	_, err = f.Write(p.jpeg)
	if err == nil {
		err = f.Truncate(int64(len(p.jpeg)))
	}
	if err == nil && durable {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil && durable {
		err = syncFolder(filepath.Dir(path))
	}
	return err
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
