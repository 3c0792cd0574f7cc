package detect

import (
	"context"
	"errors"
	"fmt"
	"image"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// detectorFunc is a detector made of a function.
type detectorFunc func(img *image.YCbCr, minScore float64) ([]Detection, error)

func (f detectorFunc) Detect(img *image.YCbCr, minScore float64) ([]Detection, error) {
	return f(img, minScore)
}

// slow takes d for each picture and counts how many it looks at at a time.
func slow(t *testing.T, d time.Duration) detectorFunc {
	var mu sync.Mutex
	inside := 0
	return func(*image.YCbCr, float64) ([]Detection, error) {
		mu.Lock()
		inside++
		if inside > 1 {
			t.Error("two pictures at a time")
		}
		mu.Unlock()
		time.Sleep(d) // of the synctest bubble
		mu.Lock()
		inside--
		mu.Unlock()
		return []Detection{{Class: Person, Score: 0.9}}, nil
	}
}

func seconds(v float64) configs.Duration { return configs.Duration(v * float64(time.Second)) }

func TestSharedServesInTheOrderOfAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewShared(slow(t, 100*time.Millisecond), configs.Detector{MaxPerSecond: 1000, MaxWait: seconds(10)}, nil)
		var mu sync.Mutex
		var order []string
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				// All ask again at once: nobody is served twice before the others.
				time.Sleep(time.Duration(i) * time.Millisecond)
				for range 3 {
					cam := fmt.Sprintf("c%d", i)
					found, err := s.Detect(t.Context(), ingest.CameraID(cam), nil, 0.1)
					if err != nil || len(found) != 1 {
						t.Errorf("%s: %v %v", cam, found, err)
					}
					mu.Lock()
					order = append(order, cam)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		require.Equal(t, "c0 c1 c2 c3 c4 c0 c1 c2 c3 c4 c0 c1 c2 c3 c4", strings.Join(order, " "))
	})
}

// Who had a turn longer ago goes before who asked earlier.
func TestSharedServesWhoWentWithoutFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewShared(slow(t, 100*time.Millisecond), configs.Detector{MaxPerSecond: 1000, MaxWait: seconds(10)}, nil)
		var mu sync.Mutex
		var order []ingest.CameraID
		var wg sync.WaitGroup
		ask := func(cam ingest.CameraID) {
			wg.Go(func() {
				_, err := s.Detect(t.Context(), cam, nil, 0)
				assert.NoError(t, err)
				mu.Lock()
				defer mu.Unlock()
				order = append(order, cam)
			})
			synctest.Wait()
		}
		for _, cam := range []ingest.CameraID{"seldom", "often"} {
			ask(cam)
			wg.Wait()
		}
		for _, cam := range []ingest.CameraID{"holds", "often", "seldom", "new"} {
			ask(cam)
		}
		wg.Wait()
		require.Equal(t, []ingest.CameraID{"holds", "new", "seldom", "often"}, order[2:])
	})
}

func TestSharedKeepsTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewShared(slow(t, 0), configs.Detector{MaxPerSecond: 4, MaxWait: seconds(1)}, nil)
		served, began := 0, time.Now()
		for time.Since(began) < 10*time.Second {
			if _, err := s.Detect(t.Context(), "c", nil, 0); err == nil {
				served++
			}
		}
		require.InDelta(t, 41, served, 1)
	})
}

func TestSharedGivesUpInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		s := NewShared(slow(t, 3*time.Second), configs.Detector{MaxPerSecond: 1000, MaxWait: seconds(0.5)}, reg)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := s.Detect(t.Context(), "first", nil, 0); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		began := time.Now()
		_, err := s.Detect(t.Context(), "second", nil, 0)
		require.ErrorIs(t, err, ErrBusy)
		require.Equal(t, 500*time.Millisecond, time.Since(began))

		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err = s.Detect(ctx, "second", nil, 0)
		require.ErrorIs(t, err, context.DeadlineExceeded)

		wg.Wait()
		_, err = s.Detect(t.Context(), "second", nil, 0)
		require.NoError(t, err, "who gave up does not stand in the way")

		require.Equal(t, 1.0, values(t, reg)[`sharpeyes_detector_busy_total{camera="second"}`])
		require.Equal(t, 2.0, values(t, reg)["sharpeyes_detector_latency_seconds"])
		require.Equal(t, 4.0, values(t, reg)["sharpeyes_detector_wait_seconds"])
		s.Forget("second")
		require.NotContains(t, values(t, reg), `sharpeyes_detector_busy_total{camera="second"}`)
	})
}

// Without money left for longer than a camera waits, it is told at once.
func TestSharedDoesNotWaitForABudgetThatComesTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewShared(slow(t, 0), configs.Detector{MaxPerSecond: 0.2, MaxWait: seconds(1)}, nil)
		_, err := s.Detect(t.Context(), "a", nil, 0)
		require.NoError(t, err)
		began := time.Now()
		_, err = s.Detect(t.Context(), "a", nil, 0)
		require.ErrorIs(t, err, ErrBusy)
		require.Zero(t, time.Since(began))
		time.Sleep(4500 * time.Millisecond)
		_, err = s.Detect(t.Context(), "b", nil, 0)
		require.NoError(t, err, "the budget of the one who gave up was given back")
		require.InDelta(t, 5, time.Since(began).Seconds(), 0.001)

		time.Sleep(4500 * time.Millisecond)
		began = time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err = s.Detect(ctx, "b", nil, 0)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 100*time.Millisecond, time.Since(began))
		time.Sleep(time.Minute)
		_, err = s.Detect(t.Context(), "a", nil, 0)
		require.NoError(t, err)
	})
}

func TestSharedLetsACameraAskOnlyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewShared(slow(t, time.Second), configs.Detector{MaxPerSecond: 1000, MaxWait: seconds(10)}, nil)
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = s.Detect(t.Context(), "other", nil, 0) })
		synctest.Wait()
		wg.Go(func() { _, _ = s.Detect(t.Context(), "c", nil, 0) })
		synctest.Wait()
		began := time.Now()
		_, err := s.Detect(t.Context(), "c", nil, 0)
		require.ErrorIs(t, err, ErrBusy)
		require.Zero(t, time.Since(began))
		wg.Wait()
	})
}

func TestSharedPassesTheDetectorsErrorOn(t *testing.T) {
	broken := errors.New("out of memory")
	s := NewShared(detectorFunc(func(*image.YCbCr, float64) ([]Detection, error) { return nil, broken }), configs.Detector{}, nil)
	_, err := s.Detect(t.Context(), "c1", nil, 0)
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "c1")
}

// Under -race: many cameras, some of which lose patience or leave.
func TestSharedUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewShared(slow(t, 20*time.Millisecond), configs.Detector{MaxPerSecond: 30, MaxWait: seconds(0.2)}, nil)
		var wg sync.WaitGroup
		var mu sync.Mutex
		results := map[string]int{}
		for i := range 20 {
			wg.Go(func() {
				for k := range 20 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(50+17*((i+k)%20))*time.Millisecond)
					_, err := s.Detect(ctx, ingest.CameraID(fmt.Sprint(i)), nil, 0)
					cancel()
					mu.Lock()
					switch {
					case err == nil:
						results["served"]++
					case errors.Is(err, ErrBusy):
						results["busy"]++
					case errors.Is(err, context.DeadlineExceeded):
						results["left"]++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		require.Positive(t, results["served"])
		require.Positive(t, results["busy"])
		require.Positive(t, results["left"])
		time.Sleep(time.Second)
		_, err := s.Detect(t.Context(), "last", nil, 0)
		require.NoError(t, err, "the turn is not lost")
	})
}

// With three workers three cameras are served at once, and no fourth.
func TestSharedWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		inside, most := 0, 0
		d := detectorFunc(func(*image.YCbCr, float64) ([]Detection, error) {
			mu.Lock()
			inside++
			most = max(most, inside)
			mu.Unlock()
			time.Sleep(100 * time.Millisecond) // of the synctest bubble
			mu.Lock()
			inside--
			mu.Unlock()
			return nil, nil
		})
		s := NewShared(d, configs.Detector{MaxPerSecond: 1000, MaxWait: seconds(10), Workers: 3}, nil)
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 9 {
			wg.Go(func() {
				_, err := s.Detect(t.Context(), ingest.CameraID(fmt.Sprint(i)), nil, 0.1)
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.Equal(t, 3, most)
		require.Equal(t, 300*time.Millisecond, time.Since(began))
	})
}
