package store

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"golang.org/x/sync/errgroup"
)

// Bucket names a place in an S3-compatible object store.
type Bucket struct {
	Name      string // bucket, which must exist; "" means that pictures are kept in PictureDir
	Endpoint  string // host:port without a scheme
	Region    string // default us-east-1
	AccessKey string
	SecretKey string // never logged
	Prefix    string // put before the names of the pictures; default none
	TLS       bool
}

const (
	putAtOnce = 8 // uploads of one batch at a time
	// A store that does not answer must not hold a batch for long: it comes
	// again, with growing waits.
	dialLimit   = 5 * time.Second
	answerLimit = 15 * time.Second
	putLimit    = time.Minute // of one picture, on a slow line
	tries       = 2
)

// s3 keeps pictures in a bucket.
type s3 struct {
	client *minio.Client
	bucket string
	prefix string
	idle   func() // closes connections that nobody uses
}

// openS3 prepares the client. It does not connect: the center starts without its
// picture store.
func openS3(b Bucket) (*s3, error) {
	region := b.Region
	if region == "" {
		region = "us-east-1"
	}
	transport := &http.Transport{
		Proxy:       http.ProxyFromEnvironment,
		DialContext: (&net.Dialer{Timeout: dialLimit}).DialContext, TLSHandshakeTimeout: dialLimit,
		ResponseHeaderTimeout: answerLimit, MaxIdleConnsPerHost: putAtOnce, IdleConnTimeout: time.Minute,
		DisableCompression: true,
	}
	client, err := minio.New(b.Endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(b.AccessKey, b.SecretKey, ""), Secure: b.TLS, Region: region,
		Transport: transport, MaxRetries: tries,
	})
	if err != nil {
		return nil, fmt.Errorf("store: center.pictures: %w; endpoint is host:port without http://", err)
	}
	return &s3{client: client, bucket: b.Name, prefix: b.Prefix, idle: transport.CloseIdleConnections}, nil
}

func (s *s3) put(ctx context.Context, pictures []blob) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(putAtOnce)
	for _, p := range pictures {
		g.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, putLimit)
			defer cancel()
			_, err := s.client.PutObject(ctx, s.bucket, s.prefix+blobName(p.sha), bytes.NewReader(p.jpeg), int64(len(p.jpeg)),
				minio.PutObjectOptions{ContentType: "image/jpeg", DisableMultipart: true})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return s.failed("put", err)
	}
	return nil
}

func (s *s3) get(ctx context.Context, name string, most int64) ([]byte, error) {
	o, err := s.client.GetObject(ctx, s.bucket, s.prefix+name, minio.GetObjectOptions{})
	if err != nil {
		return nil, s.failed("get", err)
	}
	defer o.Close()
	b, err := io.ReadAll(io.LimitReader(o, most))
	if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		return nil, fmt.Errorf("%s: %w", name, errGone)
	}
	if err != nil {
		return nil, s.failed("get", err)
	}
	return b, nil
}

func (s *s3) remove(ctx context.Context, name string) error {
	if err := s.client.RemoveObject(ctx, s.bucket, s.prefix+name, minio.RemoveObjectOptions{}); err != nil {
		return s.failed("delete", err)
	}
	return nil
}

func (s *s3) older(ctx context.Context, before time.Time, each func(string) error) error {
	ctx, cancel := context.WithCancel(ctx) // ends the listing when we stop early
	defer cancel()
	for o := range s.client.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix, Recursive: true}) {
		if o.Err != nil {
			return s.failed("list", o.Err)
		}
		name := o.Key[len(s.prefix):]
		if blobHash(name) == "" || !o.LastModified.Before(before) {
			continue
		}
		if err := each(name); err != nil {
			return err
		}
	}
	return nil
}

// failed names the bucket; the library's errors hold addresses and no keys.
func (s *s3) failed(what string, err error) error {
	return fmt.Errorf("picture store: bucket %s: %s: %w", s.bucket, what, err)
}
