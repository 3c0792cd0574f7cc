package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"
)

// blobs keeps pictures under the SHA-256 of their bytes: in a folder of this
// machine, or in an S3-compatible store that several centers share.
type blobs interface {
	// put keeps all of them or says why not; when it returns nil they are
	// durable. What is there already becomes young again. After an error some may
	// be there.
	put(ctx context.Context, pictures []blob) error
	// get returns what lies under the name, or an error that wraps errGone. At most
	// most bytes are read.
	get(ctx context.Context, name string, most int64) ([]byte, error)
	// remove deletes; what is not there is no error.
	remove(ctx context.Context, name string) error
	// older hands over the names of pictures that were put before a time.
	older(ctx context.Context, before time.Time, each func(name string) error) error
}

// blob is a picture on its way into blobs.
type blob struct {
	sha  string // of the bytes
	jpeg []byte
}

// errGone says that nothing lies under the name.
var errGone = errors.New("no such picture")

const pictureSuffix = ".jpg"

// blobName is where a picture lies: a folder of a 256th, and its hash.
func blobName(sha string) string { return sha[:2] + "/" + sha + pictureSuffix }

// blobHash returns the hash in the name of a picture, or "".
func blobHash(name string) string {
	sha, ok := strings.CutSuffix(path.Base(name), pictureSuffix)
	if !ok || !isHash(sha) || name != blobName(sha) {
		return ""
	}
	return sha
}

// readBlob returns a picture whose bytes are those of its hash.
func (s *Store) readBlob(ctx context.Context, sha string) ([]byte, error) {
	b, err := s.blobs.get(ctx, blobName(sha), int64(s.opt.MaxPicture)+1)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != sha {
		return nil, fmt.Errorf("picture %s: what lies there is something else: it is damaged", sha)
	}
	return b, nil
}
