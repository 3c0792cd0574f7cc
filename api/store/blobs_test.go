package store

import (
	"bytes"
	"errors"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
)

// fakeS3 serves an object store with one bucket on a port of this machine.
func fakeS3(t *testing.T) Bucket {
	t.Helper()
	kept := s3mem.New()
	require.NoError(t, kept.CreateBucket("pictures"))
	server := httptest.NewServer(gofakes3.New(kept).Server())
	t.Cleanup(server.Close)
	return Bucket{Name: "pictures", Endpoint: strings.TrimPrefix(server.URL, "http://"), AccessKey: "key", SecretKey: "secret", Prefix: "center/"}
}

// nobody returns a bucket at an address where nothing listens.
func nobody(t *testing.T) Bucket {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return Bucket{Name: "pictures", Endpoint: l.Addr().String(), AccessKey: "key", SecretKey: "secret"}
}

// eachKind runs a test with pictures on disk and in a bucket.
func eachKind(t *testing.T, f func(t *testing.T, opt Options)) {
	t.Run("disk", func(t *testing.T) { f(t, testOptions(t, newClock())) })
	t.Run("s3", func(t *testing.T) {
		opt := testOptions(t, newClock())
		opt.PictureDir, opt.Bucket = "", fakeS3(t)
		f(t, opt)
	})
}

func namesOlder(t *testing.T, b blobs, before time.Time) []string {
	t.Helper()
	var names []string
	require.NoError(t, b.older(t.Context(), before, func(name string) error {
		names = append(names, name)
		return nil
	}))
	return names
}

func TestBlobs(t *testing.T) {
	eachKind(t, func(t *testing.T, opt Options) {
		s := openStore(t, opt)
		ctx := t.Context()
		var all []blob
		var names []string
		for _, seed := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"} { // so many that they are synced together
			p := jpeg(seed, noon)
			all, names = append(all, blob{p.SHA256, p.JPEG}), append(names, blobName(p.SHA256))
		}
		require.NoError(t, s.blobs.put(ctx, all))
		require.NoError(t, s.blobs.put(ctx, all[:1]), "again")
		for i, b := range all {
			got, err := s.blobs.get(ctx, names[i], 100)
			require.NoError(t, err)
			require.Equal(t, b.jpeg, got)
		}
		cut, err := s.blobs.get(ctx, names[0], 2)
		require.NoError(t, err)
		require.Len(t, cut, 2, "no more is read than was asked for")

		require.ElementsMatch(t, names, namesOlder(t, s.blobs, time.Now().Add(time.Minute)))
		require.Empty(t, namesOlder(t, s.blobs, time.Now().Add(-time.Minute)))
		stop := errors.New("enough")
		require.ErrorIs(t, s.blobs.older(ctx, time.Now().Add(time.Minute), func(string) error { return stop }), stop)

		require.NoError(t, s.blobs.remove(ctx, names[0]))
		require.NoError(t, s.blobs.remove(ctx, names[0]), "twice")
		_, err = s.blobs.get(ctx, names[0], 100)
		require.ErrorIs(t, err, errGone)
		require.ElementsMatch(t, names[1:], namesOlder(t, s.blobs, time.Now().Add(time.Minute)))
	})
}

func TestPicturesLiveAndExpire(t *testing.T) {
	eachKind(t, func(t *testing.T, opt Options) {
		s := openStore(t, opt)
		p, orphan := jpeg("p", noon), jpeg("orphan", noon)
		save(t, s, named(1, "a", p, api.Opened, 0))
		save(t, s, pictureEnvelope(1, "a", p, false))
		require.Equal(t, p.JPEG, readPicture(t, s, "a"))
		require.NoError(t, s.blobs.put(t.Context(), []blob{{orphan.SHA256, orphan.JPEG}}))

		// The store's own clock stands at noon of another day; the files are of now.
		got, err := s.Expire(t.Context(), time.Now().Add(2*time.Hour))
		require.NoError(t, err)
		require.Equal(t, 1, got.Orphans)
		require.Empty(t, namesOlder(t, s.blobs, time.Now().Add(-time.Hour)))
		later := noon.Add(31 * day)
		if now := time.Now().Add(2 * time.Hour); now.After(later) {
			later = now
		}
		_, err = s.Expire(t.Context(), later)
		require.NoError(t, err)
		_, err = s.Picture(t.Context(), "a")
		require.ErrorIs(t, err, ErrExpired)
		_, err = s.ReadPicture(t.Context(), *p)
		require.ErrorIs(t, err, ErrExpired)
		require.Empty(t, namesOlder(t, s.blobs, time.Now().Add(time.Minute)))
	})
}

func TestDamagedPictureIsNotShown(t *testing.T) {
	eachKind(t, func(t *testing.T, opt Options) {
		s := openStore(t, opt)
		p := jpeg("p", noon)
		save(t, s, alertEnvelope(1, "a", api.Opened, 0, withPicture(p)))
		require.NoError(t, s.blobs.put(t.Context(), []blob{{p.SHA256, []byte("something else")}}))
		_, err := s.ReadPicture(t.Context(), *p)
		require.ErrorContains(t, err, "damaged")
		save(t, s, alertEnvelope(1, "a", api.Opened, 0, withPicture(p)))
		require.Equal(t, p.JPEG, readPicture(t, s, "a"), "a picture that comes again mends it")
	})
}

// TestBackupBetweenDiskAndBucket moves a center's pictures by backup and restore,
// there and back.
func TestBackupBetweenDiskAndBucket(t *testing.T) {
	disk := openStore(t, testOptions(t, newClock()))
	opt := testOptions(t, newClock())
	opt.PictureDir, opt.Bucket = "", fakeS3(t)
	bucket := openStore(t, opt)
	back := openStore(t, testOptions(t, newClock()))

	p := jpeg("p", noon)
	save(t, disk, alertEnvelope(1, "a", api.Opened, 0, withPicture(p)))
	for _, way := range [][2]*Store{{disk, bucket}, {bucket, back}} {
		var file bytes.Buffer
		m, err := way[0].Backup(t.Context(), &file, nil)
		require.NoError(t, err)
		require.Equal(t, 1, m.Pictures)
		_, err = way[1].Restore(t.Context(), &file, nil)
		require.NoError(t, err)
		require.Equal(t, p.JPEG, readPicture(t, way[1], "a"))
	}
}

func TestTwoCentersShareABucket(t *testing.T) {
	if postgres == nil {
		t.Skip("two centers share PostgreSQL")
	}
	opt := testOptions(t, newClock())
	opt.PictureDir, opt.Bucket = "", fakeS3(t)
	first := openStore(t, opt)
	opt.Registerer = nil
	second := openStore(t, opt)
	p := jpeg("p", noon)
	save(t, first, named(1, "a", p, api.Opened, 0))
	save(t, second, pictureEnvelope(1, "a", p, false))
	require.Equal(t, p.JPEG, readPicture(t, first, "a"))
}

// TestAlertsAreKeptWhileTheBucketIsAway: the text is saved, the picture fails and
// comes again.
func TestAlertsAreKeptWhileTheBucketIsAway(t *testing.T) {
	opt := testOptions(t, newClock())
	opt.PictureDir, opt.Bucket = "", nobody(t)
	s := openStore(t, opt)
	p := jpeg("p", noon)
	save(t, s, named(1, "a", p, api.Opened, 0))
	_, err := s.Save(t.Context(), []*api.Envelope{pictureEnvelope(1, "a", p, false)})
	require.ErrorContains(t, err, "bucket pictures")
	require.NotContains(t, err.Error(), "secret")
	row, err := s.Alert(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, PictureComing, row.Picture)
	require.Equal(t, 1, counted(t, s.metrics.pictures.WithLabelValues("failed")))

	healed, err := openS3(fakeS3(t))
	require.NoError(t, err)
	t.Cleanup(healed.idle)
	s.blobs = healed
	save(t, s, pictureEnvelope(1, "a", p, false))
	require.Equal(t, p.JPEG, readPicture(t, s, "a"))
}

func TestBucketAddressIsChecked(t *testing.T) {
	opt := testOptions(t, newClock())
	opt.Bucket = Bucket{Name: "pictures", Endpoint: "no host:9000"}
	_, err := Open(t.Context(), opt)
	require.ErrorContains(t, err, "endpoint")
}
