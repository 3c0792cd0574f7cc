package stream

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/detect/alert"
)

func TestOutboxGivesBackWhatWasPut(t *testing.T) {
	dir := t.TempDir()
	o := openBox(t, dir, OutboxOptions{})
	want := alertEnvelope("cam-1", 1, 5000)
	require.Equal(t, uint64(1), mustPut(t, o, want))
	require.Equal(t, uint64(2), mustPut(t, o, stateEnvelope("cam-1", 1)))
	require.Equal(t, uint64(3), mustPut(t, o, api.Envelope{NodeUp: &api.NodeReport{Version: "v1"}, Node: "other"}))

	check := func(o *Outbox) {
		got := all(t, o)
		require.Equal(t, []uint64{1, 2, 3}, seqs(got))
		require.Equal(t, want.Alert.Picture.JPEG, got[0].jpeg)
		require.Nil(t, got[1].jpeg)
		e, err := api.ParseEnvelope(got[0].json)
		require.NoError(t, err)
		require.Equal(t, "edge-1", e.Node)
		require.Equal(t, api.Version, e.V)
		require.Equal(t, want.Alert.ID, e.Alert.ID)
		require.WithinDuration(t, time.Now(), e.Time, time.Minute)
		e, err = api.ParseEnvelope(got[2].json)
		require.NoError(t, err)
		require.Equal(t, "other", e.Node)
		require.Equal(t, 3, o.Depth())
	}
	check(o)
	require.NoError(t, o.Close())
	check(openBox(t, dir, OutboxOptions{}))
}

func TestPutRefusesWhatIsNoEnvelope(t *testing.T) {
	o := openBox(t, t.TempDir(), OutboxOptions{})
	both := alertEnvelope("cam-1", 1, 0)
	both.NodeUp = &api.NodeReport{}
	long := alertEnvelope("cam-1", 1, 0)
	long.Alert.RuleName = string(make([]byte, maxText))
	nan := alertEnvelope("cam-1", 1, 0)
	nan.Alert.Score = math.NaN()
	key := stateEnvelope(string(make([]byte, 100)), 1)
	for name, e := range map[string]api.Envelope{"empty": {}, "two bodies": both, "too long": long, "no JSON": nan, "long camera ID": key} {
		t.Run(name, func(t *testing.T) {
			_, err := o.Put(e)
			require.Error(t, err)
		})
	}
	o.opt.Node = ""
	_, err := o.Put(alertEnvelope("cam-1", 1, 0))
	require.ErrorIs(t, err, api.ErrEnvelope)
	o.opt.Node = "edge-1"
	require.Equal(t, uint64(1), mustPut(t, o, alertEnvelope("cam-1", 1, 0)), "a refused envelope uses no number")
}

func TestAckMovesTheCursorAndRemovesSegments(t *testing.T) {
	dir := t.TempDir()
	o := openBox(t, dir, OutboxOptions{SegmentBytes: 2000})
	for i := range 40 {
		mustPut(t, o, alertEnvelope("cam-1", i, 300))
	}
	require.Greater(t, countFiles(t, dir, textSuffix), 5)
	acked(t, o, 2, 3, 5) // in any order
	require.Equal(t, 37, o.Depth())
	require.Equal(t, uint64(0), o.cursor.cur.acked)
	acked(t, o, 1)
	require.Equal(t, uint64(3), o.cursor.cur.acked)
	require.Equal(t, uint64(4), all(t, o)[0].seq)
	require.Equal(t, uint64(6), all(t, o)[1].seq)
	for i := range 40 {
		acked(t, o, uint64(i+1), 999)
	}
	require.Zero(t, o.Depth())
	require.Eventually(t, func() bool {
		return countFiles(t, dir, textSuffix) == 1 && countFiles(t, dir, pictureSuffix) <= 1
	}, 5*time.Second, time.Millisecond)
	require.NoError(t, o.Close())
	o = openBox(t, dir, OutboxOptions{})
	require.Empty(t, all(t, o))
	require.Equal(t, uint64(41), mustPut(t, o, alertEnvelope("cam-1", 41, 0)))
}

func countFiles(t testing.TB, dir, suffix string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	require.NoError(t, err)
	return len(files)
}

func TestLookTellsOfThePut(t *testing.T) {
	o := openBox(t, t.TempDir(), OutboxOptions{})
	last, more, err := o.look()
	require.NoError(t, err)
	require.Zero(t, last)
	mustPut(t, o, alertEnvelope("cam-1", 1, 0))
	<-more
	last, _, err = o.look()
	require.NoError(t, err)
	require.Equal(t, uint64(1), last)
}

func TestPageStopsAtTheBytes(t *testing.T) {
	o := openBox(t, t.TempDir(), OutboxOptions{})
	for i := range 5 {
		mustPut(t, o, alertEnvelope("cam-1", i, 4000))
	}
	page, reached, err := o.page(lanePictures, 0, 5, 10, 8000)
	require.NoError(t, err)
	require.Equal(t, []uint64{1, 2}, seqs(page))
	require.Equal(t, uint64(2), reached)
	page, reached, err = o.page(lanePictures, reached, 3, 10, 8000)
	require.NoError(t, err)
	require.Equal(t, []uint64{3}, seqs(page), "not beyond what was asked for")
	require.Equal(t, uint64(3), reached)
}

func TestLanesAndParts(t *testing.T) {
	o := openBox(t, t.TempDir(), OutboxOptions{})
	mustPut(t, o, stateEnvelope("cam-1", 1))
	mustPut(t, o, alertEnvelope("cam-1", 2, 100))
	mustPut(t, o, alertEnvelope("cam-1", 3, 0))
	require.Equal(t, []uint64{2, 3}, seqs(lanePages(t, o, laneAlerts)))
	require.Equal(t, []uint64{2}, seqs(lanePages(t, o, lanePictures)))
	require.Equal(t, []uint64{1}, seqs(lanePages(t, o, laneReports)))
	for _, e := range lanePages(t, o, laneAlerts) {
		require.Nil(t, e.jpeg, "the text does not wait for the picture's bytes")
	}
	e, err := api.ParseEnvelope(lanePages(t, o, lanePictures)[0].json)
	require.NoError(t, err)
	require.Equal(t, alertEnvelope("cam-1", 2, 100).Alert.ID, e.Picture.Alert)
	require.False(t, e.Picture.Lost)

	require.NoError(t, o.ack(part{2, false}))
	require.Equal(t, 3, o.Depth(), "its picture is still to come")
	require.Equal(t, []uint64{3}, seqs(lanePages(t, o, laneAlerts)))
	_, ok, err := o.find(part{2, false})
	require.NoError(t, err)
	require.False(t, ok)
	found, ok, err := o.find(part{2, true})
	require.NoError(t, err)
	require.True(t, ok)
	require.Len(t, found.jpeg, 100)
	require.NoError(t, o.ack(part{2, true}))
	require.Equal(t, 2, o.Depth())
	_, ok, err = o.find(part{1, false})
	require.NoError(t, err)
	require.True(t, ok, "reports too")
}

func TestClose(t *testing.T) {
	o := openBox(t, t.TempDir(), OutboxOptions{})
	_, more, err := o.look()
	require.NoError(t, err)
	require.NoError(t, o.Close())
	<-more
	_, _, err = o.look()
	require.ErrorIs(t, err, ErrClosed)
	_, _, err = o.page(laneAlerts, 0, 1, 1, 1)
	require.ErrorIs(t, err, ErrClosed)
	_, err = o.Put(alertEnvelope("cam-1", 1, 0))
	require.ErrorIs(t, err, ErrClosed)
	require.NoError(t, o.Close())
}

func TestOneProcessOwnsTheFolder(t *testing.T) {
	dir := t.TempDir()
	o := openBox(t, dir, OutboxOptions{})
	_, err := OpenOutbox(dir, OutboxOptions{Log: quiet()})
	require.ErrorIs(t, err, errLocked)
	require.ErrorContains(t, err, "data_dir")
	require.NoError(t, o.Close())
	openBox(t, dir, OutboxOptions{})
}

func TestOnlyTheOwnerMayRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "outbox")
	require.NoError(t, os.Mkdir(dir, 0o755))
	o := openBox(t, dir, OutboxOptions{})
	mustPut(t, o, alertEnvelope("cam-1", 1, 100))
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 5)
	for _, f := range files {
		info, err := f.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), f.Name())
	}
}

func TestConcurrentPutsShareSyncs(t *testing.T) {
	reg := prometheus.NewRegistry()
	o := openBox(t, t.TempDir(), OutboxOptions{Registerer: reg})
	const cameras, each = 50, 20
	var wg sync.WaitGroup
	for c := range cameras {
		wg.Go(func() {
			last := uint64(0)
			for i := range each {
				seq, err := o.Put(alertEnvelope(fmt.Sprint("cam-", c), i, 0))
				if err != nil || seq <= last {
					t.Errorf("put: %d after %d: %v", seq, last, err)
				}
				last = seq
			}
		})
	}
	wg.Wait()
	require.Len(t, all(t, o), cameras*each)
	require.InDelta(t, cameras*each, metric(t, reg, "sharpeyes_outbox_appends_total"), 0)
	require.Less(t, metric(t, reg, "sharpeyes_outbox_fsync_seconds"), float64(cameras*each)/2)
	order := map[string]time.Time{}
	for _, got := range all(t, o) {
		e, err := api.ParseEnvelope(got.json)
		require.NoError(t, err)
		require.True(t, order[string(e.Alert.Camera)].Before(e.Alert.Start), "order per camera")
		order[string(e.Alert.Camera)] = e.Alert.Start
	}
}

func TestMetricsFollowTheOutbox(t *testing.T) {
	reg := prometheus.NewRegistry()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := openBox(t, dir, OutboxOptions{Registerer: reg})
		require.Zero(t, metric(t, reg, "sharpeyes_outbox_oldest_age_seconds"))
		mustPut(t, o, alertEnvelope("cam-1", 1, 0))
		time.Sleep(time.Minute) // virtual
		mustPut(t, o, alertEnvelope("cam-1", 2, 0))
		require.InDelta(t, 2, metric(t, reg, "sharpeyes_outbox_depth"), 0)
		require.InDelta(t, 60, metric(t, reg, "sharpeyes_outbox_oldest_age_seconds"), 0.1)
		require.Greater(t, metric(t, reg, "sharpeyes_outbox_bytes"), 500.0)
		acked(t, o, 1)
		require.InDelta(t, 0, metric(t, reg, "sharpeyes_outbox_oldest_age_seconds"), 0.1)
	})
	families, err := reg.Gather()
	require.NoError(t, err)
	require.Empty(t, families, "Close takes the metrics away")
}

func TestAlertThatOnlyNamesItsPictureKeepsTheName(t *testing.T) {
	o := openBox(t, t.TempDir(), OutboxOptions{})
	e := alertEnvelope("cam-1", 1, 100)
	e.Alert.Phase, e.Alert.Picture.JPEG = alert.Closed, nil
	mustPut(t, o, e)
	got, err := api.ParseEnvelope(all(t, o)[0].json)
	require.NoError(t, err)
	require.Equal(t, e.Alert.Picture.SHA256, got.Alert.Picture.SHA256)
}
